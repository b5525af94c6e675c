"""The two ways into a city: through its own API while it runs, through its rooms while it does not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import msgspec

from cityloom.access.authority import TERMINAL
from cityloom.app.configuration import Configuration
from cityloom.app.folder import CityFolder
from cityloom.app.house import House
from cityloom.app.storage import in_postgres
from cityloom.app.way_in import error_of, way_into
from cityloom.history.loads import Written
from cityloom.kernel.errors import NotFound, NotReady
from cityloom.web.loads import PATH, act, checked, records

#: Seconds until a portion is brought, at the most.
PATIENCE_S = 600.0


class Door(Protocol):
    """Does the acts of a load (`cityloom.web.loads`), as whoever owns the city's folder."""

    def act(self, name: str, said: Any) -> dict[str, Any]:
        """What became of it, as plain JSON. Raises CityError."""
        ...

    def records(self) -> list[dict[str, Any]]:
        """All loads, the oldest first."""
        ...


@contextmanager
def looking_door_of(folder: CityFolder, configuration: Configuration) -> Iterator[Door]:
    """The same for whoever only looks: where no city has begun yet, none is."""
    if folder.feed.exists() or in_postgres(configuration):
        with door_of(folder, configuration) as door:
            yield door
    else:
        yield UnbegunDoor()


def door_of(folder: CityFolder, configuration: Configuration) -> AbstractContextManager[Door]:
    """The way into the city of a folder. A city that does not run is opened for as long as this lasts."""
    return way_into(folder, configuration, RunningDoor, StoppedDoor)


class RunningDoor:
    """The API of a running city, with the key in its folder."""

    def __init__(self, running: dict[str, Any]) -> None:
        import httpx2

        self._client = httpx2.Client(
            base_url=str(running["address"]),
            headers={"authorization": f"Bearer {running['key']}", "content-type": "application/json"},
            timeout=PATIENCE_S,
        )

    def act(self, name: str, said: Any) -> dict[str, Any]:
        return self._ask("POST", f"{PATH}/{name}", msgspec.json.encode(said))

    def records(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._ask("GET", PATH, b"")["records"]
        return found

    def _ask(self, method: str, path: str, body: bytes) -> dict[str, Any]:
        import httpx2

        try:
            answer = self._client.request(method, path, content=body)
            said: dict[str, Any] = answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise NotReady(
                f"The city does not answer: {error}",
                hint="Is it still running? The same command goes on where this one stopped.",
            ) from None
        if answer.is_error:
            raise error_of(answer.status_code, said, answer.reason_phrase)
        return said


class UnbegunDoor:
    """A city in which nothing has happened yet, and nothing does: all that a table tells of is new."""

    def act(self, name: str, said: Any) -> dict[str, Any]:
        if name != "entities" or not said["dry"]:
            raise NotFound("This city has not begun yet", hint="Start it once: cityloom up.", where=name)
        documents = msgspec.convert(said["documents"], list[dict[str, Any]])
        return {"written": msgspec.to_builtins(Written(created=len(checked(documents))))}

    def records(self) -> list[dict[str, Any]]:
        return []


class StoppedDoor:
    """The rooms of a city that nobody else has open."""

    def __init__(self, house: House, runner: asyncio.Runner) -> None:
        self._house = house
        self._runner = runner

    def act(self, name: str, said: Any) -> dict[str, Any]:
        found = self._runner.run(act(self._house.loading, TERMINAL, name, msgspec.json.encode(said)))
        plain: dict[str, Any] = msgspec.to_builtins(found)
        return plain

    def records(self) -> list[dict[str, Any]]:
        found = self._runner.run(records(self._house.loading, TERMINAL))
        plain: list[dict[str, Any]] = msgspec.to_builtins(found)["records"]
        return plain
