"""The Context Sources registered here (ETSI GS CIM 009, 5.9, 5.10): kept, found, and let go in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any
from uuid import uuid4

import msgspec

from cityloom.access.authority import require
from cityloom.access.ownership import check_tends
from cityloom.access.quotas import REGISTRATIONS, Quota
from cityloom.context.broker import Broker
from cityloom.context.ports import Register
from cityloom.context.registered import Registered
from cityloom.kernel.actor import Actor
from cityloom.kernel.errors import CityError, Conflict
from cityloom.kernel.outbound import AddressNotAllowed, Outbound
from cityloom.kernel.time import Clock, format_instant, parse_instant
from cityloom.ngsild.errors import AlreadyExists, BadRequestData, ResourceNotFound
from cityloom.ngsild.query import EntityQuery
from cityloom.ngsild.registrations import (
    Registration,
    RegistrationDocument,
    RegistrationInfo,
    compile_registration,
    patched,
)
from cityloom.ngsild.source_matching import (
    Sought,
    context_source_filter,
    describes,
    matching_information,
)
from cityloom.ngsild.type_selection import TypeSelection

_KIND = "registration"
#: How often it is looked for registrations that have expired; until then they are passed over.
SWEEP_S = 1.0

#: The registration before (None: it is new) and after a change (None: it is gone).
Changed = Callable[[str, Registration | None, Registration | None], None]


class _Kept(msgspec.Struct, frozen=True):
    document: RegistrationDocument
    #: Who made it: `Actor.id`; "" in what older versions kept.
    owner: str = ""


class Sources:
    """Lives on the event loop. Writing takes `sources:register`, reading `sources:read`; only who
    registered a source, or may administer, changes and removes its registration."""

    def __init__(
        self,
        register: Register,
        broker: Broker,
        outbound: Outbound,
        clock: Clock,
        quota: Quota = REGISTRATIONS,
    ) -> None:
        self._kept = Registered(register, _KIND, _Kept, quota, lambda one: one.owner)
        self._broker = broker
        self._outbound = outbound
        self._clock = clock
        self._compiled: dict[str, dict[str, Registration]] = {}
        self._told: list[Changed] = []
        self._expiring: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()

    async def start(self) -> None:
        """Load what there is."""
        await self._kept.start()
        for tenant in self._kept.tenants():
            for kept in self._kept.all(tenant):
                self._hold(tenant, compile_registration(kept.document))
        self._expiring = asyncio.create_task(self._let_go(), name="registrations")

    async def stop(self) -> None:
        if self._expiring is not None:
            self._expiring.cancel()
            with suppress(asyncio.CancelledError):
                await self._expiring

    def tell(self, changed: Changed) -> None:
        """Call this after every change, with the tenant and the registration before and after."""
        self._told.append(changed)

    # Registration (5.9)

    async def add(self, actor: Actor, document: RegistrationDocument, *, tenant: str) -> str:
        """Register a source; returns its id (5.9.2).

        Raises BadRequestData, AlreadyExists, Conflict, TooLargeToKeep, OverQuota.
        """
        require(actor, "sources:register")
        now = format_instant(self._clock.now())
        identifier = document.get("id") or f"urn:ngsi-ld:ContextSourceRegistration:{uuid4()}"
        whole = {"id": identifier, **document, "createdAt": now, "modifiedAt": now}
        async with self._changing:
            if self.find(tenant, identifier) is not None:
                raise AlreadyExists(
                    f"There is a registration {identifier} already", hint="Choose another id.", where="id"
                )
            await self._forget_expired(tenant, identifier)
            registration = await self._checked(actor, whole, tenant, endpoint_is_new=True)
            await self._kept.add(tenant, identifier, _Kept(whole, actor.id))
            self._hold(tenant, registration)
        self._tell(tenant, None, registration)
        return identifier

    async def update(
        self, actor: Actor, identifier: str, fragment: RegistrationDocument, *, tenant: str
    ) -> None:
        """Write a fragment over a registration (5.9.3). Raises as `add` does, and ResourceNotFound."""
        require(actor, "sources:register")
        async with self._changing:
            before = self._get(tenant, identifier)
            owner = self._tended(actor, tenant, identifier)
            if fragment.get("id", identifier) != identifier:
                raise BadRequestData("A registration keeps its id", hint="Leave the id out.", where="id")
            whole = patched(before.document, fragment)
            whole["modifiedAt"] = format_instant(self._clock.now())
            registration = await self._checked(actor, whole, tenant, endpoint_is_new="endpoint" in fragment)
            await self._kept.replace(tenant, identifier, _Kept(whole, owner))
            self._hold(tenant, registration)
        self._tell(tenant, before, registration)

    async def remove(self, actor: Actor, identifier: str, *, tenant: str) -> None:
        """Remove a registration (5.9.4). Raises ResourceNotFound, NotAllowed for somebody else's."""
        require(actor, "sources:register")
        async with self._changing:
            before = self._get(tenant, identifier)
            self._tended(actor, tenant, identifier)
            await self._drop(tenant, identifier)
        self._tell(tenant, before, None)

    def check_tends(self, actor: Actor, identifier: str, *, tenant: str) -> None:
        """Whether somebody may change and remove a registration. Raises NotAllowed, ResourceNotFound."""
        require(actor, "sources:register")
        self._get(tenant, identifier)
        self._tended(actor, tenant, identifier)

    def owner_of(self, tenant: str, identifier: str) -> str:
        """Who registered a source: `Actor.id`. Raises ResourceNotFound."""
        return self._kept.get(tenant, identifier).owner

    # Discovery (5.10)

    def __len__(self) -> int:
        """How many are registered, in all tenants."""
        return len(self._kept)

    def tenants(self) -> list[str]:
        """The tenants in which a source is registered."""
        return self._kept.tenants()

    def get(self, actor: Actor, identifier: str, *, tenant: str) -> Registration:
        """A registration (5.10.1). Raises ResourceNotFound."""
        require(actor, "sources:read")
        return self._get(tenant, identifier)

    def query(
        self, actor: Actor, sought: Sought, *, tenant: str
    ) -> list[tuple[Registration, tuple[int, ...]]]:
        """The registrations that match, oldest first, with the places of their information that do."""
        require(actor, "sources:read")
        return self.discover(sought, tenant)

    def discover(self, sought: Sought, tenant: str) -> list[tuple[Registration, tuple[int, ...]]]:
        """What `query` finds, for the house itself."""
        fits = context_source_filter(sought)
        found = []
        for registration in self.living(tenant):
            places = matching_information(registration, sought)
            if places and fits(registration):
                found.append((registration, places))
        return found

    # What is asked on every request

    def any(self, tenant: str) -> bool:
        """Whether the tenant has a registration at all."""
        return bool(self._compiled) and bool(self._compiled.get(tenant))

    def find(self, tenant: str, identifier: str) -> Registration | None:
        """A registration that has not expired, for the house itself."""
        found = self._compiled.get(tenant, {}).get(identifier)
        return None if found is None or _is_over(found, self._clock.now()) else found

    def living(self, tenant: str) -> list[Registration]:
        """The registrations of a tenant that have not expired, oldest first."""
        now = self._clock.now()
        return [
            one
            for one in self._compiled.get(tenant, {}).values()
            if one.expires_at is None or not _is_over(one, now)
        ]

    # Inside

    async def _checked(
        self, actor: Actor, document: RegistrationDocument, tenant: str, *, endpoint_is_new: bool
    ) -> Registration:
        registration = compile_registration(document)
        if _is_over(registration, self._clock.now()):
            raise BadRequestData(
                "The registration has expired already",
                hint="Set expiresAt to a time to come, or leave it out.",
                where="expiresAt",
            )
        if endpoint_is_new:
            self._check_endpoint(registration)
        if registration.mode == "exclusive":
            self._refuse_second_owner(registration, tenant)
        elif registration.mode == "redirect":
            self._refuse_beside_exclusive(registration, tenant)
        if registration.proxied:
            await self._refuse_local_data(actor, registration, tenant)
        return registration

    def _check_endpoint(self, registration: Registration) -> None:
        try:
            self._outbound.check(registration.endpoint)
        except AddressNotAllowed as error:
            error.where = "endpoint"
            raise

    def _refuse_second_owner(self, registration: Registration, tenant: str) -> None:
        for other in self.living(tenant):
            if other.proxied and other.id != registration.id and _overlap(registration, other):
                raise _second(other)

    def _refuse_beside_exclusive(self, registration: Registration, tenant: str) -> None:
        for other in self.living(tenant):
            if other.mode == "exclusive" and other.id != registration.id and _overlap(other, registration):
                raise _second(other)

    async def _refuse_local_data(self, actor: Actor, registration: Registration, tenant: str) -> None:
        """What the registrant may not see is neither told of here nor hidden by the source later."""
        for info in registration.information:
            for query in _queries(info):
                page = await self._broker.search(actor, query, tenant=tenant)
                if page.texts:
                    raise Conflict(
                        "The city itself holds data that would be held by this source alone",
                        hint="Delete them here first, or register the source as inclusive.",
                        where="information",
                    )

    def _tended(self, actor: Actor, tenant: str, identifier: str) -> str:
        """Whose a registration is. Raises NotAllowed for who may not change it."""
        owner = self.owner_of(tenant, identifier)
        check_tends(actor, _KIND, owner)
        return owner

    def _get(self, tenant: str, identifier: str) -> Registration:
        found = self.find(tenant, identifier)
        if found is None:
            raise ResourceNotFound(
                f"There is no registration {identifier[:200]!a}", hint="Look at the list.", where="id"
            )
        return found

    def _hold(self, tenant: str, registration: Registration) -> None:
        self._compiled.setdefault(tenant, {})[registration.id] = registration

    async def _drop(self, tenant: str, identifier: str) -> None:
        await self._kept.remove(tenant, [identifier])
        kept = self._compiled[tenant]
        kept.pop(identifier, None)
        if not kept:
            del self._compiled[tenant]

    def _tell(self, tenant: str, before: Registration | None, after: Registration | None) -> None:
        for told in self._told:
            told(tenant, before, after)

    async def _forget_expired(self, tenant: str, identifier: str) -> None:
        """Make room for a registration whose id one had that has expired and is not swept away yet."""
        if identifier in self._compiled.get(tenant, {}):
            await self._drop(tenant, identifier)

    async def _let_go(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            with suppress(CityError):
                # A full disk keeps them; they are passed over all the same, and it is tried again.
                await self.sweep()

    async def sweep(self) -> None:
        """Remove the registrations that have expired."""
        now = self._clock.now()
        over = [
            (tenant, one)
            for tenant, kept in self._compiled.items()
            for one in kept.values()
            if _is_over(one, now)
        ]
        for tenant, one in over:
            async with self._changing:
                if self._compiled.get(tenant, {}).get(one.id) is not one:
                    continue
                await self._drop(tenant, one.id)
            self._tell(tenant, one, None)


def _is_over(registration: Registration, now: Any) -> bool:
    expires = registration.expires_at
    return expires is not None and parse_instant(expires, where="expiresAt") <= now


def _overlap(exclusive: Registration, other: Registration) -> bool:
    """Whether two registrations speak of the same attributes of the same Entity (4.3.6.3)."""
    for mine in exclusive.information:
        for entity in mine.entities:
            for theirs in other.information:
                if theirs.attributes and theirs.attributes.isdisjoint(mine.attributes):
                    continue
                if describes(theirs, entity.id or "", entity.types):
                    return True
    return False


def _queries(info: RegistrationInfo) -> Iterable[EntityQuery]:
    """Questions to which a local Entity answers that a proxied registration speaks of."""
    attributes = tuple(sorted(info.attributes))
    if not info.entities:
        yield EntityQuery(attrs=attributes, limit=1)
    for one in info.entities:
        types = TypeSelection(tuple((name,) for name in one.types)) if one.types else None
        yield EntityQuery(
            ids=() if one.id is None else (one.id,),
            id_pattern=None if one.id is not None else one.id_pattern,
            type_expression=None if one.id is not None else types,
            attrs=attributes,
            limit=1,
        )


def _second(other: Registration) -> Conflict:
    return Conflict(
        f"The registration {other.id} holds these attributes of this Entity already",
        hint="Register other attributes, or remove that registration.",
        where="information",
    )
