"""Scores values from a file by a framework's rules, without a city: what `cityloom score` prints. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC

import msgspec

from cityloom.indicators import scoring
from cityloom.indicators.checks import Basis, Finding, findings
from cityloom.indicators.exchange.reported import Reported, bounds_of
from cityloom.indicators.framework import Framework
from cityloom.indicators.model import DataPoint, Indicator
from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded

_Key = tuple[str, str]


class LeftOut(msgspec.Struct, frozen=True):
    """What is not part of a score, and why."""

    #: An indicator's code with its data point, or what the file has for one.
    what: str
    why: str
    #: Where it stands in the file; "" for what is not there.
    place: str = ""
    #: Why, by language, where the framework says it.
    by_language: Mapping[str, str] = {}


class PointScore(msgspec.Struct, frozen=True):
    """A data point that was scored."""

    indicator: Indicator
    point: DataPoint
    value: float | bool
    percent: float
    points: int


class GroupOfCard(msgspec.Struct, frozen=True):
    """A dimension, sub-dimension or category with its score."""

    path: tuple[str, ...]
    score: scoring.Score
    #: Data points that it has.
    total: int


class Scorecard(msgspec.Struct, frozen=True):
    """The scores of one city, or one district of it, and period."""

    city: str
    period: str
    score: scoring.Score
    total: int
    reported: int
    groups: tuple[GroupOfCard, ...]
    points: tuple[PointScore, ...]
    findings: tuple[Finding, ...]
    left_out: tuple[LeftOut, ...]


def scorecards(framework: Framework, rows: Sequence[Reported]) -> list[Scorecard]:
    """A card for each city and period, in the order of the file."""
    known = code_map(framework)
    of_card: dict[tuple[str, str], list[Reported]] = {}
    for row in rows:
        of_card.setdefault((row.unit_of_study, row.period), []).append(row)
    return [_card(framework, known, city, period, own) for (city, period), own in of_card.items()]


def code_map(framework: Framework) -> Mapping[str, tuple[Indicator, DataPoint | None]]:
    """What files may call each data point: code or alias, with or without its point. None: it has several."""
    known: dict[str, tuple[Indicator, DataPoint | None]] = {}
    for indicator in framework.indicators:
        for code in (indicator.code, *indicator.aliases):
            several = len(indicator.points) > 1
            known[plain(code)] = (indicator, None if several else indicator.points[0])
            for point in indicator.points:
                if point.key:
                    known[plain(f"{code}.{point.key}")] = (indicator, point)
    return known


def plain(code: str) -> str:
    """A code as it is compared: editions print them with and without spaces."""
    return code.replace(" ", "").upper()


def find_point(
    known: Mapping[str, tuple[Indicator, DataPoint | None]], row: Reported
) -> tuple[Indicator, DataPoint]:
    """The data point that a row speaks of. Raises BadInput."""
    found = known.get(plain(f"{row.code}.{row.point}" if row.point else row.code))
    if found is None:
        raise BadInput(
            Worded("not in the framework"),
            hint=Worded("Look at the codes of the framework."),
            where=row.place,
        )
    indicator, point = found
    if point is None:
        several = ", ".join(one.key for one in indicator.points)
        raise BadInput(
            Worded("needs a data point: %(names)s", names=several),
            hint=Worded("Add the column point."),
            where=row.place,
        )
    if row.unit and row.unit not in (point.unit, point.unit_code):
        raise BadInput(
            Worded("is in %(unit)s, and %(wanted)s is asked for", unit=row.unit, wanted=point.unit or "-"),
            hint=Worded("Convert it."),
            where=row.place,
        )
    return indicator, point


def value_from(row: Reported, point: DataPoint) -> float | bool | None:
    """The value of a row, or numerator over denominator. Raises BadInput."""
    value = row.value
    if value is None and row.numerator is not None and row.denominator:
        value = row.numerator / row.denominator * point.multiplier
    if value is None:
        return None
    if point.is_yes_or_no:
        if value not in (0, 1):
            raise BadInput(
                Worded("is answered with yes or no"), hint=Worded("Write yes or no."), where=row.place
            )
        return bool(value)
    if isinstance(value, bool):
        raise BadInput(Worded("is answered with a number"), hint=Worded("Write a number."), where=row.place)
    return value


def _card(
    framework: Framework,
    known: Mapping[str, tuple[Indicator, DataPoint | None]],
    city: str,
    period: str,
    rows: Iterable[Reported],
) -> Scorecard:
    values: dict[_Key, float | bool] = {}
    bases: dict[_Key, Basis] = {}
    left: list[LeftOut] = []
    for row in rows:
        name = f"{row.code}.{row.point}" if row.point else row.code
        try:
            _, point = find_point(known, row)
            value = value_from(row, point)
        except BadInput as error:
            left.append(LeftOut(name, error.said, row.place))
            continue
        if (point.code, point.key) in values:
            left.append(LeftOut(name, Worded("stands twice, by another of its names"), row.place))
        elif value is not None:
            values[point.code, point.key] = value
            bases[point.code, point.key] = _basis(row)
    scored = _scored(framework, values, left)
    return Scorecard(
        city=city,
        period=period,
        score=scoring.score(one.points for one in scored),
        total=len(framework.points()),
        reported=len(values),
        groups=_groups(framework, scored),
        points=tuple(scored),
        findings=tuple(findings(framework, values, bases)),
        left_out=tuple(left),
    )


def _scored(
    framework: Framework, values: Mapping[_Key, float | bool], left: list[LeftOut]
) -> list[PointScore]:
    scored = []
    for indicator, point in framework.points():
        name = f"{point.code}.{point.key}" if point.key else point.code
        value = values.get((point.code, point.key))
        if value is None:
            left.append(LeftOut(name, "not reported"))
            continue
        percent = None if point.benchmark is None else scoring.percent_of_target(value, point.benchmark)
        if percent is None:
            left.append(LeftOut(name, "no benchmark"))
            continue
        scored.append(PointScore(indicator, point, value, percent, scoring.points_of(percent)))
    return scored


def _groups(framework: Framework, scored: Sequence[PointScore]) -> tuple[GroupOfCard, ...]:
    found = []
    for path in framework.groups:
        inside = [one.points for one in scored if one.indicator.path[: len(path)] == path]
        total = sum(one.path[: len(path)] == path for one, _ in framework.points())
        found.append(GroupOfCard(path, scoring.score(inside), total))
    return tuple(found)


def _basis(row: Reported) -> Basis:
    try:
        since, until = bounds_of(row.period, UTC, row.place)
    except BadInput:
        return Basis(row.denominator)
    return Basis(row.denominator, since, until)
