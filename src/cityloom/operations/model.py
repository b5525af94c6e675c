"""An Alert as operators see it (attribute names as in Smart Data Models' Alert)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import msgspec

from cityloom.context.editing import version_of
from cityloom.context.ports import Bounds
from cityloom.context.reading import ids, instant, items, texts, word
from cityloom.context.revision import bounds_of
from cityloom.ngsild.model import Document

TYPE = "Alert"

#: From the least to the most severe.
SEVERITIES = ("informational", "low", "medium", "high", "critical")


class Status(StrEnum):
    """Where the handling of an Alert stands."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    ASSIGNED = "assigned"
    CLEARED = "cleared"


#: What an operator decides on; a decision made on another state of these is refused.
DECIDED_ON = ("status", "severity", "assignedTo", "history", "comments")


class Handling(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One thing somebody did with an Alert. Kept on the Entity as one item of `history`.

    `by` is an actor's id and no name: an Alert may be open to everybody.
    """

    at: str
    by: str
    #: raised, acknowledged, assigned, cleared, reopened, undone.
    did: str
    #: Why, in the actor's own words.
    note: str = ""
    #: Status and assignee before, so that it can be undone.
    was: str = ""
    was_assigned_to: str = ""
    #: Whom it was assigned to.
    to: str = ""
    #: For "undone": which item of the history was taken back.
    undoes: int | None = None


class Comment(msgspec.Struct, frozen=True, rename="camel"):
    """What somebody remarked. Kept on the Entity as one item of `comments`."""

    at: str
    by: str
    text: str


class Alert(msgspec.Struct, frozen=True):
    """An Alert read from its Entity. What another writer left out or wrote oddly is empty here."""

    id: str
    status: str
    severity: str
    category: str
    sub_category: str
    #: By language.
    description: Mapping[str, str]
    #: Ids of the Entities it is about.
    about: tuple[str, ...]
    issued_at: datetime | None
    ended_at: datetime | None
    valid_from: datetime | None
    valid_to: datetime | None
    assigned_to: str
    raised_by: str
    key: str
    origin: str
    comments: tuple[Comment, ...]
    history: tuple[Handling, ...]
    #: To be sent along with a decision: what was seen when it was made.
    version: str
    document: Document

    @property
    def rank(self) -> int:
        """How severe, from 0; an unknown severity ranks as the most severe."""
        return rank_of(self.severity)

    @property
    def is_cleared(self) -> bool:
        return self.status == Status.CLEARED


class Row(msgspec.Struct, frozen=True):
    """What lists need of an Alert to choose and order it."""

    id: str
    status: str
    severity: str
    category: str
    about: tuple[str, ...]
    assigned_to: str
    key: str
    issued_at: datetime | None
    bounds: Bounds | None

    @property
    def rank(self) -> int:
        return rank_of(self.severity)

    @property
    def is_cleared(self) -> bool:
        return self.status == Status.CLEARED


def row_of(document: Document) -> Row:
    """An Alert's row, without reading what only its own page shows."""
    return Row(
        id=document["id"],
        status=status_of(document),
        severity=word(document, "severity"),
        category=word(document, "category"),
        about=ids(document, "alertSource"),
        assigned_to=word(document, "assignedTo"),
        key=word(document, "alertKey"),
        issued_at=instant(document, "dateIssued"),
        bounds=bounds_of(document),
    )


def status_of(document: Document) -> str:
    """An Alert that says nothing of its status is open."""
    return word(document, "status") or Status.OPEN.value


def rank_of(severity: str) -> int:
    """The place of a severity in `SEVERITIES`; beyond the last one when it is none of them."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)


def alert_of(document: Document) -> Alert:
    """The Alert that an Entity of the type Alert is."""
    return Alert(
        id=document["id"],
        status=status_of(document),
        severity=word(document, "severity"),
        category=word(document, "category"),
        sub_category=word(document, "subCategory"),
        description=texts(document, "description"),
        about=ids(document, "alertSource"),
        issued_at=instant(document, "dateIssued"),
        ended_at=instant(document, "endedAt"),
        valid_from=instant(document, "validFrom"),
        valid_to=instant(document, "validTo"),
        assigned_to=word(document, "assignedTo"),
        raised_by=word(document, "raisedBy"),
        key=word(document, "alertKey"),
        origin=word(document, "dataOrigin"),
        comments=items(document, "comments", Comment),
        history=items(document, "history", Handling),
        version=version_of(document, DECIDED_ON),
        document=document,
    )
