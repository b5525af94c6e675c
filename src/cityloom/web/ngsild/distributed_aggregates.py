"""Aggregates over what the city and its sources remember (ETSI GS CIM 009, 4.5.19, 5.7.3.4, 5.7.4.4).

What is aggregated is the past of all: so sources are asked for instances, and these are aggregated here with
those of the city. Of one instant of a dataset what is here counts, then what the older registration tells.
A source that does not tell its instances is asked for its own aggregates; they stand where nobody else knows
the attribute, and a warning says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from cityloom.federation.discovering import Json
from cityloom.federation.model import Origin
from cityloom.history.gathered import aggregate_gathered
from cityloom.history.temporal import TemporalPage
from cityloom.ngsild.model import Document
from cityloom.ngsild.query import EntityQuery
from cityloom.web.ngsild.asking import datasets
from cityloom.web.ngsild.evolutions_elsewhere import MOST_TAKEN, Told, evolutions_told
from cityloom.web.ngsild.exchange import Exchange
from cityloom.web.ngsild.temporal import Wanted, attributes_of, represented
from cityloom.web.ngsild.temporal_asking import named_as_parameters, temporal_query
from cityloom.web.ngsild.temporal_questions import Asked, Warnings, told_by

_OF_FORM = ("format", "options")


class Gathered(NamedTuple):
    """What sources have told: instances, and the aggregates of those that do not tell these."""

    told: list[Told]
    entities: list[Json]
    warnings: Warnings


class Aggregating:
    """One request for aggregates."""

    def __init__(self, exchange: Exchange, wanted: Wanted, query: EntityQuery) -> None:
        asked = wanted.asked
        entities = msgspec.structs.replace(
            query, attrs=attributes_of(exchange, asked), dataset_id=tuple(datasets(asked.dataset_id))
        )
        self._exchange = exchange
        self._asked = asked
        self._query, self._shown = temporal_query(
            wanted.temporal,
            exchange.parameters,
            entities,
            most_instances=MOST_TAKEN,
            by_body=wanted.by_body,
        )
        #: The same request, and what is wanted, as a source is asked for instances.
        self.for_instances = exchange.with_parameters(
            {name: said for name, said in exchange.parameters.items() if name not in _OF_FORM}
            | ({} if self._query.window.time_property == "observedAt" else {"options": "sysAttrs"})
        )
        bare = msgspec.structs.replace(wanted.temporal, methods=(), period=None)
        self.instances = msgspec.structs.replace(wanted, temporal=bare)

    async def ask(
        self, origin: Origin, questions: Sequence[Asked], otherwise: Callable[[], Awaitable[list[Asked]]]
    ) -> Gathered:
        """What sources tell; `otherwise` makes what those are asked that do not tell their instances."""
        told = await evolutions_told(self._exchange, origin, questions)
        warnings = [(one.warning, one.registration) for one in told if one.warning]
        silent = {one.registration.id for one in told if one.is_refused}
        left = [one for one in await otherwise() if one[0].id in silent] if silent else []
        entities: list[Json] = []
        replies = await self._exchange.services.federation.ask(left, origin)
        for (registration, _, wire), reply in zip(left, replies, strict=True):
            entities += told_by(self._exchange, origin, registration, wire, reply, [])
        return Gathered(told, [one for one in entities if self._is_meant(one)], warnings)

    async def together(self, mine: list[Json], theirs: Gathered) -> dict[str, Json]:
        """The Entities by id, aggregated anew where a source has told instances of one.

        Raises TooComplexQuery, InvalidRequest.
        """
        found = {entity["id"]: entity for entity in mine}
        documents = [one for told in theirs.told for one in told.documents if self._is_meant(one)]
        ids = tuple(dict.fromkeys(one["id"] for one in documents))
        if ids:
            here = await asyncio.to_thread(self._here, ids)
            # Where too much is remembered here to be put together with the rest, it stands for itself.
            local = [] if here.cut else [one.document for one in here.entities]
            for entity in await asyncio.to_thread(self._aggregated, [*local, *documents]):
                one = entity["id"]
                before = found.get(one, entity)
                found[one] = entity | before if here.cut else before | entity
            if here.cut:
                theirs.warnings.extend(("299", one.registration) for one in theirs.told if one.documents)
        for entity in theirs.entities:
            one = entity["id"]
            found[one] = entity | found.get(one, entity)
        return found

    def _is_meant(self, one: Mapping[str, Any]) -> bool:
        ids = self._query.entities.ids
        return not ids or one["id"] in ids

    # In a thread

    def _here(self, ids: tuple[str, ...]) -> TemporalPage:
        entities = msgspec.structs.replace(self._query.entities, ids=ids, offset=0, limit=len(ids))
        query = msgspec.structs.replace(
            self._query, entities=entities, aggregates=(), period=None, by_columns=False
        )
        exchange = self._exchange
        with named_as_parameters():
            return exchange.services.temporal.temporal_entities(exchange.actor, query, tenant=exchange.tenant)

    def _aggregated(self, documents: list[Document]) -> list[Json]:
        query = self._query
        with named_as_parameters():
            found = aggregate_gathered(
                documents,
                query.window,
                query.aggregates,
                query.period,
                last_n=query.last_n,
                named=query.entities.attrs,
            )
        return represented(self._exchange, self._asked, TemporalPage(found, len(found)), query, self._shown)


def aggregating(exchange: Exchange, wanted: Wanted, query: EntityQuery) -> Aggregating | None:
    """How a request for aggregates is answered together with sources; None for one for instances.

    Raises BadRequestData.
    """
    return Aggregating(exchange, wanted, query) if wanted.temporal.methods else None
