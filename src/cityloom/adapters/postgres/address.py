"""Where a city's database is. What is shown of it never holds the password."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from cityloom.kernel.errors import BadConfig

#: The schema of a city whose configuration names none.
USUAL_SCHEMA = "cityloom"
#: Seconds for a connection to be made. It also bounds how long who needs one waits for a server that is gone.
CONNECT_PATIENCE_S = 3
#: Milliseconds after which a peer that acknowledges nothing counts as gone.
PEER_PATIENCE_MS = 10_000

_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}", re.ASCII)
_HERE = frozenset(("localhost", "127.0.0.1", "::1"))
#: What holds when the address says nothing else.
_USUAL = {
    "connect_timeout": str(CONNECT_PATIENCE_S),
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": str(PEER_PATIENCE_MS),
    # Of several hosts the one that takes writes.
    "target_session_attrs": "read-write",
}


class Address:
    """A server, a database and a schema in it."""

    def __init__(self, url: str, schema: str = USUAL_SCHEMA) -> None:
        """`url` is one of libpq: postgresql://user@host:5432/database?sslmode=verify-full&sslrootcert=….

        Raises BadConfig for what is no such URL, without repeating it.
        """
        if not url.startswith(("postgresql://", "postgres://")):
            raise BadConfig(
                "The storage's address is no URL of PostgreSQL",
                hint="Write postgresql://user@host:5432/database.",
                where="storage.url",
            )
        if not _SCHEMA.fullmatch(schema):
            raise BadConfig(
                f"{schema!r} is not the name of a schema",
                hint="Use small letters, digits and underscores.",
                where="storage.schema",
            )
        try:
            told = {key: str(value) for key, value in conninfo_to_dict(url).items()}
        except psycopg.Error:
            # Its words repeat the address, and with it the password.
            raise BadConfig(
                "The storage's address cannot be read",
                hint="Write postgresql://user@host:5432/database, with special characters as %XX.",
                where="storage.url",
            ) from None
        self.schema = schema
        self._parameters = {**_USUAL, **_encryption(told), **told}

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What libpq is told. Secret."""
        return self._parameters

    @property
    def shown(self) -> str:
        """The address for people: no password, no options."""
        told = self._parameters
        user = f"{told['user']}@" if "user" in told else ""
        port = f":{told['port']}" if "port" in told else ""
        return f"postgresql://{user}{told.get('host', '')}{port}/{told.get('dbname', '')}"

    def without_password(self, text: str) -> str:
        """A text of the server's or the driver's, fit for logs."""
        password = self._parameters.get("password")
        return text.replace(password, "…") if password else text

    def __repr__(self) -> str:
        return f"Address({self.shown!r}, {self.schema!r})"


def _encryption(told: Mapping[str, str]) -> dict[str, str]:
    """A server elsewhere is spoken to over TLS, unless its address says otherwise."""
    hosts = [*told.get("host", "").split(","), *told.get("hostaddr", "").split(",")]
    elsewhere = [host for host in hosts if host and host not in _HERE and not host.startswith(("/", "@"))]
    return {"sslmode": "require"} if elsewhere else {}
