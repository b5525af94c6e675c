"""Wishes to the world: Commands that wait for their device, and what became of them.

A Command is an Entity (type `Command`: refDevice, command, commandValue, status, dateIssued, validTo), which
whoever may write writes. Its status goes from "wished" to "delivered" when the device has acknowledged it, to
"refused" when it cannot take it, or to "lapsed" when its time has passed. Delivered is not done: that the
world has changed is believed when a reading says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec
import orjson

from cityloom.context.broker import Broker
from cityloom.kernel.actor import CITY
from cityloom.kernel.change import DEFAULT_TENANT, Change, ChangeKind
from cityloom.kernel.errors import BadInput
from cityloom.kernel.time import Clock, parse_instant
from cityloom.ngsild.model import Document, Instance, entity, prop, value_of
from cityloom.sensing.model import Wish

WISHED, DELIVERED, REFUSED, LAPSED = "wished", "delivered", "refused", "lapsed"
_DEVICE = "urn:ngsi-ld:Device:"


class CommandDesk:
    """The Commands that wait, by device. Whoever can reach a device asks for its own."""

    def __init__(self, broker: Broker, clock: Clock) -> None:
        self._broker = broker
        self._clock = clock
        self._waiting: dict[str, dict[str, Wish]] = {}
        self._device_of: dict[str, str] = {}
        self._on_wish: list[Callable[[str], None]] = []
        self._on_withdrawn: list[Callable[[str, str], None]] = []

    def start(self) -> None:
        """Find the Commands that were waiting when the city stopped."""
        for document in self._broker.of_type(CITY, "Command"):
            self._see(document)

    def see(self, changes: Sequence[Change]) -> None:
        """Look at what has changed in the city."""
        for change in changes:
            if "Command" not in change.types or change.tenant != DEFAULT_TENANT:
                continue
            if change.kind is ChangeKind.DELETED:
                self._drop(change.entity_id)
            else:
                self._see(orjson.loads(change.document))

    def on_wish(self, tell: Callable[[str], None]) -> None:
        """`tell` is called with the id of a device that a new Command waits for."""
        self._on_wish.append(tell)

    def on_withdrawn(self, tell: Callable[[str, str], None]) -> None:
        """`tell` is called with device and Command ids of a Command that waits no longer."""
        self._on_withdrawn.append(tell)

    def waiting(self, device_id: str) -> list[Wish]:
        """What waits for a device and has not lapsed, oldest first."""
        now = self._clock.now()
        wishes = self._waiting.get(device_id, {}).values()
        return [wish for wish in wishes if wish.valid_to is None or wish.valid_to > now]

    async def delivered(self, command_ids: Sequence[str]) -> None:
        """The device has these. Returns once that is durable."""
        await self._settle([(command_id, DELIVERED, "") for command_id in command_ids])

    async def refused(self, command_id: str, reason: str) -> None:
        """The device cannot take this."""
        await self._settle([(command_id, REFUSED, reason)])

    async def lapse(self) -> None:
        """Settle the Commands whose time has passed."""
        now = self._clock.now()
        late = [
            wish.id
            for wishes in self._waiting.values()
            for wish in wishes.values()
            if wish.valid_to is not None and wish.valid_to <= now
        ]
        await self._settle([(command_id, LAPSED, "") for command_id in late])

    async def _settle(self, ends: Sequence[tuple[str, str, str]]) -> None:
        now = self._clock.now()
        documents = []
        for command_id, status, reason in ends:
            if command_id not in self._device_of:
                continue
            attributes: dict[str, Instance] = {"status": prop(status, at=now)}
            if reason:
                attributes["statusReason"] = prop(reason)
            documents.append(entity("Command", command_id, attributes))
        if documents:
            await self._broker.upsert_many(CITY, documents, update=True, trace="commands")
            for document in documents:
                self._drop(document["id"])

    def _see(self, document: Document) -> None:
        wish = read_wish(document) if value_of(document, "status") == WISHED else None
        if wish is None:
            self._drop(document["id"])
            return
        known = self._waiting.setdefault(wish.device_id, {})
        is_new = wish.id not in known
        known[wish.id] = wish
        self._device_of[wish.id] = wish.device_id
        if is_new:
            for tell in self._on_wish:
                tell(wish.device_id)

    def _drop(self, command_id: str) -> None:
        device_id = self._device_of.pop(command_id, None)
        if device_id is None:
            return
        waiting = self._waiting[device_id]
        del waiting[command_id]
        if not waiting:
            del self._waiting[device_id]
        for tell in self._on_withdrawn:
            tell(device_id, command_id)


def read_wish(document: Document) -> Wish | None:
    """The Command in an Entity; None when it names no device or no command."""
    device = value_of(document, "refDevice")
    command = value_of(document, "command")
    if not isinstance(device, str) or not device.startswith(_DEVICE) or not isinstance(command, str):
        return None
    return Wish(
        id=document["id"],
        device_id=device.removeprefix(_DEVICE),
        command=command,
        value=value_of(document, "commandValue"),
        issued=str(value_of(document, "dateIssued", "")),
        valid_to=_instant(value_of(document, "validTo")),
    )


def _instant(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        return parse_instant(value, where="validTo")
    except BadInput:
        return None


def payload_of(wish: Wish) -> bytes:
    """What a device reads on its command topic."""
    said: dict[str, Any] = {"id": wish.id, "command": wish.command}
    if wish.value is not None:
        said["value"] = wish.value
    if wish.issued:
        said["issued"] = wish.issued
    if wish.valid_to is not None:
        said["validTo"] = wish.valid_to
    return msgspec.json.encode(said)
