"""What the methods of aggregation mean for values that are no numbers (ETSI GS CIM 009, 4.5.19.1). Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, time
from typing import Any, Literal

#: How the values of an attribute are aggregated.
Nature = Literal["text", "size", "instant", "time", "other"]

#: Of typed values (4.6.3), by the last part of their type.
_NATURES: dict[str, Nature] = {"DateTime": "instant", "Date": "instant", "Time": "time"}
_MICROSECONDS = 1_000_000


def nature_of(attribute_type: str, value: Any) -> Nature:
    """The row of the standard's tables that a value belongs to."""
    if attribute_type == "ListProperty":
        return "size"
    if attribute_type != "Property":
        return "other"
    if isinstance(value, str):
        return "text"
    if isinstance(value, list):
        return "size"
    if isinstance(value, dict) and isinstance(value.get("@value"), str):
        kind = str(value.get("@type", "")).rpartition("/")[2].rpartition("#")[2].rpartition(":")[2]
        return _NATURES.get(kind, "other")
    return "other"


def aggregate_values(nature: Nature, method: str, values: Sequence[Any]) -> Any:
    """One aggregate of values of one nature; None where the method says nothing of them."""
    found = _METHODS.get((nature, method))
    return None if found is None or not values else found(values)


def _typed(values: Sequence[Any]) -> list[str]:
    return [value["@value"] for value in values]


def _sizes(values: Sequence[Any]) -> list[int]:
    return [len(value) for value in values]


def _earliest(values: Sequence[Any]) -> str:
    return min(_typed(values), key=_moment)


def _latest(values: Sequence[Any]) -> str:
    return max(_typed(values), key=_moment)


def _moment(text: str) -> tuple[int, Any]:
    """What instants and times are compared by; what is neither comes last."""
    try:
        return (0, _as_time(text).replace(tzinfo=None))
    except ValueError:
        pass
    try:
        return (1, datetime.fromisoformat(text).replace(tzinfo=None))
    except ValueError:
        return (2, text)


def _as_time(text: str) -> time:
    if "-" in text:
        raise ValueError(text)
    return time.fromisoformat(text.removesuffix("Z"))


def _mean_time(values: Sequence[Any]) -> str | None:
    """The mean time of day."""
    found = []
    for text in _typed(values):
        try:
            at = _as_time(text)
        except ValueError:
            continue
        seconds = (at.hour * 60 + at.minute) * 60 + at.second
        found.append(seconds * _MICROSECONDS + at.microsecond)
    if not found:
        return None
    mean, rest = divmod(sum(found) // len(found), _MICROSECONDS)
    said = time(mean // 3600, mean // 60 % 60, mean % 60, rest).isoformat()
    return f"{said}Z"


_METHODS: dict[tuple[Nature, str], Callable[[Sequence[Any]], Any]] = {
    ("text", "min"): min,
    ("text", "max"): max,
    ("size", "avg"): lambda values: sum(_sizes(values)) / len(values),
    ("size", "min"): lambda values: min(_sizes(values)),
    ("size", "max"): lambda values: max(_sizes(values)),
    ("size", "sum"): lambda values: sum(_sizes(values)),
    ("instant", "min"): _earliest,
    ("instant", "max"): _latest,
    ("time", "min"): _earliest,
    ("time", "max"): _latest,
    ("time", "avg"): _mean_time,
}
