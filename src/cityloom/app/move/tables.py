"""The tables of a village in SQLite, and what becomes of their columns in PostgreSQL. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from cityloom.access.model import AuditEntry
from cityloom.kernel.time import from_millis

Row = tuple[Any, ...]


class Table(NamedTuple):
    """One table that is carried. `columns` are kinds by name; where `made` is given they are the target's."""

    name: str
    #: What people call what is in it.
    title: str
    #: A property of CityFolder: the file that it is in.
    file: str
    columns: Mapping[str, str]
    #: The column by which it grows; "" for a small one, which is carried at once.
    key: str = ""
    #: The column whose values are told apart when both sides are compared.
    by: str = ""
    #: Columns of the village's table, where they are not the same, and a row of the target's out of them.
    source_columns: Sequence[str] = ()
    made: Callable[[Row], Row] | None = None
    #: What orders the rows where they get new numbers.
    order: str = ""

    @property
    def taken(self) -> Sequence[str]:
        """The columns that are read in the village."""
        return self.source_columns or list(self.columns)

    def row(self, taken: Row) -> Row:
        """A row of the target out of one of the village's."""
        if self.made is not None:
            return self.made(taken)
        values = zip(self.columns.values(), taken, strict=True)
        return tuple([_CARRIED[kind](value) if value is not None else None for kind, value in values])


def _text(value: str) -> str:
    # No text of PostgreSQL's holds a NUL.
    return value.replace("\0", "␀")


def _same(value: Any) -> Any:
    return value


def _decoded(value: str) -> Any:
    return msgspec.json.decode(value)


_CARRIED: Mapping[str, Callable[[Any], Any]] = {
    "int8": _same,
    "int2": _same,
    "float8": _same,
    "bytea": bytes,
    "text": _text,
    "bool": bool,
    "timestamptz": from_millis,
    "text[]": _decoded,
    "int2[]": _decoded,
}


def comparable(value: Any) -> Any:
    """A value of either side, as what both must be the same as."""
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, datetime):
        return round(value.astimezone(UTC).timestamp() * 1000)
    return value


def _audit(row: Row) -> Row:
    sequence, at, actor_id, actor_name, action, subject, detail, previous, digest = row
    said = msgspec.json.decode(detail)
    entry = AuditEntry(
        sequence, from_millis(at), actor_id, actor_name, action, subject, said, previous, digest
    )
    return sequence, msgspec.json.encode(entry)


def _device(row: Row) -> Row:
    return row[0], row[1].encode()


def _columns(told: str) -> dict[str, str]:
    """Columns out of "name kind, name kind"."""
    columns: dict[str, str] = {}
    for one in told.split(","):
        name, kind = one.split()
        columns[name] = kind
    return columns


#: In the order in which they are carried: what others refer to first.
TABLES = (
    Table(
        "change",
        "changes of the feed",
        "feed",
        _columns(
            "sequence int8, tenant text, entity_id text, types text, kind int2, information_class int2,"
            "document bytea, attributes text, at_millis int8, by text, trace text, before bytea"
        ),
        key="sequence",
        by="types",
    ),
    Table("stage", "stages", "feed", _columns("name text, cursor int8")),
    Table(
        "entity",
        "Entities",
        "state",
        _columns(
            "created int8, tenant text, entity_id text, types text, information_class int2, document bytea,"
            "sequence int8, west float8, south float8, east float8, north float8, reference text"
        ),
        key="created",
        by="types",
    ),
    Table(
        "waiting",
        "notifications that wait",
        "notifications",
        _columns(
            "place int8, lane text, tenant text, subscription text, entity_id text, classes bytea,"
            "at_millis int8, shown bytea"
        ),
        key="place",
    ),
    Table(
        "tally",
        "tallies of subscriptions",
        "notifications",
        _columns("tenant text, subscription text, document bytea"),
    ),
    Table(
        "account",
        "accounts",
        "records",
        _columns(
            "id text, name text, display_name text, roles text[], password_hash text,"
            "must_change_password bool, created_at timestamptz, password_lapses_at timestamptz, disabled bool"
        ),
    ),
    Table(
        "session",
        "sessions",
        "records",
        _columns(
            "digest text, id text, account_id text, created_at timestamptz, seen_at timestamptz,"
            "expires_at timestamptz, address text, browser text"
        ),
    ),
    Table(
        "api_token",
        "API tokens",
        "records",
        _columns(
            "digest text, id text, account_id text, label text, permissions text[], clearance int2[],"
            "created_at timestamptz, expires_at timestamptz, last_used_at timestamptz"
        ),
    ),
    Table(
        "audit",
        "entries of the audit log",
        "records",
        _columns("sequence int8, entry bytea"),
        key="sequence",
        source_columns=(
            *("sequence", "at", "actor_id", "actor_name", "action", "subject", "detail", "previous"),
            "digest",
        ),
        made=_audit,
    ),
    Table(
        "device",
        "devices",
        "records",
        _columns("id text, record bytea"),
        made=_device,
    ),
    Table(
        "register",
        "registered subscriptions, sources and contexts",
        "records",
        _columns("kind text, tenant text, id text, document bytea"),
        order="place",
    ),
    Table(
        "parked",
        "parked readings",
        "records",
        _columns(
            "id int8, at timestamptz, connector text, address text, device text, reason text, hint text,"
            "place text, content_type text, truncated bool, class int2, body bytea"
        ),
        key="id",
    ),
    Table(
        "reporter",
        "reporters",
        "records",
        _columns(
            "report_id text, follow_digest text, language text, submitted_at timestamptz, account_id text,"
            "email text, phone text"
        ),
    ),
)
