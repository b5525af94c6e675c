"""The stage that hands changes on to the city's other processes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Protocol

from cityloom.context.parcels import UNKNOWN, Parcel, Stays, newest_by_partition, parcels_of
from cityloom.kernel.change import Change

#: Under this name the stage follows the feed.
STAGE = "relay"
#: Least seconds between two batches: under a stream of single changes many become one message.
PAUSE = 0.04
#: Changes that wait for no others.
WORTH_A_MESSAGE = 1_000


class Carrier(Protocol):
    """What carries parcels to other processes. It may lose them, repeat them and mix up their order."""

    async def publish(self, parcels: Sequence[Parcel], *, again: bool = False) -> None:
        """Return once all are kept by whoever carries them. Raises NotReady; then they may be sent again.

        `again`: they are meant to come twice, so a repetition is not dropped.
        """
        ...


class Relay:
    """Publishes each batch by partition; its cursor moves once the carrier has acknowledged all of it."""

    def __init__(self, carrier: Carrier, parts: int, stays: Stays) -> None:
        self._carrier = carrier
        self._stays = stays
        self._parts = parts
        #: By partition, the last change that went out.
        self._before: dict[int, int] = {}
        self._sent = float("-inf")
        #: Parcels that were sent again because they were missing where they should have come to.
        self.repeated = 0

    async def handle(self, changes: list[Change]) -> None:
        """Publish a batch. Raises NotReady when not all of it is acknowledged."""
        left = self._sent + PAUSE - time.monotonic()
        if left > 0 and len(changes) < WORTH_A_MESSAGE:
            await asyncio.sleep(left)
        self._sent = time.monotonic()
        going = [one for one in changes if not self._stays(one.types)]
        await self._carrier.publish(parcels_of(going, self._parts, self._before))
        self._before |= newest_by_partition(going, self._parts)

    async def repeat(self, wanted: Iterable[tuple[int, int]]) -> None:
        """Tell partitions that there is something up to a sequence which they lack. Raises NotReady."""
        parcels = [Parcel(partition, UNKNOWN, through, None) for partition, through in wanted]
        await self._carrier.publish(parcels, again=True)
        self.repeated += len(parcels)
