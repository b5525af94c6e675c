"""Readings as numpy's columns, in which both databases that keep a history take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cityloom.history.model import PastColumn, Series
from cityloom.history.planning import NumberRow
from cityloom.kernel.time import now_millis

#: Columns by name, of equal length.
Columns = dict[str, np.ndarray[Any, Any]]


def past_columns(planned: Sequence[tuple[Series, PastColumn]]) -> Columns:
    """Readings of a past that is loaded as a whole."""
    lengths = [len(column.at) for _, column in planned]
    total = sum(lengths)
    return {
        "series": np.repeat(np.array([one.id for one, _ in planned], np.int32), lengths),
        "observed_at": np.concatenate([column.at for _, column in planned]),
        "kind": np.repeat(np.array([column.kind for _, column in planned], np.uint8), lengths),
        "number": np.concatenate([column.number for _, column in planned]),
        # Before every change of the feed, so that any of them corrects it.
        "sequence": np.zeros(total, np.int64),
        "recorded_at": np.full(total, now_millis(), np.int64),
        "observed": np.ones(total, np.bool_),
        "origin": np.repeat(np.array([column.origin for _, column in planned], np.uint8), lengths),
    }


def number_columns(numbers: Sequence[NumberRow]) -> Columns:
    """Readings that are numbers."""
    series, at, kind, number, sequence, recorded_at, observed, origin = zip(*numbers, strict=True)
    plain = plain_columns(series, at, kind, sequence, recorded_at, observed, origin)
    return plain | {"number": np.array(number, np.float64)}


def plain_columns(
    series: Sequence[int],
    at: Sequence[int],
    kind: Sequence[int],
    sequence: Sequence[int],
    recorded_at: Sequence[int],
    observed: Sequence[bool],
    origin: Sequence[int],
) -> Columns:
    """What every reading has."""
    return {
        "series": np.array(series, np.int32),
        "observed_at": np.array(at, np.int64),
        # By way of bytes: of members of an enumeration numpy looks at each one closely.
        "kind": np.frombuffer(bytes(kind), np.uint8),
        "sequence": np.array(sequence, np.int64),
        "recorded_at": np.array(recorded_at, np.int64),
        "observed": np.frombuffer(bytes(observed), np.bool_),
        "origin": np.frombuffer(bytes(origin), np.uint8),
    }
