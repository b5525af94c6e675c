"""The browser of all data, and the page of one Entity in each of its forms."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlencode

import orjson
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

from cityloom.context.keeping import unpack
from cityloom.kernel.errors import BadInput
from cityloom.kernel.media_types import CSV, GEO_JSON
from cityloom.ngsild.model import Document, value_of
from cityloom.web.addresses import entity_path
from cityloom.web.drawing.chart import draw_chart
from cityloom.web.looks import item_of, looks
from cityloom.web.pages import entity_values as values
from cityloom.web.pages.entity_history import RANGES, chart_of, script_data, span_of
from cityloom.web.pages.map_page import place_drawing
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit

#: Entities on one page of the browser.
PAGE = 50
#: Readings shown in the table under a chart.
ROWS = 60


def add(pages: Pages) -> None:
    pages.get("/entities", browse)
    pages.data("/entities/{id:path}.csv", as_csv)
    pages.data("/entities/{id:path}.geojson", as_geojson)
    pages.get("/entities/{id:path}", show)


async def browse(visit: Visit) -> Response:
    """All types, or the Entities of one, or those whose name or id has the words searched for."""
    broker = visit.rooms.broker
    types = broker.types(visit.actor)
    chosen, words = visit.query("type"), visit.query("q").strip()
    if chosen and chosen not in types:
        chosen = ""
    data: dict[str, Any] = {
        "types": [
            {
                "type": name,
                "title": visit.wording.type_name(name, plural=True),
                "count": count,
                "icon": looks()[name].icon if name in looks() else "dot",
            }
            for name, count in types.items()
        ],
        "type": chosen,
        "q": words,
    }
    if not chosen and not words:
        return visit.render(
            "entities.html", {**data, "items": [], "total": 0}, offset=0, limit=PAGE, query=""
        )
    offset = visit.whole("offset", 0)
    if words:
        found = await _search(visit, [chosen] if chosen else list(types), words.casefold())
        shown, total = found[offset : offset + PAGE], len(found)
    else:
        # None is read but those that are shown: there may be a million.
        kept = broker.kept_of_type(visit.actor, chosen)
        shown, total = [orjson.loads(unpack(one)) for one in kept[offset : offset + PAGE]], len(kept)
    data["items"] = [item_of(document, visit.wording) for document in shown]
    data["total"] = total
    query = urlencode([(key, value) for key, value in (("type", chosen), ("q", words)) if value]) + "&"
    return visit.render("entities.html", data, offset=offset, limit=PAGE, query=query)


async def _search(visit: Visit, types: list[str], words: str) -> list[Document]:
    """Entities whose name or id has the words, others getting their turn meanwhile."""
    found: dict[str, Document] = {}
    for name in types:
        async for document in visit.rooms.broker.each(visit.actor, type_name=name):
            if _has(document, words):
                found[document["id"]] = document
    return list(found.values())


def _has(document: Document, words: str) -> bool:
    if words in document["id"].casefold():
        return True
    for name in ("name", "alternateName", "description", "address"):
        said = value_of(document, name)
        texts = said.values() if isinstance(said, dict) else [said]
        if any(words in str(text).casefold() for text in texts if text is not None):
            return True
    return False


async def show(visit: Visit) -> Response:
    """One Entity: its values, its course, where it comes from, who may see it."""
    entity_id = visit.part("id")
    broker, wording = visit.rooms.broker, visit.wording
    document = broker.retrieve(visit.actor, entity_id)
    span = span_of(visit)
    rows = values.value_rows(document, wording)
    charted = [row for row in rows if row.is_number]
    attribute = _chosen_attribute(visit, document, [row.name for row in charted])
    item = item_of(document, wording, geometry=True)
    data: dict[str, Any] = {
        "entity": document,
        "informationClass": broker.class_of(visit.actor, entity_id).label,
        "origin": visit.origin(value_of(document, "dataOrigin")),
        "item": item,
        "values": rows,
        "estimates": values.estimate_rows(document, wording),
        "attribute": attribute,
        "since": span.since,
        "until": span.until,
    }
    chart = await chart_of(visit, document, attribute, span) if attribute else None
    if visit.as_json:
        data["history"] = values.points_of(chart) if chart else []
        return visit.json(data)
    return visit.render(
        "entity.html",
        data,
        document=document,
        charted=charted,
        chart=chart,
        drawn=draw_chart(chart, wording) if chart and not chart.is_empty else None,
        chart_data=script_data(visit, entity_id, attribute, chart) if chart else None,
        table=values.newest_rows(chart, ROWS) if chart else [],
        span=span,
        ranges=RANGES,
        about=values.about_rows(document, wording),
        links=values.links_of(visit, document),
        pointing=values.pointing_at(visit, entity_id),
        place=place_drawing(visit, item, visit.gettext("Map of where %(name)s is", name=item.name)),
        path=entity_path(entity_id),
    )


def _chosen_attribute(visit: Visit, document: Document, names: list[str]) -> str:
    asked = visit.query("attribute")
    if asked in names:
        return asked
    if asked:
        raise BadInput(
            f"{asked[:40]!r} is no number of this entity",
            hint=f"There are: {', '.join(names)}.",
            where="attribute",
        )
    look = next((looks()[name] for name in document["type"] if name in looks()), None)
    headline = [name for name in (look.headline if look else ()) if name in names]
    observed = [name for name in names if "observedAt" in document["attrs"][name][0]]
    return next(iter([*headline, *observed, *names]), "")


async def as_csv(visit: Visit) -> Response:
    """The history of the Entity as a table, within the range asked for."""
    entity_id = visit.part("id")
    visit.rooms.broker.retrieve(visit.actor, entity_id)
    span = span_of(visit, everything=True)
    attribute = visit.query("attribute")
    path = await asyncio.to_thread(
        visit.rooms.history.export,
        visit.actor,
        entity_id,
        "csv",
        [attribute] if attribute else None,
        span.since,
        span.until,
    )
    return FileResponse(
        path,
        media_type=CSV,
        filename=visit.file_name(entity_id.rsplit(":", 1)[-1][:60], "csv"),
        headers={"cache-control": "no-store"},
        background=BackgroundTask(path.unlink, missing_ok=True),
    )


async def as_geojson(visit: Visit) -> Response:
    """The Entity as a GeoJSON feature with its values."""
    document = visit.rooms.broker.retrieve(visit.actor, visit.part("id"))
    properties = {name: value_of(document, name) for name in document["attrs"] if name != "location"}
    feature = {
        "type": "Feature",
        "id": document["id"],
        "geometry": value_of(document, "location"),
        "properties": {"type": document["type"], **properties},
    }
    response = visit.json(feature)
    response.headers["content-type"] = GEO_JSON
    return response
