"""How stakeholders stand to the city: engagement, power and interest, as contacts change them. Pure.

ITU-T Y Suppl. 34, clause 4.2: five levels of engagement, and the grid of power and interest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from enum import StrEnum

import msgspec

from cityloom.kernel.worded import Worded

#: Power and interest go from 1 to this.
MOST = 10
#: From here on they are high.
HIGH_FROM = 6


class Level(StrEnum):
    """How far somebody is engaged, in the order of the source."""

    UNAWARE = "unaware"
    RESISTANT = "resistant"
    NEUTRAL = "neutral"
    SUPPORTIVE = "supportive"
    LEADING = "leading"


class Quadrant(StrEnum):
    """A field of the grid, named by what is done there."""

    MANAGE_CLOSELY = "manage_closely"
    KEEP_SATISFIED = "keep_satisfied"
    KEEP_INFORMED = "keep_informed"
    MONITOR = "monitor"


#: What is done in a field of the grid, where nothing else was agreed for a stakeholder.
STRATEGIES: Mapping[Quadrant, Worded] = {
    Quadrant.MANAGE_CLOSELY: Worded("Work together closely: involve them in decisions, and meet often."),
    Quadrant.KEEP_SATISFIED: Worded("Keep satisfied: ask before decisions that touch them, without excess."),
    Quadrant.KEEP_INFORMED: Worded("Keep informed: tell them regularly, and use what they know."),
    Quadrant.MONITOR: Worded("Watch: tell the main things, and notice when they move."),
}


class Appraisal(msgspec.Struct, frozen=True):
    """What was judged on a day; what is None or "" stays as it was."""

    on: date
    level: str = ""
    power: float | None = None
    interest: float | None = None
    #: The id of the contact that it came of, "" for the first appraisal.
    contact: str = ""


class Moment(msgspec.Struct, frozen=True):
    """How somebody stood from a day on."""

    on: date
    level: str
    power: float | None
    interest: float | None
    contact: str


class Standing(msgspec.Struct, frozen=True):
    """How somebody stands, and how that came about: a moment for each change, the oldest first."""

    level: str = ""
    power: float | None = None
    interest: float | None = None
    course: tuple[Moment, ...] = ()

    @property
    def quadrant(self) -> Quadrant | None:
        """The field of the grid; None while power or interest are not judged."""
        return quadrant(self.power, self.interest)


def standing(appraisals: Iterable[Appraisal]) -> Standing:
    """How somebody stands after all that was judged, whatever the order it was written down in."""
    level, power, interest = "", None, None
    course: list[Moment] = []
    for one in sorted(appraisals, key=lambda appraisal: appraisal.on):
        before = (level, power, interest)
        level = one.level or level
        power = power if one.power is None else one.power
        interest = interest if one.interest is None else one.interest
        if (level, power, interest) != before:
            course.append(Moment(one.on, level, power, interest, one.contact))
    return Standing(level, power, interest, tuple(course))


def quadrant(power: float | None, interest: float | None, *, high_from: float = HIGH_FROM) -> Quadrant | None:
    """The field of the grid for a power and an interest from 1 to 10."""
    if power is None or interest is None:
        return None
    if power >= high_from:
        return Quadrant.MANAGE_CLOSELY if interest >= high_from else Quadrant.KEEP_SATISFIED
    return Quadrant.KEEP_INFORMED if interest >= high_from else Quadrant.MONITOR


class Count(msgspec.Struct, frozen=True):
    """How many stood at each level on a day."""

    on: date
    levels: Mapping[str, int]


def trend(courses: Sequence[Standing], *, most: int = 60) -> Sequence[Count]:
    """How many stood at each level, for each day on which one moved: the last `most` of them.

    Who was not yet appraised on a day is not counted on it.
    """
    moves: dict[date, list[tuple[int, str]]] = {}
    for number, one in enumerate(courses):
        for moment in one.course:
            moves.setdefault(moment.on, []).append((number, moment.level))
    present: dict[int, str] = {}
    counts = []
    for on in sorted(moves):
        present.update(dict(moves[on]))
        levels = Counter(level for level in present.values() if level)
        counts.append(Count(on, {level.value: levels[level.value] for level in Level}))
    return counts[-most:]


def has_reached(level: str, target: str) -> bool:
    """Whether a level is the target or beyond it."""
    order = list(Level)
    return bool(level and target) and order.index(Level(level)) >= order.index(Level(target))
