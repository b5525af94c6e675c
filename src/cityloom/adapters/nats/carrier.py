"""Publishes parcels into the stream."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from contextlib import suppress

from nats.js.api import Header
from nats.js.errors import NoStreamResponseError, NotFoundError

from cityloom.adapters.nats.cluster import ANSWER_S, AWAY, Cluster, durable
from cityloom.context.parcels import Parcel, packed
from cityloom.kernel.errors import NotReady

#: Attempts of one batch, and the seconds between them: a leader is elected meanwhile.
_ATTEMPTS, _PAUSE_S = 20, 0.25
#: After so many of them the stream is looked for, which somebody may have removed.
_LOOK_AFTER = 6


class NatsCarrier:
    """A `Carrier`: one subject for each partition; each message is acknowledged by most servers' disks."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._leaving = asyncio.Event()

    def leave(self) -> None:
        """Try nothing again any more: the city stops."""
        self._leaving.set()

    async def publish(self, parcels: Sequence[Parcel], *, again: bool = False) -> None:
        messages = [
            (one.partition, self._id_of(one, number, again=again), message)
            for one in parcels
            for number, message in enumerate(packed(one, self._cluster.most_bytes))
        ]
        for attempt in range(1, _ATTEMPTS + 1):
            sent = await asyncio.gather(*(self._publish(*one) for one in messages), return_exceptions=True)
            refused = [error for error in sent if isinstance(error, BaseException)]
            for error in refused:
                if not isinstance(error, (*AWAY, NotReady)):
                    raise error
            if not refused:
                self._cluster.trouble = ""
                return
            self._cluster.trouble = f"The cluster acknowledges nothing: {type(refused[0]).__name__}"
            messages = [one for one, was in zip(messages, sent, strict=True) if was is not None]
            if attempt == _ATTEMPTS or self._leaving.is_set():
                break
            if attempt % _LOOK_AFTER == 0:
                await self._look_for_stream(refused)
            await asyncio.sleep(_PAUSE_S)
        raise NotReady(self._cluster.trouble, hint="It is tried again until the cluster acknowledges it.")

    async def waits_for(self, stage: str, partition: int) -> int:
        """Messages of a partition that a stage has not acknowledged yet; none where somebody removed its
        consumer, which is made anew. Raises NotReady."""
        try:
            found = await self._cluster.stream.consumer_info(
                self._cluster.address.stream, durable(stage, partition)
            )
        except NotFoundError:
            await self._cluster.make_anew()
            return 0
        except AWAY as error:
            raise NotReady("The cluster does not answer", hint="It is asked again.") from error
        return (found.num_pending or 0) + (found.num_ack_pending or 0)

    async def _look_for_stream(self, refused: Sequence[BaseException]) -> None:
        """Where nobody takes what is published the stream is gone, or its servers elect a leader."""
        if any(isinstance(error, NoStreamResponseError) for error in refused):
            with suppress(NotReady):
                await self._cluster.make_anew()

    async def _publish(self, partition: int, name: str, message: bytes) -> None:
        await self._cluster.stream.publish(
            self._cluster.address.subject(partition),
            message,
            timeout=ANSWER_S,
            headers={Header.MSG_ID: name},
        )

    def _id_of(self, parcel: Parcel, number: int, *, again: bool) -> str:
        """By which the stream knows a message that it has."""
        count = len(parcel.changes or ())
        first = parcel.changes[0].sequence if parcel.changes else parcel.through
        name = f"{parcel.partition}:{first}-{parcel.through}:{count}.{number}:{parcel.before}"
        return f"{name}:{uuid.uuid4().hex}" if again else name
