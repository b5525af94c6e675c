"""`cityloom move`: a village's folder is carried into PostgreSQL."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cityloom.app.configuration import Configuration, read_configuration, text_of
from cityloom.app.folder import CityFolder
from cityloom.app.machine import HomeLock
from cityloom.app.move import settings
from cityloom.app.move.village import Village, open_village
from cityloom.app.progress import ShownProgress
from cityloom.app.storage import URL_VARIABLE
from cityloom.kernel.errors import BadConfig

if TYPE_CHECKING:
    from cityloom.adapters.postgres.address import Address
    from cityloom.adapters.postgres.database import Database

#: Tables that are asked whether somebody lives in a schema.
_ASKED = ("feed_head", "account", "audit", "moved_from", "history_progress")
_STAYS = ("archive", "photos", "evidence", "parameters", "snapshots")


def move(options: argparse.Namespace) -> int:
    """Carry, compare, and then name the database in city.toml."""
    folder = CityFolder(options.home or Path("city"))
    configuration = read_configuration(folder.configuration)
    url = options.to or os.environ.get(URL_VARIABLE, "")
    schema = options.schema or configuration.storage.schema
    named = settings.without_password(url)
    # What stands in the environment alone names where the village goes, or where the city is already.
    history_alone = _has_moved(configuration, named, schema) or not folder.feed.exists()
    with HomeLock(folder.home), open_village(folder, history_alone=history_alone) as village:
        if options.dry_run:
            return _told(village, url, schema, history_alone=history_alone)
        alike = _carried(village, url, schema, history_alone=history_alone)
        if not alike:
            print("They are not alike: city.toml stays as it was.", file=sys.stderr)
            return 1
        if not history_alone:
            text = settings.with_storage(text_of(folder.configuration), named, schema)
            settings.write(folder.configuration, text)
    print(f"{folder.configuration} names the database now. The old files are as they were, and not used.")
    return 0


def _has_moved(configuration: Configuration, named: str, schema: str) -> bool:
    """Whether the city is there already, but for the history that it had in its folder."""
    there = configuration.storage
    if not there.url:
        return False
    if (settings.without_password(there.url), there.schema) != (named, schema):
        raise BadConfig(
            "This city keeps its data in PostgreSQL already",
            hint="To bring it to another server, dump its schema with pg_dump and restore it there.",
            where="storage.url",
        )
    return True


def _told(village: Village, url: str, schema: str, *, history_alone: bool) -> int:
    """What would be carried, and whether the database would take it; nothing is changed."""
    for table in [] if history_alone else village.tables:
        print(f"{table.title:50s} {village.count(table):14,d}")
    if village.history is not None:
        print(f"{'series of the history':50s} {village.remembers('series'):14,d}")
        print(f"{'readings':50s} {village.remembers('reading'):14,d}")
    _tell_what_stays(village.folder)
    from cityloom.adapters.postgres.database import look_at
    from cityloom.adapters.postgres.schema import PARTS

    address = _address(url, schema)
    wrong = look_at(address, PARTS) or _in_the_way(address, village, history_alone=history_alone)
    for one in wrong:
        print(f"{one.message} ({one.where})\n  {one.hint}", file=sys.stderr)
    return 1 if wrong else 0


def _carried(village: Village, url: str, schema: str, *, history_alone: bool) -> bool:
    address = _address(url, schema)
    from cityloom.adapters.postgres import moving
    from cityloom.adapters.postgres.database import Database
    from cityloom.adapters.postgres.schema import PARTS
    from cityloom.app.move.carrying import Carrier
    from cityloom.app.move.comparing import compare

    database = Database(address)
    progress = ShownProgress(sys.stderr, unit="rows")
    try:
        database.claim()
        database.prepare(PARTS)
        if not history_alone:
            _check_empty(database)
        _check_not_ahead(database, village, history_alone=history_alone)
        moving.begin(database, village.fingerprint())
        carrier = Carrier(village, database, progress)
        carrier.carry(history_alone=history_alone)
        lines = compare(village, carrier.line, progress, history_alone=history_alone)
        alike = all(line.alike for line in lines)
        if alike:
            moving.finish(database)
    finally:
        progress.end()
        database.close()
    print(f"{'':60s} {'village':>18s} {'database':>18s}")
    for line in lines:
        says = "alike" if line.alike else "DIFFERENT"
        print(f"{line.what[:60]:60s} {line.village:>18s} {line.database:>18s}  {says}")
    _tell_what_stays(village.folder)
    return alike


def _in_the_way(address: Address, village: Village, *, history_alone: bool) -> list[BadConfig]:
    """Who lives in the schema already, where there is one; nothing is changed."""
    from cityloom.adapters.postgres import moving
    from cityloom.adapters.postgres.database import Database

    database = Database(address)
    try:
        tables = ", ".join(f"to_regclass('{name}')" for name in _ASKED)
        (there,) = database.row(f"SELECT num_nulls({tables}) = 0") or (False,)
        if there and not history_alone:
            _check_empty(database)
        if there:
            _check_not_ahead(database, village, history_alone=history_alone)
            moving.check_source(database, village.fingerprint())
    except BadConfig as error:
        return [error]
    finally:
        database.close()
    return []


def _check_empty(database: Database) -> None:
    """Raise BadConfig for a schema in which somebody lives."""
    from cityloom.adapters.postgres import moving

    found = database.row(
        "SELECT (SELECT last FROM feed_head) > 0 OR EXISTS (SELECT FROM account)"
        " OR EXISTS (SELECT FROM audit)"
    )
    if found and found[0] and not moving.is_begun(database):
        raise BadConfig(
            "There is a city in this schema already",
            hint="Name another one with --schema.",
            where=database.address.shown,
        )


def _check_not_ahead(database: Database, village: Village, *, history_alone: bool) -> None:
    """Raise BadConfig where the city has lived on in its database, which must not be turned back."""
    feed = int((database.row("SELECT last FROM feed_head") or (0,))[0])
    remembered = int((database.row("SELECT last_sequence FROM history_progress") or (0,))[0])
    if remembered > village.remembered() or (not history_alone and feed > max(0, *village.head("feed")[:2])):
        raise BadConfig(
            "The city in this schema has lived on since it was carried there",
            hint="If it is this city, its folder's files are old and not used any more. "
            "If it is another city, name another schema with --schema.",
            where=database.address.shown,
        )
    if history_alone and village.remembered() > feed:
        raise BadConfig(
            f"The history ends at change {village.remembered()}, and the feed in the database at {feed}",
            hint="They are not of one city: name the schema in which the city of this folder lives.",
            where=database.address.shown,
        )


def _address(url: str, schema: str) -> Address:
    from cityloom.app.storage import address_of

    if not url:
        raise BadConfig(
            "Where to?",
            hint=f"Write cityloom move --to postgresql://user@host/database, or set {URL_VARIABLE}.",
            where="--to",
        )
    try:
        return address_of(url, schema)
    except BadConfig as error:
        places = {"storage.url": "--to", "storage.schema": "--schema"}
        where = places.get(error.where or "", error.where)
        raise BadConfig(error.message, hint=error.hint, where=where) from None


def _tell_what_stays(folder: CityFolder) -> None:
    """What a city keeps in its folder wherever its database is."""
    for name in _STAYS:
        kept = folder.home / name
        files = sum(path.is_file() for path in kept.rglob("*")) if kept.is_dir() else 0
        if files:
            print(f"{name + '/':60s} {files:18,d} {'in the folder':>18s}  stays")
