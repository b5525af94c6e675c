"""The sessions of one process at the server: told apart by a token, and ended once it has lost the city."""

from __future__ import annotations

import uuid
from typing import LiteralString

from cityloom.adapters.postgres.connection import Line

#: Characters of a token, which ends the name of each session.
_TOKEN = 12
#: Milliseconds to wait for a session to come to its end.
ENDING_MS = 5000


def sessions_of(holder: LiteralString) -> LiteralString:
    """The condition for rows of `pg_stat_activity`; `holder` is an expression for the token."""
    return (
        f"right(application_name, {_TOKEN + 1}) = '@' || {holder} AND usename = current_user"
        " AND datname = current_database() AND pid <> pg_backend_pid()"
    )


_END: LiteralString = f"SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity WHERE {sessions_of('%s')}"


def new_token() -> str:
    return uuid.uuid4().hex[:_TOKEN]


def end_sessions(line: Line, holder: str) -> None:
    """Return once the server does nothing for that process any more. Raises NotReady."""
    with line.held() as connection:
        connection.execute(_END, (ENDING_MS, holder)).fetchall()


def end_overdue(line: Line) -> None:
    """End the sessions of a holder that did not renew its lease in time. Raises NotReady."""
    with line.held() as connection:
        found = connection.execute("SELECT to_regclass('lease') IS NOT NULL").fetchone()
        if not found or not found[0]:
            return
        found = connection.execute(
            "SELECT holder FROM lease WHERE until < clock_timestamp() AND NOT given_up"
        ).fetchone()
    if found:
        end_sessions(line, found[0])
