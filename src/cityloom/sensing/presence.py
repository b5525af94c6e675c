"""Whether devices are there: written to their Entities as `deviceState`.

States are gathered for a moment, so that a crowd that reconnects costs one commit.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime

from cityloom.context.broker import Broker
from cityloom.kernel.actor import CITY
from cityloom.kernel.errors import NotReady
from cityloom.kernel.time import Clock, format_instant
from cityloom.ngsild.model import Instance, entity, prop, value_of

#: It is connected.
ONLINE = "online"
#: It took its leave, as a device does that sleeps between two readings.
DISCONNECTED = "disconnected"
#: It was lost: its last will holds, it fell silent, or its connection broke.
OFFLINE = "offline"

_log = logging.getLogger(__name__)


class Presence:
    """Writes states of devices behind the back of those who notice them."""

    def __init__(self, broker: Broker, clock: Clock, *, gather: float = 0.2, patience: float = 2.0) -> None:
        """`gather` seconds pass before a write; after a failed one, `patience` seconds."""
        self._broker = broker
        self._clock = clock
        self._gather = gather
        self._patience = patience
        self._pending: dict[str, tuple[str, datetime]] = {}
        self._standing: dict[str, str] = {}
        self._heard: dict[str, datetime] = {}
        self._wake = asyncio.Event()

    def start(self) -> None:
        """Those who were online when the city stopped are not any more."""
        for document in self._broker.of_type(CITY, "Device"):
            if value_of(document, "deviceState") == ONLINE:
                self.note(document["id"], OFFLINE)

    def note(self, entity_id: str, state: str) -> None:
        """The Device Entity's state is this from now on."""
        self._pending[entity_id] = (state[:64], self._clock.now())
        self._wake.set()

    def heard(self, entity_id: str, at: datetime) -> None:
        """It reported something; told with its next change of state."""
        self._heard[entity_id] = at

    async def run(self) -> None:
        """Write what is noted, until cancelled."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(self._gather)
            try:
                await self.flush()
            except NotReady as error:
                _log.warning("States of devices wait: %s", error)
                await asyncio.sleep(self._patience)

    async def flush(self) -> None:
        """Write what is noted. Raises NotReady; then it stays noted."""
        self._wake.clear()
        pending, self._pending = self._pending, {}
        documents = []
        for entity_id, (state, at) in pending.items():
            if self._standing.get(entity_id) == state:
                continue
            attributes: dict[str, Instance] = {"deviceState": prop(state, at=at)}
            if heard := self._heard.get(entity_id):
                attributes["dateLastValueReported"] = prop(format_instant(heard))
            documents.append(entity("Device", entity_id, attributes))
        if not documents:
            return
        try:
            await self._broker.upsert_many(CITY, documents, update=True, trace="presence")
        except NotReady:
            self._pending = {**pending, **self._pending}
            self._wake.set()
            raise
        self._standing.update((entity_id, state) for entity_id, (state, _) in pending.items())
