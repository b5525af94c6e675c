"""The feed in PostgreSQL as other processes look into it, partition by partition."""

from __future__ import annotations

from typing import LiteralString

from cityloom.adapters.postgres.database import Database
from cityloom.adapters.postgres.feed import COLUMNS
from cityloom.adapters.sql.rows import change_of
from cityloom.context.parcels import Stays, partition_of
from cityloom.kernel.change import Change

#: Changes that come from the server at a time.
_AT_ONCE = 2_000

_IDS: LiteralString = (
    "SELECT sequence, entity_id FROM change WHERE sequence > %s AND sequence <= %s ORDER BY sequence"
)
_READ: LiteralString = f"SELECT {COLUMNS} FROM change WHERE sequence = ANY(%s) ORDER BY sequence"


class PostgresPartsFeed:
    """A `PartsFeed` in one schema; it only reads."""

    def __init__(self, database: Database, stays: Stays) -> None:
        self._stays = stays
        self._line = database.line("feed, partitions")

    def last_sequence(self) -> int:
        """The sequence of the newest change."""
        found = self._line.row("SELECT last FROM feed_head")
        return int(found[0]) if found else 0

    def read_part(self, partition: int, parts: int, after: int, through: int) -> list[Change]:
        found = [
            int(sequence)
            for sequence, entity_id in self._line.rows(_IDS, (after, through))
            if partition_of(entity_id, parts) == partition
        ]
        return [
            change
            for begin in range(0, len(found), _AT_ONCE)
            for row in self._line.rows(_READ, (found[begin : begin + _AT_ONCE],))
            if not self._stays((change := change_of(row)).types)
        ]
