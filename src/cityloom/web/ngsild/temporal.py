"""Entities over time (ETSI GS CIM 009, 6.18.3.2, 6.19.3.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import msgspec

from cityloom.history.periods import parse_step
from cityloom.history.temporal import TemporalPage, TemporalQuery
from cityloom.history.temporal_representation import TemporalFormat, represent_temporal
from cityloom.kernel.errors import BadInput
from cityloom.kernel.time import format_instant
from cityloom.ngsild.errors import BadRequestData
from cityloom.ngsild.languages import parse_languages
from cityloom.ngsild.model import Document
from cityloom.ngsild.query import DEFAULT_LIMIT, EntityQuery
from cityloom.ngsild.temporal_query import TemporalWindow, parse_temporal_window
from cityloom.web.ngsild.asking import Asked, asked_by, entity_query, format_of
from cityloom.web.ngsild.consumption import page_headers
from cityloom.web.ngsild.entity_maps import create_temporal_map
from cityloom.web.ngsild.exchange import Exchange, Headers, Reply
from cityloom.web.ngsild.provision import entity_id_of

_FORMATS: dict[str, TemporalFormat] = {
    "normalized": "normalized",
    "concise": "concise",
    "temporalValues": "temporalValues",
    "aggregatedValues": "aggregatedValues",
}
#: What history calls otherwise.
_PARAMETERS = {"step": "aggrPeriodDuration", "until": "endTimeAt"}


async def retrieve_evolution(exchange: Exchange) -> Reply:
    """GET /temporal/entities/{entityId}."""
    entity_id = entity_id_of(exchange)
    asked = asked_by(exchange.parameters)
    entities = EntityQuery(
        attrs=_attributes(exchange, asked), dataset_id=asked.dataset_id, limit=DEFAULT_LIMIT
    )
    query, form, sys_attrs = _temporal_query(exchange, entities)
    with _named_as_parameters():
        page = await asyncio.to_thread(
            exchange.services.temporal.temporal_entity,
            exchange.actor,
            entity_id,
            query,
            tenant=exchange.tenant,
        )
    shown = _shown(exchange, asked, page, query.window, form, sys_attrs)
    return exchange.reply(shown[0], status=206 if page.cut else 200, headers=_range(page, query))


async def query_evolutions(exchange: Exchange) -> Reply:
    """GET /temporal/entities."""
    asked = asked_by(exchange.parameters)
    local = exchange.parameters.flag("local") or asked.type == "*"
    entities = entity_query(asked, exchange.context, exchange.parameters, local=local)
    entities = msgspec.structs.replace(entities, attrs=_attributes(exchange, asked))
    query, form, sys_attrs = _temporal_query(exchange, entities)
    with _named_as_parameters():
        page = await asyncio.to_thread(
            exchange.services.temporal.temporal_entities, exchange.actor, query, tenant=exchange.tenant
        )
    shown = _shown(exchange, asked, page, query.window, form, sys_attrs)
    more = page.total > entities.offset + entities.limit
    headers = page_headers(exchange, more=more, total=page.total if entities.count else None)
    return exchange.reply(shown, status=206 if page.cut else 200, headers=headers + _range(page, query))


async def create_map_over_time(exchange: Exchange) -> Reply:
    """GET /temporal/entityMaps (6.35.3.1)."""
    asked = asked_by(exchange.parameters)
    local = exchange.parameters.flag("local") or asked.type == "*"
    entities = entity_query(asked, exchange.context, exchange.parameters, local=local)
    entities = msgspec.structs.replace(entities, attrs=_attributes(exchange, asked))
    if exchange.parameters.text("timerel") is None:
        raise BadRequestData("No time is asked for", hint="Give timerel and timeAt.", where="timerel")
    query, _, _ = _temporal_query(exchange, entities)
    with _named_as_parameters():
        return await create_temporal_map(exchange, asked, query)


@contextmanager
def _named_as_parameters() -> Iterator[None]:
    """Errors of history name the parameter at fault as it is called here."""
    try:
        yield
    except BadInput as error:
        error.where = _PARAMETERS.get(error.where or "", error.where)
        raise


def _temporal_query(exchange: Exchange, entities: EntityQuery) -> tuple[TemporalQuery, TemporalFormat, bool]:
    """What history is asked, the format of the answer, and whether system times are shown."""
    parameters = exchange.parameters
    form, options = format_of(parameters, _FORMATS, "normalized")
    methods = parameters.listed("aggrMethods")
    period = parameters.text("aggrPeriodDuration")
    if form == "aggregatedValues" and not methods:
        raise BadRequestData(
            "aggregatedValues needs aggrMethods", hint="Add aggrMethods=avg,min,max.", where="aggrMethods"
        )
    if form != "aggregatedValues" and (methods or period):
        raise BadRequestData(
            "aggrMethods and aggrPeriodDuration belong to aggregatedValues",
            hint="Add format=aggregatedValues.",
            where="format",
        )
    window = parse_temporal_window(
        parameters.text("timerel"),
        parameters.text("timeAt"),
        parameters.text("endTimeAt"),
        parameters.text("timeproperty"),
    )
    query = TemporalQuery(
        entities=entities,
        window=window,
        last_n=parameters.number("lastN", 0, least=1) or None,
        aggregates=methods,
        period=None if period is None else parse_step(period, where="aggrPeriodDuration"),
    )
    return query, form, "sysAttrs" in options


def _attributes(exchange: Exchange, asked: Asked) -> tuple[str, ...]:
    """The attributes that must be read: those of attrs, or else those of pick."""
    context = exchange.context
    named = [term for term in asked.attrs or asked.pick if term not in ("id", "type", "scope")]
    return tuple(context.expand(term) for term in named)


def _shown(
    exchange: Exchange,
    asked: Asked,
    page: TemporalPage,
    window: TemporalWindow,
    form: TemporalFormat,
    sys_attrs: bool,
) -> list[dict[str, Any]]:
    if asked.lang is not None:
        parse_languages(asked.lang)
    kept = _kept_members(exchange, asked)
    return [
        {key: value for key, value in one.items() if kept(key)}
        for one in (
            represent_temporal(
                entity,
                exchange.context,
                format=form,
                sys_attrs=sys_attrs,
                time_property=window.time_property,
            )
            for entity in page.entities
        )
    ]


def _kept_members(exchange: Exchange, asked: Asked) -> Any:
    """Whether a member of the answer was picked and not omitted (4.21)."""
    compact, expand = exchange.context.compact, exchange.context.expand
    reserved = ("id", "type", "scope")
    picked = {term if term in reserved else compact(expand(term)) for term in asked.pick}
    omitted = {term if term in reserved else compact(expand(term)) for term in asked.omit}
    return lambda name: (not picked or name in picked) and name not in omitted


def _range(page: TemporalPage, query: TemporalQuery) -> Headers:
    """What part of the time asked for a cut answer holds (6.3.10)."""
    if not page.cut:
        return []
    times = [time for entity in page.entities for time in _times(entity.document, query.window)]
    first, last = min(times), max(times)
    if query.last_n is None:
        start = query.window.since or first
        value = f"DateTime {_text(start)}-{_text(last)}/*"
    else:
        start = query.window.until or last
        value = f"DateTime {_text(start)}-{_text(first)}/{query.last_n}"
    return [(b"content-range", value.encode())]


def _times(document: Document, window: TemporalWindow) -> list[str]:
    return [
        item.get(window.time_property, item["modifiedAt"])
        for items in document["attrs"].values()
        for item in items
    ]


def _text(instant: datetime | str) -> str:
    return instant if isinstance(instant, str) else format_instant(instant)
