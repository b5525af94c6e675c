"""Diagrams of who deals with whom, and who enables what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cityloom.planning.stakeholders import words
from cityloom.planning.stakeholders.interaction import SEVERAL, Relation, Scene, scene
from cityloom.planning.stakeholders.model import Stakeholder
from cityloom.web.drawing.stakeholders.classification import draw_classification
from cityloom.web.drawing.stakeholders.interaction import Edge, Node, draw_interaction
from cityloom.web.pages.planning.naming import offered, projects
from cityloom.web.pages.planning.stakeholder_diagram import Choice, Diagram
from cityloom.web.pages.planning.stakeholder_words import (
    all_said,
    name_of,
    page_of,
    said,
)
from cityloom.web.pages.planning.stakeholders import register
from cityloom.web.visit import Visit


def interaction_map(visit: Visit) -> Diagram:
    """How stakeholders deal with each other: all, one category, or around one of them."""
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


def classification(visit: Visit) -> Diagram:
    """Who enables and who drives, by the roles they have in projects."""
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
