"""Snapshots over HTTP (ETSI GS CIM 009, 4.3.7, 5.5.15, 5.16, 6.3.22, 6.36 to 6.38)."""

import asyncio

import pytest

from cityloom.access.authority import OPEN_ACCESS
from cityloom.access.quotas import OfSnapshots, Quotas
from cityloom.context import snapshots
from cityloom.kernel.actor import InformationClass

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
    made = await take(api, {**CARS, "q": "(("}, snapshotTemporalQueries=[{"type": "Query"}])
    assert made["snapshotStatus"] == "failure"


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
        ({"type": "Snapshot", "snapshotQueries": [CARS], "endpoint": "http://x.example"}, "endpoint"),
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
    writing = {"ngsild-snapshot": made["id"]}
    problem(await api.post("/entities", json=car(1), headers=writing), 422, "OperationNotSupported")
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
    assert "[quotas]" in problem(reply, 403, "")["hint"]


async def test_a_snapshot_is_bounded_in_size_and_in_life(api, monkeypatch):
    monkeypatch.setattr(snapshots, "MAX_ENTITIES", 2)
    await api.have(*map(car, range(3)))
    made = await take(api, CARS, snapshotLifetime="P3650D")
    assert made["snapshotQueriesDetails"][0]["problemDetails"]["type"].endswith("TooManyResults")
    assert made["expiresAt"][:4] == made["createdAt"][:4] or made["createdAt"][5:7] == "12"
