"""The master plan's door: its phases, baselines, versions, learning, and how it goes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, tzinfo

from cityloom.context.broker import Broker
from cityloom.indicators.indicators import Indicators
from cityloom.indicators.ports import EvidenceStore
from cityloom.kernel.actor import Actor
from cityloom.kernel.time import Clock
from cityloom.planning.initiatives import Initiatives
from cityloom.planning.masterplan.adoption import Adoption
from cityloom.planning.masterplan.baselines import Baselines
from cityloom.planning.masterplan.gates import PlanPhase, Requirement
from cityloom.planning.masterplan.learning import Learning
from cityloom.planning.masterplan.monitoring import Course, Now, course
from cityloom.planning.masterplan.phases import Phases, Position
from cityloom.planning.masterplan.readiness import Facts, requirements
from cityloom.planning.records.records import Records


class MasterPlan:
    """What is asked of the plan as a whole; records and initiatives have doors of their own."""

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        records: Records,
        initiatives: Initiatives,
        indicators: Indicators,
        store: EvidenceStore,
        *,
        city: str,
        zone: tzinfo,
    ) -> None:
        """`store` keeps what is frozen, by its digest."""
        self.records = records
        self.phases = Phases(broker, clock)
        self.baselines = Baselines(broker, clock, store, indicators, city)
        self.versions = Adoption(
            broker, clock, store, records, initiatives, self.baselines, city=city, zone=zone
        )
        self.learning = Learning(records)
        self._initiatives = initiatives
        self._indicators = indicators
        self._clock = clock
        self._zone = zone

    def today(self) -> date:
        """The day in the city."""
        return self._clock.now().astimezone(self._zone).date()

    def facts(self, actor: Actor) -> Facts:
        """What is there of the plan, for one reader."""
        return Facts(
            records={name: self.records.list(actor, name) for name in self.records.kinds},
            initiatives=self._initiatives.list(actor),
            today=self.today(),
            baselines=len(self.baselines.list(actor)),
            versions=len(self.versions.list(actor)),
            unpublished=len(self.versions.unpublished(actor)),
        )

    def requirements(self, actor: Actor, phase: PlanPhase) -> list[Requirement]:
        """What the gate behind a phase asks for, and whether it is there."""
        return requirements(phase, self.facts(actor))

    async def open(self, actor: Actor, phase: PlanPhase, *, reason: str = "", version: str = "") -> Position:
        """Open the next phase, or go back to an earlier one."""
        present = self.phases.position(actor).phase
        asked = self.requirements(actor, present)
        return await self.phases.move(actor, phase, asked, reason=reason, version=version)

    def now(self, actor: Actor) -> Mapping[str, Now]:
        """What every indicator says now, by its id."""
        return {
            one.id: Now(one.name, one.value, one.unit_code or one.unit)
            for report in self._indicators.reports(actor)
            for one in report.indicators
        }

    async def course(self, actor: Actor) -> Course:
        """How the plan goes today, as far as somebody may see it."""
        frozen = await self.baselines.newest(actor)
        baseline = {name: float(one.value) for name, one in frozen.items()}
        return course(
            self.records.list(actor, "Goal"),
            self._initiatives.list(actor),
            self.now(actor),
            baseline,
            today=self.today(),
            zone=self._zone,
        )
