"""How fast a hundred million readings are kept and asked, beside PostgreSQL with as many.

    python benchmarks/history.py [--series 10000] [--readings 1000] [--postgres] [--folder DIR]

Every series has a reading each 52 minutes, as sensors send them: all of one tick, then all of the next. The
history lies in a DuckDB file in a temporary folder; a city gives it 64 MB and one thread. Wall times
are medians, CPU times the least of some repeats: where other programs run, CPU tells more. Growth is measured
on a tenth of the ticks and on all of them. PostgreSQL gets series, instant and number alone, of the same
series and instants.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
from history_postgres import Postgres, postgres

from cityloom.adapters.duckdb.history import DuckHistory
from cityloom.adapters.sqlite.feed import SqliteFeed
from cityloom.adapters.sqlite.state_table import SqliteStateTable
from cityloom.context.broker import Broker
from cityloom.history.loads import Bringing, LoadRecord, Portion
from cityloom.history.model import SeriesKey, Window
from cityloom.history.stage import HistoryStage
from cityloom.kernel.actor import CITY, InformationClass
from cityloom.kernel.time import WallClock, to_millis
from cityloom.ngsild.model import Document, entity, prop

START = datetime(2025, 1, 6, tzinfo=UTC)
STEP = timedelta(minutes=52)
HOUR, DAY = 3_600_000, 86_400_000
TYPES = ("Weather", "AirQuality", "Noise", "Traffic")
TICKS_AT_ONCE = 100
ROUNDS = 7
BATCHES, BATCH = 40, 1_000

Row = tuple[str, str, str]
#: Milliseconds of wall time and of CPU time.
Took = tuple[float, float]


def main() -> None:
    asked = _arguments()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        home = Path(folder)
        bench = Bench(home, asked.series, asked.readings, memory=asked.memory, threads=asked.threads)
        bench.ingest()
        beside = None
        if asked.postgres:
            with postgres() as server:
                bench.postgres(server)
                beside = server.name
        bench.batches(asyncio.run(batch_api(home / "city")))
        bench.print(beside)
        bench.store.close()


class Bench:
    """One history that grows, and what was measured of it."""

    def __init__(self, home: Path, series: int, readings: int, *, memory: str, threads: int) -> None:
        self.home, self.series, self.readings = home, series, readings
        self.file = home / "history.duckdb"
        self.store = DuckHistory(self.file, home / "exports", memory_limit=memory, threads=threads)
        self.rows: list[Row] = []
        self.took: dict[str, Took] = {}
        self.rate = 0.0
        self._settings = f"memory_limit {memory}, {threads} threads"
        self._record = self.store.keep_load(LoadRecord("bench", 0, "bench", "city", 0))

    def say(self, name: str, value: str, target: str = "") -> None:
        self.rows.append((name, value, target))
        print(f"  {name}: {value}", flush=True)

    def ingest(self) -> None:
        """All ticks, with the questions asked after a tenth of them as well."""
        tenth = max(TICKS_AT_ONCE, self.readings // 10)
        first = self._bring(0, tenth)
        self._settle(tenth)
        self.took_first = self._questions(tenth)
        rest = self._bring(tenth, self.readings)
        wall, cpu = (one + other for one, other in zip(first, rest, strict=True))
        count = self.series * self.readings
        self.rate = count / wall
        self.say(
            "durable ingest from a table",
            f"{count / wall:,.0f} readings/s, {1e6 * cpu / count:.2f} us of CPU a reading",
            ">= 600,000/s",
        )
        before = self._bytes()
        arrival = self._questions(self.readings)
        self.say("bytes a reading in the order of arrival", f"{before / count:.1f}")
        wall, cpu = self._settle(self.readings)
        self.say("compaction", f"{wall:.1f} s, {cpu:.1f} s of CPU")
        self.say("bytes a reading, compacted", f"{self._bytes() / count:.1f}", "<= 14")
        self.took = self._questions(self.readings)
        for name, target in QUESTIONS.items():
            growth = self.took[name][1] / self.took_first[name][1]
            told = f"{_told(self.took[name])}; before compaction {_told(arrival[name])}"
            self.say(name, told, target)
            if name != "one series hourly over everything":
                self.say(f"  grown tenfold, {name}", f"x {growth:.2f} of CPU", "<= 1.5")
        self._together()

    def _bring(self, first: int, end: int) -> Took:
        """Seconds of wall and CPU that bringing took, without making the tables."""
        wall = cpu = 0.0
        bringing = [_bringing(number) for number in range(self.series)]
        for start in range(first, end, TICKS_AT_ONCE):
            stop = min(end, start + TICKS_AT_ONCE)
            file = self._table(start, stop)
            begun = (time.perf_counter(), time.process_time())
            self.store.bring(Portion("bench", start, stop, bringing, file.name))
            wall += time.perf_counter() - begun[0]
            cpu += time.process_time() - begun[1]
            file.unlink()
        return wall, cpu

    def _table(self, first: int, end: int) -> Path:
        """A table of some ticks."""
        file = self.home / "exports" / f"table-{first}.parquet"
        step, start = STEP // timedelta(milliseconds=1), to_millis(START)
        with duckdb.connect() as connection:
            connection.execute(
                f"""
                COPY (
                  SELECT (i % {self.series})::INTEGER AS place,
                    {start} + ({first} + i // {self.series}) * {step} + i % {self.series} % 60 * 1000
                      AS observed_at,
                    {start} + ({first} + i // {self.series}) * {step} + 60000 AS recorded_at,
                    NULL::BIGINT AS created_at, 0::UTINYINT AS kind,
                    round(20 + 8 * sin(i % 97) + hash(i + {first}) % 1000 / 100, 1) AS number,
                    NULL::VARCHAR AS text, true AS observed, false AS superseded, 0::UTINYINT AS origin,
                    NULL::VARCHAR AS details, NULL::VARCHAR AS instance
                  FROM range({(end - first) * self.series}) AS rows(i) ORDER BY i
                ) TO '{file}' (FORMAT parquet)
                """
            )
        return file

    def _settle(self, ticks: int) -> Took:
        begun = (time.perf_counter(), time.process_time())
        # As a city does: what may still come late stays as it came.
        while self.store.settle(to_millis(START + STEP * ticks) - 2 * DAY):
            pass
        return time.perf_counter() - begun[0], time.process_time() - begun[1]

    def _bytes(self) -> int:
        with self.store._file.cursor() as cursor:
            cursor.execute("CHECKPOINT")
            blocks = cursor.execute("SELECT used_blocks * block_size FROM pragma_database_size()").fetchone()
        assert blocks is not None
        return int(blocks[0])

    def _questions(self, ticks: int) -> dict[str, Took]:
        return {name: _timed(ask) for name, ask in self.asks(ticks).items()}

    def asks(self, ticks: int) -> dict[str, Callable[[int], object]]:
        """The questions of the table; each takes the number of its round."""
        end = to_millis(START + STEP * ticks)
        day = (end - 3 * DAY) // DAY * DAY
        everything = np.arange(1, self.series + 1)
        of_type = np.array([one.id for one in self.store.series("", types=["Noise"])], np.int64)
        hours = np.arange(to_millis(START), end + HOUR, HOUR)
        a_day = np.arange(day, day + DAY + 1, HOUR)

        def one(turn: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
            return everything[[(turn * 7919 + 17) % self.series]]

        store = self.store
        return {
            "last value of all series": lambda _: store.raw(Window(everything, last_n=1)),
            "one series one day": lambda turn: store.raw(Window(one(turn), day, day + DAY)),
            "one series hourly over everything": lambda turn: store.aggregate(
                Window(one(turn)), hours, ["avg"]
            ),
            "all series of a type hourly for one day": lambda _: store.aggregate(
                Window(of_type), a_day, ["avg"]
            ),
        }

    def _together(self) -> None:
        """The slowest question while a table is brought."""
        slowest = max(self.took, key=lambda name: self.took[name][0])
        ask, times, done = self.asks(self.readings)[slowest], [], threading.Event()

        def go_on() -> None:
            turn = 0
            while not done.is_set():
                begun = time.perf_counter()
                ask(turn)
                times.append(1e3 * (time.perf_counter() - begun))
                turn += 1

        asking = threading.Thread(target=go_on)
        asking.start()
        wall, _ = self._bring(self.readings, self.readings + 5 * TICKS_AT_ONCE)
        done.set()
        asking.join()
        rate = 5 * TICKS_AT_ONCE * self.series / wall
        self.say(
            f"together with '{slowest}'",
            f"ingest x {self.rate / rate:.2f}, question x {np.median(times) / self.took[slowest][0]:.2f}",
            "<= 2",
        )

    def batches(self, took: Took) -> None:
        wall, cpu = took
        count = BATCHES * BATCH
        self.say(
            "through the broker's batch API",
            f"{count / wall:,.0f} readings/s, {1e6 * cpu / count:.1f} us of CPU a reading",
            ">= 40,000/s",
        )

    def postgres(self, server: Postgres) -> None:
        """The same rows, plain and partitioned; ratios of wall time."""
        for partitioned in (False, True):
            name = "PostgreSQL, partitioned" if partitioned else "PostgreSQL"
            step = STEP // timedelta(milliseconds=1)
            wall = server.fill(
                self.series, self.readings, step, to_millis(START), TICKS_AT_ONCE, partitioned=partitioned
            )
            count = self.series * self.readings
            self.say(
                f"{name}: ingest", f"{count / wall:,.0f} readings/s, ours x {self.rate * wall / count:.1f}"
            )
            self.say(f"{name}: bytes a reading", f"{server.size() / count:.1f}")
            end = to_millis(START + STEP * self.readings)
            for question, ask in server.asks(self.series, end, to_millis(START)).items():
                took = _timed(ask)[0]
                self.say(f"{name}: {question}", f"{took:.1f} ms, ours x {took / self.took[question][0]:.1f}")

    def print(self, beside: str | None) -> None:
        print(f"\n{self.series:,} series x {self.readings:,} readings; {self._settings}", end="")
        print(f"; beside {beside}\n" if beside else "\n")
        print("| what | measured | target |\n| --- | --- | --- |")
        for row in self.rows:
            print("| " + " | ".join(row) + " |")


#: With the targets of a machine three times as fast as a small one.
QUESTIONS = {
    "last value of all series": "<= 100 ms",
    "one series one day": "<= 10 ms",
    "one series hourly over everything": "<= 25 ms",
    "all series of a type hourly for one day": "<= 60 ms",
}


async def batch_api(folder: Path) -> Took:
    """Upserts of many Entities through the broker, remembered durably; wall and CPU seconds."""
    folder.mkdir()
    store = DuckHistory(folder / "history.duckdb", folder / "exports", memory_limit="64MB", threads=1)
    broker = Broker(SqliteFeed(folder / "feed.db"), SqliteStateTable(folder / "state.db"), WallClock())
    stage = HistoryStage(store)
    await broker.start()
    broker.follow("history", stage.handle, durable=True, after=0, past=True)
    for turn in range(2):
        batches = list(_batches(turn))
        begun = (time.perf_counter(), time.process_time())
        for batch in batches:
            await broker.upsert_many(CITY, batch, update=True)
        await stage.reached(broker.last_sequence)
        took = time.perf_counter() - begun[0], time.process_time() - begun[1]
    await broker.stop()
    store.close()
    return took


def _batches(turn: int) -> Iterator[list[Document]]:
    for batch in range(BATCHES):
        at = START + STEP * (turn * BATCHES + batch)
        yield [
            entity("Weather", f"urn:ngsi-ld:Weather:{one}", {"temperature": prop(turn + one / 7, at=at)})
            for one in range(BATCH)
        ]


def _bringing(number: int) -> Bringing:
    kind = TYPES[number % len(TYPES)]
    key = SeriesKey("", f"urn:ngsi-ld:{kind}:{number}", "value", "", "Property", "CEL")
    return Bringing(key, (kind,), InformationClass.OPEN)


def _timed(ask: Callable[[int], object]) -> Took:
    walls, cpus = [], []
    for turn in range(ROUNDS):
        begun = (time.perf_counter(), time.process_time())
        ask(turn)
        walls.append(time.perf_counter() - begun[0])
        cpus.append(time.process_time() - begun[1])
    return 1e3 * float(np.median(walls)), 1e3 * min(cpus)


def _told(took: Took) -> str:
    return f"{took[0]:.1f} ms (CPU {took[1]:.1f})"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--readings", type=int, default=1_000, help="of each series; 10000 for the target")
    parser.add_argument("--postgres", action="store_true", help="beside a PostgreSQL server of its own")
    parser.add_argument("--memory", default="256MB")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    return parser.parse_args()


if __name__ == "__main__":
    main()
