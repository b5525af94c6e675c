"""What this is, who may see what, and how accessible it is."""

from __future__ import annotations

from starlette.responses import Response

from cityloom import __version__
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit


def add(pages: Pages) -> None:
    pages.get("/about", show)


async def show(visit: Visit) -> Response:
    """What this is, and which city it runs."""
    data = {
        "city": visit.city.name,
        "demo": visit.city.demo,
        "badge": dict(visit.city.badge),
        "zone": visit.city.zone.key,
        "languages": visit.desk.languages,
        "version": __version__,
    }
    return visit.render("about.html", {"facts": data} if not visit.as_json else data)
