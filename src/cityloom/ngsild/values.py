"""What may stand in an entity as a value (ETSI GS CIM 009, 4.6.3 to 4.6.5)."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from math import isfinite
from typing import Any

from cityloom.ngsild.errors import BadRequestData
from cityloom.ngsild.names import NULL

#: Levels of arrays and objects in one value.
MAX_VALUE_DEPTH = 32
#: Integers beyond this lose digits in programs that keep numbers as doubles (RFC 8259, 6).
MAX_SAFE_INTEGER = 2**53 - 1

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d{1,6})?Z", re.ASCII)
_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*|@none")


def check_value(value: Any, depth: int = 0, *, null: bool = False, nothing: bool = False) -> Any:
    """`value` when it is JSON that every reader understands alike, else BadRequestData.

    `null` lets JSON null pass (inside a JsonProperty), `nothing` the NGSI-LD Null as a member of an object
    (in a merge, 5.5.12).
    """
    kind = type(value)
    if kind is float:
        if not isfinite(value):
            raise _bad("The number is not finite", "Send a finite number, or leave the value out.")
    elif kind is str:
        check_text(value)
    elif kind is int:
        if not -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
            raise _bad(
                f"The integer is beyond ±{MAX_SAFE_INTEGER}", "Send it as text or as a decimal number."
            )
    elif kind is dict or kind is list:
        if depth >= MAX_VALUE_DEPTH:
            raise _bad(f"The value has more than {MAX_VALUE_DEPTH} levels", "Flatten it.")
        _check_items(value, depth + 1, null, nothing)
    elif kind is not bool and not (value is None and null):
        raise _bad(
            "null is no value in NGSI-LD",
            f'Leave the member out; "{NULL}" deletes it in a fragment; a JsonProperty may hold null.',
        )
    return value


def _check_items(value: Any, depth: int, null: bool, nothing: bool) -> None:
    in_object = type(value) is dict
    nothing = nothing and in_object
    items = value.items() if in_object else enumerate(value)
    for place, item in items:
        if type(place) is str:
            check_text(place)
        try:
            if item == NULL and not nothing and not null:
                raise _bad(f'"{NULL}" cannot stand inside a value', "It deletes members in a merge alone.")
            check_value(item, depth, null=null, nothing=nothing)
        except BadRequestData as error:
            error.where = joined(place, error.where)
            raise


def check_text(text: str) -> str:
    """`text` when it is Unicode that can be stored, else BadRequestData."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise _bad("The text has half a character (a lone surrogate)", "Send whole characters.") from None
    if "\0" in text:
        raise _bad("The text has a NUL character", "Leave it out.")
    return text


def joined(place: str | int, rest: str | None) -> str:
    """A path: a.b, a[0].b."""
    head = f"[{place}]" if isinstance(place, int) else place
    if not rest:
        return head
    return head + rest if rest.startswith("[") else f"{head}.{rest}"


@lru_cache(8192)
def instant(text: str) -> str:
    """A DateTime (4.6.3), which is in UTC with Z, with a point before fractions. Raises BadRequestData."""
    if _INSTANT.fullmatch(text):
        try:
            datetime.fromisoformat(text)
            return text.replace(",", ".")
        except ValueError:
            pass
    raise _bad(f"{text[:40]!a} is not a date-time", "Write it in UTC, such as 2026-04-12T20:00:00Z.")


def check_instant(value: Any) -> str:
    """A DateTime as it stands in a document. Raises BadRequestData."""
    if type(value) is not str:
        raise _bad("A date-time is a string", "Write it in UTC, such as 2026-04-12T20:00:00Z.")
    return instant(value)


def check_language_map(value: Any) -> dict[str, Any]:
    """A languageMap (4.6.5): language tags with a text or several. Raises BadRequestData."""
    if type(value) is not dict or not value:
        raise _bad("A languageMap is an object", 'Write it as {"en": "Frost", "da": "Frost"}.')
    for tag, said in value.items():
        if not _LANGUAGE.fullmatch(tag):
            raise _bad(f"{tag[:40]!a} is not a language", "Use a tag such as en or da-DK, or @none.")
        texts = said if type(said) is list else [said]
        if not all(type(item) is str for item in texts):
            error = _bad("A languageMap holds texts", "Give a string or an array of strings.")
            error.where = tag
            raise error
        for item in texts:
            check_text(item)
    return value


def _bad(message: str, hint: str) -> BadRequestData:
    return BadRequestData(message, hint=hint)
