"""Registered sources: kept, checked against each other and against what the city holds, found, let go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cityloom.access.authority import OPEN_ACCESS
from cityloom.access.errors import NotSignedIn
from cityloom.adapters.http.outbound import HttpOutbound
from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.adapters.memory.register import MemoryRegister
from cityloom.adapters.memory.state_table import MemoryStateTable
from cityloom.adapters.network.reach import Reach
from cityloom.context.broker import Broker
from cityloom.federation.sources import Sources
from cityloom.kernel.actor import ANONYMOUS, Actor, InformationClass
from cityloom.kernel.errors import Conflict, NotAllowed
from cityloom.kernel.outbound import AddressNotAllowed
from cityloom.ngsild.contexts import CORE
from cityloom.ngsild.errors import AlreadyExists, BadRequestData, ResourceNotFound
from cityloom.ngsild.model import entity, prop
from cityloom.ngsild.query import EntitySelector
from cityloom.ngsild.registration_parsing import parse_registration
from cityloom.ngsild.source_matching import Sought
from cityloom.ngsild.type_selection import parse_type_selection

READER = Actor(id="reader", permissions=frozenset({"sources:read"}))
CITIZEN = Actor(id="citizen", permissions=frozenset({"entities:read"}))
ROAD = "urn:x:road:1"


class HandClock:
    def __init__(self) -> None:
        self.at = datetime(2026, 4, 10, 10, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


class House:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.register = MemoryRegister()
        self.broker = Broker(MemoryFeed(), MemoryStateTable(), self.clock)
        self.sources = self.again()

    def again(self) -> Sources:
        outbound = HttpOutbound(Reach(None, inside=False))
        return Sources(self.register, self.broker, outbound, self.clock)

    async def add(self, **members) -> str:
        return await self.sources.add(OPEN_ACCESS, registration(**members), tenant="")


def registration(**members):
    usual = {
        "type": "ContextSourceRegistration",
        "endpoint": "https://broker.example/",
        "information": [{"entities": [{"type": "Road"}]}],
    }
    return parse_registration({**usual, **members}, CORE)


def of_road(*names):
    return [{"entities": [{"type": "Road", "id": ROAD}], "propertyNames": list(names)}]


@pytest.fixture
async def house():
    made = House()
    await made.broker.start()
    await made.sources.start()
    yield made
    await made.sources.stop()
    await made.broker.stop()


async def test_add_keeps_a_registration_beyond_a_restart(house):
    identifier = await house.add(description="Roads of the county")
    again = house.again()
    await again.start()
    assert again.get(READER, identifier, tenant="").document["description"] == "Roads of the county"
    assert again.any("") and not again.any("other")
    await again.stop()


async def test_add_refuses_an_id_that_is_taken(house):
    await house.add(id="urn:x:one")
    with pytest.raises(AlreadyExists):
        await house.add(id="urn:x:one")


async def test_add_refuses_addresses_inside(house):
    with pytest.raises(AddressNotAllowed):
        await house.add(endpoint="http://127.0.0.1:9090")
    assert not house.sources.any("")


async def test_writing_takes_the_permission_and_reading_another(house):
    identifier = await house.add()
    for attempt in (
        house.sources.add(READER, registration(), tenant=""),
        house.sources.update(READER, identifier, {}, tenant=""),
        house.sources.remove(READER, identifier, tenant=""),
    ):
        with pytest.raises(NotAllowed):
            await attempt
    with pytest.raises(NotSignedIn):
        house.sources.get(ANONYMOUS, identifier, tenant="")
    with pytest.raises(NotSignedIn):
        house.sources.query(ANONYMOUS, Sought(), tenant="")
    with pytest.raises(NotAllowed):
        house.sources.get(CITIZEN, identifier, tenant="")
    with pytest.raises(NotAllowed):
        house.sources.query(CITIZEN, Sought(), tenant="")


async def test_an_exclusive_registration_leaves_no_room_for_another_owner(house):
    await house.add(mode="exclusive", information=of_road("speed"))
    for mode in ("exclusive", "redirect"):
        with pytest.raises(Conflict):
            await house.add(mode=mode, information=of_road("speed", "lanes"))
    await house.add(mode="exclusive", information=of_road("lanes"))
    await house.add(mode="inclusive", information=of_road("speed"))


async def test_a_proxied_registration_is_refused_where_the_city_holds_the_data(house):
    await house.broker.create(OPEN_ACCESS, entity("Road", ROAD, {"speed": prop(5)}))
    for mode in ("exclusive", "redirect"):
        with pytest.raises(Conflict):
            await house.add(mode=mode, information=of_road("speed"))
        await house.add(mode=mode, information=of_road(mode))


async def test_update_checks_what_comes_out_of_it(house):
    identifier = await house.add(operations=["updateOps"], expiresAt="2026-04-11T00:00:00Z")
    for fragment in ({"mode": "auxiliary"}, {"mode": "exclusive"}, {"expiresAt": "2026-04-01T00:00:00Z"}):
        with pytest.raises(BadRequestData):
            await house.sources.update(OPEN_ACCESS, identifier, fragment, tenant="")
    forever = parse_registration({"expiresAt": None}, CORE, fragment=True)
    await house.sources.update(OPEN_ACCESS, identifier, forever, tenant="")
    assert house.sources.get(READER, identifier, tenant="").expires_at is None


async def test_a_registration_goes_when_its_time_is_over(house):
    gone = []
    house.sources.tell(lambda _tenant, before, after: gone.append((before, after)))
    identifier = await house.add(expiresAt="2026-04-10T11:00:00Z")
    assert house.sources.living("")
    house.clock.at += timedelta(hours=1)
    assert not house.sources.living("")
    with pytest.raises(ResourceNotFound):
        house.sources.get(READER, identifier, tenant="")
    await house.sources.sweep()
    assert not house.sources.any("")
    assert gone[-1][1] is None
    again = house.again()
    await again.start()
    assert not again.any("")
    await again.stop()


async def test_query_finds_by_type_and_leaves_out_what_does_not_match(house):
    identifier = await house.add(
        information=[{"entities": [{"type": "Road"}]}, {"entities": [{"type": "Building"}]}]
    )
    await house.add(information=[{"entities": [{"type": "Lighthouse"}]}])
    wanted = Sought(selectors=(EntitySelector(parse_type_selection("Building")),))
    ((found, places),) = house.sources.query(READER, wanted, tenant="")
    assert (found.id, places) == (identifier, (1,))


async def test_a_registrant_learns_of_nothing_that_they_may_not_see(house):
    """A refusal would tell that it is there, by pattern letter for letter."""
    secret = InformationClass.SECURITY
    await house.broker.create(OPEN_ACCESS, entity("Road", ROAD, {"speed": prop(5)}), information_class=secret)
    engineer = Actor(id="engineer", permissions=frozenset({"sources:register"}))
    pattern = [{"entities": [{"type": "Road", "idPattern": "^urn:x:road:1"}]}]
    for mode, information in (("exclusive", of_road("speed")), ("redirect", pattern)):
        document = registration(mode=mode, information=information)
        identifier = await house.sources.add(engineer, document, tenant="")
        await house.sources.update(engineer, identifier, {"information": information}, tenant="")
        await house.sources.remove(engineer, identifier, tenant="")
