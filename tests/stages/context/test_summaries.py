from __future__ import annotations

from cityloom.context.keeping import unpack
from cityloom.context.summaries import Summaries
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
