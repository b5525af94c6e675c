"""The door to other brokers: who is registered, who may be asked on whose behalf, and what they answer."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from urllib.parse import urlsplit

import msgspec

from cityloom.access.quotas import REGISTRATION_SUBSCRIPTIONS, REGISTRATIONS, Quota, counted
from cityloom.context.broker import Broker
from cityloom.context.classes import ClassPolicy
from cityloom.context.ports import Register
from cityloom.context.registered import Registered
from cityloom.federation.model import Health, Origin, Question, Reply, Standing, Wire
from cityloom.federation.peers import Peers
from cityloom.federation.sources import Sources
from cityloom.federation.watching import Actors, Watching
from cityloom.kernel.actor import CITY, InformationClass
from cityloom.kernel.change import DEFAULT_TENANT
from cityloom.kernel.outbound import Outbound
from cityloom.kernel.time import Clock
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.model import Document
from cityloom.ngsild.operation_names import TEMPORAL_NAMES
from cityloom.ngsild.q_matching import compile_q
from cityloom.ngsild.registrations import Registration
from cityloom.ngsild.source_matching import as_document
from cityloom.subscriptions.ports import Publisher
from cityloom.subscriptions.sending import Sender


class _Alias(msgspec.Struct, frozen=True):
    alias: str


class Federation:
    """Lives on the event loop.

    What a source tells is of the class `internal`, and its registration is used for nobody who is not
    cleared for that; what comes from an address that begins with one of `open_to` is open. What it tells of
    types that the city's classes call more secret is of their class.
    """

    def __init__(
        self,
        register: Register,
        broker: Broker,
        outbound: Outbound,
        clock: Clock,
        *,
        wall: Clock | None = None,
        alias: str = "",
        open_to: Sequence[str] = (),
        classes: ClassPolicy | None = None,
        publisher: Publisher,
        actors: Actors,
        registrations: Quota = REGISTRATIONS,
        registration_subscriptions: Quota = REGISTRATION_SUBSCRIPTIONS,
    ) -> None:
        """Entities expire by `clock`, the city's; registrations end and sources fail by `wall`, the time that
        other systems live in too. `publisher` and `actors` are as subscriptions need them. `alias` is this
        city's name among Context Sources (5.2.40); empty: one is made, once."""
        wall = wall or clock
        self.sources = Sources(register, broker, outbound, wall, registrations)
        self.peers = Peers(outbound, wall)
        sender = Sender(outbound, publisher)
        self.watching = Watching(register, self.sources, sender, actors, wall, registration_subscriptions)
        self.broker = broker
        self._clock = clock
        self._aliases = Registered(register, "alias", _Alias, counted(1), lambda _: CITY.id)
        self._alias = alias
        self._open_to = tuple(map(_with_path, open_to))
        self._class_at = lru_cache(1_024)(self._class_of_address)
        self._classes = classes or ClassPolicy()
        self.sources.tell(self._changed)

    async def start(self) -> None:
        """Load what is registered, and the name under which others know this city."""
        if not self._alias:
            await self._aliases.start()
            kept = self._aliases.find(DEFAULT_TENANT, "alias")
            if kept is None:
                kept = _Alias(f"cityloom-{secrets.token_hex(6)}")
                await self._aliases.add(DEFAULT_TENANT, "alias", kept)
            self._alias = kept.alias
        await self.sources.start()
        await self.watching.start()

    async def stop(self) -> None:
        await self.watching.stop()
        await self.sources.stop()

    def now(self) -> datetime:
        """The city's time."""
        return self._clock.now()

    def alias_for(self, tenant: str) -> str:
        """The pseudonym of a tenant of this city (5.2.40)."""
        return f"{self._alias}-{tenant}" if tenant else self._alias

    def any(self, tenant: str) -> bool:
        """Whether a tenant has registered sources at all. Asked on every request."""
        return self.sources.any(tenant)

    def health(self) -> list[Health]:
        """How all sources are doing, for staff: without what opens them."""
        return [
            Health(tenant, one, self.standing(tenant, one), self.sources.owner_of(tenant, one.id))
            for tenant in self.sources.tenants()
            for one in self.sources.living(tenant)
        ]

    def standing(self, tenant: str, registration: Registration) -> Standing:
        """How a registration has fared since the city began."""
        return self.peers.standing(tenant, registration.id)

    def came_around(self, origin: Origin) -> bool:
        """Whether a request has been here before: it is not handed on again (4.3.6.4)."""
        return self.alias_for(origin.tenant) in origin.via

    def usable(self, origin: Origin, operations: Iterable[str], *, timed: bool = False) -> list[Registration]:
        """The registrations that may be used for a request and offer one of the operations; `timed` are
        those of sources that tell of the past, the others those that tell of now (5.9.1)."""
        wanted = frozenset(operations)
        return self._usable(origin, lambda one: not wanted.isdisjoint(one.operations), timed=timed)

    def proxied(self, origin: Origin) -> list[Registration]:
        """Those that may be used for a request whose sources alone hold what they register (4.3.6.3)."""
        return self._usable(origin, lambda one: one.proxied)

    def about(self, origin: Origin, entity_id: str) -> list[Registration]:
        """Those that may be used for a request and do not speak of other Entities alone, whatever they offer;
        those too through which the request has come already."""

        def may_speak_of_it(one: Registration) -> bool:
            return any(
                not info.entities or any(entity.id in (None, entity_id) for entity in info.entities)
                for info in one.information
            )

        return self._usable(origin, may_speak_of_it, looping=True)

    def candidates(self, origin: Origin, *, looping: bool = False) -> list[Registration]:
        """The registrations that may be used for a request, whatever they offer, oldest first; with
        `looping` those too through which the request has come already."""
        return self._usable(origin, None, looping=looping)

    def _usable(
        self,
        origin: Origin,
        first: Callable[[Registration], bool] | None,
        *,
        timed: bool = False,
        looping: bool = False,
    ) -> list[Registration]:
        """Each device of an IoT agent may have one, so what leaves most of them out is asked `first`."""
        fits = None if origin.csf is None else compile_q(origin.csf)
        return [
            one
            for one in self.sources.living(origin.tenant)
            if (first is None or first(one))
            and (_tells_of_the_past(one) if timed else not one.is_timed)
            and self._may_be_asked(origin, one, looping=looping)
            and (fits is None or fits(as_document(one)))
        ]

    def may_be_subscribed_to(self, origin: Origin, registration: Registration) -> bool:
        """Whether a source may be told of a subscription, and tells of what is now (5.8.1.4)."""
        fits = None if origin.csf is None else compile_q(origin.csf)
        return (
            registration.mode != "auxiliary"
            and "createSubscription" in registration.operations
            and not registration.is_timed
            and not self.came_around(origin)
            and self._may_be_asked(origin, registration)
            and (fits is None or fits(as_document(registration)))
        )

    def class_of(self, registration: Registration) -> InformationClass:
        """The least secret class of what a source tells."""
        return self._class_at(registration.document["endpoint"])

    def _class_of_address(self, endpoint: str) -> InformationClass:
        is_open = any(f"{endpoint}/".startswith(prefix) for prefix in self._open_to)
        return InformationClass.OPEN if is_open else InformationClass.INTERNAL

    def may_be_told(
        self,
        origin: Origin,
        registrations: Iterable[Registration],
        entity_id: str,
        types: Iterable[str],
        remembered: InformationClass = InformationClass.OPEN,
    ) -> list[Registration]:
        """The registrations whose sources may learn of an Entity: it is no more secret than what they tell.

        `remembered` is the class of what history has of it, where that is what is asked about.

        Whoever registers a source sees to it where things go; they must not go to where the registrant may
        not look.
        """
        secrecy = max(self._classes.class_for(types), self.class_here(origin, entity_id), remembered)
        return [one for one in registrations if self.class_of(one) >= secrecy]

    def covers(self, origin: Origin, registration: Registration, entity_id: str) -> bool:
        """Whether a source may hold what the city has of an Entity alone: not of one that is more secret."""
        return self.class_of(registration) >= self.class_here(origin, entity_id)

    def may_be_shown(self, origin: Origin, registration: Registration, document: Document) -> bool:
        """Whether the asker is cleared for what a source tells of an Entity."""
        return origin.actor.sees(self.class_told(registration, document))

    def class_told(self, registration: Registration, document: Document) -> InformationClass:
        """The class of what a source tells of an Entity."""
        return max(self._classes.class_for(document["type"]), self.class_of(registration))

    def class_here(self, origin: Origin, entity_id: str) -> InformationClass:
        """The class of an Entity of the city; open where the asker sees none."""
        try:
            return self.broker.class_of(origin.actor, entity_id, tenant=origin.tenant)
        except ResourceNotFound:
            return InformationClass.OPEN

    async def ask(self, asked: Iterable[tuple[Registration, Question, Wire]], origin: Origin) -> list[Reply]:
        """The answers of several sources, asked at the same time, in the order given."""
        return await self.peers.ask_all(asked, origin, self.alias_for(origin.tenant))

    def _may_be_asked(self, origin: Origin, registration: Registration, *, looping: bool = False) -> bool:
        has_passed = registration.alias is not None and registration.alias in origin.via
        return (looping or not has_passed) and origin.actor.sees(self.class_of(registration))

    def _changed(self, tenant: str, before: Registration | None, after: Registration | None) -> None:
        if before is not None:
            self.peers.forget(tenant, before.id, for_good=after is None)


def _with_path(beginning: str) -> str:
    """A host alone is that host, and no longer name that begins with it; one with a colon, all its ports."""
    parts = urlsplit(beginning)
    return beginning if parts.path or parts.netloc.endswith(":") else f"{beginning}/"


def _tells_of_the_past(registration: Registration) -> bool:
    """Whether a source can be asked over time: it names the time of which it tells, or the operations."""
    return registration.is_timed or not TEMPORAL_NAMES.isdisjoint(registration.operations)
