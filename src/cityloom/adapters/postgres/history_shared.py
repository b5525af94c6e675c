"""What several processes share that write one history: who may write, the ids of series, and their news.

`history_shared` is one row. While `parts` is 0, one process writes all, as it does in a village. Otherwise
the partitions 0 to parts - 1 of the feed are remembered by whoever follows them, each with a cursor in
`history_part`; the city's own process writes tables of the past alone, and reads. A follower's transaction
holds the row shared; whoever writes beside the feed, or ends the sharing, changes `era` under a lock of its
own, and what followers believed of series no longer counts.

`series_news` names series that followers created, changed or forgot, by their transaction, for the city's
process, and those that this one changed or forgot, for processes that stand by. They stay for some minutes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import LiteralString

import msgspec

from cityloom.adapters.postgres import history_columns as columns
from cityloom.adapters.postgres.connection import Connection, Line
from cityloom.adapters.postgres.history_statements import SERIES_COLUMNS
from cityloom.context.parcels import HOME
from cityloom.history.model import Series, SeriesKey
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.errors import BadConfig, NotReady

#: Ids of series that a process takes at a time, so that it need not ask for each.
IDS_AT_ONCE = 1_000

#: Locked shared by followers, and alone by who writes beside them.
SHARE: LiteralString = "SELECT parts, era FROM history_shared FOR SHARE"
SHARED: LiteralString = "SELECT parts, era FROM history_shared"
NEW_ERA: LiteralString = "UPDATE history_shared SET era = era + 1"
CURSORS: LiteralString = "SELECT partition, last FROM history_part"
#: Bound: partitions, where each stands, and where it stands afterwards.
ADVANCE_PARTS: LiteralString = """
    UPDATE history_part SET last = moved.through
    FROM unnest(%b::int4[], %b::int8[], %b::int8[]) AS moved (partition, before, through)
    WHERE history_part.partition = moved.partition AND history_part.last = moved.before
"""
ADVANCE_ALL: LiteralString = "UPDATE history_progress SET last_sequence = %b WHERE last_sequence < %b"
TELL_NEWS: LiteralString = """
    INSERT INTO series_news (id) SELECT DISTINCT unnest(%b::int4[])
    ON CONFLICT (id) DO UPDATE SET told = excluded.told
"""
_RESERVE: LiteralString = """
    UPDATE history_shared SET next_series = next_series + %s RETURNING next_series - %s
"""
#: What is told by transactions from here on may be missing in what was read before.
_HORIZON: LiteralString = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"
_NEWS: LiteralString = f"""
    SELECT news.id AS named, {SERIES_COLUMNS.replace("id,", "series.id,", 1)}
    FROM series_news AS news LEFT JOIN series ON series.id = news.id
    WHERE news.told >= %s::text::xid8 ORDER BY news.id
"""
_OF_ENTITIES: LiteralString = f"SELECT {SERIES_COLUMNS} FROM series WHERE entity_id = ANY(%s) ORDER BY id"


class News(msgspec.Struct, frozen=True):
    """What others did to series."""

    stored: list[Series]
    forgotten: list[int]
    #: Where the next look begins.
    horizon: str


def reserve(line: Line, wanted: int) -> range:
    """Ids that no other process gives to a series; all are greater than any that was given."""
    count = max(wanted, IDS_AT_ONCE)
    with line.transaction() as connection:
        found = connection.execute(_RESERVE, (count, count)).fetchone()
    assert found is not None, "the row is made with its table"
    return range(int(found[0]), int(found[0]) + count)


def begin_sharing(connection: Connection, parts: int) -> None:
    """Have the feed remembered in partitions. Raises BadConfig where their number would lose an order."""
    connection.execute("SELECT era FROM history_shared FOR UPDATE")
    found = connection.execute("SELECT last_sequence FROM history_progress FOR UPDATE").fetchone()
    last = int((found or (0,))[0])
    cursors = {int(one): int(at) for one, at in connection.execute(CURSORS).fetchall()}
    there = sum(one != HOME for one in cursors)
    if there not in (0, parts) and any(at > last for at in cursors.values()):
        raise BadConfig(
            f"The feed is in {there} partitions, of which not all are remembered equally far",
            hint=f"Run the city with partitions = {there} until history has come as far as the feed.",
            where="nats.partitions",
        )
    if there != parts:
        connection.execute("DELETE FROM history_part")
        connection.execute(
            "INSERT INTO history_part SELECT generate_series(%s, %s - 1), %s", (HOME, parts, last)
        )
    connection.execute("UPDATE history_part SET last = greatest(last, %s)", (last,))
    connection.execute(
        "UPDATE history_shared SET parts = %s, era = era + 1, next_series ="
        " greatest(next_series, (SELECT coalesce(max(id), 0) + 1 FROM series))",
        (parts,),
    )


def end_sharing(connection: Connection) -> tuple[int, dict[int, int]]:
    """Have one process remember all again: how many partitions there were, and how far those are that are
    ahead of the rest."""
    connection.execute("UPDATE history_shared SET parts = 0, era = era + 1 WHERE parts > 0")
    cursors = {int(one): int(at) for one, at in connection.execute(CURSORS).fetchall()}
    found = connection.execute("SELECT last_sequence FROM history_progress").fetchone()
    last = int((found or (0,))[0])
    return sum(one != HOME for one in cursors), {one: at for one, at in cursors.items() if at > last}


def cursors_of(line: Line) -> dict[int, int]:
    """How far each partition is remembered. Raises NotReady where the history is in none."""
    found = line.row(SHARED)
    if found is None or not found[0]:
        raise not_shared()
    return {int(one): int(at) for one, at in line.rows(CURSORS)}


def not_shared() -> NotReady:
    return NotReady(
        "The city's own process remembers all by itself now",
        hint="Start the city with its [nats], then its stages elsewhere.",
    )


def horizon_of(line: Line) -> str:
    """Where a look at news begins that is to miss nothing which is not seen now."""
    found = line.row(_HORIZON)
    assert found is not None, "a SELECT without FROM has one row"
    return str(found[0])


def news_since(line: Line, horizon: str) -> News:
    """What others did since, some of it again."""
    following = horizon_of(line)
    rows = line.rows(_NEWS, (horizon,))
    return News(
        stored=[series_of(row[1:]) for row in rows if row[1] is not None],
        forgotten=[int(row[0]) for row in rows if row[1] is None],
        horizon=following,
    )


def series_of_entities(line: Line, entity_ids: Iterable[str]) -> list[Series]:
    """All series of Entities, in the order of their ids."""
    wanted = [columns.without_nul(one) for one in entity_ids]
    return [series_of(row) for row in line.rows(_OF_ENTITIES, (wanted,))]


def series_of(row: tuple[object, ...]) -> Series:
    """A series, of a row in the order of SERIES_COLUMNS."""
    number, tenant, entity_id, attribute, dataset, attribute_type, unit, types, secrecy, retired = row
    key = SeriesKey(*map(str, (tenant, entity_id, attribute, dataset, attribute_type, unit)))
    secret = InformationClass(int(str(secrecy)))
    return Series(int(str(number)), key, tuple(str(types).split()), secret, bool(retired))
