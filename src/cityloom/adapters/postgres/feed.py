"""The feed in PostgreSQL: rows of changes, and one row that says where the feed ends and who may write.

Order. A number that a sequence object hands out may commit after a later one, and a reader that has passed
the later one would never see it. Here numbers are given by the writer, and each append moves `feed_head`
from the number before its first change to that of its last: this row is locked from then until the commit
is visible. So appends commit one after the other, in the order of their numbers, also from several
processes, and what a reader sees of the feed always ends without a hole.

Whose feed it is. `feed_head.writer` names the process that opened the feed last. Another one's append
fails (`FeedTaken`), since its memory of the city is no longer true.

In doubt. When the connection is lost while an append commits, nobody knows whether it is stored. Then the
feed is taken once more under a new name, which waits for a commit that is still under way and refuses one
that would come late; where the feed ends now tells what happened to the append. Nothing is stored twice.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any, LiteralString

import msgspec
import psycopg

from cityloom.adapters.postgres.connection import GOES_ON, Connection, ConnectionLost, InDoubt
from cityloom.adapters.postgres.database import Database
from cityloom.adapters.sql.rows import change_of
from cityloom.kernel.change import Change
from cityloom.kernel.errors import NotReady, TakenOver

MIGRATIONS: tuple[LiteralString, ...] = (
    """
    CREATE TABLE change (
        sequence bigint NOT NULL,
        tenant text NOT NULL,
        entity_id text NOT NULL,
        types text NOT NULL,
        kind smallint NOT NULL,
        information_class smallint NOT NULL,
        document bytea NOT NULL,
        attributes text NOT NULL,
        at_millis bigint NOT NULL,
        by text NOT NULL,
        trace text NOT NULL,
        before bytea NOT NULL,
        PRIMARY KEY (sequence, entity_id)
    );
    CREATE TABLE feed_head (
        one smallint PRIMARY KEY CHECK (one = 1),
        last bigint NOT NULL,
        trimmed bigint NOT NULL,
        writer uuid NOT NULL
    ) WITH (fillfactor = 10);
    INSERT INTO feed_head VALUES (1, 0, 0, gen_random_uuid());
    CREATE TABLE stage (name text PRIMARY KEY, cursor bigint NOT NULL);
    """,
)

#: Up to so many changes go in one exchange with the server; more are copied in, in four.
_ONE_BY_ONE = 4
#: Rows deleted in one transaction, so that a commit waits at most some milliseconds for trimming.
_ROWS_A_TRIM = 5000
#: Seconds between two looks at a server that is gone while an append is in doubt.
_DOUBT_PAUSE_S = 0.2

#: Of a change, as `sql.rows.change_of` reads them.
COLUMNS: LiteralString = (
    "sequence, tenant, entity_id, types, kind, information_class, document, attributes, at_millis, by, trace,"
    " before"
)
_TYPES = ("int8", "text", "text", "text", "int2", "int2", "bytea", "text", "int8", "text", "text", "bytea")
_INSERT: LiteralString = (
    f"INSERT INTO change ({COLUMNS}) VALUES (%b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b)"
)
_COPY: LiteralString = f"COPY change ({COLUMNS}) FROM STDIN (FORMAT binary)"
_READ: LiteralString = f"SELECT {COLUMNS} FROM change WHERE sequence > %s ORDER BY sequence LIMIT %s"
#: Where the feed ends elsewhere, or is another's, `last` becomes NULL, which the table refuses.
_MOVE = "UPDATE feed_head SET last = CASE WHEN last = %b AND writer = %b THEN %b::bigint END"
_TAKE = "UPDATE feed_head SET writer = %s WHERE %s OR writer = ANY(%s) RETURNING last"
_END_SESSION = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s AND pid <> %s"
    " AND usename = current_user AND split_part(application_name, '@', 1) = 'cityloom feed'"
)
_TRIM_FROM = "SELECT trimmed FROM feed_head WHERE writer = ANY(%s) FOR UPDATE"

_encode = msgspec.json.Encoder().encode


class FeedTaken(TakenOver):
    """Another process writes this feed now, or it does not end where this one knows it to."""


class PostgresFeed:
    """A `Feed` in one schema."""

    where = "the feed in PostgreSQL"

    def __init__(self, database: Database) -> None:
        self._writer = database.line("feed", made=self._follows_session)
        self._reader = database.line("feed, reading")
        #: All names under which this process may have taken the feed, and that under which it has.
        self._names: list[uuid.UUID] = []
        self._name = uuid.UUID(int=0)
        #: The server's process for the newest connection of the writer.
        self._session = 0
        self._last = self._take(anyway=True)

    def append(self, changes: Sequence[Change]) -> None:
        if not changes:
            return
        if changes[0].sequence != self._last + 1:
            raise ValueError(f"change {changes[0].sequence} does not follow {self._last}")
        try:
            self._store(changes)
        except ConnectionLost:
            # Nothing of it is stored, nor can be later: once more, on a new connection.
            self._store(changes)
        self._last = changes[-1].sequence

    def read(self, after: int, limit: int) -> list[Change]:
        return [change_of(row) for row in self._reader.rows(_READ, (after, limit))]

    def last_sequence(self) -> int:
        return self._last

    def trim(self, through: int) -> int:
        gone = 0
        reached = min(through, self._last)
        while True:
            with self._writer.transaction() as connection:
                found = connection.execute(_TRIM_FROM, (self._names,)).fetchone()
                if found is None:
                    raise FeedTaken("another process writes this feed")
                (trimmed,) = found
                until = min(trimmed + _ROWS_A_TRIM, reached)
                if until <= trimmed:
                    return gone
                gone += connection.execute(
                    "DELETE FROM change WHERE sequence > %s AND sequence <= %s", (trimmed, until)
                ).rowcount
                connection.execute("UPDATE feed_head SET trimmed = %s", (until,))

    def cursor(self, stage: str) -> int:
        found = self._reader.row("SELECT cursor FROM stage WHERE name = %s", (stage,))
        return int(found[0]) if found else 0

    def set_cursor(self, stage: str, sequence: int) -> None:
        with self._writer.transaction() as connection:
            connection.execute(
                "INSERT INTO stage VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET cursor = excluded.cursor",
                (stage, sequence),
            )

    def close(self) -> None:
        self._writer.close()
        self._reader.close()

    def _move(self, changes: Sequence[Change]) -> tuple[Any, ...]:
        """The values of _MOVE."""
        return (changes[0].sequence - 1, self._name, changes[-1].sequence)

    def _store(self, changes: Sequence[Change]) -> None:
        """Store the changes. Raises ConnectionLost and other NotReady when they are not stored."""
        try:
            if len(changes) <= _ONE_BY_ONE:
                self._store_few(changes)
            else:
                self._store_many(changes)
        except InDoubt:
            if not self._is_stored(changes[-1].sequence):
                raise ConnectionLost("The database does not answer", hint=GOES_ON) from None
        except psycopg.errors.NotNullViolation as error:
            raise _taken(self._last) from error

    def _store_few(self, changes: Sequence[Change]) -> None:
        """All in one exchange, which the server commits at its end: it is in doubt from its first byte on."""
        with self._writer.held() as connection:
            try:
                with connection.pipeline():
                    connection.execute(_MOVE, self._move(changes))
                    for change in changes:
                        connection.execute(_INSERT, _row(change))
            except psycopg.Error as error:
                if connection.closed:
                    raise InDoubt("An append was cut off", hint="") from error
                raise

    def _store_many(self, changes: Sequence[Change]) -> None:
        """In doubt from the commit on alone: what is lost before is not stored."""
        with self._writer.transaction() as connection:
            connection.execute(_MOVE, self._move(changes))
            with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
                copy.set_types(_TYPES)
                for change in changes:
                    copy.write_row(_row(change))

    def _is_stored(self, last: int) -> bool:
        """Whether an append in doubt up to `last` is stored. Raises FeedTaken.

        Waits for the server as long as it takes: until then nobody can say.
        """
        while True:
            try:
                end = self._take(anyway=False)
                break
            except NotReady:
                time.sleep(_DOUBT_PAUSE_S)
        if end not in (self._last, last):
            raise _taken(self._last)
        return end == last

    def _follows_session(self, connection: Connection) -> None:
        """End what the server may still do for the connection that this one takes the place of: where the
        network alone failed it knows nothing of that, and holds the end of the feed locked."""
        if self._session:
            connection.execute(_END_SESSION, (self._session, connection.info.backend_pid))
        self._session = connection.info.backend_pid

    def _take(self, *, anyway: bool) -> int:
        """Make this process the feed's writer; returns where the feed ends. Raises NotReady, FeedTaken."""
        name = uuid.uuid4()
        with self._writer.transaction() as connection:
            self._names.append(name)
            found = connection.execute(_TAKE, (name, anyway, self._names)).fetchone()
        if found is None:
            raise FeedTaken("another process writes this feed")
        self._name = name
        return int(found[0])


class FollowedFeed:
    """The feed that another process writes, to be read."""

    where = PostgresFeed.where

    def __init__(self, database: Database) -> None:
        self._line = database.line("feed, following")

    def read(self, after: int, limit: int) -> list[Change]:
        return [change_of(row) for row in self._line.rows(_READ, (after, limit))]

    def last_sequence(self) -> int:
        found = self._line.row("SELECT last FROM feed_head")
        return int(found[0]) if found else 0


def _taken(last: int) -> FeedTaken:
    return FeedTaken(f"the feed is another process', or does not end at {last}")


def _row(change: Change) -> tuple[Any, ...]:
    return (
        change.sequence,
        change.tenant,
        change.entity_id,
        _encode(change.types).decode(),
        int(change.kind),
        int(change.information_class),
        change.document,
        _encode(change.attributes).decode(),
        change.at_millis,
        change.by,
        # A text of the server's holds no NUL; the trace may come from a stranger's topic.
        change.trace.replace("\0", "␀"),
        change.before,
    )
