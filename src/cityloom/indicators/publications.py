"""Verification reports that the city has published: open Entities, each a version that stays as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

import msgspec

from cityloom.access.audit import AuditLog
from cityloom.access.authority import may_write, require
from cityloom.context.broker import Broker
from cityloom.context.reading import instant, word
from cityloom.indicators.summaries import FrameworkReport
from cityloom.indicators.verification import VerificationReport, verification_report
from cityloom.kernel.actor import ANONYMOUS, Actor, InformationClass
from cityloom.kernel.canonical import is_digest_of
from cityloom.kernel.errors import Conflict, NotFound
from cityloom.kernel.time import Clock, format_instant
from cityloom.kernel.worded import Worded
from cityloom.ngsild.model import Document, entity, json_value, prop, text, value_of

TYPE = "IndicatorReport"
_PERMISSION = "indicators:verify"


class Publication(msgspec.Struct, frozen=True):
    """A published version of a framework's report."""

    id: str
    framework: str
    #: From 1, in the order of publication.
    version: int
    issued_at: datetime | None
    #: SHA-256 of the report as it was published.
    digest: str
    report: VerificationReport

    @property
    def is_unchanged(self) -> bool:
        """Whether the report is what its digest was taken of."""
        return is_digest_of(self.digest, self.report)


class Publications:
    """Publishes reports, and finds those that were. `report` tells how a framework stands for an actor."""

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        report: Callable[[Actor, str], FrameworkReport],
        audit: AuditLog | None = None,
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._report = report
        self._audit = audit
        self._turn = asyncio.Lock()

    def draft(self, actor: Actor, framework_id: str) -> VerificationReport:
        """The report as it would be published now. Raises NotFound."""
        return verification_report(self._report(actor, framework_id), self._clock.now())

    async def publish(self, actor: Actor, framework_id: str) -> Publication:
        """Publish how the framework stands now as its next version. Needs indicators:verify.

        Only what everybody may see goes in, whoever publishes. Raises Conflict when nothing has changed
        since the last version.
        """
        require(actor, _PERMISSION)
        async with self._turn:
            report = self.draft(ANONYMOUS, framework_id)
            before = self.list(actor, framework_id)
            if before and _same(before[0].report, report):
                raise Conflict(
                    Worded("Nothing has changed since the last version"),
                    hint=Worded("Look at it in the list of versions."),
                )
            version = before[0].version + 1 if before else 1
            document = _document(report, version)
            if self._audit is not None:
                await self._audit.record(actor, "indicator.publish", document["id"])
            await self._broker.create(
                may_write(actor, classify=True),
                document,
                information_class=InformationClass.OPEN,
                trace="indicators:publish",
            )
        return _publication(document)

    def list(self, actor: Actor, framework_id: str) -> list[Publication]:
        """The versions of a framework's report, the newest first."""
        found = [
            _publication(one)
            for one in self._broker.of_type(actor, TYPE)
            if value_of(one, "framework") == framework_id
        ]
        return sorted(found, key=lambda one: -one.version)

    def get(self, actor: Actor, framework_id: str, version: int) -> Publication:
        """One version. Raises NotFound."""
        document = self._broker.find(actor, _id(framework_id, version))
        if document is None:
            raise NotFound(Worded("There is no such version"), hint=Worded("Look at the list of versions."))
        return _publication(document)


def _id(framework_id: str, version: int) -> str:
    return f"urn:ngsi-ld:{TYPE}:{framework_id}:{version}"


def _same(before: VerificationReport, now: VerificationReport) -> bool:
    return msgspec.structs.replace(before, at=now.at).digest == now.digest


def _document(report: VerificationReport, version: int) -> Document:
    attributes = {
        "name": text(**{code: f"{title}, {version}" for code, title in report.title.items()}),
        "framework": prop(report.framework),
        "version": prop(version),
        "dateIssued": prop(format_instant(report.at)),
        "digest": prop(report.digest),
        "dataOrigin": prop("entered"),
        "report": json_value(msgspec.to_builtins(report)),
    }
    return entity(TYPE, _id(report.framework, version), attributes)


def _publication(document: Document) -> Publication:
    version = value_of(document, "version")
    return Publication(
        id=document["id"],
        framework=word(document, "framework"),
        version=version if isinstance(version, int) else 0,
        issued_at=instant(document, "dateIssued"),
        digest=word(document, "digest"),
        report=msgspec.convert(value_of(document, "report"), VerificationReport),
    )
