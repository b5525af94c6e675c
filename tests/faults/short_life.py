"""A life of some milliseconds: opens a city's stores, writes, folds, remembers and ends. To be killed in it.

python short_life.py FOLDER     each acknowledged Entity and register entry becomes a line on stdout
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

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

ROUNDS, EACH = 2, 2
#: Changes that stay in the feed, so that it is trimmed as well.
RETENTION = 1


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
    asyncio.run(live(Path(sys.argv[1])))
