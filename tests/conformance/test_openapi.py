"""The description of the API (OpenAPI 3.1) and the API itself say the same."""

import json
import re
from typing import Any

import jsonschema_rs
import pytest

from cityloom.web.ngsild.routes import OPERATIONS
from cityloom.web.openapi import describe

DOCUMENT = describe(OPERATIONS)
ENTITY = {"id": "urn:x:1", "type": "Road", "speed": {"value": 5, "observedAt": "2026-04-10T11:00:00Z"}}
SINCE = {"timerel": "after", "timeAt": "2020-01-01T00:00:00Z"}
#: It speaks of no type that the tests ask for, so that nobody is asked.
SUBSCRIPTION = {
    "id": "urn:x:subscription1",
    "type": "Subscription",
    "entities": [{"type": "Road"}],
    "notification": {"endpoint": {"uri": "https://receiver.example/notify"}},
}
REGISTRATION = {
    "id": "urn:x:registration",
    "type": "ContextSourceRegistration",
    "endpoint": "http://127.0.0.1:9",
    "information": [{"entities": [{"type": "Lighthouse"}]}],
}

SNAPSHOT = {"type": "Snapshot", "snapshotQueries": [{"type": "Query", "entities": [{"type": "Road"}]}]}


def references(node: Any):
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def test_describe_lists_every_operation_once():
    described = {(method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in item}
    assert described == {(one.method, "/ngsi-ld/v1" + one.path) for one in OPERATIONS}
    names = [one["operationId"] for item in DOCUMENT["paths"].values() for one in item.values()]
    assert len(names) == len(set(names)) == len(OPERATIONS)


def test_describe_refers_to_what_is_there():
    for reference in references(DOCUMENT):
        node: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_describe_names_each_variable_of_a_path():
    for path, item in DOCUMENT["paths"].items():
        for operation in item.values():
            named = {one["name"] for one in operation["parameters"] if one.get("in") == "path"}
            assert named == set(re.findall(r"{(\w+)}", path))


def test_describe_has_schemas_that_are_schemas():
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid(schema), name


async def test_openapi_json_is_served(api):
    address = str(api.base_url).replace("/ngsi-ld/v1/", "/openapi.json")
    reply = await api.get(address)
    assert reply.headers["content-type"] == "application/json"
    assert reply.json() == json.loads(json.dumps(DOCUMENT))


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
async def test_every_operation_answers_as_described(api, operation):
    """With something in the city and a body that fits, the status is one that is described."""
    await api.have(ENTITY)
    await api.post("/csourceRegistrations", json=REGISTRATION)
    await api.post("/subscriptions", json=SUBSCRIPTION)
    await api.post("/csourceSubscriptions", json=SUBSCRIPTION)
    bodies = {
        "Entity": {**ENTITY, "id": "urn:x:1" if operation.method == "PUT" else "urn:x:2"},
        "EntityTemporal": ENTITY,
        "EntityFragment": {"speed": 6},
        "Attribute": {"value": 6},
        "Entities": [ENTITY],
        "EntityIds": ["urn:x:1"],
        "Context": {"@context": {"lamp": "https://lights.example/lamp"}},
        "Snapshot": SNAPSHOT,
        "SnapshotFragment": {"snapshotPriority": 2},
        "EntityMap": {"expiresAt": "2099-01-01T00:00:00Z"},
        "Query": {"type": "Query", "entities": [{"type": "Road"}]},
        "CSourceRegistration": {**REGISTRATION, "id": "urn:x:registration2"},
        "CSourceRegistrationFragment": {"description": "Of the harbour"},
        "Subscription": {**SUBSCRIPTION, "id": "urn:x:subscription2"},
        "SubscriptionFragment": {"description": "Of the harbour"},
    }
    made = await api.get("/entityMaps", params={"type": "Road"})
    await api.post("/snapshots", json={**SNAPSHOT, "id": "urn:x:snapshot"})
    evolution = await api.get("/temporal/entities/urn:x:1", params=SINCE)
    path = operation.path.format(
        entityId="urn:x:1",
        instanceId=evolution.json()["speed"][0]["instanceId"],
        attrId="speed",
        type="Road",
        contextId="none",
        registrationId=REGISTRATION["id"],
        subscriptionId=SUBSCRIPTION["id"],
        entityMapId=made.json()["id"],
        snapshotId="urn:x:snapshot",
    )
    options: dict[str, Any] = {"json": bodies[operation.body]} if operation.body else {}
    searched = path in ("/entities", "/temporal/entities", "/csourceRegistrations", "/entityMaps")
    if searched and operation.method in ("GET", "DELETE"):
        options["params"] = {"type": "Road", **(SINCE if path.startswith("/temporal") else {})}
    if path in ("/temporal/entityOperations/query", "/temporal/entityMaps") and operation.body:
        options["json"] = {**bodies["Query"], "temporalQ": SINCE}
    if path == "/snapshots" and operation.method == "DELETE":
        options["params"] = {"q": "snapshotPriority>1"}
    if path == "/temporal/entityMaps" and operation.method == "GET":
        options["params"] = {"type": "Road", **SINCE}
    reply = await api.request(operation.method, path, **options)
    expected = operation.statuses if operation.path != "/jsonldContexts/{contextId}" else (404,)
    assert reply.status_code in expected, reply.text
    described = DOCUMENT["paths"]["/ngsi-ld/v1" + operation.path][operation.method.lower()]
    content = described["responses"][str(reply.status_code)].get("content", {})
    if not reply.content:
        return
    schema = content[reply.headers["content-type"]]["schema"]
    jsonschema_rs.validate({**schema, "components": DOCUMENT["components"]}, reply.json())
