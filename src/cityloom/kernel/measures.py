"""How often, how long, how much: what is measured of the process, cheap enough for each request (0.3 µs)."""

from __future__ import annotations

from bisect import bisect_left

import msgspec

#: Upper bounds of the counts, seconds; the last count is of what took longer.
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Growth(msgspec.Struct, frozen=True):
    """How the disk fills up, as far as it has been watched."""

    #: For how long it has been watched.
    watched_s: float
    #: Bytes a day; None while too little is known.
    bytes_a_day: float | None
    #: Seconds until it is full; None where it does not fill up, or too little is known.
    full_in_s: float | None


class Durations:
    """Durations in seconds, counted by `BOUNDS`. One thread notes; others may read at any time."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        #: All of them together.
        self.seconds = 0.0

    @property
    def count(self) -> int:
        return sum(self.counts)

    def note(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds

    def add(self, other: Durations) -> None:
        """Count what another has counted, too."""
        self.counts = [own + more for own, more in zip(self.counts, other.counts, strict=True)]
        self.seconds += other.seconds

    def at_most(self, share: float) -> float | None:
        """The bound below which this share of them lies; None without any, infinity beyond the last."""
        wanted, seen = share * self.count, 0
        if not wanted:
            return None
        for bound, count in zip(BOUNDS, self.counts, strict=False):
            seen += count
            if seen >= wanted:
                return bound
        return float("inf")
