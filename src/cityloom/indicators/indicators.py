"""The room's door: what may be asked of indicators, what may be entered, and who verifies it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta, tzinfo
from functools import partial

from cityloom.access.audit import AuditLog
from cityloom.access.authority import may_write, require
from cityloom.context.broker import Broker
from cityloom.context.editing import Editing, check_version, version_of
from cityloom.context.summaries import Derived, Summaries
from cityloom.history.queries import History
from cityloom.indicators import writing
from cityloom.indicators.checks import findings
from cityloom.indicators.comparing import Comparing
from cityloom.indicators.computing import Computing, last_day
from cityloom.indicators.districts.values import DistrictValue, DistrictValues
from cityloom.indicators.entries import check_period, checked_source, checked_value
from cityloom.indicators.evidence import Upload, keep
from cityloom.indicators.exchange.reported import Reported
from cityloom.indicators.framework import Framework
from cityloom.indicators.importing import Plan, plan_of
from cityloom.indicators.in_use import InUse
from cityloom.indicators.indices import IndexTold, index_told
from cityloom.indicators.model import (
    TYPE,
    VALUE,
    DataPoint,
    Entry,
    Evidence,
)
from cityloom.indicators.past import Past
from cityloom.indicators.ports import EvidenceStore
from cityloom.indicators.profiles import Profiles
from cityloom.indicators.publications import Publications
from cityloom.indicators.summaries import (
    DECIDED_ON,
    FrameworkReport,
    IndicatorSummary,
    Standing,
    report,
)
from cityloom.indicators.surveys import ACTIVITY, Survey, as_result, closed
from cityloom.indicators.years import Years
from cityloom.kernel.actor import ANONYMOUS, Actor
from cityloom.kernel.errors import BadInput, CityError, Conflict, NotAllowed, NotFound
from cityloom.kernel.time import Clock
from cityloom.kernel.worded import Worded
from cityloom.ngsild.model import Document, value_of

_log = logging.getLogger(__name__)

#: Seconds of the machine's time between two looks at the city's clock.
LOOK_EVERY = 5.0
#: How much it rests after each measure, in times of how long it worked: people ask the same history.
REST = 1.0

#: Why measures failed, by the data point.
_Troubles = tuple[tuple[str, str], ...]
_ENTER, _VERIFY = "indicators:enter", "indicators:verify"


class Indicators:
    """Frameworks with their values. Commands and queries are called on the event loop.

    Who entered, verified or took back a value is written to the audit log where there is one.
    """

    def __init__(
        self,
        broker: Broker,
        history: History,
        clock: Clock,
        frameworks: Sequence[Framework],
        evidence: EvidenceStore,
        *,
        zone: tzinfo,
        figures: Mapping[str, float] | None = None,
        audit: AuditLog | None = None,
    ) -> None:
        """`figures` are numbers of the city that indicators divide by: inhabitants, households."""
        self._broker = broker
        self._clock = clock
        self._evidence = evidence
        self._audit = audit
        self._zone = zone
        self._figures = dict(figures or {})
        self._in_use = InUse(frameworks)
        self._editing = Editing(broker)
        #: Values by district.
        self.districts = DistrictValues(broker, clock, self._editing, self._in_use.known, audit)
        self._documents = Summaries(broker, TYPE, lambda document: document)
        self._reports: dict[str, Derived[FrameworkReport]] = {}
        self._computing = Computing(
            broker,
            history,
            clock,
            self._in_use,
            zone=zone,
            figures=self._figures,
            editing=self._editing,
            districts=self.districts,
        )
        #: Reports as they were published.
        self.publications = Publications(broker, clock, self.report, audit)
        #: All frameworks over the years.
        self.years = Years(history, clock, self._in_use, zone=zone)
        #: The city's own targets and weights, in versions.
        self.profiles = Profiles(broker, clock, self._in_use, self._rejudge, audit)
        #: Values of other cities.
        self.comparing = Comparing(broker, clock, self._in_use.get, zone=zone, audit=audit)
        self._past = Past(broker, history, clock, self._in_use, self._computing, zone=zone)
        #: Set once everything was worked out for the first time since the start, the past included.
        self.first_round = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # Life

    async def start(self, after: asyncio.Event | None = None) -> None:
        """Publish, and begin to work values out in the background, `after` what people wait for."""
        await self.publish()
        self._task = asyncio.create_task(self._keep_computing(after), name="indicators")

    async def _keep_computing(self, after: asyncio.Event | None) -> None:
        """Look at the city's clock until cancelled; the past comes after the first look, when all runs."""
        if after is not None:
            await after.wait()
        while True:
            await self._or_wait(partial(self._computing.tick, rest=REST))
            await asyncio.sleep(LOOK_EVERY)
            await self._or_wait(self._past.fill)
            self.first_round.set()

    async def _or_wait(self, work: Callable[[], Awaitable[object]]) -> None:
        try:
            await work()
        except CityError as error:
            _log.warning("Indicators wait: %s", error)

    async def publish(self) -> None:
        """Write the Entity of every data point, what the framework says of it, and how far its value is."""
        await self._computing.publish_all()
        await self.profiles.load()

    async def _rejudge(self, framework: Framework) -> None:
        """Hold all values of a framework against its targets anew."""
        await self._computing.rejudge(framework)
        await self.districts.rejudge(framework)

    async def stop(self) -> None:
        """Stop working values out."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def compute(self) -> int:
        """Work out now what is due by the city's time; returns how many measures were looked at."""
        return await self._computing.tick()

    async def fill_past(self) -> int:
        """Work out what is missing of the past of indicators that initiatives aim at; returns how many."""
        return await self._past.fill()

    # Queries

    async def read(self) -> None:
        """Read what reports need and was not read yet, in turns with others."""
        await self._documents.read()

    def frameworks(self) -> list[Framework]:
        """The frameworks in use."""
        return list(self._in_use)

    def report(self, actor: Actor, framework_id: str) -> FrameworkReport:
        """A framework with every value that the actor may see. Raises NotFound."""
        return self._report_of(self._in_use.get(framework_id), actor, self._troubles())

    def framework(self, framework_id: str) -> Framework:
        """One of the frameworks in use. Raises NotFound."""
        return self._in_use.get(framework_id)

    def reports(self, actor: Actor) -> list[FrameworkReport]:
        """Every framework with every value that the actor may see."""
        troubles = self._troubles()
        return [self._report_of(framework, actor, troubles) for framework in self._in_use]

    def summary(self, actor: Actor, point_id: str) -> IndicatorSummary:
        """One data point. Raises NotFound."""
        framework, _, _ = self._in_use.known(point_id)
        return next(one for one in self.report(actor, framework.id).indicators if one.id == point_id)

    def index(self, actor: Actor, framework_id: str) -> IndexTold | None:
        """The composite index by the values that stand; None where there is none. Raises NotFound."""
        framework = self._in_use.get(framework_id)
        values = {one.id: one.value for one in self.report(actor, framework.id).indicators}
        year = self._clock.now().astimezone(self._zone).year
        return index_told(framework, lambda point: values.get(point.id), year)

    def find(self, framework_id: str, code: str) -> list[str]:
        """The ids of the data points of an indicator, by its code or an alias of it. Raises NotFound."""
        wanted = _plain(code)
        for indicator in self._in_use.get(framework_id).indicators:
            if wanted in map(_plain, (indicator.code, *indicator.aliases)):
                return [point.id for point in indicator.points]
        raise NotFound(
            f"{framework_id} has no indicator {code[:60]!r}",
            hint=Worded("Look at the list of its indicators."),
        )

    def surveys(self) -> list[Survey]:
        """The surveys whose results may be values: over, and published, so that everybody can look."""
        today = self._clock.now().astimezone(self._zone).date()
        return closed(self._broker.of_type(ANONYMOUS, ACTIVITY), today)

    async def evidence(self, actor: Actor, point_id: str, digest: str) -> tuple[Evidence, bytes]:
        """An evidence file of the value that stands. Raises NotFound."""
        files = self.summary(actor, point_id).evidence
        cleared = actor.may(_ENTER) or actor.may(_VERIFY)
        for one in files:
            if one.digest == digest and (one.public or cleared):
                data = await asyncio.to_thread(self._evidence.get, digest)
                if data is not None:
                    return one, data
        raise NotFound(Worded("There is no such evidence"), hint=Worded("It may belong to an earlier value."))

    # Commands: each raises Conflict when `version` is not what is there

    async def enter(
        self,
        actor: Actor,
        point_id: str,
        entry: Entry,
        files: Sequence[Upload] = (),
        *,
        version: str = "",
    ) -> IndicatorSummary:
        """Enter a value with its evidence. Needs indicators:enter.

        It stands until another one is entered or it is withdrawn, also where the city's data answer the
        indicator. Raises BadInput naming the field; nothing is kept then.
        """
        require(actor, _ENTER)
        framework, indicator, standing = self._in_use.known(point_id)
        _, point, definition = framework.as_of(indicator, standing, last_day(entry.until, self._zone))
        entry = as_result(entry, self.surveys() if entry.survey else ())
        value = checked_value(point, entry)
        check_period(entry, self._clock.now())
        self._check_against_others(actor, framework, point, value)
        checked = checked_source(entry)
        evidence = await keep(self._evidence, files)
        attributes = writing.entered(
            framework,
            point,
            checked,
            value,
            evidence=evidence,
            by=actor.id,
            now=self._clock.now(),
            definition=definition,
        )
        return await self._write(actor, point_id, attributes, version, "enter")

    async def enter_for_district(
        self,
        actor: Actor,
        point_id: str,
        district_id: str,
        entry: Entry,
        files: Sequence[Upload] = (),
        *,
        version: str = "",
    ) -> DistrictValue:
        """Enter a value of a district. Needs indicators:enter. Raises BadInput, NotFound, Conflict."""
        require(actor, _ENTER)
        self.districts.check(actor, point_id, district_id, entry)
        evidence = await keep(self._evidence, files)
        return await self.districts.enter(actor, point_id, district_id, entry, evidence, version=version)

    async def import_values(
        self, actor: Actor, framework_id: str, rows: Sequence[Reported], file: Upload, *, city: str = ""
    ) -> Plan:
        """Enter the values of a file, which goes with each as its evidence. Needs indicators:enter.

        A second person verifies each as if it had been typed. Returns what was entered and what was left out,
        and why. Raises BadInput when nothing of the file can be told apart.
        """
        require(actor, _ENTER)
        plan = await self.plan_import(actor, framework_id, rows, source=file.name, city=city)
        framework, evidence = (
            self._in_use.get(framework_id),
            await keep(self._evidence, [file] if plan.planned else []),
        )
        now = self._clock.now()
        for one in plan.planned:
            if one.district is not None:
                await self.districts.enter(actor, one.point.id, one.district.id, one.entry, evidence)
                continue
            attributes = writing.entered(
                framework,
                one.point,
                one.entry,
                one.value,
                evidence=evidence,
                by=actor.id,
                now=now,
                definition=one.definition,
            )
            await self._edit(actor, one.point.id, partial(writing.edits, attributes=attributes), "enter")
        return plan

    async def plan_import(
        self, actor: Actor, framework_id: str, rows: Sequence[Reported], *, source: str, city: str = ""
    ) -> Plan:
        """What importing these values would enter. Needs indicators:enter. Raises BadInput, NotFound."""
        require(actor, _ENTER)
        framework = self._in_use.get(framework_id)
        known = {(one.code, one.point): one for one in self.report(actor, framework_id).indicators}
        districts = self.districts.districts(actor) if any(one.district for one in rows) else []
        newest = self.districts.entered_until(actor, [point.id for _, point in framework.points()], districts)
        return await asyncio.to_thread(
            plan_of,
            framework,
            rows,
            known,
            zone=self._zone,
            latest=self._clock.now() + timedelta(days=1),
            source=source,
            city=city,
            districts=districts,
            newest=newest,
        )

    async def verify(self, actor: Actor, point_id: str, *, version: str = "") -> IndicatorSummary:
        """Verify the value that stands. Needs indicators:verify, and that somebody else entered it."""
        require(actor, _VERIFY)
        document = self._reported(actor, point_id)
        if value_of(document, "enteredBy") == actor.id:
            raise NotAllowed(
                Worded("Who entered a value does not verify it"),
                hint=Worded("Ask a second person with the permission indicators:verify."),
            )
        attributes = writing.verified(actor.id, self._clock.now())
        return await self._write(actor, point_id, attributes, version or _version(document), "verify")

    async def withdraw(self, actor: Actor, point_id: str, *, version: str = "") -> IndicatorSummary:
        """Take an entered value back: it is then not reported, until it is entered or worked out again."""
        require(actor, _ENTER)
        document = self._reported(actor, point_id)
        if value_of(document, "calculationMethod") != "manual":
            raise Conflict(
                Worded("This value was worked out from the city's data"),
                hint=Worded("Enter another one with its evidence if it is wrong."),
            )
        return await self._write(actor, point_id, writing.unreported(), version, "withdraw")

    async def _write(
        self, actor: Actor, point_id: str, attributes: writing.Attributes, version: str, did: str
    ) -> IndicatorSummary:
        def edits(document: Document) -> writing.Attributes:
            check_version(version, document, DECIDED_ON)
            return writing.edits(document, attributes)

        await self._edit(actor, point_id, edits, did)
        return self.summary(actor, point_id)

    async def _edit(
        self,
        actor: Actor,
        point_id: str,
        edits: Callable[[Document], writing.Attributes],
        did: str,
    ) -> None:
        edits(self._broker.retrieve(actor, point_id))  # what will be refused is not written down as done
        if self._audit is not None:
            await self._audit.record(actor, f"indicator.{did}", point_id)
        await self._editing.edit(may_write(actor), point_id, edits, trace=f"indicators:{did}")

    def _check_against_others(
        self, actor: Actor, framework: Framework, point: DataPoint, value: float | bool
    ) -> None:
        """Refuse what cannot be, whatever the other values are; the rest is shown as a warning."""
        key = (point.code, point.key)
        others = {
            (one.code, one.point): one.value
            for one in self.report(actor, framework.id).indicators
            if one.value is not None
        }
        for finding in findings(framework, {**others, key: value}):
            if finding.check.severity == "error" and key in finding.points:
                said = finding.check.message.get("en", finding.check.id)
                raise BadInput(said, hint=Worded("Check the number and its unit."), where="value")

    def _reported(self, actor: Actor, point_id: str) -> Document:
        self._in_use.known(point_id)
        document = self._broker.retrieve(actor, point_id)
        if VALUE not in document["attrs"]:
            raise Conflict(Worded("There is no value"), hint=Worded("Enter one first."), where="value")
        return document

    def _report_of(self, framework: Framework, actor: Actor, troubles: _Troubles) -> FrameworkReport:
        if framework.id not in self._reports:
            make = partial(self._report, framework.id)
            self._reports[framework.id] = Derived(self._broker, (TYPE,), make)
        return self._reports[framework.id].of(actor, (troubles, framework))

    def _report(self, framework_id: str, actor: Actor) -> FrameworkReport:
        documents = {document["id"]: document for document in self._documents.all(actor)}
        standing = Standing(documents, self._figures, dict(self._troubles()))
        return report(self._in_use.get(framework_id), standing)

    def _troubles(self) -> _Troubles:
        return tuple((key, one.error) for key, one in self._computing.troubles.items())


def _version(document: Document) -> str:
    return version_of(document, DECIDED_ON)


def _plain(code: str) -> str:
    return code.replace(" ", "").upper()
