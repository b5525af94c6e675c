"""Subscriptions to Context Source Registrations (ETSI GS CIM 009, 6.12, 6.13)."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import uuid4

from cityloom.access.authority import require
from cityloom.federation.derived import Derived
from cityloom.federation.watching import EDIT, WatchedKept
from cityloom.ngsild.errors import BadRequestData, OperationNotSupported
from cityloom.ngsild.names import NULL, check_uri
from cityloom.ngsild.subscription import Subscription, represent_subscription
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
    async with _recorded(exchange, "source.subscribe", wanted):
        await watching.add(
            exchange.actor, wanted, _temporal(payload), exchange.context.source, link, tenant=exchange.tenant
        )
    location = ROOT + address("csourceSubscriptions", wanted.id)
    return Reply(201, headers=[(b"Location", location.encode())])


async def query_registration_subscriptions(exchange: Exchange) -> Reply:
    """GET /csourceSubscriptions (5.11.5)."""
    limit, offset, count = page_of(exchange.parameters)
    own = exchange.services.federation.watching.all(exchange.actor, tenant=exchange.tenant)
    found = [*own, *_derived(exchange).all(exchange.actor, tenant=exchange.tenant)]
    page = [_shown(exchange, kept) for kept in found[offset : offset + limit]]
    more = len(found) > offset + limit
    headers = list_headers(exchange, more=more, total=len(found) if count else None)
    return exchange.reply(page, headers=headers)


async def retrieve_registration_subscription(exchange: Exchange) -> Reply:
    """GET /csourceSubscriptions/{subscriptionId} (5.11.4)."""
    derived = _derived(exchange).find(exchange.actor, _id(exchange), tenant=exchange.tenant)
    return exchange.reply(_shown(exchange, derived or _kept(exchange)))


async def update_registration_subscription(exchange: Exchange) -> Reply:
    """PATCH /csourceSubscriptions/{subscriptionId} (5.11.3)."""
    kept = _kept(exchange)
    payload = await exchange.payload()
    watching = exchange.services.federation.watching
    wanted, _ = patch_subscription(kept.base.wanted, payload, exchange.context, now=watching.now())
    temporal = _temporal(payload) if "temporalQ" in payload else kept.temporal
    async with _recorded(exchange, "source.resubscribe", wanted):
        await watching.replace(exchange.actor, kept, wanted, temporal)
    return Reply(204)


async def delete_registration_subscription(exchange: Exchange) -> Reply:
    """DELETE /csourceSubscriptions/{subscriptionId} (5.11.6)."""
    kept = _kept(exchange)
    watching = exchange.services.federation.watching
    async with _recorded(exchange, "source.unsubscribe", kept.base.wanted):
        await watching.remove(exchange.actor, kept.base.wanted.id, tenant=exchange.tenant)
    return Reply(204)


def _recorded(exchange: Exchange, action: str, wanted: Subscription) -> AbstractAsyncContextManager[None]:
    """Write down, before it is done, who has the city tell others of its sources."""
    return exchange.services.recorded(
        exchange.actor,
        action,
        wanted.id,
        tenant=exchange.tenant,
        endpoint=wanted.notification.endpoint.uri,
    )


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
    identifier = _id(exchange)
    if _derived(exchange).find(exchange.actor, identifier, tenant=exchange.tenant) is not None:
        raise OperationNotSupported(
            "This goes with a subscription to Entities, and cannot be changed or ended alone",
            hint="Change or end that subscription, at /subscriptions.",
            where="subscriptionId",
        )
    watching = exchange.services.federation.watching
    return watching.get(exchange.actor, identifier, tenant=exchange.tenant)


def _derived(exchange: Exchange) -> Derived:
    """The subscriptions to registrations that go with one's subscriptions to Entities (5.8.1.4)."""
    return Derived(exchange.services.handed_on)


def _id(exchange: Exchange) -> str:
    return check_uri(exchange.variables["subscriptionId"], "subscriptionId")
