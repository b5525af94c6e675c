"""How do we know? From anything known in the city back to the readings it rests on, and forward to all that
rests on it.

A tree follows every Relationship and the evidence in `because`, whatever the types: what an Entity points at
is behind it, what points at an Entity is before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np

from cityloom.history.links import EVIDENCE, TYPE_TARGET, Kept, Link, References, Tree
from cityloom.history.model import Integers, Series, Statistics, Window
from cityloom.history.queries import History
from cityloom.kernel.actor import Actor
from cityloom.kernel.change import DEFAULT_TENANT
from cityloom.kernel.time import from_millis

#: Newest readings of a series that are looked at for gaps, and how far back (milliseconds).
_RECENT = 200
_RECENT_TIME = 7 * 86_400_000
#: A pause of this many usual steps is a gap.
_GAP_STEPS = 2.5
#: Seconds between readings as a rule, and how many pauses are much longer.
_Pace = tuple[float | None, int]


class Lineage:
    """Draws the trees. Called on the event loop; history is read in a thread."""

    def __init__(self, broker: References, history: History) -> None:
        self._broker = broker
        self._history = history

    async def back(
        self, actor: Actor, entity_id: str, *, language: str = "en", tenant: str = DEFAULT_TENANT
    ) -> Link:
        """What an Entity rests on, down to devices and readings. Raises NotFound."""
        return await self._draw(actor, entity_id, language, tenant, Tree.behind)

    async def forward(
        self, actor: Actor, entity_id: str, *, language: str = "en", tenant: str = DEFAULT_TENANT
    ) -> Link:
        """What rests on an Entity: forecasts, alerts, notices, indicators, initiatives. Raises NotFound."""
        return await self._draw(actor, entity_id, language, tenant, Tree.before)

    async def _draw(
        self, actor: Actor, entity_id: str, language: str, tenant: str, grow: Callable[[Tree, Link], None]
    ) -> Link:
        tree = Tree(self._broker, actor, language, tenant)
        root = tree.root(entity_id)
        if not root.known and not await asyncio.to_thread(
            self._history.series, actor, entity_id, tenant=tenant
        ):
            self._broker.retrieve(actor, entity_id, tenant=tenant)
        grow(tree, root)
        await asyncio.to_thread(self._count_readings, actor, root, tenant)
        return root

    def _count_readings(self, actor: Actor, root: Link, tenant: str) -> None:
        """Tell for every link what history holds of what it speaks of."""
        wanted: list[tuple[Link, list[Series]]] = []
        for _, link in root.walk():
            if not link.again:
                named = {one.attribute for one in link.because if one.attribute}
                attributes = sorted(named) if link.kind == EVIDENCE and named else None
                series = self._history.series(actor, link.entity_id, attributes, tenant=tenant)
                wanted.append((link, series))
        series_of_types = {one.id for link, series in wanted for one in series if _is_type(link.entity_id)}
        series_of_one = {one.id for link, series in wanted for one in series if not _is_type(link.entity_id)}
        statistics = self._history.count(np.array(sorted(series_of_one | series_of_types), np.int64))
        observed = {one.series: one for one in statistics if one.observed}
        paces = self._paces([observed[number] for number in sorted(series_of_one & observed.keys())])
        for link, series in wanted:
            link.readings = _kept([one for one in series if one.id in observed], observed, paces)

    def _paces(self, statistics: list[Statistics]) -> dict[int, _Pace]:
        """The usual step and the gaps of each series' newest readings."""
        if not statistics:
            return {}
        ids = np.array([one.series for one in statistics], np.int64)
        since = min(one.last for one in statistics) - _RECENT_TIME
        recent = self._history.read(Window(ids, since=since, last_n=_RECENT, observed=True))
        return {number: _pace(recent.at[recent.series == number]) for number in ids.tolist()}


def _is_type(target: str) -> bool:
    return target.startswith(TYPE_TARGET)


def _pace(at: Integers) -> _Pace:
    steps = np.diff(at)
    if len(steps) < 2:
        return None, 0
    usual = float(np.median(steps))
    return usual / 1000, int((steps > _GAP_STEPS * usual).sum())


def _kept(series: list[Series], observed: dict[int, Statistics], paces: dict[int, _Pace]) -> list[Kept]:
    """One line for each attribute, dataset and unit."""
    groups: dict[tuple[str, str, str], list[Series]] = {}
    for one in series:
        groups.setdefault((one.key.attribute, one.key.dataset, one.key.unit_code), []).append(one)
    lines = []
    for (attribute, dataset, unit), group in groups.items():
        found = [observed[one.id] for one in group]
        steps = [paces.get(one.id, (None, 0)) for one in group]
        lines.append(
            Kept(
                attribute=attribute,
                dataset=dataset,
                unit_code=unit,
                series=len(group),
                count=sum(one.observed for one in found),
                first=from_millis(min(one.first for one in found)),
                last=from_millis(max(one.last for one in found)),
                usual_step=min((step for step, _ in steps if step is not None), default=None),
                gaps=sum(gaps for _, gaps in steps),
            )
        )
    return lines
