"""A disk that is full refuses writes, keeps what it has, and recovers by itself."""

from __future__ import annotations

import os

import pytest
from harness import Disk, why_no_power_cuts

from cityloom.adapters.sqlite.feed import SqliteFeed
from cityloom.adapters.sqlite.state_table import SqliteStateTable
from cityloom.context.broker import Broker
from cityloom.kernel.actor import CITY
from cityloom.kernel.errors import StorageFull
from cityloom.kernel.time import WallClock
from cityloom.ngsild.model import entity, prop

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(bool(why_no_power_cuts()), reason=why_no_power_cuts()),
]

SIZE = 24 * 1024 * 1024
LEFT = 3 * 1024 * 1024


def mark(number: int):
    return entity("Mark", f"urn:ngsi-ld:Mark:{number}", {"note": prop("x" * 2000)})


def fill_up(ballast) -> None:
    """Leave so little room that the log hits the end of the disk within some hundred writes."""
    free = os.statvfs(ballast.parent)
    with ballast.open("wb") as file:
        file.write(b"\0" * (free.f_bavail * free.f_frsize - LEFT))
        file.flush()
        os.fsync(file.fileno())


async def write_until_full(broker) -> list[int]:
    stored = []
    with pytest.raises(StorageFull, match="nothing was stored"):
        for number in range(10_000):
            await broker.create(CITY, mark(number))
            stored.append(number)
    return stored


async def test_a_full_disk_refuses_what_it_cannot_store_and_goes_on_once_there_is_room(tmp_path):
    with Disk(tmp_path, SIZE).made() as disk:
        ballast = disk.at / "ballast"
        ended = []
        feed, table = SqliteFeed(disk.at / "feed.db"), SqliteStateTable(disk.at / "state.db")
        broker = Broker(feed, table, WallClock(), fold_interval=0.05, fail_stop=ended.append)
        await broker.start()
        fill_up(ballast)

        stored = await write_until_full(broker)
        assert len(stored) > 50
        assert broker.types(CITY) == {"Mark": len(stored)}
        assert broker.last_sequence == feed.last_sequence() == len(stored)
        with pytest.raises(StorageFull):
            await broker.upsert_many(CITY, [mark(number) for number in range(9000, 9999)], update=True)
        assert broker.types(CITY) == {"Mark": len(stored)}
        with pytest.raises(StorageFull):
            SqliteFeed(disk.at / "another.db")
        await broker._folding._round()

        ballast.unlink()
        await broker.create(CITY, mark(20_000))
        await broker.stop()
        feed.close()
        table.close()

        feed, table = SqliteFeed(disk.at / "feed.db"), SqliteStateTable(disk.at / "state.db")
        again = Broker(feed, table, WallClock())
        await again.start()
        assert again.types(CITY) == {"Mark": len(stored) + 1}
        assert table.folded_through() == len(stored) + 1
        assert ended == []
        await again.stop()
        feed.close()
        table.close()
