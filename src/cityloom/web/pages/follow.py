"""How do we know? The tree back to the readings, and the one forward to what rests on them."""

from __future__ import annotations

from functools import partial

from starlette.responses import Response

from cityloom.kernel.actor import CITY, InformationClass
from cityloom.kernel.errors import NotFound
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
    data = {"id": entity_id, "back": back, "forward": forward}
    return visit.render("follow.html", data, for_staff=partial(_is_for_staff, visit))


def _is_for_staff(visit: Visit, entity_id: str) -> bool:
    """Whether signing in shows what is named here. Of what is kept for security nothing is said."""
    try:
        return (
            not visit.signed_in and visit.rooms.broker.class_of(CITY, entity_id) is InformationClass.INTERNAL
        )
    except NotFound:
        return False
