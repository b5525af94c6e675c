"""How long it takes until what is written is durable: a feed that times another one."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

from cityloom.context.ports import Feed
from cityloom.kernel.change import Change
from cityloom.kernel.measures import Durations
from cityloom.kernel.spans import span_of

#: Seconds from which a commit counts as slow: the disk hardly keeps up, or is about to fail.
SLOW_S = 1.0


class CommitTimes:
    """Written by the thread that commits."""

    def __init__(self) -> None:
        self.durations = Durations()
        self.slow = 0
        #: When the last slow one ended, seconds of `perf_counter`; None before the first.
        self.slow_at: float | None = None
        self.failed = 0
        #: Of those, how many since the last one that was stored.
        self.failing = 0

    def slow_ago_s(self) -> float | None:
        """Seconds since the last slow commit, None where there was none."""
        return None if self.slow_at is None else perf_counter() - self.slow_at


class TimedFeed:
    """A `Feed` over another: notes how long each commit takes, one note a commit and none a change."""

    def __init__(self, feed: Feed, times: CommitTimes) -> None:
        self._feed = feed
        self._times = times
        self.where = feed.where
        self.read = feed.read
        self.last_sequence = feed.last_sequence
        self.trim = feed.trim
        self.cursor = feed.cursor
        self.set_cursor = feed.set_cursor
        self.close = feed.close

    def append(self, changes: Sequence[Change]) -> None:
        """See `Feed.append`."""
        began = perf_counter()
        try:
            with span_of("commit", changes):
                self._feed.append(changes)
        except BaseException:
            self._times.failed += 1
            self._times.failing += 1
            raise
        self._times.failing = 0
        ended = perf_counter()
        took = ended - began
        self._times.durations.note(took)
        if took >= SLOW_S:
            self._times.slow += 1
            self._times.slow_at = ended
