"""How many requests are worked on at once. What comes beyond that is turned away at the door, cheaply.

A city that takes more than it can do answers everybody too late: each waits behind all others, gives up, and
asks again. So a bounded number is worked on, and whoever comes beyond it is told when to come back.
"""

from __future__ import annotations

from typing import Protocol


class Answering(Protocol):
    """A request as uvicorn keeps it."""

    response_started: bool
    disconnected: bool


class Crowd:
    """Counts the requests that have come whole and whose answer has not begun.

    Streams pass: they are answered once they have begun, however long they go on. So do bodies that are
    still on their way: they cost no work yet, and have limits of their own.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: set[Answering] = set()

    def enter(self, request: Answering) -> None:
        self._waiting.add(request)

    def leave(self, request: Answering) -> None:
        """Its answer is complete, or nobody waits for it any more."""
        self._waiting.discard(request)

    def is_full(self) -> bool:
        """Whether no more can be taken."""
        if len(self._waiting) < self._most:
            return False
        self._waiting = {one for one in self._waiting if not (one.response_started or one.disconnected)}
        return len(self._waiting) >= self._most
