"""What is remembered of somebody's Entities, to be handed to them with how these are now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from cityloom.history.model import Series, Window
from cityloom.history.ports import HistoryStore
from cityloom.kernel.change import DEFAULT_TENANT
from cityloom.kernel.time import format_instant, from_millis


def past_of(history: HistoryStore, entity_id: str) -> list[dict[str, Any]]:
    """The readings of an Entity by attribute: also those of attributes that are gone, and those corrected
    since. Blocking. One whose key was destroyed is not there."""
    series = history.series(DEFAULT_TENANT, entity_ids=[entity_id])
    return [told for one in series if (told := _told(one, list(_readings(history, one))))["readings"]]


def _told(series: Series, readings: list[dict[str, Any]]) -> dict[str, Any]:
    key = series.key
    named = {
        "entity": key.entity_id,
        "attribute": key.attribute,
        "datasetId": key.dataset,
        "unitCode": key.unit_code,
    }
    return {name: said for name, said in named.items() if said} | {"readings": readings}


def _readings(history: HistoryStore, series: Series) -> Iterator[dict[str, Any]]:
    rows = history.raw(Window(np.array([series.id], np.int64), corrected=True))
    for row, at in enumerate(rows.at.tolist()):
        yield {"at": format_instant(from_millis(at)), "value": rows.value(row)}
