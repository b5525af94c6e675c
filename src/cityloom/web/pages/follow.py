"""How do we know? The tree back to the readings, and the one forward to what rests on them."""

from __future__ import annotations

from starlette.responses import Response

from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit


def add(pages: Pages) -> None:
    pages.get("/follow/{id:path}", show)


async def show(visit: Visit) -> Response:
    """Both trees of one Entity."""
    entity_id, language = visit.part("id"), visit.language.code
    lineage = visit.rooms.lineage
    back = await lineage.back(visit.actor, entity_id, language=language)
    forward = await lineage.forward(visit.actor, entity_id, language=language)
    return visit.render("follow.html", {"id": entity_id, "back": back, "forward": forward})
