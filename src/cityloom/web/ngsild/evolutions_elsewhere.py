"""The instances that sources remember, all of them, as documents (ETSI GS CIM 009, 5.7.3.4, 5.7.4.4).

An answer that its source has cut in time (6.3.10) is asked for further; one that does not end within the
bounds, or that is no past, counts as none, and a warning says so (6.3.17).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from cityloom.federation.discovering import Json
from cityloom.federation.model import Origin, Question, Reply, Wire
from cityloom.federation.peers import LARGEST_TOGETHER
from cityloom.federation.view import registered_part
from cityloom.kernel.errors import BadInput, CityError
from cityloom.kernel.time import from_millis, parse_instant, to_millis
from cityloom.ngsild.contexts import Context
from cityloom.ngsild.errors import BadRequestData
from cityloom.ngsild.model import Document, Instance
from cityloom.ngsild.query import MAX_LIMIT
from cityloom.ngsild.registrations import Registration
from cityloom.ngsild.temporal_parse import parse_temporal_entity
from cityloom.ngsild.values import check_instant
from cityloom.web.ngsild.exchange import Exchange
from cityloom.web.ngsild.temporal_questions import Asked, items_in, items_taken

#: Instances that one request takes from all sources together.
MOST_TAKEN = 100_000
#: How often one source is asked for what it has cut.
MOST_ROUNDS = 50
_TIMES = ("createdAt", "modifiedAt")
#: Members of an Entity that may be lists or objects, and are no attributes.
_MEMBERS = frozenset({"@context", "@type", "type"})


class Told(NamedTuple):
    """What one source remembers."""

    registration: Registration
    documents: list[Document]
    #: What is to be said of it in NGSILD-Warning; "" where all went well.
    warning: str = ""
    #: Whether it did not tell, or not all.
    is_refused: bool = False
    #: How many Entities there were on the page, those that were not taken among them.
    entities: int = 0


class _Room:
    """What may still be taken, of all sources together."""

    def __init__(self) -> None:
        self._bytes = LARGEST_TOGETHER
        self._instances = MOST_TAKEN

    def take(self, size: int, documents: Iterable[Document]) -> bool:
        """Whether there was room for this."""
        self._bytes -= size
        self._instances -= sum(len(items) for one in documents for items in one["attrs"].values())
        return self._bytes >= 0 and self._instances >= 0


async def evolutions_told(
    exchange: Exchange, origin: Origin, questions: Iterable[Asked], *, all_pages: bool = False
) -> list[Told]:
    """What each source remembers, in the order of the questions, which ask for instances.

    `all_pages`: of all Entities that match, else of one page.
    """
    room = _Room()
    asked = (_told_by(exchange, origin, one, room, all_pages=all_pages) for one in questions)
    return list(await asyncio.gather(*asked))


async def _told_by(exchange: Exchange, origin: Origin, asked: Asked, room: _Room, *, all_pages: bool) -> Told:
    registration, question, wire = asked
    documents: list[Document] = []
    offset = 0
    while True:
        page = _with(question, offset=str(offset), limit=str(MAX_LIMIT)) if all_pages else question
        told = await _page_told(exchange, origin, (registration, page, wire), room)
        documents += told.documents
        if told.is_refused or told.warning:
            return told._replace(documents=[])
        offset += told.entities
        # A page that is not full need not be the last: a source may tell fewer at once.
        if not all_pages or not told.entities:
            return told._replace(documents=documents)


async def _page_told(exchange: Exchange, origin: Origin, asked: Asked, room: _Room) -> Told:
    """The Entities of one page, asked for until nothing of their time is cut."""
    registration, question, wire = asked
    documents: list[Document] = []
    reached: int | None = None
    count = 0
    for _ in range(MOST_ROUNDS):
        (reply,) = await exchange.services.federation.ask([(registration, question, wire)], origin)
        if not reply.good:
            nothing = reply.status == 404
            return Told(registration, documents if nothing else [], reply.warning, is_refused=not nothing)
        try:
            found, items = await asyncio.to_thread(_read, exchange, origin, registration, wire, reply)
        except CityError:
            return Told(registration, [], "111")
        documents += found
        count = max(count, items)
        if not room.take(len(reply.body), found):
            break
        if reply.status != 206:
            return Told(registration, documents, reply.warning, entities=count)
        last = _newest(found, _asked_for(question, "timeproperty") or "observedAt")
        if last is None or (reached is not None and last <= reached) or _asked_for(question, "lastN"):
            break
        reached = last
        question = _from_then_on(question, last, [one["id"] for one in documents])
    return Told(registration, [], "299", is_refused=True)


def _read(
    exchange: Exchange, origin: Origin, registration: Registration, wire: Wire, reply: Reply
) -> tuple[list[Document], int]:
    """What is taken of an answer, and of how many Entities it tells."""
    items = items_in(reply.body)
    taken = items_taken(exchange, origin, registration, wire, items)
    found = [registered_part(registration, document_of(item, wire.context)) for item in taken]
    return found, len(items)


def document_of(item: Json, context: Context) -> Document:
    """An Entity over time as a source tells it, with the times that the source says its instances have.

    Raises BadRequestData.
    """
    document = parse_temporal_entity(
        {name: said for name, said in item.items() if name != "@context"}, context
    )
    for term, said in item.items():
        if term in _MEMBERS or not isinstance(said, dict | list):
            continue
        instances = document["attrs"].get(term if term == "scope" else context.expand(term), [])
        raws = said if isinstance(said, list) else [said]
        if len(raws) == len(instances):
            for instance, raw in zip(instances, raws, strict=True):
                _add_times(instance, raw)
    return document


def _add_times(instance: Instance, raw: object) -> None:
    for name in _TIMES:
        if isinstance(raw, dict) and name in raw:
            try:
                instance[name] = check_instant(raw[name])
            except BadRequestData:
                continue


def _newest(documents: Iterable[Document], time_property: str) -> int | None:
    return max(_instants(documents, time_property), default=None)


def _instants(documents: Iterable[Document], time_property: str) -> Iterator[int]:
    for document in documents:
        for items in document["attrs"].values():
            for item in items:
                try:
                    yield to_millis(parse_instant(item.get(time_property, ""), where=time_property))
                except BadInput:
                    continue


def _from_then_on(question: Question, last: int, ids: list[str]) -> Question:
    """The same of the same Entities from the last instant that was told; what is told twice counts once."""
    since = from_millis(last - 1).isoformat().replace("+00:00", "Z")
    until = _asked_for(question, "endTimeAt")
    if _asked_for(question, "timerel") == "before":
        until = _asked_for(question, "timeAt")
    times = {"timerel": "between", "endTimeAt": until} if until else {"timerel": "after"}
    by_id = {"id": ",".join(dict.fromkeys(ids))} if question.path.endswith("/entities") else {}
    return _with(question, **times, timeAt=since, **by_id)


def _asked_for(question: Question, name: str) -> str:
    return dict(question.parameters).get(name, "")


def _with(question: Question, **changed: str) -> Question:
    kept = [one for one in question.parameters if one[0] not in changed]
    return msgspec.structs.replace(question, parameters=(*kept, *changed.items()))
