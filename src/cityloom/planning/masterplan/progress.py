"""How an indicator stands between its baseline and its target, by the day it is due. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum

from cityloom.kernel.worded import Worded


class Verdict(StrEnum):
    """How a promise stands."""

    REACHED = "reached"
    ON_THE_WAY = "onTheWay"
    BEHIND = "behind"
    WRONG_WAY = "wrongWay"
    MISSED = "missed"
    #: There is no value since the beginning, or no target.
    UNKNOWN = "unknown"


WORDS: Mapping[str, str] = {
    Verdict.REACHED: Worded("reached"),
    Verdict.ON_THE_WAY: Worded("on the way"),
    Verdict.BEHIND: Worded("behind"),
    Verdict.WRONG_WAY: Worded("going the wrong way"),
    Verdict.MISSED: Worded("missed"),
    Verdict.UNKNOWN: Worded("cannot be told yet"),
}
#: Which level a verdict is shown as.
LEVELS: Mapping[str, str] = {
    Verdict.REACHED: "good",
    Verdict.ON_THE_WAY: "good",
    Verdict.BEHIND: "fair",
    Verdict.WRONG_WAY: "bad",
    Verdict.MISSED: "bad",
    Verdict.UNKNOWN: "none",
}
#: Somebody is behind who has gone less than this share of the way that the time gone by would ask for.
KEEPING_PACE = 0.8


def share_of_way(baseline: float, now: float, target: float) -> float | None:
    """How much of the way from baseline to target is gone: 0 to 1 and beyond; None where there is no way."""
    return None if target == baseline else (now - baseline) / (target - baseline)


def verdict(
    baseline: float | None,
    now: float | None,
    target: float | None,
    *,
    since: date | None,
    due: date,
    today: date,
) -> Verdict:
    """How the indicator stands today. `since` is the day from which the way counts, None before it begins."""
    if baseline is None or now is None or target is None:
        return Verdict.UNKNOWN
    way = share_of_way(baseline, now, target)
    if way is None or since is None or today < since:
        return Verdict.UNKNOWN
    if way >= 1:
        return Verdict.REACHED
    if today > due:
        return Verdict.MISSED
    if way < 0:
        return Verdict.WRONG_WAY
    gone = (today - since).days / max((due - since).days, 1)
    return Verdict.ON_THE_WAY if way >= KEEPING_PACE * gone else Verdict.BEHIND


def worst(verdicts: list[Verdict]) -> Verdict:
    """The verdict of what has several: the worst that can be told."""
    order = (Verdict.MISSED, Verdict.WRONG_WAY, Verdict.BEHIND, Verdict.ON_THE_WAY, Verdict.REACHED)
    return next((one for one in order if one in verdicts), Verdict.UNKNOWN)
