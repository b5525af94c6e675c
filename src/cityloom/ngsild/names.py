"""Names and URIs: what may stand where (ETSI GS CIM 009, 4.6.2; RFC 3986)."""

from __future__ import annotations

import re
from functools import lru_cache

from cityloom.ngsild.errors import BadRequestData

#: Longest name of a type or an attribute, in characters.
MAX_NAME = 500
#: Longest URI, in characters.
MAX_URI = 2000
#: What stands for "nothing" in a fragment, since JSON-LD has no null (4.5.0).
NULL = "urn:ngsi-ld:null"

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\s<>\"{}|\\^`\x00-\x20\x7f-\x9f\ud800-\udfff]+")


def is_uri(text: object) -> bool:
    """Whether `text` is an absolute URI or IRI without characters that must be escaped."""
    return type(text) is str and len(text) <= MAX_URI and _URI.fullmatch(text) is not None


def is_simple_name(text: str) -> bool:
    """A letter, then letters, digits and underscores (4.6.2)."""
    return text[:1].isalpha() and text.replace("_", "").isalnum()


def check_uri(value: object, where: str) -> str:
    """`value` when it is a URI, else BadRequestData."""
    if type(value) is str and len(value) <= MAX_URI and _URI.fullmatch(value):
        return value
    raise BadRequestData(
        f"{_shown(value)} is not a URI",
        hint="Write an absolute URI without spaces, such as urn:ngsi-ld:Streetlight:12.",
        where=where,
    )


@lru_cache(8192)
def is_name(text: str) -> bool:
    """Whether `text` may name a type or an attribute: a name, prefix:name or a URI."""
    if not 0 < len(text) <= MAX_NAME:
        return False
    prefix, colon, rest = text.partition(":")
    if not colon:
        return is_simple_name(text)
    return (is_simple_name(prefix) and is_simple_name(rest)) or is_uri(text)


def check_name(text: str, where: str | None) -> str:
    """`text` when it may name a type or an attribute, else BadRequestData."""
    if is_name(text):
        return text
    raise BadRequestData(
        f"{_shown(text)} is not a name",
        hint="A name is a letter, then letters, digits and underscores; or it is prefix:name or a URI.",
        where=where,
    )


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "…"
