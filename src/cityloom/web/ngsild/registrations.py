"""Context Source Registrations (ETSI GS CIM 009, 6.8, 6.9)."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import uuid4

from cityloom.access.authority import require
from cityloom.ngsild.errors import BadRequestData, InvalidRequest
from cityloom.ngsild.names import check_uri
from cityloom.ngsild.q_language import Term, names_of, parse_q
from cityloom.ngsild.registration_parsing import parse_registration
from cityloom.ngsild.registrations import Registration, RegistrationDocument, represent_registration
from cityloom.ngsild.scope_query import parse_scope_query
from cityloom.ngsild.source_matching import Sought, sought_by
from cityloom.ngsild.temporal_query import TemporalWindow, parse_temporal_window
from cityloom.web.addresses import address
from cityloom.web.ngsild.asking import Asked, asked_by, entity_query, page_of
from cityloom.web.ngsild.exchange import ROOT, Exchange, Reply
from cityloom.web.ngsild.paging import list_headers

#: One of them must be given, so that nobody asks for everything (5.10.2.4).
_NARROWING = ("type", "attrs", "q", "georel", "id", "idPattern")


async def register_source(exchange: Exchange) -> Reply:
    """POST /csourceRegistrations (5.9.2)."""
    document = await _document(exchange, fragment=False)
    require(exchange.actor, "sources:register")
    document = {"id": f"urn:ngsi-ld:ContextSourceRegistration:{uuid4()}", **document}
    async with _recorded(exchange, "source.register", document["id"], document):
        identifier = await exchange.services.federation.sources.add(
            exchange.actor, document, tenant=exchange.tenant
        )
    location = ROOT + address("csourceRegistrations", identifier)
    return Reply(201, headers=[(b"Location", location.encode())])


async def update_registration(exchange: Exchange) -> Reply:
    """PATCH /csourceRegistrations/{registrationId} (5.9.3)."""
    identifier = _registration_id(exchange)
    fragment = await _document(exchange, fragment=True)
    sources = exchange.services.federation.sources
    sources.check_tends(exchange.actor, identifier, tenant=exchange.tenant)
    async with _recorded(exchange, "source.change", identifier, fragment):
        await sources.update(exchange.actor, identifier, fragment, tenant=exchange.tenant)
    return Reply(204)


async def delete_registration(exchange: Exchange) -> Reply:
    """DELETE /csourceRegistrations/{registrationId} (5.9.4)."""
    identifier = _registration_id(exchange)
    sources = exchange.services.federation.sources
    sources.check_tends(exchange.actor, identifier, tenant=exchange.tenant)
    async with _recorded(exchange, "source.remove", identifier, {}):
        await sources.remove(exchange.actor, identifier, tenant=exchange.tenant)
    return Reply(204)


def _recorded(
    exchange: Exchange, action: str, identifier: str, document: RegistrationDocument
) -> AbstractAsyncContextManager[None]:
    return exchange.services.recorded(
        exchange.actor, action, identifier, tenant=exchange.tenant, endpoint=document.get("endpoint") or ""
    )


async def retrieve_registration(exchange: Exchange) -> Reply:
    """GET /csourceRegistrations/{registrationId} (5.10.1)."""
    found = exchange.services.federation.sources.get(
        exchange.actor, _registration_id(exchange), tenant=exchange.tenant
    )
    return exchange.reply(_shown(exchange, found))


async def query_registrations(exchange: Exchange) -> Reply:
    """GET /csourceRegistrations (5.10.2)."""
    require(exchange.actor, "sources:read")
    parameters = exchange.parameters
    if not any(name in parameters for name in _NARROWING):
        raise BadRequestData(
            "This asks for every registration", hint="Give type, attrs, q or georel.", where="type"
        )
    asked = asked_by(parameters)
    limit, offset, count = page_of(parameters)
    found = exchange.services.federation.sources.query(
        exchange.actor, _sought(exchange, asked), tenant=exchange.tenant
    )
    page = found[offset : offset + limit]
    shown = [_shown(exchange, registration) for registration, _ in page]
    more = len(found) > offset + limit
    headers = list_headers(exchange, more=more, total=len(found) if count else None)
    return exchange.reply(shown, headers=headers)


def _sought(exchange: Exchange, asked: Asked) -> Sought:
    """What is asked for, in terms of sources: q and the geoquery name attributes too (5.10.2.4)."""
    context = exchange.context
    query = entity_query(asked, context, exchange.parameters, local=True)
    names = set(query.attrs)
    if query.q is not None:
        names.update(names_of(query.q))
    base = sought_by(query)
    return Sought(
        selectors=base.selectors,
        attributes=frozenset(names - {"id", "type", "scope"}),
        dataset_ids=base.dataset_ids,
        window=_window(exchange),
        csf=None if asked.csf is None else _filter(asked.csf, exchange),
        scope_q=None if asked.scope_q is None else parse_scope_query(asked.scope_q),
        geo=query.geo,
    )


def _filter(text: str, exchange: Exchange) -> Term:
    try:
        return parse_q(text, exchange.context)
    except BadRequestData as error:
        error.where = "csf"
        raise


def _window(exchange: Exchange) -> TemporalWindow | None:
    parameters = exchange.parameters
    if "timerel" not in parameters and "timeAt" not in parameters:
        return None
    return parse_temporal_window(
        parameters.text("timerel"),
        parameters.text("timeAt"),
        parameters.text("endTimeAt"),
        parameters.text("timeproperty"),
    )


def _registration_id(exchange: Exchange) -> str:
    return check_uri(exchange.variables["registrationId"], "registrationId")


async def _document(exchange: Exchange, *, fragment: bool) -> RegistrationDocument:
    payload = await exchange.payload()
    if not isinstance(payload, dict):
        raise InvalidRequest("The body is not a JSON object", hint="Send one registration.")
    return parse_registration(payload, exchange.context, fragment=fragment)


def _shown(exchange: Exchange, registration: Registration) -> dict[str, Any]:
    parameters = exchange.parameters
    standing = exchange.services.federation.standing(exchange.tenant, registration)
    return (
        represent_registration(
            registration.document,
            exchange.context,
            sys_attrs="sysAttrs" in parameters.listed("options"),
            secrets=exchange.actor.may("sources:register"),
        )
        | standing.shown()
    )
