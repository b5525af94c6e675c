"""The way into a city for a command: through its API while it runs, through its rooms while it does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from cityloom.app.configuration import Configuration
from cityloom.app.folder import CityFolder, read_json
from cityloom.app.house import House
from cityloom.app.machine import HomeLock
from cityloom.kernel.errors import BadInput, CityError, Conflict, NotAllowed, NotFound, NotReady
from cityloom.kernel.time import WallClock

_ERRORS = {400: BadInput, 403: NotAllowed, 404: NotFound, 409: Conflict, 503: NotReady}
Door = TypeVar("Door")


@contextmanager
def way_into(
    folder: CityFolder,
    configuration: Configuration,
    by_api: Callable[[dict[str, Any]], Door],
    by_rooms: Callable[[House, asyncio.Runner], Door],
) -> Iterator[Door]:
    """The door into the city of a folder. A city that does not run is opened for as long as this lasts.

    `by_api` is given what the running city wrote of itself: its `address` and its `key`.
    """
    running = read_json(folder.running)
    if running is not None and _answers(running):
        yield by_api(running)
        return
    with HomeLock(folder.home), asyncio.Runner() as runner:
        house = House(folder, configuration, WallClock())
        runner.run(house.begin())
        try:
            yield by_rooms(house, runner)
        finally:
            runner.run(house.stop())


def error_of(status: int, said: Mapping[str, Any], reason: str) -> CityError:
    """What a running city refused with, as who asks its rooms would be told: by HTTP status and problem."""
    kind = _ERRORS.get(status, CityError)
    return kind(str(said.get("detail", reason)), hint=str(said.get("hint", "")))


def _answers(running: Mapping[str, Any]) -> bool:
    """Whether the city that wrote this is there still: one that was killed leaves its note behind."""
    import httpx2  # a fifth of a second that other commands do without

    try:
        return not httpx2.get(f"{running['address']}/healthz", timeout=5.0).is_error
    except (httpx2.HTTPError, KeyError):
        return False
