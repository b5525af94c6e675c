"""A life of some milliseconds: opens a city's stores, writes, folds, remembers and ends. To be killed in it.

python short_life.py FOLDER     each acknowledged Entity and register entry becomes a line on stdout
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from pathlib import Path

import apsw

from cityloom.adapters.duckdb.history import DuckHistory
from cityloom.adapters.sqlite.feed import SqliteFeed
from cityloom.adapters.sqlite.records import Records
from cityloom.adapters.sqlite.register import SqliteRegister
from cityloom.adapters.sqlite.state_table import SqliteStateTable
from cityloom.context.broker import Broker
from cityloom.context.ports import Entry
from cityloom.history.stage import STAGE, HistoryStage
from cityloom.kernel.actor import CITY
from cityloom.kernel.change import DEFAULT_TENANT
from cityloom.kernel.time import WallClock
from cityloom.ngsild.model import entity, prop

#: The VFS that SQLite brings for this system.
SYSTEM = apsw.vfs_names()[0]
#: The status of a process that has ended at its CALL.
ENDED = 99
ROUNDS, EACH = 2, 2
#: Changes that stay in the feed, so that it is trimmed as well.
RETENTION = 1


class Mortal(apsw.VFS):
    """SQLite's way to the disk, until the n-th change; counted over all files and threads."""

    def __init__(self, call: int) -> None:
        super().__init__("mortal", SYSTEM, makedefault=True)
        self._left = itertools.count(call - 1, -1)

    def age(self) -> None:
        if next(self._left) <= 0:
            os._exit(ENDED)

    def xOpen(self, name, flags):
        return MortalFile(self, name, flags)

    def xDelete(self, name, sync):
        self.age()
        return super().xDelete(name, sync)


class MortalFile(apsw.VFSFile):
    """A file whose changes are counted."""

    def __init__(self, vfs: Mortal, name, flags) -> None:
        super().__init__(SYSTEM, name, flags)
        self._vfs = vfs

    def xWrite(self, data, offset):
        self._vfs.age()
        return super().xWrite(data, offset)

    def xTruncate(self, size):
        self._vfs.age()
        return super().xTruncate(size)


async def live(folder: Path) -> None:
    feed, table = SqliteFeed(folder / "feed.db"), SqliteStateTable(folder / "state.db")
    register = SqliteRegister(Records(folder / "records.db"))
    history = DuckHistory(folder / "history.duckdb", folder / "exports", threads=1)
    broker = Broker(feed, table, WallClock(), retention=RETENTION, fold_interval=3600)
    await broker.start()
    stage = HistoryStage(history, pause=0.0)
    broker.follow(STAGE, stage.handle, durable=True, after=stage.through)
    for turn in range(ROUNDS):
        for number in range(EACH):
            name = f"urn:ngsi-ld:Mark:{turn}-{number}"
            await broker.upsert(CITY, entity("Mark", name, {"count": prop(turn)}))
            os.write(1, f"{name}\n".encode())
        register.put("thing", Entry(DEFAULT_TENANT, str(turn), b"{}"))
        os.write(1, f"thing {turn}\n".encode())
        await stage.reached(broker.last_sequence)
        assert broker._folding is not None
        await broker._folding._round()
    await broker.stop()


if __name__ == "__main__":
    mortal = Mortal(int(sys.argv[2])) if len(sys.argv) > 2 else None
    asyncio.run(live(Path(sys.argv[1])))
