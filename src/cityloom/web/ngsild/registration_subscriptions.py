"""Subscriptions to Context Source Registrations (ETSI GS CIM 009, 6.12, 6.13)."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from cityloom.access.authority import require
from cityloom.federation.watching import EDIT, WatchedKept
from cityloom.ngsild.errors import BadRequestData
from cityloom.ngsild.names import NULL, check_uri
from cityloom.ngsild.subscription import represent_subscription
from cityloom.ngsild.subscription_reading import parse_subscription, patch_subscription
from cityloom.web.addresses import address
from cityloom.web.ngsild.asking import page_of
from cityloom.web.ngsild.exchange import ROOT, Exchange, Reply
from cityloom.web.ngsild.paging import list_headers


async def create_registration_subscription(exchange: Exchange) -> Reply:
    """POST /csourceSubscriptions (5.11.2)."""
    require(exchange.actor, EDIT)
    payload = await exchange.payload()
    watching = exchange.services.federation.watching
    fresh = f"urn:ngsi-ld:Subscription:{uuid4()}"
    wanted = parse_subscription(payload, exchange.context, id=fresh, now=watching.now())
    link = exchange.services.contexts.address(exchange.context, exchange.base)
    await watching.add(
        exchange.actor, wanted, _temporal(payload), exchange.context.source, link, tenant=exchange.tenant
    )
    location = ROOT + address("csourceSubscriptions", wanted.id)
    return Reply(201, headers=[(b"Location", location.encode())])


async def query_registration_subscriptions(exchange: Exchange) -> Reply:
    """GET /csourceSubscriptions (5.11.5)."""
    limit, offset, count = page_of(exchange.parameters)
    found = exchange.services.federation.watching.all(exchange.actor, tenant=exchange.tenant)
    page = [_shown(exchange, kept) for kept in found[offset : offset + limit]]
    more = len(found) > offset + limit
    headers = list_headers(exchange, more=more, total=len(found) if count else None)
    return exchange.reply(page, headers=headers)


async def retrieve_registration_subscription(exchange: Exchange) -> Reply:
    """GET /csourceSubscriptions/{subscriptionId} (5.11.4)."""
    return exchange.reply(_shown(exchange, _kept(exchange)))


async def update_registration_subscription(exchange: Exchange) -> Reply:
    """PATCH /csourceSubscriptions/{subscriptionId} (5.11.3)."""
    kept = _kept(exchange)
    payload = await exchange.payload()
    watching = exchange.services.federation.watching
    wanted, _ = patch_subscription(kept.base.wanted, payload, exchange.context, now=watching.now())
    temporal = _temporal(payload) if "temporalQ" in payload else kept.temporal
    await watching.replace(exchange.actor, kept, wanted, temporal)
    return Reply(204)


async def delete_registration_subscription(exchange: Exchange) -> Reply:
    """DELETE /csourceSubscriptions/{subscriptionId} (5.11.6)."""
    watching = exchange.services.federation.watching
    await watching.remove(exchange.actor, _id(exchange), tenant=exchange.tenant)
    return Reply(204)


def _temporal(payload: dict[str, Any]) -> dict[str, Any] | None:
    found = payload.get("temporalQ")
    if found is None or found == NULL:
        return None
    if not isinstance(found, dict):
        raise BadRequestData("temporalQ is an object", hint="Give timerel and timeAt.", where="temporalQ")
    return found


def _shown(exchange: Exchange, kept: WatchedKept) -> dict[str, Any]:
    """A subscription with how it stands, and how notifying went (5.2.14.2)."""
    watching = exchange.services.federation.watching
    wanted = kept.base.wanted
    shown = represent_subscription(wanted, exchange.context)
    if wanted.triggers is None:
        # Registrations are told of whatever happens to them.
        shown.pop("notificationTrigger", None)
    if kept.temporal is not None:
        shown["temporalQ"] = kept.temporal
    shown["status"] = wanted.status(watching.now())
    shown["notification"] |= watching.tally(kept).members()
    if "sysAttrs" in exchange.parameters.listed("options"):
        shown |= {"createdAt": kept.base.created_at, "modifiedAt": kept.base.modified_at}
    return shown


def _kept(exchange: Exchange) -> WatchedKept:
    watching = exchange.services.federation.watching
    return watching.get(exchange.actor, _id(exchange), tenant=exchange.tenant)


def _id(exchange: Exchange) -> str:
    return check_uri(exchange.variables["subscriptionId"], "subscriptionId")
