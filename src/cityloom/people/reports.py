"""Reports from citizens: received, answered, closed with a reason, opened again when nothing was mended.

A report is internal until somebody publishes it. Who sent it and how to reach them is kept apart, in no
Entity; its author finds it again by a code that is shown once (`following`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from cityloom.access.audit import AuditLog
from cityloom.access.authority import may_write, require
from cityloom.context.broker import Broker
from cityloom.context.editing import Editing, Edits, check_version
from cityloom.context.reading import language_property, touches
from cityloom.context.summaries import Summaries
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.errors import BadInput, Conflict
from cityloom.kernel.media_types import BYTES
from cityloom.kernel.time import Clock, format_instant
from cityloom.kernel.worded import Worded
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.geo_query import great_circle
from cityloom.ngsild.model import Document, prop, rel
from cityloom.people.following import Following
from cityloom.people.intake import Intake, Limits, Receipt
from cityloom.people.ports import PhotoStore, ReporterStore
from cityloom.people.report import (
    CATEGORIES,
    DECIDED_ON,
    LONGEST_ANSWER,
    MEDIA_TYPES,
    TYPE,
    Answer,
    NewReport,
    Report,
    Row,
    Status,
    Step,
    check_category,
    check_words,
    reopened,
    report_of,
    row_of,
    with_answer,
    with_step,
)

LONGEST_PAGE = 1000
#: How far apart two reports of one thing are, at most, in metres; and how many are suggested.
NEARBY = 150.0
MOST_NEARBY = 10

_PERMISSION = "reports:answer"
_OPEN, _INTERNAL, _SECURITY = InformationClass


class Contact(msgspec.Struct, frozen=True):
    """How to reach the author of a report; "" for what they did not say."""

    email: str
    phone: str
    language: str


class ReportQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which reports are wanted; empty conditions let all pass."""

    statuses: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    #: west, south, east, north in degrees.
    within: tuple[float, float, float, float] | None = None
    limit: int = 50
    offset: int = 0


class ReportPage(msgspec.Struct, frozen=True):
    """Some of the reports that fit: those that wait for the city first, the newest first."""

    reports: tuple[Report, ...]
    #: How many fit in all.
    total: int


class Nearby(msgspec.Struct, frozen=True):
    """A report of the same kind near a place."""

    report: Report
    metres: float


class Reports:
    """Takes reports in and lets staff handle them. `clock` is the city's.

    `bounds` are the city's west, south, east and north; empty: anywhere.
    """

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        reporters: ReporterStore,
        photos: PhotoStore,
        audit: AuditLog,
        *,
        bounds: tuple[float, ...] = (),
        categories: tuple[str, ...] = CATEGORIES,
        limits: Limits | None = None,
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._reporters = reporters
        self._photos = photos
        self._audit = audit
        self.categories = categories
        self._editing = Editing(broker)
        self._rows = Summaries(broker, TYPE, row_of)
        self._intake = Intake(broker, clock, reporters, photos, bounds, categories, limits or Limits())
        #: The author's side, by code or account.
        self.following = Following(broker, clock, reporters, self._editing)

    # -- taking in ---------------------------------------------------------------------------------------

    async def submit(self, actor: Actor, report: NewReport, *, address: str = "") -> Receipt:
        """Take a report in from anybody; by telephone or on paper from staff (needs reports:answer).

        Raises BadInput naming the field, TooManyAttempts when too many come from one address.
        """
        return await self._intake.submit(actor, report, address=address)

    def nearby(
        self, actor: Actor, category: str, location: tuple[float, float], *, metres: float = NEARBY
    ) -> Sequence[Nearby]:
        """Reports of the category near a place that the actor may see, closed ones too; nearest first."""
        found = []
        for row in self._rows.all(actor):
            if row.category == category and row.bounds is not None:
                west, south, east, north = row.bounds
                apart = great_circle(*location, (west + east) / 2, (south + north) / 2)
                if apart <= metres:
                    found.append((apart, row.id))
        return [Nearby(self.get(actor, one), apart) for apart, one in sorted(found)[:MOST_NEARBY]]

    # -- asking: what the actor is cleared for -------------------------------------------------------------

    def get(self, actor: Actor, report_id: str) -> Report:
        """One report. Raises ResourceNotFound."""
        document = self._broker.retrieve(actor, report_id)
        if TYPE not in document["type"]:
            raise _no_report(report_id)
        return report_of(document)

    def list(self, actor: Actor, query: ReportQuery | None = None) -> ReportPage:
        """The reports that fit: received and reopened ones first, the newest first."""
        asked = query or ReportQuery()
        fitting = [row for row in self._rows.all(actor) if _fits(row, asked)]
        fitting.sort(key=_newest, reverse=True)
        fitting.sort(key=lambda row: row.status not in _WAITING)
        start = max(0, asked.offset)
        page = fitting[start : start + max(0, min(asked.limit, LONGEST_PAGE))]
        return ReportPage(tuple(self.get(actor, row.id) for row in page), len(fitting))

    async def read(self) -> None:
        """Read what lists need and was not read yet, in turns with others."""
        await self._rows.read()

    def counts(self, actor: Actor) -> dict[str, int]:
        """How many reports there are, by status."""
        counted = Counter(row.status for row in self._rows.all(actor))
        return {status.value: counted[status.value] for status in Status}

    def is_public(self, actor: Actor, report_id: str) -> bool:
        """Whether everybody sees the report. Raises ResourceNotFound."""
        return self._broker.class_of(actor, report_id) is _OPEN

    async def photo(self, actor: Actor, report_id: str) -> tuple[bytes, str]:
        """The report's photo and its media type; of a published report only when it is public too."""
        report = self.get(actor, report_id)
        data = None
        if report.photo and (report.photo_is_public or actor.sees(_INTERNAL)):
            data = await asyncio.to_thread(self._photos.get, report.photo)
        if data is None:
            raise ResourceNotFound(
                Worded("There is no photo"), hint=Worded("Look at the report."), where="photo"
            )
        return data, MEDIA_TYPES.get(report.photo.rpartition(".")[2], BYTES)

    # -- handling: each needs reports:answer and raises Conflict when `version` is not what is there --------

    async def answer(
        self, actor: Actor, report_id: str, text: str, *, language: str = "en", version: str = ""
    ) -> Report:
        """Answer the author; whoever may see the report reads it too."""
        tag, said = check_words(text, language, where="answer", longest=LONGEST_ANSWER)
        at = self._now()

        def edits(report: Report) -> Edits:
            status = Status.CLOSED if report.is_closed else Status.ANSWERED
            return with_answer(report, "answered", Answer(at, actor.id, tag, said)) | {
                "status": prop(status.value)
            }

        return await self._handle(actor, report_id, edits, version, "answer")

    async def close(
        self,
        actor: Actor,
        report_id: str,
        why: str,
        *,
        fixed: bool,
        language: str = "en",
        version: str = "",
    ) -> Report:
        """Close it with a public reason. `fixed` is what the city says; its author may say otherwise."""
        tag, said = check_words(why, language, where="why", longest=LONGEST_ANSWER)
        at = self._now()

        def edits(report: Report) -> Edits:
            if report.is_closed:
                raise Conflict(
                    Worded("The report is closed already"), hint=Worded("Look at it again."), where="status"
                )
            return with_answer(report, "closed", Answer(at, actor.id, tag, said)) | {
                "status": prop(Status.CLOSED.value),
                "closedAt": prop(at),
                "closedBecause": language_property({tag: said}),
                "fixedByBody": prop(fixed),
            }

        return await self._handle(actor, report_id, edits, version, "close")

    async def reopen(self, actor: Actor, report_id: str, *, version: str = "") -> Report:
        """Take the closing back."""
        at = self._now()

        def edits(report: Report) -> Edits:
            return reopened(report, Step(at, actor.id, "reopened"))

        return await self._handle(actor, report_id, edits, version, "reopen")

    async def sort(self, actor: Actor, report_id: str, category: str, *, version: str = "") -> Report:
        """Give it another category."""
        chosen, at = check_category(category, self.categories), self._now()

        def edits(report: Report) -> Edits:
            return with_step(report, Step(at, actor.id, "sorted")) | {"category": prop(chosen)}

        return await self._handle(actor, report_id, edits, version, "sort")

    async def mark_duplicate(self, actor: Actor, report_id: str, of: str, *, version: str = "") -> Report:
        """Say that another report is of the same thing; "" takes it back. It closes nothing."""
        require(actor, _PERMISSION)
        if of:
            self._check_original(actor, report_id, of)

        def edits(_: Report) -> Edits:
            return {"duplicateOf": rel(of) if of else None}

        return await self._handle(actor, report_id, edits, version, "duplicate")

    async def publish(self, actor: Actor, report_id: str, *, with_photo: bool, version: str = "") -> Report:
        """Open the report, its answers and (with_photo) its photo to everybody, as they were written."""
        require(actor, _PERMISSION)
        at = self._now()

        def edits(report: Report) -> Edits:
            step = with_step(report, Step(at, actor.id, "published"))
            return step | ({"photoIsPublic": prop(with_photo)} if report.photo else {})

        async with self._editing.turn(f"class {report_id}"):
            if self._broker.class_of(actor, report_id) is _SECURITY:
                hint = Worded("Let somebody who may classify make it internal first.")
                raise Conflict(Worded("The report is of the security class"), hint=hint, where="class")
            await self._handle(actor, report_id, edits, version, "publish")
            await self._classify(actor, report_id, _OPEN, "people:publish")
        return self.get(actor, report_id)

    async def unpublish(self, actor: Actor, report_id: str) -> Report:
        """Take a published report out of everybody's sight."""
        require(actor, _PERMISSION)
        at = self._now()
        async with self._editing.turn(f"class {report_id}"):
            if self._broker.class_of(actor, report_id) is not _OPEN:
                raise Conflict(
                    Worded("The report is not published"), hint=Worded("Look at it again."), where="class"
                )
            await self._classify(actor, report_id, _INTERNAL, "people:unpublish")
            return await self._handle(
                actor,
                report_id,
                lambda report: with_step(report, Step(at, actor.id, "unpublished")),
                "",
                "unpublish",
            )

    async def contact(self, actor: Actor, report_id: str) -> Contact:
        """How to reach the author. Needs reports:answer; that somebody looked is written down."""
        require(actor, _PERMISSION)
        self.get(actor, report_id)
        await self._audit.record(actor, "report.contact", report_id)
        reporter = await asyncio.to_thread(self._reporters.of_report, report_id)
        if reporter is None:
            return Contact("", "", "en")
        return Contact(reporter.email, reporter.phone, reporter.language)

    async def forget_contacts(self, closed_before: datetime) -> int:
        """Forget how to reach the authors of reports closed before then, or gone. For the housekeeping."""
        forgotten = 0
        for report_id in await asyncio.to_thread(self._reporters.with_contact):
            if not report_id.startswith(f"urn:ngsi-ld:{TYPE}:"):
                continue
            document = self._broker.find(_EVERYTHING, report_id)
            report = report_of(document) if document else None
            done = report is None or (
                report.is_closed and report.closed_at is not None and report.closed_at < closed_before
            )
            if done:
                await asyncio.to_thread(self._reporters.forget_contact, report_id)
                forgotten += 1
        return forgotten

    # -- inside ----------------------------------------------------------------------------------------------

    async def _handle(
        self, actor: Actor, report_id: str, decide: Callable[[Report], Edits], version: str, did: str
    ) -> Report:
        require(actor, _PERMISSION)

        def edits(document: Document) -> Edits:
            if TYPE not in document["type"]:
                raise _no_report(report_id)
            check_version(version, document, DECIDED_ON)
            return decide(report_of(document))

        return report_of(await self._editing.edit(may_write(actor), report_id, edits, trace=f"people:{did}"))

    async def _classify(
        self, actor: Actor, report_id: str, information_class: InformationClass, trace: str
    ) -> None:
        writer = may_write(actor, classify=True)
        await self._broker.classify(writer, report_id, information_class, trace=trace)

    def _check_original(self, actor: Actor, report_id: str, of: str) -> None:
        original = self.get(actor, of)
        if of == report_id or original.duplicate_of:
            raise BadInput(
                Worded("That report is not the first of its kind"), hint=Worded("Name the first."), where="of"
            )
        if self._broker.class_of(actor, of) is _SECURITY:
            raise BadInput(
                Worded("That report is of the security class"), hint=Worded("Leave it out."), where="of"
            )

    def _now(self) -> str:
        return format_instant(self._clock.now())


#: What waits for the city.
_WAITING = frozenset({Status.RECEIVED.value, Status.REOPENED.value})
_EVERYTHING = Actor(id="housekeeping", name="Housekeeping", clearance=frozenset(InformationClass))


def _fits(row: Row, asked: ReportQuery) -> bool:
    return (
        (not asked.statuses or row.status in asked.statuses)
        and (not asked.categories or row.category in asked.categories)
        and (asked.within is None or touches(row.bounds, asked.within))
    )


def _newest(row: Row) -> float:
    return row.received_at.timestamp() if row.received_at else 0.0


def _no_report(report_id: str) -> ResourceNotFound:
    return ResourceNotFound(
        Worded("There is no report %(id)s", id=report_id), hint=Worded("List the reports."), where="id"
    )
