"""The city as it and its sources know it together, for one request (ETSI GS CIM 009, 5.7.1, 5.7.2)."""

from __future__ import annotations

from collections.abc import Iterable

import orjson
from msgspec.structs import replace

from cityloom.context.consumption import Consumption
from cityloom.context.entity_maps import Elsewhere, EntityMap, within
from cityloom.context.querying import QueryPage
from cityloom.context.refusals import not_found
from cityloom.federation.answers import NotEntities, UseContext, entities_in, relayed
from cityloom.federation.federation import Federation
from cityloom.federation.model import Origin, Question, Reply, Wire
from cityloom.federation.questions import MOST_ASKED, querying, retrieval, wire_of
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.change import DEFAULT_TENANT
from cityloom.kernel.errors import CityError
from cityloom.kernel.time import format_instant
from cityloom.ngsild.assembly import assembled, without_attributes
from cityloom.ngsild.errors import TooManyResults
from cityloom.ngsild.model import Document
from cityloom.ngsild.names import is_uri
from cityloom.ngsild.query import EntityQuery, compile
from cityloom.ngsild.registrations import Registration, RegistrationInfo
from cityloom.ngsild.source_matching import (
    describes,
    in_reach,
    information_matches,
    shares_datasets,
    sought_by,
)

_RETRIEVING = ("retrieveEntity", "queryEntity", "queryBatch")
_QUERYING = ("queryEntity", "queryBatch")

_Asked = tuple[Registration, Question, Wire]
_ByType = dict[str | None, list[tuple[Registration, RegistrationInfo]]]
_Version = tuple[Registration, Document]


class JointView(Consumption):
    """Answers as `Consumption` does, with what sources know. One is made for each request."""

    def __init__(
        self,
        local: Consumption,
        federation: Federation,
        origin: Origin,
        use: UseContext,
        now: str,
        *,
        split: bool,
        wanted: frozenset[str] = frozenset(),
    ) -> None:
        """`wanted` are the attributes that will be shown, empty: all. `split`: an Entity may be spread over
        several sources, so that filters are applied to the whole (4.3.6.7)."""
        super().__init__(local._state)
        self._federation = federation
        self._origin = origin
        self._use = use
        self._now = now
        self._split = split
        self._wanted = wanted
        self._fetched: dict[str, Document | None] = {}
        #: What sources told for an entity map, so that they are not asked again for the answer.
        self._told: dict[str, list[_Version]] | None = None
        self._map: EntityMap | None = None
        #: What sources hold alone; None until it is asked for.
        self._proxied: _ByType | None = None
        #: Warnings for the answer: code, and the source that it is about.
        self.warnings: list[tuple[str, Registration]] = []
        #: How sources answered that hold what was asked for alone.
        self.proxied: list[Reply] = []

    # One Entity

    async def fetch(
        self, entity_id: str, dataset_ids: tuple[str, ...] = (), told: tuple[_Version, ...] = ()
    ) -> None:
        """Ask the sources for an Entity; `retrieve` and `find` then tell what all know of it. Who has `told`
        already is not asked."""
        asked: list[_Asked] = []
        known = {registration.id for registration, _ in told}
        for registration in self._federation.usable(self._origin, _RETRIEVING):
            if registration.id in known:
                continue
            infos = self._describing(registration, entity_id)
            may_be_told = self._federation.covers(self._origin, registration, entity_id)
            if infos and may_be_told and shares_datasets(registration, dataset_ids):
                wire = await self._wire(registration)
                question = retrieval(registration, entity_id, infos, self._wanted, dataset_ids, wire)
                asked.append((registration, question, wire))
        versions = [
            *told,
            *(
                (registration, document)
                for registration, document in await self._ask(asked)
                if document["id"] == entity_id
            ),
        ]
        local = super().find(self._origin.actor, entity_id, tenant=self._origin.tenant)
        self._fetched[entity_id] = self._together(local, versions)
        self._told = {entity_id: versions} if versions else {}

    def class_of_fetched(self, entity_id: str) -> InformationClass:
        """The class of all that an Entity that was fetched is put together from."""
        told = (self._federation.class_told(*one) for one in (self._told or {}).get(entity_id, ()))
        here = self._federation.class_here(self._origin, entity_id)
        return max(here, *told)

    def find(self, actor: Actor, entity_id: str, *, tenant: str = DEFAULT_TENANT) -> Document | None:
        if entity_id in self._fetched:
            return self._fetched[entity_id]
        return self._shown(super().find(actor, entity_id, tenant=tenant))

    def retrieve(self, actor: Actor, entity_id: str, *, tenant: str = DEFAULT_TENANT) -> Document:
        found = self.find(actor, entity_id, tenant=tenant)
        if found is None:
            raise not_found(entity_id)
        return found

    def retrieve_text(self, actor: Actor, entity_id: str, *, tenant: str = DEFAULT_TENANT) -> bytes:
        return orjson.dumps(self.retrieve(actor, entity_id, tenant=tenant))

    # Several

    async def search(self, actor: Actor, query: EntityQuery, *, tenant: str = DEFAULT_TENANT) -> QueryPage:
        """A page of what the city and its sources know: first what is here, oldest first, then the rest in
        the order in which sources are registered and answer."""
        foreign = await self._foreign_of_page(query)
        if self._map is not None:
            query = within(self._map, query)
        end = query.offset + query.limit
        # What is merged may no longer match, so that as many more are looked at.
        wanted = replace(query, offset=0, limit=end + len(foreign))
        page = await super().search(actor, wanted, tenant=tenant)
        matches = compile(query)
        own = self._merged_page(page.documents, foreign)
        merged: dict[str, Document] = {}
        before = 0
        for entity_id, versions in foreign.items():
            local = super().find(actor, entity_id, tenant=tenant)
            before += local is not None and matches(local)
            document = own.get(entity_id) or self._together(local, versions)
            if document is not None and (not self._split or matches(document)):
                merged[entity_id] = document
        documents = [one for one in own.values() if one["id"] not in foreign or one["id"] in merged]
        documents += [one for entity_id, one in merged.items() if entity_id not in own]
        total = None if page.total is None else page.total - before + len(merged)
        return QueryPage.of(documents[query.offset : end], total)

    # Entity maps (5.5.14)

    async def candidates(
        self, query: EntityQuery, *, most: int
    ) -> tuple[list[str], dict[str, tuple[Elsewhere, ...]]]:
        """The ids of what may match, what is here first; by id the sources that know of it, where any does.

        Raises TooManyResults for more than `most`.
        """
        origin = self._origin
        ids = await self.search_ids(origin.actor, query, most=most, tenant=origin.tenant)
        if self._told is None:
            self._told = await self._foreign(replace(query, offset=0, limit=MOST_ASKED))
        found = list(dict.fromkeys([*ids, *self._told]))
        if len(found) > most:
            raise TooManyResults(f"More than {most} Entities match", hint="Narrow the query.")
        return found, {
            entity_id: tuple(
                Elsewhere(registration.id, self._federation.class_told(registration, document))
                for registration, document in versions
            )
            for entity_id, versions in self._told.items()
        }

    def keep_to(self, one: EntityMap) -> None:
        """Answer with Entities of a map alone, and ask no other sources than those in it."""
        self._map = one

    async def _foreign_of_page(self, query: EntityQuery) -> dict[str, list[_Version]]:
        if self._map is None:
            return await self._foreign(query)
        found = self._told
        if found is None:
            # What came later may stand before what is in the map.
            found = await self._foreign(replace(query, offset=0, limit=MOST_ASKED))
        return {entity_id: told for entity_id, told in found.items() if entity_id in self._map.sources}

    def _is_mapped(self, registration: Registration) -> bool:
        return self._map is None or any(
            registration.id == one.registration_id for told in self._map.sources.values() for one in told
        )

    def _merged_page(
        self, documents: Iterable[Document], foreign: dict[str, list[_Version]]
    ) -> dict[str, Document]:
        found = {}
        for local in documents:
            document = self._together(local, foreign.get(local["id"], []))
            if document is not None:
                found[local["id"]] = document
        return found

    async def _foreign(self, query: EntityQuery) -> dict[str, list[_Version]]:
        """What sources know, by the Entity's id."""
        sought = sought_by(query)
        asked: list[_Asked] = []
        for registration in self._federation.usable(self._origin, _QUERYING):
            infos = tuple(one for one in registration.information if information_matches(one, sought))
            wanted = self._wanted or frozenset(query.attrs)
            infos = tuple(
                one for one in infos if not (wanted and one.attributes and wanted.isdisjoint(one.attributes))
            )
            if not (
                infos
                and self._is_mapped(registration)
                and in_reach(registration, query.geo)
                and shares_datasets(registration, query.dataset_id)
            ):
                continue
            ids = tuple(one for one in query.ids if self._federation.covers(self._origin, registration, one))
            if query.ids and not ids:
                continue
            wire = await self._wire(registration)
            names = frozenset[str]() if self._split else wanted
            asking = replace(query, ids=ids)
            question = querying(registration, asking, infos, names, wire, filtered=not self._split)
            asked.append((registration, question, wire))
        # A source is not believed to have looked at ids and types.
        plausible = compile(
            EntityQuery(
                ids=query.ids,
                id_pattern=query.id_pattern,
                type_expression=query.type_expression,
                selectors=query.selectors,
            )
        )
        found: dict[str, list[_Version]] = {}
        for registration, document in await self._ask(asked):
            # A source neither learns of nor adds to what is more secret than what it tells.
            if plausible(document) and self._federation.covers(self._origin, registration, document["id"]):
                found.setdefault(document["id"], []).append((registration, document))
        return found

    # Inside

    def _describing(self, registration: Registration, entity_id: str) -> tuple[RegistrationInfo, ...]:
        return tuple(
            info
            for info in registration.information
            if describes(info, entity_id, ())
            and not (self._wanted and info.attributes and self._wanted.isdisjoint(info.attributes))
        )

    async def _wire(self, registration: Registration) -> Wire:
        own = registration.told("jsonldContext")
        try:
            context = None if own is None else await self._use(own)
        except CityError:
            # It cannot be had: names go out in full.
            context = None
        return wire_of(registration, self._origin, context)

    async def _ask(self, asked: list[_Asked]) -> list[_Version]:
        if not asked:
            return []
        if self._federation.came_around(self._origin):
            self.warnings += [("199", registration) for registration, _, _ in asked]
            return []
        found: list[_Version] = []
        replies = await self._federation.ask(asked, self._origin)
        for (registration, _, wire), reply in zip(asked, replies, strict=True):
            if registration.proxied:
                self.proxied.append(reply)
            if reply.warning:
                self.warnings.append((reply.warning, registration))
            self.warnings += [(code, registration) for code in relayed(reply) if code != reply.warning]
            if not reply.good:
                continue
            try:
                documents = await entities_in(reply, wire, self._use)
            except NotEntities:
                self.warnings.append(("111", registration))
                continue
            found += [(registration, one) for one in documents if self._is_taken(registration, one)]
        return found

    def _is_taken(self, registration: Registration, document: Document) -> bool:
        """Whether an Entity is one that the source has registered, and one that the asker may see."""
        types = tuple(document["type"])
        return (
            is_uri(document["id"])
            and any(is_registered(info, document["id"], types) for info in registration.information)
            and self._federation.may_be_shown(self._origin, registration, document)
        )

    def _together(self, local: Document | None, versions: list[_Version]) -> Document | None:
        """What is here and what sources say, as one Entity (4.5.5)."""
        own = self._shown(local)
        main = [
            registered_part(registration, one)
            for registration, one in versions
            if registration.mode != "auxiliary"
        ]
        more = [
            registered_part(registration, one)
            for registration, one in versions
            if registration.mode == "auxiliary"
        ]
        return assembled([*([] if own is None else [own]), *main], more, now=self._now)

    def _shown(self, local: Document | None) -> Document | None:
        """What the city itself tells of an Entity: nothing that is held by a source alone (4.3.6.3)."""
        if local is None:
            return None
        if self._proxied is None:
            self._proxied = _by_type(self._federation.proxied(self._origin))
        hidden: set[str] = set()
        types = tuple(local["type"])
        for registration, info in (one for name in (*types, None) for one in self._proxied.get(name, ())):
            if not describes(info, local["id"], types):
                continue
            if not self._federation.covers(self._origin, registration, local["id"]):
                continue
            if not info.attributes:
                return None
            hidden |= info.attributes
        return without_attributes(local, hidden) if hidden else local


def _by_type(registrations: Iterable[Registration]) -> _ByType:
    """The information of registrations by type, under None what may be of any: there may be thousands, and
    each Entity of a page looks for those that are about it."""
    found: _ByType = {}
    for registration in registrations:
        for info in registration.information:
            open_ended = not info.entities or any(not one.types for one in info.entities)
            names = {None} if open_ended else {name for one in info.entities for name in one.types}
            for name in names:
                found.setdefault(name, []).append((registration, info))
    return found


def now_of(federation: Federation) -> str:
    """The city's time as documents hold it."""
    return format_instant(federation.now())


def is_registered(info: RegistrationInfo, entity_id: str, types: tuple[str, ...]) -> bool:
    """Whether an Entity of these types is among those registered."""
    return not info.entities or any(
        describes(RegistrationInfo((one,)), entity_id, ())
        and (not one.types or not set(one.types).isdisjoint(types))
        for one in info.entities
    )


def registered_part(registration: Registration, document: Document) -> Document:
    """An Entity with those attributes alone that its source has registered for it (4.3.6.1)."""
    names: set[str] = set()
    for info in registration.information:
        if is_registered(info, document["id"], tuple(document["type"])):
            if not info.attributes:
                return document
            names |= info.attributes
    return {**document, "attrs": {name: said for name, said in document["attrs"].items() if name in names}}
