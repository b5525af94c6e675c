"""Whom an erasure reaches, and whom not."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import msgspec
import pytest

from cityloom.access.accounts import SET_UP, Accounts
from cityloom.access.audit import AuditLog
from cityloom.adapters.memory.accounts import MemoryAccountStore, MemoryAuditStore
from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.adapters.memory.history import MemoryHistory
from cityloom.adapters.memory.keys import MemoryKeys
from cityloom.adapters.memory.reporters import MemoryPhotoStore, MemoryReporterStore
from cityloom.adapters.memory.state_table import MemoryStateTable
from cityloom.context.broker import Broker
from cityloom.kernel.actor import CITY, Actor, InformationClass
from cityloom.kernel.errors import Conflict, NotAllowed, NotFound
from cityloom.kernel.time import WallClock
from cityloom.ngsild.model import entity, prop, rel
from cityloom.people.asking import Asked
from cityloom.people.erasure import Erasure
from cityloom.people.held import Who
from cityloom.people.personal import PersonalType, PersonalTypes
from cityloom.people.ports import ErasureOrder

OFFICER = Actor(
    "officer", "Officer", permissions=frozenset({"people:erase"}), clearance=frozenset(InformationClass)
)
PERSON = "urn:ngsi-ld:Person:7"


@pytest.fixture
async def place():
    broker = Broker(MemoryFeed(), MemoryStateTable(), WallClock())
    await broker.start()
    store, audit, keys = MemoryAccountStore(), AuditLog(MemoryAuditStore()), MemoryKeys()
    accounts = Accounts(store, audit)

    async def remembered() -> None:
        pass

    types = PersonalTypes(
        {
            "Person": PersonalType(frozenset({"name"})),
            "Visit": PersonalType(frozenset({"note"}), subject="of"),
        }
    )
    erasure = Erasure(
        broker, keys, types, MemoryReporterStore(), MemoryPhotoStore(), MemoryHistory(), accounts, store,
        audit, remembered=remembered, alone="a village with one officer",
    )  # fmt: skip
    yield SimpleNamespace(
        broker=broker, accounts=accounts, store=store, keys=keys, erasure=erasure, audit=audit
    )
    await broker.stop()


async def test_the_last_administrator_is_not_erased_and_nothing_is_begun(place):
    made = await place.accounts.create(SET_UP, "anna", roles=["administrator"])
    person = entity("Person", PERSON, {"name": prop("Anna")})
    await place.broker.create(CITY, person)
    admin = msgspec.structs.replace(OFFICER, permissions=OFFICER.permissions | {"accounts:manage"})
    with pytest.raises(Conflict):
        await place.erasure.erase(admin, Who(account="anna", entity=PERSON))
    assert place.keys.orders() == []
    assert place.broker.find(CITY, PERSON)["attrs"]["name"][0]["value"] == "Anna"
    assert place.store.account(made.account_id) is not None


async def test_who_may_erase_people_does_not_rid_the_city_of_its_administrators(place):
    for name in ("anna", "bo"):
        await place.accounts.create(SET_UP, name, roles=["administrator"])
    await place.accounts.create(SET_UP, "cleo", roles=["operator"])
    with pytest.raises(NotAllowed):
        await place.erasure.erase(OFFICER, Who(account="anna"))
    await place.erasure.erase(OFFICER, Who(account="cleo"))
    assert sorted(one.name for one in place.store.accounts()) == ["anna", "bo"]


async def test_an_erasure_that_cannot_be_finished_does_not_keep_the_city_from_starting(place):
    made = await place.accounts.create(SET_UP, "anna", roles=["administrator"])
    at = datetime(2026, 4, 12, tzinfo=UTC).isoformat()
    order = ErasureOrder("erasure:1", at, "officer", "", (), made.account_id)
    place.keys.order(order)
    assert await place.erasure.resume() == 1
    assert place.keys.orders() == [order]
    await place.accounts.create(SET_UP, "bo", roles=["administrator"])
    await place.erasure.resume()
    assert place.keys.orders() == []


async def test_what_two_sides_said_of_what_is_about_a_person_is_erased_with_them(place):
    visit, conflict = "urn:ngsi-ld:Visit:1", "urn:ngsi-ld:EdgeConflict:1"
    await place.broker.create(CITY, entity("Person", PERSON, {"name": prop("Anna")}))
    await place.broker.create(CITY, entity("Visit", visit, {"note": prop("came late"), "of": rel(PERSON)}))
    said = {"kept": prop("came late"), "givenUp": prop("came early"), "entity": rel(visit)}
    await place.broker.create(CITY, entity("EdgeConflict", conflict, {**said, "edge": prop("ship")}))
    done = await place.erasure.erase(OFFICER, Who(entity=PERSON))
    assert done.entities == 3
    assert place.broker.find(CITY, conflict)["attrs"].keys() == {"entity", "edge", "erasedAt"}


async def test_what_one_person_asks_for_a_second_one_confirms(place):
    place.erasure.alone = ""
    await place.broker.create(CITY, entity("Person", PERSON, {"name": prop("Anna")}))
    asked = await place.erasure.erase(OFFICER, Who(entity=PERSON))
    assert isinstance(asked, Asked) and (asked.entities, asked.by) == (1, OFFICER.id)
    assert "name" in place.broker.find(CITY, PERSON)["attrs"] and place.keys.orders() == []
    assert await place.erasure.waiting(OFFICER) == [asked]
    with pytest.raises(NotAllowed, match="does not confirm"):
        await place.erasure.confirm(OFFICER, asked.id)
    nobody = msgspec.structs.replace(OFFICER, id="nobody", permissions=frozenset())
    for act in (
        place.erasure.waiting(nobody),
        *(getattr(place.erasure, name)(nobody, asked.id) for name in ("confirm", "refuse")),
    ):
        with pytest.raises(NotAllowed):
            await act
    second = msgspec.structs.replace(OFFICER, id="second")
    for name in ("confirm", "refuse"):
        with pytest.raises(NotFound):
            await getattr(place.erasure, name)(second, "erasure:none")
    done = await place.erasure.confirm(second, asked.id)
    assert (done.id, done.entities) == (asked.id, 1)
    assert place.broker.find(CITY, PERSON)["attrs"].keys() == {"erasedAt"}
    assert await place.erasure.waiting(OFFICER) == []
    with pytest.raises(NotFound):
        await place.erasure.confirm(second, asked.id)


async def test_what_is_refused_erases_nothing(place):
    place.erasure.alone = ""
    await place.broker.create(CITY, entity("Person", PERSON, {"name": prop("Anna")}))
    asked = await place.erasure.erase(OFFICER, Who(entity=PERSON))
    await place.erasure.refuse(msgspec.structs.replace(OFFICER, id="second"), asked.id)
    assert await place.erasure.waiting(OFFICER) == [] and await place.erasure.resume() == 0
    assert "name" in place.broker.find(CITY, PERSON)["attrs"]


async def test_who_confirms_rids_the_city_of_no_administrator_either(place):
    place.erasure.alone = ""
    for name in ("anna", "bo"):
        await place.accounts.create(SET_UP, name, roles=["administrator"])
    admin = msgspec.structs.replace(OFFICER, id="a", permissions=OFFICER.permissions | {"accounts:manage"})
    asked = await place.erasure.erase(admin, Who(account="anna"))
    with pytest.raises(NotAllowed):
        await place.erasure.confirm(OFFICER, asked.id)
    assert len(list(place.store.accounts())) == 2
