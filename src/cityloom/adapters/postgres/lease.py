"""The writer's lease: for how long the process that runs a city may be believed to run it.

Who runs the city renews one row once a second, by the database's clock alone; where the row was not renewed
for `LEASE_S`, another process may take the city. That the old one writes no more does not rest on clocks:
taking the lease ends every session of the holder before, in the server, and each connection that it makes
later is looked at before it is used. So what it had committed by then the new holder reads, and nothing comes
after. The feed's own row (`PostgresFeed`) refuses it besides.

The holder counts from before it asked to renew, on its own machine's clock, one that goes on while the
machine sleeps, so it knows its lease to be over before the database does. What it then does with questions is
for whoever asks `unheld_s`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import LiteralString

import msgspec

from cityloom.adapters.postgres.connection import Connection, Line
from cityloom.adapters.postgres.database import Database
from cityloom.adapters.postgres.sessions import end_sessions, sessions_of
from cityloom.kernel.errors import CityError, NotReady, TakenOver
from cityloom.kernel.time import elapsed_s

MIGRATIONS: tuple[LiteralString, ...] = (
    """
    CREATE TABLE lease (
        one smallint PRIMARY KEY CHECK (one = 1),
        holder text NOT NULL,
        name text NOT NULL,
        until timestamptz NOT NULL,
        given_up boolean NOT NULL,
        terms bigint NOT NULL
    ) WITH (fillfactor = 10);
    INSERT INTO lease VALUES (1, '', '', '-infinity', true, 0);
    CREATE TABLE standby (name text PRIMARY KEY, seen_at timestamptz NOT NULL);
    """,
)

#: Seconds for which a lease holds after it was renewed, and between two renewals.
LEASE_S = 4.0
RENEWAL_S = 1.0

_TAKE: LiteralString = (
    "UPDATE lease SET holder = %s, name = %s, until = clock_timestamp() + make_interval(secs => %s),"
    " given_up = false, terms = lease.terms + 1"
    " FROM (SELECT holder FROM lease FOR UPDATE) AS before RETURNING before.holder"
)
#: That a standby stood by a minute ago is enough: it may be back at any time.
_RENEW: LiteralString = (
    "UPDATE lease SET until = clock_timestamp() + make_interval(secs => %s) WHERE holder = %s"
    " RETURNING (SELECT count(*) FROM standby WHERE seen_at > clock_timestamp() - interval '1 minute')"
)
_GIVE_UP: LiteralString = "UPDATE lease SET given_up = true WHERE holder = %s"
_LOOK: LiteralString = (
    "SELECT name, given_up, until < clock_timestamp(),"
    f" EXISTS (SELECT FROM pg_stat_activity WHERE {sessions_of('lease.holder')}) FROM lease"
)
_SEEN: LiteralString = (
    "INSERT INTO standby VALUES (%s, clock_timestamp())"
    " ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at"
)


class Held(msgspec.Struct, frozen=True):
    """How a lease stands, by the database's clock."""

    #: The holder's machine and process, for people.
    name: str
    #: Its holder ended in order.
    given_up: bool
    #: It was not renewed in time.
    run_out: bool
    #: The server knows a session of the holder.
    connected: bool


class Lease:
    """The lease of the process that runs a city, renewed by a thread of its own until it is given up."""

    def __init__(self, database: Database, name: str, *, lost: Callable[[BaseException], None]) -> None:
        """Takes it. `lost` is called, in whatever thread finds it out, once another process has it.

        For who has claimed the database. Raises NotReady.
        """
        self._database = database
        self._line: Line = database.line("lease", made=_at_ease)
        self._lost = lost
        self._over = threading.Event()
        #: How many processes stood by when it was last renewed.
        self.standbys = 0
        began = elapsed_s()
        with self._line.transaction() as connection:
            found = connection.execute(_TAKE, (database.token, name, LEASE_S)).fetchone()
        (before,) = found or ("",)
        if before:
            end_sessions(self._line, before)
        self._held_until = began + LEASE_S
        database.look_at_sessions(self._is_held)
        self._thread = threading.Thread(target=self._renew_always, name="lease", daemon=True)
        self._thread.start()

    @property
    def held(self) -> bool:
        """Whether nobody else can run the city now. Quick."""
        return self.unheld_s == 0

    @property
    def unheld_s(self) -> float:
        """For how many seconds it has been held no more: 0 while it is. Quick."""
        return max(elapsed_s() - self._held_until, 0.0)

    def renew(self) -> None:
        """Hold it from now on for another while. Raises NotReady; calls `lost` when it is another's."""
        began = elapsed_s()
        with self._line.held() as connection:
            found = connection.execute(_RENEW, (LEASE_S, self._database.token)).fetchone()
        if found is None:
            self._tell_lost()
            return
        self.standbys = int(found[0])
        self._held_until = began + LEASE_S

    def give_up(self) -> None:
        """Let another process have it at once. Called last, when nothing is written any more."""
        self._over.set()
        self._held_until = 0.0
        try:
            with self._line.transaction() as connection:
                connection.execute(_GIVE_UP, (self._database.token,))
        except (NotReady, TakenOver):
            pass  # It runs out by itself, or is another's already.

    def _renew_always(self) -> None:
        while not self._over.wait(RENEWAL_S):
            try:
                self.renew()
            except CityError:
                continue
            except TakenOver:
                return

    def _is_held(self, connection: Connection) -> None:
        """For each connection that is made later. Raises TakenOver."""
        found = connection.execute("SELECT FROM lease WHERE holder = %s", (self._database.token,)).fetchone()
        if found is None:
            self._tell_lost()

    def _tell_lost(self) -> None:
        self._held_until = 0.0
        error = TakenOver("another process runs this city now")
        if not self._over.is_set():
            self._lost(error)
        raise error


class Watch:
    """Looks at the lease of a city that another process runs. Blocking, for one thread."""

    def __init__(self, database: Database, name: str) -> None:
        self._line = database.line("standing by")
        self._name = name
        self._shown = False

    def look(self) -> Held | None:
        """How the lease stands; None where no city ever ran. Raises NotReady."""
        exists = self._line.row("SELECT to_regclass('lease') IS NOT NULL")
        if exists is None or not exists[0]:
            return None
        found = self._line.row(_LOOK)
        assert found is not None, "the row is made with its table"
        return Held(*found)

    def show(self) -> None:
        """Let the holder know that somebody stands by. Raises NotReady."""
        with self._line.transaction() as connection:
            connection.execute(_SEEN, (self._name,))
            # Those that ended without a word.
            connection.execute("DELETE FROM standby WHERE seen_at < clock_timestamp() - interval '1 hour'")
        self._shown = True

    def leave(self) -> None:
        """Stand by no longer."""
        if not self._shown:
            return
        try:
            with self._line.transaction() as connection:
                connection.execute("DELETE FROM standby WHERE name = %s", (self._name,))
        except NotReady:
            pass  # The holder sees that it is seen no more.


def _at_ease(connection: Connection) -> None:
    """A renewal need not outlive a power cut. Were it to wait for a slow disk, the lease would run out."""
    connection.execute("SET synchronous_commit = off")
