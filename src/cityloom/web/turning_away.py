"""What is said to those who are turned away, and when they may come back."""

from __future__ import annotations

import msgspec

#: Seconds after which whoever was told "not now" may ask again.
COME_BACK_AFTER = 2

_TOO_MUCH = msgspec.json.encode(
    {
        "type": "about:blank",
        "title": "Not ready",
        "status": 503,
        "detail": "More is asked than can be answered at the moment",
        "hint": "Nothing of this request was done. Send it again in a few seconds.",
    }
)


def retry_after(seconds: int = COME_BACK_AFTER) -> tuple[bytes, bytes]:
    """The header that says when to come back (RFC 9110, 10.2.3)."""
    return (b"retry-after", b"%d" % seconds)


def refusal(status: bytes, words: bytes) -> bytes:
    """The last answer on a connection, as it is sent: `status` with its reason phrase."""
    again = status.startswith((b"429", b"503"))
    return _answer(status, b"text/plain", words, closes=True, again=again) + words


def come_back(*, closes: bool, head_alone: bool) -> bytes:
    """The answer to a request at which nobody looks, as it is sent."""
    return _COME_BACK[closes, head_alone]


def _answer(status: bytes, media: bytes, body: bytes, *, closes: bool, again: bool = True) -> bytes:
    lines = [
        b"HTTP/1.1 " + status,
        b"content-type: " + media,
        b"connection: close" if closes else b"connection: keep-alive",
        *([b": ".join(retry_after())] if again else []),
        b"content-length: %d" % len(body),
    ]
    return b"\r\n".join([*lines, b"", b""])


# Made once: who is turned away is to cost next to nothing.
_COME_BACK = {
    (closes, head_alone): _answer(b"503 Service Unavailable", b"application/json", _TOO_MUCH, closes=closes)
    + (b"" if head_alone else _TOO_MUCH)
    for closes in (False, True)
    for head_alone in (False, True)
}
