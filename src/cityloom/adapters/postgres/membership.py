"""Which processes follow a stage now: each says so every second, in a row of its own.

Only a matter of who does what: where two believe that a partition is theirs, the cursors decide.
"""

from __future__ import annotations

import uuid
from typing import LiteralString

from cityloom.adapters.postgres.connection import Line
from cityloom.adapters.postgres.database import Database

#: Seconds between two signs of life, and after how many a process is taken for gone.
BEAT_S, GONE_S = 1.0, 3.5

_BEAT: LiteralString = """
    INSERT INTO follower VALUES (%s, %s, %s, clock_timestamp())
    ON CONFLICT (process) DO UPDATE SET seen_at = excluded.seen_at
"""
_LIVE: LiteralString = (
    "SELECT process::text FROM follower WHERE stage = %s"
    " AND seen_at > clock_timestamp() - %s * interval '1 second'"
)
_COUNT: LiteralString = (
    "SELECT stage, count(*) FROM follower"
    " WHERE seen_at > clock_timestamp() - %s * interval '1 second' GROUP BY stage"
)
_GONE: LiteralString = "DELETE FROM follower WHERE process = %s OR seen_at < now() - interval '1 h'"


class Membership:
    """This process among those of its stage. Blocking; from one thread at a time."""

    def __init__(self, database: Database, stage: str, host: str) -> None:
        self._line = database.line("followers")
        self._stage = stage
        self._host = host
        self._id = uuid.uuid4()
        #: The name of this process among the others.
        self.name = str(self._id)

    def beat(self) -> list[str]:
        """Give a sign of life; returns the names of all that did lately. Raises NotReady."""
        with self._line.transaction() as connection:
            connection.execute("SELECT set_config('synchronous_commit', 'local', true)")
            connection.execute(_BEAT, (self._id, self._stage, self._host))
        return [str(one) for (one,) in self._line.rows(_LIVE, (self._stage, GONE_S))]

    def leave(self) -> None:
        """Have the others take over at once. Raises NotReady."""
        with self._line.transaction() as connection:
            connection.execute(_GONE, (self._id,))


def followers_of(line: Line) -> dict[str, int]:
    """How many processes follow each stage now."""
    return {str(stage): int(count) for stage, count in line.rows(_COUNT, (GONE_S,))}
