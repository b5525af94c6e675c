"""Reading what other writers wrote: what is missing or of another kind than expected reads as nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from cityloom.context.ports import Bounds
from cityloom.kernel.errors import BadInput
from cityloom.kernel.time import parse_instant
from cityloom.ngsild.model import Document, Instance, value_of

_Item = TypeVar("_Item")


def word(document: Document, name: str) -> str:
    """A text, "" for none."""
    said = value_of(document, name)
    return said if isinstance(said, str) else ""


def texts(document: Document, name: str) -> dict[str, str]:
    """A text by language; one without a language counts as English."""
    said = value_of(document, name)
    if isinstance(said, str):
        return {"en": said}
    if not isinstance(said, dict):
        return {}
    return {language: text for language, text in said.items() if isinstance(text, str)}


def words(document: Document, name: str) -> tuple[str, ...]:
    """One text or several; what is none is left out."""
    said = value_of(document, name)
    several = said if isinstance(said, list) else [said]
    return tuple(one for one in several if isinstance(one, str))


def ids(document: Document, name: str) -> tuple[str, ...]:
    """The Entities a Relationship points at."""
    return words(document, name)


def instant(document: Document, name: str) -> datetime | None:
    """A date-time."""
    return instant_in(value_of(document, name))


def instant_in(said: Any) -> datetime | None:
    """The date-time that a program wrote within a value; None for what is none."""
    try:
        return parse_instant(said, where="at")
    except BadInput:
        return None


def truth(document: Document, name: str) -> bool | None:
    """Yes, no, or nothing said."""
    said = value_of(document, name)
    return said if isinstance(said, bool) else None


def geometry(document: Document, name: str) -> Mapping[str, Any] | None:
    """A GeoJSON geometry."""
    said = value_of(document, name)
    return said if isinstance(said, dict) and "coordinates" in said else None


def items(document: Document, name: str, kind: type[_Item]) -> tuple[_Item, ...]:
    """A list of records of one kind; nothing when one of them is of another."""
    try:
        return tuple(msgspec.convert(value_of(document, name, []), list[kind]))  # type: ignore[valid-type]  # made at run time
    except msgspec.ValidationError:
        return ()


def touches(bounds: Bounds | None, box: Bounds) -> bool:
    """Whether bounds (west, south, east, north in degrees) touch a box; where there are none, no."""
    if bounds is None:
        return False
    west, south, east, north = box
    return bounds[0] <= east and bounds[2] >= west and bounds[1] <= north and bounds[3] >= south


def language_property(by_language: Mapping[str, str]) -> Instance:
    """A LanguageProperty of texts by language tag."""
    return {"type": "LanguageProperty", "languageMap": dict(by_language)}


def says(document: Document, name: str, item: Instance | None) -> bool:
    """Whether an Entity says this of an attribute already, and nothing else; None is nothing at all."""
    there = document["attrs"].get(name, ())
    return [bare(one) for one in there] == ([] if item is None else [item])


def bare(item: Instance) -> Instance:
    """An attribute instance without its system times: to be written elsewhere."""
    return {key: value for key, value in item.items() if key not in ("createdAt", "modifiedAt")}
