"""How long the temporal API takes: 100 Entities, one day of readings, one raw page.

    python benchmarks/temporal.py [STEP_MINUTES]

Prints milliseconds of wall time and of CPU time an answer: reading, making the answer, writing it as JSON.
The target is 50 ms for a page of 100 Entities over one day. Also: microseconds of CPU that keeping a reading
costs. The history lies in a DuckDB file in a temporary folder.
"""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from cityloom.adapters.duckdb.history import DuckHistory
from cityloom.history.extraction import news_of
from cityloom.history.model import PastColumn, SeriesKey, ValueKind
from cityloom.history.queries import History
from cityloom.history.temporal import TemporalHistory, TemporalQuery
from cityloom.history.temporal_representation import TemporalFormat, represent_temporal
from cityloom.kernel.actor import CITY, InformationClass
from cityloom.kernel.change import Change, ChangeKind
from cityloom.kernel.errors import NotFound
from cityloom.kernel.time import to_millis
from cityloom.ngsild.model import entity, prop
from cityloom.ngsild.query import EntityQuery
from cityloom.ngsild.temporal_query import TemporalWindow
from cityloom.ngsild.type_selection import parse_type_selection

ENTITIES = 100
DAYS = 30
ROUNDS = 15
MORNING = datetime(2026, 3, 1, tzinfo=UTC)
FORMS: tuple[TemporalFormat, ...] = ("normalized", "concise", "temporalValues")


class Nothing:
    """A broker in which no Entity is."""

    def class_of(self, *_asked: Any, **_how: Any) -> InformationClass:
        raise NotFound("gone", hint="none")


def main() -> None:
    step = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with tempfile.TemporaryDirectory() as folder:
        store = DuckHistory(
            Path(folder) / "history.duckdb", Path(folder) / "exports", memory_limit="64MB", threads=1
        )
        _load(store, step)
        _ask(TemporalHistory(History(store, Nothing())), step)
        _keep(store)
        store.close()


def _load(store: DuckHistory, step: int) -> None:
    at = to_millis(MORNING) + 60_000 * step * np.arange(DAYS * 1440 // step, dtype=np.int64)
    values = np.round(20 + 5 * np.sin(np.arange(len(at)) / 10), 2)
    store.load(
        [
            PastColumn(
                SeriesKey("", f"urn:ngsi-ld:Weather:{n}", "temperature", "", "Property", "CEL"),
                ("Weather",),
                InformationClass.OPEN,
                at,
                values,
                ValueKind.NUMBER,
            )
            for n in range(ENTITIES)
        ]
    )


def _ask(temporal: TemporalHistory, step: int) -> None:
    day = MORNING + timedelta(days=DAYS - 2)
    query = TemporalQuery(
        entities=EntityQuery(type_expression=parse_type_selection("Weather"), limit=ENTITIES),
        window=TemporalWindow(day, day + timedelta(days=1)),
        by_columns=True,
    )
    for form in FORMS:
        walls, cpus, size, instances = [], [], 0, 0
        for _ in range(ROUNDS):
            wall, cpu = time.perf_counter(), time.process_time()
            page = temporal.temporal_entities(CITY, query)
            body = orjson.dumps([represent_temporal(one, format=form) for one in page.entities])
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
            size = len(body)
            instances = sum(len(items.values) for one in page.entities for items in one.plain.values())
        print(
            f"{ENTITIES} entities x 1 day, every {step} min, {form}: "
            f"{instances} instances, {size / 1e6:.2f} MB, "
            f"median {1e3 * float(np.median(walls)):.1f} ms, CPU {1e3 * float(np.median(cpus)):.1f} ms"
        )


def _keep(store: DuckHistory) -> None:
    count, together = 20_000, 1_000
    changes = [_change(number) for number in range(1, count + 1)]
    cpu = time.process_time()
    for start in range(0, count, together):
        part = changes[start : start + together]
        store.record([news_of(change) for change in part], part[-1].sequence)
    print(f"keeping a reading: {1e6 * (time.process_time() - cpu) / count:.1f} us of CPU")


def _change(number: int) -> Change:
    identifier = f"urn:ngsi-ld:Weather:{number % ENTITIES}"
    at = MORNING + timedelta(days=DAYS, seconds=number)
    document = entity("Weather", identifier, {"temperature": prop(number / 7, at=at, unit="CEL")})
    return Change(
        *(number, "", identifier, ("Weather",), ChangeKind.UPDATED, InformationClass.OPEN),
        *(orjson.dumps(document), ("temperature",), to_millis(at), "city", ""),
    )


if __name__ == "__main__":
    main()
