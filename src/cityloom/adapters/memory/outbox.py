"""What waits to be sent, in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from cityloom.subscriptions.model import Pending, Tally
from cityloom.subscriptions.ports import Key


class MemoryOutbox:
    """An `Outbox` that survives nothing."""

    def __init__(self) -> None:
        self._items: dict[int, Pending] = {}
        self._tallies: dict[Key, Tally] = {}
        self._newest = 0

    def lanes(self) -> Mapping[str, int]:
        return Counter(item.lane for item in self._items.values())

    def newest(self) -> int:
        return self._newest

    def tallies(self) -> Iterable[tuple[Key, Tally]]:
        return [(key, msgspec.structs.replace(tally)) for key, tally in self._tallies.items()]

    def add(self, items: Sequence[Pending]) -> None:
        for item in items:
            self._items[item.place] = item
            self._newest = max(self._newest, item.place)

    def read(self, lane: str, after: int, limit: int) -> list[Pending]:
        places = sorted(place for place, item in self._items.items() if item.lane == lane and place > after)
        return [self._items[place] for place in places[:limit]]

    def sizes(self) -> Mapping[Key, int]:
        found: Counter[Key] = Counter()
        for item in self._items.values():
            found[item.tenant, item.subscription] += len(item.shown)
        return found

    def oldest(self, key: Key, limit: int) -> list[Pending]:
        places = sorted(
            place for place, item in self._items.items() if (item.tenant, item.subscription) == key
        )
        return [self._items[place] for place in places[:limit]]

    def settle(self, places: Sequence[int], tallies: Sequence[tuple[Key, Tally]]) -> None:
        for place in places:
            self._items.pop(place, None)
        for key, tally in tallies:
            self._tallies[key] = msgspec.structs.replace(tally)

    def forget(self, keys: Sequence[Key]) -> None:
        gone = set(keys)
        self._items = {
            place: item for place, item in self._items.items() if (item.tenant, item.subscription) not in gone
        }
        for key in keys:
            self._tallies.pop(key, None)

    def close(self) -> None:
        """Nothing is held open."""
