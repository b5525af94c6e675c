"""A small city that lives in memory, with a clock moved by hand and one person of each role."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cityloom.access.roles import ROLES
from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.adapters.memory.state_table import MemoryStateTable
from cityloom.context.broker import Broker
from cityloom.kernel.actor import CITY, Actor, InformationClass
from cityloom.ngsild.model import Document, entity, point, prop


class HandClock:
    """The city's clock, moved by hand."""

    def __init__(self) -> None:
        self.at = datetime(2026, 4, 12, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def pass_by(self, **time: float) -> None:
        self.at += timedelta(**time)


class LivingCity:
    """A broker in memory and who works with it."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.broker = Broker(MemoryFeed(), MemoryStateTable(), self.clock)

    def person(self, *roles: str, name: str = "") -> Actor:
        """Somebody with these roles; the same roles and name give the same person."""
        held = [ROLES[role] for role in roles]
        return Actor(
            id="person:" + "-".join([*roles, name] if name else roles),
            name=name or roles[0].title(),
            roles=frozenset(roles),
            permissions=frozenset().union(*(role.permissions for role in held)),
            clearance=frozenset().union(*(role.clearance for role in held)),
        )

    async def streetlight(
        self,
        number: int,
        information_class: InformationClass | None = None,
        at: tuple[float, float] | None = (10.2, 56.15),
    ) -> str:
        """A street light's id, once it is there."""
        attributes = {"powerState": prop("on")}
        if at is not None:
            attributes["location"] = point(*at)
        light: Document = entity("Streetlight", f"urn:ngsi-ld:Streetlight:{number}", attributes)
        await self.broker.create(CITY, light, information_class=information_class)
        return str(light["id"])


@pytest.fixture
async def living_city():
    city = LivingCity()
    await city.broker.start()
    yield city
    await city.broker.stop()
