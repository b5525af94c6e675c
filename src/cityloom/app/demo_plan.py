"""What is done of a demo city's example plan once the city runs: adopted, frozen, changed, adopted anew.

It goes the way of a real one, through the rooms, so that digests are of what stands in the open, and a
baseline holds what the city's own readings say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cityloom.app.demo_agreements import COUNCIL, ORIGIN, WRITER
from cityloom.app.house import House
from cityloom.kernel.errors import Conflict
from cityloom.planning.masterplan.adoption import decided_by


class DemoPlan:
    """Acts of the plan. Each is done once: what stands there already is left as it is."""

    def __init__(self, house: House, acts: Mapping[str, Any]) -> None:
        """`acts` are those of `DemoCity.agreements`: ids of what is acted on, texts."""
        self._plan = house.plan
        self._acts = acts

    async def begin(self) -> None:
        """The council adopts a first version."""
        await self._adopt(self._acts["first"])

    async def go_on(self) -> None:
        """Freeze what the indicators say, change the plan by what was learned, and adopt it anew."""
        if not self._plan.baselines.list(WRITER):
            try:
                await self._plan.baselines.freeze(WRITER, self._acts["baseline"], origin=ORIGIN)
            except Conflict:
                return  # a catalogue whose indicators know nothing of this city
        await self._learn(self._acts["change"])
        await self._adopt(self._acts["again"])

    async def _learn(self, change_id: str) -> None:
        records, learning = self._plan.records, self._plan.learning
        change = next((one for one in learning.waiting(WRITER) if one.id == change_id), None)
        if change is not None:
            await learning.accept(WRITER, change.id, answer=self._acts["answer"])
            for touched in (change.values["record"], change.id):
                await records.publish(WRITER, touched)

    async def _adopt(self, decision: str) -> None:
        versions = self._plan.versions
        if not any(decision in decided_by(one) for one in versions.list(COUNCIL)):
            await versions.adopt(COUNCIL, decision, origin=ORIGIN)
