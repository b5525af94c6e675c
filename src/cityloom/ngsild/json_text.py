"""From JSON text to values, without the surprises that JSON allows (ETSI GS CIM 009, 4.6.1; RFC 8259)."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from cityloom.ngsild.errors import BadRequestData, InvalidRequest

_KEY_END = b'":'
_SPACED_KEY_END = re.compile(rb'"[ \t\r\n]+:')
#: Numbers that may be nearer to zero than any double.
_SMALL = re.compile(rb"[0-9][eE]-[0-9]{3}|[0-9]\.0{99}")
_MANY_DIGITS = re.compile(rb"[0-9]{20}")
_LARGEST_INTEGER = 2**64 - 1


def decode_json(body: bytes | bytearray | memoryview | str, *, where: str = "body") -> Any:
    """The value of a JSON text in UTF-8.

    Raises InvalidRequest for what is no JSON (NaN, numbers beyond a double, lone surrogates and a byte order
    mark among it), BadRequestData for a name given twice in an object, for an integer that would lose digits
    and for more than 250 levels.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(
            f"This is not JSON: {error.msg}, line {error.lineno}, column {error.colno}",
            hint="Send one JSON value in UTF-8; check it with a JSON linter.",
            where=where,
        ) from None
    if isinstance(value, dict | list):
        text = body if isinstance(body, bytes) else _as_bytes(body)
        _refuse_silent_loss(text, value, where)
    elif isinstance(value, float):
        _refuse_lost_digits(_as_bytes(body), where)
    return value


def _refuse_silent_loss(text: bytes, value: Any, where: str) -> None:
    """Parsers keep the last of two members with one name, and of a long integer the first digits, in silence;
    the sender meant all."""
    try:
        canonical = orjson.dumps(value)
    except (TypeError, orjson.JSONEncodeError):
        raise BadRequestData(
            "The JSON is nested too deeply", hint="Send at most 32 levels.", where=where
        ) from None
    if canonical == text:
        return
    _refuse_lost_digits(text, where)
    # Each member ends its name with `":`. Where no white space or escape blurs that, counting finds a member
    # that was lost; else the slow way looks at every object.
    same = text.count(_KEY_END) == canonical.count(_KEY_END)
    if same and b"\\u0" not in text and not _SPACED_KEY_END.search(text):
        return
    json.loads(text, object_pairs_hook=lambda pairs: _checked_pairs(pairs, where))


def _refuse_lost_digits(text: bytes, where: str) -> None:
    if _SMALL.search(text):
        json.loads(text, parse_float=lambda digits: _checked_float(digits, where))
    if _MANY_DIGITS.search(text):
        json.loads(text, parse_int=lambda digits: _checked_integer(digits, where))


def _checked_float(digits: str, where: str) -> float:
    value = float(digits)
    if value == 0 and digits.lower().partition("e")[0].strip("-0."):
        raise BadRequestData(
            f"The number {digits[:30]} is too small to be kept",
            hint="A double is 0 or at least 5e-324.",
            where=where,
        )
    return value


def _checked_integer(digits: str, where: str) -> None:
    if abs(int(digits)) > _LARGEST_INTEGER:
        raise BadRequestData(
            f"The integer {digits[:30]}… has too many digits",
            hint="Send it as text, or as a decimal number such as 1e30.",
            where=where,
        )


def _as_bytes(body: bytes | bytearray | memoryview | str) -> bytes:
    return body.encode() if isinstance(body, str) else bytes(body)


def _checked_pairs(pairs: list[tuple[str, Any]], where: str) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name not in seen:
            seen.add(name)
            continue
        raise BadRequestData(
            f"The name {name[:60]!r} stands twice in one object",
            hint="Keep one. Several instances of an attribute go into an array, each with its datasetId.",
            where=where,
        )
