"""The map, and the same as a list beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.responses import Response

from cityloom.ngsild.model import value_of
from cityloom.web.drawing.map import MARK, Bounds, bounds_around, draw_map, touches, widened
from cityloom.web.looks import LEVEL_WORDS, LEVELS, WORST_FIRST, Item, Look, is_over, item_of, looks
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit

#: Types that are background, not things with a state.
BACKGROUND = ("RoadSegment", "Road")
#: Types with a state whose lines are roads too.
_LINES = ("TrafficFlowObserved",)
#: Types that are not shown until asked for: they stand where what they measure stands.
ASKED_FOR = ("Device",)
#: Degrees of latitude around a single thing, and the size of its sign.
_AROUND = 0.008
_LARGE_MARK = 70
_MIDDLE_MARK = 34
#: So many of a type are kept as they look; of more each is read again.
MOST_KEPT = 20_000
#: Entities of the list on one page.
PAGE = 40


def add(pages: Pages) -> None:
    pages.get("/map", show)
    pages.data("/map/roads.json", show_roads)


async def show(visit: Visit) -> Response:
    """The map's page; as JSON, its GeoJSON features."""
    types = map_types(visit)
    chosen = [name for name in visit.request.query_params.getlist("type") if name in types]
    shown = chosen or [name for name in types if name not in ASKED_FOR]
    if visit.as_json:
        items = [item async for item in located(visit, chosen or types)]
        return visit.json({"type": "FeatureCollection", "features": [_feature(item) for item in items]})
    items = [item async for item in located(visit, shown)]
    words = visit.query("q").casefold()
    level = visit.query("level")
    listed = [
        item
        for item in items
        if (not level or item.level == level) and (not words or words in item.name.casefold())
    ]
    listed.sort(key=lambda item: (WORST_FIRST[item.level], item.type, item.name))
    offset = visit.whole("offset", 0)
    asked = [("type", name) for name in chosen] + [("q", visit.query("q")), ("level", level)]
    query = urlencode([(key, value) for key, value in asked if value])
    return visit.render(
        "map.html",
        types=[(name, count, name in shown) for name, count in types.items()],
        items=listed[offset : offset + PAGE],
        total=len(listed),
        offset=offset,
        limit=PAGE,
        query=query + "&" if query else "",
        counts=counts_by_level(items),
        level=level,
        q=visit.query("q"),
        levels=[(name, LEVEL_WORDS[name]) for name in LEVELS],
        drawing=drawing(visit, items),
        ground=background(visit, items),
    )


async def show_roads(visit: Visit) -> Response:
    """Every line there is, as GeoJSON: the map's background."""
    lines = [*roads(visit), *[item.geometry async for item in located(visit, _LINES)]]
    features = [
        {"type": "Feature", "properties": {}, "geometry": line}
        for line in lines
        if line and line["type"] == "LineString"
    ]
    response = visit.json({"type": "FeatureCollection", "features": features})
    response.headers["cache-control"] = "private, max-age=60"
    return response


def map_types(visit: Visit) -> dict[str, int]:
    """Types with a look that the reader may see, with how many there are."""
    known = looks()
    counts = visit.rooms.broker.types(visit.actor)
    return {name: count for name, count in counts.items() if name in known and name not in BACKGROUND}


async def located(visit: Visit, types: Iterable[str], *, placeless: bool = False) -> AsyncIterator[Item]:
    """Everything of some types that has a place (or not), others getting their turn meanwhile."""
    counts = visit.rooms.broker.types(visit.actor)
    for name in types:
        if not looks().get(name, Look()).stale and counts.get(name, 0) <= MOST_KEPT:
            # How it looks follows from what it is, and not from how long ago that was.
            known = visit.desk.items(name, visit.language)
            await known.read()
            for kept in known.all(visit.actor):
                if kept is not None and (placeless or kept.geometry is not None):
                    yield kept
            continue
        async for document in visit.rooms.broker.each(visit.actor, type_name=name):
            item = None if is_over(document) else item_of(document, visit.wording, geometry=True)
            if item is not None and (placeless or item.geometry is not None):
                yield item


def roads(visit: Visit) -> list[dict[str, Any]]:
    """Geometries of roads without a state."""
    return [
        place
        for name in BACKGROUND
        for document in visit.rooms.broker.of_type(visit.actor, name)
        if (place := value_of(document, "location"))
    ]


def lines_near(visit: Visit, bounds: Bounds) -> list[dict[str, Any]]:
    """Roads of every kind within bounds: what shows where something is."""
    lines = [
        place
        for name in (*BACKGROUND, *_LINES)
        for document in visit.rooms.broker.of_type(visit.actor, name)
        if (place := value_of(document, "location"))
    ]
    return [line for line in lines if touches(line, bounds)]


def place_drawing(visit: Visit, item: Item, words: str) -> Markup | None:
    """A small map of where one thing is, with the roads around it."""
    if item.geometry is None:
        return None
    bounds = widened(bounds_around([item.geometry]), _AROUND)
    icons = visit.desk.statics.address("icons.svg")
    return draw_map(
        [item], bounds, roads=lines_near(visit, bounds), icons=icons, words=words, mark=_LARGE_MARK
    )


def city_bounds(visit: Visit, items: Iterable[Item]) -> Bounds:
    """What the map shows at first: everything there is."""
    places = [item.geometry for item in items if item.geometry is not None]
    return bounds_around(places or roads(visit), visit.city.bounds, visit.city.centre)


def drawing(visit: Visit, items: list[Item], bounds: Bounds | None = None, *, small: bool = False) -> Markup:
    """The map as the server draws it."""
    counts = visit.ngettext(
        "Map with %(num)s thing. The list has the same as text.",
        "Map with %(num)s things. The list has the same as text.",
        len(items),
    )
    return draw_map(
        items,
        bounds or city_bounds(visit, items),
        roads=roads(visit),
        icons=visit.desk.statics.address("icons.svg"),
        words=counts,
        mark=_MIDDLE_MARK if small else MARK,
    )


def background(visit: Visit, items: list[Item], bounds: Bounds | None = None) -> dict[str, Any]:
    """What the living map begins with, for its script: bounds, roads, words."""
    return {
        "tiles": visit.city.tiles,
        "attribution": visit.city.tiles_attribution,
        "bounds": bounds or city_bounds(visit, items),
        "roads": "/map/roads.json",
        "words": {
            "Map.Title": visit.gettext("Map. The list beside it has the same as text."),
            "NavigationControl.ZoomIn": visit.gettext("Zoom in"),
            "NavigationControl.ZoomOut": visit.gettext("Zoom out"),
            "Popup.Close": visit.gettext("Close"),
            "AttributionControl.ToggleAttribution": visit.gettext("Whose map this is"),
            "Marker.Title": visit.gettext("Chosen place"),
        },
    }


def counts_by_level(items: Iterable[Item]) -> dict[str, int]:
    """How many things are at each level."""
    counts: dict[str, int] = dict.fromkeys(LEVELS, 0)
    for item in items:
        counts[item.level] += 1
    return counts


def _feature(item: Item) -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": item.id,
        "geometry": item.geometry,
        "properties": {
            "id": item.id,
            "type": item.type,
            "name": item.name,
            "level": item.level,
            "state": item.state,
            "text": item.text,
            "label": item.text,
            "at": item.at,
            "icon": item.icon,
            "href": item.href,
        },
    }
