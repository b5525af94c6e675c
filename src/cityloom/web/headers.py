"""What every answer tells the browser to refuse, and the name every request goes by."""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Callable
from time import perf_counter
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cityloom.kernel.spans import REQUEST, remember
from cityloom.web.head import head_of

Pairs = list[tuple[bytes, bytes]]
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
#: Said beside them where the request came by https.
HTTPS_ALONE = (b"strict-transport-security", b"max-age=31536000")


def content_security_policy(tiles: str = "") -> str:
    """Everything comes from the city itself; map tiles from the one server that city.toml names."""
    parts = urlsplit(tiles)
    server = f" {parts.scheme}://{parts.netloc.replace('{s}', '*')}" if parts.netloc else ""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            f"img-src 'self' data: blob:{server}",
            f"connect-src 'self'{server}",
            "worker-src 'self'",
            "font-src 'self'",
            "manifest-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        )
    )


def said_always(tiles: str = "") -> Pairs:
    """The security headers of every answer. `tiles` is the address of map tiles in city.toml."""
    said = {
        "content-security-policy": content_security_policy(tiles),
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "permissions-policy": "geolocation=(self), camera=(), microphone=(), payment=(), usb=()",
    }
    return [(name.encode(), value.encode()) for name, value in said.items()]


class RequestIds:
    """Names for requests: the asker's own, or new ones.

    They tell requests apart and are no secret: a beginning for this process, and a number.
    """

    def __init__(self) -> None:
        self._process = secrets.token_hex(4)
        self._numbers = itertools.count(1)

    def of(self, scope: Scope) -> str:
        """The name of a request, which its log lines and its span carry from now on."""
        name = _request_id(scope) or f"{self._process}-{next(self._numbers):x}"
        REQUEST.set(name)
        remember(name)
        return name


class SecureHeaders:
    """ASGI middleware: security headers on every answer, and a request id (kept when one is sent along)."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        tiles: str = "",
        request_ids: RequestIds | None = None,
        note: Callable[[Scope, int, float], None] = lambda _scope, _status, _seconds: None,
    ) -> None:
        """`note` is told each answer's status, and the seconds until it began."""
        self._app = app
        self._note = note
        self._plain = said_always(tiles)
        self._request_ids = request_ids or RequestIds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        request_id = self._request_ids.of(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        added = [*self._plain, HTTPS_ALONE] if scope.get("scheme") == "https" else self._plain

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._note(scope, message["status"], perf_counter() - began)
                headers = [pair for pair in message["headers"] if pair[0] != b"x-request-id"]
                # What an application says itself stays as it says it.
                said = {name for name, _ in headers}
                headers += [pair for pair in added if pair[0] not in said]
                headers.append((b"x-request-id", request_id.encode()))
                message["headers"] = headers
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _request_id(scope: Scope) -> str:
    """The name that the asker gives the request; "" when it gives none."""
    given = head_of(scope).get(b"x-request-id", ())
    return next((text for text in given if _REQUEST_ID.fullmatch(text)), "") if given else ""
