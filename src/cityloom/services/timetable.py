"""Knows for one service which slot of city time is due, and which was missed."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from cityloom.services.manifest import WakesOn
from cityloom.services.schedule import last_slot, last_time_of_day, next_time_of_day

#: A slot is still worth deciding this long after it; later it is missed.
GRACE = timedelta(hours=1)


class Slot(msgspec.Struct, frozen=True):
    """A planned instant, and what it is called: "every" or "at:18:00"."""

    name: str
    at: datetime


class Timetable:
    """The slots of a manifest. `done` remembers the last slot handled of each kind."""

    def __init__(self, wakes: WakesOn, zone: ZoneInfo) -> None:
        self._wakes = wakes
        self._zone = zone
        self.done: dict[str, datetime] = {}
        #: The newest slot that went by unused: the city was not running.
        self.missed: datetime | None = None

    def due(self, now: datetime) -> list[Slot]:
        """Slots to decide now, earliest first. Marks them, and those missed, as done."""
        found = []
        for slot in self._slots(now - self._wakes.delay_length):
            done = self.done.get(slot.name)
            if done is not None and done > now:
                # The city's clock was set back (a replay began again).
                done = None
            if done is not None and slot.at <= done:
                continue
            self.done[slot.name] = slot.at
            if now - slot.at - self._wakes.delay_length <= GRACE:
                found.append(slot)
            elif done is not None:
                self.missed = slot.at
        return sorted(found, key=lambda slot: slot.at)

    def again(self, slot: Slot) -> None:
        """A slot could not be decided, and nobody was at fault: it is due again while it is worth it."""
        self.done[slot.name] = slot.at - timedelta(microseconds=1)

    def next_due(self, now: datetime) -> datetime | None:
        """When the next slot is decided; None for a service that changes alone wake."""
        delay = self._wakes.delay_length
        since = now - delay
        every = self._wakes.every_length
        candidates = [last_slot(since, every) + every + delay] if every else []
        candidates += [
            next_time_of_day(since, local, self._zone) + delay for local in self._wakes.times_of_day
        ]
        return min(candidates, default=None)

    def _slots(self, now: datetime) -> list[Slot]:
        every = self._wakes.every_length
        slots = [Slot("every", last_slot(now, every))] if every else []
        return slots + [
            Slot(f"at:{local:%H:%M}", last_time_of_day(now, local, self._zone))
            for local in self._wakes.times_of_day
        ]
