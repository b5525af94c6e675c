"""PostgreSQL with as many rows as `history.py` has: a server of its own in a temporary folder."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))

DAY, HOUR, MONTH = 86_400_000, 3_600_000, 30 * 86_400_000
SETTINGS = (
    "shared_buffers=1GB",
    "max_wal_size=4GB",
    "work_mem=64MB",
    "synchronous_commit=on",
    "fsync=on",
    "max_parallel_workers_per_gather=2",
)


class Postgres:
    """One connection and the table that it filled last."""

    def __init__(self, url: str) -> None:
        import psycopg

        self.connection = psycopg.connect(url, autocommit=True)
        self.name = "PostgreSQL " + str(self._one("SHOW server_version")).split(" ")[0]

    def fill(
        self, series: int, readings: int, step: int, start: int, at_once: int, *, partitioned: bool
    ) -> float:
        """Copy the rows in, a commit for `at_once` ticks, with an index by series and time; seconds."""
        ask = self.connection.execute
        ask("DROP TABLE IF EXISTS reading")
        columns = "series integer NOT NULL, at bigint NOT NULL, number double precision"
        if partitioned:
            ask(f"CREATE TABLE reading ({columns}) PARTITION BY RANGE (at)")
            for number in range(readings * step // MONTH + 2):
                first = start + number * MONTH
                ask(
                    f"CREATE TABLE reading_{number} PARTITION OF reading "
                    f"FOR VALUES FROM ({first}) TO ({first + MONTH})"
                )
        else:
            ask(f"CREATE TABLE reading ({columns})")
        ask("CREATE INDEX ON reading (series, at)")
        wall = 0.0
        for first in range(0, readings, at_once):
            rows = b"".join(_lines(series, range(first, min(readings, first + at_once)), step, start))
            begun = time.perf_counter()
            with (
                self.connection.cursor() as cursor,
                cursor.copy("COPY reading (series, at, number) FROM STDIN") as copy,
            ):
                copy.write(rows)
            wall += time.perf_counter() - begun
        ask("VACUUM ANALYZE reading")
        return wall

    def size(self) -> int:
        return int(
            self._one(
                "SELECT sum(pg_total_relation_size(oid)) FROM pg_class "
                "WHERE relname LIKE 'reading%' AND relkind = 'r'"
            )
        )

    def asks(self, series: int, end: int, start: int) -> dict[str, Callable[[int], object]]:
        """The questions by their names in `history.py`."""
        day = (end - 3 * DAY) // DAY * DAY

        def all_of(statement: str) -> list[Any]:
            return self.connection.execute(statement).fetchall()

        def one(turn: int) -> int:
            return (turn * 7919 + 17) % series

        return {
            "last value of all series": lambda _: all_of(
                f"SELECT s, r.* FROM generate_series(0, {series - 1}) s CROSS JOIN LATERAL "
                "(SELECT at, number FROM reading WHERE series = s ORDER BY at DESC LIMIT 1) r"
            ),
            "one series one day": lambda turn: all_of(
                f"SELECT at, number FROM reading WHERE series = {one(turn)} "
                f"AND at >= {day} AND at < {day + DAY} ORDER BY at"
            ),
            "one series hourly over everything": lambda turn: all_of(
                f"SELECT (at - {start}) / {HOUR}, avg(number) FROM reading "
                f"WHERE series = {one(turn)} GROUP BY 1"
            ),
            "all series of a type hourly for one day": lambda _: all_of(
                f"SELECT series, (at - {day}) / {HOUR}, avg(number) FROM reading "
                f"WHERE series = ANY (ARRAY(SELECT generate_series(2, {series - 1}, 4))) "
                f"AND at >= {day} AND at < {day + DAY} GROUP BY 1, 2"
            ),
        }

    def _one(self, statement: str) -> Any:
        row = self.connection.execute(statement).fetchone()
        assert row is not None
        return row[0]


def _lines(series: int, ticks: range, step: int, start: int) -> Iterator[bytes]:
    for tick in ticks:
        at = start + tick * step
        yield "".join(
            f"{one}\t{at + one % 60 * 1000}\t{(one * 31 + tick * 7) % 300 / 10}\n" for one in range(series)
        ).encode()


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A server that is gone afterwards."""
    from postgres_server import PostgresServer, programs

    found = programs()
    if found is None:
        raise SystemExit("There is no PostgreSQL server here: install postgresql")
    server = PostgresServer(found)
    try:
        server.restart(*SETTINGS)
        yield Postgres(server.url())
    finally:
        server.remove()
