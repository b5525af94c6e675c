"""The operators' desk: alerts from raised to cleared."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Literal

import msgspec

from cityloom.access.audit import AuditLog
from cityloom.access.authority import may_write, require
from cityloom.access.credentials import new_id
from cityloom.context.broker import Broker
from cityloom.context.editing import Editing, check_version
from cityloom.context.ports import Bounds
from cityloom.context.reading import language_property, touches
from cityloom.context.revision import bounds_of
from cityloom.context.summaries import Summaries
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.change import Because
from cityloom.kernel.errors import BadInput
from cityloom.kernel.texts import check_languages, check_line, check_text
from cityloom.kernel.time import Clock, format_instant, parse_instant
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.model import Document, Instance, entity, json_value, prop, rel
from cityloom.operations import logic
from cityloom.operations.model import (
    DECIDED_ON,
    SEVERITIES,
    TYPE,
    Alert,
    Handling,
    Row,
    Status,
    alert_of,
    rank_of,
    row_of,
)

LONGEST_DESCRIPTION = 2000
LONGEST_NOTE = 2000
LONGEST_PAGE = 1000
#: An alert is internal unless somebody says otherwise; people are told by notices.
ALERT_CLASS = InformationClass.INTERNAL

_CATEGORY = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_PERMISSION = "alerts:handle"

Origin = Literal["measured", "replayed", "simulated", "estimated", "entered"]


class Occasion(msgspec.Struct, frozen=True, kw_only=True):
    """What is raised: something to act on."""

    #: Names the occasion. While its Alert is not cleared, raising it again brings that Alert up to date.
    key: str
    category: str
    severity: str
    #: By language.
    description: Mapping[str, str]
    sub_category: str = ""
    #: Ids of the Entities it is about; the alert is as secret as the most secret of them.
    about: tuple[str, ...] = ()
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    origin: Origin = "entered"
    because: tuple[Because, ...] = ()


class AlertQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which alerts are wanted; empty conditions let all pass."""

    statuses: frozenset[str] = frozenset()
    #: As severe as this or more.
    least_severity: str = ""
    categories: frozenset[str] = frozenset()
    #: Id of the Entity it is about.
    about: str = ""
    assigned_to: str = ""
    #: west, south, east, north in degrees: alerts with a place within.
    within: tuple[float, float, float, float] | None = None
    limit: int = 50
    offset: int = 0


class AlertPage(msgspec.Struct, frozen=True):
    """Some of the alerts that fit: the most severe and newest first."""

    alerts: tuple[Alert, ...]
    #: How many fit in all.
    total: int


_Decision = Callable[[Alert], logic.Edits]
_Edit = Callable[[Document], Mapping[str, Instance | None]]

#: What is still to be handled.
UNCLEARED = frozenset(status.value for status in Status) - {Status.CLEARED.value}


class Alerts:
    """Raises, lists and handles alerts. `clock` is the city's, so that a replayed city tells one time.

    Who raised one by hand, and each step of handling it, is written to the audit log where there is one.
    """

    def __init__(self, broker: Broker, clock: Clock, audit: AuditLog | None = None) -> None:
        self._broker = broker
        self._audit = audit
        self._clock = clock
        self._editing = Editing(broker)
        self._rows = Summaries(broker, TYPE, row_of)

    # -- raising ---------------------------------------------------------------------------------------

    async def raise_(
        self,
        actor: Actor,
        occasion: Occasion,
        *,
        information_class: InformationClass | None = None,
        trace: str = "operations:raise",
    ) -> Alert:
        """Raise an alert, or bring the one of the same key up to date while it is not cleared.

        Needs alerts:handle. Raises BadInput naming the field, ResourceNotFound for what it is about.
        """
        require(actor, _PERMISSION)
        told = self._attributes(occasion)
        secrecy = self._class_for(actor, occasion, information_class)
        async with self._editing.turn(f"key {occasion.key}"):
            known = self._uncleared(actor, occasion.key)
            if known is not None:
                await self._raise_class(actor, known.id, secrecy, trace)
                return await self._edit(actor, known.id, lambda _: told, trace=trace)
            return await self._create(actor, occasion, told, secrecy, trace)

    # -- handling: each needs alerts:handle and raises Conflict when `version` is not what is there ------

    async def acknowledge(self, actor: Actor, alert_id: str, *, version: str = "") -> Alert:
        """Take it on."""
        at = self._now()
        return await self._handle(
            actor, alert_id, version, "acknowledge", lambda alert: logic.acknowledge(alert, actor.id, at)
        )

    async def assign(
        self, actor: Actor, alert_id: str, to: str, *, note: str = "", version: str = ""
    ) -> Alert:
        """Give it to somebody: an account's id, or a team's name."""
        at = self._now()
        assignee = check_line(to, where="assignedTo", longest=100)
        why = check_text(note, where="note", longest=LONGEST_NOTE, optional=True)
        return await self._handle(
            actor, alert_id, version, "assign", lambda alert: logic.assign(alert, actor.id, at, assignee, why)
        )

    async def comment(self, actor: Actor, alert_id: str, text: str, *, version: str = "") -> Alert:
        """Remark on it."""
        at = self._now()
        said = check_text(text, where="comment", longest=LONGEST_NOTE)
        return await self._handle(
            actor, alert_id, version, "comment", lambda alert: logic.comment(alert, actor.id, at, said)
        )

    async def clear(
        self, actor: Actor, alert_id: str, why: str, *, language: str = "en", version: str = ""
    ) -> Alert:
        """Say that it is over, and why, in the actor's language."""
        at = self._now()
        (tag, said), *_ = check_languages({language: why}, where="why", longest=LONGEST_NOTE).items()
        return await self._handle(
            actor, alert_id, version, "clear", lambda alert: logic.clear(alert, actor.id, at, said, tag)
        )

    async def reopen(self, actor: Actor, alert_id: str, why: str, *, version: str = "") -> Alert:
        """Open a cleared alert again, whoever or whatever cleared it."""
        at = self._now()
        said = check_text(why, where="why", longest=LONGEST_NOTE)
        return await self._handle(
            actor, alert_id, version, "reopen", lambda alert: logic.reopen(alert, actor.id, at, said)
        )

    async def undo(self, actor: Actor, alert_id: str, *, version: str = "") -> Alert:
        """Take back the last decision: acknowledged, assigned or cleared."""
        at = self._now()
        return await self._handle(
            actor, alert_id, version, "undo", lambda alert: logic.undo(alert, actor.id, at)
        )

    # -- asking: what the actor is cleared for -----------------------------------------------------------

    def get(self, actor: Actor, alert_id: str) -> Alert:
        """One alert. Raises ResourceNotFound, also for an Entity that is none."""
        document = self._broker.retrieve(actor, alert_id)
        if TYPE not in document["type"]:
            raise _no_alert(alert_id)
        return alert_of(document)

    def list(self, actor: Actor, query: AlertQuery | None = None) -> AlertPage:
        """The alerts that fit: those to be handled first, then by severity, the newest first."""
        asked = query or AlertQuery()
        if asked.least_severity:
            _check_severity(asked.least_severity)
        fitting = [row for row in self._rows.all(actor) if self._fits(actor, row, asked)]
        fitting.sort(key=_newest_first, reverse=True)
        fitting.sort(key=lambda row: (row.is_cleared, -row.rank))
        start = max(0, asked.offset)
        page = fitting[start : start + max(0, min(asked.limit, LONGEST_PAGE))]
        return AlertPage(tuple(self.get(actor, row.id) for row in page), len(fitting))

    async def read(self) -> None:
        """Read what lists need and was not read yet, in turns with others."""
        await self._rows.read()

    def counts(self, actor: Actor) -> dict[str, dict[str, int]]:
        """How many alerts there are, by status and then by severity; 0 where there are none."""
        counted = Counter((row.status, row.severity) for row in self._rows.all(actor))
        return {
            status.value: {severity: counted[status.value, severity] for severity in SEVERITIES}
            for status in Status
        }

    # -- inside ------------------------------------------------------------------------------------------

    def _fits(self, actor: Actor, row: Row, asked: AlertQuery) -> bool:
        return (
            _among(row.status, asked.statuses)
            and _among(row.category, asked.categories)
            and (not asked.least_severity or row.rank >= rank_of(asked.least_severity))
            and (not asked.about or asked.about in row.about)
            and (not asked.assigned_to or asked.assigned_to == row.assigned_to)
            and (asked.within is None or touches(self._bounds_of(actor, row), asked.within))
        )

    def _bounds_of(self, actor: Actor, row: Row) -> Bounds | None:
        if row.bounds is not None:
            return row.bounds
        for source in row.about:
            document = self._broker.find(actor, source)
            if document is not None and (bounds := bounds_of(document)) is not None:
                return bounds
        return None

    async def _handle(self, actor: Actor, alert_id: str, version: str, did: str, decide: _Decision) -> Alert:
        require(actor, _PERMISSION)

        def edits(document: Document) -> logic.Edits:
            if TYPE not in document["type"]:
                raise _no_alert(alert_id)
            check_version(version, document, DECIDED_ON)
            return decide(alert_of(document))

        edits(self._broker.retrieve(actor, alert_id))  # what will be refused is not written down as done
        await self._record(actor, did, alert_id)
        return await self._edit(actor, alert_id, edits, trace=f"operations:{did}")

    async def _record(self, actor: Actor, did: str, alert_id: str) -> None:
        if self._audit is not None:
            await self._audit.record(actor, f"alert.{did}", alert_id)

    async def _edit(self, actor: Actor, alert_id: str, edits: _Edit, *, trace: str) -> Alert:
        return alert_of(await self._editing.edit(may_write(actor), alert_id, edits, trace=trace))

    async def _create(
        self,
        actor: Actor,
        occasion: Occasion,
        told: dict[str, Instance],
        secrecy: InformationClass,
        trace: str,
    ) -> Alert:
        at = self._now()
        raised = Handling(at, actor.id, "raised")
        attributes = told | {
            "status": prop(Status.OPEN.value, at=parse_instant(at, where="at")),
            "dateIssued": prop(at),
            "raisedBy": prop(actor.id),
            "alertKey": prop(occasion.key),
            "dataOrigin": prop(occasion.origin),
            "history": json_value(msgspec.to_builtins([raised])),
        }
        document = entity(TYPE, new_id(f"urn:ngsi-ld:{TYPE}:"), attributes)
        writer = may_write(actor, classify=True)
        await self._record(actor, "raise", document["id"])
        await self._broker.create(writer, document, information_class=secrecy, trace=trace)
        return self.get(actor, document["id"])

    def _attributes(self, occasion: Occasion) -> dict[str, Instance]:
        check_line(occasion.key, where="key", longest=200)
        _check_severity(occasion.severity)
        described = check_languages(occasion.description, where="description", longest=LONGEST_DESCRIPTION)
        attributes: dict[str, Instance] = {
            "category": prop(_check_category(occasion.category, "category")),
            "severity": prop(occasion.severity, at=self._clock.now()),
            "description": language_property(described),
        }
        if occasion.sub_category:
            attributes["subCategory"] = prop(_check_category(occasion.sub_category, "subCategory"))
        if occasion.about:
            attributes["alertSource"] = rel(_one_or_several(occasion.about))
        if occasion.because:
            attributes["because"] = json_value(msgspec.to_builtins(list(occasion.because)))
        for name, at in (("validFrom", occasion.valid_from), ("validTo", occasion.valid_to)):
            if at is not None:
                attributes[name] = prop(format_instant(at))
        return attributes

    def _class_for(
        self, actor: Actor, occasion: Occasion, wished: InformationClass | None
    ) -> InformationClass:
        classes = [ALERT_CLASS if wished is None else wished]
        classes += [self._broker.class_of(actor, source) for source in occasion.about]
        looked_at = {piece.about for piece in occasion.because if not piece.about.startswith("type:")}
        classes += [self._broker.class_of(actor, source) for source in looked_at]
        return max(classes)

    async def _raise_class(self, actor: Actor, alert_id: str, secrecy: InformationClass, trace: str) -> None:
        if secrecy > self._broker.class_of(actor, alert_id):
            await self._broker.classify(may_write(actor, classify=True), alert_id, secrecy, trace=trace)

    def _uncleared(self, actor: Actor, key: str) -> Row | None:
        for row in self._rows.all(actor):
            if row.key == key and not row.is_cleared:
                return row
        return None

    def _now(self) -> str:
        return format_instant(self._clock.now())


def _check_severity(severity: str) -> None:
    if severity not in SEVERITIES:
        hint = f"Severities are: {', '.join(SEVERITIES)}."
        raise BadInput(f"{severity[:40]!r} is not a severity", hint=hint, where="severity")


def _check_category(category: str, where: str) -> str:
    if not _CATEGORY.fullmatch(category):
        hint = "Use letters, digits, points and hyphens, beginning with a letter: traffic, waterLeak."
        raise BadInput(f"{category[:40]!r} is not a category", hint=hint, where=where)
    return category


def _among(name: str, wanted: Collection[str]) -> bool:
    return not wanted or name in wanted


def _one_or_several(ids: tuple[str, ...]) -> str | list[str]:
    return ids[0] if len(ids) == 1 else list(ids)


def _newest_first(row: Row) -> float:
    return row.issued_at.timestamp() if row.issued_at else 0.0


def _no_alert(alert_id: str) -> ResourceNotFound:
    return ResourceNotFound(f"There is no alert {alert_id}", hint="List the alerts.", where="id")
