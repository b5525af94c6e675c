"""Subscriptions and entity maps in a snapshot (5.5.15, 5.8, 5.14, 6.3.22): they see what is in it alone."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from cityloom.access.quotas import OfEntityMaps, OfSubscriptions, Quotas
from cityloom.web.ngsild import snapshots
from cityloom.web.ngsild.snapshot_filling import Taken
from loopback_servers import serving, well

CARS = {"type": "Query", "entities": [{"type": "Car"}]}
ONE = "urn:ngsi-ld:Car:1"
SUBSCRIPTION = "urn:ngsi-ld:Subscription:1"


def car(number=1, speed=50, **more):
    return {"id": f"urn:ngsi-ld:Car:{number}", "type": "Car", "speed": speed, **more}


async def taken(api, over_time=None, **headers):
    body = {"type": "Snapshot", "snapshotQueries": [CARS]}
    if over_time is not None:
        body = {"type": "Snapshot", "snapshotTemporalQueries": [over_time]}
    reply = await api.post("/snapshots", json=body, headers=headers)
    assert reply.status_code == 201, reply.text
    path = reply.headers["location"].removeprefix("/ngsi-ld/v1")
    tenant = {name: said for name, said in headers.items() if name == "ngsild-tenant"}
    async with asyncio.timeout(20):
        while (found := (await api.get(path, headers=tenant)).json())["snapshotStatus"] == "preparing":
            await asyncio.sleep(0)
    return found["id"]


def in_(snapshot, **headers):
    return {"ngsild-snapshot": snapshot, **headers}


class Desk:
    """Hears notifications."""

    def __init__(self):
        self.url = ""
        self._heard = asyncio.Queue()

    async def answer(self, asked, writer):
        self._heard.put_nowait((asked.headers, orjson.loads(asked.body)))
        return await well()(asked, writer)

    async def next(self):
        async with asyncio.timeout(20):
            return await self._heard.get()

    async def speeds(self):
        return [one["speed"]["value"] for one in (await self.next())[1]["data"]]


@pytest.fixture
async def desk():
    found = Desk()
    async with serving(found.answer) as (found.url, _):
        yield found


async def subscribe(api, desk, snapshot, **more):
    actor = more.pop("actor", {})
    body = {
        "id": SUBSCRIPTION,
        "type": "Subscription",
        "entities": [{"type": "Car"}],
        "notification": {"endpoint": {"uri": desk.url, "accept": "application/json"}},
        **more,
    }
    return await api.post("/subscriptions", json=body, headers=in_(snapshot, **actor))


async def write(api, speed, *, headers=None, number=1):
    path = f"/entities/urn:ngsi-ld:Car:{number}/attrs"
    reply = await api.patch(path, json={"speed": speed}, headers=headers or {})
    assert reply.status_code == 204, reply.text


async def test_who_subscribes_in_a_snapshot_is_told_what_changes_in_it_alone(api, desk):
    await api.have(car())
    snapshot, other = await taken(api), await taken(api)
    assert (await subscribe(api, desk, snapshot)).status_code == 201
    await write(api, 1)
    await write(api, 2, headers=in_(other))
    await write(api, 3, headers=in_(snapshot))
    headers, told = await desk.next()
    assert [one["speed"]["value"] for one in told["data"]] == [3]
    assert (headers["ngsild-snapshot"], told["subscriptionId"]) == (snapshot, SUBSCRIPTION)
    assert "ngsild-tenant" not in headers
    # The city has none, and the same id is free there.
    assert (await api.get("/subscriptions")).json() == []
    assert (await api.get(f"/subscriptions/{SUBSCRIPTION}", headers=in_(other))).status_code == 404
    shown = await api.get(f"/subscriptions/{SUBSCRIPTION}", headers=in_(snapshot))
    assert (shown.json()["notification"]["status"], shown.headers["ngsild-snapshot"]) == ("ok", snapshot)
    paused = await api.patch(
        f"/subscriptions/{SUBSCRIPTION}", json={"isActive": False}, headers=in_(snapshot)
    )
    assert paused.status_code == 204
    await write(api, 4, headers=in_(snapshot))
    await api.patch(f"/subscriptions/{SUBSCRIPTION}", json={"isActive": True}, headers=in_(snapshot))
    await write(api, 5, headers=in_(snapshot))
    assert await desk.speeds() == [5]
    assert (await api.delete(f"/subscriptions/{SUBSCRIPTION}", headers=in_(snapshot))).status_code == 204
    assert (await api.get("/subscriptions", headers=in_(snapshot))).json() == []


async def test_in_a_snapshot_of_a_tenant_both_are_named(api, desk):
    tenant = {"ngsild-tenant": "south"}
    assert (await api.post("/entities", json=car(), headers=tenant)).status_code == 201
    snapshot = await taken(api, **tenant)
    reply = await subscribe(api, desk, snapshot, actor=tenant)
    assert reply.status_code == 201, reply.text
    await write(api, 3, headers=in_(snapshot, **tenant))
    headers, _ = await desk.next()
    assert (headers["ngsild-snapshot"], headers["ngsild-tenant"]) == (snapshot, "south")


async def test_subscriptions_end_with_their_snapshot(api, desk):
    await api.have(car())
    snapshot = await taken(api)
    await subscribe(api, desk, snapshot)
    assert len(api.subscriptions) == 1
    assert (await api.delete(f"/snapshots/{snapshot}")).status_code == 204
    assert len(api.subscriptions) == 0
    # One that is made anew under the same id has none.
    again = {"id": snapshot, "type": "Snapshot", "snapshotQueries": [CARS]}
    assert (await api.post("/snapshots", json=again)).status_code == 201
    assert (await api.get("/subscriptions", headers=in_(snapshot))).json() == []


async def test_whatever_is_told_from_a_snapshot_is_for_the_eyes_of_its_owner_now(api, desk):
    await api.have(car(1), car(2))
    snapshot = await taken(api)
    clerk = {"x-test-actor": "clerk"}
    assert (await subscribe(api, desk, snapshot, actor=clerk)).status_code == 403
    assert (await subscribe(api, desk, snapshot)).status_code == 201
    # Somebody else's snapshot may be looked at, so it may be subscribed to; the subscription is one's own.
    north = {"x-test-actor": "north"}
    assert (
        await api.get(f"/subscriptions/{SUBSCRIPTION}", headers=in_(snapshot, **north))
    ).status_code == 404
    mine = {"x-test-actor": "south"}
    assert (await subscribe(api, desk, snapshot, actor=mine, id="urn:x:mine")).status_code == 201
    assert (await api.delete("/subscriptions/urn:x:mine", headers=in_(snapshot, **mine))).status_code == 204


async def test_intervals_are_of_the_snapshot(api, desk):
    await api.have(car())
    snapshot = await taken(api)
    await write(api, 9)
    reply = await subscribe(api, desk, snapshot, timeInterval=1)
    assert reply.status_code == 201, reply.text
    assert await desk.speeds() == [50]


async def test_a_snapshot_that_is_being_made_is_not_subscribed_to(api, desk, problem, monkeypatch):
    go_on = asyncio.Event()

    async def slowly(*_):
        await go_on.wait()
        return Taken(0)

    monkeypatch.setattr(snapshots, "take_entities", slowly)
    made = await api.post("/snapshots", json={"type": "Snapshot", "snapshotQueries": [CARS]})
    snapshot = made.headers["location"].rpartition("/")[2]
    problem(await subscribe(api, desk, snapshot), 409, "Conflict", "id")
    go_on.set()


@pytest.mark.parametrize("quotas", [Quotas(subscriptions=OfSubscriptions(each=1))])
async def test_subscriptions_in_snapshots_count_with_the_others(api, desk, problem):
    await api.have(car())
    snapshot = await taken(api)
    assert (await subscribe(api, desk, snapshot)).status_code == 201
    reply = await subscribe(api, desk, snapshot, id="urn:x:2")
    assert "`each` in [quotas.subscriptions]" in problem(reply, 403, "")["hint"]


async def test_entity_maps_of_a_snapshot_are_of_it_alone(api, problem):
    await api.have(car(1), car(2))
    snapshot = await taken(api)
    await api.have(car(3))
    made = await api.get("/entities?type=Car&entityMap=true&limit=1", headers=in_(snapshot))
    assert made.status_code == 201, made.text
    where = made.headers["ngsild-entitymap"]
    path = where.removeprefix("/ngsi-ld/v1")
    shown = (await api.get(path, headers=in_(snapshot))).json()
    assert shown["entityMap"] == {car(1)["id"]: ["@none"], car(2)["id"]: ["@none"]}
    problem(await api.get(path), 404, "ResourceNotFound")
    await api.post("/entities", json=car(4), headers=in_(snapshot))
    asked = in_(snapshot, **{"ngsild-entitymap": where})
    second = await api.get("/entities?type=Car&limit=1&offset=1", headers=asked)
    assert [one["id"] for one in second.json()] == [car(2)["id"]]
    later = {"expiresAt": "2030-01-01T00:00:00Z"}
    assert (await api.patch(path, json=later, headers=in_(snapshot))).status_code == 204
    by_itself = await api.get("/entityMaps?type=Car", headers=in_(snapshot))
    assert len(by_itself.json()["entityMap"]) == 3
    assert (await api.delete(path, headers=in_(snapshot))).status_code == 204
    problem(await api.get(path, headers=in_(snapshot)), 404, "ResourceNotFound")


async def test_maps_over_time_are_of_the_snapshot(api):
    past = {"type": "Property", "value": 5, "observedAt": "2026-03-01T08:00:00Z"}
    for number in (1, 2):
        told = {"id": f"urn:ngsi-ld:Car:{number}", "type": "Car", "speed": [past]}
        assert (await api.post("/temporal/entities", json=told)).status_code == 201
    timed = {"timerel": "after", "timeAt": "2026-01-01T00:00:00Z"}
    snapshot = await taken(api, over_time={**CARS, "temporalQ": timed})
    assert (await api.delete(f"/temporal/entities/{ONE}", headers=in_(snapshot))).status_code == 204
    made = await api.get("/temporal/entityMaps", params={"type": "Car", **timed}, headers=in_(snapshot))
    assert list(made.json()["entityMap"]) == ["urn:ngsi-ld:Car:2"]
    asked = {"type": "Car", **timed, "entityMap": "true"}
    page = await api.get("/temporal/entities", params=asked, headers=in_(snapshot))
    assert (page.status_code, [one["id"] for one in page.json()]) == (201, ["urn:ngsi-ld:Car:2"])


@pytest.mark.parametrize("quotas", [Quotas(entity_maps=OfEntityMaps(all=1))])
async def test_maps_end_with_their_snapshot(api, problem):
    await api.have(car())
    snapshot = await taken(api)
    assert (await api.get("/entityMaps?type=Car", headers=in_(snapshot))).status_code == 201
    north = {"x-test-actor": "north"}
    problem(await api.get("/entityMaps?type=Car", headers=north), 403, "")
    assert (await api.delete(f"/snapshots/{snapshot}")).status_code == 204
    assert (await api.get("/entityMaps?type=Car", headers=north)).status_code == 201
