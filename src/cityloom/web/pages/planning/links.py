"""What records point at: its name, where its page is, and what may be chosen."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

from cityloom.context.publishing import public_id
from cityloom.kernel.actor import InformationClass
from cityloom.ngsild.model import Document
from cityloom.planning.model import TYPE as INITIATIVE
from cityloom.planning.records.fields import Link, Links
from cityloom.planning.records.model import Record
from cityloom.web.addresses import address, entity_path
from cityloom.web.looks import name_of
from cityloom.web.visit import Visit


def record_href(record: Record, suffix: str = "") -> str:
    """The address of a record's page."""
    return address("plan", record.kind.path, record.id, suffix=suffix)


def is_there_for(visit: Visit, entity_id: str) -> bool:
    """Whether the reader may know of what something points at: an id says that it is there."""
    return visit.rooms.records.target(visit.actor, entity_id) is not None


def link_to(visit: Visit, entity_id: str) -> Markup:
    """A link to what a record points at, by its name; what is not there the staff is told by its id."""
    document = visit.rooms.records.target(visit.actor, entity_id)
    if document is None and not visit.actor.sees(InformationClass.INTERNAL):
        return Markup('<span class="soft">{}</span>').format(visit.gettext("something that is not public"))
    if document is None:
        return Markup("<code>{}</code>").format(entity_id)
    return Markup('<a href="{}">{}</a>').format(href_of(visit, document), name_of(document, visit.wording))


def href_of(visit: Visit, document: Document) -> str:
    """The address of the page of an Entity."""
    kind = visit.rooms.records.kinds.get(document["type"][0])
    if kind is not None:
        return address("plan", kind.path, public_id(document["id"]))
    if INITIATIVE in document["type"]:
        return address("initiatives", document["id"])
    return entity_path(document["id"])


def candidates(visit: Visit, field: Link | Links) -> list[tuple[str, str]]:
    """What a link may point at: ids and names, by name."""
    found = {one: words for kind in field.to for one, words in _of_type(visit, kind)}
    return sorted(found.items(), key=lambda pair: pair[1].casefold())


def how_many(visit: Visit, field: Link | Links) -> int:
    """How many things a link may point at, without a look at any of them."""
    kinds, counts = visit.rooms.records.kinds, visit.rooms.broker.types(visit.actor)
    return sum(
        len(visit.rooms.records.list(visit.actor, name)) if name in kinds else counts.get(name, 0)
        for name in field.to
    )


def _of_type(visit: Visit, name: str) -> Iterable[tuple[str, str]]:
    if name in visit.rooms.records.kinds:
        for record in visit.rooms.records.list(visit.actor, name):
            yield record.id, visit.wording.said(record.name)
        return
    if name == INITIATIVE:
        for one in visit.rooms.initiatives.list(visit.actor):
            yield public_id(one.id), visit.wording.said(one.plan.name)
        return
    for document in visit.rooms.broker.of_type(visit.actor, name):
        yield public_id(document["id"]), name_of(document, visit.wording)
