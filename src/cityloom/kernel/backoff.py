"""How long somebody who failed is left alone (exponential back-off)."""

from __future__ import annotations

#: 2 to this power times any pause is longer than all who ask here wait at most.
_DOUBLED_AT_MOST = 20


def pause_after(failures: int, *, first: float, longest: float) -> float:
    """Seconds to wait after failures in a row: `first` after one, doubled with each, `longest` at most."""
    doubled: int = 2 ** min(failures - 1, _DOUBLED_AT_MOST)
    return min(first * doubled, longest)
