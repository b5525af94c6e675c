"""Brokers to test with: in memory, and on SQLite files that can be opened again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.adapters.memory.state_table import MemoryStateTable
from cityloom.adapters.sqlite.feed import SqliteFeed
from cityloom.adapters.sqlite.state_table import SqliteStateTable
from cityloom.context.broker import Broker
from cityloom.context.classes import ClassPolicy
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.time import WallClock

POLICY = ClassPolicy({"Camera": InformationClass.SECURITY, "Meter": InformationClass.INTERNAL})


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    """A running broker in memory."""
    made = Broker(MemoryFeed(), MemoryStateTable(), WallClock(), POLICY)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def city(tmp_path) -> Callable[..., AbstractAsyncContextManager[Broker]]:
    """`async with city() as broker`: a broker on files; entering again is a restart."""

    @asynccontextmanager
    async def running(**options) -> AsyncIterator[Broker]:
        feed, table = SqliteFeed(tmp_path / "feed.db"), SqliteStateTable(tmp_path / "state.db")
        made = Broker(feed, table, WallClock(), POLICY, **options)
        try:
            await made.start()
            yield made
            await made.stop()
        finally:
            feed.close()
            table.close()

    return running
