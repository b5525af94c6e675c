"""The first page, by role: what happens now (operators), what was promised (planners), what concerns me
(everybody)."""

from __future__ import annotations

from starlette.responses import Response

from cityloom.kernel.actor import Actor
from cityloom.web.languages import noted as n
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit

VIEWS = {"citizen": n("For everybody"), "operator": n("For operators"), "planner": n("For planners")}
#: Lines of a list on the first page.
FEW = 6


def add(pages: Pages) -> None:
    pages.get("/", show)
    pages.data("/home.json", show)


async def show(visit: Visit) -> Response:
    """The view of the reader's role; any other can be chosen."""
    wanted = visit.query("view")
    view = wanted if wanted in VIEWS else view_of(visit.actor)
    return visit.render(f"home-{view}.html", {"view": view}, views=VIEWS)


def view_of(actor: Actor) -> str:
    """The view somebody's roles suggest."""
    if actor.may("initiatives:edit") and not actor.may("alerts:handle"):
        return "planner"
    if actor.may("alerts:handle") or actor.may("devices:admit"):
        return "operator"
    return "planner" if actor.may("indicators:verify") else "citizen"
