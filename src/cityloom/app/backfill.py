"""Loads the past of a demo city into history, in columns and in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from cityloom.history.model import ORIGINS, Origin, PastColumn, SeriesKey, ValueKind
from cityloom.history.ports import HistoryStore
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import DEFAULT_TENANT
from cityloom.sensing.demo_city import ColumnBatch, DemoCity, Progress

#: Readings that are loaded in one transaction.
AT_ONCE = 500_000


def backfill(city: DemoCity, store: HistoryStore, until: datetime, progress: Progress) -> int:
    """Load what was before `until`; returns how many readings were kept. Blocking.

    Series that are there are passed over, so that an interrupted start can be begun again.
    """
    kept = seen = 0
    origin = ORIGINS.get(city.source.origin, Origin.MEASURED)
    for columns in _portions(city.source.backfill(until), origin):
        kept += store.load(columns)
        seen += sum(len(column.at) for column in columns)
        progress("Readings of the past", seen, 0)
    return kept


def _portions(batches: Iterable[ColumnBatch], origin: Origin) -> Iterator[list[PastColumn]]:
    portion: list[PastColumn] = []
    size = 0
    for batch in batches:
        portion.append(_column(batch, origin))
        size += len(batch.times)
        if size >= AT_ONCE:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _column(batch: ColumnBatch, origin: Origin) -> PastColumn:
    key = SeriesKey(DEFAULT_TENANT, batch.entity_id, batch.attribute, "", "Property", batch.unit or "")
    kind = ValueKind.INTEGER if batch.whole else ValueKind.NUMBER
    types = (batch.entity_type,)
    return PastColumn(key, types, InformationClass.OPEN, batch.times, batch.values, kind, origin)
