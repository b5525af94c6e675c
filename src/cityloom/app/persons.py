"""`cityloom erase` and `cityloom person`: one person's data, of a city that runs or stands still."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import msgspec

from cityloom.access.authority import TERMINAL
from cityloom.app.configuration import Configuration, read_configuration
from cityloom.app.folder import CityFolder
from cityloom.app.house import House
from cityloom.app.way_in import error_of, way_into
from cityloom.kernel.errors import BadConfig, BadInput, NotReady
from cityloom.people.held import Who
from cityloom.web.persons import PATH, act

#: Seconds for an erasure of many reports.
_PATIENCE_S = 600.0


def erase(options: argparse.Namespace) -> int:
    """Show what is held of a person and, once that was confirmed, erase it or ask a second person for it."""
    if options.confirm:
        return _confirm(options)
    who, folder = _who(options), CityFolder(options.home or Path("city"))
    with _door(folder, read_configuration(folder.configuration)) as door:
        held = msgspec.json.decode(door.act("look", who))
        print("\n".join(_told(held)))
        if options.dry_run:
            print("Nothing was changed.")
            return 0
        if not _is_confirmed(options):
            print("Nothing was erased.")
            return 1
        done = msgspec.json.decode(door.act("erase", who))
    if done.get("waits"):
        print(f"Asked for: {done['id']}. Nothing is erased yet: a second person confirms it, on the page")
        print("One person's data. Where there is one person alone, city.toml says so: [erasure] alone.")
        return 0
    return _done(done)


def _confirm(options: argparse.Namespace) -> int:
    """Erase what somebody asked for on the city's page."""
    folder = CityFolder(options.home or Path("city"))
    with _door(folder, read_configuration(folder.configuration)) as door:
        if not _is_confirmed(options):
            print("Nothing was erased.")
            return 1
        done = msgspec.json.decode(door.act("confirm", {"id": options.confirm}))
    return _done(done)


def _done(done: dict[str, Any]) -> int:
    print(
        f"Erased at {done['at']}. Entities: {done['entities']}. Keys destroyed: {done['keys']}. "
        f"In the audit log: {done['id']}."
    )
    for path in done["stale"]:
        print(f"  {path}: this copy of the keys could not be reached. Destroy it, or make it anew with:")
        print(f"  cityloom backup TARGET --keys {path}")
    return 1 if done["stale"] else 0


def person(options: argparse.Namespace) -> int:
    """Write all that is held of a person into a zip file."""
    who, folder, target = _who(options), CityFolder(options.home or Path("city")), options.to
    if target.exists():
        raise BadConfig("There is a file of this name", hint="Name another one with --to.", where=str(target))
    with _door(folder, read_configuration(folder.configuration)) as door:
        data = door.act("copy", who)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    print(f"{target}: {len(data)} bytes. Hand it to nobody but the person.")
    return 0


def _who(options: argparse.Namespace) -> Who:
    names = ("entity", "code", "account", "email", "phone")
    said = {name: getattr(options, name) for name in names}
    if not any(said.values()):
        raise BadInput(
            "Whose data?", hint="Say --entity, --code, --account, --email or --phone.", where="who"
        )
    return Who(**said)


def _told(held: dict[str, Any]) -> Iterator[str]:
    for one in held["entities"]:
        named = ", ".join(one["attributes"]) or "nothing that is there now"
        yield f"{one['id']}: {named}; {one['readings']} readings of the past"
    yield f"Ways to reach them: {held['contacts']}. Photos: {held['photos']}."
    if held["account"]:
        yield "An account, with its sessions and keys."
    for path in held["key_copies"]:
        yield f"A copy of the keys, which is put in order too: {path}"


def _is_confirmed(options: argparse.Namespace) -> bool:
    if options.yes:
        return True
    if not sys.stdin.isatty():
        raise BadInput(
            "An erasure cannot be undone", hint="Look with --dry-run, then confirm with --yes.", where="--yes"
        )
    return input("It cannot be undone, and backups lose it too. Type erase to go on: ").strip() == "erase"


class _Door(Protocol):
    def act(self, name: str, said: Who | dict[str, str]) -> bytes: ...


def _door(folder: CityFolder, configuration: Configuration) -> AbstractContextManager[_Door]:
    return way_into(folder, configuration, _RunningDoor, _StoppedDoor)


class _RunningDoor:
    """The API of a running city, with the key in its folder."""

    def __init__(self, running: dict[str, Any]) -> None:
        self._running = running

    def act(self, name: str, said: Who | dict[str, str]) -> bytes:
        import httpx2

        try:
            answer = httpx2.post(
                f"{self._running['address']}{PATH}/{name}",
                content=msgspec.json.encode(said),
                headers={"authorization": f"Bearer {self._running['key']}"},
                timeout=_PATIENCE_S,
            )
            said = answer.json() if answer.is_error else {}
        except (httpx2.HTTPError, ValueError) as error:
            raise NotReady(
                f"The city does not answer: {error}",
                hint="Is it still running? What was begun is finished when it starts.",
            ) from None
        if answer.is_error:
            raise error_of(answer.status_code, said, answer.reason_phrase)
        return answer.content


class _StoppedDoor:
    """The rooms of a city that nobody else has open."""

    def __init__(self, house: House, runner: asyncio.Runner) -> None:
        self._house = house
        self._runner = runner

    def act(self, name: str, said: Who | dict[str, str]) -> bytes:
        found = self._runner.run(act(self._house.erasure, TERMINAL, name, msgspec.json.encode(said)))
        return found if isinstance(found, bytes) else msgspec.json.encode(found)
