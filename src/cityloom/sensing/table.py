"""Tables of readings (CSV): what a row means, and a whole table played at a chosen speed."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import gzip
import itertools
import re
from collections.abc import Generator, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import orjson

from cityloom.kernel.errors import BadConfig, BadInput, NotReady
from cityloom.kernel.time import EARLIEST, format_instant, parse_instant
from cityloom.ngsild.model import Document, prop
from cityloom.sensing.contract import Inlet, Settings
from cityloom.sensing.fields import FieldMap, epoch_instant, parse_json, read_measure, readings_of
from cityloom.sensing.model import Message
from cityloom.sensing.replay import ReplayClock

#: Rows read at once, and delivered at once at most.
_ROWS = 500
#: Longest wait between two looks at the clock, in seconds.
_LOOK = 0.2
#: Seconds before rows that could not be stored are tried again.
_RETRY = 1.0
#: A table's clock waits for nothing but its rows.
LATEST = datetime(9999, 1, 1, tzinfo=UTC)
_COLUMN = re.compile(r"\{([^{}]+)\}")
_NAME = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


class TableMapping:
    """What the columns of a table mean. Pure.

    Settings: `time`, the column of the instant; `time_zone` of instants that have none of their own; `type`;
    `id`, with columns in braces; `fields`; `longitude`, `latitude`; `missing`, the words for no value;
    `decimal`, the decimal mark.
    """

    def __init__(self, settings: Settings, where: str = "replay") -> None:
        """Raises BadConfig naming the setting."""
        try:
            self._zone = ZoneInfo(settings["time_zone"])
        except (ZoneInfoNotFoundError, ValueError):
            raise BadConfig(
                f"{settings['time_zone']!r} is not a time zone",
                hint="Use a name of the time zone database, such as Europe/Copenhagen.",
                where=f"{where}.time_zone",
            ) from None
        #: The column of the instant.
        self.time = settings["time"]
        self._type = settings["type"]
        self._id = settings["id"]
        self._missing = frozenset(settings["missing"])
        self._decimal = settings["decimal"]
        longitude, latitude = settings["longitude"], settings["latitude"]
        self._fields = FieldMap(
            tuple(
                ((column,), read_measure(meaning, f"{where}.fields.{column}"))
                for column, meaning in settings["fields"].items()
            ),
            position=((longitude,), (latitude,)) if longitude and latitude else None,
        )
        #: The columns that a table must have.
        self.columns = {self.time, *_COLUMN.findall(self._id), *(path[0] for path, _ in self._fields.fields)}
        if self._fields.position is not None:
            self.columns |= {longitude, latitude}

    def decode(self, message: Message) -> list[Document]:
        """The Entity of a row, which is a JSON table of texts. Raises BadInput naming the column."""
        row = parse_json(message.body)
        if not isinstance(row, dict):
            raise BadInput(
                "The row has another number of columns than the header",
                hint="Look for a separator within a value that is not quoted.",
                where="row",
            )
        at = self.instant(row.get(self.time))
        values = {column: self._value(text) for column, text in row.items()}
        documents = readings_of(
            values,
            msgspec.structs.replace(message, received_at=at),
            self._fields,
            self._type,
            _COLUMN.sub(lambda hit: _part(row.get(hit[1]), hit[1]), self._id),
        )
        for document in documents:
            document["attrs"]["dataOrigin"] = [prop("replayed")]
        return documents

    def instant(self, text: object) -> datetime:
        """The instant in a row. Raises BadInput."""
        if isinstance(text, str) and _NUMBER.fullmatch(text):
            return epoch_instant(float(text), where=self.time)
        said = text.strip().replace(" ", "T", 1) if isinstance(text, str) else ""
        try:
            local = datetime.fromisoformat(said)
        except ValueError:
            local = None
        if local is not None and local.tzinfo is None:
            said = local.replace(tzinfo=self._zone).isoformat()
        return parse_instant(said, where=self.time)

    def _value(self, text: object) -> float | int | str | None:
        if not isinstance(text, str) or (said := text.strip()) in self._missing:
            return None
        if self._decimal != ".":
            said = said.replace(self._decimal, ".", 1)
        if not _NUMBER.fullmatch(said):
            return text
        return int(said) if said.lstrip("+-").isdigit() and len(said) < 16 else float(said)


def _part(text: object, column: str) -> str:
    if not isinstance(text, str) or not _NAME.fullmatch(text):
        raise BadInput(
            f"{str(text)[:70]!r} cannot be a part of an id",
            hint="Use up to 64 letters, digits, dots, colons, dashes and underscores.",
            where=column,
        )
    return text


class TableRow(msgspec.Struct, frozen=True):
    """A row on its way: its line, the instant at which it is due, its cells as JSON."""

    line: int
    due: datetime
    body: bytes


def read_rows(path: Path, separator: str, mapping: TableMapping) -> Generator[TableRow, None, None]:
    """The rows of a CSV file, also a gzipped one. Blocks; close the iterator to close the file.

    A row whose instant cannot be read is due with the one before it: decoding it says what is wrong. Raises
    BadConfig for a file that cannot be read or lacks a column.
    """
    try:
        file = _open(path)
    except OSError as error:
        raise BadConfig(
            f"The table cannot be read: {error.strerror or error}",
            hint="Give the path of a CSV file that the city may read.",
            where=str(path),
        ) from None
    with file:
        reader = csv.reader(file, delimiter=separator)
        header = _header(reader, path, mapping.columns)
        due: datetime | None = None
        for cells in _cells(reader):
            row = dict(zip(header, cells, strict=True)) if len(cells) == len(header) else None
            due = _due(row, mapping, due)
            if due is not None:
                yield TableRow(reader.line_num, due, orjson.dumps(cells if row is None else row))


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", errors="replace", newline="")
    return path.open(encoding="utf-8-sig", errors="replace", newline="")


def _header(reader: Iterator[list[str]], path: Path, wanted: set[str]) -> list[str]:
    try:
        header = next(reader, [])
    except (csv.Error, OSError, EOFError) as error:
        raise BadConfig(
            f"The table has no header: {error}", hint="It must be CSV.", where=str(path)
        ) from None
    missing = sorted(wanted - set(header))
    if missing:
        raise BadConfig(
            f"The table has no column {missing[0]!r}",
            hint=f"Its columns are: {', '.join(header[:30]) or 'none'}.",
            where=str(path),
        )
    return header


def _cells(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    """The rows; one that is no CSV comes as a single cell with the reason."""
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            cells = [f"not CSV: {error}"]
        if cells:
            yield cells


def _due(row: dict[str, str] | None, mapping: TableMapping, before: datetime | None) -> datetime | None:
    """When a row is due; None for broken rows before the first good one, which nobody can place."""
    if row is None:
        return before
    try:
        return mapping.instant(row.get(mapping.time))
    except BadInput:
        return before


class TablePlayer:
    """Plays a table from its first row at a chosen speed. Late rows come where they stand in the table."""

    def __init__(self, settings: Settings, mapping: TableMapping, where: str = "replay") -> None:
        """Settings beside the mapping's: `table`, `separator`, `speed` in hours a minute."""
        self._path = Path(settings["table"])
        self._separator = settings["separator"]
        self._mapping = mapping
        if len(self._separator) != 1:
            raise BadConfig(
                "A separator is one character", hint='Write "," or ";".', where=f"{where}.separator"
            )
        #: Seconds of the table's time in one second.
        self._speed = float(settings["speed"]) * 60.0
        try:
            ReplayClock(EARLIEST, self._speed)
        except BadInput as error:
            raise BadConfig(error.message, hint=error.hint, where=f"{where}.speed") from None

    async def play(self, inlet: Inlet) -> None:
        """Deliver rows when they are due, until cancelled."""
        rows = read_rows(self._path, self._separator, self._mapping)
        try:
            await self._play(rows, inlet)
        finally:
            # A thread that still reads keeps the file open until it has done.
            with contextlib.suppress(ValueError):
                rows.close()
        inlet.listening(f"{self._path.name}, played to its end")
        await asyncio.Event().wait()

    async def _play(self, rows: Iterator[TableRow], inlet: Inlet) -> None:
        clock: ReplayClock | None = None
        while batch := await asyncio.to_thread(lambda: list(itertools.islice(rows, _ROWS))):
            if clock is None:
                clock = ReplayClock(batch[0].due, self._speed)
                clock.limit = LATEST
                inlet.listening(f"{self._path.name}, from {format_instant(batch[0].due)}")
            while batch:
                await _reach(clock, batch[0].due)
                ready = _take_due(batch, clock.now())
                await self._deliver(inlet, ready, clock.now())

    async def _deliver(self, inlet: Inlet, rows: Sequence[TableRow], now: datetime) -> None:
        messages = [
            Message(inlet.connector, f"{self._path.name} line {row.line}", row.body, now) for row in rows
        ]
        while True:
            try:
                await inlet.deliver_many(messages)
            except NotReady as error:
                inlet.troubled(str(error))
                await asyncio.sleep(_RETRY)
            else:
                return


def _take_due(rows: list[TableRow], now: datetime) -> list[TableRow]:
    """Take the rows that are due from the front of the list."""
    ready = list(itertools.takewhile(lambda row: row.due <= now, rows))
    del rows[: len(ready)]
    return ready


async def _reach(clock: ReplayClock, instant: datetime) -> None:
    while (left := (instant - clock.now()).total_seconds()) > 0:
        await asyncio.sleep(min(left / clock.speed, _LOOK))
