"""Diagrams of stakeholders, each with a table that says the same; as SVG, CSV and JSON as well."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.responses import Response

from cityloom.kernel.errors import NotFound
from cityloom.web.pages.planning.stakeholder_diagram import Diagram
from cityloom.web.pages.planning.stakeholder_relations import classification, interaction_map
from cityloom.web.pages.planning.stakeholder_standing import grid, onion, trend_over_time
from cityloom.web.pages.planning.stakeholder_words import (
    may_see_standing,
    staff_only,
)
from cityloom.web.pages.routing import Pages
from cityloom.web.taken_along import csv_file, file_to_keep
from cityloom.web.visit import Visit

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


_MAKERS: Mapping[str, Maker] = {
    "map": interaction_map,
    "classification": classification,
    "onion": onion,
    "grid": grid,
    "trend": trend_over_time,
}
#: How somebody stands is internal.
_FOR_STAFF = frozenset({"onion", "grid", "trend"})
