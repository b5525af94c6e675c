"""Writing the past over HTTP (ETSI GS CIM 009, 6.18.3.1, 6.19.3.2, 6.20 to 6.22, 6.24)."""

import asyncio

import pytest

ID = "urn:ngsi-ld:Vehicle:1"
PATH = f"/temporal/entities/{ID}"


def at(minute):
    return f"2026-03-01T12:{minute:02}:00Z"


def speeds(*values):
    return [{"type": "Property", "value": value, "observedAt": at(n)} for n, value in enumerate(values)]


@pytest.fixture
async def vehicle(api):
    body = {"id": ID, "type": "Vehicle", "speed": speeds(10, 20, 30)}
    reply = await api.post("/temporal/entities", json=body)
    assert reply.status_code == 201
    assert reply.headers["location"] == f"/ngsi-ld/v1/temporal/entities/{ID}"
    return api


async def shown(api, **parameters):
    reply = await api.get(PATH, params=parameters)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def test_an_evolution_is_begun_and_leaves_the_present_alone(vehicle, problem):
    assert [one["value"] for one in (await shown(vehicle))["speed"]] == [10, 20, 30]
    problem(await vehicle.get(f"/entities/{ID}"), 404, "ResourceNotFound")
    assert (await vehicle.get("/entities?type=Vehicle")).json() == []


async def test_an_evolution_goes_on_with_instances_and_types(vehicle):
    more = {"id": ID, "type": ["Truck"], "speed": [{"value": 25, "observedAt": at(1)}]}
    assert (await vehicle.post("/temporal/entities", json=more)).status_code == 204
    added = {"speed": {"value": 40, "observedAt": at(9)}, "name": "Bus 7"}
    assert (await vehicle.post(f"{PATH}/attrs", json=added)).status_code == 204
    found = await shown(vehicle)
    assert found["type"] == ["Vehicle", "Truck"]
    # One instant has one instance: the later takes its place.
    assert [one["value"] for one in found["speed"]] == [10, 25, 30, 40]
    assert "name" not in found
    (name,) = (await shown(vehicle, timeproperty="modifiedAt"))["name"]
    assert name["value"] == "Bus 7" and "observedAt" not in name


async def test_what_was_written_comes_back_whole(api):
    said = {
        "street": {"type": "LanguageProperty", "languageMap": {"en": "Main Street", "da": "Hovedgaden"}},
        "sight": {"type": "VocabProperty", "vocab": ["monument", "park"]},
        "depths": {"type": "ListProperty", "valueList": [1.5, 2]},
        "route": {"type": "ListRelationship", "objectList": [{"object": "urn:x:1"}, {"object": "urn:x:2"}]},
        "settings": {"type": "JsonProperty", "json": {"a": None}},
        "owner": {"type": "Relationship", "object": "urn:x:3", "objectType": "Person"},
        "area": {"type": "GeoProperty", "value": {"type": "LineString", "coordinates": [[10, 56], [11, 57]]}},
        "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [10, 56]}},
        "speed": {
            "type": "Property",
            "value": 7,
            "unitCode": "KMH",
            "datasetId": "urn:gps",
            "accuracy": {"type": "Property", "value": 0.5, "unitCode": "KMH"},
        },
    }
    body = {"id": ID, "type": "Vehicle"}
    body |= {name: {**one, "observedAt": at(0)} for name, one in said.items()}
    assert (await api.post("/temporal/entities", json=body)).status_code == 201
    found = await shown(api)
    for name, one in said.items():
        (instance,) = found[name]
        assert instance.pop("instanceId").startswith("urn:ngsi-ld:Instance:")
        assert instance == {**one, "observedAt": at(0)}, name


async def test_the_simplified_representation_is_read_as_it_is_shown(api):
    body = {
        "id": ID,
        "type": "Vehicle",
        "speed": {"type": "Property", "values": [[1, at(0)], [2, at(1)]]},
        "owner": {"type": "Relationship", "objects": [["urn:x:1", at(0)]]},
        "street": {"type": "LanguageProperty", "languageMaps": [[{"languageMap": {"en": "Main"}}, at(0)]]},
    }
    assert (await api.post("/temporal/entities", json=body)).status_code == 201
    assert await shown(api, format="temporalValues") == body


async def test_an_instance_is_replaced_and_keeps_its_identifier(vehicle, problem):
    before = (await shown(vehicle, options="sysAttrs"))["speed"][1]
    path = f"{PATH}/attrs/speed/{before['instanceId']}"
    new = {"speed": [{"type": "Property", "value": 99, "observedAt": at(30)}]}
    assert (await vehicle.patch(path, json=new)).status_code == 204
    found = (await shown(vehicle, options="sysAttrs"))["speed"]
    assert [one["value"] for one in found] == [10, 30, 99]
    assert found[2]["instanceId"] == before["instanceId"]
    assert found[2]["createdAt"] == before["createdAt"]
    again = {"type": "Property", "value": 100, "observedAt": at(31)}
    assert (await vehicle.patch(path, json=again)).status_code == 204
    assert [one["value"] for one in (await shown(vehicle))["speed"]] == [10, 30, 100]
    problem(await vehicle.patch(f"{PATH}/attrs/speed/urn:none", json=new), 404, "ResourceNotFound")
    problem(await vehicle.patch(f"{PATH}/attrs/speed/none", json=new), 400, "BadRequestData", "instanceId")


async def test_an_instance_is_deleted(vehicle, problem):
    gone = (await shown(vehicle))["speed"][1]["instanceId"]
    assert (await vehicle.delete(f"{PATH}/attrs/speed/{gone}")).status_code == 204
    assert [one["value"] for one in (await shown(vehicle))["speed"]] == [10, 30]
    problem(await vehicle.delete(f"{PATH}/attrs/speed/{gone}"), 404, "ResourceNotFound", "instanceId")
    problem(await vehicle.delete(f"{PATH}/attrs/fuel/{gone}"), 404, "ResourceNotFound", "attrId")


async def test_an_attribute_is_deleted_by_dataset_or_whole(vehicle, problem):
    raw = [{"value": 1, "datasetId": "urn:raw", "observedAt": at(n)} for n in range(2)]
    assert (await vehicle.post(f"{PATH}/attrs", json={"speed": raw, "fuel": speeds(5)})).status_code == 204
    assert (await vehicle.delete(f"{PATH}/attrs/speed")).status_code == 204
    assert {one["datasetId"] for one in (await shown(vehicle))["speed"]} == {"urn:raw"}
    problem(await vehicle.delete(f"{PATH}/attrs/speed"), 404, "ResourceNotFound", "attrId")
    assert (await vehicle.delete(f"{PATH}/attrs/speed?deleteAll=true")).status_code == 204
    assert set(await shown(vehicle)) == {"id", "type", "fuel"}


async def test_an_evolution_is_deleted_and_may_begin_again(vehicle, problem):
    assert (await vehicle.delete(PATH)).status_code == 204
    problem(await vehicle.get(PATH), 404, "ResourceNotFound")
    problem(await vehicle.delete(PATH), 404, "ResourceNotFound", "entityId")
    problem(await vehicle.post(f"{PATH}/attrs", json={"speed": 1}), 404, "ResourceNotFound", "entityId")
    body = {"id": ID, "type": "Vehicle", "speed": speeds(10)}
    assert (await vehicle.post("/temporal/entities", json=body)).status_code == 201
    assert [one["value"] for one in (await shown(vehicle))["speed"]] == [10]


async def test_a_deletion_in_the_present_is_an_instance_of_the_past(api):
    await api.have({"id": ID, "type": "Vehicle", "scope": "/A", "speed": {"value": 1, "observedAt": at(0)}})
    assert (await api.delete(f"/entities/{ID}/attrs/speed")).status_code == 204
    assert (await api.patch(f"/entities/{ID}", json={"scope": "/B"})).status_code == 204
    (gone,) = (await shown(api, timeproperty="deletedAt"))["speed"]
    assert gone["value"] == "urn:ngsi-ld:null" and gone["deletedAt"].startswith("20")
    found = await shown(api, options="sysAttrs")
    assert [one["value"] for one in found["speed"]] == [1]
    assert [one["value"] for one in found["scope"]] == ["/A", "/B"]
    assert found["scope"][1]["observedAt"] == found["scope"][1]["modifiedAt"]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"id": ID, "speed": 1}, "type"),
        (
            {"id": ID, "type": "Vehicle", "speed": [{"value": 1, "observedAt": "yesterday"}]},
            "speed[0].observedAt",
        ),
        ({"id": ID, "type": "Vehicle", "speed": {"type": "Property", "values": [[1]]}}, "speed.values[0]"),
        ({"id": ID, "type": "Vehicle", "expiresAt": "urn:ngsi-ld:null"}, "expiresAt"),
        ({"id": ID, "type": "Vehicle", "location": {"type": "Property", "value": 1}}, "location"),
        ({"id": ID, "type": "Vehicle", "note": {"value": "x" * 70_000}}, "note"),
    ],
)
async def test_what_is_no_evolution_is_refused_and_nothing_is_kept(api, problem, body, where):
    problem(await api.post("/temporal/entities", json=body), 400, "BadRequestData", where)
    problem(await api.get(PATH), 404, "ResourceNotFound")


async def test_only_who_may_write_writes_the_past(vehicle, problem):
    reader = {"x-test-actor": "reader"}
    body = {"id": ID, "type": "Vehicle", "speed": speeds(1)}
    for method, path in [("POST", "/temporal/entities"), ("POST", f"{PATH}/attrs"), ("DELETE", PATH)]:
        reply = await vehicle.request(method, path, json=body, headers=reader)
        assert reply.status_code == 403, reply.text
    assert [one["value"] for one in (await shown(vehicle))["speed"]] == [10, 20, 30]


async def test_a_past_of_a_class_is_hidden_as_its_entity_would_be(api, problem):
    camera = {"id": "urn:ngsi-ld:Camera:1", "type": "Camera", "angle": speeds(3)}
    assert (await api.post("/temporal/entities", json=camera)).status_code == 201
    path = "/temporal/entities/urn:ngsi-ld:Camera:1"
    assert (await api.get(path)).status_code == 200
    problem(await api.get(path, headers={"x-test-actor": "anonymous"}), 404, "ResourceNotFound")


async def test_a_tenant_may_have_a_past_alone(api, problem):
    tenant = {"NGSILD-Tenant": "old"}
    problem(await api.get(PATH, headers=tenant), 404, "NonexistentTenant")
    body = {"id": ID, "type": "Vehicle", "speed": speeds(1)}
    assert (await api.post("/temporal/entities", json=body, headers=tenant)).status_code == 201
    assert (await api.get(PATH, headers=tenant)).status_code == 200
    problem(await api.get(PATH), 404, "ResourceNotFound")


async def test_of_several_who_begin_an_evolution_at_once_one_does(api):
    bodies = [
        {"id": ID, "type": "Vehicle", "speed": [{"value": n, "observedAt": at(n)}]} for n in range(1, 6)
    ]
    replies = await asyncio.gather(*(api.post("/temporal/entities", json=body) for body in bodies))
    assert sorted(reply.status_code for reply in replies) == [201, 204, 204, 204, 204]
    assert [one["value"] for one in (await shown(api))["speed"]] == [1, 2, 3, 4, 5]


async def test_a_query_by_post_asks_as_one_by_get(vehicle):
    query = {
        "type": "Query",
        "entities": [{"type": "Vehicle"}],
        "q": "speed>25",
        "temporalQ": {"timerel": "after", "timeAt": at(1), "lastN": 1},
    }
    reply = await vehicle.post("/temporal/entityOperations/query", json=query)
    assert reply.status_code == 200, reply.text
    ((one,),) = [found["speed"] for found in reply.json()]
    assert one["value"] == 30
    query |= {"q": "speed>35"}
    assert (await vehicle.post("/temporal/entityOperations/query", json=query)).json() == []
    del query["q"]
    query |= {"temporalQ": {"timerel": "after", "timeAt": at(0)}, "aggrParams": {"aggrMethods": ["max"]}}
    reply = await vehicle.post("/temporal/entityOperations/query", json=query)
    assert reply.json()[0]["speed"]["max"][0][0] == 30


async def test_an_attribute_of_an_entity_that_the_past_alone_has_ends(vehicle, problem):
    body = {"id": ID, "type": "Vehicle", "scope": [{"value": "/a", "observedAt": at(0)}]}
    assert (await vehicle.post("/temporal/entities", json=body)).status_code == 204
    for name, end in (("speed", "urn:ngsi-ld:null"), ("scope", [])):
        assert (await vehicle.delete(f"/entities/{ID}/attrs/{name}")).status_code == 204
        (told,) = (await shown(vehicle, timeproperty="deletedAt"))[name]
        assert told["value"] == end and "observedAt" not in told
        # It has ended; there is nothing to delete any more.
        problem(await vehicle.delete(f"/entities/{ID}/attrs/{name}"), 404, "ResourceNotFound")
    assert [one["value"] for one in (await shown(vehicle))["speed"]] == [10, 20, 30]
    problem(await vehicle.get(f"/entities/{ID}"), 404, "ResourceNotFound")
    for path in (f"/entities/{ID}/attrs/height", "/entities/urn:x:nothing/attrs/speed"):
        problem(await vehicle.delete(path), 404, "ResourceNotFound")


async def test_only_the_datasets_that_are_meant_end(api):
    body = {"id": ID, "type": "Vehicle", "speed": [*speeds(10), {**speeds(20)[0], "datasetId": "urn:x:d"}]}
    assert (await api.post("/temporal/entities", json=body)).status_code == 201
    path = f"/entities/{ID}/attrs/speed"
    assert (await api.delete(path, params={"datasetId": "urn:x:d"})).status_code == 204
    told = (await shown(api, timeproperty="deletedAt"))["speed"]
    assert [one.get("datasetId") for one in told] == ["urn:x:d"]
    assert (await api.delete(path, params={"deleteAll": "true"})).status_code == 204
    told = (await shown(api, timeproperty="deletedAt"))["speed"]
    assert [one.get("datasetId") for one in told] == ["urn:x:d", None]


async def test_nobody_ends_what_they_may_not_see(api, problem):
    camera = {"id": "urn:ngsi-ld:Camera:9", "type": "Camera", "speed": speeds(1)}
    assert (await api.post("/temporal/entities", json=camera)).status_code == 201
    path = f"/entities/{camera['id']}/attrs/speed"
    problem(await api.delete(path, headers={"x-test-actor": "writer"}), 404, "ResourceNotFound")
    assert (await api.delete(path)).status_code == 204


async def test_a_room_s_entity_has_no_past_made_by_others_though_it_says_nothing_yet(api, problem):
    await api.have({"id": "urn:x:alert", "type": "Alert"})
    made = {"id": "urn:x:alert", "type": "Road", "status": [{"type": "Property", "value": "cleared"}]}
    problem(
        await api.post("/temporal/entities", json=made, headers={"x-test-actor": "writer"}), 403, "", "type"
    )
