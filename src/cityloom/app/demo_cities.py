"""Finds and opens demo cities. Which there are is known by their position alone."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from cityloom.app.plugins import Plugin, find_plugins
from cityloom.kernel.errors import BadConfig, BrokenPlugin, NotReady
from cityloom.sensing.demo_city import DemoCity, Progress

#: The rank of a city whose manifest names none: after those that do.
_LAST = 1000


class Opened(NamedTuple):
    """An open city, and for each city that was tried before it, why it could not be had."""

    city: DemoCity
    passed_over: tuple[NotReady, ...] = ()


def demo_cities(packages: Iterable[str]) -> list[Plugin]:
    """The demo cities there are, in the order in which they are tried."""
    found = [plugin for plugin in find_plugins(packages) if plugin.kind == "cities"]
    return sorted(found, key=lambda plugin: (plugin.manifest.get("rank", _LAST), plugin.id))


def find_city(name: str, packages: Iterable[str]) -> Plugin:
    """The demo city with this id. Raises BadConfig that lists those there are."""
    cities = demo_cities(packages)
    for plugin in cities:
        if plugin.id == name.lower():
            return plugin
    raise BadConfig(
        f"There is no demo city called {name!r}",
        hint=f"Choose of {', '.join(plugin.id for plugin in cities) or 'none: no plugin brings one'}.",
        where="city",
    )


def open_city(
    name: str,
    folder: Path | None,
    progress: Progress,
    *,
    packages: Iterable[str],
    begins: datetime | None = None,
    season: str = "",
) -> Opened:
    """Open the named demo city, or with "" the first that can be had.

    Raises BadConfig for a name that is not known, NotReady when the data cannot be had, BadInput when they
    are damaged, BrokenPlugin when the city's code cannot be run.
    """
    if name:
        return Opened(_open(find_city(name, packages), folder, progress, begins, season))
    passed_over: list[NotReady] = []
    for plugin in demo_cities(packages):
        try:
            return Opened(_open(plugin, folder, progress, begins, season), tuple(passed_over))
        except NotReady as error:
            passed_over.append(error)
    raise NotReady(
        "No demo city can be opened",
        hint="; ".join(f"{error.message} {error.hint}" for error in passed_over) or "Install one.",
        where="cities",
    )


def _open(
    plugin: Plugin, folder: Path | None, progress: Progress, begins: datetime | None, season: str
) -> DemoCity:
    source = plugin.load("source")
    try:
        opening = source.open_city
    except AttributeError:
        raise BrokenPlugin(
            f"cities/{plugin.id} has no function open_city",
            hint="Write one, as cityloom.sensing.demo_city describes it.",
            where=str(plugin.folder / "source.py"),
        ) from None
    city: DemoCity = opening(folder, progress, begins=begins, season=season)
    return city
