"""What sources notify this city of, for the sake of whoever subscribed here (ETSI GS CIM 009, 5.8.6)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cityloom.federation.answers import FewContexts, UseContext
from cityloom.federation.errors import TooManyNotifications
from cityloom.federation.handing_on import HandedOn
from cityloom.federation.legs import Leg
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
#: Notifications that are read at once, or wait for that: of one source, and in all. They are requests that
#: the city works on, of which others need some too.
MOST_OF_ONE = 16
MOST_IN_ALL = 64
#: For reading one, with what must be asked of others for it, and with those before it.
PATIENCE_S = 60.0
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
        self._in_order: dict[str, asyncio.Lock] = {}
        #: How many are under way, by the copy's token and by the source.
        self._of_copy = Counter[str]()
        self._of_source = Counter[tuple[str, str]]()

    def check_token(self, token: str) -> None:
        """Whether somebody was given a token. Raises ResourceNotFound."""
        if self._handed_on.leg(token) is None:
            raise _no_such_subscription()

    def leg_of(self, token: str, subscription_id: str) -> Leg:
        """The copy that a notification is about. An id of this city's making holds the token, for sources
        that cut addresses short. Raises ResourceNotFound."""
        leg = self._handed_on.leg(token or subscription_id.removeprefix(_COPY))
        if leg is None or subscription_id not in (leg.remote, _COPY + leg.token):
            raise _no_such_subscription()
        return leg

    async def receive(self, leg: Leg, items: list[Any], context: Context, use: UseContext) -> None:
        """Pass on what a source tells; on return it is sent on, or kept to be sent. What is not registered,
        not subscribed to or not for the subscriber is passed over. `use` finds @contexts.

        Raises BadRequestData for what is no Entity, TooManyNotifications: then nothing is passed on.
        StorageFull.
        """
        if len(items) > MOST_ENTITIES:
            raise BadRequestData(
                f"A notification tells of {MOST_ENTITIES} entities at most",
                hint="Send several.",
                where="data",
            )
        with self._turn(leg) as in_order:
            try:
                async with asyncio.timeout(PATIENCE_S) as patience, in_order:
                    await self._receive(leg, items, context, use, patience)
            except TimeoutError:
                raise _too_much("It takes too long to read this notification") from None

    @contextmanager
    def _turn(self, leg: Leg) -> Iterator[asyncio.Lock]:
        """Count a notification while it is under way. Raises TooManyNotifications."""
        source = (leg.tenant, leg.registration["id"])
        if self._of_source[source] >= MOST_OF_ONE or self._of_source.total() >= MOST_IN_ALL:
            raise _too_much("More is told at once than is listened to")
        self._of_source[source] += 1
        self._of_copy[leg.token] += 1
        try:
            yield self._in_order.setdefault(leg.token, asyncio.Lock())
        finally:
            self._of_source[source] -= 1
            self._of_copy[leg.token] -= 1
            if not self._of_source[source]:
                del self._of_source[source]
            if not self._of_copy[leg.token]:
                del self._of_copy[leg.token], self._in_order[leg.token]

    async def _receive(
        self, leg: Leg, items: list[Any], context: Context, use: UseContext, patience: asyncio.Timeout
    ) -> None:
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
        of_message = FewContexts(use)
        for place, item in enumerate(items):
            if place % _TURN == _TURN - 1:
                await asyncio.sleep(0)
            document = await _read(item, context, of_message)
            if not self._is_taken(kept, registration, origin, document):
                continue
            found = await self._completed(kept, registration, origin, document, use)
            if found is not None:
                told.append(found)
        # Nothing is kept by half.
        patience.reschedule(None)
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


def _no_such_subscription() -> ResourceNotFound:
    return ResourceNotFound(
        "There is no such subscription", hint="This city has ended it; end it too.", where="subscriptionId"
    )


def _too_much(message: str) -> TooManyNotifications:
    return TooManyNotifications(message, hint="Send it again in a few seconds, and fewer at once.")


async def _read(item: Any, context: Context, use: UseContext) -> Document:
    if isinstance(item, dict) and "@context" in item:
        context = await use(item["@context"])
    return read_notified(item, context)
