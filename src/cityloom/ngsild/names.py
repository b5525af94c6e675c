"""Names and URIs: what may stand where (ETSI GS CIM 009, 4.6.2; RFC 3986)."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import cast

from cityloom.ngsild.errors import BadRequestData

#: Longest name of a type or an attribute, in characters.
MAX_NAME = 500
#: Longest URI, in characters.
MAX_URI = 2000
#: What stands for "nothing" in a fragment, since JSON-LD has no null (4.5.0).
NULL = "urn:ngsi-ld:null"

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\s<>\"{}|\\^`\x00-\x20\x7f-\x9f]+")
#: Letters that look like nothing: fillers, a blank Braille pattern. Two ids must not look alike.
_INVISIBLE = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f")


def is_uri(text: object) -> bool:
    """Whether `text` is an absolute URI or IRI of visible characters that need no escape."""
    return (
        type(text) is str
        and len(text) <= MAX_URI
        and _URI.fullmatch(text) is not None
        and (text.isascii() or all(map(_is_visible, text)))
    )


def _is_visible(character: str) -> bool:
    """Not a control, format, private or unassigned character, separator, or variation selector."""
    if character in _INVISIBLE or "\ufe00" <= character <= "\ufe0f" or character >= "\U000e0000":
        return False
    return unicodedata.category(character)[0] not in "CZ"


def is_simple_name(text: str) -> bool:
    """A letter, then letters, digits and underscores (4.6.2)."""
    return text[:1].isalpha() and text.replace("_", "").isalnum()


def check_uri(value: object, where: str) -> str:
    """`value` when it is a URI, else BadRequestData."""
    if is_uri(value):
        return cast(str, value)
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
