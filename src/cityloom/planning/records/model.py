"""A record as it is read from its Entities: the working copy of the staff, and what was published of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from cityloom.context.editing import version_of
from cityloom.context.publishing import public_id, working_id
from cityloom.context.reading import instant, items, word
from cityloom.ngsild.model import Document
from cityloom.planning.records.fields import is_empty
from cityloom.planning.records.kinds import RESERVED, RecordKind


class State(StrEnum):
    """How a record stands."""

    #: For the staff alone.
    DRAFT = "draft"
    #: Everybody sees it, as it was when it was published.
    PUBLISHED = "published"
    #: Thrown away; it can be taken back.
    DISCARDED = "discarded"


class Step(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One thing that happened to a record. `by` is an actor's id."""

    at: str
    by: str
    #: drafted, edited, undone, published, withdrawn, discarded, restored.
    did: str
    note: str = ""


class Revision(msgspec.Struct, frozen=True, gc=False):
    """What a record said before an edit, as JSON by field."""

    at: str
    by: str
    was: dict[str, Any]


class Record(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A record. `id` is the one by which others point at it, published or not."""

    id: str
    kind: RecordKind
    #: By field; without those that say nothing.
    values: Mapping[str, Any]
    state: State
    #: When what stands in the open was published.
    published_at: datetime | None = None
    #: Whether the working copy says something else than what was published.
    is_ahead: bool = False
    #: Whether this is the working copy, which the staff sees.
    is_working: bool = False
    #: Where it comes from: "entered", or what a demo says.
    origin: str = ""
    history: tuple[Step, ...] = ()
    revisions: tuple[Revision, ...] = ()
    #: A tag of what it says, for `version=` of what changes it.
    version: str = ""

    @property
    def name(self) -> Mapping[str, str]:
        """What it is called, by language."""
        found: Mapping[str, str] = self.values.get("name", {})
        return found

    def get(self, name: str, default: Any = None) -> Any:
        """What a field says."""
        return self.values.get(name, default)


def record_of(kind: RecordKind, document: Document) -> Record:
    """The record that one Entity is, by itself."""
    read = {field.name: field.read(document) for field in kind.fields}
    is_working = document["id"] == working_id(document["id"])
    at = instant(document, "dateIssued")
    said = word(document, "status")
    state = State(said) if said in set(State) else State.DRAFT
    return Record(
        id=public_id(document["id"]),
        kind=kind,
        values={name: value for name, value in read.items() if not is_empty(value)},
        state=state,
        published_at=at,
        is_working=is_working,
        origin=word(document, "dataOrigin"),
        history=items(document, "history", Step),
        revisions=items(document, "revisions", Revision),
        version=version_of(document, said_in(kind)),
    )


def said_in(kind: RecordKind) -> tuple[str, ...]:
    """The attributes of which a version is made: one that is thrown away is another one."""
    return (*(field.name for field in kind.fields), "status")


def joined(working: Record | None, published: Record | None) -> Record | None:
    """What one reader sees of a record: the working copy where there is one, with when it was published."""
    if working is None or published is None:
        return working or published
    return msgspec.structs.replace(
        working,
        state=State.PUBLISHED if working.state is State.DRAFT else working.state,
        published_at=published.published_at,
        is_ahead=_public(working) != _public(published),
    )


def _public(record: Record) -> dict[str, Any]:
    return {
        field.name: record.values[field.name]
        for field in record.kind.fields
        if not field.internal and field.name in record.values
    }


def check_kind(kind: RecordKind) -> None:
    """Raises ValueError for a kind that cannot be kept: for tests of all kinds."""
    names = [field.name for field in kind.fields]
    if names[:1] != ["name"] or len(set(names)) != len(names) or RESERVED & set(names):
        raise ValueError(f"{kind.type}: {names}")
