"""What is read of several series in one go, and its rows as Readings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from cityloom.history.model import Integers, Reading, Readings, Series, Window
from cityloom.kernel.time import from_millis, to_millis


def readings_of(series: list[Series], found: Readings) -> list[Reading]:
    """Rows as Readings."""
    by_id = {one.id: one for one in series}
    readings = []
    for row, number in enumerate(found.series.tolist()):
        key = by_id[number].key
        readings.append(
            Reading(
                entity_id=key.entity_id,
                attribute=key.attribute,
                at=from_millis(int(found.at[row])),
                value=found.value(row),
                unit_code=key.unit_code,
                dataset=key.dataset,
                attribute_type=key.attribute_type,
                recorded_at=from_millis(int(found.recorded_at[row])),
                sequence=int(found.sequence[row]),
            )
        )
    return readings


def window_of(
    series: Sequence[Series],
    since: datetime | None,
    until: datetime | None,
    *,
    last_n: int | None = None,
    limit: int | None = None,
    corrected: bool = False,
) -> Window:
    """The readings of these series from `since` until before `until`; None: without a bound."""
    return Window(
        series=ids_of(series),
        since=None if since is None else to_millis(since),
        until=None if until is None else to_millis(until),
        last_n=last_n,
        limit=limit,
        corrected=corrected,
    )


def ids_of(series: Sequence[Series]) -> Integers:
    """The numbers by which the store knows series."""
    return np.array([one.id for one in series], np.int64)
