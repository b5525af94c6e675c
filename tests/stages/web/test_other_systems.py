"""The page of other systems: who is told and who is asked, for whom, how it goes, and ending it."""

from __future__ import annotations

import json

import pytest

from cityloom.app.watch.judging import of_other_systems
from cityloom.federation.model import Standing
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.ngsild.contexts import CORE
from cityloom.ngsild.registration_parsing import parse_registration
from cityloom.ngsild.subscription_reading import parse_subscription

TOLD, SECRET = "urn:ngsi-ld:Subscription:told", "urn:ngsi-ld:Subscription:secret"
ASKED = "urn:ngsi-ld:ContextSourceRegistration:neighbour"
KEY = "only-for-the-receiver"


async def _subscribe(city, id: str, *, owner: Actor, type: str, uri: str = "") -> None:
    document = {
        "id": id,
        "type": "Subscription",
        "entities": [{"type": type}],
        "watchedAttributes": ["temperature"],
        "notification": {
            "endpoint": {
                "uri": uri or f"https://receiver.example/weather?key={KEY}",
                "receiverInfo": [{"key": "Authorization", "value": KEY}],
            }
        },
    }
    subscriptions = city.rooms.subscriptions
    wanted = parse_subscription(document, CORE, id=id, now=subscriptions.now())
    await subscriptions.create(owner, wanted, None, "", tenant="")


async def _register(city, id: str, **members) -> None:
    document = {
        "id": id,
        "type": "ContextSourceRegistration",
        "registrationName": "Counters next door",
        "endpoint": "https://broker.example/",
        "information": [{"entities": [{"type": "BicycleCounter"}]}],
        "contextSourceInfo": [{"key": "X-Api-Key", "value": KEY}],
        **members,
    }
    actor = Actor("engineer", permissions=frozenset({"sources:register"}))
    parsed = parse_registration(document, CORE, fragment=False)
    await city.rooms.federation.sources.add(actor, parsed, tenant="")


@pytest.fixture
def reader_of(reader_of):
    """One reader a role."""
    known = {}

    async def make(role: str):
        if role not in known:
            known[role] = await reader_of(role)
        return known[role]

    return make


@pytest.fixture
async def connected(city, reader_of):
    """A city that tells somebody of the weather, an overseer of a secret, and asks a neighbour."""
    await reader_of("operator")
    accounts = {one.name: one for one in await city.rooms.access.accounts.all(_overseer())}
    operator = city.rooms.access.accounts.actor_now(accounts["operator"].id)
    await _subscribe(city, TOLD, owner=operator, type="WeatherObserved")
    secret = Actor(
        "somebody",
        permissions=frozenset({"subscriptions:edit", "sources:read"}),
        clearance=frozenset(InformationClass),
    )
    await _subscribe(city, SECRET, owner=secret, type="SecretCamera", uri="https://elsewhere.example/")
    await _register(city, ASKED)
    return city


def _overseer() -> Actor:
    return Actor("overseer", permissions=frozenset({"accounts:manage"}))


async def test_it_tells_what_is_sent_to_whom_and_who_is_asked(connected, reader_of):
    administrator = await reader_of("administrator")
    page = await administrator.text("/other-systems")
    assert "https://receiver.example/weather" in page and "https://broker.example" in page
    assert "Counters next door" in page and "not asked yet" in page and "active" in page
    assert KEY not in page
    data = await administrator.data("/other-systems.json")
    assert {one["id"] for one in data["notified"]} == {TOLD, SECRET} and KEY not in json.dumps(data)
    assert [one["types"] for one in data["asked"]] == [["BicycleCounter"]]


async def test_who_is_cleared_for_less_does_not_learn_what_is_told(connected, reader_of):
    engineer = await reader_of("engineer")
    rows = {one["id"]: one for one in (await engineer.data("/other-systems.json"))["notified"]}
    assert rows[TOLD]["types"] == ["WeatherObserved"] and "types" not in rows[SECRET]
    assert "SecretCamera" not in await engineer.text("/other-systems")


async def test_who_may_only_subscribe_sees_their_own(connected, reader_of):
    data = await (await reader_of("operator")).data("/other-systems.json")
    assert [one["id"] for one in data["notified"]] == [TOLD]


async def test_a_subscription_is_paused_resumed_and_removed(connected, reader_of):
    operator, path = await reader_of("operator"), "/other-systems/subscriptions"
    page = await operator.done(path, {"act": "pause", "id": TOLD, "tenant": ""})
    assert "Undo" in page and "paused" in page
    assert await operator.done(path, {"act": "resume", "id": TOLD, "tenant": ""})
    (row,) = (await operator.data("/other-systems.json"))["notified"]
    assert row["state"] == "active"
    await operator.refused(path, {"act": "pause", "id": SECRET, "tenant": ""}, status=404)

    administrator = await reader_of("administrator")
    assert "paused" in await administrator.done(path, {"act": "pause", "id": SECRET, "tenant": ""})
    kept = connected.rooms.subscriptions.retrieve(_seer("somebody"), SECRET, tenant="")
    assert kept.owner == "somebody" and InformationClass.SECURITY in kept.clearance
    page = await administrator.done(path, {"act": "remove", "id": TOLD, "tenant": ""})
    assert "The subscription is removed." in page and TOLD not in page
    log = await administrator.text("/system")
    assert "paused a subscription" in log and "removed a subscription" in log


def _seer(id: str) -> Actor:
    return Actor(id, permissions=frozenset({"subscriptions:edit", "sources:read"}))


async def test_a_source_is_removed_by_who_may_administer_where_somebody_else_registered_it(
    connected, reader_of
):
    operator, path = await reader_of("operator"), "/other-systems/sources"
    assert "Remove for good" not in (await operator.text("/other-systems")).split("Who is asked")[1]
    await operator.refused(path, {"act": "remove", "id": ASKED, "tenant": ""}, status=403)
    engineer = await reader_of("engineer")
    assert "Remove for good" not in (await engineer.text("/other-systems")).split("Who is asked")[1]
    await engineer.refused(path, {"act": "remove", "id": ASKED, "tenant": ""}, status=403)
    noted = [one.action for one in await connected.rooms.audit.newest(_auditor(), limit=5)]
    assert "source.remove" not in noted
    chief = await reader_of("administrator")
    assert "Nobody is asked" in await chief.done(path, {"act": "remove", "id": ASKED, "tenant": ""})
    entries = await connected.rooms.audit.newest(_auditor(), limit=5)
    assert ("source.remove", ASKED) in [(one.action, one.subject) for one in entries]


def _auditor() -> Actor:
    return Actor("auditor", permissions=frozenset({"audit:read"}))


async def test_long_lists_have_pages_and_those_in_trouble_come_first(connected, reader_of):
    for number in range(60):
        await _register(connected, f"urn:r:{number}", endpoint=f"https://broker{number}.example/")
    standing = connected.rooms.federation.peers._standing.setdefault(("", "urn:r:59"), _failed())
    assert standing.failed
    engineer = await reader_of("engineer")
    page = await engineer.text("/other-systems")
    assert page.index("urn:r:59") < page.index("urn:r:1<") and "1 to 50 of 61" in page
    assert "no answer from there" in page and "does not answer" in page
    second = await engineer.text("/other-systems?asked=50")
    assert "51 to 61 of 61" in second and "urn:r:58" in second and "urn:r:3<" not in second
    found = await engineer.data("/other-systems.json?q=BROKER58")
    assert [one["id"] for one in found["asked"]] == ["urn:r:58"] and found["notifiedTotal"] == 0


def _failed() -> Standing:
    return Standing(times_sent=3, times_failed=3, failed=True, last_error="no answer from there")


async def test_a_city_on_its_own_says_so(city, reader_of):
    page = await (await reader_of("auditor")).text("/other-systems")
    assert "Nobody is notified" in page and "Nobody is asked" in page


async def test_those_in_trouble_are_among_the_findings(connected):
    rooms = connected.rooms

    def found():
        return [one.what for one in of_other_systems(rooms.subscriptions.health(), rooms.federation.health())]

    assert found() == []
    connected.rooms.subscriptions.tally(
        connected.rooms.subscriptions.retrieve(_seer("somebody"), SECRET, tenant="")
    ).failed = True
    for number in range(5):
        await _register(connected, f"urn:r:{number}", endpoint=f"https://broker{number}.example/")
        connected.rooms.federation.peers._standing[("", f"urn:r:{number}")] = _failed()
    told, asked = found()
    assert "do not get through to https://elsewhere.example/:" in told
    assert "https://broker2.example and 2 more" in asked and "broker3" not in asked


async def test_what_programs_change_is_written_down_without_secrets(city, reader_of):
    api = (await reader_of("administrator")).client
    subscription = {
        "id": TOLD,
        "type": "Subscription",
        "entities": [{"type": "WeatherObserved"}],
        "notification": {"endpoint": {"uri": f"https://receiver.example/weather?key={KEY}"}},
    }
    source = {
        "id": ASKED,
        "type": "ContextSourceRegistration",
        "endpoint": "https://broker.example/",
        "information": [{"entities": [{"type": "BicycleCounter"}]}],
    }
    for path, document, change in (
        ("subscriptions", subscription, {"isActive": False}),
        ("csourceRegistrations", source, {"registrationName": "Next door"}),
    ):
        one = f"/ngsi-ld/v1/{path}/{document['id']}"
        answers = [
            await api.post(f"/ngsi-ld/v1/{path}", json=document),
            await api.patch(one, json=change),
            await api.delete(one),
            await api.delete(one),
            await api.patch(one, json=change),
        ]
        assert [answer.status_code for answer in answers] == [201, 204, 204, 404, 404], answers[0].text
    entries = await city.rooms.audit.newest(_auditor(), limit=20)
    entries = [one for one in entries if one.subject in (TOLD, ASKED)]
    assert [one.action for one in reversed(entries)] == [
        "subscription.create",
        "subscription.change",
        "subscription.remove",
        "source.register",
        "source.change",
        "source.remove",
    ]
    said = [one.detail.get("endpoint") for one in entries]
    assert "https://receiver.example/weather" in said and "https://broker.example/" in said
    assert KEY not in str([one.detail for one in entries])


async def test_who_subscribed_to_registrations_is_shown_to_the_same_people_and_can_be_ended(
    connected, reader_of
):
    document = {
        "type": "Subscription",
        "entities": [{"type": "BicycleCounter"}],
        "notification": {"endpoint": {"uri": f"https://watcher.example/told?key={KEY}"}},
    }
    watching = connected.rooms.federation.watching
    watcher = Actor("somebody", permissions=frozenset({"subscriptions:edit", "sources:read"}))
    wanted = parse_subscription(document, CORE, id="urn:s:watch", now=watching.now())
    await watching.add(watcher, wanted, None, None, "", tenant="")
    page = await (await reader_of("auditor")).text("/other-systems")
    assert "https://watcher.example/told" in page and "registered sources" in page and KEY not in page
    operator, path = await reader_of("operator"), "/other-systems/subscriptions"
    form = {"id": "urn:s:watch", "tenant": "", "about": "sources"}
    await operator.refused(path, {**form, "act": "remove"}, status=404)
    chief = await reader_of("administrator")
    assert "watcher.example" not in await chief.done(path, {**form, "act": "remove"})
    entries = await connected.rooms.audit.newest(_auditor(), limit=5)
    assert ("source.unsubscribe", "urn:s:watch") in [(one.action, one.subject) for one in entries]
