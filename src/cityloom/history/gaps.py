"""Where readings are missing that should be there."""

from __future__ import annotations

from cityloom.history.answers import Gap
from cityloom.history.logic import missing_runs
from cityloom.history.model import Floats, Integers, Series
from cityloom.kernel.time import from_millis

#: Gaps that are listed one by one.
MOST_GAPS = 100


def counts_by_entity(series: list[Series], counts: Floats) -> dict[str, Floats]:
    """Counts by period (one row a series) added up for each Entity."""
    rows: dict[str, Floats] = {}
    for one, row in zip(series, counts, strict=True):
        known = rows.get(one.key.entity_id)
        rows[one.key.entity_id] = row if known is None else known + row
    return rows


def gaps_in(rows: dict[str, Floats], edges: Integers) -> tuple[Gap, ...]:
    """The longest runs of periods without a reading, `MOST_GAPS` at most; `edges` are in milliseconds."""
    found = [
        Gap(entity_id, from_millis(int(edges[start])), from_millis(int(edges[stop])), stop - start)
        for entity_id, row in rows.items()
        for start, stop in missing_runs(row > 0)
    ]
    found.sort(key=lambda gap: (-gap.missing, gap.entity_id, gap.since))
    return tuple(found[:MOST_GAPS])
