"""The routes of all pages."""

from __future__ import annotations

from starlette.routing import BaseRoute

from cityloom.web.desk import Desk
from cityloom.web.pages import alerts, entities, follow_live, home, map_page, preferences, signing_in
from cityloom.web.pages.routing import Pages


def every_page(desk: Desk) -> list[BaseRoute]:
    """Every page's routes, over one desk."""
    pages = Pages(desk)
    for module in (preferences, signing_in, follow_live, home, map_page, entities, alerts):
        module.add(pages)
    return pages.routes
