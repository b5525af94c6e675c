"""A whole history read back from the files of `cityloom export history`, into the same city or another."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from cityloom.adapters.duckdb import whole_histories
from cityloom.adapters.duckdb.table_conversion import AT_ONCE
from cityloom.adapters.duckdb.table_source import connect, quoted
from cityloom.adapters.files.whole_files import checksum_of
from cityloom.app.load.doors import Door
from cityloom.app.load.exporting import ABOUT, SUFFIXES, SUMS
from cityloom.app.load.showing import LoadProgress
from cityloom.history.loads import Bringing, LoadRecord, Portion
from cityloom.history.model import ORIGINS, SeriesKey, ValueKind
from cityloom.history.temporal_lines import news_in
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import DEFAULT_TENANT
from cityloom.kernel.errors import BadInput, CityError
from cityloom.kernel.time import format_instant, from_millis, now_millis

_ORIGIN_NAMES = {int(one): name for name, one in ORIGINS.items()}


def is_whole_history(path: Path) -> bool:
    """Whether a path is what `export history` wrote."""
    return (path / SUMS).is_file()


def files_of(folder: Path) -> list[Path]:
    """The files of an export, in order. Raises BadInput naming one that is not as it was written."""
    found = []
    for line in (folder / SUMS).read_text(encoding="utf-8").splitlines():
        digest, _, place = line.partition("  ")
        path = (folder / place).resolve()
        if not path.is_relative_to(folder.resolve()) or not path.is_file():
            raise BadInput("A file of the export is missing", hint="Copy it anew.", where=str(folder / place))
        if checksum_of(path) != digest:
            raise BadInput(
                "A file is not what was exported: its checksum differs",
                hint="Copy it anew from where it was exported.",
                where=str(path),
            )
        if path.name != ABOUT:
            found.append(path)
    return sorted(found)


def record_of_history(folder: Path) -> LoadRecord:
    """A record of a load that was not begun."""
    digest = checksum_of(folder / SUMS)
    return LoadRecord(f"{folder.name[:40]}-{digest[:16]}", 0, folder.name, "")


def _told_of(folder: Path) -> int:
    """How many readings an export says it has; 0 where it does not."""
    try:
        said = msgspec.json.decode((folder / ABOUT).read_bytes())["readings"]
    except (OSError, ValueError, KeyError, TypeError):
        return 0
    return said if isinstance(said, int) else 0


class Importer:
    """One export on its way into a city. Blocking."""

    def __init__(self, folder: Path, door: Door, work: Path, exports: Path, progress: LoadProgress) -> None:
        self._files = files_of(folder)
        self._door = door
        self._work = work
        self._exports = exports
        self._progress = progress
        self._db = connect(work)
        #: Readings of all files, as the export itself says; it may say nothing.
        self._every = _told_of(folder)
        #: Readings of the files that were looked at so far.
        self.rows = 0

    def count(self) -> int:
        """Readings in all files."""
        return sum(self._open(path) for path in self._files)

    def bring(self, record: LoadRecord) -> tuple[dict[str, Any], bool]:
        """All of it, from where it was left; the record at its end, and whether that was reached before."""
        found: dict[str, Any] = self._door.act("begin", {"record": record})["record"]
        if found["finishedAt"]:
            return found, True
        done = int(found["rows"])
        for path in self._files:
            count = self._open(path)
            if self.rows + count > done:
                self._bring_file(found["id"], count, done)
            self.rows += count
        self._progress.end()
        settled: dict[str, Any] = self._door.act("settle", {"load": found["id"]})["record"]
        return settled, False

    def _open(self, path: Path) -> int:
        """Lay a file out in rows; how many it has."""
        staged = self._work / "history.parquet"
        plain = self._plain(path) if path.suffix == SUFFIXES["ngsild"] else path
        try:
            row = self._db.execute(
                f"COPY (FROM {whole_histories.rows_of(plain)}) TO {quoted(str(staged))} "
                "(FORMAT parquet, COMPRESSION lz4, ROW_GROUP_SIZE 61440)"
            ).fetchone()
        except duckdb.Error as error:
            raise BadInput(
                f"This is no file of an export: {str(error).splitlines()[0][:300]}",
                hint="Give the folder that `cityloom export history` wrote.",
                where=str(path),
            ) from None
        rows = f"CREATE OR REPLACE VIEW rows_of_file AS FROM read_parquet({quoted(str(staged))})"
        self._db.execute(rows)
        return int((row or (0,))[0])

    def _bring_file(self, load: str, count: int, done: int) -> None:
        first = max(done - self.rows, 0)
        while first < count:
            end = min(first + AT_ONCE, count)
            self._db.execute(
                "CREATE OR REPLACE TEMP TABLE portion_rows AS "
                "SELECT * EXCLUDE (line) FROM rows_of_file WHERE line > ? AND line <= ?",
                [first, end],
            )
            self._db.execute(whole_histories.LAY_OUT)
            file = self._exports / f"portion-{uuid.uuid4().hex}.parquet"
            try:
                self._db.execute(whole_histories.portion(file))
                series = [_bringing(*row) for row in self._db.execute(whole_histories.SERIES).fetchall()]
                said = Portion(load, self.rows + first, self.rows + end, series, file.name, whole=True)
                self._door.act("bring", {"portion": said})
            finally:
                file.unlink(missing_ok=True)
            first = end
            every = max(self._every, self.rows + count)
            self._progress(self.rows + end, every, self.rows + end - done)

    def _plain(self, path: Path) -> Path:
        """Lines of EntityTemporal as rows of CSV."""
        target = self._work / "history.csv"
        with target.open("w", encoding="utf-8", newline="") as file:
            file.write(",".join(whole_histories.COLUMNS) + "\n")
            for row in self._told(path):
                file.write(",".join(_cell(one) for one in row) + "\n")
        return target

    def _told(self, path: Path) -> Iterator[tuple[Any, ...]]:
        now, label = now_millis(), _class_of(path)
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                text = line.strip().removesuffix(b",")
                if text in (b"[", b"]", b""):
                    continue
                try:
                    yield from _rows(text, now, label)
                except (CityError, ValueError) as error:
                    raise BadInput(
                        f"This is no EntityTemporal: {error}",
                        hint="Export it anew.",
                        where=f"{path}, line {number}",
                    ) from None


def _class_of(path: Path) -> str:
    """The class of what a file of EntityTemporal tells: NGSI-LD has no word for it, the folder has."""
    labels = {one.label for one in InformationClass}
    found = [part.removeprefix("class=") for part in path.parts if part.startswith("class=")]
    if not found or found[-1] not in labels:
        raise BadInput(
            "It is not said of which class of information this is",
            hint="It lies in a folder such as class=internal.",
            where=str(path),
        )
    return found[-1]


def _rows(line: bytes, now: int, label: str) -> Iterator[tuple[Any, ...]]:
    """The readings of a line, as `whole_histories.COLUMNS` has them."""
    news = news_in(line, now)
    for one in news.readings:
        yield (
            news.entity_id,
            " ".join(news.types),
            one.attribute,
            one.dataset,
            one.attribute_type,
            one.unit_code,
            label,
            "false",
            _instant(one.at),
            str(one.observed).lower(),
            _instant(one.created_at or now),
            _instant(one.created_at or now),
            ValueKind(one.kind).name.lower(),
            None if one.number is None else repr(float(one.number)),
            _guarded(one.text),
            one.details,
            one.instance,
            _ORIGIN_NAMES[int(one.origin)],
            "false",
        )


def _guarded(text: str | None) -> str | None:
    """A text as an export writes it in CSV: whoever reads it takes the apostrophe away again."""
    return f"'{text}" if text is not None and whole_histories.RISKY.match(text) else text


def _instant(millis: int) -> str:
    return format_instant(from_millis(millis))


def _cell(said: Any) -> str:
    """A cell of CSV; nothing for None, and quotes for a text that may be empty."""
    if said is None:
        return ""
    return '"' + str(said).replace('"', '""') + '"'


def _bringing(
    entity_id: str,
    types: str,
    attribute: str,
    dataset: str,
    attribute_type: str,
    unit_code: str,
    label: str,
    retired: bool,
) -> Bringing:
    key = SeriesKey(DEFAULT_TENANT, entity_id, attribute, dataset, attribute_type, unit_code)
    return Bringing(key, tuple(types.split()), InformationClass[label.upper()], retired)
