"""Indicators by the Sustainable Development Goals that they speak to. Pure.

An indicator names targets or indicators of the goals ("17.8.1; 5.b"). One that names none speaks to those of
the same quantity in another framework, where a table says that it is the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

import msgspec

from cityloom.indicators.framework import Framework
from cityloom.indicators.summaries import FrameworkReport, IndicatorSummary

GOALS = range(1, 18)
_CODE = re.compile(r"(?<![\d.])(1[0-7]|[1-9])\.([0-9]{1,2}|[a-d])(?:\.[0-9]{1,2})?")


class GoalReport(msgspec.Struct, frozen=True):
    """A goal with the indicators that speak to it."""

    goal: int
    #: By target ("11.2"), each data point once, in the order of the frameworks.
    by_target: Mapping[str, tuple[IndicatorSummary, ...]]

    @property
    def indicators(self) -> list[IndicatorSummary]:
        """Each data point once; a quantity that several frameworks ask for counts where its value stands."""
        every = {one.id: one for found in self.by_target.values() for one in found}
        return [one for one in every.values() if one.answered_by is None]

    @property
    def reported(self) -> int:
        return sum(one.is_reported for one in self.indicators)

    @property
    def verified(self) -> int:
        return sum(one.verified for one in self.indicators)

    @property
    def percent(self) -> float | None:
        """The mean share of the targets that is reached, 0 to 100; None where nothing has a benchmark."""
        found = [one.percent_of_target for one in self.indicators if one.percent_of_target is not None]
        return fmean(found) if found else None


def targets_in(said: str) -> tuple[str, ...]:
    """The targets that a text names: "17.8.1; 5.b; 9.c" names 17.8, 5.b and 9.c."""
    return tuple(dict.fromkeys(f"{goal}.{target}" for goal, target in _CODE.findall(said)))


def by_goal(reports: Sequence[FrameworkReport]) -> list[GoalReport]:
    """All 17 goals, those of which nothing speaks too."""
    named = _named([one.framework for one in reports])
    found: dict[int, dict[str, list[IndicatorSummary]]] = {goal: {} for goal in GOALS}
    for report in reports:
        for one in report.indicators:
            for target in named.get((one.framework, one.code), ()):
                found[int(target.partition(".")[0])].setdefault(target, []).append(one)
    return [
        GoalReport(goal, {target: tuple(found[goal][target]) for target in sorted(found[goal], key=_order)})
        for goal in GOALS
    ]


class Alignment(msgspec.Struct, frozen=True):
    """How many indicators of a framework name a target, of how many."""

    framework: str
    named: int
    total: int


def alignment(reports: Sequence[FrameworkReport]) -> list[Alignment]:
    """By framework; one that answers in another's place counts as that one does."""
    named = _named([one.framework for one in reports])
    return [
        Alignment(
            report.framework.id,
            sum(bool(named.get((report.framework.id, one.code))) for one in report.framework.indicators),
            len(report.framework.indicators),
        )
        for report in reports
    ]


def _named(frameworks: Iterable[Framework]) -> dict[tuple[str, str], tuple[str, ...]]:
    """The targets of each indicator, by framework and code."""
    every = list(frameworks)
    own = {(one.id, each.code): targets_in(each.sdg) for one in every for each in one.indicators}
    lent = {}
    for one in every:
        for (code, _), others in one.same_as.items():
            if not own.get((one.id, code)):
                borrowed = (own.get((other.framework, other.code), ()) for other in others)
                lent[one.id, code] = next((found for found in borrowed if found), ())
    return own | {key: found for key, found in lent.items() if found}


def _order(target: str) -> tuple[bool, int, str]:
    part = target.partition(".")[2]
    return (not part.isdigit(), int(part) if part.isdigit() else 0, part)
