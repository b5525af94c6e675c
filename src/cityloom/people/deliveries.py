"""Brings warnings to those who must act, keeps the receipts, and tells others when one is missing.

Every Alert with an audience is delivered to the recipients it concerns, by each of their channels. The
ledger is Entities (type `WarningDelivery`, internal), so that an indicator can count who was warned in time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import msgspec

from cityloom.access.authority import require
from cityloom.access.credentials import digest, new_spoken_secret
from cityloom.access.errors import TooManyAttempts
from cityloom.access.throttle import Backoff, Patience, network_of
from cityloom.context.broker import Broker
from cityloom.context.editing import Editing, Edits
from cityloom.kernel.actor import CITY, Actor, InformationClass
from cityloom.kernel.change import DEFAULT_TENANT, Change, ChangeKind
from cityloom.kernel.errors import BadInput, CityError
from cityloom.kernel.texts import check_line
from cityloom.kernel.time import Clock, format_instant
from cityloom.kernel.worded import Worded
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.model import Document, Instance, prop, value_of
from cityloom.operations.alerts import Alerts
from cityloom.people.chasing import Chasing
from cityloom.people.delivery import (
    ALERT,
    AWAITED,
    COMMAND,
    DELIVERY,
    Alarm,
    Delivery,
    Recipient,
    Status,
    delivery_documents,
    delivery_of,
    rank_of,
    recipient_document,
)
from cityloom.people.ledger import Ledger

_log = logging.getLogger(__name__)

STAGE = "deliveries"
_PERMISSION = "alerts:handle"
_INTERNAL = InformationClass.INTERNAL
#: Two groups are about 50 bits.
_CODE_GROUPS = 2
_LONGEST_CODE = 40
#: What a Command's end says of the delivery it carries.
_TAKEN = {"delivered": Status.DELIVERED, "refused": Status.FAILED, "lapsed": Status.FAILED}


class Deliveries:
    """Sends, confirms and chases. One instance in a city; lives on the event loop."""

    def __init__(self, broker: Broker, clock: Clock, alerts: Alerts, *, tick_s: float = 0.5) -> None:
        """`tick_s`: machine seconds between two looks for missing receipts."""
        self._broker = broker
        self._clock = clock
        self._editing = Editing(broker)
        #: What was sent, and to whom.
        self.ledger = Ledger(broker)
        self._chasing = Chasing(self.ledger, alerts)
        self._tick_s = tick_s
        #: Receipts that are awaited: delivery id -> until when.
        self._awaited: dict[str, datetime] = {}
        #: Digests of codes, and a delivery that each confirms.
        self._codes: dict[str, str] = {}
        self._misses = Backoff(Patience(free=20, longest=60.0))
        self._task: asyncio.Task[None] | None = None

    # Life

    async def start(self) -> None:
        """Find the receipts that are awaited, follow the alerts, and keep time."""
        for delivery in self.ledger.deliveries(CITY):
            self._note(delivery)
        self._broker.follow(STAGE, self.on_changes, durable=True)
        self._task = asyncio.create_task(self._keep_time())

    async def stop(self) -> None:
        """Chase nobody any more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _keep_time(self) -> None:
        failing = False
        while True:
            try:
                await self.escalate(self._clock.now())
                failing = False
            except CityError as error:
                if not failing:
                    _log.warning("Missing receipts wait: %s", error)
                failing = True
            await asyncio.sleep(self._tick_s)

    # Sending

    async def register(self, actor: Actor, recipient: Recipient) -> Recipient:
        """Write a recipient, new or changed. Needs alerts:handle. Raises BadInput naming the field."""
        require(actor, _PERMISSION)
        check_line(recipient.name, where="name", longest=200)
        if not recipient.audience:
            raise BadInput(
                Worded("They belong to no audience"),
                hint=Worded("Name one, such as growers."),
                where="audience",
            )
        if not recipient.channels:
            raise BadInput(
                Worded("There is no way to reach them"),
                hint=Worded("Give a channel: page."),
                where="channels",
            )
        for channel in recipient.channels:
            if (channel.kind == "device") != channel.device.startswith("urn:ngsi-ld:Device:"):
                raise BadInput(
                    Worded("A channel is a page, or a device with its id"),
                    hint=Worded("Name the device: urn:ngsi-ld:Device:farm-7."),
                    where="channels",
                )
        await self._write([recipient_document(recipient)], "register", _INTERNAL)
        return recipient

    async def on_changes(self, changes: Sequence[Change]) -> None:
        """Look at what has changed: alerts are delivered, or end; devices have taken what was for them."""
        ids = {
            change.entity_id: None
            for change in changes
            if change.tenant == DEFAULT_TENANT
            and change.kind is not ChangeKind.DELETED
            and (ALERT in change.types or COMMAND in change.types)
        }
        for entity_id in ids:
            # As it is now: a change that comes again after a restart may be long past.
            document = self._broker.find(CITY, entity_id)
            if document is not None and ALERT in document["type"]:
                await self.deliver(entity_id)
            elif document is not None:
                await self._on_command(document)

    async def deliver(self, alert_id: str) -> list[str]:
        """Send an Alert to its audience; what was sent before is not sent again. Returns what was sent."""
        alarm = self.ledger.alarm(alert_id)
        if alarm is None:
            return []
        if alarm.is_over:
            await self._end(alarm)
            return []
        return await self._send(alarm, alarm.audience)

    async def _send(self, alarm: Alarm, audience: Iterable[str]) -> list[str]:
        at = self._clock.now()
        if alarm.valid_to is not None and alarm.valid_to <= at:
            return []
        told: dict[tuple[str, str], int] = {}
        for sent in self.ledger.pointing_at(alarm.id):
            place = (sent.recipient, sent.channel)
            told[place] = max(told.get(place, -1), sent.rank)
        documents: list[Document] = []
        for recipient in self.ledger.concerned(alarm, audience):
            code = new_spoken_secret(_CODE_GROUPS)
            for channel in recipient.channels:
                # Told again only when it has become worse.
                if told.get((recipient.id, channel.name), -1) < rank_of(alarm.severity):
                    documents += delivery_documents(alarm, recipient, channel, at, code, digest(code))
        secrecy = max(_INTERNAL, self._broker.class_of(CITY, alarm.id))
        await self._write(documents, "deliver", secrecy)
        return [item["id"] for item in documents if item["type"] == [DELIVERY]]

    async def _on_command(self, command: Document) -> None:
        outcome = _TAKEN.get(str(value_of(command, "status")))
        if outcome is None:
            return
        now = self._clock.now()

        def taken(delivery: Delivery) -> Edits:
            if delivery.status != Status.SENT:
                return {}
            edits: dict[str, Instance] = {"status": prop(outcome.value, at=now)}
            if outcome is Status.DELIVERED:
                edits["deliveredAt"] = prop(format_instant(now))
            return edits

        for delivery in self.ledger.pointing_at(command["id"]):
            await self._edit(delivery.id, taken, "taken")

    # Receipts

    async def confirm(self, code: str, *, address: str = "") -> Delivery:
        """Whoever has the code of a delivery says that they know. Raises ResourceNotFound, and
        TooManyAttempts when many wrong ones came from that network: a code is short enough to be typed.

        Saying it twice is as good as once.
        """
        network = network_of(address)
        if (wait := self._misses.wait(network)) > 0:
            raise TooManyAttempts("Too many wrong codes from here", retry_after=math.ceil(wait))
        delivery_id = self._codes.get(digest(code.strip().lower())) if len(code) <= _LONGEST_CODE else None
        if delivery_id is None:
            self._misses.failed(network)
            raise _not_found("This code confirms nothing")
        return await self._confirmed(delivery_id, "code")

    async def confirm_as(self, actor: Actor, delivery_id: str) -> Delivery:
        """The recipient's account says that they know, or staff who reached them.

        Raises ResourceNotFound; NotAllowed for anybody else.
        """
        delivery = self.ledger.delivery(delivery_id)
        if delivery is None:
            raise _not_found("There is no such delivery")
        if not self.ledger.is_theirs(actor, delivery):
            require(actor, _PERMISSION)
        return await self._confirmed(delivery_id, actor.id)

    async def _confirmed(self, delivery_id: str, by: str) -> Delivery:
        now = self._clock.now()

        def confirmed(delivery: Delivery) -> Edits:
            if delivery.confirmed_at is not None:
                return {}
            return {
                "status": prop(Status.CONFIRMED.value, at=now),
                "confirmedAt": prop(format_instant(now)),
                "confirmedBy": prop(by),
            }

        found = await self._edit(delivery_id, confirmed, "confirm")
        # One receipt counts for all channels, and for what was sent before it became worse.
        for other in self.ledger.pointing_at(found.alert):
            if other.recipient == found.recipient and other.rank <= found.rank:
                await self._edit(other.id, confirmed, "confirm")
        alarm = self.ledger.alarm(found.alert)
        if alarm is not None:
            await self._editing.edit(CITY, alarm.id, _first_receipt(now), trace="people:confirm")
            await self._chasing.bring_up_to_date(alarm)
        return found

    async def _end(self, alarm: Alarm) -> None:
        """The warning is over: receipts are awaited no more."""
        now = self._clock.now()

        def ended(delivery: Delivery) -> Edits:
            return {"status": prop(Status.ENDED.value, at=now)} if delivery.status in AWAITED else {}

        deliveries = self.ledger.pointing_at(alarm.id)
        for delivery in deliveries:
            await self._edit(delivery.id, ended, "end")
        if deliveries:
            await self._chasing.bring_up_to_date(alarm)

    async def escalate(self, at: datetime) -> list[str]:
        """Tell others of the receipts that are missing at `at`; returns the deliveries concerned."""

        def missing(delivery: Delivery) -> Edits:
            if delivery.status not in AWAITED:
                return {}
            return {
                "status": prop(Status.UNCONFIRMED.value, at=at),
                "escalatedAt": prop(format_instant(at)),
            }

        late = [one for one, until in list(self._awaited.items()) if until <= at and self._is_there(one)]
        alerts = dict.fromkeys([(await self._edit(one, missing, "escalate")).alert for one in late])
        for alert_id in alerts:
            alarm = self.ledger.alarm(alert_id)
            if alarm is not None:
                await self._chasing.bring_up_to_date(alarm)
                # Those who are told instead need not confirm: the staff's alert is handled.
                await self._send(msgspec.structs.replace(alarm, confirm_within=None), alarm.escalate_to)
        return late

    # Inside

    def _is_there(self, delivery_id: str) -> bool:
        """False for a delivery that was deleted: then nothing is awaited of it."""
        there = self.ledger.delivery(delivery_id) is not None
        if not there:
            del self._awaited[delivery_id]
        return there

    async def _edit(self, delivery_id: str, decide: Callable[[Delivery], Edits], did: str) -> Delivery:
        document = await self._editing.edit(
            CITY, delivery_id, lambda there: decide(delivery_of(there)), trace=f"people:{did}"
        )
        found = delivery_of(document)
        self._note(found)
        return found

    async def _write(self, documents: Sequence[Document], did: str, secrecy: InformationClass) -> None:
        if not documents:
            return
        outcome = await self._broker.upsert_many(
            CITY, documents, update=True, information_class=secrecy, trace=f"people:{did}"
        )
        for _, error in outcome.errors:
            raise error
        for document in documents:
            if document["type"] == [DELIVERY]:
                self._note(delivery_of(document))

    def _note(self, delivery: Delivery) -> None:
        """Keep in mind what is awaited, and what each code confirms."""
        if delivery.status in AWAITED and delivery.confirm_until is not None:
            self._awaited[delivery.id] = delivery.confirm_until
        else:
            self._awaited.pop(delivery.id, None)
        self._codes[delivery.code_digest] = delivery.id


def _first_receipt(now: datetime) -> Callable[[Document], Edits]:
    """Notes on the Alert when somebody first said that they know, so that it can be counted."""

    def edits(alert: Document) -> Edits:
        return {} if "confirmedAt" in alert["attrs"] else {"confirmedAt": prop(format_instant(now))}

    return edits


def _not_found(message: str) -> ResourceNotFound:
    return ResourceNotFound(message, hint=Worded("Look at the message again, or at your page."), where="code")
