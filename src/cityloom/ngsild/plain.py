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
#: The members of such an attribute, in their order; whether a unit and a time are among them.
_SHAPES = {
    ("type", "value"): (False, False),
    ("type", "value", "unitCode"): (True, False),
    ("type", "value", "observedAt"): (False, True),
    ("type", "value", "unitCode", "observedAt"): (True, True),
    ("type", "value", "observedAt", "unitCode"): (True, True),
}
_POINT = ("type", "coordinates")
_INFINITE = float("inf")


def plain_instance(raw: Any) -> Instance | None:
    """The instance of an attribute that is written out in full (4.5.2, 4.5.3), when it is plainly sound."""
    if type(raw) is not dict:
        return None
    shape = _SHAPES.get(tuple(raw))
    if shape is None:
        return None
    has_unit, has_time = shape
    kind, value = raw["type"], raw["value"]
    if kind == "Property":
        is_sound = -_INFINITE < value < _INFINITE if type(value) is float else _is_plain_value(value)
    else:
        is_sound = kind == "GeoProperty" and not has_unit and _is_plain_point(value)
    if (
        is_sound
        and (not has_unit or (type(unit := raw["unitCode"]) is str and _is_unit(unit)))
        and (not has_time or (type(observed := raw["observedAt"]) is str and _is_instant(observed)))
    ):
        return raw.copy()
    return None


def _is_plain_value(value: Any) -> bool:
    """Whether a value that is no float can be kept as it is."""
    kind = type(value)
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


@lru_cache(1024)
def _is_unit(text: str) -> bool:
    return 0 < len(text) <= MAX_UNIT_CODE and text.isascii() and "\0" not in text and text != NULL


@lru_cache(8192)
def _is_instant(text: str) -> bool:
    try:
        return instant(text) == text
    except BadRequestData:
        return False
