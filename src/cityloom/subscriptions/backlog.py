"""How much waits to be told, in bytes: for one subscription, for all of one owner, and in all.

Who asks for much and takes little must fill neither the disk nor the places of others: what is too much makes
room by its own oldest, and of all owners the one for whom most waits.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import msgspec

if TYPE_CHECKING:  # the configuration is read by commands that do without the language
    from cityloom.subscriptions.model import Pending
    from cityloom.subscriptions.ports import Key

_Bytes = Annotated[int, msgspec.Meta(ge=0)]
_Seconds = Annotated[float, msgspec.Meta(ge=0.01, le=86_400)]
_Share = Annotated[float, msgspec.Meta(gt=0, le=1)]


class Notifying(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """What telling others what changed may cost the city. Where too much waits the oldest is given up: its
    subscription then counts as failed, and the pages System and Other systems say so."""

    #: Bytes that wait for one subscription.
    subscription_bytes: _Bytes = 16_000_000
    #: Bytes that wait for all subscriptions of one owner.
    owner_bytes: _Bytes = 64_000_000
    #: Bytes that wait in all; beyond them whoever has most waiting gives up their oldest.
    all_bytes: _Bytes = 512_000_000
    #: Seconds between two notifications at intervals at least, whatever a subscription asks for.
    shortest_interval: _Seconds = 0.5
    #: Subscriptions of one owner that are told at intervals; more are refused with 403.
    at_intervals: Annotated[int, msgspec.Meta(ge=0)] = 100
    #: The share of the time that looking for what is told at intervals may take, of all of them together.
    share_of_time: _Share = 0.25


class Backlog:
    """Lives on the event loop."""

    def __init__(self, bounds: Notifying) -> None:
        self._bounds = bounds
        self._of: dict[Key, int] = {}
        self._owners: dict[Key, str] = {}
        self._of_owner: Counter[str] = Counter()
        self._all = 0

    def add(self, key: Key, owner: str, size: int) -> None:
        """Count bytes that wait for a subscription."""
        self._owners.setdefault(key, owner)
        self._of[key] = self._of.get(key, 0) + size
        self._of_owner[self._owners[key]] += size
        self._all += size

    def remove(self, item: Pending) -> None:
        """Count what waits no longer."""
        self._take((item.tenant, item.subscription), len(item.shown))

    def forget(self, key: Key) -> None:
        """Count nothing of a subscription that is gone."""
        self._take(key, self._of.get(key, 0))

    def excess(self) -> Key | None:
        """The subscription whose oldest must go; None where nothing must."""
        bounds = self._bounds
        if self._all <= min(bounds.subscription_bytes, bounds.owner_bytes, bounds.all_bytes):
            return None
        most = max(self._of, key=lambda key: self._of[key])
        if self._of[most] > bounds.subscription_bytes:
            return most
        owner, size = self._of_owner.most_common(1)[0]
        if size > bounds.owner_bytes or self._all > bounds.all_bytes:
            return max((key for key in self._of if self._owners[key] == owner), key=lambda key: self._of[key])
        return None

    def _take(self, key: Key, size: int) -> None:
        waiting = self._of.get(key)
        if waiting is None:
            return
        taken = min(size, waiting)
        owner = self._owners[key]
        self._all -= taken
        self._of_owner[owner] -= taken
        if self._of_owner[owner] <= 0:
            del self._of_owner[owner]
        if taken == waiting:
            del self._of[key], self._owners[key]
        else:
            self._of[key] = waiting - taken
