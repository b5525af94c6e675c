"""Scores as U4SSC works them out: points for each data point, shares of the points for groups. Pure.

Verification reports of several cities print the rule in the same words: performance against the benchmark of
0-33 % gives 1 point, 33-66 % 2, 66-95 % 3, 95 % and more 4; a group has the share of its points in the
greatest number they could be; what is not reported or has no benchmark is left out. On which side an edge
lies is not printed: here it belongs to the upper band.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from cityloom.indicators.model import Benchmark, Rule

#: Lower edges of the bands for 1, 2, 3 and 4 points, in percent.
BANDS = (0.0, 33.0, 66.0, 95.0)
MOST_POINTS = len(BANDS)
#: What Smart Data Models calls a standing, for 1 to 4 points.
STANDINGS = ("bad", "fair", "good", "veryGood")


class Score(msgspec.Struct, frozen=True):
    """The score of a group."""

    #: Data points that were scored.
    scored: int
    points: int
    #: 25 to 100; None when nothing was scored.
    percent: float | None
    #: 1 to 4 as for a single data point; None when nothing was scored.
    band: int | None


def percent_of_target(value: float | bool, benchmark: Benchmark) -> float | None:
    """How much of the target is reached, 0 to 100; None without a benchmark."""
    number = float(value)
    target, worst = benchmark.target, benchmark.worst
    match benchmark.rule:
        case Rule.BOOLEAN:
            return 100.0 if value else 0.0
        case Rule.RATIO_UP if target is not None:
            return _clipped(100.0 * number / target)
        case Rule.RATIO_DOWN if target is not None:
            return 100.0 if number <= 0 else _clipped(100.0 * target / number)
        case Rule.GOALPOST if target is not None and worst is not None:
            return _clipped(100.0 * (worst - number) / (worst - target))
        case Rule.PARITY:
            return 0.0 if number <= 0 else _clipped(100.0 * min(number, 1.0 / number))
        case _:
            return None


def points_of(percent: float) -> int:
    """1 to 4 points for a percentage of the target."""
    return sum(percent >= edge for edge in BANDS[1:]) + 1


def score(points: Iterable[int]) -> Score:
    """The score of a group from the points of its data points."""
    every = list(points)
    if not every:
        return Score(0, 0, None, None)
    percent = 100.0 * sum(every) / (MOST_POINTS * len(every))
    return Score(len(every), sum(every), percent, points_of(percent))


def standing(points: int) -> str:
    """The standing in Smart Data Models' words."""
    return STANDINGS[points - 1]


def _clipped(percent: float) -> float:
    return min(100.0, max(0.0, percent))
