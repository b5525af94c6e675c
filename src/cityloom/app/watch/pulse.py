"""Once a second: how far the feed is, what was counted, how late the event loop comes, what time it is."""

from __future__ import annotations

import asyncio
import gc
import logging
import shutil
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cityloom.app.watch.growth import (
    SAMPLED_EVERY_S,
    Sample,
    grown,
    read_samples,
    with_sample,
    write_samples,
)
from cityloom.kernel.measures import Durations, Growth

_log = logging.getLogger(__name__)
BEAT_S = 1.0
#: How far back it can be told when a change was written.
REMEMBERED = 3600
#: Beats over which rates are taken.
RATED = 60
#: The clock was set where it has moved by so many seconds against the one that nobody can set.
CLOCK_SET_S = 5.0


class _Beat(NamedTuple):
    at: float
    sequence: int
    counts: Mapping[str, int]
    lag: float


class Pulse:
    """`last_sequence` tells how far the feed is; `counts` what has been counted since the start, by name."""

    def __init__(
        self, samples: Path, *, last_sequence: Callable[[], int], counts: Callable[[], Mapping[str, int]]
    ) -> None:
        self._samples = samples
        self._last_sequence = last_sequence
        self._counts = counts
        self._beats: deque[_Beat] = deque(maxlen=RATED + 1)
        #: Beside the beats, and longer: when which sequence was reached.
        self._reached: deque[tuple[float, int]] = deque(maxlen=REMEMBERED)
        #: How much later than it should the loop came to a beat.
        self.lateness = Durations()
        self.collecting_s = 0.0
        self.collections = 0
        self.clock_moved_s = 0.0
        self._collecting_since = 0.0
        self._clocks = time.time() - time.monotonic()
        self.kept = read_samples(samples)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        gc.callbacks.append(self._collects)
        self._task = asyncio.create_task(self._beat_on(), name="pulse")

    async def stop(self) -> None:
        if self._collects in gc.callbacks:
            gc.callbacks.remove(self._collects)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def growth(self) -> Growth:
        return grown(self.kept)

    def behind_s(self, cursor: int, last_sequence: int) -> float:
        """Seconds since the oldest change after `cursor` was written, to a beat; 0.0 where there is none."""
        if cursor >= last_sequence:
            return 0.0
        now = time.monotonic()
        since = now
        for at, sequence in reversed(self._reached):
            since = at
            if sequence <= cursor:
                break
        return now - since

    def rates(self) -> dict[str, float]:
        """What was counted in the last minute, each second."""
        if len(self._beats) < 2:
            return {}
        first, last = self._beats[0], self._beats[-1]
        span = last.at - first.at
        rates = {name: (count - first.counts.get(name, 0)) / span for name, count in last.counts.items()}
        return {"changes": (last.sequence - first.sequence) / span} | rates

    def worst_lag_s(self) -> float:
        """The most that the loop came too late in the last minute."""
        return max((beat.lag for beat in self._beats), default=0.0)

    def beat(self, lag: float = 0.0) -> None:
        """Note how things are now."""
        now = time.monotonic()
        sequence = self._last_sequence()
        self._beats.append(_Beat(now, sequence, dict(self._counts()), lag))
        self._reached.append((now, sequence))
        self.lateness.note(lag)
        moved = time.time() - now - self._clocks
        if abs(moved) > CLOCK_SET_S:
            self.clock_moved_s += moved
            self._clocks += moved
            _log.warning("The machine's clock was set by %.0f seconds", moved)

    async def _beat_on(self) -> None:
        loop = asyncio.get_running_loop()
        sampled = -SAMPLED_EVERY_S
        while True:
            wanted = loop.time() + BEAT_S
            await asyncio.sleep(BEAT_S)
            self.beat(max(0.0, loop.time() - wanted))
            if wanted - sampled >= SAMPLED_EVERY_S:
                sampled = wanted
                await asyncio.to_thread(self._sample)

    def _sample(self) -> None:
        new = Sample(time.time(), shutil.disk_usage(self._samples.parent).free)
        self.kept = with_sample(self.kept, new)
        try:
            write_samples(self._samples, self.kept)
        except OSError as error:
            _log.warning("How the disk fills up cannot be noted: %s", error)

    def _collects(self, phase: str, _said: dict[str, Any]) -> None:
        if phase == "start":
            self._collecting_since = time.perf_counter()
        else:
            self.collecting_s += time.perf_counter() - self._collecting_since
            self.collections += 1
