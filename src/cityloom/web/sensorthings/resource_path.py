"""Paths of SensorThings: Things('a')/Datastreams('b')/Observations (OGC 18-088, 9.2). Pure and bounded.

Ids are texts in single quotes, a quote in them doubled; a number is read as the text that it is.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

import msgspec

from cityloom.ngsild.errors import BadRequestData

MAX_PATH = 8_000
MAX_STEPS = 12

#: What stands in an address as it is, so that a client may take the id out of it.
_PLAIN = ":;@,=+$'"

_STEP = re.compile(r"([A-Za-z]+)(?:\(('(?:[^']|'')*'|[0-9]{1,20})\))?", re.ASCII)


class Step(msgspec.Struct, frozen=True):
    """A name, and the id in parentheses behind it."""

    name: str
    id: str | None = None


class ResourcePath(msgspec.Struct, frozen=True):
    """Steps, and whether the end asks for references alone ($ref) or for a bare value ($value)."""

    steps: tuple[Step, ...]
    ref: bool = False
    value: bool = False


def parse_path(raw: str) -> ResourcePath:
    """The path behind its percent-encoded text. Raises BadRequestData."""
    if len(raw) > MAX_PATH:
        raise _bad("The path is too long")
    try:
        text = unquote(raw, errors="strict").strip("/")
    except UnicodeDecodeError:
        raise _bad("The path is not UTF-8") from None
    steps: list[Step] = []
    at = 0
    while at < len(text):
        rest = text[at:]
        if rest in ("$ref", "$value"):
            return ResourcePath(tuple(steps), ref=rest == "$ref", value=rest == "$value")
        found = _STEP.match(text, at)
        if found is None or len(steps) >= MAX_STEPS:
            raise _bad(f"{rest[:60]!a} is not understood in the path")
        at = found.end()
        if at < len(text) and text[at] != "/":
            raise _bad(f"{text[at : at + 60]!a} is not understood in the path")
        at += 1
        steps.append(Step(found.group(1), _id(found.group(2))))
    return ResourcePath(tuple(steps))


def address(kind: str, identifier: str) -> str:
    """The path of one: Things('urn:x:1'), percent-encoded."""
    said = quote(identifier.replace("'", "''"), safe=_PLAIN)
    return f"{kind}('{said}')"


def _id(text: str | None) -> str | None:
    if text is None or not text.startswith("'"):
        return text
    return text[1:-1].replace("''", "'")


def _bad(message: str) -> BadRequestData:
    return BadRequestData(
        message, hint="Write a path such as Things('urn:ngsi-ld:Thing:1')/Datastreams.", where="path"
    )
