"""What somebody may not forge who may write entities and nothing else."""

from __future__ import annotations

import msgspec
import orjson
import pytest

from cityloom.access.accounts import SET_UP
from cityloom.access.accounts import actor_of as account_actor
from cityloom.access.ownership import BY_THEIR_ROOM_ALONE, EVIDENCE, OWNED_TYPES
from cityloom.access.roles import PERMISSIONS, SESSION_ONLY
from cityloom.kernel.actor import CITY, InformationClass
from cityloom.ngsild.model import entity, json_value, prop
from cityloom.sensing.model import Device, Profile

API = "/ngsi-ld/v1"


@pytest.fixture
async def pushes(city, visitor):
    """Sends NGSI-LD as somebody with a token: its answer."""

    await city.person("writer", "administrator")
    actor = await actor_of(city, "writer")

    async def send(method: str, path: str, body: object = None, *, permissions=("entities:write",)):
        made = await city.accounts.tokens.create(
            actor, "a program", permissions=permissions, clearance=list(InformationClass)
        )
        headers = {"authorization": f"Bearer {made.secret}"}
        return await visitor.client.request(method, API + path, json=body, headers=headers)

    return send


async def actor_of(city, name: str):
    return account_actor(await city.accounts.named(SET_UP, name))


def an(entity_type: str, **attributes) -> dict:
    said = {name: {"type": "Property", "value": value} for name, value in attributes.items()}
    return {"id": f"urn:ngsi-ld:{entity_type}:forged", "type": entity_type, "status": "open", **said}


def refused(answer, where: str) -> None:
    assert answer.status_code == 403, (answer.status_code, answer.text)
    assert answer.json()["where"] == where, answer.text


@pytest.mark.parametrize("name", OWNED_TYPES)
async def test_a_type_of_a_room_is_not_created_by_who_may_write_alone(city, pushes, name):
    refused(await pushes("POST", "/entities", an(name)), "type")
    assert city.broker.find(CITY, f"urn:ngsi-ld:{name}:forged") is None


@pytest.mark.parametrize("name", sorted(OWNED_TYPES.keys() - BY_THEIR_ROOM_ALONE))
async def test_a_type_of_a_room_is_written_by_who_has_the_room_s_permission_too(city, pushes, name):
    permissions = ("entities:write", *OWNED_TYPES[name])
    answer = await pushes("POST", "/entities", an(name), permissions=permissions)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("name", OWNED_TYPES)
async def test_all_of_a_room_s_permissions_are_needed(pushes, name):
    most = PERMISSIONS.keys() - SESSION_ONLY - {OWNED_TYPES[name][-1]}
    refused(await pushes("POST", "/entities", an(name), permissions=most), "type")


@pytest.mark.parametrize("name", sorted(BY_THEIR_ROOM_ALONE))
async def test_what_a_page_of_the_plan_guards_nobody_writes_past_it(city, pushes, name):
    every = PERMISSIONS.keys() - SESSION_ONLY
    answer = await pushes("POST", "/entities", an(name), permissions=every)
    refused(answer, "type")
    assert "on their pages alone" in answer.text
    assert city.broker.find(CITY, f"urn:ngsi-ld:{name}:forged") is None


async def test_an_initiative_is_approved_and_paid_for_on_no_way_past_its_room(city, pushes):
    initiative = "urn:ngsi-ld:Initiative:forged"
    budget = {"budget": prop({"amount": "1.00", "currency": "EUR"}), "status": prop("adopted")}
    await city.write(entity("Initiative", initiative, budget))
    before = city.broker.retrieve(CITY, initiative)
    every = PERMISSIONS.keys() - SESSION_ONLY
    for how, (path, body) in CHANGES.items():
        sent = orjson.loads(orjson.dumps(body).replace(b"Alert", b"Initiative"))
        answer = await pushes(how.split()[0], path.replace("Alert", "Initiative"), sent, permissions=every)
        assert answer.status_code in (207, 400, 403), (how, answer.status_code, answer.text)
        assert "may not write entities of the type Initiative" in answer.text, how
        assert city.broker.retrieve(CITY, initiative) == before, how
    past = f"/temporal/entities/{initiative}/attrs"
    told = {"budget": [{"type": "Property", "value": 9, "observedAt": "2026-01-01T00:00:00Z"}]}
    refused(await pushes("POST", past, told, permissions=every), "type")


ALERT = "urn:ngsi-ld:Alert:forged"
CHANGES = {
    "PUT": (f"/entities/{ALERT}", an("Alert")),
    "PATCH": (f"/entities/{ALERT}", {"status": "cleared"}),
    "DELETE": (f"/entities/{ALERT}", None),
    "POST attrs": (f"/entities/{ALERT}/attrs", {"status": "cleared"}),
    "PATCH attrs": (f"/entities/{ALERT}/attrs", {"status": "cleared"}),
    "PATCH attr": (f"/entities/{ALERT}/attrs/status", {"value": "cleared"}),
    "PUT attr": (f"/entities/{ALERT}/attrs/status", {"type": "Property", "value": "cleared"}),
    "DELETE attr": (f"/entities/{ALERT}/attrs/status", None),
    "POST upsert": ("/entityOperations/upsert", [an("Alert")]),
    "POST update": ("/entityOperations/update", [an("Alert")]),
    "POST merge": ("/entityOperations/merge", [an("Alert")]),
    "POST delete": ("/entityOperations/delete", [ALERT]),
}


@pytest.mark.parametrize("how", CHANGES)
async def test_an_alert_is_changed_on_no_way_past_its_room(city, pushes, how):
    await city.write(entity("Alert", ALERT, {"status": prop("open")}))
    path, body = CHANGES[how]
    answer = await pushes(how.split()[0], path, body)
    assert answer.status_code in (207, 400, 403), (answer.status_code, answer.text)
    assert "may not write entities of the type Alert" in answer.text
    assert city.broker.retrieve(CITY, ALERT)["attrs"]["status"][0]["value"] == "open"


async def test_an_entity_does_not_become_one_of_a_room_by_a_further_type(city, pushes):
    await city.write(entity("Event", "urn:ngsi-ld:Event:1", {"name": prop("Fair")}))
    refused(await pushes("PATCH", "/entities/urn:ngsi-ld:Event:1", {"type": "Notice"}), "type")
    refused(await pushes("POST", "/entities", {**an("Event"), "type": ["Event", "Notice"]}), "type")


async def test_nobody_takes_the_id_that_a_room_will_give(city, pushes):
    for taken in ("urn:ngsi-ld:PlanVersion:1", "urn:ngsi-ld:ContractSettlement:5f:2026-01-01"):
        thing = {**an("Thing"), "id": taken}
        refused(await pushes("POST", "/entities", thing), "type")
        batch = await pushes("POST", "/entityOperations/upsert", [thing])
        assert "may not write entities of the type" in batch.text
        assert city.broker.find(CITY, taken) is None


STATION = "urn:ngsi-ld:WeatherObserved:1"


@pytest.fixture
async def station(city):
    """A simulated station with a forecast and a reason."""
    forecast = prop(
        7.0, dataset="urn:ngsi-ld:Dataset:forecast:PT1H", attributes={"dataOrigin": prop("estimated")}
    )
    marked = prop(3, attributes={"dataOrigin": prop("estimated")})
    await city.write(
        entity(
            "WeatherObserved",
            STATION,
            {
                "temperature": [prop(6.0), forecast],
                "frostRisk": marked,
                "dataOrigin": prop("simulated"),
                "because": json_value([{"about": "type:WeatherObserved"}]),
            },
        )
    )
    return city


FORGED = {
    "another origin": ({"dataOrigin": "measured"}, "dataOrigin"),
    "no origin": ({"dataOrigin": "urn:ngsi-ld:null"}, "dataOrigin"),
    "other evidence": ({"because": {"type": "JsonProperty", "json": []}}, "because"),
    "another forecast": (
        {"temperature": {"type": "Property", "value": 59, "datasetId": "urn:ngsi-ld:Dataset:forecast:PT1H"}},
        "temperature",
    ),
    "a forecast that nobody made": (
        {"humidity": {"type": "Property", "value": 1, "datasetId": "urn:ngsi-ld:Dataset:forecast:PT9H"}},
        "humidity",
    ),
    "an estimate without its badge": ({"frostRisk": {"type": "Property", "value": 0}}, "frostRisk"),
}


@pytest.mark.parametrize("forged", FORGED)
async def test_where_things_come_from_is_said_by_the_platform_alone(station, pushes, forged):
    before = station.broker.retrieve(CITY, STATION)
    fragment, where = FORGED[forged]
    refused(await pushes("PATCH", f"/entities/{STATION}/attrs", fragment), where)
    assert station.broker.retrieve(CITY, STATION) == before


async def test_what_the_platform_said_is_not_lost_by_replacing_or_deleting(station, pushes):
    before = station.broker.retrieve(CITY, STATION)
    whole = {"id": STATION, "type": "WeatherObserved", "temperature": 1}
    refused(await pushes("PUT", f"/entities/{STATION}", whole), "dataOrigin")
    for name in ("dataOrigin", "because", "frostRisk"):
        refused(await station_delete(pushes, name), name)
    assert station.broker.retrieve(CITY, STATION) == before


async def station_delete(pushes, name: str):
    return await pushes("DELETE", f"/entities/{STATION}/attrs/{name}")


async def test_a_reading_is_written_beside_what_the_platform_said(station, pushes):
    answer = await pushes("PATCH", f"/entities/{STATION}/attrs", {"temperature": 8.5})
    assert answer.status_code == 204, answer.text
    now = station.broker.retrieve(CITY, STATION)["attrs"]
    assert [item["value"] for item in now["temperature"]] == [8.5, 7.0]
    # What only repeats the platform's words is no forgery.
    assert (
        await pushes("PATCH", f"/entities/{STATION}/attrs", {"dataOrigin": "simulated"})
    ).status_code == 204


async def test_who_creates_an_entity_may_say_that_it_is_not_measured(city, pushes):
    answer = await pushes("POST", "/entities", an("Event", dataOrigin="simulated"))
    assert answer.status_code == 201, answer.text
    for name in EVIDENCE:
        other = {**an("Event"), "id": "urn:ngsi-ld:Event:2", name: {"type": "JsonProperty", "json": []}}
        refused(await pushes("POST", "/entities", other), name)


async def test_a_device_writes_no_entity_of_a_room_whatever_its_profile(city, visitor):
    token = await city.devices.admit(
        await somebody(city), Device("d1", profile=Profile("WeatherObserved", STATION))
    )
    # A profile that was kept before the rule was there.
    record = city.devices._records["d1"]
    profile = Profile("Notice", "urn:ngsi-ld:Notice:forged")
    city.devices._records["d1"] = msgspec.structs.replace(record, device=Device("d1", profile=profile))
    answer = await visitor.client.post(
        "/hooks/http_push", json={"title": "No school"}, headers={"authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 403 and "type Notice" in answer.text, answer.text
    assert city.broker.find(CITY, "urn:ngsi-ld:Notice:forged") is None


async def test_a_device_does_not_say_itself_where_its_readings_come_from(city, visitor):
    profile = Profile("WeatherObserved", STATION)
    token = await city.devices.admit(await somebody(city), Device("d1", profile=profile))
    body = {"temperature": 5, "dataOrigin": "measured", "because": "so", "refDevice": "urn:ngsi-ld:Device:d2"}
    answer = await visitor.client.post(
        "/hooks/http_push", json=body, headers={"authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 202, answer.text
    written = city.broker.retrieve(CITY, STATION)["attrs"]
    assert set(written) == {"temperature", "refDevice"}
    assert written["refDevice"][0]["object"] == "urn:ngsi-ld:Device:d1"


async def somebody(city):
    await city.person("keeper", "administrator")
    return await actor_of(city, "keeper")
