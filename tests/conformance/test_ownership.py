"""What is kept for somebody: who may change and end it, how much of it there may be, what is noted of it."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from cityloom.access.authority import OPEN_ACCESS
from cityloom.access.ownership import KEPT_FOR_SOMEBODY
from cityloom.access.quotas import Quotas

MINE, OTHERS, CHIEFS = ({"x-test-actor": name} for name in ("south", "north", "chief"))
NOTIFICATION = {"endpoint": {"uri": "http://127.0.0.1:9/"}}
SUBSCRIPTION = {"type": "Subscription", "entities": [{"type": "Car"}], "notification": NOTIFICATION}
REGISTRATION = {
    "type": "ContextSourceRegistration",
    "information": [{"entities": [{"type": "Boat"}]}],
    "endpoint": "http://127.0.0.1:9/",
}
#: By kind where it is made and of what, and what changes it (None: nothing does).
KINDS = {
    "subscription": ("/subscriptions", SUBSCRIPTION, {"subscriptionName": "mine"}),
    "registration": ("/csourceRegistrations", REGISTRATION, {"registrationName": "mine"}),
    "subscription to registrations": ("/csourceSubscriptions", SUBSCRIPTION, {"subscriptionName": "mine"}),
    "@context": ("/jsonldContexts", {"@context": {"lamp": "https://light.example/lamp"}}, None),
    "snapshot": (
        "/snapshots",
        {"type": "Snapshot", "snapshotQueries": [{"type": "Query", "entities": [{"type": "Car"}]}]},
        {"snapshotPriority": 1},
    ),
    "entity map": ("/entityMaps?type=Car", None, {"expiresAt": "2020-01-01T00:00:00Z"}),
}
MEMBERS = {
    "subscription": "subscriptions",
    "registration": "registrations",
    "subscription to registrations": "registration_subscriptions",
    "@context": "contexts",
    "snapshot": "snapshots",
    "entity map": "entity_maps",
}


async def made(api, kind, headers=MINE):
    """Make one; the answer."""
    path, body, _ = KINDS[kind]
    if body is None:
        return await api.get(path, headers=headers)
    return await api.post(path, json=body, headers=headers)


def address(kind, reply):
    assert reply.status_code == 201, reply.text
    if kind == "entity map":
        return f"/entityMaps/{reply.json()['id']}"
    return reply.headers["location"].removeprefix("/ngsi-ld/v1")


def test_every_kind_is_looked_at():
    assert KINDS.keys() == MEMBERS.keys() == KEPT_FOR_SOMEBODY.keys()
    assert set(MEMBERS.values()) == {one.name for one in msgspec.structs.fields(Quotas)}


@pytest.mark.parametrize("kind", KINDS)
async def test_only_who_made_it_or_may_administer_changes_and_ends_it(api, kind):
    where = address(kind, await made(api, kind))
    change = KINDS[kind][2]
    if change is not None:
        # Who may not see a subscription is told that there is none.
        assert (await api.patch(where, json=change, headers=OTHERS)).status_code in (403, 404)
    assert (await api.delete(where, headers=OTHERS)).status_code in (403, 404)
    still = await api.get(where, headers=MINE)
    assert still.status_code == 200 and "mine" not in still.text
    assert still.json().get("snapshotPriority") != 1
    assert (await api.delete(where, headers=CHIEFS)).status_code == 204
    assert (await api.get(where, headers=MINE)).status_code == 404
    where = address(kind, await made(api, kind))
    assert (await api.delete(where, headers=MINE)).status_code == 204


@pytest.mark.parametrize("kind", KINDS)
async def test_a_purge_and_a_full_quota_take_nothing_of_others(api, kind, quotas):
    theirs = address(kind, await made(api, kind, OTHERS))
    address(kind, await made(api, kind))
    if kind == "snapshot":
        assert (await api.delete("/snapshots?q=snapshotPriority<11", headers=MINE)).status_code == 204
    assert (await api.get(theirs, headers=OTHERS)).status_code == 200


def _one_each(kind):
    member = MEMBERS[kind]
    usual = getattr(Quotas(), member)
    return Quotas(**{member: msgspec.structs.replace(usual, each=1, all=2)})


#: Of these a new one takes the place of the owner's own least important or oldest.
MAKING_ROOM = ("snapshot", "entity map")


@pytest.mark.parametrize(
    ("kind", "quotas"), [(kind, _one_each(kind)) for kind in KINDS if kind not in MAKING_ROOM]
)
async def test_one_more_than_the_quota_is_refused_and_changes_nothing(api, problem, kind, quotas):
    first = address(kind, await made(api, kind))
    said = problem(await made(api, kind), 403, "")
    assert said["title"] == "Quota used up" and kind in said["detail"] and "ask" in said["hint"]
    assert (await api.get(first, headers=MINE)).status_code == 200
    address(kind, await made(api, kind, OTHERS))
    problem(await made(api, kind, CHIEFS), 403, "")
    assert (await api.delete(first, headers=MINE)).status_code == 204
    address(kind, await made(api, kind))


@pytest.mark.parametrize(("kind", "quotas"), [(kind, _one_each(kind)) for kind in MAKING_ROOM])
async def test_what_is_in_memory_makes_room_for_its_owner_alone(api, problem, kind, quotas):
    first = address(kind, await made(api, kind))
    theirs = address(kind, await made(api, kind, OTHERS))
    problem(await made(api, kind, CHIEFS), 403, "")
    second = address(kind, await made(api, kind))
    found = [(await api.get(one, headers=OTHERS)).status_code for one in (first, theirs, second)]
    assert found == [404, 200, 200]


def _long(kind):
    """A change that makes a document longer than one may be."""
    entities = [{"type": "Car", "id": f"urn:x:{number:0>100}"} for number in range(30)]
    return {"information": [{"entities": entities}]} if kind == "registration" else {"entities": entities}


def _small(kind):
    member = MEMBERS[kind]
    return Quotas(**{member: msgspec.structs.replace(getattr(Quotas(), member), largest=2_000)})


@pytest.mark.parametrize(
    ("kind", "quotas"),
    [(kind, _small(kind)) for kind in ("subscription", "registration", "subscription to registrations")],
)
async def test_a_document_that_is_too_large_is_refused(api, kind, quotas):
    path, body, _ = KINDS[kind]
    reply = await api.post(path, json={**body, **_long(kind)}, headers=MINE)
    assert reply.status_code == 413 and "2000 bytes are the most" in reply.json()["detail"], reply.text[:500]
    where = address(kind, await made(api, kind))
    reply = await api.patch(where, json=_long(kind), headers=MINE)
    assert reply.status_code == 413
    assert len((await api.get(where, headers=MINE)).content) < 1_000


@pytest.mark.parametrize("kind", ["subscription", "registration"])
async def test_an_act_that_is_refused_is_noted_as_refused(api, kind):
    path, body, _ = KINDS[kind]
    thing = {"subscription": "subscription", "registration": "source"}[kind]
    taken = {**body, "id": "urn:x:taken"}
    assert (await api.post(path, json=taken, headers=MINE)).status_code == 201
    assert (await api.post(path, json=taken, headers=MINE)).status_code == 409
    noted = [(one.action, one.subject, one.detail.get("why")) for one in await api.audit.newest(OPEN_ACCESS)]
    act = {"subscription": "create", "source": "register"}[thing]
    assert noted == [
        (f"{thing}.refused", "urn:x:taken", "AlreadyExists"),
        (f"{thing}.{act}", "urn:x:taken", None),
        (f"{thing}.{act}", "urn:x:taken", None),
    ]
    assert (await api.delete(f"{path}/urn:x:taken", headers=OTHERS)).status_code in (403, 404)
    assert len(await api.audit.newest(OPEN_ACCESS)) == 3


async def test_a_snapshot_that_cannot_be_made_says_so(api, monkeypatch):
    """Whatever goes wrong behind its back, nobody waits for ever."""

    async def broken(*_, **__):
        raise RuntimeError("a defect")

    monkeypatch.setattr("cityloom.web.ngsild.snapshots.take_entities", broken)
    where = address("snapshot", await made(api, "snapshot"))
    async with asyncio.timeout(20):
        while (shown := (await api.get(where, headers=MINE)).json())["snapshotStatus"] == "preparing":
            await asyncio.sleep(0)
    assert shown["snapshotStatus"] == "failure"
    (detail,) = shown["snapshotQueriesDetails"]
    assert detail["resultStatus"] == "failure" and "defect" not in str(detail)
