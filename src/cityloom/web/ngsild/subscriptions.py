"""Subscriptions (ETSI GS CIM 009, 6.10, 6.11)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import uuid4

import msgspec

from cityloom.access.authority import require
from cityloom.federation.errors import LoopDetected
from cityloom.federation.peers import via_of
from cityloom.ngsild.contexts import Context
from cityloom.ngsild.errors import NonexistentTenant
from cityloom.ngsild.names import check_uri
from cityloom.ngsild.registrations import Registration
from cityloom.ngsild.subscription import Subscription, represent_subscription
from cityloom.ngsild.subscription_reading import parse_subscription, patch_subscription
from cityloom.subscriptions.model import Kept
from cityloom.subscriptions.owners import EDIT
from cityloom.web.addresses import address
from cityloom.web.ngsild.asking import format_of, page_of
from cityloom.web.ngsild.distribution import warned
from cityloom.web.ngsild.exchange import ROOT, Exchange, Reply
from cityloom.web.ngsild.paging import list_headers


async def create_subscription(exchange: Exchange) -> Reply:
    """POST /subscriptions (5.8.1)."""
    require(exchange.actor, EDIT)
    if exchange.snapshot is not None:
        exchange.services.snapshots.check_made(exchange.snapshot)
    payload = await exchange.payload()
    subscriptions = exchange.services.subscriptions
    fresh = f"urn:ngsi-ld:Subscription:{uuid4()}"
    wanted = parse_subscription(payload, exchange.context, id=fresh, now=subscriptions.now())
    via = via_of(exchange.headers().get("via", ""))
    if exchange.services.federation.alias_for(exchange.tenant) in via:
        raise LoopDetected(
            "This subscription has come from here",
            hint="What is here is told to its subscriber already.",
            where="Via",
        )
    wanted, context = await _with_context(exchange, wanted)
    async with _recorded(exchange, "subscription.create", wanted):
        await subscriptions.create(
            exchange.actor,
            wanted,
            context.source,
            wanted.json_ld_context or "",
            tenant=exchange.place,
            via=via,
            snapshot="" if exchange.snapshot is None else exchange.snapshot.id,
        )
    location = ROOT + address("subscriptions", wanted.id)
    return Reply(201, headers=[(b"Location", location.encode())])


async def query_subscriptions(exchange: Exchange) -> Reply:
    """GET /subscriptions (5.8.4)."""
    require(exchange.actor, EDIT)
    _check_tenant(exchange)
    limit, offset, count = page_of(exchange.parameters)
    found = exchange.services.subscriptions.all(exchange.actor, tenant=exchange.place)
    chosen = found[offset : offset + limit]
    page = [_shown(exchange, kept) for kept in chosen]
    more = len(found) > offset + limit
    headers = list_headers(exchange, more=more, total=len(found) if count else None)
    return warned(exchange, exchange.reply(page, headers=headers), _troubles(exchange, chosen))


async def retrieve_subscription(exchange: Exchange) -> Reply:
    """GET /subscriptions/{subscriptionId} (5.8.3). No version of the standard has it otherwise (4.3.6.8)."""
    version = exchange.preferred_version
    headers = [] if version is None else [(b"preference-applied", b"ngsi-ld=%d.%d" % version)]
    kept = _kept(exchange)
    reply = exchange.reply(_shown(exchange, kept), headers=headers)
    return warned(exchange, reply, _troubles(exchange, [kept]))


async def update_subscription(exchange: Exchange) -> Reply:
    """PATCH /subscriptions/{subscriptionId} (5.8.2)."""
    require(exchange.actor, EDIT)
    payload = await exchange.payload()
    # Looked up once the body is there: another patch may have come while it was on its way.
    kept = _kept(exchange)
    subscriptions = exchange.services.subscriptions
    wanted, changed = patch_subscription(kept.wanted, payload, exchange.context, now=subscriptions.now())
    async with _recorded(exchange, "subscription.change", wanted):
        if "json_ld_context" in changed:
            wanted, context = await _with_context(exchange, wanted)
            await subscriptions.replace(exchange.actor, kept, wanted, context.source, wanted.json_ld_context)
        else:
            await subscriptions.replace(exchange.actor, kept, wanted)
    return Reply(204)


async def delete_subscription(exchange: Exchange) -> Reply:
    """DELETE /subscriptions/{subscriptionId} (5.8.5)."""
    kept = _kept(exchange)
    async with _recorded(exchange, "subscription.remove", kept.wanted):
        await exchange.services.subscriptions.delete(exchange.actor, kept.wanted.id, tenant=exchange.place)
    return Reply(204)


def _recorded(exchange: Exchange, action: str, wanted: Subscription) -> AbstractAsyncContextManager[None]:
    return exchange.services.recorded(
        exchange.actor,
        action,
        wanted.id,
        tenant=exchange.tenant,
        endpoint=wanted.notification.endpoint.uri,
    )


async def _with_context(exchange: Exchange, wanted: Subscription) -> tuple[Subscription, Context]:
    """The @context of its notifications: the one it names, else its own, which it then names (5.8.1.4)."""
    contexts = exchange.services.contexts
    if wanted.json_ld_context is not None:
        return wanted, await contexts.use(wanted.json_ld_context, exchange.tenant)
    link = await contexts.keep(exchange.actor, exchange.context, exchange.base, exchange.tenant)
    return msgspec.structs.replace(wanted, json_ld_context=link), exchange.context


def _shown(exchange: Exchange, kept: Kept) -> dict[str, Any]:
    """A subscription with what the system adds: how it stands, and how notifying went (5.2.14.2)."""
    shown = represent_subscription(kept.wanted, exchange.context)
    shown["status"] = kept.wanted.status(exchange.services.subscriptions.now())
    shown["notification"] |= exchange.services.subscriptions.tally(kept).members()
    troubles = exchange.services.handed_on.troubles(kept.tenant, kept.wanted.id)
    if troubles:
        # What a source does not know of yet is not told.
        before = shown["notification"].get("lastFailure", "")
        shown["notification"] |= {"status": "failed", "lastFailure": max(before, troubles[-1].at)}
    _, options = format_of(exchange.parameters, {"normalized": ""}, "")
    if "sysAttrs" in options:
        shown |= {"createdAt": kept.created_at, "modifiedAt": kept.modified_at}
    return shown


def _troubles(exchange: Exchange, shown: Iterable[Kept]) -> list[tuple[str, Registration]]:
    """Warnings about sources that do not know of a subscription as it is (5.8.1.4)."""
    handed_on = exchange.services.handed_on
    found = (one for kept in shown for one in handed_on.troubles(kept.tenant, kept.wanted.id))
    return [
        ("199", one) for one in {trouble.registration.id: trouble.registration for trouble in found}.values()
    ]


def _kept(exchange: Exchange) -> Kept:
    identifier = _id(exchange)
    _check_tenant(exchange)
    return exchange.services.subscriptions.retrieve(exchange.actor, identifier, tenant=exchange.place)


def _id(exchange: Exchange) -> str:
    require(exchange.actor, EDIT)
    return check_uri(exchange.variables["subscriptionId"], "subscriptionId")


def _check_tenant(exchange: Exchange) -> None:
    """A tenant is there once it has an entity or a subscription (4.14)."""
    tenant, services = exchange.tenant, exchange.services
    if (
        exchange.snapshot is not None
        or tenant in ("", *services.subscriptions.tenants())
        or tenant in services.broker.tenants(exchange.actor)
    ):
        return
    raise NonexistentTenant(
        f"There is no tenant {tenant}", hint="Creating an entity in it makes it.", where="NGSILD-Tenant"
    )
