"""Whether something outside the plan has left the bounds that were set for it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from cityloom.kernel.worded import Worded


class Watched(StrEnum):
    """How an outside factor stands."""

    WITHIN = "within"
    #: Within, but not far from a bound.
    NEAR = "near"
    OUTSIDE = "outside"
    #: It is measured by nothing, or there is no value.
    UNKNOWN = "unknown"


WORDS: Mapping[str, str] = {
    Watched.WITHIN: Worded("within its bounds"),
    Watched.NEAR: Worded("near a bound"),
    Watched.OUTSIDE: Worded("out of bounds"),
    Watched.UNKNOWN: Worded("no value"),
}
#: Nearer to a bound than this share of the way between both, or of the bound itself, is near.
NEAR = 0.1


class Bounds(msgspec.Struct, frozen=True):
    """From which value to which nothing has to be done; in the unit of what is measured."""

    low: float | None = None
    high: float | None = None


def watch(value: float | None, bounds: Bounds) -> Watched:
    """How a value stands to its bounds; a value on a bound is within."""
    if value is None or (bounds.low is None and bounds.high is None):
        return Watched.UNKNOWN
    if (bounds.low is not None and value < bounds.low) or (bounds.high is not None and value > bounds.high):
        return Watched.OUTSIDE
    margin = NEAR * _way(bounds)
    is_near = (bounds.low is not None and value - bounds.low < margin) or (
        bounds.high is not None and bounds.high - value < margin
    )
    return Watched.NEAR if is_near else Watched.WITHIN


def _way(bounds: Bounds) -> float:
    if bounds.low is not None and bounds.high is not None:
        return bounds.high - bounds.low
    return abs(bounds.low if bounds.low is not None else bounds.high or 0.0)
