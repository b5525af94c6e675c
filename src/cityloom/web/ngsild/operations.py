"""What an operation of the API is, as data: routing, checks and documentation come from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from cityloom.web.ngsild.exchange import Exchange, Reply

Handler = Callable[[Exchange], Awaitable[Reply]]
#: What a request carries; "" is nothing.
Body = Literal[
    "",
    "Entity",
    "EntityFragment",
    "EntityTemporal",
    "Attribute",
    "Entities",
    "EntityIds",
    "Query",
    "Context",
    "EntityMap",
    "Snapshot",
    "SnapshotFragment",
    "CSourceRegistration",
    "CSourceRegistrationFragment",
    "Subscription",
    "SubscriptionFragment",
]
#: What a good answer carries; "" is nothing.
Answer = Literal[
    "",
    "Entity",
    "Entities",
    "EntityTemporal",
    "EntitiesTemporal",
    "EntityIds",
    "EntityTypes",
    "EntityTypeInfo",
    "Attributes",
    "Attribute",
    "Contexts",
    "EntityMap",
    "Snapshot",
    "Context",
    "ContextSourceIdentity",
    "CSourceRegistration",
    "CSourceRegistrations",
    "Subscription",
    "Subscriptions",
]

_ONE_ENTITY = 1_000_000
_BATCH = 8_000_000


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method on one path."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    #: Below /ngsi-ld/v1, variables in braces.
    path: str
    #: The clause of ETSI GS CIM 009 that binds it.
    clause: str
    summary: str
    handler: Handler
    #: Answers in place of `handler` where the tenant has registered sources and `local` is not asked for.
    spread: Handler | None = None
    parameters: frozenset[str] = field(default_factory=frozenset)
    body: Body = ""
    answers: Answer = ""
    #: Statuses of good answers.
    statuses: tuple[int, ...] = (200,)
    #: Whether the answer may be GeoJSON.
    geojson: bool = False
    #: Whether it needs the permission entities:write.
    writes: bool = False
    #: Whether it may be asked about a snapshot (6.3.22).
    in_snapshots: bool = False
    #: Whether the tenant that it names need not be there: writing makes it (4.14).
    makes_tenants: bool = False

    @property
    def largest_body(self) -> int:
        """Bytes."""
        return _BATCH if self.body in ("Entities", "EntityIds") else _ONE_ENTITY

    @property
    def segments(self) -> tuple[str, ...]:
        return tuple(self.path.strip("/").split("/"))
