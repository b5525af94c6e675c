"""Registers in memory."""

from __future__ import annotations

from collections.abc import Sequence

from cityloom.context.ports import Entry


class MemoryRegister:
    """A `Register` that survives nothing."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str, str], Entry] = {}

    def load(self, kind: str) -> list[Entry]:
        return [entry for (of, _, _), entry in self._entries.items() if of == kind]

    def put(self, kind: str, entry: Entry) -> None:
        self._entries[kind, entry.tenant, entry.id] = entry

    def remove(self, kind: str, tenant: str, ids: Sequence[str]) -> None:
        for id in ids:
            self._entries.pop((kind, tenant, id), None)
