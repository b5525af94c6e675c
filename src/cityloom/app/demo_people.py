"""The people of a simulated city confirm warnings, through the door that a person's account comes in by."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime

from cityloom.context.broker import Broker
from cityloom.kernel.actor import CITY, Actor
from cityloom.kernel.change import Change, ChangeKind
from cityloom.kernel.errors import CityError
from cityloom.kernel.time import Clock
from cityloom.people.deliveries import Deliveries
from cityloom.people.delivery import AWAITED, DELIVERY, Delivery
from cityloom.sensing.demo_city import SIMULATED_ACCOUNT, ConfirmsAfter

_log = logging.getLogger(__name__)

_STAGE = "demo-people"
#: Seconds of the machine's time between two looks at the city's clock.
_LOOK_EVERY = 0.25


class DemoPeople:
    """Confirms what was sent to simulated people once it is time. Lives on the event loop."""

    def __init__(
        self, broker: Broker, deliveries: Deliveries, clock: Clock, confirms_after: ConfirmsAfter
    ) -> None:
        self._broker = broker
        self._deliveries = deliveries
        self._clock = clock
        self._confirms_after = confirms_after
        #: Deliveries that will be confirmed: when, and by whom.
        self._coming: dict[str, tuple[datetime, Actor]] = {}

    async def run(self) -> None:
        """Confirm until cancelled."""
        self._broker.follow(_STAGE, self._on_changes, durable=False)
        try:
            for delivery in self._deliveries.ledger.deliveries(CITY):
                self._note(delivery)
            while True:
                await self.confirm()
                await asyncio.sleep(_LOOK_EVERY)
        finally:
            await self._broker.leave(_STAGE)

    async def confirm(self) -> None:
        """Confirm what it is time for."""
        now = self._clock.now()
        for delivery_id, (at, actor) in list(self._coming.items()):
            if at > now:
                continue
            del self._coming[delivery_id]
            try:
                await self._deliveries.confirm_as(actor, delivery_id)
            except CityError as error:
                _log.warning("A simulated receipt did not come: %s", error)

    async def _on_changes(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if DELIVERY in change.types and change.kind is not ChangeKind.DELETED:
                delivery = self._deliveries.ledger.delivery(change.entity_id)
                if delivery is not None:
                    self._note(delivery)

    def _note(self, delivery: Delivery) -> None:
        self._coming.pop(delivery.id, None)
        account = self._deliveries.ledger.recipient(delivery.recipient).account
        if (
            delivery.status not in AWAITED
            or delivery.sent_at is None
            or not account.startswith(SIMULATED_ACCOUNT)
        ):
            return
        after = self._confirms_after(delivery.recipient, delivery.sent_at)
        if after is not None:
            self._coming[delivery.id] = delivery.sent_at + after, Actor(id=account, name=account)
