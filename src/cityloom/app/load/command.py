"""What `cityloom load` does."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from cityloom.app.configuration import Configuration, read_configuration
from cityloom.app.folder import CityFolder
from cityloom.app.house import models_of
from cityloom.app.load.bringing import Bringer, Result, Table, record_of, workplace
from cityloom.app.load.doors import Door, door_of, looking_door_of
from cityloom.app.load.exporting import SUMS
from cityloom.app.load.guessing import guess
from cityloom.app.load.importing import Importer, is_whole_history, record_of_history
from cityloom.app.load.showing import LoadProgress
from cityloom.app.plugins import find_plugins
from cityloom.kernel.errors import BadConfig
from cityloom.kernel.time import format_instant, from_millis
from cityloom.sensing.table_meaning import read_meaning

_REASONS = 10


def load(options: argparse.Namespace) -> int:
    """Bring a table, try one out, guess a mapping, list the loads or take one out."""
    folder = CityFolder(options.home or Path("city"))
    if options.guess:
        print(guess(_table(options)), end="")
        return 0
    configuration = read_configuration(folder.configuration)
    if options.list:
        with looking_door_of(folder, configuration) as door:
            print("\n".join(_listed(door)) or "Nothing was loaded yet.")
        return 0
    if options.undo:
        with door_of(folder, configuration) as door:
            print("\n".join(_undone(door.act("undo", {"load": options.undo}))))
        return 0
    if options.table is not None and is_whole_history(options.table):
        return _import(folder, configuration, options)
    return _bring(folder, configuration, options)


def _import(folder: CityFolder, configuration: Configuration, options: argparse.Namespace) -> int:
    progress = LoadProgress(sys.stderr)
    entrance = looking_door_of if options.dry_run else door_of
    with entrance(folder, configuration) as door, workplace(folder.exports) as work:
        importer = Importer(options.table, door, work, folder.exports, progress)
        record = record_of_history(options.table)
        if options.dry_run:
            print("\n".join(_would_come(importer, door, record.id)))
            return 0
        if options.again:
            record = msgspec.structs.replace(record, id=_free(door, record.id))
        with _stoppable(progress):
            found, already = importer.bring(record)
    if already:
        print(f"{found['name']} was loaded already, {_instant(found['finishedAt'])}: nothing was done.")
    else:
        there = f"{found['kept']:,} readings were kept, {found['known']:,} were there"
        print(f"{found['name']} is loaded: {there}.")
    print(f"  Take it out with: cityloom load --undo {found['id']}")
    return 0


@contextmanager
def _stoppable(progress: LoadProgress) -> Iterator[None]:
    """What is said to somebody who stops a load."""
    try:
        yield
    except KeyboardInterrupt:
        progress.end()
        print("Stopped. The same command goes on from here.", file=sys.stderr)
        raise


def _would_come(importer: Importer, door: Door, name: str) -> Iterator[str]:
    """What is known of an export before it is brought: that its files are whole, and how much is in them."""
    state = next((one for one in door.records() if one["id"] == name), None)
    yield "Nothing was written. All files of the export are as they were written:"
    yield f"  Readings   {importer.count():,}, of which those that are there already are not kept again"
    if state is not None and state["undoneAt"]:
        yield f"  It was loaded, and taken out {_instant(state['undoneAt'])}: --again loads it anew"
    elif state is not None and state["finishedAt"]:
        yield f"  It was loaded already, {_instant(state['finishedAt'])}: nothing would be done"


def _bring(folder: CityFolder, configuration: Configuration, options: argparse.Namespace) -> int:
    table = _meant(folder, configuration, options)
    progress = LoadProgress(sys.stderr)
    entrance = looking_door_of if options.dry_run else door_of
    with entrance(folder, configuration) as door, workplace(folder.exports) as work:
        record = record_of(table)
        bringer = Bringer(table, door, work, folder.exports, progress)
        if options.dry_run:
            tried = bringer.try_out(record)
            print("\n".join(_would(tried)))
            return _status(tried)
        if options.again:
            record = record_of(table, _free(door, record.id))
        with _stoppable(progress):
            result = bringer.bring(record)
    print("\n".join(_did(result)))
    return _status(result)


def _status(result: Result) -> int:
    """1 where nothing of a table was of any use: a script that goes on would believe that it is there."""
    had = result.readings or result.record.get("kept") or result.record.get("known")
    is_useless = bool(result.rejected) and not had and not result.already
    if is_useless:
        print("No reading came of it: every row was rejected.", file=sys.stderr)
    return int(is_useless)


def _meant(folder: CityFolder, configuration: Configuration, options: argparse.Namespace) -> Table:
    path = _table(options)
    if options.mapping is None:
        raise BadConfig(
            "It is not said what the columns mean",
            hint=f"Let one be written: cityloom load {path} --guess > mapping.toml, read it, correct it.",
            where="--mapping",
        )
    try:
        text = options.mapping.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig(
            f"The mapping cannot be read: {getattr(error, 'strerror', '') or error}",
            hint="Give a file of TOML; --guess writes one.",
            where=str(options.mapping),
        ) from None
    meaning = read_meaning(text, where=str(options.mapping))
    plugins = find_plugins(configuration.plugins, beside=folder.home)
    return Table(path, options.mapping, meaning, models_of(plugins) if configuration.models.check else None)


def _table(options: argparse.Namespace) -> Path:
    if options.table is None:
        raise BadConfig(
            "It is not said which table", hint="Write: cityloom load TABLE --mapping FILE", where="TABLE"
        )
    path: Path = options.table
    if path.is_dir():
        raise BadConfig(
            f"This is a folder, and has no {SUMS} as one that `cityloom export history` wrote",
            hint="Give the path of a file, or of such a folder.",
            where=str(path),
        )
    if not path.is_file():
        raise BadConfig("There is no such table", hint="Give the path of a file.", where=str(path))
    return path


def _free(door: Door, name: str) -> str:
    """A name for a table that was loaded and taken out before."""
    there = {one["id"]: one for one in door.records()}
    chosen, number = name, 1
    while chosen in there and there[chosen]["undoneAt"]:
        number += 1
        chosen = f"{name}-{number}"
    return chosen


def _listed(door: Door) -> Iterator[str]:
    for one in door.records():
        state = "on its way, the same command goes on"
        if one["undoneAt"]:
            state = f"taken out {_instant(one['undoneAt'])}"
        elif one["finishedAt"]:
            state = f"done {_instant(one['finishedAt'])}"
        yield f"{one['id']}: {one['name']}, {one['kept']:,} readings of {one['rows']:,} rows, {state}"


def _undone(said: dict[str, Any]) -> Iterator[str]:
    undone = said["undone"]
    yield f"Taken out: {undone['readings']:,} readings of {said['record']['name']}."
    yield f"  {undone['attributes']:,} attributes say again what was known before, or nothing any more."
    yield f"  {undone['entities']:,} Entities that the load had created are gone."
    if undone["staying"]:
        yield f"  {undone['staying']:,} of them stay, for others have written to them or they were not yours."
    yield "  What the table said of Entities without a time (names, places) stays as it is."


def _would(result: Result) -> Iterator[str]:
    yield "Nothing was written. This is what would be:"
    yield from _facts(result, "new", "changed", "as they are")
    yield from _wrong(result)


def _did(result: Result) -> Iterator[str]:
    record = result.record
    if result.already:
        yield f"{record['name']} was loaded already, {_instant(record['finishedAt'])}: nothing was done."
        yield f"  Take it out with: cityloom load --undo {record['id']}"
        return
    yield f"{record['name']} is loaded: {record['kept']:,} readings were kept."
    if record["known"]:
        yield f"  {record['known']:,} readings were there already."
    if record["corrected"]:
        yield f"  {record['corrected']:,} of them correct what was there; that is kept beside them."
    yield from _facts(result, "created", "changed", "as they were")
    yield f"  {result.settled.get('changed', 0):,} Entities say their newest readings now."
    for entity_id, reason in result.settled.get("refused", ())[:3]:
        yield f"  {entity_id} does not: {reason}"
    yield from _wrong(result)
    yield f"  Take it out with: cityloom load --undo {record['id']}"


def _facts(result: Result, *words: str) -> Iterator[str]:
    entities = result.entities
    told = ", ".join(
        f"{entities.get(name, 0):,} {word}"
        for name, word in zip(("created", "changed", "same"), words, strict=True)
    )
    yield f"  Rows       {result.rows:,}"
    yield f"  Entities   {told}"
    if result.since is not None and result.until is not None:
        yield f"  Readings   {result.readings:,}, {_instant(result.since)} to {_instant(result.until)}"
    else:
        yield f"  Readings   {result.readings:,}"
    if result.repeated:
        yield f"  Repeated   {result.repeated:,} times an instant came again; the last row counts"


def _wrong(result: Result) -> Iterator[str]:
    if not result.rejected:
        return
    yield f"  Rejected   {result.rejected:,} cells or rows"
    for column, reason, count in result.reasons[:_REASONS]:
        yield f"    {count:,} times{f' in {column}' if column else ''}: {reason}"
    if len(result.reasons) > _REASONS:
        yield f"    and {len(result.reasons) - _REASONS:,} other reasons"
    for line, column, reason, cell in result.first_wrong:
        shown = f" {cell!r}" if cell else ""
        yield f"    line {line}{f', {column}' if column else ''}{shown}: {reason}"
    if result.rejects is not None:
        yield f"    All of them: {result.rejects}"


def _instant(millis: int) -> str:
    return format_instant(from_millis(millis))
