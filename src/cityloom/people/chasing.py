"""Tells staff which receipts are missing: one alert for the warnings of a night, with the names."""

from __future__ import annotations

from typing import get_args

from cityloom.kernel.actor import CITY, Actor
from cityloom.kernel.change import Because
from cityloom.operations.alerts import AlertQuery, Alerts, Occasion, Origin
from cityloom.operations.model import Status as AlertStatus
from cityloom.people.delivery import Alarm, Delivery, Recipient, Status, group_of
from cityloom.people.ledger import Ledger

#: The city itself, with an operator's leave to raise an alert.
CHASER = Actor(
    id="deliveries",
    name="Deliveries",
    roles=frozenset({"city"}),
    permissions=CITY.permissions | {"alerts:handle"},
    clearance=CITY.clearance,
)
_NOT_CLEARED = frozenset(status.value for status in AlertStatus) - {AlertStatus.CLEARED.value}


class Chasing:
    """Keeps the staff's alert on missing receipts as the ledger is."""

    def __init__(self, ledger: Ledger, alerts: Alerts) -> None:
        self._ledger = ledger
        self._alerts = alerts

    async def bring_up_to_date(self, alarm: Alarm) -> None:
        """Raise the alert, name those who are missing now, or clear it."""
        key = group_of(alarm)
        missing = self._missing(key)
        if missing:
            await self._alerts.raise_(CHASER, self._occasion(key, alarm, missing), trace="people:escalate")
            return
        for found in self._alerts.list(CHASER, AlertQuery(statuses=_NOT_CLEARED, limit=1000)).alerts:
            if found.key == key:
                await self._alerts.clear(CHASER, found.id, "All have confirmed, or the warning is over.")

    def _occasion(self, key: str, alarm: Alarm, missing: list[Delivery]) -> Occasion:
        people = {item.recipient: self._ledger.recipient(item.recipient) for item in missing}
        return Occasion(
            key=key,
            category="warning",
            sub_category="unconfirmed",
            severity=alarm.severity,
            description=_text(list(people.values())),
            about=tuple(sorted(people)),
            valid_to=alarm.valid_to,
            # A receipt is missing of a warning: it is as real as that is.
            origin=next((one for one in get_args(Origin) if one == alarm.origin), "measured"),
            because=tuple(
                Because(about=item.id, attribute="confirmedAt", note="no receipt") for item in missing
            ),
        )

    def _missing(self, key: str) -> list[Delivery]:
        """Unconfirmed deliveries of the warnings of a group that are not over."""
        found = []
        for item in self._ledger.deliveries(CHASER):
            alarm = self._ledger.alarm(item.alert) if item.status == Status.UNCONFIRMED else None
            if alarm is not None and not alarm.is_over and group_of(alarm) == key:
                found.append(item)
        return found


def _text(people: list[Recipient]) -> dict[str, str]:
    names = ", ".join(sorted(f"{one.name} ({one.phone})" if one.phone else one.name for one in people))
    return {
        "en": f"A warning was not confirmed in time by {len(people)}: {names}. Reach them by telephone.",
        "da": f"Et varsel er ikke bekræftet i tide af {len(people)}: {names}. Ring til dem.",
    }
