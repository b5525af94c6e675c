"""What is written through NGSI-LD is bound by the data models, as what connectors deliver is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cityloom.kernel.actor import InformationClass
from cityloom.web.site import build

AIR = "urn:ngsi-ld:AirQualityObserved:quay"
OTHER = "urn:ngsi-ld:AirQualityObserved:square"
AT = "2026-04-10T09:00:00Z"
GOOD = {"type": "Property", "value": 40, "unitCode": "GQ", "observedAt": AT}


class Writer:
    """A program that may write entities."""

    def __init__(self, client) -> None:
        self.client = client

    async def __call__(self, method, path, body):
        return await self.client.request(method, f"/ngsi-ld/v1{path}", json=body)

    async def stored(self, entity_id=AIR):
        return (await self.client.get(f"/ngsi-ld/v1/entities/{entity_id}")).json()


@pytest.fixture
async def write(city, reader_class):
    actor = await city.accounts.actor_for_session(await city.session("writer", "administrator"))
    made = await city.accounts.tokens.create(
        actor, "a program", permissions=("entities:write",), clearance=list(InformationClass)
    )
    program = Writer(reader_class(city).client)
    program.client.headers["authorization"] = f"Bearer {made.secret}"
    reply = await program("POST", "/entities", {"id": AIR, "type": "AirQualityObserved", "no2": GOOD})
    assert reply.status_code == 201, reply.text
    return program


def refused(reply, where, word):
    assert reply.status_code == 400, (reply.status_code, reply.text)
    said = reply.json()
    assert said["type"].endswith("/BadRequestData"), said
    assert said["where"] == where and word in said["hint"], said


#: A wrong no2, the field that is named, and a word of the cure.
WRONG = [
    ({**GOOD, "unitCode": "KMH"}, "no2.unitCode", "GQ"),
    ({**GOOD, "unitCode": "furlongs"}, "no2.unitCode", "UN/CEFACT"),
    ({**GOOD, "value": "lots"}, "no2", "GQ"),
    ({**GOOD, "value": "lots", "unitCode": "KMH"}, "no2.unitCode", "GQ"),
    ({**GOOD, "value": -1}, "no2", "from 0"),
    ({"type": "Relationship", "object": "urn:ngsi-ld:Thing:1"}, "no2", "GQ"),
    ({"type": "JsonProperty", "json": {"much": 1}}, "no2", "GQ"),
    ({"type": "ListProperty", "valueList": [1, 2]}, "no2", "GQ"),
    ({**GOOD, "value": 9000, "datasetId": "urn:x:other"}, "no2", "5000"),
]


@pytest.mark.parametrize(("no2", "where", "word"), WRONG)
async def test_no_way_of_writing_takes_what_the_model_refuses(write, no2, where, word):
    before = await write.stored()
    whole = {"id": OTHER, "type": "AirQualityObserved", "no2": no2}
    refused(await write("POST", "/entities", whole), where, word)
    refused(await write("PUT", f"/entities/{AIR}", {"type": "AirQualityObserved", "no2": no2}), where, word)
    for method, path in (
        ("PATCH", f"/entities/{AIR}"),
        ("PATCH", f"/entities/{AIR}/attrs"),
        ("POST", f"/entities/{AIR}/attrs"),
    ):
        refused(await write(method, path, {"no2": no2}), where, word)
    for method in ("PATCH", "PUT"):
        refused(await write(method, f"/entities/{AIR}/attrs/no2", no2), where, word)
    assert await write.stored() == before
    assert (await write.stored(OTHER))["status"] == 404


@pytest.mark.parametrize("operation", ["create", "upsert", "upsert?options=update", "update", "merge"])
async def test_in_a_batch_each_entity_is_refused_by_itself(write, operation):
    good = {"id": AIR, "type": "AirQualityObserved", "no2": {**GOOD, "value": 41}}
    if operation == "create":
        good["id"] = "urn:ngsi-ld:AirQualityObserved:third"
    bad = {"id": OTHER, "type": "AirQualityObserved", "no2": {**GOOD, "unitCode": "KMH"}}
    reply = await write("POST", f"/entityOperations/{operation}", [good, bad])
    assert reply.status_code == 207, reply.text
    assert reply.json()["success"] == [good["id"]]
    (error,) = reply.json()["errors"]
    assert error["entityId"] == OTHER
    assert error["error"]["where"] == "[1].no2.unitCode" and "GQ" in error["error"]["hint"]
    assert (await write.stored(good["id"]))["no2"]["value"] == 41


async def test_numbers_come_into_the_unit_of_the_model_as_those_of_devices_do(write):
    milligrams = {"no2": {"value": 0.05, "unitCode": "GP"}}
    assert (await write("PATCH", f"/entities/{AIR}", milligrams)).status_code == 204
    stored = (await write.stored())["no2"]
    assert (stored["value"], stored["unitCode"]) == (50, "GQ")
    plain = {"id": OTHER, "type": "AirQualityObserved", "no2": {"value": 12}}
    assert (await write("POST", "/entities", plain)).status_code == 201
    assert (await write.stored(OTHER))["no2"]["unitCode"] == "GQ"


async def test_a_unit_alone_does_not_change_what_a_number_says(write):
    refused(await write("PATCH", f"/entities/{AIR}/attrs/no2", {"unitCode": "GP"}), "no2.unitCode", "value")
    same = await write("PATCH", f"/entities/{AIR}/attrs/no2", {"unitCode": "GQ", "observedAt": AT})
    assert same.status_code == 204, same.text


async def test_what_no_model_knows_is_free(write):
    free = {"mood": {"value": "lots", "unitCode": "KMH"}}
    assert (await write("PATCH", f"/entities/{AIR}", free)).status_code == 204
    thing = {"id": "urn:ngsi-ld:Thing:1", "type": "Thing", "no2": {"value": "lots", "unitCode": "KMH"}}
    assert (await write("POST", "/entities", thing)).status_code == 201
    # What takes the place of all that was there is bound by the types it brings alone.
    other = {"type": "Thing", "no2": {"value": "lots"}}
    assert (await write("PUT", f"/entities/{AIR}", other)).status_code == 204


async def test_nulls_words_and_places_pass(write):
    words = {
        "name": {"type": "LanguageProperty", "languageMap": {"en": "Quay", "da": "Kaj"}},
        "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [9, 56]}},
        "refDevice": {"type": "ListRelationship", "objectList": ["urn:ngsi-ld:Device:1"]},
    }
    assert (await write("POST", f"/entities/{AIR}/attrs", words)).status_code == 204
    fragment = {"name": {"languageMap": {"da": "urn:ngsi-ld:null"}}, "no2": "urn:ngsi-ld:null"}
    reply = await write("PATCH", f"/entities/{AIR}", fragment)
    assert reply.status_code == 204, reply.text
    stored = await write.stored()
    assert stored["name"]["languageMap"] == {"en": "Quay"} and "no2" not in stored


async def test_a_city_may_take_anything(write, city, reader_class):
    city.site = build(replace(city.rooms, checks_writes=False))
    anything = Writer(reader_class(city).client)
    anything.client.headers.update(write.client.headers)
    reply = await anything("PATCH", f"/entities/{AIR}", {"no2": {"value": "lots"}})
    assert reply.status_code == 204, reply.text


async def test_under_open_access_anything_is_taken(small_city_class, reader_class):
    city = await small_city_class(frameworks=(), open_access=True).start()
    try:
        write = Writer(reader_class(city).client)
        write.client.headers["host"] = "localhost"
        thing = {"id": AIR, "type": "AirQualityObserved", "no2": {"value": "lots", "unitCode": "KMH"}}
        assert (await write("POST", "/entities", thing)).status_code == 201
    finally:
        await city.stop()
