"""Where readings are missing that should be there."""

from __future__ import annotations

from collections.abc import Sequence

from cityloom.history.answers import Gap
from cityloom.history.model import Integers
from cityloom.history.pools import Run
from cityloom.kernel.time import from_millis


def gaps_of(runs: Sequence[Run], entity_ids: Sequence[str], edges: Integers) -> tuple[Gap, ...]:
    """Runs of periods as gaps of Entities; `edges` are in milliseconds."""
    return tuple(
        Gap(
            entity_ids[run.group],
            from_millis(int(edges[run.first])),
            from_millis(int(edges[run.first + run.length])),
            run.length,
        )
        for run in runs
    )
