"""Bad input over HTTP: a clear error that names place and cure, and nothing is changed."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cityloom.access.authority import OPEN_ACCESS
from cityloom.history.temporal import TemporalHistory
from cityloom.kernel.errors import NotReady
from cityloom.kernel.time import WallClock
from cityloom.web.ngsild.application import NgsiLd
from cityloom.web.ngsild.routes import OPERATIONS
from cityloom.web.ngsild.services import Services

LAMP = {"id": "urn:ngsi-ld:Streetlight:1", "type": "Streetlight", "powerState": {"value": "on"}}
JSON = {"content-type": "application/json"}


async def post(api, content, **headers):
    return await api.post("/entities", content=content, headers={**JSON, **headers})


def services_of(api):
    """The rooms behind the API, for a call without HTTP."""
    nothing: Any = None
    return Services(
        broker=api.broker,
        temporal=TemporalHistory(nothing),
        past=nothing,
        remembered=nothing,
        clock=WallClock(),
        federation=api.federation,
        subscriptions=nothing,
        handed_on=nothing,
        snapshots=nothing,
        started=datetime.now(UTC),
    )


async def is_empty(api):
    return (await api.get("/entities?local=true")).json() == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"{'id': 1}",
        b'{"id": "urn:x:1", "type": "A", "x": NaN}',
        b'{"id": "urn:x:1", "type": "A", "x": 1e999}',
        b'{"id": "urn:x:1", "type": "A", "x": ' + b"9" * 5000 + b"}",
        b'{"id": "urn:x:1", "type": "A", "x": "\\ud800"}',
        b'{"id": "urn:x:1", "type": "A", "x": "\xff"}',
        b"\xef\xbb\xbf" + json.dumps(LAMP).encode(),
        b"[" * 100_000,
        json.dumps(LAMP).encode() * 2,
    ],
)
async def test_malformed_json_is_an_invalid_request(api, problem, content):
    said = problem(await post(api, content), 400, "InvalidRequest", "body")
    assert "column" in said["detail"]
    assert await is_empty(api)


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b'{"id": "urn:x:1", "type": "A", "x": 1, "x": 2}', "body"),
        (b'{"id": "urn:x:1", "type": "A", "x": {"value": ' + b"[" * 300 + b"]" * 300 + b"}}", "body"),
        (b'{"id": "urn:x:1", "type": "A", "x": {"value": ' + b"[" * 40 + b"]" * 40 + b"}}", None),
        (b'{"id": "urn:x:1", "type": "A", "x": 9223372036854775808}', "x"),
        (b'{"id": "urn:x:1", "type": "A", "x": 18446744073709551616}', "body"),
        (b'{"id": "urn:x:1", "type": "A", "x": "nul \\u0000"}', "x"),
        (b'{"id": "urn:x:1", "type": "A", "' + b"k" * 900_000 + b'": 1}', None),
        (b'{"id": "no uri", "type": "A"}', "id"),
        (b'{"id": "urn:x:1"}', "type"),
        (b'{"id": "urn:x:1", "type": "A", "x": null}', "x"),
        (b'{"id": "urn:x:1", "type": "A", "x": {"type": "Prop", "value": 1}}', "x.type"),
        (
            b'{"id": "urn:x:1", "type": "A", "x": {"value": 1, "observedAt": "2016-12-31T23:59:60Z"}}',
            "x.observedAt",
        ),
    ],
)
async def test_wrong_data_is_refused_where_it_stands(api, problem, content, where):
    problem(await post(api, content), 400, "BadRequestData", where)
    assert await is_empty(api)


@pytest.mark.parametrize("content", [b"[]", b"5", b'"x"', b"null"])
async def test_bodies_that_are_no_object_are_refused(api, problem, content):
    for media in ("application/json", "application/ld+json"):
        problem(await post(api, content, **{"content-type": media}), 400, "InvalidRequest")


async def test_too_many_attributes_and_positions_are_refused(api, problem):
    many = {**LAMP, **{f"a{number}": number for number in range(10_000)}}
    problem(await api.post("/entities", json=many), 400, "BadRequestData")
    line = {"type": "LineString", "coordinates": [[number / 1e5, 0] for number in range(20_000)]}
    problem(await api.post("/entities", json={**LAMP, "location": line}), 400, "BadRequestData", "location")
    bow = {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1]]]}
    problem(await api.post("/entities", json={**LAMP, "location": bow}), 400, "BadRequestData")
    assert await is_empty(api)


async def test_observations_of_a_wrong_clock_are_refused(api, problem):
    soon = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for at in ("1970-01-01T00:00:00Z", soon):
        body = {**LAMP, "powerState": {"value": "on", "observedAt": at}}
        said = problem(await api.post("/entities", json=body), 400, "BadRequestData", "powerState.observedAt")
        assert "clock" in said["hint"]
        reply = await api.post("/entityOperations/create", json=[body])
        assert reply.json()["errors"][0]["error"]["where"] == "[0].powerState.observedAt"
    forecast = {"value": "on", "observedAt": soon, "datasetId": "urn:ngsi-ld:Dataset:forecast:60"}
    assert (await api.post("/entities", json={**LAMP, "powerState": forecast})).status_code == 201


async def test_bodies_have_a_limit(api, problem):
    large = {**LAMP, "note": "x" * 1_000_000}
    problem(await api.post("/entities", json=large), 413, "")
    problem(await api.post("/entityOperations/create", json=[large] * 8), 413, "")
    batch = [{**large, "id": f"urn:x:{number}"} for number in range(2)]
    assert (await api.post("/entityOperations/create", json=batch)).status_code == 201

    async def drip():
        for _ in range(30):
            yield b"x" * 50_000

    reply = await api.post("/entities", content=drip(), headers=JSON)
    assert (reply.status_code, reply.content) == (411, b"")


async def test_a_body_longer_than_announced_is_cut_short(api):
    """A server in front may be wrong about the length; this counts for itself."""
    pieces = iter([{"type": "http.request", "body": b"x" * 600_000, "more_body": True}] * 10)
    sent = []

    async def receive():
        return next(pieces)

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/ngsi-ld/v1/entities",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"content-length", b"10")],
        "state": {"actor": OPEN_ACCESS},
    }
    await NgsiLd(OPERATIONS, services_of(api))(scope, receive, send)
    assert sent[0]["status"] == 413
    assert len(list(pieces)) == 8


async def test_a_body_needs_its_length(api):
    request = api.build_request("POST", "/entities", headers=JSON)
    request.headers.pop("content-length", None)
    reply = await api.send(request)
    assert (reply.status_code, reply.content) == (411, b"")


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": ""},
        {"content-type": "application/json; charset=iso-8859-1"},
        {"content-type": "application/merge-patch+json"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
async def test_other_media_are_refused(api, headers):
    reply = await api.post("/entities", content=json.dumps(LAMP), headers=headers)
    assert (reply.status_code, reply.content) == (415, b"")
    assert reply.headers["accept-post"] == "application/json, application/ld+json"
    assert await is_empty(api)


async def test_media_types_may_carry_parameters(api):
    reply = await api.post(
        "/entities", content=json.dumps(LAMP), headers={"content-type": 'Application/JSON; charset="UTF-8"'}
    )
    assert reply.status_code == 201


async def test_paths_and_methods_that_are_not_there(api, problem):
    for path in (
        "/",
        "/nothing",
        "/entities/urn:x:1/nothing",
        "/entities/urn:x:1/attrs/a/b",
        "/entityOperations",
    ):
        problem(await api.get(path), 404, "ResourceNotFound")
    reply = await api.delete("/types")
    assert (reply.status_code, reply.headers["allow"]) == (405, "GET, OPTIONS")
    reply = await api.request("OPTIONS", "/entities")
    assert (reply.status_code, reply.headers["allow"]) == (204, "POST, GET, DELETE, OPTIONS")


@pytest.mark.parametrize("identifier", ["%00", "%FF", "urn:x:%ED%A0%80", "%3Cscript%3E", "a" * 3000])
async def test_odd_ids_are_refused(api, problem, identifier):
    for method in ("GET", "DELETE"):
        problem(await api.request(method, f"/entities/{identifier}"), 400, "BadRequestData", "entityId")


async def test_what_cannot_be_done_now_says_when_to_come_back(api, problem, monkeypatch):
    def full() -> None:
        raise NotReady("More arrives than can be stored", hint="Send it again.")

    monkeypatch.setattr(api.broker._committer, "check_room", full)
    reply = await api.post("/entities", json=LAMP)
    problem(reply, 503, "")
    assert int(reply.headers["retry-after"]) >= 1
    assert await is_empty(api)


async def test_defects_are_told_without_their_words(api, problem, monkeypatch, caplog):
    def broken(*_arguments, **_options):
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr(api.broker, "retrieve_text", broken)
    reply = await api.get("/entities/urn:x:1")
    said = problem(reply, 500, "InternalError")
    assert "secret" not in reply.text
    assert said["instance"] == "urn:request:test-request"
    assert "the secret of the house" in caplog.text


@pytest.mark.parametrize("item", [[], {}, {"id": "urn:x:1", "type": "A"}])
async def test_a_batch_of_very_many_entities_is_refused_whole(api, problem, item):
    for operation in ("create", "upsert", "update", "merge"):
        reply = await api.post(f"/entityOperations/{operation}", json=[item] * 10_001)
        assert "several batches" in problem(reply, 413, "")["hint"]
    problem(await api.post("/entityOperations/delete", json=["urn:x:1"] * 10_001), 413, "")
    assert await is_empty(api)


@pytest.mark.parametrize("name", ["attrs", "pick", "omit", "id", "datasetId", "expandValues"])
async def test_lists_of_very_many_names_are_refused(api, problem, name):
    said = ",".join(["urn:x:1"] * 1_001)
    reply = await api.get("/entities", params={"type": "A", name: said})
    assert "more than 1000" in problem(reply, 400, "BadRequestData", name)["detail"]


@pytest.mark.parametrize("name", ["attrs", "pick", "omit", "datasetId", "expandValues"])
async def test_lists_of_very_many_names_in_a_query_body_are_refused(api, problem, name):
    body = {"type": "Query", "entities": [{"type": "A"}], name: ["urn:x:1"] * 50_000}
    problem(await api.post("/entityOperations/query", json=body), 400, "BadRequestData", name)


@pytest.mark.parametrize(
    ("selectors", "status", "name"),
    [
        ([{"type": "A", "id": ["urn:x:1"] * 150}] * 2, 400, "BadRequestData"),
        ([{"type": ",".join("ABC")}] * 100, 403, "TooComplexQuery"),
        ([{"type": "A"}] * 201, 400, "BadRequestData"),
    ],
)
async def test_very_many_selectors_are_refused(api, problem, selectors, status, name):
    body = {"type": "Query", "entities": selectors}
    said = problem(await api.post("/entityOperations/query", json=body), status, name)
    assert said["where"].startswith("entities")


@pytest.mark.parametrize(
    ("parameters", "status", "where"),
    [
        ({"q": "x>1e999"}, 400, "q"),
        ({"q": "x==" + "9" * 400}, 400, "q"),
        ({"q": "(" * 30 + "x" + ")" * 30}, 403, "q"),
        ({"q": "x~=(.)\\1"}, 400, "q"),
        ({"q": "x~=" + "a" * 1_001}, 400, "q"),
        ({"q": ";".join(["x"] * 201)}, 403, "q"),
        ({"idPattern": "(?=a)"}, 400, "idPattern"),
        ({"idPattern": "((a{1,1000}){1,1000}){1,1000}"}, 400, "idPattern"),
        ({"type": ",".join(["A"] * 201)}, 403, "type"),
        ({"type": "((((A))))"}, 400, "type"),
        ({"scopeQ": "((/A))"}, 400, "scopeQ"),
        ({"scopeQ": ",".join(["/A"] * 201)}, 403, "scopeQ"),
        ({"orderBy": "x" + ".x" * 5_000}, 403, "orderBy"),
        ({"orderBy": "x;dist-asc", "orderGeometry": "Point", "orderFrom": "[[10]]"}, 400, "orderFrom"),
        ({"lang": "x" * 9_000}, 400, "lang"),
    ],
)
async def test_queries_beyond_measure_are_refused(api, problem, parameters, status, where):
    reply = await api.get("/entities", params={"type": "A", **parameters})
    problem(reply, status, "TooComplexQuery" if status == 403 else "BadRequestData", where)


@pytest.mark.parametrize(
    ("member", "where"),
    [
        ({"type": [f"T{number}" for number in range(101)]}, "type"),
        ({"scope": [f"/a{number}" for number in range(101)]}, "scope"),
        ({"near": {"object": [f"urn:x:{number}" for number in range(1_001)]}}, "near.object"),
        ({"near": {"objectList": [f"urn:x:{number}" for number in range(1_001)]}}, "near.objectList"),
    ],
)
async def test_an_entity_with_very_many_types_scopes_or_objects_is_refused(api, problem, member, where):
    problem(await api.post("/entities", json=LAMP | member), 400, "BadRequestData", where)
    assert await is_empty(api)
