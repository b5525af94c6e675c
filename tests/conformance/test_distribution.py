"""Distributed operations against sources on the loopback: good ones, and those that nobody should trust."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from cityloom.federation import sharing, view
from cityloom.ngsild.source_matching import describes
from cityloom.web.ngsild import distributed_batches
from loopback_servers import serving

ROAD = "urn:ngsi-ld:Road:1"


class Source:
    """A broker that answers as `replies` says, by method and path; otherwise 404."""

    def __init__(self) -> None:
        self.replies: dict[tuple[str, str], tuple[int, Any]] = {}
        self.hangs = False
        self.headers = b""
        self.address = ""
        self.asked: list[Any] = []

    async def answer(self, request, writer):
        if self.hangs:
            await asyncio.Event().wait()
        path = urlsplit(request.path).path
        status, body = self.replies.get((request.method, path), (404, {}))
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        writer.write(
            b"HTTP/1.1 %d OK\r\ncontent-length: %d\r\n%s\r\n%s"
            % (status, len(content), self.headers, content)
        )
        await writer.drain()
        return True

    def tells(self, entity, status=200):
        self.replies["GET", "/ngsi-ld/v1/entities"] = (status, [entity])
        self.replies["GET", f"/ngsi-ld/v1/entities/{entity['id']}"] = (status, entity)


@pytest.fixture
async def source():
    made = Source()
    async with serving(made.answer) as (address, asked):
        made.address, made.asked = address, asked
        yield made


def road(**attributes):
    return {"id": ROAD, "type": "Road", **attributes}


async def register(api, source, mode="inclusive", names=(), operations=("redirectionOps",), **more):
    info: dict[str, Any] = {"entities": [{"type": "Road", "id": ROAD}]}
    if names:
        info["propertyNames"] = list(names)
    reply = await api.post(
        "/csourceRegistrations",
        json={
            "id": "urn:x:source",
            "type": "ContextSourceRegistration",
            "endpoint": source.address,
            "information": [info],
            "mode": mode,
            "operations": list(operations),
            **more,
        },
    )
    assert reply.status_code == 201, reply.text


async def test_what_is_held_by_a_source_alone_goes_there_and_the_rest_stays_here(api, source):
    await register(api, source, "exclusive", ["speed"])
    source.replies["POST", "/ngsi-ld/v1/entities"] = (201, b"")
    reply = await api.post("/entities", json=road(speed={"value": 50}, lanes={"value": 2}))
    assert reply.status_code == 201
    assert json.loads(source.asked[-1].body) == road(speed={"value": 50})
    here = (await api.get(f"/entities/{ROAD}", params={"local": "true"})).json()
    assert here.keys() == {"id", "type", "lanes"}
    source.tells(road(speed={"type": "Property", "value": 50}))
    both = (await api.get(f"/entities/{ROAD}")).json()
    assert (both["speed"]["value"], both["lanes"]["value"]) == (50, 2)
    # No more is asked for than is registered.
    assert parse_qs(urlsplit(source.asked[-1].path).query)["attrs"] == ["speed"]


@pytest.mark.parametrize(
    ("theirs", "ours", "name"),
    [(404, 404, "ResourceNotFound"), (403, 502, ""), (500, 502, ""), (409, 502, "")],
)
async def test_the_only_part_of_a_write_answers_for_the_whole(api, source, problem, theirs, ours, name):
    await register(api, source, "redirect")
    source.replies["DELETE", f"/ngsi-ld/v1/entities/{ROAD}/attrs/speed"] = (theirs, {})
    problem(await api.delete(f"/entities/{ROAD}/attrs/speed"), ours, name)


async def test_what_nobody_may_do_at_the_source_is_a_conflict(api, source, problem):
    await register(api, source, "redirect", operations=["retrieveOps"])
    problem(await api.post("/entities", json=road(speed={"value": 5})), 409, "Conflict")
    assert source.asked == []


async def test_several_parts_are_told_each(api, source):
    await register(api, source)
    source.replies["POST", "/ngsi-ld/v1/entities"] = (409, {})
    reply = await api.post("/entities", json=road(speed={"value": 5}))
    assert reply.status_code == 207
    told = reply.json()
    assert told["success"] == [ROAD]
    (error,) = told["errors"]
    assert (error["entityId"], error["registrationId"]) == (ROAD, "urn:x:source")
    assert error["error"]["status"] == 409


async def test_an_auxiliary_source_fills_in_and_never_overrides(api, source):
    await api.have(road(speed={"value": 5, "observedAt": "2020-01-01T00:00:00Z"}))
    await register(api, source, "auxiliary", operations=["retrieveOps"])
    newer = {"type": "Property", "value": 9, "observedAt": "2026-01-01T00:00:00Z"}
    source.tells(road(speed=newer, lanes={"type": "Property", "value": 2}))
    told = (await api.get(f"/entities/{ROAD}")).json()
    assert (told["speed"]["value"], told["lanes"]["value"]) == (5, 2)
    await api.patch(f"/entities/{ROAD}/attrs", json={"speed": {"value": 6}})
    assert {request.method for request in source.asked} == {"GET"}


async def test_a_source_that_hangs_costs_its_own_timeout_and_is_warned_of(api, source):
    await api.have(road(speed={"value": 5}))
    await register(api, source, management={"timeout": 50})
    source.hangs = True
    for path in (f"/entities/{ROAD}", "/entities?type=Road"):
        reply = await api.get(path)
        assert reply.status_code == 200
        assert reply.headers["ngsild-warning"].startswith("199 here ")


async def test_a_source_that_breaks_is_left_alone_for_its_cooldown_and_asked_again_where_it_has_none(
    api, source
):
    source.replies["GET", "/ngsi-ld/v1/entities"] = (500, {})
    await register(api, source, management={"cooldown": 600_000})

    async def code() -> str:
        reply = await api.get("/entities", params={"type": "Road"})
        return reply.headers["ngsild-warning"][:3]

    assert [await code(), await code()] == ["299", "199"]
    assert len(source.asked) == 1
    await api.patch("/csourceRegistrations/urn:x:source", json={"management": {"timeout": 5_000}})
    assert [await code(), await code()] == ["299", "299"]
    assert len(source.asked) == 3


@pytest.mark.parametrize(
    ("body", "warning"),
    [
        (b"<html>", "111"),
        ([{"id": "no uri", "type": "Road"}], "111"),
        ([{"id": ROAD, "type": "Road", "speed": {"type": "Property"}}], "111"),
        # Another's Entity, and a type that is not registered: well formed, and none of its business.
        ([{"id": "urn:x:other", "type": "Road", "speed": 5}], ""),
        ([{"id": ROAD, "type": "House", "speed": 5}], ""),
    ],
)
async def test_what_a_source_should_not_say_is_not_taken(api, source, body, warning):
    await register(api, source)
    source.replies["GET", "/ngsi-ld/v1/entities"] = (200, body)
    reply = await api.get("/entities", params={"type": "Road|House"})
    assert reply.json() == []
    assert reply.headers.get("ngsild-warning", "")[:3] == warning


async def test_nothing_goes_out_and_nothing_comes_in_on_a_visitors_behalf(api, source):
    await register(api, source)
    source.tells(road(speed={"type": "Property", "value": 5}))
    visitor = {"x-test-actor": "anonymous"}
    assert (await api.get("/entities", params={"type": "Road"}, headers=visitor)).json() == []
    assert (await api.get(f"/entities/{ROAD}", headers=visitor)).status_code == 404
    assert (await api.get("/types", headers=visitor)).json()["typeList"] == []
    assert source.asked == []
    assert len((await api.get("/entities", params={"type": "Road"})).json()) == 1


async def test_what_the_asker_shows_the_city_is_carried_to_no_other(api, source):
    asked = ["Authorization", "Cookie", "X-Kept"]
    await register(
        api,
        source,
        contextSourceInfo=[{"key": key, "value": "urn:ngsi-ld:request"} for key in asked],
    )
    headers = {"authorization": "Bearer mine", "cookie": "a=b", "x-kept": "yes", "x-other": "no"}
    await api.get(f"/entities/{ROAD}", headers=headers)
    sent = source.asked[-1].headers
    assert sent["x-kept"] == "yes"
    assert not {"authorization", "cookie", "x-other"} & sent.keys()
    assert sent["via"] == "1.1 here"


async def test_a_request_that_comes_around_is_handed_on_no_more(api, source, problem):
    await register(api, source, "redirect")
    around = {"via": "1.1 there, 1.1 here"}
    problem(await api.post("/entities", json=road(speed={"value": 5}), headers=around), 508, "")
    assert (await api.get(f"/entities/{ROAD}", headers=around)).status_code == 404
    assert source.asked == []


async def test_a_batch_is_shared_out(api, source):
    await register(api, source, operations=["createBatch", "queryBatch"])
    source.replies["POST", "/ngsi-ld/v1/entityOperations/create"] = (
        207,
        {"success": [], "errors": [{"entityId": ROAD, "error": {"status": 409}}]},
    )
    other = {"id": "urn:ngsi-ld:House:1", "type": "House", "floors": {"value": 2}}
    reply = await api.post("/entityOperations/create", json=[road(speed={"value": 5}), other])
    assert reply.status_code == 207
    assert sorted(reply.json()["success"]) == [other["id"], ROAD]
    assert reply.json()["errors"][0]["registrationId"] == "urn:x:source"
    assert json.loads(source.asked[-1].body) == [road(speed={"value": 5})]


async def test_types_and_attributes_of_sources_are_told_with_ours(api, source):
    await api.have({"id": "urn:ngsi-ld:House:1", "type": "House", "floors": {"value": 2}})
    await register(api, source, operations=["federationOps"])
    source.replies["GET", "/ngsi-ld/v1/types"] = (200, {"typeList": ["Road", "Harbour"]})
    source.replies["GET", "/ngsi-ld/v1/attributes"] = (200, {"attributeList": ["speed"]})
    # Harbours are not registered.
    assert (await api.get("/types")).json()["typeList"] == ["House", "Road"]
    assert (await api.get("/attributes")).json()["attributeList"] == ["floors", "speed"]


async def test_the_past_is_told_by_sources_that_remember_it(api, source):
    await register(
        api,
        source,
        operations=["retrieveTemporal"],
        observationInterval={"startAt": "2020-01-01T00:00:00Z"},
    )
    instance = {"type": "Property", "value": 5, "observedAt": "2021-01-01T00:00:00Z"}
    source.replies["GET", f"/ngsi-ld/v1/temporal/entities/{ROAD}"] = (200, road(speed=[instance]))
    window = {"timerel": "after", "timeAt": "2020-06-01T00:00:00Z"}
    told = (await api.get(f"/temporal/entities/{ROAD}", params=window)).json()
    assert told["speed"] == [instance]
    before = {"timerel": "before", "timeAt": "2019-06-01T00:00:00Z"}
    assert (await api.get(f"/temporal/entities/{ROAD}", params=before)).status_code == 404


async def test_the_past_is_asked_of_sources_by_post_too(api, source):
    since = {"startAt": "2020-01-01T00:00:00Z"}
    await register(api, source, operations=["queryTemporal"], observationInterval=since)
    instance = {"type": "Property", "value": 5, "observedAt": "2021-01-01T00:00:00Z"}
    source.replies["GET", "/ngsi-ld/v1/temporal/entities"] = (200, [road(speed=[instance])])
    body = {
        "type": "Query",
        "entities": [{"type": "Road"}],
        "attrs": ["speed"],
        "temporalQ": {"timerel": "after", "timeAt": "2020-06-01T00:00:00Z", "lastN": 3},
    }
    told = (await api.post("/temporal/entityOperations/query", json=body)).json()
    assert [one["speed"] for one in told] == [[instance]]
    asked = parse_qs(urlsplit(source.asked[-1].path).query)
    assert asked["timerel"] == ["after"] and asked["timeAt"] == ["2020-06-01T00:00:00Z"]
    assert (asked["lastN"], asked["attrs"], asked["id"]) == (["3"], ["speed"], [ROAD])


PAST = f"/temporal/entities/{ROAD}"
WRITES_TO_THE_PAST = {
    "upsertTemporal": ("POST", "/temporal/entities"),
    "appendAttrsTemporal": ("POST", f"{PAST}/attrs"),
    "deleteTemporal": ("DELETE", PAST),
    "deleteAttrsTemporal": ("DELETE", f"{PAST}/attrs/speed"),
    "updateAttrInstanceTemporal": ("PATCH", f"{PAST}/attrs/speed/urn:x:instance"),
    "deleteAttrInstanceTemporal": ("DELETE", f"{PAST}/attrs/speed/urn:x:instance"),
}


@pytest.mark.parametrize("operation", WRITES_TO_THE_PAST)
async def test_the_past_is_written_where_it_is_held(api, source, problem, operation):
    method, path = WRITES_TO_THE_PAST[operation]
    speed = {"speed": {"type": "Property", "value": 5, "observedAt": "2021-01-01T00:00:00Z"}}
    body = road(**speed) if operation == "upsertTemporal" else speed
    sent = {} if method == "DELETE" else {"json": body}
    await register(api, source, "exclusive", ["speed"], operations=["redirectionOps"])
    if operation != "deleteTemporal":
        problem(await api.request(method, path, **sent), 409, "Conflict")
        assert source.asked == []
    await api.delete("/csourceRegistrations/urn:x:source")
    await register(api, source, "exclusive", ["speed"], operations=[operation])
    source.replies[method, f"/ngsi-ld/v1{path}"] = (204, {})
    reply = await api.request(method, path, **sent)
    assert reply.status_code in (201, 204), reply.text
    (asked,) = source.asked
    assert (asked.method, urlsplit(asked.path).path) == (method, f"/ngsi-ld/v1{path}")
    if sent:
        assert json.loads(asked.body) == body
    # Nothing of it is here.
    assert (await api.get(PAST, params={"local": "true"})).status_code == 404


async def test_a_source_is_given_its_tenant_and_its_own_context(api, source):
    await register(api, source, tenant="harbour", management={"localOnly": True})
    await api.get("/entities", params={"type": "Road", "q": "speed>3"})
    sent = source.asked[-1]
    assert sent.headers["ngsild-tenant"] == "harbour"
    query = parse_qs(urlsplit(sent.path).query)
    assert (query["local"], query["q"], query["id"]) == (["true"], ["speed>3"], [ROAD])
    await api.get("/entities", params={"type": "Road", "q": "speed>3", "splitEntities": "true"})
    assert "q" not in parse_qs(urlsplit(source.asked[-1].path).query)


CAMERA = "urn:ngsi-ld:Camera:1"


async def test_what_is_more_secret_than_a_source_tells_is_never_handed_to_it(api, source):
    """An engineer who may not see cameras registers a source of everything: cameras stay here."""
    camera = {"id": CAMERA, "type": "Camera", "speed": {"value": 1}}
    everything = [{"entities": [{"type": "Camera"}, {"type": "Road"}, {"idPattern": ".*", "type": "Door"}]}]
    for mode in ("inclusive", "redirect"):
        await register(api, source, mode, information=everything, id=f"urn:x:{mode}")
    assert (await api.post("/entities", json=camera)).status_code == 201
    assert (await api.patch(f"/entities/{CAMERA}", json={"speed": {"value": 2}})).status_code == 204
    assert (await api.patch(f"/entities/{CAMERA}/attrs/speed", json={"value": 3})).status_code == 204
    # A type that is open does not open an Entity that is not.
    assert (await api.post(f"/entities/{CAMERA}/attrs", json={"type": "Door", "lanes": 1})).status_code == 204
    assert (await api.post("/entityOperations/update", json=[{**camera, "speed": 4}])).status_code == 204
    other = {**camera, "id": f"{CAMERA}2"}
    assert (await api.post("/entityOperations/create", json=[other])).status_code == 201
    assert (await api.post("/entityOperations/delete", json=[other["id"]])).status_code == 204
    source.tells({"id": CAMERA, "type": "Camera", "speed": {"type": "Property", "value": 9}})
    shown = (await api.get(f"/entities/{CAMERA}")).json()
    assert shown["speed"]["value"] == 4
    (listed,) = (await api.get(f"/entities?type=Camera,Road&id={CAMERA}")).json()
    assert listed["speed"]["value"] == 4
    # Nor may whoever asks tell a source which cameras there are.
    assert not [one for one in source.asked if CAMERA in unquote(one.path)]
    (found,) = [one for one in (await api.get("/entities?type=Camera")).json() if one["id"] == CAMERA]
    assert found["speed"]["value"] == 4
    past = {"type": "Property", "value": 5, "observedAt": "2026-01-01T00:00:00Z"}
    await api.post(f"/temporal/entities/{CAMERA}/attrs", json={"speed": [past]})
    assert (await api.delete(f"/entities/{CAMERA}")).status_code == 204
    # What is remembered of it is as secret as it was, and so is its id in a purge.
    assert (await api.delete(f"/temporal/entities/{CAMERA}/attrs/speed?deleteAll=true")).status_code == 204
    await api.have({**camera, "id": f"{CAMERA}3"})
    assert (await api.delete(f"/entities?type=Camera&id={CAMERA}3")).status_code == 204
    assert not [one for one in source.asked if one.method != "GET"]


async def test_a_snapshot_shows_nobody_what_a_source_has_told_staff(api, source):
    """The city's own Entity is open; what a source adds to it is not."""
    await api.have(road(lanes={"value": 2}), {"id": f"{ROAD}0", "type": "Road", "lanes": {"value": 3}})
    await register(api, source)
    source.tells(road(speed={"type": "Property", "value": 50}))
    query = {"type": "Query", "entities": [{"type": "Road"}]}
    made = await api.post("/snapshots", json={"type": "Snapshot", "snapshotQueries": [query]})
    path = made.headers["location"].removeprefix("/ngsi-ld/v1")
    async with asyncio.timeout(20):
        while (told := (await api.get(path)).json())["snapshotStatus"] == "preparing":
            await asyncio.sleep(0)
    snapshot = {"ngsild-snapshot": told["id"]}
    everything = (await api.get("/entities?type=Road", headers=snapshot)).json()
    assert {one["id"]: sorted(one) for one in everything} == {
        ROAD: ["id", "lanes", "speed", "type"],
        f"{ROAD}0": ["id", "lanes", "type"],
    }
    reply = await api.get("/entities?type=Road", headers={**snapshot, "x-test-actor": "anonymous"})
    assert [one["id"] for one in reply.json()] == [f"{ROAD}0"]


async def test_what_a_source_warns_of_is_passed_on_under_its_name(api, source):
    await register(api, source)
    source.tells(road(speed={"type": "Property", "value": 50}))
    source.headers = (
        b'ngsild-warning: 199 far "Miscellaneous Warning (urn:x:its-own)", 299 far "x", 7 "110"\r\n'
    )
    for path in (f"/entities/{ROAD}", "/entities?type=Road"):
        reply = await api.get(path)
        told = reply.headers["ngsild-warning"]
        assert [one[:9] for one in told.split(", ")] == ["199 here ", "299 here "]
        assert told.count("urn:x:source") == 2 and "far" not in told


async def test_an_entity_of_more_types_than_are_registered_is_found(api, source):
    info = [{"entities": [{"type": "Road", "idPattern": "urn:ngsi-ld:Road:.*"}]}]
    await register(api, source, information=info)
    source.tells(
        {**road(speed={"type": "Property", "value": 50}), "type": ["Road", "Bridge"], "scope": ["/a", "/b"]}
    )
    for path in (f"/entities/{ROAD}", "/entities?type=Road"):
        reply = await api.get(path)
        assert reply.status_code == 200, reply.text
        assert "Bridge" in reply.text


async def test_a_source_of_other_datasets_is_not_asked(api, source):
    await register(api, source, datasetId=["urn:x:dataset:b"])
    for path in (f"/entities/{ROAD}", "/entities?type=Road"):
        mark = "&" if "?" in path else "?"
        await api.get(f"{path}{mark}datasetId=urn:x:dataset:a")
        assert source.asked == []
    await api.get("/entities?type=Road&datasetId=urn:x:dataset:b")
    await api.get("/entities?type=Road")
    assert len(source.asked) == 2


BRIDGES = [{"entities": [{"type": "Bridge"}]}]


def bridge(name):
    return {"id": f"urn:x:{name}", "type": "Bridge", "speed": {"type": "Property", "value": 5}}


async def bridges(api, **headers):
    reply = await api.get("/entities", params={"type": "Bridge"}, headers=headers)
    return reply, [one["id"] for one in reply.json()]


async def map_of_bridges(api, source):
    """One bridge is here, one at the source; what the source tells later is not in the map."""
    await api.have(bridge("here"))
    await register(api, source, operations=["retrieveOps"], information=BRIDGES)
    source.replies["GET", "/ngsi-ld/v1/entities"] = (200, [bridge("there")])
    made = await api.get("/entities", params={"type": "Bridge", "entityMap": "true"})
    assert made.status_code == 201
    assert [one["id"] for one in made.json()] == ["urn:x:here", "urn:x:there"]
    # The answer is made of what was told for the map.
    assert len(source.asked) == 1
    return made.headers["ngsild-entitymap"]


async def test_a_map_names_the_sources_of_what_it_lists_to_those_cleared_for_them(api, source):
    location = (await map_of_bridges(api, source)).removeprefix("/ngsi-ld/v1")
    told = (await api.get(location)).json()["entityMap"]
    assert told == {"urn:x:here": ["@none"], "urn:x:there": ["urn:x:source"]}
    seen = (await api.get(location, headers={"x-test-actor": "anonymous"})).json()["entityMap"]
    assert seen == {"urn:x:here": ["@none"]}


async def test_pages_of_a_map_hold_nothing_that_came_later(api, source):
    location = await map_of_bridges(api, source)
    await api.have(bridge("here-late"))
    source.replies["GET", "/ngsi-ld/v1/entities"] = (200, [bridge("late"), bridge("there")])
    reply, found = await bridges(api, **{"ngsild-entitymap": location})
    assert (reply.status_code, found) == (200, ["urn:x:here", "urn:x:there"])
    source.replies["GET", "/ngsi-ld/v1/entities"] = (200, [])
    await api.delete("/entities/urn:x:here")
    assert (await bridges(api, **{"ngsild-entitymap": location}))[1] == []


async def test_a_map_asks_its_own_sources_alone(api, source):
    await register(api, source, operations=["retrieveOps"], information=BRIDGES)
    source.replies["GET", "/ngsi-ld/v1/entities"] = (200, [])
    await api.have(bridge("here"))
    made = await api.get("/entityMaps", params={"type": "Bridge"})
    assert list(made.json()["entityMap"]) == ["urn:x:here"]
    asked = len(source.asked)
    assert (await bridges(api, **{"ngsild-entitymap": made.headers["ngsild-entitymap"]}))[1] == ["urn:x:here"]
    assert len(source.asked) == asked == 1


@pytest.mark.parametrize(
    ("options", "method", "path"),
    [("update", "PATCH", f"/ngsi-ld/v1/entities/{ROAD}/attrs"), ("", "PUT", f"/ngsi-ld/v1/entities/{ROAD}")],
)
async def test_an_upsert_writes_over_what_a_source_without_batches_has(api, source, options, method, path):
    await register(api, source, "redirect", ["speed"])
    source.replies["POST", "/ngsi-ld/v1/entities"] = (409, {})
    source.replies[method, path] = (204, b"")
    batch = [road(speed={"type": "Property", "value": 7})]
    reply = await api.post(
        "/entityOperations/upsert", params={"options": options} if options else {}, json=batch
    )
    assert reply.status_code == 204, reply.text
    assert [(one.method, one.path) for one in source.asked] == [
        ("POST", "/ngsi-ld/v1/entities"),
        (method, path),
    ]
    assert json.loads(source.asked[-1].body)["speed"]["value"] == 7


@pytest.mark.parametrize(
    ("options", "offered", "method"), [("update", "updateEntity", "PATCH"), ("", "replaceEntity", "PUT")]
)
async def test_an_upsert_goes_to_a_source_that_can_write_over_alone(api, source, options, offered, method):
    await register(api, source, "redirect", ["speed"], operations=[offered])
    path = f"/ngsi-ld/v1/entities/{ROAD}"
    source.replies[method, f"{path}/attrs" if options else path] = (204, b"")
    batch = [road(speed={"type": "Property", "value": 7})]
    parameters = {"options": options} if options else {}
    assert (await api.post("/entityOperations/upsert", params=parameters, json=batch)).status_code == 204
    assert [one.method for one in source.asked] == [method]


async def test_an_upsert_of_what_a_source_cannot_write_over_is_a_failure(api, source):
    await register(api, source, "redirect", ["speed"], operations=["createEntity"])
    source.replies["POST", "/ngsi-ld/v1/entities"] = (409, {})
    batch = [road(speed={"type": "Property", "value": 7})]
    reply = await api.post("/entityOperations/upsert", json=batch)
    assert reply.status_code == 207
    assert reply.json()["errors"][0]["entityId"] == ROAD
    assert len(source.asked) == 1


async def test_an_entity_is_held_against_the_registrations_of_its_own_types_alone(api, source, monkeypatch):
    """A page of a thousand, and thousands of registrations: not each with each."""
    compared = []

    def counted(info, entity_id, types):
        compared.append(entity_id)
        return describes(info, entity_id, types)

    monkeypatch.setattr(view, "describes", counted)
    await api.have(*({"id": f"{ROAD}{n}", "type": "Road", "lanes": {"value": n}} for n in range(10)))
    for number in range(30):
        information = [{"entities": [{"type": f"Other{number}"}]}]
        await register(api, source, "redirect", information=information, id=f"urn:x:other{number}")
    assert len((await api.get("/entities?type=Road")).json()) == 10
    assert compared == []


@pytest.mark.parametrize("body", ["one", "batch"])
async def test_a_source_of_an_earlier_version_is_written_to_in_the_form_of_that_version(api, source, body):
    version = {"key": "ngsildConformance", "value": "1.3"}
    await register(api, source, "redirect", contextSourceInfo=[version])
    source.replies["POST", "/ngsi-ld/v1/entities"] = (201, b"")
    name = {"type": "LanguageProperty", "languageMap": {"en": "Ring"}}
    sent = road(name=name, scope="/Aarhus", speed={"type": "Property", "value": 5, "unitCode": "KMH"})
    if body == "one":
        await api.post("/entities", json=sent)
    else:
        await api.post("/entityOperations/create", json=[sent])
    told = json.loads(next(one.body for one in source.asked if one.method == "POST"))
    told = told[0] if isinstance(told, list) else told
    assert told["name"] == {"type": "Property", "value": {"en": "Ring"}}
    assert told["speed"]["unitCode"] == "KMH"
    assert "scope" not in told


async def test_a_batch_is_held_against_the_registrations_of_its_entities_alone(api, source, monkeypatch):
    """A thousand entities and a thousand registrations are no million comparisons."""
    compared = []

    def counted(info, entity_id, types):
        compared.append(entity_id)
        return describes(info, entity_id, types)

    monkeypatch.setattr(sharing, "describes", counted)
    for number in range(30):
        information = [{"entities": [{"type": f"Other{number}"}, {"type": "Road", "id": f"{ROAD}:{number}"}]}]
        await register(api, source, information=information, id=f"urn:x:other{number}")
    await api.have(*({"id": f"{ROAD}x{n}", "type": "Road", "lanes": {"value": n}} for n in range(30)))
    assert compared == []


async def test_a_batch_that_concerns_too_many_sources_writes_nothing(api, source, problem, monkeypatch):
    monkeypatch.setattr(distributed_batches, "MOST_PAIRS", 5)
    for number in range(3):
        information = [{"entities": [{"type": "Road"}]}]
        await register(api, source, information=information, id=f"urn:x:{number}")
    batch = [{"id": f"{ROAD}x{n}", "type": "Road", "lanes": {"value": n}} for n in range(2)]
    reply = await api.post("/entityOperations/create", json=batch)
    problem(reply, 403, "TooComplexQuery")
    assert source.asked == [] and (await api.get("/entities?type=Road&local=true")).json() == []


TIMED = {"timerel": "after", "timeAt": "2020-01-01T00:00:00Z"}
OVER_TIME = "/ngsi-ld/v1/temporal/entities"


def evolution(entity_id, *days):
    return {
        "id": entity_id,
        "type": "Road",
        "speed": [
            {"type": "Property", "value": day, "observedAt": f"2026-05-{day:02}T00:00:00Z"} for day in days
        ],
    }


async def remembering(api, source, *there):
    """A city that remembers two roads, and a source that remembers others."""
    information = [{"entities": [{"type": "Road"}]}]
    await register(api, source, operations=["queryTemporal"], information=information)
    source.replies["GET", OVER_TIME] = (200, list(there))
    for entity in (evolution("urn:x:1", 1), evolution("urn:x:2", 1)):
        assert (await api.post("/temporal/entities?local=true", json=entity)).status_code == 201


async def test_pages_over_time_are_of_all_and_the_last_instances_are_those_of_all(api, source):
    await remembering(api, source, evolution("urn:x:2", 2, 3), evolution("urn:x:3", 4))
    pages = []
    for offset in (0, 2):
        asked = {"type": "Road", **TIMED, "limit": 2, "offset": offset, "lastN": 2, "count": "true"}
        reply = await api.get("/temporal/entities", params=asked)
        assert reply.headers["ngsild-results-count"] == "3"
        assert ('rel="next"' in reply.headers["link"]) == (offset == 0)
        pages.append(reply.json())
    assert [one["id"] for page in pages for one in page] == ["urn:x:1", "urn:x:2", "urn:x:3"]
    assert [one["value"] for one in pages[0][1]["speed"]] == [2, 3]


async def test_a_map_over_time_names_the_sources_and_its_pages_ask_those_that_know(api, source):
    await remembering(api, source, evolution("urn:x:3", 4))
    made = await api.get("/temporal/entities", params={"type": "Road", **TIMED, "entityMap": "true"})
    assert made.status_code == 201, made.text
    where = made.headers["ngsild-entitymap"]
    shown = (await api.get(where.removeprefix("/ngsi-ld/v1"))).json()["entityMap"]
    assert shown == {"urn:x:1": ["@none"], "urn:x:2": ["@none"], "urn:x:3": ["urn:x:source"]}
    asked = len(source.asked)
    pages = []
    for offset in (0, 2):
        parameters = {"type": "Road", **TIMED, "limit": 2, "offset": offset}
        reply = await api.get("/temporal/entities", params=parameters, headers={"ngsild-entitymap": where})
        assert reply.status_code == 200, reply.text
        pages.append([one["id"] for one in reply.json()])
    assert pages == [["urn:x:1", "urn:x:2"], ["urn:x:3"]]
    (again,) = source.asked[asked:]
    assert parse_qs(urlsplit(again.path).query)["id"] == ["urn:x:3"]


async def test_a_map_over_time_is_made_by_itself_too(api, source):
    await remembering(api, source, evolution("urn:x:3", 4))
    made = await api.get("/temporal/entityMaps", params={"type": "Road", **TIMED})
    assert made.status_code == 201, made.text
    assert made.json()["entityMap"]["urn:x:3"] == ["urn:x:source"]
