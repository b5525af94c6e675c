"""Durable writes a second through the context broker itself, without HTTP or MQTT in front. Prints a table.

    python benchmarks/ingest_context.py [--entities 20000] [--restart 1000000] [--folder DIR]

Every write is a change of one entity with three readings (two numbers with unit and time, and what the
merge keeps), returned after the flush to disk, with one durable stage and one live stream following.
"CPU" is the time of all threads of this process, "loop" that of the event loop's thread.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import tempfile
import time
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import uvloop

from cityloom.adapters.sqlite.feed import SqliteFeed
from cityloom.adapters.sqlite.state_table import SqliteStateTable
from cityloom.context.broker import Broker
from cityloom.context.keeping import pack
from cityloom.context.ports import Folded
from cityloom.kernel.actor import CITY, InformationClass
from cityloom.kernel.time import WallClock
from cityloom.ngsild.merge import stamp
from cityloom.ngsild.model import Document, entity, point, prop, rel

BATCH = 1000
START = datetime(2014, 8, 1, tzinfo=UTC)
ATTRIBUTES = ("pm10", "pm25", "no2")


def air(number: int, step: int) -> Document:
    """An air station's entity; `step` makes the values and times fresh."""
    readings = {
        name: prop(number % 50 + step / 10, at=START + timedelta(minutes=step), unit="GQ")
        for name in ATTRIBUTES
    }
    place = point(10 + number % 1000 / 1000, 56 + number // 1000 / 1000)
    device = rel(f"urn:ngsi-ld:Device:{number}")
    return entity("AirQualityObserved", name_of(number), {**readings, "location": place, "refDevice": device})


def readings(number: int, step: int) -> Document:
    """The same station's next readings alone."""
    whole = air(number, step)
    return {**whole, "attrs": {name: whole["attrs"][name] for name in ATTRIBUTES}}


def name_of(number: int) -> str:
    return f"urn:ngsi-ld:AirQualityObserved:{number}"


class City:
    """A broker on files, with somebody following."""

    def __init__(self, folder: Path):
        self.feed = SqliteFeed(folder / "feed.db")
        self.table = SqliteStateTable(folder / "state.db")
        self.broker = Broker(self.feed, self.table, WallClock())

    async def start(self) -> None:
        await self.broker.start()

        async def follow(batch: object) -> None:
            """Somebody who listens."""

        self.broker.follow("durable", follow, durable=True)
        self.broker.follow("live", follow, durable=False)

    async def stop(self) -> None:
        await self.broker.stop()
        self.feed.close()
        self.table.close()


async def measured(label: str, count: int, work: Awaitable[None]) -> None:
    gc.collect()
    gc.freeze()  # the documents prepared here are the benchmark's, not the city's
    wall, cpu, loop = time.perf_counter(), time.process_time(), time.thread_time()
    await work
    wall, cpu, loop = time.perf_counter() - wall, time.process_time() - cpu, time.thread_time() - loop
    print(
        f"{label:<34}{count / wall:>14,.0f}{count * len(ATTRIBUTES) / wall:>14,.0f}"
        f"{cpu / count * 1e6:>12.1f}{loop / count * 1e6:>12.1f}",
        flush=True,
    )


async def batches(broker: Broker, documents: list[Document]) -> None:
    for first in range(0, len(documents), BATCH):
        outcome = await broker.upsert_many(CITY, documents[first : first + BATCH], update=True)
        assert not outcome.errors


async def singles(broker: Broker, documents: list[Document], writers: int) -> None:
    async def writer(part: list[Document]) -> None:
        for document in part:
            await broker.append(CITY, document["id"], document)

    await asyncio.gather(*(writer(documents[number::writers]) for number in range(writers)))


async def ingest(folder: Path, entities: int) -> None:
    city = City(folder)
    await city.start()
    print(f"{'':<34}{'writes/s':>14}{'readings/s':>14}{'CPU µs':>12}{'loop µs':>12}")
    await measured(
        f"create, batches of {BATCH}",
        entities,
        batches(city.broker, [air(number, 0) for number in range(entities)]),
    )
    for step, writers in enumerate((0, 1, 32, 128, 1000), 1):
        count = entities if writers != 1 else min(entities, 2000)
        documents = [readings(number, step) for number in range(count)]
        if writers:
            await measured(f"update, {writers} writers", count, singles(city.broker, documents, writers))
        else:
            await measured(f"update, batches of {BATCH}", count, batches(city.broker, documents))
    await city.stop()


async def restart(folder: Path, entities: int) -> None:
    table = SqliteStateTable(folder / "state.db")
    for first in range(0, entities, 50_000):
        rows = [folded(number) for number in range(first, min(first + 50_000, entities))]
        table.fold(rows, [], 0)
    table.close()
    city = City(folder)
    begin = time.perf_counter()
    await city.start()
    print(f"restart with {entities:,} entities: {time.perf_counter() - begin:.2f} s")
    await city.stop()


def folded(number: int) -> Folded:
    document = stamp(air(number, 0), "2014-08-01T00:00:00Z")
    longitude, latitude = document["attrs"]["location"][0]["value"]["coordinates"]
    return Folded(
        created=number + 1,
        tenant="",
        entity_id=document["id"],
        types=("AirQualityObserved",),
        information_class=InformationClass.OPEN,
        document=pack(orjson.dumps(document)),
        sequence=0,
        bounds=(longitude, latitude, longitude, latitude),
        references=(f"urn:ngsi-ld:Device:{number}",),
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--entities", type=int, default=20_000, help="entities written to (default 20000)")
    options.add_argument("--restart", type=int, default=0, help="also restart with so many entities")
    options.add_argument("--folder", type=Path, help="where to write (default: a temporary folder)")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="cityloom-ingest-", dir=given.folder) as name:
        uvloop.run(ingest(Path(name), given.entities))
    if given.restart:
        with tempfile.TemporaryDirectory(prefix="cityloom-restart-", dir=given.folder) as name:
            uvloop.run(restart(Path(name), given.restart))


if __name__ == "__main__":
    main()
