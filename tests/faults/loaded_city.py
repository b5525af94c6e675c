"""A small city under load, in a process of its own, to be killed or to have its power cut.

    python loaded_city.py write FOLDER ACKS [PLANT]   16 clients write until the end; each acknowledgement
                                                      becomes a line in ACKS, on another file system
    python loaded_city.py read FOLDER                 open the city again and print what it knows, as JSON

PLANT puts in a bug on purpose, to see that the test would find it: `hasty` acknowledges before the commit,
`unflushed` commits without flushing.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import sys
import threading
from itertools import pairwise
from pathlib import Path

import apsw

from cityloom.adapters.sqlite.feed import SqliteFeed
from cityloom.adapters.sqlite.state_table import SqliteStateTable
from cityloom.context.broker import Broker
from cityloom.kernel.actor import CITY
from cityloom.kernel.time import WallClock
from cityloom.ngsild.model import entity, prop, value_of

CLIENTS = 16
#: Every so many writes a client creates an Entity instead of updating its own.
CREATES = 10


class HastyFeed(SqliteFeed):
    """The bug: says "stored" at once, and stores later."""

    def __init__(self, path: Path):
        super().__init__(path)
        self._later: queue.SimpleQueue = queue.SimpleQueue()
        threading.Thread(target=self._store, daemon=True).start()

    def append(self, changes):
        self._later.put(changes)

    def _store(self):
        while True:
            super().append(self._later.get())


def open_feed(folder: Path, plant: str) -> SqliteFeed:
    feed = (HastyFeed if plant == "hasty" else SqliteFeed)(folder / "feed.db")
    if plant == "unflushed":
        feed._writer.pragma("synchronous", "normal")
    return feed


async def write(folder: Path, acks: Path, plant: str) -> None:
    feed = open_feed(folder, plant)
    # Little is kept in the feed and folding is frequent, so that cuts fall into folds and trims as well.
    # (A planted bug is to be found by its lost writes, not by files that do not fit together.)
    pause = 3600 if plant else 0.2
    broker = Broker(
        feed, SqliteStateTable(folder / "state.db"), WallClock(), retention=2000, fold_interval=pause
    )
    await broker.start()
    broker.follow("follower", follower, durable=True)
    told = os.open(acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    await asyncio.gather(*(client(broker, number, told) for number in range(CLIENTS)))


async def follower(batch) -> None:
    """A stage that is there, so that its cursor is written among the rest."""


async def client(broker: Broker, number: int, told: int) -> None:
    mine = f"urn:ngsi-ld:Counter:{number}"
    known = broker.find(CITY, mine)
    count = value_of(known, "count") if known else 0
    if not known:
        await broker.create(CITY, entity("Counter", mine, {"count": prop(0)}))
    while True:
        count += 1
        await broker.append(CITY, mine, {"attrs": {"count": [prop(count)]}})
        os.write(told, f"count {number} {count}\n".encode())
        if count % CREATES == 0:
            made = f"urn:ngsi-ld:Mark:{number}-{count}"
            await broker.create(CITY, entity("Mark", made, {"count": prop(count)}))
            os.write(told, f"mark {number} {count}\n".encode())


async def read(folder: Path) -> dict:
    for name in ("feed.db", "state.db"):
        verdict = apsw.Connection(str(folder / name)).pragma("integrity_check")
        assert verdict == "ok", f"{name}: {verdict}"
    feed = SqliteFeed(folder / "feed.db")
    broker = Broker(feed, SqliteStateTable(folder / "state.db"), WallClock())
    await broker.start()
    kept = [change.sequence for change in feed.read(0, 10**9)]
    known = {
        "counts": {one["id"]: value_of(one, "count") for one in broker.of_type(CITY, "Counter")},
        "marks": [one["id"] for one in broker.of_type(CITY, "Mark")],
        "last": broker.last_sequence,
        "holes": sum(after - before - 1 for before, after in pairwise(kept)),
    }
    await broker.stop()
    return known


if __name__ == "__main__":
    if sys.argv[1] == "write":
        asyncio.run(write(Path(sys.argv[2]), Path(sys.argv[3]), (sys.argv[4:] or [""])[0]))
    else:
        json.dump(asyncio.run(read(Path(sys.argv[2]))), sys.stdout)
