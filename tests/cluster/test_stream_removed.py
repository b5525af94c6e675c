"""Somebody removes what carries the changes while it is in use: it is made anew, and all arrives."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from cityloom.adapters.nats.carrier import NatsCarrier
from cityloom.adapters.nats.cluster import Address, Cluster, durable
from cityloom.adapters.nats.follower import Follower
from cityloom.context.parcels import UNKNOWN, Parcel
from nats_cluster import PASSWORD, USER, NatsCluster

pytestmark = pytest.mark.cluster

PARTS = 2


class Between:
    """The two ends of a stream of two partitions."""

    def __init__(self, servers: Sequence[str]) -> None:
        address = Address(tuple(servers), uuid.uuid4().hex[:8], replicas=1, user=USER, password=PASSWORD)
        self.ends = Cluster(address, "writer"), Cluster(address, "follower")
        self.carrier = NatsCarrier(self.ends[0])
        self.follower = Follower(self.ends[1], "history", self._keep)
        self.came: asyncio.Queue[Parcel] = asyncio.Queue()

    async def _keep(self, parcels: Sequence[Parcel]) -> None:
        for one in parcels:
            self.came.put_nowait(one)

    async def tell(self, partition: int, through: int) -> None:
        """Publish, and wait until it has arrived."""
        await self.carrier.publish([Parcel(partition, UNKNOWN, through, None)])
        async with asyncio.timeout(60):
            while True:
                one = await self.came.get()
                if (one.partition, one.through) == (partition, through):
                    return


@asynccontextmanager
async def between(cluster: NatsCluster) -> AsyncIterator[Between]:
    made = Between(cluster.servers)
    async with asyncio.timeout(60):
        for end in made.ends:
            await end.connect()
        await made.ends[0].prepare(PARTS, ["history"])
    made.follower.follow(range(PARTS))
    keeping = asyncio.create_task(made.follower.run())
    try:
        for partition in range(PARTS):
            await made.tell(partition, 1)
        yield made
    finally:
        keeping.cancel()
        await made.follower.stop()
        for end in made.ends:
            await end.close()


def test_a_stream_that_somebody_removes_is_made_anew_with_its_consumers(nats_cluster):
    async def whole() -> None:
        async with between(nats_cluster) as made:
            stream = made.ends[0].stream
            await stream.delete_stream(made.ends[0].address.stream)
            for partition in range(PARTS):
                await made.tell(partition, 2)
            assert made.ends[0].trouble == ""

    asyncio.run(whole())


def test_a_consumer_that_somebody_removes_is_made_anew_when_it_is_missed(nats_cluster):
    async def whole() -> None:
        async with between(nats_cluster) as made:
            stream, name = made.ends[0].stream, made.ends[0].address.stream
            await stream.delete_consumer(name, durable("history", 1))
            # No consumer waits for it, so the stream keeps nothing of it.
            await made.carrier.publish([Parcel(1, UNKNOWN, 2, None)])
            assert await made.carrier.waits_for("history", 1) == 0
            await made.tell(1, 3)
            await made.tell(0, 3)

    asyncio.run(whole())
