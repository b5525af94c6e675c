"""Plays a ReplaySource at a chosen speed, with a clock that never runs ahead of what was delivered."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from cityloom.kernel.errors import BadInput, NotReady
from cityloom.kernel.time import format_instant
from cityloom.ngsild.model import Document
from cityloom.sensing.contract import Inlet, ReplaySource, Settings
from cityloom.sensing.model import Message

#: Seconds of the city's time in one second: from real time to a day a second.
SLOWEST, FASTEST = 1.0, 86_400.0
#: Batches that are fetched from the source at once, in a thread.
AHEAD = 16
#: Longest wait, in machine seconds, before the clock is looked at again: its speed may have changed.
_LOOK = 0.1
#: Machine seconds before a delivery that failed is tried again.
_RETRY = 1.0

Batch = tuple[datetime, list[Document]]


class ReplayClock:
    """The city's time in a replay: a Clock, and the hand on it.

    It stands at `limit` until what was known then is delivered; so a slow machine makes a slow city and not
    one whose readings come late.
    """

    def __init__(self, start: datetime, speed: float, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._city = start
        self._machine = seconds()
        self._speed = _checked(speed)
        self._paused = False
        #: Nothing is delivered yet, so the clock waits at its start.
        self.limit = start

    @property
    def speed(self) -> float:
        """Seconds of the city's time in one second, while it is not paused."""
        return self._speed

    @property
    def paused(self) -> bool:
        return self._paused

    def now(self) -> datetime:
        """The city's instant, aware UTC."""
        self._move()
        return self._city

    def set_speed(self, speed: float) -> None:
        """Raises BadInput for a speed outside SLOWEST to FASTEST."""
        checked = _checked(speed)
        self._move()
        self._speed = checked

    def pause(self) -> None:
        self._move()
        self._paused = True

    def resume(self) -> None:
        self._move()
        self._paused = False

    def seek(self, instant: datetime) -> None:
        """Set the clock; the Replay notices and plays on from there."""
        self._move()
        self._city = self.limit = instant

    def _move(self) -> None:
        machine = self._seconds()
        passed, self._machine = machine - self._machine, machine
        if self._paused:
            return
        moved = self._city + timedelta(seconds=passed * self._speed)
        self._city = max(min(moved, self.limit), self._city)


class Connector:
    """What a replay is among the connectors: it brings whole Entities, so it has nothing to decode."""

    def __init__(self, settings: Settings) -> None:
        """A replay has no settings."""

    def decode(self, message: Message) -> list[Document]:
        """Raises BadInput: messages are not meant for a replay."""
        raise BadInput(
            "A replay takes no messages", hint="Send it to another connector.", where=message.connector
        )


class Replay:
    """Delivers a source's observations when the clock reaches them."""

    def __init__(self, source: ReplaySource, clock: ReplayClock) -> None:
        self.source = source
        self.clock = clock
        #: The instant through which everything is delivered.
        self.delivered = clock.now()
        self._sought = asyncio.Event()

    @property
    def ended(self) -> bool:
        """Whether the source has nothing more to tell."""
        return self.delivered >= self.source.end

    def seek(self, instant: datetime) -> None:
        """Play on from another instant. Raises BadInput outside the source."""
        if not self.source.start <= instant < self.source.end:
            raise BadInput(
                f"{format_instant(instant)} is outside the replay",
                hint=f"Choose from {format_instant(self.source.start)} to {format_instant(self.source.end)}.",
                where="instant",
            )
        self.clock.seek(instant)
        self._sought.set()

    async def run(self, inlet: Inlet) -> None:
        """Play until cancelled; at the source's end the clock is paused."""
        inlet.listening(f"{self.source.name}, from {format_instant(self.clock.now())}")
        while True:
            self._sought.clear()
            await self._play(inlet)
            if not self._sought.is_set():
                self.delivered = self.source.end
                self.clock.pause()
                await self._sought.wait()

    async def _play(self, inlet: Inlet) -> None:
        batches = iter(self.source.batches(self.clock.now()))
        while fetched := await asyncio.to_thread(_next_ones, batches):
            for instant, documents in fetched:
                self.clock.limit = instant
                if not await self._reached(instant):
                    return
                await self._deliver(inlet, documents)
                self.delivered = instant

    async def _reached(self, instant: datetime) -> bool:
        """Wait for the clock; False when the replay was sought elsewhere."""
        while (left := (instant - self.clock.now()).total_seconds()) > 0:
            if self._sought.is_set():
                return False
            await asyncio.sleep(min(left / self.clock.speed, _LOOK))
        return not self._sought.is_set()

    async def _deliver(self, inlet: Inlet, documents: list[Document]) -> None:
        while not self._sought.is_set():
            try:
                await inlet.deliver_documents(documents)
            except NotReady as error:
                inlet.troubled(str(error))
                await asyncio.sleep(_RETRY)
            else:
                return


def _next_ones(batches: Iterator[Batch]) -> list[Batch]:
    return list(itertools.islice(batches, AHEAD))


def _checked(speed: float) -> float:
    if not math.isfinite(speed) or not SLOWEST <= speed <= FASTEST:
        raise BadInput(
            f"The city cannot go {speed:g} times as fast as the world",
            hint=f"Choose from {SLOWEST:g} to {FASTEST:g}; 60 is an hour a minute.",
            where="speed",
        )
    return speed
