"""Purging Entities of which sources hold a part (ETSI GS CIM 009, 5.6.21)."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from cityloom.federation.questions import purging
from cityloom.ngsild.json_text import decode_json
from cityloom.ngsild.source_matching import information_matches, sought_by
from cityloom.web.ngsild.asking import asked_by, entity_query
from cityloom.web.ngsild.distribution import origin_of, wire_to
from cityloom.web.ngsild.exchange import Exchange, Reply, plain_reply
from cityloom.web.ngsild.outcomes import BatchResult, failure_of, unsupported
from cityloom.web.ngsild.purge import purge_entities


async def purge_everywhere(exchange: Exchange) -> Reply:
    """DELETE /entities (5.6.21): each source that matches is asked to purge, too."""
    asked = asked_by(exchange.parameters)
    query = entity_query(asked, exchange.context, exchange.parameters, local=False)
    origin = origin_of(exchange, asked.csf)
    federation = exchange.services.federation
    sought = sought_by(query)
    result = BatchResult()
    questions = []
    for registration in federation.candidates(origin):
        infos = tuple(info for info in registration.information if information_matches(info, sought))
        if registration.mode == "auxiliary" or not infos or federation.came_around(origin):
            continue
        ids = tuple(one for one in query.ids if federation.covers(origin, registration, one))
        if query.ids and not ids:
            continue
        if "purgeEntity" in registration.operations:
            wire = await wire_to(exchange, origin, registration)
            members = {
                name: [wire.context.compact(exchange.context.expand(term)) for term in terms]
                for name in ("keep", "drop")
                if (terms := exchange.parameters.listed(name))
            }
            questions.append((registration, purging(replace(query, ids=ids), infos, wire, members), wire))
        elif registration.proxied:
            result.fail(unsupported(registration), [registration.id], registration)
    theirs, mine = await asyncio.gather(federation.ask(questions, origin), purge_entities(exchange))
    for reply in theirs:
        if not reply.good and reply.status != 404:
            result.fail(failure_of(reply), [reply.registration.id], reply.registration)
    if not result.errors:
        return mine
    if mine.body:
        own = decode_json(mine.body)
        result.errors += own.get("errors", [])
        result.done.update(dict.fromkeys(own.get("success", [])))
    return plain_reply({"success": list(result.done), "errors": result.errors}, status=207)
