"""The routes of the action plan."""

from __future__ import annotations

from cityloom.web.pages.action import budget, coverage, funding, overview, ranking, steps, timeline
from cityloom.web.pages.routing import Pages


def add(pages: Pages) -> None:
    for module in (steps, timeline, budget, ranking, funding, coverage, overview):
        module.add(pages)
