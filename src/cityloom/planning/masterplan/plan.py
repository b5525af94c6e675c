"""The master plan's door: its phases, baselines, versions, learning, and how it goes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from zoneinfo import ZoneInfo

from cityloom.context.broker import Broker
from cityloom.context.summaries import WorkedOut
from cityloom.indicators.indicators import Indicators
from cityloom.indicators.model import TYPE as INDICATOR
from cityloom.indicators.ports import EvidenceStore
from cityloom.indicators.summaries import FrameworkReport
from cityloom.kernel.actor import Actor
from cityloom.kernel.time import Clock
from cityloom.planning.action.laid_out import LaidOut, lay_out
from cityloom.planning.initiatives import Initiatives
from cityloom.planning.masterplan.adoption import TYPE as VERSION
from cityloom.planning.masterplan.adoption import Adoption
from cityloom.planning.masterplan.baselines import TYPE as BASELINE
from cityloom.planning.masterplan.baselines import Baselines
from cityloom.planning.masterplan.gates import PlanPhase, Requirement
from cityloom.planning.masterplan.learning import Learning
from cityloom.planning.masterplan.monitoring import Course, Now, course
from cityloom.planning.masterplan.phases import Phases, Position
from cityloom.planning.masterplan.readiness import requirements
from cityloom.planning.masterplan.requirements.facts import Facts
from cityloom.planning.model import TYPE as INITIATIVE
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
        zone: ZoneInfo,
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
        plan = (*records.kinds, INITIATIVE, BASELINE, VERSION)
        self._gates = WorkedOut(broker, plan, self._gates_gathered)
        self._courses = WorkedOut(broker, ("Goal", INITIATIVE, INDICATOR), self._course_gathered)
        self._laid_out = WorkedOut(broker, (INITIATIVE,), self._laying_out)
        #: What the newest baseline says, by its digest.
        self._baseline: tuple[str, Mapping[str, float]] = ("", {})

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

    async def gates(self, actor: Actor) -> Mapping[PlanPhase, Sequence[Requirement]]:
        """What the gate behind each phase asks for, and whether it is there."""
        return await self._gates.of(actor, self.today())

    async def open(self, actor: Actor, phase: PlanPhase, *, reason: str = "", version: str = "") -> Position:
        """Open the next phase, or go back to an earlier one."""
        present = self.phases.position(actor).phase
        asked = (await self.gates(actor))[present]
        return await self.phases.move(actor, phase, asked, reason=reason, version=version)

    def now(self, actor: Actor) -> Mapping[str, Now]:
        """What every indicator says now, by its id."""
        return _now_of(self._indicators.reports(actor))

    async def course(self, actor: Actor) -> Course:
        """How the plan goes today, as far as somebody may see it."""
        newest = next(iter(self.baselines.list(actor)), None)
        digest = newest.digest if newest is not None else ""
        if digest != self._baseline[0]:
            frozen = await self.baselines.newest(actor)
            self._baseline = digest, {name: float(one.value) for name, one in frozen.items()}
        return await self._courses.of(actor, (self.today(), digest))

    async def laid_out(self, actor: Actor, delays: Mapping[str, int] = {}) -> LaidOut:
        """All initiatives in time, as of today. `delays`: what if some began so many days later, by id."""
        if not delays:
            return await self._laid_out.of(actor, self.today())
        return await asyncio.to_thread(
            lay_out, self._initiatives.list(actor), self._zone, self.today(), delays
        )

    # What is worked out beside the event loop looks at nothing but what is gathered here.

    def _gates_gathered(self, actor: Actor) -> Callable[[], Mapping[PlanPhase, Sequence[Requirement]]]:
        facts = self.facts(actor)
        return lambda: {phase: requirements(phase, facts) for phase in PlanPhase}

    def _laying_out(self, actor: Actor) -> Callable[[], LaidOut]:
        initiatives, today = self._initiatives.list(actor), self.today()
        return lambda: lay_out(initiatives, self._zone, today, {})

    def _course_gathered(self, actor: Actor) -> Callable[[], Course]:
        goals, initiatives = self.records.list(actor, "Goal"), self._initiatives.list(actor)
        reports, baseline, today = self._indicators.reports(actor), self._baseline[1], self.today()
        return lambda: course(goals, initiatives, _now_of(reports), baseline, today=today, zone=self._zone)


def _now_of(reports: Iterable[FrameworkReport]) -> dict[str, Now]:
    return {
        one.id: Now(one.name, one.value, one.unit_code or one.unit)
        for report in reports
        for one in report.indicators
    }
