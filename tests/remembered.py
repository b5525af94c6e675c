"""Stores of history and news for them, for the tests of the port and of its adapters."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cityloom.adapters.duckdb.history import DuckHistory
from cityloom.adapters.memory.history import MemoryHistory
from cityloom.history.model import (
    EntityNews,
    NewReading,
    PastColumn,
    Readings,
    SeriesKey,
    ValueKind,
    Window,
)
from cityloom.history.ports import HistoryStore
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import ChangeKind

MINUTE = 60_000
START = 1_409_529_600_000  # 2014-09-01T00:00:00Z


def make(kind: str, folder: Path) -> HistoryStore:
    (folder / "exports").mkdir(exist_ok=True)
    if kind == "memory":
        return MemoryHistory(folder / "exports")
    return DuckHistory(folder / "history.duckdb", folder / "exports")


def number(value, at=START, attribute="temperature", *, dataset="", unit="CEL", kind=ValueKind.NUMBER):
    return NewReading(attribute, dataset, "Property", unit, at, kind, float(value), None)


def words(value, at=START, attribute="status", kind=ValueKind.TEXT):
    return NewReading(attribute, "", "Property", "", at, kind, None, value)


def news(
    sequence,
    *readings,
    entity="urn:a",
    kind=ChangeKind.UPDATED,
    information_class=InformationClass.OPEN,
    types=("Weather",),
    tenant="",
):
    return EntityNews(
        sequence, tenant, entity, types, kind, information_class, START + 1000 * sequence, readings
    )


def everything(store: HistoryStore, **window) -> Readings:
    numbers = np.array([one.id for one in store.series("")], np.int64)
    return store.raw(Window(numbers, **window))


def values(found: Readings) -> list[object]:
    return [found.value(row) for row in range(len(found.at))]


def past(*values, entity="urn:a", attribute="temperature"):
    key = SeriesKey("", entity, attribute, "", "Property", "CEL")
    at = START + MINUTE * np.arange(len(values), dtype=np.int64)
    numbers = np.array(values, dtype=float)
    return PastColumn(key, ("Weather",), InformationClass.OPEN, at, numbers, ValueKind.NUMBER)
