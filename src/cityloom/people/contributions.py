"""Contributions to consultations: taken in while one is open, each answered with what it changed.

A contribution is internal. Its author follows it by a code that is shown once, as with a report. What of it
everybody may read is what somebody of the staff has looked through.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

import msgspec

from cityloom.access.audit import AuditLog
from cityloom.access.authority import may_write, require
from cityloom.access.credentials import new_id, new_spoken_secret
from cityloom.context.broker import Broker
from cityloom.context.editing import Editing, Edits, check_version
from cityloom.context.reading import instant_in, language_property
from cityloom.context.summaries import Derived, Summaries
from cityloom.kernel.actor import ANONYMOUS, CITY, Actor, InformationClass
from cityloom.kernel.errors import BadInput, CityError, Conflict
from cityloom.kernel.time import Clock, format_instant
from cityloom.kernel.worded import Worded
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.model import Document, Instance, entity, json_value, prop, rel
from cityloom.people.contribution import (
    AGES,
    CHANNELS,
    DECIDED_ON,
    LONGEST_RESPONSE,
    LONGEST_TEXT,
    PREFIX,
    TYPE,
    Contribution,
    Kind,
    NewContribution,
    Response,
    Status,
    contribution_of,
    one_of,
    with_response,
    with_step,
)
from cityloom.people.intake import Limits, Receipt
from cityloom.people.ports import Reporter, ReporterStore
from cityloom.people.report import REPORTER, Step, check_email, check_phone, check_words, code_digest
from cityloom.people.reports import Contact
from cityloom.planning.records.model import Record
from cityloom.planning.records.records import Records
from cityloom.planning.stakeholders.defaults import categories
from cityloom.planning.stakeholders.kinds import CONSULTATION, PERMISSION, PROJECTS, RULES, STAKEHOLDER
from cityloom.planning.stakeholders.principles import Check, Stage, check, stage
from cityloom.planning.stakeholders.stakeholders import Stakeholders

_LONGEST_CODE = 100
#: What the stage of a consultation follows from, beside the day.
_RESTS_ON = (CONSULTATION.type, STAKEHOLDER.type, RULES.type)
#: In which order consultations are listed.
_ORDER = (Stage.OPEN, Stage.ANNOUNCED, Stage.HELD_UP, Stage.CLOSED, Stage.PREPARED)


class FollowedContribution(msgspec.Struct, frozen=True):
    """A contribution as its author sees it, with the consultation as everybody sees it, None when it is
    withdrawn."""

    reporter: Reporter
    contribution: Contribution
    consultation: Record | None


class Consulted(msgspec.Struct, frozen=True):
    """Where a consultation is, and which principles hold."""

    stage: Stage
    checks: tuple[Check, ...]


class Contributions:
    """Takes contributions in and lets the staff answer them. `clock` and `zone` are the city's."""

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        zone: ZoneInfo,
        records: Records,
        reporters: ReporterStore,
        audit: AuditLog,
        *,
        limits: Limits | None = None,
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._zone = zone
        self._records = records
        #: The register, over the same records.
        self.stakeholders = Stakeholders(records)
        self._reporters = reporters
        self._audit = audit
        self._limits = limits or Limits()
        self._editing = Editing(broker)
        self._consultations = Derived(broker, (CONSULTATION.type,), self._read_consultations)
        self._read = Summaries(broker, TYPE, contribution_of)
        self._by_consultation = Derived(
            broker, (TYPE,), lambda actor: _by_consultation(self._read.all(actor))
        )

    # -- consultations ---------------------------------------------------------------------------------------

    def stage_of(self, record: Record) -> Consulted:
        """Where a consultation is today, and what is missing before it opens."""
        prepared, (_, required) = self.stakeholders.prepared(record), self.stakeholders.rules()
        return Consulted(stage(prepared, required, self.today()), check(prepared, required))

    def consultations(self, actor: Actor) -> Sequence[tuple[Record, Consulted]]:
        """The consultations that the actor may see, with where each is: those that are open first."""
        rests_on = tuple(self._broker.stamp(CITY, name) for name in _RESTS_ON)
        return self._consultations.of(actor, (self.today(), rests_on))

    def _read_consultations(self, actor: Actor) -> Sequence[tuple[Record, Consulted]]:
        found = [(one, self.stage_of(one)) for one in self._records.list(actor, CONSULTATION.type)]
        return sorted(found, key=lambda one: (_ORDER.index(one[1].stage), one[0].get("opens") or date.min))

    def today(self) -> date:
        """The day in the city."""
        return self._clock.now().astimezone(self._zone).date()

    # -- taking in ---------------------------------------------------------------------------------------

    async def submit(self, actor: Actor, new: NewContribution, *, address: str = "") -> Receipt:
        """Take a contribution in from anybody while the consultation is open; from staff (who needs
        stakeholders:edit) also what came by its last day on paper, by telephone or at a meeting. Grievances
        are taken from when that was promised.

        Raises BadInput naming the field, Conflict when it is not open, TooManyAttempts when too many come
        from one address.
        """
        by_staff = one_of(new.channel, CHANNELS, "channel") != "web"
        if by_staff:
            require(actor, PERMISSION)
        record = self._consultation(new.consultation, by_staff=by_staff)
        self._check_open(record, new, by_staff=by_staff)
        attributes = self._attributes(record, new, by_staff=by_staff)
        email, phone = check_email(new.email), check_phone(new.phone)
        if not by_staff:
            self._limits.take(address)
        now, code, made = self._clock.now(), new_spoken_secret(5), new_id(PREFIX)
        reporter = Reporter(
            report_id=made,
            follow_digest=code_digest(code),
            language=new.language,
            submitted_at=now,
            email=email,
            phone=phone,
        )
        writer = actor if by_staff else REPORTER
        attributes |= {
            "consultation": rel(record.id),
            "channel": prop(new.channel),
            "status": prop(Status.RECEIVED.value),
            "dateIssued": prop(format_instant(now)),
            "dataOrigin": prop("entered"),
            "history": json_value([msgspec.to_builtins(Step(format_instant(now), writer.id, "received"))]),
        }
        await self._keep(writer, reporter, entity(TYPE, made, attributes))
        return Receipt(made, code, now)

    def _consultation(self, consultation_id: str, *, by_staff: bool) -> Record:
        record = self._records.find(CITY if by_staff else ANONYMOUS, consultation_id)
        if record is None or record.kind is not CONSULTATION:
            raise ResourceNotFound(
                Worded("There is no such consultation"),
                hint=Worded("See the list of them."),
                where="consultation",
            )
        return record

    def _check_open(self, record: Record, new: NewContribution, *, by_staff: bool) -> None:
        found = self.stage_of(record).stage
        if one_of(new.kind, Kind, "kind") == Kind.GRIEVANCE:
            since = record.get("grievanceSince")
            if found is not Stage.PREPARED and since is not None and since <= self.today():
                return
        elif found is Stage.OPEN or (by_staff and found is Stage.CLOSED):
            return
        raise Conflict(
            Worded("The consultation is not open"),
            hint=Worded("See on its page from when to when it is."),
            where="consultation",
        )

    def _attributes(self, record: Record, new: NewContribution, *, by_staff: bool) -> dict[str, Instance]:
        tag, said = check_words(new.text, new.language, where="text", longest=LONGEST_TEXT)
        if not 0 <= new.question <= len(record.get("questions", ())):
            raise BadInput(
                Worded("There is no such question"), hint=Worded("Choose one of the list."), where="question"
            )
        attributes = {
            "kind": prop(new.kind),
            "text": language_property({tag: said}),
            "question": prop(new.question),
            "speaksFor": prop(one_of(new.speaks_for, categories(), "speaksFor")),
        }
        if new.age:
            attributes["age"] = prop(one_of(new.age, AGES, "age"))
        if new.stakeholder and by_staff:
            found = self._records.find(CITY, new.stakeholder)
            if found is None or found.kind.type != "Stakeholder":
                raise BadInput(
                    Worded("There is no such stakeholder"),
                    hint=Worded("Choose one of the list."),
                    where="stakeholder",
                )
            attributes |= {"stakeholder": rel(found.id), "speaksFor": prop(found.get("category", ""))}
        return attributes

    async def _keep(self, writer: Actor, reporter: Reporter, document: Document) -> None:
        await asyncio.to_thread(self._reporters.add, reporter)
        try:
            await self._broker.create(
                may_write(writer, classify=True),
                document,
                information_class=InformationClass.INTERNAL,
                trace="people:contribution",
            )
        except CityError:
            await asyncio.to_thread(self._reporters.delete, reporter.report_id)
            raise

    # -- asking ----------------------------------------------------------------------------------------------

    def get(self, actor: Actor, contribution_id: str) -> Contribution:
        """One contribution. Raises ResourceNotFound."""
        document = self._broker.retrieve(actor, contribution_id)
        if TYPE not in document["type"]:
            raise _none(contribution_id)
        return contribution_of(document)

    def of(self, actor: Actor, consultation_id: str = "") -> Sequence[Contribution]:
        """Those of a consultation, or all, that the actor may see; what waits for an answer first."""
        return self._by_consultation.of(actor).get(consultation_id, [])

    async def read(self) -> None:
        """Read what lists need and was not read yet, in turns with others."""
        await self._read.read()

    def counted(self, consultation_id: str) -> Sequence[Contribution]:
        """All of a consultation's but such as are of the security class: for counts, and for what of them was
        made public. Nothing else of them is to be shown to whoever asks."""
        return self.of(REPORTER, consultation_id)

    def changing(self, target: str) -> Sequence[Contribution]:
        """Those that changed a goal or an initiative. To be shown as `counted` says."""
        names = self._broker.referrers(REPORTER, target)
        documents = (self._broker.find(REPORTER, one) for one in names)
        found = [contribution_of(one) for one in documents if one is not None and TYPE in one["type"]]
        return [one for one in found if one.responses and target in one.responses[-1].what]

    async def by_code(self, code: str) -> FollowedContribution:
        """As its author sees it. Raises ResourceNotFound for a code that opens nothing."""
        shown = code_digest(code[:_LONGEST_CODE])
        reporter = await asyncio.to_thread(self._reporters.of_code, shown)
        document = None if reporter is None else self._broker.find(REPORTER, reporter.report_id)
        if reporter is None or document is None or TYPE not in document["type"]:
            raise ResourceNotFound(
                Worded("There is no contribution under this code"),
                hint=Worded("Type it as it stands on the receipt."),
                where="code",
            )
        found = contribution_of(document)
        return FollowedContribution(reporter, found, self._records.find(ANONYMOUS, found.consultation))

    async def forget_contact(self, followed: FollowedContribution) -> None:
        """Forget e-mail address and telephone number, as their owner wishes."""
        await asyncio.to_thread(self._reporters.forget_contact, followed.reporter.report_id)

    # -- handling: each needs stakeholders:edit, and raises Conflict when `version` is not what is there -----

    async def answer(
        self,
        actor: Actor,
        contribution_id: str,
        text: str,
        *,
        changed: bool,
        what: Sequence[str] = (),
        language: str = "en",
        version: str = "",
    ) -> Contribution:
        """Say what was done with it. What it changed is named: goals or initiatives, by id."""
        require(actor, PERMISSION)
        tag, said = check_words(text, language, where="text", longest=LONGEST_RESPONSE)
        if changed and not what:
            raise BadInput(
                Worded("What it changed is missing"),
                hint=Worded("Choose the goal or initiative that was changed."),
                where="what",
            )
        for one in what:
            self._check_project(actor, one)
        at = self._now()
        response = Response(at, actor.id, tag, said, changed, tuple(what) if changed else ())

        def edits(found: Contribution) -> Edits:
            links = {"changedWhat": rel(list(response.what)) if response.what else None}
            return with_response(found, response) | links | {"status": prop(Status.ANSWERED.value)}

        return await self._handle(actor, contribution_id, edits, version, "answer")

    async def publish(
        self, actor: Actor, contribution_id: str, text: str, *, language: str = "en", version: str = ""
    ) -> Contribution:
        """Let everybody read this text of it; "" takes it back."""
        require(actor, PERMISSION)
        said = check_words(text, language, where="publicText", longest=LONGEST_TEXT) if text.strip() else None
        at = self._now()

        def edits(found: Contribution) -> Edits:
            step = with_step(found, Step(at, actor.id, "published" if said else "unpublished"))
            return step | {"publicText": language_property({said[0]: said[1]}) if said else None}

        return await self._handle(actor, contribution_id, edits, version, "moderate")

    async def contact(self, actor: Actor, contribution_id: str) -> Contact:
        """How to reach the author. That somebody looked is written down."""
        require(actor, PERMISSION)
        self.get(actor, contribution_id)
        await self._audit.record(actor, "contribution.contact", contribution_id)
        reporter = await asyncio.to_thread(self._reporters.of_report, contribution_id)
        if reporter is None:
            return Contact("", "", "en")
        return Contact(reporter.email, reporter.phone, reporter.language)

    async def forget_contacts(self, answered_before: datetime) -> int:
        """Forget how to reach the authors of those answered before then, or gone. For the housekeeping."""
        forgotten = 0
        for name in await asyncio.to_thread(self._reporters.with_contact):
            if not name.startswith(PREFIX):
                continue
            document = self._broker.find(CITY, name)
            responses = contribution_of(document).responses if document else ()
            last = instant_in(responses[-1].at) if responses else None
            if document is None or (last is not None and last < answered_before):
                await asyncio.to_thread(self._reporters.forget_contact, name)
                forgotten += 1
        return forgotten

    # -- inside ----------------------------------------------------------------------------------------------

    def _check_project(self, actor: Actor, name: str) -> None:
        document = self._records.target(actor, name)
        if document is None or not set(PROJECTS) & set(document["type"]):
            raise BadInput(
                Worded("There is nothing of the kind: %(id)s", id=name[:200]),
                hint=Worded("Choose one of the list."),
                where="what",
            )

    async def _handle(
        self,
        actor: Actor,
        contribution_id: str,
        decide: Callable[[Contribution], Edits],
        version: str,
        did: str,
    ) -> Contribution:
        def edits(document: Document) -> Edits:
            if TYPE not in document["type"]:
                raise _none(contribution_id)
            check_version(version, document, DECIDED_ON)
            return decide(contribution_of(document))

        trace = f"people:{did}"
        return contribution_of(
            await self._editing.edit(may_write(actor), contribution_id, edits, trace=trace)
        )

    def _now(self) -> str:
        return format_instant(self._clock.now())


def _by_consultation(every: Sequence[Contribution]) -> Mapping[str, Sequence[Contribution]]:
    """Those of each consultation, and all of them under "": what waits for an answer first."""
    found: dict[str, list[Contribution]] = {"": []}
    for one in sorted(every, key=lambda one: (one.status != Status.RECEIVED, _received(one))):
        found[""].append(one)
        if one.consultation:
            found.setdefault(one.consultation, []).append(one)
    return found


def _received(one: Contribution) -> float:
    return -one.received_at.timestamp() if one.received_at else 0.0


def _none(contribution_id: str) -> ResourceNotFound:
    return ResourceNotFound(
        Worded("There is no contribution %(id)s", id=contribution_id[:200]),
        hint=Worded("See the list of them."),
        where="id",
    )
