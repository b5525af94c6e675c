"""The temporal query language (ETSI GS CIM 009, 4.11): its parameters, read and checked."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, cast, get_args

import msgspec

from cityloom.kernel.time import parse_instant
from cityloom.ngsild.errors import BadRequestData
from cityloom.ngsild.values import check_instant

Relation = Literal["before", "after", "between"]
TimeProperty = Literal["observedAt", "createdAt", "modifiedAt", "deletedAt"]

_RELATIONS = get_args(Relation)
_TIME_PROPERTIES = get_args(TimeProperty)


class TemporalWindow(msgspec.Struct, frozen=True):
    """A half-open interval of time, [since, until), of one of an attribute's times; None is open."""

    since: datetime | None = None
    until: datetime | None = None
    time_property: TimeProperty = "observedAt"


def parse_temporal_window(
    timerel: str | None, time_at: str | None, end_time_at: str | None = None, timeproperty: str | None = None
) -> TemporalWindow:
    """The interval behind the parameters; without timerel all of time. Raises BadRequestData."""
    if timeproperty is not None and timeproperty not in _TIME_PROPERTIES:
        raise _bad(f"{timeproperty[:40]!a} is no time of an attribute", _TIME_PROPERTIES, "timeproperty")
    of = cast(TimeProperty, timeproperty or "observedAt")
    if timerel is None:
        _refuse(time_at, "timeAt", "timerel")
        _refuse(end_time_at, "endTimeAt", "timerel")
        return TemporalWindow(time_property=of)
    if timerel not in _RELATIONS:
        raise _bad(f"{timerel[:40]!a} is no relation of time", _RELATIONS, "timerel")
    start = _instant(time_at, "timeAt")
    if timerel != "between":
        _refuse(end_time_at, "endTimeAt", "timerel=between")
        return TemporalWindow(None, start, of) if timerel == "before" else TemporalWindow(start, None, of)
    end = _instant(end_time_at, "endTimeAt")
    if end <= start:
        raise BadRequestData(
            "endTimeAt is not after timeAt",
            hint="Exchange the two, or widen the interval.",
            where="endTimeAt",
        )
    return TemporalWindow(start, end, of)


def _instant(text: str | None, where: str) -> datetime:
    if text is None:
        raise BadRequestData(
            f"{where} is missing", hint="Write it in UTC: 2026-04-12T20:00:00Z.", where=where
        )
    try:
        return parse_instant(check_instant(text), where=where)
    except BadRequestData as error:
        error.where = where
        raise


def _refuse(value: str | None, where: str, needs: str) -> None:
    if value is not None:
        raise BadRequestData(
            f"{where} needs {needs}", hint=f"Add {needs}, or leave {where} out.", where=where
        )


def _bad(message: str, choices: tuple[str, ...], where: str) -> BadRequestData:
    return BadRequestData(message, hint=f"Use one of {', '.join(choices)}.", where=where)
