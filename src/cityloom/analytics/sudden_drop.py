"""Sudden drops: a series that was as usual and now lies far below its normal week, twice in a row.

The limit is each series' own: rare in its past (a quantile), and never above a fixed share of the usual, so
that a restless series does not cry wolf and a steady one is not waited for.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

#: Steps before the drop that must have been as usual.
CALM_STEPS = 4


class DropShape(NamedTuple):
    """When a drop is a drop. Chosen on weeks held apart; see the services' evaluations."""

    #: A drop is below this share of the usual value.
    share: float = 0.5
    #: A drop is rarer than this in the series' own past.
    rarity: float = 0.001
    #: Before it, the median share was above this.
    calm: float = 0.75


def drop_limits(values: Values, normal: Values, shape: DropShape) -> Values:
    """The share of the usual below which each series drops, shape (series,).

    `values` and `normal` have the shape (series, steps). NaN for a series without a past.
    """
    lasting = _lasting(_share(values, normal))
    known = np.isfinite(lasting).any(axis=1)
    limits = np.full(len(values), np.nan)
    if known.any():
        limits[known] = np.minimum(shape.share, np.nanquantile(lasting[known], shape.rarity, axis=1))
    return limits


def dropped(recent: Values, normal: Values, limits: Values, shape: DropShape) -> NDArray[np.bool_]:
    """Which series dropped with the last two of `recent`'s steps, (series,).

    `recent` and `normal` have the shape (series, at least CALM_STEPS + 2).
    """
    share = _share(recent, normal)
    before = share[:, -2 - CALM_STEPS : -2]
    calm = np.full(len(recent), np.nan)
    seen = np.isfinite(before).any(axis=1)
    calm[seen] = np.nanmedian(before[seen], axis=1)
    result: NDArray[np.bool_] = (_lasting(share)[:, -1] < limits) & (calm > shape.calm)
    return result


def _share(values: Values, normal: Values) -> Values:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(normal > 0, values / normal, np.nan)


def _lasting(share: Values) -> Values:
    """The larger of each two neighbouring steps: what both of them stay below; NaN when one is missing."""
    result: Values = np.maximum(share[:, 1:], share[:, :-1])
    return result
