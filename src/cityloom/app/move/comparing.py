"""Whether a village and the schema into which it was carried say the same: row by row, reading by reading."""
# ruff: noqa: S608 - statements are put together from this package's own words alone

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from psycopg import sql

from cityloom.adapters.postgres.connection import Line
from cityloom.app.move.carrying import ARCHIVED, HISTORY_TABLES, HOURS, Progress
from cityloom.app.move.tables import Row, Table, comparable
from cityloom.app.move.village import Village

_ROWS_A_TIME = 5_000
#: Sums of numbers may be added up in another order.
_ROUNDING = 1e-9

_encode = msgspec.msgpack.Encoder().encode
_types = msgspec.json.Decoder(tuple[str, ...]).decode

#: Of each series: how many readings, numbers, texts, corrected ones; sums of instants, of sequences, of
#: numbers; the first and the last instant.
_OF_SERIES = """
    SELECT series, count(*), count(number), count(text), count(*) FILTER (WHERE superseded),
      sum(observed_at){whole}, sum(sequence){whole}, min(observed_at), max(observed_at), sum(number)
    FROM reading GROUP BY series ORDER BY series
"""


class Compared(NamedTuple):
    """One line of the table that is printed."""

    what: str
    village: str
    database: str
    alike: bool


class _Tally:
    """How many rows, and a checksum that their order does not change."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0

    def take(self, row: Iterable[Any]) -> None:
        told = _encode([comparable(value) for value in row])
        self._sum += int.from_bytes(hashlib.blake2b(told, digest_size=16).digest())
        self.count += 1

    @property
    def checksum(self) -> int:
        return self._sum % 2**128


def compare(village: Village, line: Line, progress: Progress, *, history_alone: bool) -> list[Compared]:
    """A line for each table, for each type of Entity, and for the readings."""
    lines: list[Compared] = []
    if not history_alone:
        for table in village.tables:
            lines += _of_table(village, line, table, progress)
    if village.history is not None:
        lines.append(_of_history(village, line, HISTORY_TABLES[0], "series of the history"))
        lines += _of_readings(village, line)
        lines += [
            _of_history(village, line, table, table.title)
            for table in (HOURS, ARCHIVED)
            if village.remembers(table.name)
        ]
    return lines


def _of_table(village: Village, line: Line, table: Table, progress: Progress) -> Iterator[Compared]:
    total = village.count(table)
    ours = _tallied(table, (table.row(row) for row in village.rows(table)), progress, total)
    theirs = _tallied(table, _stored(line, table), progress, 0)
    for group in sorted(ours.keys() | theirs.keys()) or [""]:
        one, other = ours.get(group, _Tally()), theirs.get(group, _Tally())
        what = f"{table.title}: {', '.join(_types(group)) or 'no type'}" if group else table.title
        alike = (one.count, one.checksum) == (other.count, other.checksum)
        yield Compared(what, f"{one.count:,}", f"{other.count:,}", alike)


def _tallied(table: Table, rows: Iterable[Row], progress: Progress, total: int) -> dict[str, _Tally]:
    tallies: dict[str, _Tally] = {}
    place = list(table.columns).index(table.by) if table.by else -1
    for number, row in enumerate(rows, 1):
        group = row[place] if place >= 0 else ""
        tally = tallies.get(group)
        if tally is None:
            tally = tallies[group] = _Tally()
        tally.take(row)
        if total and (number == total or number % _ROWS_A_TIME == 0):
            progress(f"comparing {table.title}", number, total)
    return tallies


def _stored(line: Line, table: Table) -> Iterator[Row]:
    columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
    statement = sql.SQL("SELECT {} FROM {}").format(columns, sql.Identifier(table.name))
    with line.transaction() as connection, connection.cursor(name="comparing", binary=True) as cursor:
        cursor.itersize = _ROWS_A_TIME
        yield from cursor.execute(statement)


def _of_history(village: Village, line: Line, table: Table, what: str) -> Compared:
    rows = village.asked(f"SELECT {', '.join(table.columns)} FROM {table.name}")
    ours, theirs = _Tally(), _Tally()
    for row in rows:
        ours.take([value.replace("\0", "␀") if isinstance(value, str) else value for value in row])
    for row in _stored(line, table):
        theirs.take(row)
    alike = (ours.count, ours.checksum) == (theirs.count, theirs.checksum)
    return Compared(what, f"{ours.count:,}", f"{theirs.count:,}", alike)


def _of_readings(village: Village, line: Line) -> Iterator[Compared]:
    ours = village.asked(_OF_SERIES.format(whole=""))
    theirs = line.rows(_OF_SERIES.format(whole="::text"))
    one, other = (f"{sum(row[1] for row in rows):,}" for rows in (ours, theirs))
    yield Compared("readings", one, other, one == other)
    differ = sum(not _same_series(*both) for both in _paired(ours, theirs))
    sums = [math.fsum(row[-1] for row in rows if row[-1] is not None) for rows in (ours, theirs)]
    told = [f"{one:.12g}" for one in sums]
    yield Compared("sum of all readings; series that differ", told[0], f"{told[1]}; {differ}", not differ)


def _paired(ours: Sequence[Row], theirs: Sequence[Row]) -> Iterator[tuple[Row | None, Row | None]]:
    known = {row[0]: row for row in theirs}
    for row in ours:
        yield row, known.pop(row[0], None)
    for row in known.values():
        yield None, row


def _same_series(one: Row | None, other: Row | None) -> bool:
    if one is None or other is None:
        return False
    if [int(value) for value in one[:-1]] != [int(value) for value in other[:-1]]:
        return False
    first, second = one[-1], other[-1]
    if first is None or second is None:
        return first is second
    # The sum of what cancels out may be as wrong as what was added up.
    return math.isclose(first, second, rel_tol=_ROUNDING, abs_tol=_ROUNDING * max(1.0, abs(first)))
