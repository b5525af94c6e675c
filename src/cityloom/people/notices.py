"""Notices: what the city tells everybody. Drafted inside, published open, withdrawn with a reason.

A draft and the notice it becomes are two Entities: what stood in the draft and was struck out stays
internal, with its history.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from cityloom.access.audit import AuditLog
from cityloom.access.authority import may_write, require
from cityloom.context.broker import Broker
from cityloom.context.editing import Editing, Edits, check_version, version_of
from cityloom.context.publishing import Publishing, new_working_id, public_id
from cityloom.context.reading import bare, geometry, instant, language_property, texts, word
from cityloom.context.summaries import Summaries
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.errors import BadInput, Conflict
from cityloom.kernel.texts import check_languages, check_line
from cityloom.kernel.time import Clock, format_instant
from cityloom.kernel.worded import Worded
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.geometry import check_geometry
from cityloom.ngsild.model import Document, Instance, entity, geo, prop, rel, value_of

TYPE = "Notice"
LONGEST_TITLE = 160
LONGEST_BODY = 8000
#: From a piece of news to a danger.
SEVERITIES = ("informational", "low", "medium", "high", "critical")

_PERMISSION = "notices:publish"
_DECIDED_ON = ("title", "body", "severity", "status", "validFrom", "validTo", "placeName", "location")


class Status(StrEnum):
    """Where a notice stands."""

    DRAFT = "draft"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What a notice says. Texts are by language."""

    title: Mapping[str, str]
    body: Mapping[str, str]
    severity: str = "informational"
    #: In words: "Elm Street between nos. 4 and 18".
    place_name: str = ""
    #: A GeoJSON geometry in WGS 84.
    location: Mapping[str, Any] | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    #: The Alert it rests on.
    based_on: str = ""
    #: Whom it concerns, as NGSI-LD scopes: "/north/harbour".
    scope: tuple[str, ...] = ()


class Notice(msgspec.Struct, frozen=True):
    """A notice read from its Entity."""

    id: str
    status: str
    title: Mapping[str, str]
    body: Mapping[str, str]
    severity: str
    place_name: str
    location: Mapping[str, Any] | None
    valid_from: datetime | None
    valid_to: datetime | None
    published_at: datetime | None
    withdrawn_at: datetime | None
    #: Why it was withdrawn, by language.
    withdrawn_because: Mapping[str, str]
    based_on: str
    version: str
    document: Document

    def is_current(self, at: datetime) -> bool:
        """Whether it is published and holds at an instant."""
        return (
            self.status == Status.PUBLISHED
            and (self.valid_from is None or self.valid_from <= at)
            and (self.valid_to is None or at < self.valid_to)
        )

    def is_coming(self, at: datetime) -> bool:
        """Whether it is published and begins to hold later."""
        return self.status == Status.PUBLISHED and self.valid_from is not None and at < self.valid_from


class Notices:
    """Writes, publishes and lists notices. `clock` is the city's.

    Who published or withdrew one is written to the audit log where there is one.
    """

    def __init__(self, broker: Broker, clock: Clock, audit: AuditLog | None = None) -> None:
        self._broker = broker
        self._audit = audit
        self._clock = clock
        self._editing = Editing(broker)
        self._publishing = Publishing(broker, self._editing, "people")
        self._notices = Summaries(broker, TYPE, notice_of)

    async def draft(self, actor: Actor, message: Message) -> Notice:
        """A new draft; internal. Needs notices:publish. Raises BadInput naming the field."""
        require(actor, _PERMISSION)
        attributes = self._attributes(actor, message) | {
            "status": prop(Status.DRAFT.value),
            "dataOrigin": prop("entered"),
        }
        document = entity(
            TYPE,
            new_working_id(TYPE),
            {name: item for name, item in attributes.items() if item is not None},
            scope=message.scope,
        )
        await self._publishing.draft(actor, document)
        return self.get(actor, document["id"])

    async def edit(self, actor: Actor, notice_id: str, message: Message, *, version: str = "") -> Notice:
        """Write it anew, a draft or (a correction) a published one. Raises Conflict on a stale view."""
        require(actor, _PERMISSION)
        attributes = self._attributes(actor, message)

        def edits(document: Document) -> Edits:
            check_version(version, document, _DECIDED_ON)
            if notice_of(document).status == Status.WITHDRAWN:
                raise Conflict(
                    Worded("A withdrawn notice stays as it is"),
                    hint=Worded("Write a new one."),
                    where="status",
                )
            return attributes

        return await self._edit(actor, notice_id, edits, "edit")

    async def publish(self, actor: Actor, notice_id: str, *, version: str = "") -> Notice:
        """Make a draft open to everybody. The published notice has an id of its own; the draft goes."""
        require(actor, _PERMISSION)
        async with self._editing.turn(notice_id):
            drafted = self._broker.retrieve(actor, self._draft_id(actor, notice_id))
            check_version(version, drafted, _DECIDED_ON)
            told = {name: items for name, items in drafted["attrs"].items() if name in _TOLD}
            attributes: dict[str, Any] = {
                **{name: [bare(item) for item in items] for name, items in told.items()},
                "status": prop(Status.PUBLISHED.value),
                "dateIssued": prop(format_instant(self._clock.now())),
                "dataOrigin": prop("entered"),
            }
            self._check_basis(actor, value_of(drafted, "basedOn", ""))
            published = entity(TYPE, public_id(drafted["id"]), attributes, scope=drafted.get("scope", ()))
            await self._record(actor, "publish", published["id"])
            await self._publishing.move(actor, drafted["id"], published)
        return self.get(actor, published["id"])

    async def withdraw(
        self, actor: Actor, notice_id: str, why: Mapping[str, str], *, version: str = ""
    ) -> Notice:
        """Take back a published notice. It stays to be read, with the reason."""
        require(actor, _PERMISSION)
        reason = check_languages(why, where="why", longest=LONGEST_BODY)
        at = format_instant(self._clock.now())

        def edits(document: Document) -> Edits:
            check_version(version, document, _DECIDED_ON)
            if notice_of(document).status != Status.PUBLISHED:
                raise Conflict(
                    Worded("Only a published notice can be withdrawn"), hint=Worded("Look at it again.")
                )
            return {
                "status": prop(Status.WITHDRAWN.value),
                "withdrawnAt": prop(at),
                "withdrawnBecause": language_property(reason),
            }

        found = self.get(actor, notice_id)
        edits(found.document)  # what will be refused is not written down as done
        await self._record(actor, "withdraw", found.id)
        return await self._edit(actor, notice_id, edits, "withdraw")

    async def discard(self, actor: Actor, notice_id: str) -> None:
        """Throw a draft away."""
        require(actor, _PERMISSION)
        draft = self._draft_id(actor, notice_id)
        await self._broker.delete(may_write(actor), draft, trace="people:discard")

    def get(self, actor: Actor, notice_id: str) -> Notice:
        """One notice; the id of a draft leads to what was published of it. Raises ResourceNotFound."""
        document = self._broker.find(actor, notice_id)
        if document is None:
            document = self._broker.find(actor, public_id(notice_id))
        if document is None or TYPE not in document["type"]:
            raise _no_notice(notice_id)
        return notice_of(document)

    def list(self, actor: Actor, *, status: str = "") -> Sequence[Notice]:
        """The notices the actor may see, the newest first."""
        found = self._notices.all(actor)
        ids = {notice.id for notice in found}
        # A draft that a crash left behind beside what was published of it is not shown.
        found = [one for one in found if (other := public_id(one.id)) == one.id or other not in ids]
        chosen = [notice for notice in found if not status or notice.status == status]
        return sorted(chosen, key=_newest, reverse=True)

    async def read(self) -> None:
        """Read what lists need and was not read yet, in turns with others."""
        await self._notices.read()

    def current(self, actor: Actor) -> Sequence[Notice]:
        """Those that hold now: the most severe first, then the newest."""
        now = self._clock.now()
        holding = [notice for notice in self.list(actor) if notice.is_current(now)]
        return sorted(holding, key=lambda notice: -_rank(notice.severity))

    # -- inside ------------------------------------------------------------------------------------------

    async def _edit(
        self, actor: Actor, notice_id: str, edits: Callable[[Document], Edits], did: str
    ) -> Notice:
        found = self.get(actor, notice_id)
        document = await self._editing.edit(may_write(actor), found.id, edits, trace=f"people:{did}")
        return notice_of(document)

    async def _record(self, actor: Actor, did: str, notice_id: str) -> None:
        if self._audit is not None:
            await self._audit.record(actor, f"notice.{did}", notice_id)

    def _draft_id(self, actor: Actor, notice_id: str) -> str:
        found = self.get(actor, notice_id)
        if found.status != Status.DRAFT:
            raise Conflict(
                Worded("It is no draft any longer"), hint=Worded("Look at it again."), where="status"
            )
        return found.id

    def _check_basis(self, actor: Actor, alert_id: str) -> None:
        """An open notice may not point at what is secret: that there is such a thing is secret too."""
        if alert_id and self._broker.class_of(actor, alert_id) is InformationClass.SECURITY:
            raise BadInput(
                Worded("The notice rests on something of the security class"),
                hint=Worded("Write it without the link; it will be open to everybody."),
                where="basedOn",
            )

    def _attributes(self, actor: Actor, message: Message) -> dict[str, Instance | None]:
        if message.severity not in SEVERITIES:
            hint = f"Severities are: {', '.join(SEVERITIES)}."
            raise BadInput(f"{message.severity[:40]!r} is not a severity", hint=hint, where="severity")
        if message.valid_from and message.valid_to and message.valid_to <= message.valid_from:
            hint = Worded("Let it end after it begins.")
            raise BadInput(Worded("The notice ends before it begins"), hint=hint, where="validTo")
        self._check_basis(actor, message.based_on)
        place = check_line(message.place_name, where="placeName", longest=200, optional=True)
        shape = _check_location(message.location) if message.location else None
        return {
            "title": language_property(check_languages(message.title, where="title", longest=LONGEST_TITLE)),
            "body": language_property(check_languages(message.body, where="body", longest=LONGEST_BODY)),
            "severity": prop(message.severity),
            "placeName": prop(place) if place else None,
            "location": geo(shape) if shape else None,
            "validFrom": _written(message.valid_from),
            "validTo": _written(message.valid_to),
            "basedOn": rel(message.based_on) if message.based_on else None,
        }


#: What of a draft is published.
_TOLD = frozenset(("title", "body", "severity", "placeName", "location", "validFrom", "validTo", "basedOn"))


def notice_of(document: Document) -> Notice:
    """The Notice that an Entity of the type Notice is."""
    return Notice(
        id=document["id"],
        status=word(document, "status"),
        title=texts(document, "title"),
        body=texts(document, "body"),
        severity=word(document, "severity"),
        place_name=word(document, "placeName"),
        location=geometry(document, "location"),
        valid_from=instant(document, "validFrom"),
        valid_to=instant(document, "validTo"),
        published_at=instant(document, "dateIssued"),
        withdrawn_at=instant(document, "withdrawnAt"),
        withdrawn_because=texts(document, "withdrawnBecause"),
        based_on=word(document, "basedOn"),
        version=version_of(document, _DECIDED_ON),
        document=document,
    )


def _written(at: datetime | None) -> Instance | None:
    return prop(format_instant(at)) if at is not None else None


def _check_location(location: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return check_geometry(dict(location))
    except BadInput as error:
        raise BadInput(error.message, hint=error.hint, where="location") from None


def _newest(notice: Notice) -> str:
    at = notice.published_at
    return format_instant(at) if at else str(notice.document.get("createdAt", ""))


def _rank(severity: str) -> int:
    return SEVERITIES.index(severity) if severity in SEVERITIES else 0


def _no_notice(notice_id: str) -> ResourceNotFound:
    return ResourceNotFound(f"There is no notice {notice_id}", hint=Worded("List the notices."), where="id")
