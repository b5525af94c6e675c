"""Writing over HTTP (ETSI GS CIM 009, 6.4 to 6.7)."""

import pytest

LAMP = {
    "id": "urn:ngsi-ld:Streetlight:1",
    "type": "Streetlight",
    "powerState": {"type": "Property", "value": "on", "observedAt": "2026-04-12T20:00:00Z"},
    "refDevice": {"type": "Relationship", "object": "urn:ngsi-ld:Device:1"},
}
ID = LAMP["id"]
NULL = "urn:ngsi-ld:null"


async def test_post_entities_creates_and_says_where(api):
    reply = await api.post("/entities", json=LAMP)
    assert (reply.status_code, reply.content) == (201, b"")
    assert reply.headers["location"] == f"/ngsi-ld/v1/entities/{ID}"
    assert await api.entity(ID) == LAMP
    assert (await api.get(str(reply.url.join(reply.headers["location"])))).json() == LAMP


async def test_post_entities_twice_is_a_conflict(api, problem):
    await api.have(LAMP)
    said = problem(await api.post("/entities", json=LAMP), 409, "AlreadyExists", "id")
    assert ID in said["detail"]


async def test_post_entities_takes_a_slash_in_an_id(api):
    identifier = "urn:ngsi-ld:Road:a/b?c=1"
    reply = await api.post("/entities", json={"id": identifier, "type": "Road"})
    assert reply.headers["location"] == "/ngsi-ld/v1/entities/urn:ngsi-ld:Road:a%2Fb%3Fc%3D1"
    assert (await api.get("/entities/urn:ngsi-ld:Road:a%2Fb%3Fc%3D1")).json()["id"] == identifier


async def test_an_entity_whose_id_was_forgotten_is_bad_data(api, problem):
    for method in ("PUT", "PATCH"):
        problem(await api.request(method, "/entities/", json=LAMP), 400, "BadRequestData", "entityId")
    assert (await api.put("/entities", json=LAMP)).status_code == 405


async def test_put_entity_replaces_everything(api):
    await api.have(LAMP)
    reply = await api.put(f"/entities/{ID}", json={"id": ID, "type": "Streetlight", "height": 7})
    assert (reply.status_code, reply.content) == (204, b"")
    assert "content-length" not in reply.headers
    assert await api.entity(ID) == {
        "id": ID,
        "type": "Streetlight",
        "height": {"type": "Property", "value": 7},
    }


async def test_put_entity_keeps_the_type_when_none_is_sent(api):
    await api.have(LAMP)
    assert (await api.put(f"/entities/{ID}", json={"height": 7})).status_code == 204
    assert (await api.entity(ID))["type"] == "Streetlight"


async def test_patch_entity_merges(api):
    await api.have({**LAMP, "address": {"value": {"street": "A", "city": "B"}}, "gone": 1})
    fragment = {"address": {"value": {"street": NULL}}, "gone": NULL, "powerState": {"value": "off"}}
    assert (await api.patch(f"/entities/{ID}", json=fragment)).status_code == 204
    shown = await api.entity(ID)
    assert shown["address"]["value"] == {"city": "B"}
    assert "gone" not in shown
    assert shown["powerState"] == {**LAMP["powerState"], "value": "off"}


async def test_patch_entity_dates_what_had_a_date(api):
    await api.have(LAMP)
    at = "2026-04-12T21:00:00Z"
    reply = await api.patch(
        f"/entities/{ID}", params={"observedAt": at}, json={"powerState": {"value": "off"}}
    )
    assert reply.status_code == 204
    assert (await api.entity(ID))["powerState"]["observedAt"] == at


async def test_patch_entity_takes_merge_patch_as_content_type(api):
    await api.have(LAMP)
    reply = await api.patch(
        f"/entities/{ID}", content=b'{"height":7}', headers={"content-type": "application/merge-patch+json"}
    )
    assert reply.status_code == 204
    assert (await api.entity(ID))["height"]["value"] == 7


async def test_delete_entity_removes_it(api, problem):
    await api.have(LAMP)
    assert (await api.delete(f"/entities/{ID}")).status_code == 204
    problem(await api.get(f"/entities/{ID}"), 404, "ResourceNotFound")
    problem(await api.delete(f"/entities/{ID}"), 404, "ResourceNotFound")


async def test_post_attrs_appends_and_overwrites(api):
    await api.have(LAMP)
    reply = await api.post(f"/entities/{ID}/attrs/", json={"height": 7, "powerState": {"value": "off"}})
    assert reply.status_code == 204
    shown = await api.entity(ID, format="simplified")
    assert (shown["height"], shown["powerState"]) == (7, "off")


async def test_post_attrs_says_what_no_overwrite_left(api):
    await api.have(LAMP)
    reply = await api.post(
        f"/entities/{ID}/attrs", params={"options": "noOverwrite"}, json={"height": 7, "powerState": "off"}
    )
    vocabulary = "https://uri.etsi.org/ngsi-ld/default-context/"
    assert reply.status_code == 207
    assert reply.json()["updated"] == [vocabulary + "height"]
    assert [one["attributeName"] for one in reply.json()["notUpdated"]] == [vocabulary + "powerState"]
    assert (await api.entity(ID, format="simplified"))["powerState"] == "on"


async def test_patch_attrs_updates_deletes_and_adds(api):
    await api.have({**LAMP, "gone": 1})
    reply = await api.patch(
        f"/entities/{ID}/attrs", json={"powerState": {"value": "off"}, "gone": NULL, "new": 1}
    )
    assert reply.status_code == 204
    shown = await api.entity(ID)
    assert shown["powerState"] == {"type": "Property", "value": "off"}
    assert "gone" not in shown and shown["new"]["value"] == 1


async def test_patch_attribute_leaves_what_is_not_given(api):
    await api.have(LAMP)
    reply = await api.patch(f"/entities/{ID}/attrs/powerState", json={"value": "off"})
    assert reply.status_code == 204
    assert (await api.entity(ID))["powerState"] == {**LAMP["powerState"], "value": "off"}


async def test_patch_attribute_reaches_one_instance(api):
    await api.have({**LAMP, "speed": [{"value": 1}, {"value": 2, "datasetId": "urn:d:1"}]})
    reply = await api.patch(f"/entities/{ID}/attrs/speed", json={"value": 3, "datasetId": "urn:d:1"})
    assert reply.status_code == 204
    shown = await api.entity(ID, format="simplified")
    assert shown["speed"] == {"dataset": {"@none": 1, "urn:d:1": 3}}


async def test_put_attribute_replaces_it(api):
    await api.have(LAMP)
    assert (await api.put(f"/entities/{ID}/attrs/powerState", json={"value": "off"})).status_code == 204
    assert (await api.entity(ID))["powerState"] == {"type": "Property", "value": "off"}


async def test_delete_attribute_removes_instances(api, problem):
    await api.have(
        {
            **LAMP,
            "speed": [
                {"value": 1},
                {"value": 2, "datasetId": "urn:d:1"},
                {"value": 3, "datasetId": "urn:d:2"},
            ],
        }
    )
    path = f"/entities/{ID}/attrs/speed"
    assert (await api.delete(path)).status_code == 204
    assert (await api.delete(path, params={"datasetId": "urn:d:1"})).status_code == 204
    assert (await api.entity(ID, format="simplified"))["speed"] == 3
    problem(await api.delete(path), 404, "ResourceNotFound")
    assert (await api.delete(path, params={"deleteAll": "true"})).status_code == 204
    assert "speed" not in await api.entity(ID)
    problem(await api.delete(path, params={"deleteAll": "maybe"}), 400, "BadRequestData", "deleteAll")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "", {"type": "Streetlight"}),
        ("PATCH", "", {"x": 1}),
        ("DELETE", "", None),
        ("POST", "/attrs", {"x": 1}),
        ("PATCH", "/attrs", {"x": 1}),
        ("PATCH", "/attrs/powerState", {"value": 1}),
        ("PUT", "/attrs/powerState", {"value": 1}),
        ("DELETE", "/attrs/powerState", None),
    ],
)
async def test_writing_needs_the_entity_and_its_type(api, problem, method, path, body):
    options = {} if body is None else {"json": body}
    reply = await api.request(method, f"/entities/urn:ngsi-ld:Streetlight:none{path}", **options)
    problem(reply, 404, "ResourceNotFound")
    await api.have(LAMP)
    reply = await api.request(method, f"/entities/{ID}{path}", params={"type": "Road"}, **options)
    problem(reply, 404, "ResourceNotFound", "type")
    reply = await api.request(method, f"/entities/no%20uri{path}", **options)
    problem(reply, 400, "BadRequestData", "entityId")
    assert await api.entity(ID) == LAMP


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_writing_an_attribute_needs_the_attribute(api, problem, method):
    await api.have(LAMP)
    for path in ("absent", "powerState"):
        body = {"value": 1} | ({"datasetId": "urn:d:none"} if path == "powerState" else {})
        problem(await api.request(method, f"/entities/{ID}/attrs/{path}", json=body), 404, "ResourceNotFound")
    for path in ("a%20b", "scope", "%3Cscript%3E"):
        reply = await api.request(method, f"/entities/{ID}/attrs/{path}", json={"value": 1})
        problem(reply, 400, "BadRequestData", "attrId")


async def test_writing_refuses_another_id_in_the_body(api, problem):
    await api.have(LAMP)
    reply = await api.patch(f"/entities/{ID}", json={"id": "urn:ngsi-ld:Streetlight:2"})
    problem(reply, 400, "BadRequestData", "id")


async def test_system_attributes_are_shown_on_demand(api):
    await api.have(LAMP)
    shown = await api.entity(ID, options="sysAttrs")
    assert shown["createdAt"] == shown["modifiedAt"] == shown["powerState"]["createdAt"]
    await api.patch(f"/entities/{ID}/attrs/powerState", json={"value": "off"})
    later = await api.entity(ID, options="sysAttrs")
    assert later["createdAt"] == shown["createdAt"]
    assert later["modifiedAt"] >= shown["modifiedAt"]


# Batches


async def test_batch_create_answers_with_ids(api):
    reply = await api.post("/entityOperations/create", json=[LAMP, {**LAMP, "id": "urn:x:2"}])
    assert (reply.status_code, reply.json()) == (201, [ID, "urn:x:2"])


async def test_batch_create_tells_of_each_entity(api):
    await api.have(LAMP)
    bad = {**LAMP, "id": "urn:x:3", "powerState": {"value": None}}
    reply = await api.post("/entityOperations/create", json=[{**LAMP, "id": "urn:x:2"}, bad, LAMP, 5])
    assert reply.status_code == 207
    said = reply.json()
    assert said["success"] == ["urn:x:2"]
    errors = {one["entityId"]: one["error"] for one in said["errors"]}
    assert errors["urn:x:3"]["where"] == "[1].powerState.value"
    assert errors["urn:x:3"]["type"].endswith("BadRequestData")
    assert errors[ID]["status"] == 409
    assert "[3]" in errors


async def test_batch_upsert_replaces_or_updates(api):
    one = {"id": "urn:x:1", "type": "Road", "a": 1, "b": 1}
    reply = await api.post("/entityOperations/upsert", json=[one])
    assert (reply.status_code, reply.json()) == (201, ["urn:x:1"])
    reply = await api.post(
        "/entityOperations/upsert", params={"options": "update"}, json=[{**one, "a": 2, "c": 3}]
    )
    assert (reply.status_code, reply.content) == (204, b"")
    assert await api.entity("urn:x:1", format="simplified") == {
        "id": "urn:x:1",
        "type": "Road",
        "a": 2,
        "b": 1,
        "c": 3,
    }
    reply = await api.post("/entityOperations/upsert", json=[{"id": "urn:x:1", "type": "Road", "d": 4}])
    assert reply.status_code == 204
    assert await api.entity("urn:x:1", format="simplified") == {"id": "urn:x:1", "type": "Road", "d": 4}


async def test_batch_update_merge_and_delete(api):
    await api.have({"id": "urn:x:1", "type": "Road", "a": {"value": {"x": 1}}})
    for operation in ("update", "merge", "delete"):
        missing = {"id": "urn:x:9", "type": "Road", "a": 1}
        body = ["urn:x:9"] if operation == "delete" else [missing]
        reply = await api.post(f"/entityOperations/{operation}", json=body)
        assert reply.status_code == 207
        assert reply.json()["errors"][0]["error"]["status"] == 404
    reply = await api.post("/entityOperations/merge", json=[{"id": "urn:x:1", "a": {"value": {"y": 2}}}])
    assert reply.status_code == 204
    assert (await api.entity("urn:x:1"))["a"]["value"] == {"x": 1, "y": 2}
    reply = await api.post("/entityOperations/update", json=[{"id": "urn:x:1", "type": "Road", "a": 5}])
    assert reply.status_code == 204
    reply = await api.post(
        "/entityOperations/update",
        params={"options": "noOverwrite"},
        json=[{"id": "urn:x:1", "a": 6, "b": 7}],
    )
    assert reply.status_code == 207
    assert "context/a" in reply.json()["errors"][0]["error"]["detail"]
    shown = await api.entity("urn:x:1", format="simplified")
    assert (shown["a"], shown["b"]) == (5, 7)
    assert (await api.post("/entityOperations/delete", json=["urn:x:1"])).status_code == 204
    assert (await api.get("/entities/urn:x:1")).status_code == 404


@pytest.mark.parametrize("operation", ["create", "upsert", "update", "merge", "delete"])
@pytest.mark.parametrize("body", [[], {}, [None], "x", 5])
async def test_batches_refuse_what_is_no_array_with_content(api, problem, operation, body):
    problem(await api.post(f"/entityOperations/{operation}", json=body), 400, "BadRequestData")


async def test_batches_take_each_entity_with_its_own_context(api):
    body = [
        {"id": "urn:x:1", "type": "Road", "@context": {"Road": "https://a.example/Road"}},
        {"id": "urn:x:2", "type": "Road", "@context": "https://city.example/traffic.jsonld"},
        {"id": "urn:x:3", "type": "Road"},
    ]
    reply = await api.post(
        "/entityOperations/create", json=body, headers={"content-type": "application/ld+json"}
    )
    assert reply.status_code == 207
    assert reply.json()["errors"][0]["entityId"] == "urn:x:3"
    assert (await api.entity("urn:x:1"))["type"] == "https://a.example/Road"
    assert (await api.entity("urn:x:2"))["type"] == "https://traffic.example/Road"
