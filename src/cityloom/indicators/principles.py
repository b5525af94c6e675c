"""The six principles by which indicators are chosen, rated for each by what is known of it. Pure.

ITU's focus group names them: comprehensiveness, comparability, availability, independence, simplicity and
timeliness. The first is one of the whole set; the others are rated indicator by indicator, 2 (kept), 1 (in
part), 0 (not), or not at all where nothing tells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec
import numpy as np
from numpy.typing import NDArray

from cityloom.indicators.framework import Framework
from cityloom.indicators.summaries import FrameworkReport, IndicatorSummary

#: From this correlation on two indicators tell the same, if so many periods of both are known.
ALIKE, FEWEST_PERIODS = 0.9, 8
#: The period of a value ended at most so long ago for it to be timely, and in part so.
_TIMELY, _STALE = timedelta(days=500), timedelta(days=1100)
#: Coverage of automatic values from which they are there as they should be.
_COVERED = 0.9


class Principle(StrEnum):
    """What a good set of indicators keeps to."""

    COMPREHENSIVENESS = "comprehensiveness"
    COMPARABILITY = "comparability"
    AVAILABILITY = "availability"
    INDEPENDENCE = "independence"
    SIMPLICITY = "simplicity"
    TIMELINESS = "timeliness"


class Rating(msgspec.Struct, frozen=True):
    """How far an indicator keeps to the principles: 2, 1, 0, or None where nothing tells."""

    indicator: IndicatorSummary
    ratings: Mapping[Principle, int | None]
    #: Indicators that move as this one does, with the correlation.
    alike: tuple[tuple[str, float], ...]


class Rated(msgspec.Struct, frozen=True):
    """A framework by the principles."""

    ratings: tuple[Rating, ...]
    #: Groups of which nothing is reported, of all that have indicators: what the set does not see.
    unseen: tuple[str, ...]
    groups: int
    #: Pairs of indicators of which enough periods are known to be compared.
    compared: int

    def mean(self, principle: Principle) -> float | None:
        """The mean rating, 0 to 2."""
        if principle is Principle.COMPREHENSIVENESS:
            return None if not self.groups else 2 * (1 - len(self.unseen) / self.groups)
        found = [rated for one in self.ratings if (rated := one.ratings[principle]) is not None]
        return sum(found) / len(found) if found else None


def rate(report: FrameworkReport, series: Mapping[str, Mapping[int, float]], now: datetime) -> Rated:
    """Rate a framework. `series` are the values of its data points by id and year."""
    alike, compared = _alike(series, [one.id for one in report.indicators])
    groups: dict[str, bool] = {}
    for one in report.indicators:
        path = "/".join(one.groups[-1].path) if one.groups else ""
        groups[path] = groups.get(path, False) or one.is_reported
    ratings = tuple(
        Rating(
            one,
            {
                Principle.COMPARABILITY: _comparability(report.framework, one),
                Principle.AVAILABILITY: _availability(one),
                Principle.INDEPENDENCE: _independence(one, series, alike),
                Principle.SIMPLICITY: _simplicity(one),
                Principle.TIMELINESS: _timeliness(one, now),
            },
            tuple(alike.get(one.id, ())),
        )
        for one in report.indicators
    )
    return Rated(ratings, tuple(path for path, seen in groups.items() if not seen), len(groups), compared)


def _comparability(framework: Framework, one: IndicatorSummary) -> int:
    """A definition and a unit make a value comparable over time; a share or the like also between cities."""
    if not one.definition or not (one.unit or one.is_yes_or_no):
        return 0
    shared = (one.code, one.point) in framework.same_as
    relative = bool(one.denominator_text) or "%" in one.unit or "per " in one.unit or one.is_yes_or_no
    return 2 if relative or shared else 1


def _availability(one: IndicatorSummary) -> int:
    if not one.is_reported:
        return 1 if one.is_bound and one.provisional is not None else 0
    if one.method == "automatic":
        return 2 if one.coverage is None or one.coverage >= _COVERED else 1
    return 2 if one.verified else 1


def _independence(
    one: IndicatorSummary,
    series: Mapping[str, Mapping[int, float]],
    alike: Mapping[str, Sequence[tuple[str, float]]],
) -> int | None:
    if len(series.get(one.id, ())) < FEWEST_PERIODS:
        return None
    return 0 if one.id in alike else 2


def _simplicity(one: IndicatorSummary) -> int | None:
    """One number over another is simple; what has no formula in hand cannot be told."""
    if one.is_yes_or_no:
        return 2
    if not one.numerator_text:
        return None
    formula = f"{one.numerator_text} {one.denominator_text}"
    return 2 if len(formula.split()) <= 20 else 1


def _timeliness(one: IndicatorSummary, now: datetime) -> int | None:
    if one.until is None or not one.is_reported:
        return None
    age = now - one.until
    return 2 if age <= _TIMELY else 1 if age <= _STALE else 0


def _alike(
    series: Mapping[str, Mapping[int, float]], ids: Sequence[str]
) -> tuple[dict[str, list[tuple[str, float]]], int]:
    """For each indicator those that move as it does, the strongest first; how many pairs were compared.

    The changes from year to year are held against each other: two things that both grow are not yet one.
    """
    names = [name for name in ids if len(series.get(name, ())) >= FEWEST_PERIODS]
    if len(names) < 2:
        return {}, 0
    years = sorted({year for name in names for year in series[name]})
    values = np.array([[series[name].get(year, np.nan) for year in years] for name in names])
    changes = np.diff(values, axis=1)
    known = (~np.isnan(changes)).astype(float)
    changes = np.nan_to_num(changes)
    both = known @ known.T
    strengths = _correlations(changes, known, both)
    first, second = np.nonzero(np.triu(both >= FEWEST_PERIODS - 1, k=1))
    found: dict[str, list[tuple[str, float]]] = {}
    for one, other in zip(first.tolist(), second.tolist(), strict=True):
        strength = float(strengths[one, other])
        if abs(strength) >= ALIKE:
            found.setdefault(names[one], []).append((names[other], strength))
            found.setdefault(names[other], []).append((names[one], strength))
    for pairs in found.values():
        pairs.sort(key=lambda pair: -abs(pair[1]))
    return found, len(first)


def _correlations(
    changes: NDArray[np.float64], known: NDArray[np.float64], both: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Of each pair over what is known of both; 0 where one of them never changes its pace."""
    counts = np.maximum(both, 1.0)
    sums, squares = changes @ known.T, (changes**2) @ known.T
    shared = changes @ changes.T - sums * sums.T / counts
    spread = squares - sums**2 / counts
    power = np.sqrt(np.maximum(spread * spread.T, 0.0))
    return np.where(power > 1e-12, shared / np.maximum(power, 1e-300), 0.0)
