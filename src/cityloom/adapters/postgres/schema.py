"""All tables of a city in PostgreSQL, by the part that brings them.

`change` and `entity` grow with the city. Their keys hold `entity_id`, so that they can be spread over nodes
by it; so do `reading` and `series`, by the number of the series. The other tables stay small, and in one
place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import LiteralString

from cityloom.adapters.postgres import (
    accounts,
    audit,
    device_records,
    feed,
    history_statements,
    lease,
    moving,
    outbox,
    parked_readings,
    register,
    reporters,
    state_table,
)

PARTS: Mapping[str, Sequence[LiteralString]] = {
    "lease": lease.MIGRATIONS,
    "feed": feed.MIGRATIONS,
    "state": state_table.MIGRATIONS,
    "register": register.MIGRATIONS,
    "notifications": outbox.MIGRATIONS,
    "accounts": accounts.MIGRATIONS,
    "audit": audit.MIGRATIONS,
    "devices": device_records.MIGRATIONS,
    "parked": parked_readings.MIGRATIONS,
    "reporters": reporters.MIGRATIONS,
    "history": history_statements.MIGRATIONS,
    "move": moving.MIGRATIONS,
}
