"""Diagrams of how stakeholders stand, which are internal: onion, power and interest, engagement over time."""

from __future__ import annotations

from collections.abc import Mapping

from cityloom.planning.stakeholders import words
from cityloom.planning.stakeholders.engagement import Moment, Quadrant, trend
from cityloom.planning.stakeholders.model import Involvement, Stakeholder
from cityloom.web.drawing.stakeholders.grid import GridWords, Placed, draw_grid
from cityloom.web.drawing.stakeholders.onion import Ring, draw_onion
from cityloom.web.drawing.stakeholders.trend import draw_trend
from cityloom.web.pages.planning.stakeholder_diagram import Diagram
from cityloom.web.pages.planning.stakeholder_words import (
    all_said,
    name_of,
    page_of,
    points,
    said,
)
from cityloom.web.pages.planning.stakeholders import register, strategy_of
from cityloom.web.visit import Visit

#: Days of the trend that are drawn.
MOST_DAYS = 16


def onion(visit: Visit) -> Diagram:
    """How far each is involved, from the core to the rim."""
    found = register(visit).all(visit.actor)
    numbers = {one.id: number for number, one in enumerate(found, 1)}
    rings, rows, paths = [], [], []
    for ring in Involvement:
        inside = [one for one in found if one.involvement == ring]
        name = said(visit, words.INVOLVEMENT, ring.value)
        rings.append(Ring(name, [(numbers[one.id], name_of(visit, one)) for one in inside]))
        rows += [[str(numbers[one.id]), name_of(visit, one), name, _category(visit, one)] for one in inside]
        paths += [page_of(one.id) for one in inside]
    without = sum(not one.involvement for one in found)
    counted = ", ".join(f"{one.name}: {len(one.members)}" for one in rings)
    note = visit.gettext("Of %(count)s it is not said yet how far they are involved.", count=without)
    return Diagram(
        visit.gettext("Onion diagram"),
        visit.gettext("From the most involved at the core to the passive at the rim."),
        draw_onion(rings, f"{visit.gettext('Onion diagram')}: {counted}."),
        [
            visit.gettext("No."),
            visit.gettext("Stakeholder"),
            visit.gettext("Involvement"),
            visit.gettext("Category"),
        ],
        rows,
        paths,
        notes=[note] if without else [],
    )


def grid(visit: Visit) -> Diagram:
    """What each can move, and wants to."""
    every = register(visit).all(visit.actor)
    found = [one for one in every if one.standing.quadrant is not None]
    placed = [
        Placed(number, name_of(visit, one), one.standing.power or 0, one.standing.interest or 0, _was(one))
        for number, one in enumerate(found, 1)
    ]
    quadrants = {one: visit.language.say(name) for one, name in words.QUADRANTS.items()}
    counted = ", ".join(
        f"{name}: {sum(one.standing.quadrant == which for one in found)}" for which, name in quadrants.items()
    )
    say = GridWords(
        f"{visit.gettext('Power and interest')}: {counted}.",
        visit.gettext("Power"),
        visit.gettext("Interest"),
        visit.gettext("low"),
        visit.gettext("high"),
        quadrants,
    )
    note = visit.gettext("Of %(count)s power or interest are not judged yet.", count=len(every) - len(found))
    return Diagram(
        visit.gettext("Power and interest"),
        visit.gettext("Who can move much, and wants to. A dashed line leads back to where somebody was."),
        draw_grid(placed, say),
        [
            visit.gettext("No."),
            visit.gettext("Stakeholder"),
            visit.gettext("Power"),
            visit.gettext("Interest"),
            visit.gettext("Field"),
            visit.gettext("Strategy"),
            visit.gettext("Moved"),
        ],
        [_grid_row(visit, number, one, quadrants) for number, one in enumerate(found, 1)],
        [page_of(one.id) for one in found],
        notes=[note] if len(every) > len(found) else [],
    )


def _grid_row(visit: Visit, number: int, one: Stakeholder, quadrants: Mapping[Quadrant, str]) -> list[str]:
    stands = one.standing
    return [
        str(number),
        name_of(visit, one),
        points(stands.power),
        points(stands.interest),
        quadrants[stands.quadrant] if stands.quadrant else "",
        strategy_of(visit, one),
        "; ".join(_moved(visit, moment) for moment in _moves(one)),
    ]


def _moves(one: Stakeholder) -> list[Moment]:
    """The moments at which power or interest were others than now, the last first."""
    now = (one.standing.power, one.standing.interest)
    complete = [each for each in one.standing.course if each.power is not None and each.interest is not None]
    before = [each for each in complete if (each.power, each.interest) != now]
    return before[::-1]


def _moved(visit: Visit, moment: Moment) -> str:
    return visit.gettext(
        "power %(power)s, interest %(interest)s from %(day)s",
        power=points(moment.power),
        interest=points(moment.interest),
        day=_day(visit, moment),
    )


def _day(visit: Visit, moment: Moment) -> str:
    return visit.wording.day(moment.on.isoformat()) if moment.on.year > 1 else visit.gettext("the beginning")


def _was(one: Stakeholder) -> tuple[float, float] | None:
    moves = _moves(one)
    return (moves[0].power or 0, moves[0].interest or 0) if moves else None


def trend_over_time(visit: Visit) -> Diagram:
    """How many stood at each level, day by day."""
    found = register(visit).all(visit.actor)
    counts = [one for one in trend([each.standing for each in found]) if one.on.year > 1]
    names = all_said(visit, words.LEVELS)
    title = visit.gettext("How many stood at each level, on each day on which one moved.")
    if counts:
        last = ", ".join(f"{names[key]} {count}" for key, count in counts[-1].levels.items())
        title = f"{title} {last}."
    return Diagram(
        visit.gettext("Engagement over time"),
        visit.gettext("Each column is a day on which somebody moved. The last of them are drawn."),
        draw_trend(counts[-MOST_DAYS:], names, title, visit.wording),
        [visit.gettext("Day"), *names.values()],
        [
            [visit.wording.day(one.on.isoformat()), *(str(count) for count in one.levels.values())]
            for one in counts
        ],
        ["" for _ in counts],
    )


def _category(visit: Visit, one: Stakeholder) -> str:
    return said(visit, words.CATEGORIES, one.category)
