"""How fast a device may send."""

from __future__ import annotations


class TokenBucket:
    """`rate` messages a second in the long run, `burst` at once. Who spends more must wait."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = now

    def spend(self, count: int, now: float) -> float:
        """Take `count` tokens; returns the seconds to wait until there are some again, 0 when there are."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate) - count
        self._at = now
        return -self._tokens / self._rate if self._tokens < 0 else 0.0
