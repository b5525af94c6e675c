"""What sources notify this city of, for the sake of whoever subscribed here (ETSI GS CIM 009, 5.8.6)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

from cityloom.federation.answers import UseContext
from cityloom.federation.handing_on import HandedOn, Leg
from cityloom.federation.model import Origin
from cityloom.federation.view import JointView, is_registered, now_of, registered_part
from cityloom.kernel.actor import InformationClass
from cityloom.ngsild.contexts import CORE, Context
from cityloom.ngsild.errors import BadRequestData, ResourceNotFound
from cityloom.ngsild.model import Document
from cityloom.ngsild.names import is_uri
from cityloom.ngsild.notified_reading import read_notified
from cityloom.ngsild.query import EntityQuery, compile
from cityloom.ngsild.query_writing import write_q
from cityloom.ngsild.registrations import Registration
from cityloom.subscriptions.matching import query_of
from cityloom.subscriptions.model import Kept

#: Entities in one notification.
MOST_ENTITIES = 1_000
#: Entities that are read before others get their turn on the event loop.
_TURN = 50
#: How the id of a copy begins, before its token.
_COPY = "urn:ngsi-ld:Subscription:distsub-"

_Told = tuple[Document, InformationClass]


class Receiving:
    """Lives on the event loop. Whoever has the token of a copy is its source; nobody else is heard."""

    def __init__(self, handed_on: HandedOn) -> None:
        self._handed_on = handed_on
        self._federation = handed_on.federation
        self._subscriptions = handed_on.subscriptions
        #: What one source tells is passed on in its order.
        self._in_order: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def leg_of(self, token: str, subscription_id: str) -> Leg:
        """The copy that a notification is about. An id of this city's making holds the token, for sources
        that cut addresses short. Raises ResourceNotFound."""
        leg = self._handed_on.leg(token or subscription_id.removeprefix(_COPY))
        if leg is None or subscription_id not in (leg.remote, _COPY + leg.token):
            raise ResourceNotFound(
                "There is no such subscription",
                hint="This city has ended it; end it too.",
                where="subscriptionId",
            )
        return leg

    async def receive(self, leg: Leg, items: list[Any], context: Context, use: UseContext) -> None:
        """Pass on what a source tells; on return it is sent on, or kept to be sent. What is not registered,
        not subscribed to or not for the subscriber is passed over. `use` finds @contexts.

        Raises BadRequestData for what is no Entity: then nothing is passed on. StorageFull.
        """
        if len(items) > MOST_ENTITIES:
            raise BadRequestData(
                f"A notification tells of {MOST_ENTITIES} entities at most",
                hint="Send several.",
                where="data",
            )
        async with self._in_order[leg.token]:
            try:
                await self._receive(leg, items, context, use)
            finally:
                if self._handed_on.leg(leg.token) is None:
                    self._in_order.pop(leg.token, None)

    async def _receive(self, leg: Leg, items: list[Any], context: Context, use: UseContext) -> None:
        kept = self._subscriptions.find(leg.tenant, leg.subscription)
        registration = self._federation.sources.find(leg.tenant, leg.registration["id"])
        owner = None if kept is None else self._subscriptions.owner(kept)
        if kept is None or registration is None or owner is None:
            return
        csf = None if kept.wanted.csf is None else kept.wanted.csf.term
        origin = Origin(owner, leg.tenant, kept.via, csf=csf)
        if not self._federation.may_be_subscribed_to(origin, registration):
            return
        told: list[_Told] = []
        for place, item in enumerate(items):
            if place % _TURN == _TURN - 1:
                await asyncio.sleep(0)
            document = await _read(item, context, use)
            if not self._is_taken(kept, registration, origin, document):
                continue
            found = await self._completed(kept, registration, origin, document, use)
            if found is not None:
                told.append(found)
        await self._subscriptions.pass_on(kept, told)

    def _is_taken(self, kept: Kept, registration: Registration, origin: Origin, document: Document) -> bool:
        """Whether an Entity is one that the source has registered, that is subscribed to, and that the
        subscriber may see; a source adds nothing to what is more secret than what it tells."""
        selectors = query_of(kept.wanted).selectors
        types = tuple(document["type"])
        return (
            is_uri(document["id"])
            and any(is_registered(info, document["id"], types) for info in registration.information)
            and compile(EntityQuery(selectors=selectors))(document)
            and self._federation.may_be_shown(origin, registration, document)
            and self._federation.covers(origin, registration, document["id"])
        )

    async def _completed(
        self, kept: Kept, registration: Registration, origin: Origin, document: Document, use: UseContext
    ) -> _Told | None:
        """What is told of the Entity: as the source shows it, or put together from all who know of it, where
        Entities may be split; None where that is not subscribed to."""
        secrecy = self._federation.class_told(registration, document)
        part = registered_part(registration, document)
        query = query_of(kept.wanted)
        if "deletedAt" in document:
            return part, secrecy
        if not kept.wanted.split_entities:
            unwritten = query.q is not None and write_q(query.q, CORE) is None
            fits = not unwritten or compile(query, lambda _: None)(document)
            return (part, secrecy) if fits else None
        view = JointView(
            self._federation.broker, self._federation, origin, use, now_of(self._federation), split=True
        )
        entity_id = document["id"]
        await view.fetch(entity_id, told=((registration, document),))
        whole = view.find(origin.actor, entity_id, tenant=origin.tenant)
        if whole is None or not compile(query, self._lookup(origin))(whole):
            return None
        return whole, max(secrecy, view.class_of_fetched(entity_id))

    def _lookup(self, origin: Origin) -> Any:
        broker = self._federation.broker
        return lambda entity_id: broker.find(origin.actor, entity_id, tenant=origin.tenant)


async def _read(item: Any, context: Context, use: UseContext) -> Document:
    if isinstance(item, dict) and "@context" in item:
        context = await use(item["@context"])
    return read_notified(item, context)
