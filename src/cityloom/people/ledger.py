"""Reads who wants to be warned and what was sent to them."""

from __future__ import annotations

from collections.abc import Iterable

from cityloom.context.broker import Broker
from cityloom.context.summaries import Summaries
from cityloom.kernel.actor import CITY, Actor
from cityloom.ngsild.model import content
from cityloom.people.delivery import (
    DELIVERY,
    RECIPIENT,
    Alarm,
    Delivery,
    Recipient,
    alarm_of,
    concerns,
    delivery_of,
    recipient_of,
)


class Ledger:
    """Queries on recipients and deliveries. Those that take no Actor are for the room itself."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._recipients = Summaries(broker, RECIPIENT, recipient_of)
        self._deliveries = Summaries(broker, DELIVERY, delivery_of)

    def recipients(self, actor: Actor) -> list[Recipient]:
        """Everybody who wants to be warned, as far as the actor may see them."""
        return list(self._recipients.all(actor))

    def deliveries(self, actor: Actor) -> list[Delivery]:
        """What was sent, the newest first, as far as the actor may see it."""
        return sorted(self._deliveries.all(actor), key=_sent, reverse=True)

    def inbox(self, actor: Actor) -> list[Delivery]:
        """What was sent to the actor's own page, whatever their clearance; the newest first."""
        theirs = {item.id for item in self.recipients(CITY) if item.account and item.account == actor.id}
        return [item for item in self.deliveries(CITY) if item.recipient in theirs and item.channel == "page"]

    def delivery(self, delivery_id: str) -> Delivery | None:
        """One delivery, None when there is none of that id."""
        document = self._broker.find(CITY, delivery_id)
        return None if document is None or DELIVERY not in document["type"] else delivery_of(document)

    def pointing_at(self, entity_id: str) -> list[Delivery]:
        """The deliveries of an Alert, or that of a Command."""
        found = (self.delivery(one) for one in self._broker.referrers(CITY, entity_id))
        return [item for item in found if item is not None]

    def alarm(self, alert_id: str) -> Alarm | None:
        """The warning as it stands now."""
        document = self._broker.find(CITY, alert_id)
        return None if document is None else alarm_of(document)

    def recipient(self, recipient_id: str) -> Recipient:
        """A recipient; one who has gone since has a name still."""
        document = self._broker.find(CITY, recipient_id)
        if document is None:
            return Recipient(id=recipient_id, name=recipient_id.rpartition(":")[2], audience=(), channels=())
        return recipient_of(document)

    def is_theirs(self, actor: Actor, delivery: Delivery) -> bool:
        """Whether a delivery was sent to this actor."""
        account = self.recipient(delivery.recipient).account
        return bool(account) and account == actor.id

    def concerned(self, alarm: Alarm, audience: Iterable[str]) -> list[Recipient]:
        """Who of an audience is to be told."""
        near, wanted = self._near(alarm.about), tuple(audience)
        return [one for one in self.recipients(CITY) if concerns(one, alarm, wanted, near)]

    def _near(self, about: Iterable[str]) -> set[str]:
        """Entities that those the warning is about point at, or that point at them: a station's farm."""
        near: set[str] = set()
        for entity_id in about:
            near.update(self._broker.referrers(CITY, entity_id))
            document = self._broker.find(CITY, entity_id) or {"attrs": {}}
            for instances in document["attrs"].values():
                for item in instances:
                    if item["type"] == "Relationship":
                        target = content(item)
                        near.update([target] if isinstance(target, str) else target)
        return near


def _sent(delivery: Delivery) -> float:
    return delivery.sent_at.timestamp() if delivery.sent_at else 0.0
