"""Diagrams of stakeholders, each with a table that says the same; as SVG, CSV and JSON as well."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
from starlette.responses import Response

from cityloom.kernel.errors import NotFound
from cityloom.planning.stakeholders import words
from cityloom.planning.stakeholders.engagement import Moment, Quadrant, trend
from cityloom.planning.stakeholders.interaction import SEVERAL, Relation, Scene, scene
from cityloom.planning.stakeholders.model import Involvement, Stakeholder
from cityloom.web.drawing.stakeholders.classification import draw_classification
from cityloom.web.drawing.stakeholders.grid import GridWords, Placed, draw_grid
from cityloom.web.drawing.stakeholders.interaction import Edge, Node, draw_interaction
from cityloom.web.drawing.stakeholders.onion import Ring, draw_onion
from cityloom.web.drawing.stakeholders.trend import draw_trend
from cityloom.web.drawing.svg import Drawing
from cityloom.web.pages.planning.naming import offered, projects
from cityloom.web.pages.planning.stakeholder_words import (
    all_said,
    may_see_standing,
    name_of,
    page_of,
    points,
    said,
    staff_only,
)
from cityloom.web.pages.planning.stakeholders import register, strategy_of
from cityloom.web.pages.routing import Pages
from cityloom.web.taken_along import csv_file, file_to_keep
from cityloom.web.visit import Visit

#: Days of the trend that are drawn.
MOST_DAYS = 16


class Choice(msgspec.Struct, frozen=True):
    """What a diagram can be narrowed to: a field of its form."""

    name: str
    label: str
    chosen: str
    choices: Sequence[tuple[str, str]]
    blank: str


class Diagram(msgspec.Struct, frozen=True):
    """A diagram and the table that says the same. `paths` lead from each row to a page, "" to none."""

    title: str
    about: str
    drawing: Drawing
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    paths: Sequence[str]
    choices: Sequence[Choice] = ()
    notes: Sequence[str] = ()


Maker = Callable[[Visit], Diagram]


def add(pages: Pages) -> None:
    pages.data("/plan/stakeholders/diagrams/{which}.svg", picture)
    pages.data("/plan/stakeholders/diagrams/{which}.csv", table)
    pages.get("/plan/stakeholders/diagrams/{which}", show)


async def show(visit: Visit) -> Response:
    """A diagram: map, onion, grid, classification or trend."""
    which, made = _made(visit)
    query = visit.request.url.query
    return visit.render(
        "plan-stakeholder-diagram.html",
        {"title": made.title, "columns": made.columns, "rows": made.rows},
        made=made,
        here=f"/plan/stakeholders/diagrams/{which}",
        query=f"?{query}" if query else "",
        others=_offered(visit),
        which=which,
    )


async def picture(visit: Visit) -> Response:
    """The diagram alone, as a file."""
    which, made = _made(visit)
    return file_to_keep(visit, f"stakeholders-{which}", "svg", str(made.drawing.svg), "image/svg+xml")


async def table(visit: Visit) -> Response:
    """What the diagram says, as CSV."""
    which, made = _made(visit)
    return csv_file(visit, f"stakeholders-{which}", [made.columns, *made.rows])


def _made(visit: Visit) -> tuple[str, Diagram]:
    which = visit.part("which")
    if which not in _MAKERS:
        raise NotFound("There is no such diagram", hint="See the stakeholders.")
    if which in _FOR_STAFF:
        staff_only(visit)
    return which, _MAKERS[which](visit)


def _offered(visit: Visit) -> list[tuple[str, str]]:
    """The diagrams that the reader may see: name and title."""
    inside = may_see_standing(visit)
    return [(name, title) for name, title in _titles(visit).items() if inside or name not in _FOR_STAFF]


def _titles(visit: Visit) -> dict[str, str]:
    return {
        "map": visit.gettext("Interaction map"),
        "classification": visit.gettext("Classification"),
        "onion": visit.gettext("Onion diagram"),
        "grid": visit.gettext("Power and interest"),
        "trend": visit.gettext("Engagement over time"),
    }


# -- the map ---------------------------------------------------------------------------------------------


def _map(visit: Visit) -> Diagram:
    found = register(visit).all(visit.actor)
    relations = register(visit).relations(visit.actor)
    chosen, around = visit.query("category"), visit.query("stakeholder")
    drawn = scene({one.id: one.category for one in found}, relations, chosen=chosen, around=around)
    names = {one.id: name_of(visit, one) for one in found}
    kinds = all_said(visit, words.RELATIONS) | {SEVERAL: visit.gettext("In several ways")}
    shown = names | {
        group: f"{said(visit, words.CATEGORIES, group)} ({count})" for group, count in drawn.groups.items()
    }
    nodes = [Node(one, names[one]) for one in drawn.people]
    nodes += [Node(group, shown[group], is_group=True) for group in drawn.groups]
    edges = [Edge(one.source, one.target, one.kind, one.both_ways, one.strength) for one in drawn.relations]
    title = visit.gettext(
        "Interaction map: %(count)s stakeholders, %(relations)s relations.",
        count=len(found),
        relations=len(relations),
    )
    return Diagram(
        visit.gettext("Interaction map"),
        visit.gettext("How stakeholders deal with each other. A thicker line is a stronger relation."),
        draw_interaction(nodes, edges, kinds, title),
        [
            visit.gettext("From"),
            visit.gettext("Relation"),
            visit.gettext("To"),
            visit.gettext("Direction"),
            visit.gettext("Strength"),
        ],
        [_relation_row(visit, one, shown, kinds) for one in drawn.relations],
        [page_of(one.source) if one.source in names else "" for one in drawn.relations],
        (
            Choice(
                "category",
                visit.gettext("Show one by one"),
                chosen,
                list(all_said(visit, words.CATEGORIES).items()),
                visit.gettext("all, in groups where they are many"),
            ),
            Choice(
                "stakeholder",
                visit.gettext("Around one stakeholder"),
                around,
                list(names.items()),
                visit.gettext("nobody in particular"),
            ),
        ),
        _map_notes(visit, drawn),
    )


def _relation_row(
    visit: Visit, one: Relation, shown: Mapping[str, str], kinds: Mapping[str, str]
) -> list[str]:
    direction = "both" if one.both_ways else "one"
    return [
        shown.get(one.source, one.source),
        kinds.get(one.kind, one.kind),
        shown.get(one.target, one.target),
        said(visit, words.DIRECTIONS, direction),
        said(visit, words.STRENGTHS, str(one.strength)),
    ]


def _map_notes(visit: Visit, drawn: Scene) -> list[str]:
    notes = []
    if drawn.groups:
        notes.append(visit.gettext("They are many: they stand together by category, with their number."))
    if drawn.left_out:
        notes.append(visit.gettext("%(count)s with fewer relations find no room.", count=drawn.left_out))
    return notes


# -- the onion -------------------------------------------------------------------------------------------


def _onion(visit: Visit) -> Diagram:
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


# -- the grid --------------------------------------------------------------------------------------------


def _grid(visit: Visit) -> Diagram:
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


# -- the classification ------------------------------------------------------------------------------------


def _classification(visit: Visit) -> Diagram:
    found = register(visit).all(visit.actor)
    project = visit.query("project")
    numbers = {one.id: number for number, one in enumerate(found, 1)}
    rows = all_said(visit, words.ROLES) | {"": visit.gettext("No role yet")}
    columns = all_said(visit, words.ENABLING) | {"": visit.gettext("Not said yet")}
    cells: dict[tuple[str, str], list[tuple[int, str]]] = {}
    table: list[list[str]] = []
    for one in found:
        held = ([one.role_in(project)] if project else list(one.roles_now)) or [""]
        for role in held:
            for column in one.enabling or ("",):
                cells.setdefault((role, column), []).append((numbers[one.id], name_of(visit, one)))
        table.append(
            [
                str(numbers[one.id]),
                name_of(visit, one),
                ", ".join(rows.get(role, role) for role in held),
                ", ".join(columns[column] for column in one.enabling or ("",)),
            ]
        )
    shown_rows = {key: name for key, name in rows.items() if key or any(row == "" for row, _ in cells)}
    shown = {key: name for key, name in columns.items() if key or any(column == "" for _, column in cells)}
    title = visit.gettext("Classification of %(count)s stakeholders.", count=len(found))
    return Diagram(
        visit.gettext("Classification"),
        visit.gettext("Who enables and who drives, by the role they have in projects."),
        draw_classification(shown_rows, shown, cells, title),
        [
            visit.gettext("No."),
            visit.gettext("Stakeholder"),
            visit.gettext("Role"),
            visit.gettext("What it enables or drives"),
        ],
        table,
        [page_of(one.id) for one in found],
        (
            Choice(
                "project",
                visit.gettext("Project"),
                project,
                _projects(visit, found),
                visit.gettext("all projects together"),
            ),
        ),
    )


def _projects(visit: Visit, found: Sequence[Stakeholder]) -> list[tuple[str, str]]:
    """The goals and initiatives in which somebody has a role, by name."""
    held = {role.project for one in found for role in one.roles}
    return offered(projects(visit), held)[0]


# -- the trend -------------------------------------------------------------------------------------------


def _trend(visit: Visit) -> Diagram:
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


_MAKERS: Mapping[str, Maker] = {
    "map": _map,
    "classification": _classification,
    "onion": _onion,
    "grid": _grid,
    "trend": _trend,
}
#: How somebody stands is internal.
_FOR_STAFF = frozenset({"onion", "grid", "trend"})
