"""What most attributes are, read at a glance: a number or a text with its unit and time, or a place.

Nothing is refused here, and nothing is said of what is wrong: whatever is not plainly sound is read by
`parse`, which is some times slower. What is told here must be what `parse` tells; a test compares the two.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from cityloom.ngsild.errors import BadRequestData
from cityloom.ngsild.model import Instance
from cityloom.ngsild.names import NULL
from cityloom.ngsild.values import MAX_SAFE_INTEGER, instant

MAX_UNIT_CODE = 100
#: The members of such an attribute, in their order.
_SHAPES = frozenset(
    {
        ("type", "value"),
        ("type", "value", "unitCode"),
        ("type", "value", "observedAt"),
        ("type", "value", "unitCode", "observedAt"),
        ("type", "value", "observedAt", "unitCode"),
    }
)
_POINT = ("type", "coordinates")
_INFINITE = float("inf")


def plain_instance(raw: Any) -> Instance | None:
    """The instance of an attribute that is written out in full (4.5.2, 4.5.3), when it is plainly sound."""
    if type(raw) is not dict or tuple(raw) not in _SHAPES:
        return None
    kind = raw["type"]
    if kind == "Property":
        is_sound = _is_plain_value(raw["value"])
    else:
        is_sound = kind == "GeoProperty" and "unitCode" not in raw and _is_plain_point(raw["value"])
    if is_sound and (len(raw) == 2 or _are_sound(raw)):
        return raw.copy()
    return None


def _is_plain_value(value: Any) -> bool:
    kind = type(value)
    if kind is float:
        return bool(-_INFINITE < value < _INFINITE)
    if kind is str:
        return value.isascii() and "\0" not in value and value != NULL
    return kind is bool or (kind is int and -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER)


def _is_plain_point(value: Any) -> bool:
    if type(value) is not dict or tuple(value) != _POINT or value["type"] != "Point":
        return False
    position = value["coordinates"]
    if type(position) is not list or len(position) != 2:
        return False
    longitude, latitude = position
    if type(longitude) is not float or type(latitude) is not float:
        return False
    return -180 <= longitude <= 180 and -90 <= latitude <= 90


def _are_sound(raw: Instance) -> bool:
    """Whether unit and time, where they are given, are texts that can be kept as they are."""
    unit, observed = raw.get("unitCode", "CEL"), raw.get("observedAt", "2026-01-01T00:00:00Z")
    return type(unit) is str and type(observed) is str and _is_unit(unit) and _is_instant(observed)


@lru_cache(1024)
def _is_unit(text: str) -> bool:
    return 0 < len(text) <= MAX_UNIT_CODE and text.isascii() and "\0" not in text and text != NULL


@lru_cache(8192)
def _is_instant(text: str) -> bool:
    try:
        return instant(text) == text
    except BadRequestData:
        return False
