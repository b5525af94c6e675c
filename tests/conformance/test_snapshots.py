"""Snapshots over HTTP (ETSI GS CIM 009, 4.3.7, 5.5.15, 5.16, 6.3.22, 6.36 to 6.38)."""

import asyncio

import orjson
import pytest

from cityloom.access.authority import OPEN_ACCESS
from cityloom.access.quotas import OfSnapshots, Quotas
from cityloom.kernel.actor import InformationClass
from cityloom.snapshots import telling, world
from loopback_servers import serving, well

PAST = {"timerel": "after", "timeAt": "2026-01-01T00:00:00Z"}
CARS = {"type": "Query", "entities": [{"type": "Car"}]}


def car(number, speed=50):
    return {"id": f"urn:ngsi-ld:Car:{number}", "type": "Car", "speed": {"type": "Property", "value": speed}}


async def take(api, *queries, **members):
    reply = await api.post(
        "/snapshots", json={"type": "Snapshot", "snapshotQueries": list(queries), **members}
    )
    assert reply.status_code == 201, reply.text
    return await ready(api, reply.headers["location"])


async def ready(api, location):
    async with asyncio.timeout(20):
        while True:
            reply = await api.get(location.removeprefix("/ngsi-ld/v1"))
            assert reply.status_code == 200, reply.text
            if reply.json()["snapshotStatus"] != "preparing":
                return reply.json()


async def seen(api, snapshot, path="/entities?type=Car", **headers):
    return await api.get(path, headers={"ngsild-snapshot": snapshot["id"], **headers})


async def test_a_snapshot_stays_as_it_was(api):
    await api.have(car(1, 80), car(2, 30))
    made = await take(api, {**CARS, "q": "speed>50"})
    assert (made["snapshotStatus"], made["snapshotPriority"]) == ("success", 5)
    assert made["snapshotQueriesDetails"] == [{"resultStatus": "success"}]
    assert made["createdAt"] < made["expiresAt"]
    await api.patch("/entities/urn:ngsi-ld:Car:1/attrs", json={"speed": 0})
    reply = await seen(api, made)
    assert [one["speed"]["value"] for one in reply.json()] == [80]
    assert reply.headers["ngsild-snapshot"] == made["id"]
    await api.delete("/entities/urn:ngsi-ld:Car:1")
    assert (await seen(api, made, "/entities/urn:ngsi-ld:Car:1")).json()["speed"]["value"] == 80
    assert (await seen(api, made, "/entities/urn:ngsi-ld:Car:2")).status_code == 404


async def test_how_it_went_is_told_for_each_query(api):
    await api.have(car(1))
    made = await take(api, CARS, {**CARS, "q": "speed>99"}, {**CARS, "q": "(("})
    assert made["snapshotStatus"] == "partial"
    assert [one["resultStatus"] for one in made["snapshotQueriesDetails"]] == ["success", "empty", "failure"]
    assert "hint" in made["snapshotQueriesDetails"][2]["problemDetails"]
    made = await take(api, {**CARS, "q": "speed>99"})
    assert made["snapshotStatus"] == "empty"
    averages = {**CARS, "temporalQ": PAST, "aggrParams": {"aggrMethods": ["avg"]}}
    made = await take(api, {**CARS, "q": "(("}, snapshotTemporalQueries=[averages])
    assert made["snapshotStatus"] == "failure"
    assert made["snapshotTemporalQueriesDetails"][0]["problemDetails"]["where"] == "aggrParams"


async def test_snapshots_are_changed_cloned_and_deleted(api, problem):
    await api.have(car(1))
    made = await take(api, CARS)
    path = f"/snapshots/{made['id']}"
    changed = await api.patch(path, json={"snapshotPriority": 2, "snapshotLifetime": "PT10M"})
    assert (changed.status_code, changed.json()["snapshotPriority"]) == (200, 2)
    assert changed.json()["expiresAt"] < made["expiresAt"]
    problem(await api.patch(path, json={"snapshotQueries": []}), 400, "BadRequestData", "snapshotQueries")
    cloned = await api.post(f"{path}/clone", json={"type": "Snapshot", "snapshotPriority": 9})
    clone = await ready(api, cloned.headers["location"])
    assert (await api.delete("/snapshots", params={"q": "snapshotPriority<5"})).status_code == 204
    problem(await api.get(path), 404, "ResourceNotFound")
    assert len((await seen(api, clone)).json()) == 1
    assert (await api.delete(f"/snapshots/{clone['id']}")).status_code == 204
    problem(await seen(api, clone), 404, "ResourceNotFound")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"type": "Snapshot"}, "snapshotQueries"),
        ({"type": "Snapshot", "snapshotQueries": []}, "snapshotQueries"),
        ({"type": "Snapshot", "snapshotQueries": [{"type": "Other"}]}, "type"),
        ({"type": "Snapshot", "snapshotQueries": [CARS], "snapshotPriority": 11}, "snapshotPriority"),
        ({"type": "Snapshot", "snapshotQueries": [CARS], "snapshotLifetime": "1h"}, "snapshotLifetime"),
        ({"type": "Snapshot", "snapshotQueries": [CARS], "endpoint": "ftp://x.example"}, "endpoint"),
        ({"type": "Snapshot", "snapshotQueries": [CARS], "receiverInfo": []}, "endpoint"),
        ({"type": "Snapshot", "snapshotQueries": [{**CARS, "temporalQ": PAST}]}, "temporalQ"),
        ({"type": "Snapshot", "snapshotTemporalQueries": [CARS]}, "temporalQ"),
        ({"type": "Snapshot", "snapshotQueries": [CARS], "id": "no uri"}, "id"),
        ({"type": "Car"}, "type"),
    ],
)
async def test_what_is_no_snapshot_is_refused(api, problem, body, where):
    problem(await api.post("/snapshots", json=body), 400, "BadRequestData", where)


async def test_wrong_requests_are_refused(api, problem):
    made = await take(api, CARS)
    problem(await api.post("/snapshots", json={**_of(made), "id": made["id"]}), 409, "AlreadyExists")
    problem(await api.delete("/snapshots"), 400, "BadRequestData", "q")
    problem(await api.delete("/snapshots", params={"q": "speed>5"}), 400, "BadRequestData", "q")
    watching = {"ngsild-snapshot": made["id"]}
    problem(await api.get("/csourceRegistrations", headers=watching), 422, "OperationNotSupported")
    problem(await seen(api, {"id": "urn:x:absent"}), 404, "ResourceNotFound")
    other = await seen(api, made, **{"ngsild-tenant": "other"})
    problem(other, 404, "NonexistentTenant")


def _of(made):
    return {"type": "Snapshot", "snapshotQueries": made["snapshotQueries"]}


async def test_nobody_sees_in_a_snapshot_what_they_may_not_see_now(api):
    await api.have(car(1), car(2), {"id": "urn:ngsi-ld:Camera:1", "type": "Camera", "speed": 1})
    made = await take(api, {"type": "Query", "q": "speed>0"})
    visitor = {"x-test-actor": "anonymous"}
    everything = "/entities?q=speed>0"
    assert len((await seen(api, made, everything)).json()) == 3
    assert len((await seen(api, made, everything, **visitor)).json()) == 2
    await api.broker.classify(OPEN_ACCESS, "urn:ngsi-ld:Car:2", InformationClass.SECURITY)
    assert [one["id"] for one in (await seen(api, made, everything, **visitor)).json()] == [car(1)["id"]]
    assert len((await seen(api, made, everything)).json()) == 3


@pytest.mark.parametrize("quotas", [Quotas(snapshots=OfSnapshots(each=2))])
async def test_the_least_important_snapshot_makes_room(api, problem, quotas):
    kept = await take(api, CARS, snapshotPriority=9)
    given_up = await take(api, CARS, snapshotPriority=3)
    await take(api, CARS, snapshotPriority=9)
    problem(await api.get(f"/snapshots/{given_up['id']}"), 404, "ResourceNotFound")
    assert (await api.get(f"/snapshots/{kept['id']}")).status_code == 200
    reply = await api.post("/snapshots", json={**_of(kept), "snapshotPriority": 8})
    assert "`each` in [quotas.snapshots]" in problem(reply, 403, "")["hint"]


async def test_a_snapshot_is_bounded_in_size_and_in_life(api, monkeypatch):
    monkeypatch.setattr(world, "MAX_ENTITIES", 2)
    await api.have(*map(car, range(3)))
    made = await take(api, CARS, snapshotLifetime="P3650D")
    assert made["snapshotQueriesDetails"][0]["problemDetails"]["type"].endswith("TooManyResults")
    assert made["expiresAt"][:4] == made["createdAt"][:4] or made["createdAt"][5:7] == "12"


def in_(snapshot, **headers):
    return {"ngsild-snapshot": snapshot["id"], **headers}


async def test_what_is_written_into_a_snapshot_is_in_it_alone(api):
    await api.have(car(1, 80), car(2, 30))
    made = await take(api, CARS)
    one, headers = "/entities/urn:ngsi-ld:Car:1", in_(made)
    before = (await api.get(one, params={"options": "sysAttrs"})).json()
    assert (await seen(api, made, f"{one}?options=sysAttrs")).json() == before
    reply = await api.patch(f"{one}/attrs", json={"speed": 5}, headers=headers)
    assert (reply.status_code, reply.headers["ngsild-snapshot"]) == (204, made["id"])
    assert (await api.post("/entities", json=car(3), headers=headers)).status_code == 201
    batch = await api.post("/entityOperations/delete", json=[car(2)["id"]], headers=headers)
    assert batch.status_code == 204
    told = {one["id"]: one["speed"]["value"] for one in (await seen(api, made)).json()}
    assert told == {car(1)["id"]: 5, car(3)["id"]: 50}
    assert (await seen(api, made, "/types")).json()["typeList"] == ["Car"]
    told = {one["id"]: one["speed"]["value"] for one in (await api.get("/entities?type=Car")).json()}
    assert told == {car(1)["id"]: 80, car(2)["id"]: 30}


async def test_only_who_made_a_snapshot_and_may_write_writes_into_it(api, problem):
    await api.have(car(1))
    reply = await api.post(
        "/snapshots",
        json={"type": "Snapshot", "snapshotQueries": [CARS]},
        headers={"x-test-actor": "south"},
    )
    made = await ready(api, reply.headers["location"])
    path = "/entities/urn:ngsi-ld:Car:1"
    for actor, status in (("anonymous", 401), ("clerk", 403), ("north", 403), ("south", 204), ("chief", 404)):
        reply = await api.delete(path, headers=in_(made, **{"x-test-actor": actor}))
        assert reply.status_code == status, (actor, reply.text)
    assert (await api.get(path)).status_code == 200


def passed(hour, speed):
    return {"type": "Property", "value": speed, "observedAt": f"2026-03-01T{hour:02}:00:00Z"}


async def remember(api):
    past = {"id": car(1)["id"], "type": "Car", "speed": [passed(8, 10), passed(9, 20), passed(10, 30)]}
    assert (await api.post("/temporal/entities", json=past)).is_success


def speeds(reply):
    assert reply.status_code == 200, reply.text
    return [one["value"] for one in reply.json()["speed"]]


async def test_the_past_in_a_snapshot_is_asked_and_written_there(api, problem):
    await remember(api)
    until = {"timerel": "between", "timeAt": "2026-03-01T08:30:00Z", "endTimeAt": "2026-03-01T23:00:00Z"}
    reply = await api.post(
        "/snapshots",
        json={"type": "Snapshot", "snapshotTemporalQueries": [{**CARS, "temporalQ": until}]},
    )
    made = await ready(api, reply.headers["location"])
    assert (made["snapshotStatus"], made["snapshotTemporalQueriesDetails"]) == (
        "success",
        [{"resultStatus": "success"}],
    )
    path = f"/temporal/entities/{car(1)['id']}"
    assert speeds(await api.get(path)) == [10, 20, 30]
    assert speeds(await api.get(path, headers=in_(made))) == [20, 30]
    averages = {"format": "aggregatedValues", "aggrMethods": "avg"}
    told = (await api.get(path, params=averages, headers=in_(made))).json()
    assert told["speed"]["avg"][0][0] == 25
    more = await api.post(f"{path}/attrs", json={"speed": [passed(11, 40)]}, headers=in_(made))
    assert more.status_code == 204
    assert speeds(await api.get(path, headers=in_(made))) == [20, 30, 40]
    assert speeds(await api.get(path)) == [10, 20, 30]
    clone = await api.post(f"/snapshots/{made['id']}/clone", json={"type": "Snapshot"})
    copied = await ready(api, clone.headers["location"])
    assert (await api.delete(path, headers=in_(made))).status_code == 204
    problem(await api.get(path, headers=in_(made)), 404, "ResourceNotFound")
    assert speeds(await api.get(path, headers=in_(copied))) == [20, 30, 40]


async def test_the_past_in_a_snapshot_is_as_secret_as_its_entity_is_now(api):
    await api.have(car(1))
    await remember(api)
    reply = await api.post(
        "/snapshots",
        json={"type": "Snapshot", "snapshotTemporalQueries": [{**CARS, "temporalQ": PAST}]},
    )
    made = await ready(api, reply.headers["location"])
    path, visitor = f"/temporal/entities/{car(1)['id']}", in_(made, **{"x-test-actor": "anonymous"})
    assert speeds(await api.get(path, headers=visitor)) == [10, 20, 30]
    await api.broker.classify(OPEN_ACCESS, car(1)["id"], InformationClass.SECURITY)
    assert (await api.get(path, headers=visitor)).status_code == 404
    assert speeds(await api.get(path, headers=in_(made))) == [10, 20, 30]


@pytest.mark.parametrize("quotas", [Quotas(snapshots=OfSnapshots(each_bytes=4_000))])
async def test_a_copy_that_finds_no_room_is_a_failure_and_empty(api, problem, quotas):
    await api.have({**car(1), "text": {"type": "Property", "value": "x" * 2_500}})
    made = await take(api, CARS)
    assert made["snapshotStatus"] == "success"
    clone = await api.post(f"/snapshots/{made['id']}/clone", json={"type": "Snapshot"})
    copied = await ready(api, clone.headers["location"])
    assert copied["snapshotStatus"] == "failure"
    assert (
        "`each-bytes` in [quotas.snapshots]" in copied["snapshotQueriesDetails"][0]["problemDetails"]["hint"]
    )
    assert (await seen(api, copied)).json() == []
    assert len((await seen(api, made)).json()) == 1
    more = await api.post("/entities", json={**car(2), "text": "x" * 2_000}, headers=in_(made))
    assert "`each-bytes` in [quotas.snapshots]" in problem(more, 403, "")["hint"]
    assert len((await seen(api, made)).json()) == 1
    assert (await api.delete(f"/snapshots/{made['id']}")).status_code == 204
    assert (await take(api, CARS))["snapshotStatus"] == "success"


class Receiver:
    """Takes notifications, the first of them at its second attempt."""

    def __init__(self):
        self.url = ""
        self._taken = asyncio.Queue()
        self._refused = False

    async def answer(self, asked, writer):
        if self._refused:
            self._taken.put_nowait(asked)
        status = "200 OK" if self._refused else "503 Service Unavailable"
        self._refused = True
        return await well(status)(asked, writer)

    async def next(self):
        async with asyncio.timeout(20):
            asked = await self._taken.get()
        return asked.headers, orjson.loads(asked.body)


@pytest.fixture
async def receiver(monkeypatch):
    monkeypatch.setattr(telling, "PAUSES", (0.01,))
    found = Receiver()
    async with serving(found.answer) as (found.url, _):
        yield found


async def test_how_a_snapshot_stands_is_told_to_its_endpoint(api, receiver, problem):
    await api.have(car(1))
    told = {"endpoint": receiver.url, "receiverInfo": [{"key": "X-Desk", "value": "7"}]}
    made = await take(api, CARS, **told)
    assert {member: made[member] for member in told} == told
    headers, body = await receiver.next()
    assert headers["x-desk"] == "7"
    assert body["id"].startswith("urn:ngsi-ld:SnapshotNotification:")
    assert (body["type"], body["snapshotId"]) == ("SnapshotNotification", made["id"])
    assert (body["snapshotStatus"], body["snapshotPriority"]) == ("success", 5)
    assert body["snapshotQueriesDetails"] == [{"resultStatus": "success"}]
    assert body["notifiedAt"] < body["expiresAt"] == made["expiresAt"]
    changed = await api.patch(f"/snapshots/{made['id']}", json={"snapshotLifetime": "PT9M"})
    assert (await receiver.next())[1]["expiresAt"] == changed.json()["expiresAt"]
    assert (await api.delete(f"/snapshots/{made['id']}")).status_code == 204
    _, body = await receiver.next()
    assert body["expiresAt"] <= body["notifiedAt"]
    refused = await api.post("/snapshots", json={**_of(made), **told}, headers={"x-test-actor": "writer"})
    problem(refused, 403, "")
