"""The author's side of a report: seen, answered and opened again by whoever has the code or the account."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from cityloom.access.authority import may_write
from cityloom.access.credentials import new_id
from cityloom.access.throttle import Allowance
from cityloom.context.broker import Broker
from cityloom.context.editing import Editing, Edits
from cityloom.context.reading import instant, language_property, texts
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.errors import Conflict
from cityloom.kernel.time import Clock, format_instant
from cityloom.kernel.worded import Worded
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.model import Document, entity, prop, rel
from cityloom.people.ports import Reporter, ReporterStore
from cityloom.people.report import (
    LONGEST_DESCRIPTION,
    REPLY_TYPE,
    REPORTER,
    TYPE,
    Report,
    Step,
    check_words,
    code_digest,
    reopened,
    report_of,
    with_step,
)

_LONGEST_CODE = 100
#: What one author may do with one report in an hour.
ACTS_AN_HOUR = 10


class Reply(msgspec.Struct, frozen=True):
    """What the author wrote later."""

    at: datetime | None
    text: str


class Followed(msgspec.Struct, frozen=True):
    """A report as its author sees it. `report` is None while it is handled as a matter of security."""

    reporter: Reporter
    report: Report | None
    replies: tuple[Reply, ...]
    is_public: bool


class Following:
    """Opens a report to its author. Whoever has the code is the author."""

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        reporters: ReporterStore,
        editing: Editing,
        *,
        acts: Allowance | None = None,
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._reporters = reporters
        self._editing = editing
        self._acts = acts or Allowance(ACTS_AN_HOUR, 3600)

    async def by_code(self, code: str) -> Followed:
        """Raises ResourceNotFound for a code that opens nothing."""
        shown = code_digest(code[:_LONGEST_CODE])
        reporter = await asyncio.to_thread(self._reporters.of_code, shown)
        if reporter is None or not _is_report(reporter):
            hint = Worded("Type it as it stands on the receipt.")
            raise ResourceNotFound(Worded("There is no report under this code"), hint=hint, where="code")
        return self._followed(reporter)

    async def by_account(self, actor: Actor) -> Sequence[Followed]:
        """The reports sent from the actor's account, the newest first; none for a visitor."""
        reporters = await asyncio.to_thread(self._reporters.of_account, actor.id)
        return [self._followed(reporter) for reporter in reporters if _is_report(reporter)]

    async def reopen(self, followed: Followed, why: str = "", *, language: str = "") -> Followed:
        """It is not mended: open the closed report again. `why` reaches the staff alone."""
        self._may_act(followed)
        at = self._now()
        said = self._words(followed, why, language) if why.strip() else None
        step = Step(at, REPORTER.id, "reopened")
        await self._edit(
            followed, lambda report: reopened(report, step) | {"fixedByReporter": prop(False)}, "reopen"
        )
        if said is not None:
            await self._write_reply(followed, *said)
        return self._followed(followed.reporter)

    async def confirm(self, followed: Followed) -> Followed:
        """It is mended, says the author."""
        self._may_act(followed)
        step = Step(self._now(), REPORTER.id, "confirmed")
        await self._edit(
            followed, lambda report: with_step(report, step) | {"fixedByReporter": prop(True)}, "confirm"
        )
        return self._followed(followed.reporter)

    async def reply(self, followed: Followed, text: str, *, language: str = "") -> Followed:
        """Write to the staff. It is never published, also when the report is."""
        self._may_act(followed)
        await self._write_reply(followed, *self._words(followed, text, language))
        return self._followed(followed.reporter)

    async def forget_contact(self, followed: Followed) -> None:
        """Forget e-mail address and telephone number, as their owner wishes."""
        await asyncio.to_thread(self._reporters.forget_contact, followed.reporter.report_id)

    def replies_to(self, actor: Actor, report_id: str) -> Sequence[Reply]:
        """What the author wrote later, in order, as far as the actor may see it."""
        sources = (self._broker.find(actor, one) for one in self._broker.referrers(actor, report_id))
        return [_reply_of(one) for one in sources if one is not None and REPLY_TYPE in one["type"]]

    def _followed(self, reporter: Reporter) -> Followed:
        document = self._broker.find(REPORTER, reporter.report_id)
        if document is None:
            return Followed(reporter, None, (), is_public=False)
        return Followed(
            reporter=reporter,
            report=report_of(document),
            replies=tuple(self.replies_to(REPORTER, reporter.report_id)),
            is_public=self._broker.class_of(REPORTER, reporter.report_id) is InformationClass.OPEN,
        )

    def _may_act(self, followed: Followed) -> None:
        if self._broker.find(REPORTER, followed.reporter.report_id) is None:
            raise Conflict(Worded("The report cannot be changed now"), hint=Worded("Call the city instead."))
        self._acts.take(followed.reporter.report_id, what="messages")

    def _words(self, followed: Followed, text: str, language: str) -> tuple[str, str]:
        spoken = language or followed.reporter.language
        return check_words(text, spoken, where="text", longest=LONGEST_DESCRIPTION)

    async def _edit(self, followed: Followed, decide: Callable[[Report], Edits], did: str) -> None:
        def edits(document: Document) -> Edits:
            return decide(report_of(document))

        report_id = followed.reporter.report_id
        await self._editing.edit(may_write(REPORTER), report_id, edits, trace=f"people:{did}")

    async def _write_reply(self, followed: Followed, language: str, text: str) -> None:
        attributes = {
            "text": language_property({language: text}),
            "replyTo": rel(followed.reporter.report_id),
            "dateIssued": prop(self._now()),
            "dataOrigin": prop("entered"),
        }
        document = entity(REPLY_TYPE, new_id(f"urn:ngsi-ld:{REPLY_TYPE}:"), attributes)
        await self._broker.create(
            may_write(REPORTER, classify=True),
            document,
            information_class=InformationClass.INTERNAL,
            trace="people:reply",
        )

    def _now(self) -> str:
        return format_instant(self._clock.now())


def _is_report(reporter: Reporter) -> bool:
    """Whether it is a report that was sent: contributions to consultations are followed by codes as well."""
    return reporter.report_id.startswith(f"urn:ngsi-ld:{TYPE}:")


def _reply_of(document: Document) -> Reply:
    return Reply(at=instant(document, "dateIssued"), text=next(iter(texts(document, "text").values()), ""))
