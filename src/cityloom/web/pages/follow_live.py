"""The stream that pages follow."""

from __future__ import annotations

from starlette.responses import Response

from cityloom.ngsild.model import Document
from cityloom.web.identity import bearer_of
from cityloom.web.live import stream, wanted_of
from cityloom.web.looks import Item, item_of
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit


def add(pages: Pages) -> None:
    pages.data("/live", live)


async def live(visit: Visit) -> Response:
    """Server-sent events "changes", "clock" and "missed". `id` and `type` may come several times;
    `values` asks for every value of the Entities, not the headline alone; `after` is the position that the
    page was made at, unless Last-Event-ID knows a later one."""
    query = visit.request.query_params
    with_values = "values" in query

    def tell(document: Document, placed: bool) -> Item:
        return item_of(document, visit.wording, geometry=placed, values=with_values)

    session, bearer = visit.request.state.session, bearer_of(visit.request.headers)

    async def is_still() -> bool:
        return await visit.rooms.access.is_still(visit.actor, session=session, bearer=bearer)

    wanted = wanted_of(query.getlist("id"), query.getlist("type"))
    after = visit.request.headers.get("last-event-id", "") or visit.query("after")
    return stream(visit.desk.live, visit.actor, wanted, tell, is_still=is_still, after=after)
