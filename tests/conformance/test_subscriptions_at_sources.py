"""Subscriptions that stand at sources too (ETSI GS CIM 009, 5.8.1.4, 5.8.6): what those are told, what they
may tell, and two cities of which one is killed and comes back."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import sys
import weakref
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from cityloom.access.authority import OPEN_ACCESS
from cityloom.federation import handing_on, receiving, wanted_copies
from cityloom.ngsild.contexts import Context
from cityloom.ngsild.term_definitions import TermMap
from loopback_servers import NO_CERTIFICATES, serving, well
from running_city import RunningCity, ask

ROAD = "urn:ngsi-ld:Road:1"
SUBSCRIPTION = "urn:ngsi-ld:Subscription:1"
REACHING = '\n[outbound]\ninside = true\n\n[federation]\nalias = "{}"\nopen = ["http://127.0.0.1:"]\n'


class Broker:
    """A source that keeps subscriptions, and a subscriber that is notified."""

    def __init__(self) -> None:
        self.status = 201
        self.address = ""
        self.asked: list[Any] = []

    async def answer(self, request, writer):
        status = {"POST": self.status}.get(request.method, 204)
        return await well(f"{200 if request.path == '/told' else status} OK")(request, writer)

    async def request(self, method: str, path: str = "/ngsi-ld/v1/subscriptions", past: int = 0):
        """The first request of this kind after `past` others."""
        async with asyncio.timeout(20):
            while True:
                found = [one for one in self.asked if (one.method, one.path[: len(path)]) == (method, path)]
                if len(found) > past:
                    return found[past]
                await asyncio.sleep(0.01)

    async def copy(self, past: int = 0) -> dict[str, Any]:
        return json.loads((await self.request("POST", past=past)).body)


@pytest.fixture
async def source(monkeypatch):
    monkeypatch.setattr(handing_on, "FIRST_PAUSE", 0.02)
    made = Broker()
    async with serving(made.answer) as (address, asked):
        made.address, made.asked = address, asked
        yield made


async def register(api, source, **more):
    document = {
        "id": "urn:x:source",
        "type": "ContextSourceRegistration",
        "endpoint": source.address,
        "information": [{"entities": [{"type": "Road"}], "propertyNames": ["speed"]}],
        **more,
    }
    reply = await api.post("/csourceRegistrations", json=document)
    assert reply.status_code == 201, reply.text


async def subscribe(api, source, headers=None, **more):
    notification = {"endpoint": {"uri": f"{source.address}/told"}, **more.pop("notification", {})}
    document = {
        "id": SUBSCRIPTION,
        "type": "Subscription",
        "entities": [{"type": "Road"}, {"type": "Bridge"}],
        "notification": notification,
        **more,
    }
    return await api.post("/subscriptions", json=document, headers=headers)


async def tell(copy: dict[str, Any], *entities: dict[str, Any], **more) -> httpx2.Response:
    """What the source notifies of."""
    body = {"type": "Notification", "subscriptionId": copy["id"], "data": list(entities), **more}
    async with httpx2.AsyncClient(trust_env=False, verify=NO_CERTIFICATES, timeout=60) as client:
        return await client.post(copy["notification"]["endpoint"]["uri"], json=body)


def road(id: str = ROAD, **attributes):
    return {"id": id, "type": "Road", **attributes}


async def test_a_source_gets_a_copy_of_what_it_has_registered_and_no_more(api, source):
    await register(api, source)
    wanted = {"q": "speed>50;name==%22Ring%22", "description": "ours", "datasetId": ["@none"]}
    await subscribe(api, source, notification={"attributes": ["speed", "name"]}, **wanted)
    asked = await source.request("POST")
    copy = json.loads(asked.body)
    assert copy["entities"] == [{"type": "Road"}]
    assert copy["watchedAttributes"] == copy["notification"]["attributes"] == ["speed"]
    assert copy["q"] == 'speed>50;name=="Ring"'
    assert copy["notification"]["endpoint"]["uri"].startswith(f"{api.handed_on.address}/ngsi-ld/ex/")
    assert "description" not in copy and "/told" not in asked.body.decode()
    assert asked.headers["via"] == "1.1 here"


async def test_a_copy_follows_its_subscription_and_goes_with_it(api, source):
    await register(api, source)
    await subscribe(api, source, q="speed>50", throttling=5)
    copy = await source.copy()
    path = f"/ngsi-ld/v1/subscriptions/{copy['id']}"
    change = {"q": "urn:ngsi-ld:null", "throttling": 7, "isActive": False}
    assert (await api.patch(f"/subscriptions/{SUBSCRIPTION}", json=change)).status_code == 204
    changed = json.loads((await source.request("PATCH", path)).body)
    assert {name: changed[name] for name in change} == change
    assert "entities" not in changed
    assert (await api.delete(f"/subscriptions/{SUBSCRIPTION}")).status_code == 204
    await source.request("DELETE", path)


async def test_copies_come_and_go_with_registrations(api, source):
    await subscribe(api, source)
    await register(api, source)
    copy = await source.copy()
    assert (await api.delete("/csourceRegistrations/urn:x:source")).status_code == 204
    await source.request("DELETE", f"/ngsi-ld/v1/subscriptions/{copy['id']}")
    assert (await tell(copy, road(speed=5))).status_code == 404
    assert api.handed_on.count("", SUBSCRIPTION) == 0


@pytest.mark.parametrize(
    ("registered", "wanted"),
    [
        ({"operations": ["retrieveOps"]}, {}),
        ({"mode": "auxiliary", "operations": ["retrieveOps"]}, {}),
        ({}, {"localOnly": True}),
        ({}, {"entities": [{"type": "Bridge"}]}),
        ({}, {"watchedAttributes": ["name"]}),
        ({}, {"csf": "registrationName==%22other%22"}),
        ({"contextSourceAlias": "there"}, {"headers": {"Via": "1.1 there"}}),
    ],
)
async def test_what_is_not_for_a_source_is_not_handed_to_it(api, source, registered, wanted):
    await register(api, source, **registered)
    await subscribe(api, source, **wanted)
    # What comes later is handed on later: then all that was to be has been.
    await register(api, source, id="urn:x:second", tenant="second")
    await subscribe(api, source, id="urn:ngsi-ld:Subscription:2", throttling=9)
    async with asyncio.timeout(20):
        while not any("ngsild-tenant" in one.headers and b"throttling" in one.body for one in source.asked):
            await asyncio.sleep(0.01)
    first = [one for one in source.asked if "ngsild-tenant" not in one.headers]
    assert all(b"throttling" in one.body for one in first)


async def test_what_has_come_from_here_is_not_taken_again(api, source, problem):
    reply = await subscribe(api, source, headers={"Via": "1.1 here, 1.1 there"})
    problem(reply, 508, "")


async def test_what_a_source_tells_is_passed_on_in_the_subscribers_form(api, source):
    await register(api, source)
    await subscribe(api, source, notification={"format": "simplified"})
    copy = await source.copy()
    speed = {"type": "Property", "value": 60, "modifiedAt": "2026-03-01T10:00:00Z"}
    told = road(speed=speed, name={"type": "Property", "value": "not registered"})
    assert (await tell(copy, told, {"id": "urn:x:2", "type": "Bridge"})).status_code == 200
    notified = json.loads((await source.request("POST", "/told")).body)
    assert notified["subscriptionId"] == SUBSCRIPTION
    assert notified["data"] == [road(speed=60)]


async def test_a_deletion_and_a_lost_attribute_are_passed_on(api, source):
    await register(api, source)
    await subscribe(api, source, notificationTrigger=["entityDeleted", "attributeDeleted"])
    copy = await source.copy()
    assert copy["notificationTrigger"] == ["attributeDeleted", "entityDeleted"]
    gone = {"type": "Property", "value": "urn:ngsi-ld:null", "deletedAt": "2026-03-01T10:00:00Z"}
    assert (await tell(copy, road(speed=gone))).status_code == 200
    (lost,) = json.loads((await source.request("POST", "/told")).body)["data"]
    assert lost["speed"]["value"] == "urn:ngsi-ld:null"
    assert (await tell(copy, road(deletedAt="2026-03-01T10:00:00Z"))).status_code == 200
    (deleted,) = json.loads((await source.request("POST", "/told", 1)).body)["data"]
    assert set(deleted) == {"id", "type", "deletedAt"}


async def test_split_entities_are_put_together_before_they_are_looked_at(api, source):
    await register(api, source)
    await subscribe(api, source, splitEntities=True, q="speed>50;name==%22Ring%22")
    copy = await source.copy()
    assert "q" not in copy and copy["splitEntities"] is True
    await api.have(road(name="Ring"))
    for value in (40, 70):
        assert (await tell(copy, road(speed={"type": "Property", "value": value}))).status_code == 200
    (whole,) = json.loads((await source.request("POST", "/told")).body)["data"]
    assert (whole["speed"]["value"], whole["name"]["value"]) == (70, "Ring")


async def test_only_who_was_given_the_address_is_heard(api, source):
    await register(api, source)
    await subscribe(api, source)
    copy = await source.copy()
    endpoint = copy["notification"]["endpoint"]["uri"]
    guessed = endpoint.rpartition("/")[0] + "/guess"
    forged = [
        {**copy, "id": "urn:x:another"},
        {**copy, "id": SUBSCRIPTION},
        {**copy, "id": "urn:x:1", "notification": {"endpoint": {"uri": guessed}}},
    ]
    for one in forged:
        assert (await tell(one, road(speed=666))).status_code == 404
    assert (await tell(copy, road(speed="nonsense", id=5))).status_code == 400
    assert (await tell(copy, *[road(speed=1)] * 1_001)).status_code == 400
    assert (await tell(copy, road(speed=60))).status_code == 200
    assert b"666" not in (await source.request("POST", "/told")).body


async def test_a_source_that_tells_too_much_at_once_is_asked_to_come_back(api, source, monkeypatch):
    monkeypatch.setattr(receiving, "MOST_OF_ONE", 2)
    read, go_on, begun = receiving._read, asyncio.Event(), asyncio.Event()

    async def reading(*given):
        begun.set()
        await go_on.wait()
        return await read(*given)

    monkeypatch.setattr(receiving, "_read", reading)
    await register(api, source)
    await subscribe(api, source)
    copy = await source.copy()
    waiting = [asyncio.create_task(tell(copy, road(speed=one))) for one in (1, 2, 3)]
    async with asyncio.timeout(20):
        done, under_way = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    (refused,) = (one.result() for one in done)
    assert refused.status_code == 503 and "retry-after" in refused.headers
    go_on.set()
    assert {(await one).status_code for one in under_way} == {200}
    assert (await tell(copy, road(speed=4))).status_code == 200


async def test_a_notification_that_takes_too_long_to_read_is_given_up(api, source, monkeypatch):
    read = receiving._read

    async def reading(item, *given):
        if item["speed"] == 1:
            await asyncio.Event().wait()
        return await read(item, *given)

    monkeypatch.setattr(receiving, "_read", reading)
    monkeypatch.setattr(receiving, "PATIENCE_S", 0.05)
    await register(api, source)
    await subscribe(api, source)
    copy = await source.copy()
    assert (await tell(copy, road(speed=1))).status_code == 503
    monkeypatch.undo()
    assert (await tell(copy, road(speed=2))).status_code == 200


async def test_what_is_told_names_few_contexts(api, source):
    await register(api, source)
    await subscribe(api, source)
    copy = await source.copy()
    few = [{**road(speed=one), "@context": {"a": f"urn:x:{one % 20}"}} for one in range(40)]
    assert (await tell(copy, *few)).status_code == 200
    assert (await tell(copy, *few, {**road(speed=1), "@context": {"a": "urn:x:20"}})).status_code == 400


async def test_nothing_is_read_of_a_notification_for_which_there_is_no_token(api, source):
    await register(api, source)
    await subscribe(api, source)
    copy = await source.copy()
    endpoint = copy["notification"]["endpoint"]["uri"]
    root, _, _ = endpoint.rpartition("/")
    body = b'{"subscriptionId": "%s", "data": [' % copy["id"].encode()
    for address, begun, status in [
        (f"{root}/guess", body, b"404"),
        (root, body + b"1," * 60_000, b"413"),
    ]:
        where = urlsplit(address)
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        head = f"POST {where.path} HTTP/1.1\r\nhost: {where.netloc}\r\ncontent-type: application/json\r\n"
        writer.write(head.encode() + b"content-length: 200000\r\n\r\n" + begun)
        async with asyncio.timeout(10):
            assert status in await reader.readline()
        writer.close()


async def test_what_cannot_be_handed_on_keeps_nothing_else_back(api, source, monkeypatch):
    concerned = wanted_copies.concerned

    def concerned_or_not(wanted, registration):
        if wanted.id == "urn:x:odd":
            raise ValueError
        return concerned(wanted, registration)

    monkeypatch.setattr(wanted_copies, "concerned", concerned_or_not)
    await register(api, source)
    await subscribe(api, source, id="urn:x:odd")
    await subscribe(api, source)
    assert (await source.copy())["entities"] == [{"type": "Road"}]


@pytest.fixture
def narrow(monkeypatch):
    """Little room for what is asked of sources; made before the city is."""
    monkeypatch.setattr(handing_on, "AT_ONCE", handing_on.AT_ONE + 1)


async def test_a_slow_source_keeps_no_other_waiting(narrow, api, source):
    async def never(_request, _writer):
        await asyncio.Event().wait()

    async with serving(never) as (slow, asked):
        await register(api, source, id="urn:x:slow", endpoint=slow, management={"timeout": 30_000})
        for place in range(handing_on.AT_ONE + 2):
            await subscribe(api, source, id=f"urn:x:{place}")
        async with asyncio.timeout(20):
            while len(asked) < handing_on.AT_ONE:
                await asyncio.sleep(0.01)
        await register(api, source)
        assert (await source.copy())["entities"] == [{"type": "Road"}]
        assert len(asked) == handing_on.AT_ONE


async def test_an_ended_subscription_leaves_nothing_of_its_context(api, source):
    known: list[weakref.ref[Context]] = []

    async def context(_source):
        made = Context(TermMap({"speed": "urn:x:speed"}, frozenset()), "https://city.example/one.jsonld")
        known.append(weakref.ref(made))
        return made

    api.handed_on.subscriptions.contexts = context
    for wanted in (SUBSCRIPTION, SUBSCRIPTION, "urn:x:2"):
        await subscribe(api, source, id=wanted, localOnly=True)
    gc.collect()
    assert sum(one() is not None for one in known) == 1
    for wanted in (SUBSCRIPTION, "urn:x:2"):
        assert (await api.delete(f"/subscriptions/{wanted}")).status_code == 204
    gc.collect()
    assert [one() for one in known] == [None] * len(known)


async def test_what_is_more_secret_than_the_source_is_not_passed_on(api, source):
    await register(api, source, information=[{"entities": [{"type": "Camera"}, {"type": "Road"}]}])
    await subscribe(api, source, entities=[{"type": "Camera"}, {"type": "Road", "id": "urn:x:secret"}])
    copy = await source.copy()
    await api.have({"id": "urn:x:secret", "type": ["Road", "Camera"]})
    assert (await tell(copy, road("urn:x:secret", speed=666))).status_code == 200
    assert (await tell(copy, {"id": "urn:x:cam", "type": "Camera", "speed": 5})).status_code == 200
    assert b"666" not in (await source.request("POST", "/told")).body


async def test_a_source_that_is_away_is_told_later_and_until_then_the_subscription_says_so(api, source):
    source.status = 503
    await register(api, source)
    await subscribe(api, source)
    await source.request("POST", past=1)
    shown = await api.get(f"/subscriptions/{SUBSCRIPTION}")
    assert shown.json()["notification"]["status"] == "failed"
    assert "urn:x:source" in shown.headers["ngsild-warning"]
    source.status = 201
    async with asyncio.timeout(20):
        while "ngsild-warning" in (shown := await api.get(f"/subscriptions/{SUBSCRIPTION}")).headers:
            await asyncio.sleep(0.01)
    assert "status" not in shown.json()["notification"]
    copies = {json.loads(one.body)["id"] for one in source.asked if one.method == "POST"}
    assert len(copies) == 1


async def test_the_subscription_to_registrations_is_shown_and_goes_with_its_own(api, source, problem):
    await subscribe(api, source)
    (derived,) = (await api.get("/csourceSubscriptions")).json()
    path = f"/csourceSubscriptions/{derived['id']}"
    assert (await api.get(path)).json()["entities"] == [{"type": "Road"}, {"type": "Bridge"}]
    problem(await api.delete(path), 422, "OperationNotSupported")
    problem(await api.patch(path, json={"isActive": False}), 422, "OperationNotSupported")
    await api.delete(f"/subscriptions/{SUBSCRIPTION}")
    assert (await api.get("/csourceSubscriptions")).json() == []


# Two cities


def begun(home: Path, alias: str) -> RunningCity:
    if not home.exists():
        ask("init", "--home", home, "--name", alias)
        (home / "city.toml").open("a").write(REACHING.format(alias))
    return RunningCity(home, "up", "--open-access")


def at(city: RunningCity, method: str, path: str, document: Any = None) -> httpx2.Response:
    return city.web.request(method, f"/ngsi-ld/v1{path}", json=document)


async def test_what_changes_in_one_city_reaches_who_subscribed_in_another_also_after_a_kill(tmp_path):
    subscriber = Broker()
    async with serving(subscriber.answer) as (subscriber.address, subscriber.asked):
        ours, theirs = begun(tmp_path / "ours", "ourtown"), begun(tmp_path / "theirs", "neighbour")
        try:
            information = [{"entities": [{"type": "Road"}]}]
            for city, other in ((ours, theirs), (theirs, ours)):
                document = {"type": "ContextSourceRegistration", "endpoint": other.address}
                document |= {"id": "urn:x:other", "information": information}
                assert at(city, "POST", "/csourceRegistrations", document).status_code == 201
            wanted = {"id": SUBSCRIPTION, "type": "Subscription", "entities": [{"type": "Road"}]}
            wanted["notification"] = {"endpoint": {"uri": f"{subscriber.address}/told"}}
            assert at(ours, "POST", "/subscriptions", wanted).status_code == 201
            await _there(theirs, 1)
            assert at(theirs, "POST", "/entities?local=true", road(speed=50)).status_code == 201
            first = json.loads((await subscriber.request("POST", "/told")).body)
            assert (first["subscriptionId"], first["data"][0]["speed"]["value"]) == (SUBSCRIPTION, 50)

            # Each of them knows the other: nothing goes in circles, nothing is told twice.
            assert [one["id"] for one in at(ours, "GET", "/subscriptions").json()] == [SUBSCRIPTION]

            theirs.stop(signal.SIGKILL)
            ours.stop(signal.SIGKILL)
            ours, theirs = begun(tmp_path / "ours", "ourtown"), begun(tmp_path / "theirs", "neighbour")
            for city, other in ((theirs, ours), (ours, theirs)):
                moved = {"endpoint": other.address}
                assert at(city, "PATCH", "/csourceRegistrations/urn:x:other", moved).status_code == 204
            await _there(theirs, 1)
            change = {"speed": {"type": "Property", "value": 70}}
            assert at(theirs, "PATCH", f"/entities/{ROAD}/attrs?local=true", change).status_code == 204
            async with asyncio.timeout(30):
                while not any(b'"value":70' in one.body for one in subscriber.asked):
                    await asyncio.sleep(0.05)

            assert at(ours, "DELETE", f"/subscriptions/{SUBSCRIPTION}").status_code == 204
            await _there(theirs, 0)
        finally:
            for city in (ours, theirs):
                if city.process.poll() is None:
                    city.stop()


async def _there(city: RunningCity, count: int) -> None:
    """Wait until this many subscriptions stand in a city, and the city they are from can be reached."""
    async with asyncio.timeout(60):
        while True:
            found = at(city, "GET", "/subscriptions").json()
            reached = [one for one in found if one["notification"].get("status") != "failed"]
            if len(found) == len(reached) == count:
                return
            await asyncio.sleep(0.1)


async def test_who_subscribes_to_registrations_is_written_down(api, source):
    document = {"id": "urn:s:1", "type": "Subscription", "entities": [{"type": "Road"}]}
    document["notification"] = {"endpoint": {"uri": f"{source.address}/told?key=secret"}}
    path = "/csourceSubscriptions/urn:s:1"
    assert (await api.post("/csourceSubscriptions", json=document)).status_code == 201
    assert (await api.patch(path, json={"description": "other"})).status_code == 204
    assert (await api.delete(path)).status_code == 204
    entries = await api.audit.newest(OPEN_ACCESS, limit=3)
    acts = ["source.unsubscribe", "source.resubscribe", "source.subscribe"]
    assert [(one.action, one.subject) for one in entries] == [(act, "urn:s:1") for act in acts]
    assert "secret" not in str(entries)
