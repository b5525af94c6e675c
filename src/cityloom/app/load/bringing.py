"""A table carried into the city: read, turned, brought in portions, and what was wrong with it told."""

from __future__ import annotations

import csv
import fcntl
import hashlib
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from cityloom.adapters.duckdb.table_conversion import TableConversion
from cityloom.adapters.duckdb.table_source import connect, open_table
from cityloom.app.load.doors import Door
from cityloom.app.load.entities import document_of
from cityloom.app.load.showing import LoadProgress
from cityloom.history.loads import Bringing, LoadRecord, Portion
from cityloom.history.ports import FORMULA_BEGINS
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.errors import BadInput, Conflict
from cityloom.kernel.time import FUTURE_TOLERANCE, now_millis
from cityloom.ngsild.model import Document
from cityloom.sensing.models import DataModels
from cityloom.sensing.table_meaning import TableMeaning
from cityloom.sensing.table_rules import rules_of

#: Entities asked about at once.
_ENTITIES = 500
_PIECE = 1 << 20
#: Wrong rows shown; all of them stand in the file beside the table.
_SHOWN = 5


class Table(NamedTuple):
    """A table and what its columns mean."""

    path: Path
    mapping: Path
    meaning: TableMeaning
    #: None where the city checks nothing that is written.
    models: DataModels | None


class Result(msgspec.Struct):
    """What became of a table, or would."""

    record: dict[str, Any]
    rows: int = 0
    readings: int = 0
    repeated: int = 0
    since: int | None = None
    until: int | None = None
    entities: dict[str, Any] = msgspec.field(default_factory=dict)
    settled: dict[str, Any] = msgspec.field(default_factory=dict)
    #: Column, reason and count; line, column, reason and cell of the first ones.
    reasons: list[tuple[str, str, int]] = msgspec.field(default_factory=list)
    first_wrong: list[tuple[int, str, str, str]] = msgspec.field(default_factory=list)
    rejected: int = 0
    rejects: Path | None = None
    already: bool = False


@contextmanager
def workplace(exports: Path) -> Iterator[Path]:
    """A folder for one load at a time; what a load left that was killed goes. Raises Conflict."""
    exports.mkdir(parents=True, exist_ok=True)
    with (exports / "load.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Conflict(
                "Another table is being loaded into this city", hint="Wait for it.", where=str(exports)
            ) from None
        for left in (*exports.glob("load-*"), *exports.glob("portion-*")):
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
        work = exports / f"load-{uuid.uuid4().hex}"
        work.mkdir()
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def identity(table: Table) -> str:
    """The name of a load: the same table with the same meaning is the same load."""
    digest = hashlib.sha256()
    with table.path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    digest.update(msgspec.json.encode(table.meaning, order="deterministic"))
    return f"{table.path.stem[:40]}-{digest.hexdigest()[:16]}"


class Bringer:
    """One table on its way. Blocking."""

    def __init__(self, table: Table, door: Door, work: Path, exports: Path, progress: LoadProgress) -> None:
        self._table = table
        self._door = door
        self._exports = exports
        self._progress = progress
        self._db = connect(work)
        source = open_table(table.path, table.meaning.table, work, self._db)
        rules = rules_of(table.meaning, table.models or DataModels([]), where=str(table.mapping))
        self._form = source.form
        self._before = source.lines_before
        self._conversion = TableConversion(self._db, source, table.meaning, rules, work, where=table.path)
        self._now = now_millis()
        self._wrong_entities: list[tuple[int, str, str, str]] = []

    def bring(self, record: LoadRecord) -> Result:
        """All of it, from where it was left. Raises CityError."""
        found = self._door.act("begin", {"record": record})["record"]
        if found["finishedAt"]:
            return Result(found, already=True)
        self._progress.say(f"Reading {self._table.path.name}")
        result = Result(found, rows=self._conversion.stage())
        result.entities = self._write_entities(found["id"], dry=False)
        self._go(result, found["rows"], dry=False)
        self._tell_wrong(result, write=True)
        said = self._door.act("settle", {"load": found["id"], "rejected": result.rejected})
        result.record, result.settled = said["record"], said["written"]
        return result

    def try_out(self, record: LoadRecord) -> Result:
        """What would become of it; nothing is written."""
        self._progress.say(f"Reading {self._table.path.name}")
        result = Result(msgspec.to_builtins(record), rows=self._conversion.stage())
        result.entities = self._write_entities(record.id, dry=True)
        self._go(result, 0, dry=True)
        self._tell_wrong(result, write=False)
        return result

    def _go(self, result: Result, done: int, *, dry: bool) -> None:
        first, latest = 0, self._now + int(FUTURE_TOLERANCE.total_seconds() * 1000)
        while first < result.rows:
            if first < done:
                self._conversion.reject(first, latest)
                first = min(first + self._conversion.rows_at_once, done)
                continue
            file = self._exports / f"portion-{uuid.uuid4().hex}.parquet"
            try:
                portion = self._conversion.portion(first, file, recorded=self._now, latest=latest)
                self._conversion.reject(first, latest)
                if not dry:
                    series = [_bringing(key, self._table.meaning.type) for key in portion.keys]
                    said = Portion(result.record["id"], first, portion.end, series, file.name)
                    result.record = self._door.act("bring", {"portion": said})["record"]
            finally:
                file.unlink(missing_ok=True)
            result.readings += portion.readings
            result.repeated += portion.repeated
            _widen(result, portion.since, portion.until)
            first = portion.end
            self._progress(first, result.rows, result.readings)
        self._progress.end()

    def _write_entities(self, load: str, *, dry: bool) -> dict[str, Any]:
        said = self._table.meaning.information_class
        chosen = InformationClass[said.upper()] if said else None
        tally: dict[str, Any] = {
            "created": 0,
            "changed": 0,
            "same": 0,
            "refused": [],
            "refusedCount": 0,
            "new": [],
        }
        documents = self._documents()
        while some := list(islice(documents, _ENTITIES)):
            sent = {"load": load, "documents": some, "informationClass": chosen, "dry": dry}
            written = self._door.act("entities", sent)["written"]
            for name, number in written.items():
                tally[name] += number
        if tally["refusedCount"]:
            entity_id, reason = tally["refused"][0]
            raise BadInput(
                f"{tally['refusedCount']:,} Entities were refused, such as {entity_id}: {reason}",
                hint="Correct the mapping or the table; no readings were brought.",
                where=str(self._table.path),
            )
        return tally

    def _documents(self) -> Iterator[Document]:
        for standing in self._conversion.entities():
            try:
                document = document_of(standing, self._table.meaning, self._form)
                if self._table.models is not None:
                    self._table.models.fit_written(document)
            except BadInput as error:
                raise BadInput(
                    f"{standing.entity_id}: {error.message}",
                    hint=error.hint,
                    where=f"{self._table.path}, {error.where}",
                ) from None
            yield document

    # What was wrong

    def _tell_wrong(self, result: Result, *, write: bool) -> None:
        malformed = self._conversion.malformed()
        counts: dict[tuple[str, str], int] = {}
        for _, column, reason in malformed:
            counts[(column, reason)] = counts.get((column, reason), 0) + 1
        result.reasons = [
            *((*one, count) for one, count in counts.items()),
            *self._conversion.reject_counts(),
        ]
        result.rejected = sum(count for *_, count in result.reasons)
        if not result.rejected:
            return
        rows = self._wrong_rows(malformed)
        target = self._table.path.with_name(f"{self._table.path.name}.rejects.csv")
        if not write:
            result.first_wrong = list(islice(rows, _SHOWN))
            return
        result.rejects = target
        try:
            self._write_rejects(target, rows, result)
        except OSError as error:
            raise BadInput(
                f"What was rejected cannot be written beside the table: {error.strerror}",
                hint="Copy the table to a folder of yours and give the same command: it goes on from here.",
                where=str(target),
            ) from None

    @staticmethod
    def _write_rejects(target: Path, rows: Iterator[tuple[int, str, str, str]], result: Result) -> None:
        with target.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("line", "column", "reason", "cell"))
            for row in rows:
                if len(result.first_wrong) < _SHOWN:
                    result.first_wrong.append(row)
                line, column, reason, cell = row
                writer.writerow((line, _harmless(column), reason, _harmless(cell)))

    def _wrong_rows(self, malformed: list[tuple[int, str, str]]) -> Iterator[tuple[int, str, str, str]]:
        """Line, column, reason and cell, in the order of the file."""
        waiting = [(line, column, reason, "") for line, column, reason in malformed]
        for rows in self._conversion.rejects():
            for row, column, reason, cell in rows:
                line = self._line(row, malformed)
                while waiting and waiting[0][0] <= line:
                    yield waiting.pop(0)
                yield line, column, reason, cell
        yield from waiting

    def _line(self, row: int, malformed: list[tuple[int, str, str]]) -> int:
        """The line of the file in which a row begins, as far as no cell has line breaks in it."""
        if self._before is None:
            return row
        line = self._before + row
        for wrong, *_ in malformed:
            if wrong > line:
                break
            line += 1
        return line


def record_of(table: Table, name: str = "") -> LoadRecord:
    """A record of a load that was not begun."""
    return LoadRecord(name or identity(table), 0, table.path.name, "")


def _bringing(key: Any, kind: str) -> Bringing:
    return Bringing(key, (kind,), InformationClass.OPEN)


def _widen(result: Result, since: int | None, until: int | None) -> None:
    if since is not None and until is not None:
        result.since = since if result.since is None else min(result.since, since)
        result.until = until if result.until is None else max(result.until, until)


def _harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(tuple(FORMULA_BEGINS)) else text
