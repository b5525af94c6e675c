"""What one writing process of a city on PostgreSQL takes, and what several could give.

    python benchmarks/writers.py [--entities 20000] [--rounds 3]

Three tables. Clients that load one city by batches, one to three of them. Cities beside each other on one
server, each loaded by a client of its own: more than processes of one city that share a feed could give,
since these would also wait for one another. And the feed alone: for how long an append holds the row that
gives the numbers, which is what processes of one city would wait for. `cpu us` is processor time for one
Entity that is written anew: of the cities' processes, and of the database's.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))

from ingest_http import BATCH, batch_bodies, batches

from cityloom.adapters.postgres.address import Address
from cityloom.adapters.postgres.database import Database
from cityloom.adapters.postgres.feed import PostgresFeed
from cityloom.adapters.postgres.schema import PARTS
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import Change, ChangeKind
from postgres_server import PostgresServer, programs
from running_city import RunningCity

_TICKS = os.sysconf("SC_CLK_TCK")
#: Bytes of a document in the feed, as those of the batches have.
_DOCUMENT = 600


def cpu_seconds(process: int) -> float:
    """Of a process, and of its children that live."""
    spent = 0.0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(entry.name) == process or int(fields[1]) == process:
                spent += (int(fields[11]) + int(fields[12])) / _TICKS
    return spent


@contextmanager
def city(server: PostgresServer, folder: Path, name: str) -> Iterator[RunningCity]:
    home = folder / name
    home.mkdir()
    settings = f'name = "{name}"\n[storage]\nurl = "{server.url()}"\nschema = "{name}"\n'
    (home / "city.toml").write_text(settings)
    running = RunningCity(home, "up", "--open-access")
    try:
        yield running
    finally:
        running.stop()


async def load(cities: list[RunningCity], clients: int, entities: int, rounds: int) -> tuple[float, int]:
    """Each city's Entities are written so many times by so many clients; seconds, and how many writes."""
    bodies = batch_bodies(entities, 20.0)
    begun = time.perf_counter()
    for _ in range(rounds):
        addresses = [urlsplit(one.address) for one in cities]
        senders = (batches(str(one.hostname), int(one.port or 80), bodies, clients) for one in addresses)
        await asyncio.gather(*senders)
    return time.perf_counter() - begun, len(cities) * entities * rounds


def measured(
    server: PostgresServer, cities: list[RunningCity], clients: int, options: argparse.Namespace
) -> str:
    postmaster = server.pid
    before = sum(cpu_seconds(one.process.pid) for one in cities), cpu_seconds(postmaster)
    seconds, writes = asyncio.run(load(cities, clients, options.entities, options.rounds))
    # What the history makes of them belongs to what they cost.
    time.sleep(3)
    after = sum(cpu_seconds(one.process.pid) for one in cities), cpu_seconds(postmaster)
    own, database = ((late - early) / writes * 1e6 for early, late in zip(before, after, strict=True))
    return f"{writes / seconds:10,.0f} {own:12.0f} {database:16.0f}"


def of_the_feed(server: PostgresServer) -> Iterator[str]:
    address = Address(server.url(), "feed_alone")
    with closing(Database(address)) as database:
        database.prepare(PARTS)
        feed = PostgresFeed(database)
        for size in (1, 100, BATCH):
            took = []
            for _ in range(30):
                first = feed.last_sequence() + 1
                changes = [_change(number) for number in range(first, first + size)]
                begun = time.perf_counter()
                feed.append(changes)
                took.append(time.perf_counter() - begun)
            least = min(took)
            yield f"{size:8,} {least * 1e3:12.2f} {size / least:16,.0f}"


def _change(number: int) -> Change:
    return Change(
        sequence=number,
        tenant="",
        entity_id=f"urn:ngsi-ld:AirQualityObserved:{number}",
        types=("AirQualityObserved",),
        kind=ChangeKind.UPDATED,
        information_class=InformationClass.OPEN,
        document=b"x" * _DOCUMENT,
        attributes=("pm10", "no2"),
        at_millis=1_700_000_000_000,
        by="bench",
        trace="",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--entities", type=int, default=20_000, help="of each city")
    parser.add_argument("--rounds", type=int, default=3, help="times that all are written")
    options = parser.parse_args()
    found = programs()
    if found is None:
        sys.exit("There is no PostgreSQL here.")
    server = PostgresServer(found)
    try:
        with tempfile.TemporaryDirectory(prefix="cityloom-writers-") as folder, ExitStack() as running:
            cities = [running.enter_context(city(server, Path(folder), "city_1"))]
            asyncio.run(load(cities, 1, options.entities, 1))
            print("clients of one city    writes/s  cpu us, city  cpu us, database")
            for clients in (1, 2, 3):
                print(f"{clients:22} {measured(server, cities, clients, options)}", flush=True)
            print("\ncities, a client each  writes/s  cpu us, city  cpu us, database")
            print(f"{1:22} {measured(server, cities, 1, options)}", flush=True)
            for number in (2, 3):
                cities.append(running.enter_context(city(server, Path(folder), f"city_{number}")))
                asyncio.run(load(cities[-1:], 1, options.entities, 1))
                print(f"{number:22} {measured(server, cities, 1, options)}", flush=True)
        print("\nchanges  ms an append     changes a second")
        for line in of_the_feed(server):
            print(line)
    finally:
        server.remove()


if __name__ == "__main__":
    main()
