"""Who wants to join: devices that asked to connect and are not admitted. In memory, and bounded."""

from __future__ import annotations

from collections import Counter, OrderedDict
from datetime import datetime

import msgspec

from cityloom.sensing.model import Waiting

#: Names kept; the one that was silent the longest makes room. A device that waits asks again.
MOST = 1_000
#: Names kept for one address, so that a single guest cannot push the others out.
MOST_FROM_ONE_ADDRESS = 100
LONGEST_NAME = 128


class WaitingList:
    """The bounded list."""

    def __init__(self, most: int = MOST, most_from_one_address: int = MOST_FROM_ONE_ADDRESS) -> None:
        self._most = most
        self._most_from_one_address = most_from_one_address
        self._by_name: OrderedDict[str, Waiting] = OrderedDict()
        self._from_address: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._by_name)

    def note(self, name: str, address: str, now: datetime) -> None:
        """Somebody asked."""
        name = "".join(letter if letter.isprintable() else "\ufffd" for letter in name[:LONGEST_NAME])
        if not name:
            return
        known = self._by_name.get(name)
        if known is not None:
            self.forget(name)
            self._add(msgspec.structs.replace(known, address=address, last=now, count=known.count + 1))
            return
        if self._from_address[address] >= self._most_from_one_address:
            self.forget(next(entry.name for entry in self._by_name.values() if entry.address == address))
        elif len(self._by_name) >= self._most:
            self.forget(next(iter(self._by_name)))
        self._add(Waiting(name, address, now, now))

    def forget(self, name: str) -> None:
        """It is admitted, or refused for good."""
        entry = self._by_name.pop(name, None)
        if entry is not None:
            self._from_address[entry.address] -= 1
            if not self._from_address[entry.address]:
                del self._from_address[entry.address]

    def newest(self) -> list[Waiting]:
        """The one that asked last comes first."""
        return list(reversed(self._by_name.values()))

    def _add(self, entry: Waiting) -> None:
        self._by_name[entry.name] = entry
        self._from_address[entry.address] += 1
