from __future__ import annotations

import asyncio

import pytest

from cityloom.context.keeping import unpack
from cityloom.context.summaries import Derived, Summaries, WorkedOut
from cityloom.kernel.actor import ANONYMOUS, CITY, InformationClass
from cityloom.ngsild.model import entity, prop, value_of


def a_lamp(number: int, count: int = 0):
    return entity("Streetlight", f"urn:ngsi-ld:Streetlight:{number}", {"count": prop(count)})


async def test_what_is_kept_of_a_type_is_the_same_until_the_entity_changes(broker):
    for number in (2, 1):
        await broker.create(CITY, a_lamp(number))
    await broker.create(CITY, entity("Bench", "urn:ngsi-ld:Bench:1", {}))
    first = broker.kept_of_type(CITY, "Streetlight")
    lamps = [f"urn:ngsi-ld:Streetlight:{number}" for number in (2, 1)]
    assert list(map(unpack, first)) == [broker.raw(CITY, lamp) for lamp in lamps]
    assert broker.first_of_type(CITY, "Streetlight") == broker.find(CITY, lamps[0])
    assert broker.first_of_type(CITY, "Tree") is None
    await broker.append(CITY, lamps[0], a_lamp(2, 5))
    second = broker.kept_of_type(CITY, "Streetlight")
    assert second[0] is not first[0]
    assert second[1] is first[1]


async def test_summaries_read_each_entity_once_and_again_when_it_has_changed(broker):
    read = []

    def summary(document):
        read.append(document["id"][-1])
        return value_of(document, "count")

    summaries = Summaries(broker, "Streetlight", summary)
    assert summaries.all(CITY) == []
    for number in (1, 2):
        await broker.create(CITY, a_lamp(number))
    assert summaries.all(CITY) == [0, 0]
    assert summaries.all(CITY) == [0, 0]
    assert read == ["1", "2"]
    await broker.append(CITY, "urn:ngsi-ld:Streetlight:2", a_lamp(2, 5))
    assert summaries.all(CITY) == [0, 5]
    assert read == ["1", "2", "2"]
    await broker.delete(CITY, "urn:ngsi-ld:Streetlight:1")
    await broker.create(CITY, a_lamp(1, 7))
    assert summaries.all(CITY) == [5, 7]


async def test_summaries_show_each_actor_what_it_may_see(broker):
    summaries = Summaries(broker, "Streetlight", lambda document: document["id"][-1])
    await broker.create(CITY, a_lamp(1))
    await broker.create(CITY, a_lamp(2), information_class=InformationClass.SECURITY)
    assert summaries.all(CITY) == ["1", "2"]
    assert summaries.all(ANONYMOUS) == ["1"]
    await broker.classify(CITY, "urn:ngsi-ld:Streetlight:1", InformationClass.INTERNAL)
    assert summaries.all(ANONYMOUS) == []


async def test_summaries_do_not_keep_what_is_gone_for_ever(broker):
    summaries = Summaries(broker, "Streetlight", lambda document: document["id"])
    lamps = [a_lamp(number) for number in range(1500)]
    await broker.create_many(CITY, lamps)
    assert len(summaries.all(CITY)) == 1500
    await broker.delete_many(CITY, [lamp["id"] for lamp in lamps[1:]])
    assert summaries.all(CITY) == [lamps[0]["id"]]
    assert len(summaries._summaries) == 1


async def test_what_is_read_ahead_is_not_read_again_and_others_have_their_turn(broker, monkeypatch):
    monkeypatch.setattr("cityloom.context.summaries.TURN_SECONDS", -1.0)
    read, turns = [], []
    summaries = Summaries(broker, "Streetlight", lambda document: read.append(document["id"]))
    for number in range(5):
        await broker.create(CITY, a_lamp(number))

    async def somebody_else() -> None:
        for _ in range(5):
            turns.append(len(read))
            await asyncio.sleep(0)

    other = asyncio.create_task(somebody_else())
    await summaries.read()
    await other
    # Between any two of them somebody else was there.
    assert len(read) == 5 and turns == [1, 2, 3, 4, 5]
    summaries.all(CITY)
    await summaries.read()
    assert len(read) == 5
    await broker.append(CITY, "urn:ngsi-ld:Streetlight:2", a_lamp(2, 5))
    await summaries.read()
    assert len(read) == 6


async def test_one_is_found_of_its_type_alone_and_by_whoever_may_see_it(broker):
    summaries = Summaries(broker, "Streetlight", lambda document: document["id"][-1])
    await broker.create(CITY, a_lamp(1), information_class=InformationClass.INTERNAL)
    await broker.create(CITY, entity("Bench", "urn:ngsi-ld:Bench:1", {}))
    assert summaries.find(CITY, "urn:ngsi-ld:Streetlight:1") == "1"
    assert summaries.find(ANONYMOUS, "urn:ngsi-ld:Streetlight:1") is None
    assert summaries.find(CITY, "urn:ngsi-ld:Bench:1") is None


async def test_what_follows_from_types_is_made_anew_once_one_of_them_is_different(broker):
    made = []

    def make(actor):
        made.append(actor.id)
        return len(broker.of_type(actor, "Streetlight"))

    derived = Derived(broker, ("Streetlight", "Bench"), make)
    await broker.create(CITY, a_lamp(1))
    await broker.create(CITY, a_lamp(2), information_class=InformationClass.INTERNAL)
    assert [derived.of(CITY), derived.of(CITY), derived.of(ANONYMOUS), derived.of(ANONYMOUS)] == [2, 2, 1, 1]
    assert made == ["city", "anonymous"]
    # What a visitor may not see changes nothing for a visitor, and what is of other types for nobody.
    await broker.append(CITY, "urn:ngsi-ld:Streetlight:2", a_lamp(2, 5))
    await broker.create(CITY, entity("Tree", "urn:ngsi-ld:Tree:1", {}))
    assert (derived.of(ANONYMOUS), derived.of(CITY)) == (1, 2)
    assert made == ["city", "anonymous", "city"]
    await broker.classify(CITY, "urn:ngsi-ld:Streetlight:1", InformationClass.INTERNAL)
    assert derived.of(ANONYMOUS) == 0
    await broker.delete(CITY, "urn:ngsi-ld:Streetlight:1")
    await broker.create(CITY, a_lamp(1))
    assert (derived.of(CITY), derived.of(ANONYMOUS)) == (2, 1)
    assert derived.of(CITY, "another day") == 2
    assert len(made) == 7


async def test_what_takes_long_is_worked_out_once_for_all_who_wait_and_again_when_it_failed(broker):
    begun = []

    def gather(actor):
        begun.append(actor.id)
        return lambda: 1 / (len(begun) - 1)

    worked_out = WorkedOut(broker, ("Streetlight",), gather)
    with pytest.raises(ZeroDivisionError):
        await worked_out.of(CITY)
    both = await asyncio.gather(worked_out.of(CITY), worked_out.of(CITY))
    assert (both, len(begun)) == ([1.0, 1.0], 2)
    await broker.create(CITY, a_lamp(1))
    assert await worked_out.of(CITY) == 0.5
