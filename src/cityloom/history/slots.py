"""Periods as stretches of equal length: an instant is found by arithmetic and one equal join. Pure.

Days with a change of the clock, months, and periods that were chosen of many are not of one length. Each is
cut where a stretch ends, so that any engine finds the periods of millions of readings without comparing each
reading with each period.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cityloom.history.model import Integers

#: Stretches that periods of unequal length are cut into, at most.
_MOST_STRETCHES = 100_000


class Slots(NamedTuple):
    """Stretches of `step` milliseconds from `first` on; for each part of a period in one a row."""

    first: int
    step: int
    #: Columns of one length: when the stretch begins, the period, since when until when the part lasts.
    stretch: Integers
    bucket: Integers
    edge: Integers
    ends: Integers


def slots_of(edges: Integers, base: int = 0, chosen: NDArray[np.bool_] | None = None) -> Slots:
    """The stretches of the periods between edges (ms), the first of which has the number `base`.

    `chosen` leaves out the others.
    """
    begins, ends = edges[:-1], edges[1:]
    bucket = base + np.arange(len(begins), dtype=np.int64)
    if chosen is not None:
        begins, ends, bucket = begins[chosen], ends[chosen], bucket[chosen]
    first, widths = int(edges[0]), np.diff(edges)
    step = max(int(widths.min()), -(-int(edges[-1] - edges[0]) // _MOST_STRETCHES))
    head, tail = (begins - first) // step, (ends - 1 - first) // step
    parts = tail - head + 1
    row = np.repeat(np.arange(len(begins)), parts)
    number = head[row] + np.arange(len(row)) - np.repeat(np.cumsum(parts) - parts, parts)
    start = first + number * step
    return Slots(
        first=first,
        step=step,
        stretch=start,
        bucket=bucket[row],
        edge=np.maximum(begins[row], start),
        ends=np.minimum(ends[row], start + step),
    )
