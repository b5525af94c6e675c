"""Tells whoever asked for it how a snapshot stands (ETSI GS CIM 009, 5.16.6)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from uuid import uuid4

import orjson

from cityloom.kernel.actor import Actor
from cityloom.kernel.errors import CityError
from cityloom.kernel.time import format_instant
from cityloom.ngsild.contexts import CORE
from cityloom.ngsild.subscription import Endpoint, Notification, Subscription
from cityloom.snapshots.model import Snapshot
from cityloom.subscriptions.model import Kept
from cityloom.subscriptions.sending import Sender

_log = logging.getLogger(__name__)

#: It takes this permission to have the city send something.
EDIT = "subscriptions:edit"
#: Seconds before each further attempt at an endpoint that does not take a notification.
PAUSES = (0.5, 2.0, 8.0, 30.0)
#: Notifications that wait at once; further ones are not sent.
MOST_WAITING = 200

#: The rights of somebody as they are now, None for one who is gone.
Actors = Callable[[str], Actor | None]


class Telling:
    """Lives on the event loop. What waits is in memory, and gone after a restart."""

    def __init__(self, sender: Sender, actors: Actors) -> None:
        self._sender = sender
        self._actors = actors
        self._sending: set[asyncio.Task[None]] = set()

    def check(self, endpoint: Endpoint) -> None:
        """Look at an address before it is kept. Raises AddressNotAllowed."""
        self._sender.check(endpoint)

    def tell(self, one: Snapshot) -> None:
        """Send how a snapshot stands now to its endpoint, where it has one."""
        endpoint = one.endpoint
        if endpoint is None or len(self._sending) >= MOST_WAITING:
            return
        now = datetime.now(UTC)
        body = orjson.dumps(one.notification(f"urn:ngsi-ld:SnapshotNotification:{uuid4()}", now))
        task = asyncio.create_task(self._send(_addressed(one, endpoint), body), name="snapshot told")
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def stop(self) -> None:
        for task in list(self._sending):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _send(self, kept: Kept, body: bytes) -> None:
        for pause in (*PAUSES, None):
            owner = self._actors(kept.owner)
            if owner is None or not owner.may(EDIT) or await self._is_taken(kept, body):
                return
            if pause is not None:
                await asyncio.sleep(pause)

    async def _is_taken(self, kept: Kept, body: bytes) -> bool:
        try:
            status = await self._sender.dispatch(kept, body)
        except CityError as error:
            _log.info("How the snapshot %s stands could not be told: %s", kept.wanted.id, error.message)
            return False
        return 200 <= status < 300


def _addressed(one: Snapshot, endpoint: Endpoint) -> Kept:
    """The snapshot's endpoint as that of a subscription, which is what is sent to."""
    wanted = Subscription(one.id, Notification(endpoint))
    link = str(CORE.reference())
    created, modified = format_instant(one.created_at), format_instant(one.modified_at)
    return Kept(one.tenant, one.owner, (), wanted, None, link, 0, created, modified)
