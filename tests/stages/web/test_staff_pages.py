"""What staff does on pages: alerts, notices, initiatives, devices, parked readings, connectors."""

from __future__ import annotations

import html
import re

import pytest

from cityloom.access.authority import TERMINAL
from cityloom.kernel.actor import CITY
from cityloom.kernel.change import Because
from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.ngsild.model import entity, json_value, prop, rel, text, value_of
from cityloom.people.delivery import Channel, Recipient

LAMP = "urn:ngsi-ld:Streetlight:1"


def _version(page: str, act: str) -> str:
    return re.search(rf'name="act" value="{act}"><input type="hidden" name="version" value="([^"]*)"', page)[
        1
    ]


async def test_an_alert_goes_from_raised_to_cleared_and_back(city, reader_of):
    await city.write(entity("Streetlight", LAMP, {"name": prop("Lamp 1")}))
    operator = await reader_of("operator")
    said = await operator.refused("/alerts/new", {"description": "", "severity": "huge"})
    assert "Say what has happened." in said and "how severe" in said
    fields = {"description": "Lamp 1 is dark", "severity": "high", "category": "safety", "about": LAMP}
    page = await operator.done("/alerts/new", fields)
    assert "The alert is raised." in page and "Lamp 1 is dark" in page and f"/entities/{LAMP}" in page
    (alert,) = (await operator.data("/alerts.json"))["alerts"]
    path = alert["href"]

    page = await operator.done(path, {"act": "acknowledge", "version": _version(page, "acknowledge")})
    assert "Acknowledged." in page and "Undo" in page
    page = await operator.done(path, {"act": "comment", "comment": "On my way <soon>"})
    assert "On my way <soon>" in page
    page = await operator.done(path, {"act": "assign", "assignedTo": "night shift"})
    assert "night shift" in page
    assert "Say why." in await operator.refused(path, {"act": "clear", "why": ""})
    page = await operator.done(path, {"act": "clear", "why": "Lamp replaced"})
    assert (await operator.data(f"{path}.json"))["status"] == "cleared" and "Lamp replaced" in page
    page = await operator.done(path, {"act": "undo"})
    data = await operator.data(f"{path}.json")
    assert data["status"] == "assigned" and data["assignedTo"] == "night shift"
    assert [one["did"] for one in data["history"]][-1] == "undone"


async def test_a_decision_on_what_has_changed_meanwhile_is_refused_and_says_so(reader_of):
    operator = await reader_of("operator")
    fields = {"description": "x", "severity": "low", "category": "other"}
    page = await operator.done("/alerts/new", fields)
    path = (await operator.data("/alerts.json"))["alerts"][0]["href"]
    stale = _version(page, "acknowledge")
    await operator.done(path, {"act": "acknowledge", "version": stale})
    answer = await operator.send(path, {"act": "clear", "why": "over", "version": stale})
    assert answer.status_code == 409
    assert (await operator.data(f"{path}.json"))["status"] == "acknowledged"


async def test_an_alert_tells_why_it_was_raised(city, reader_of):
    reason = {"about": "type:Streetlight", "attribute": "powerState", "count": 12, "missing": 3}
    attributes = {
        "severity": prop("high"),
        "description": text(en="Dark", da="Mørkt"),
        "status": prop("open"),
    }
    alert = "urn:ngsi-ld:Alert:services:a%2Fb"
    await city.write(entity("Alert", alert, {**attributes, "because": json_value([reason, {"odd": 1}])}))
    operator = await reader_of("operator")
    data = await operator.data("/alerts/urn:ngsi-ld:Alert:services:a%252Fb.json")
    assert data["because"][0]["missing"] == 3 and Because(about="type:Streetlight").about
    page = await operator.text("/alerts/urn:ngsi-ld:Alert:services:a%252Fb")
    assert "12 readings" in page and "3 missing" in page
    assert 'href="/alerts/urn:ngsi-ld:Alert:services:a%252Fb"' in await operator.text("/alerts")


async def test_who_handled_an_open_alert_is_told_to_staff_alone(city, reader_of, visitor):
    history = [{"at": "2026-04-10T09:00:00Z", "by": "person:secret-name", "did": "acknowledged"}]
    attributes = {"severity": prop("high"), "status": prop("open"), "history": json_value(history)}
    await city.write(entity("Alert", "urn:ngsi-ld:Alert:1", attributes))
    assert "person:secret-name" not in await visitor.text("/alerts/urn:ngsi-ld:Alert:1")
    assert "person:secret-name" in await (await reader_of("operator")).text("/alerts/urn:ngsi-ld:Alert:1")


async def test_a_visitor_handles_no_alert(city, visitor):
    await city.write(
        entity("Alert", "urn:ngsi-ld:Alert:1", {"severity": prop("high"), "status": prop("open")})
    )
    answer = await visitor.send("/alerts/urn:ngsi-ld:Alert:1", {"act": "acknowledge"})
    assert answer.status_code == 401
    assert value_of(city.broker.find(CITY, "urn:ngsi-ld:Alert:1"), "status") == "open"


async def test_a_notice_goes_from_draft_to_everybody_and_is_withdrawn_with_a_reason(reader_of, visitor):
    operator = await reader_of("operator")
    said = await operator.refused("/notices/new", {"severity": "low", "validFrom": "tomorrow"})
    assert "Give it a title." in said and "Enter a date and time" in said
    fields = {"title_en": "Works on Ring 1", "body_en": "First.\n\nSecond.", "title_da": "Arbejde på Ring 1"}
    fields |= {"body_da": "Først.", "severity": "low", "placeName": "Ring 1", "validTo": "2026-05-01T12:00"}
    page = await operator.done("/notices/new", fields)
    assert "The draft is saved." in page and "<p>First.</p><p>Second.</p>" in page
    assert "Works on Ring 1" not in await visitor.text("/notices")
    draft = (await operator.data("/notices.json"))["drafts"][0]["href"]
    assert (await visitor.get(draft)).status_code == 404
    page = await operator.text(f"{draft}/edit")
    assert 'value="2026-05-01T12:00"' in page
    page = await operator.done(draft, {"act": "publish"})
    assert "The notice is published." in page
    assert "Works on Ring 1" in await visitor.text("/")
    visitor.client.headers["accept-language"] = "da"
    assert "Arbejde på Ring 1" in await visitor.text("/notices")
    path = (await operator.data("/notices.json"))["current"][0]["href"]
    assert "Say why." in await operator.refused(path, {"act": "withdraw", "why": " "})
    await operator.done(path, {"act": "withdraw", "why": "Done early"})
    assert "Done early" in await visitor.text(path)


async def test_a_notice_begun_from_an_alert_rests_on_it(city, reader_of, visitor):
    alert = "urn:ngsi-ld:Alert:1"
    attributes = {"severity": prop("high"), "status": prop("open"), "description": text(en="Frost tonight")}
    await city.write(entity("Alert", alert, attributes))
    operator = await reader_of("operator")
    page = await operator.text(f"/notices/new?basedOn={alert}")
    assert "Frost tonight" in page and f'name="basedOn" value="{alert}"' in page
    fields = {"title_en": "Frost", "body_en": "Cover plants.", "severity": "high", "basedOn": alert}
    await operator.done("/notices/new", fields)
    draft = (await operator.data("/notices.json"))["drafts"][0]["href"]
    await operator.done(draft, {"act": "publish"})
    notice = (await operator.data("/notices.json"))["current"][0]["href"]
    assert f"/alerts/{alert}" in await visitor.text(notice)


async def test_an_initiative_is_drafted_adopted_moved_and_taken_back(city, reader_of, visitor):
    planner = await reader_of("planner")
    said = await planner.refused("/initiatives/new", {"budget": "much"})
    assert "Give it a name." in said and "Enter a number" in said
    fields = {"name_en": "Cooler streets", "description_en": "Trees.", "budget": "1200000", "spent": "300000"}
    fields |= {"currency": "DKK", "startsAt": "2026-03-01", "endsAt": "2026-12-31", "owner": "Parks"}
    fields |= {"milestone_0_name": "First 100 trees", "milestone_0_due": "2026-04-01"}
    page = await planner.done("/initiatives/new", fields)
    assert "1,200,000\u00a0DKK" in page and "25\u00a0%" in page and "overdue" in page
    assert "Cooler streets" not in await visitor.text("/initiatives")
    (draft,) = (await planner.data("/initiatives.json"))["initiatives"]
    said = await planner.refused(draft["href"], {"act": "adopt"})
    assert "an indicator with its target" in said and "to whom it is reported" in said
    indicator = "urn:ngsi-ld:KeyPerformanceIndicator:city:X"
    await city.write(entity("KeyPerformanceIndicator", indicator, {"name": prop("Heat")}))
    fields |= {"target_0_indicator": indicator, "target_0_baseline": "9", "target_0_target": "5"}
    await planner.done(f"{draft['href']}/edit", {**fields, "target_0_due": "2026-12-31"})
    said = await planner.refused(f"{draft['href']}/edit/costs", {"currency": "DKK", "capital_0": "x"})
    assert "Enter a number" in said
    costs = {"currency": "DKK", "year_0": "2026", "capital_0": "1100000", "operating_0": "100000"}
    await planner.done(f"{draft['href']}/edit/costs", costs)
    course = {"kind": "project", "rhythm": "quarterly", "reportTo": "The council"}
    page = await planner.done(f"{draft['href']}/edit/course", {**course, "go": "on"})
    assert "Costs by year and department" in page
    await planner.done(draft["href"], {"act": "adopt"})
    (plan,) = (await visitor.data("/initiatives.json"))["initiatives"]
    path = plan["href"]
    page = await planner.done(path, {"act": "reached", "milestone": "0"})
    assert "The milestone is reached." in page and "Undo" in page
    assert (await planner.data(f"{path}.json"))["reached"] == 1
    await planner.done(path, {"act": "undo"})
    assert (await planner.data(f"{path}.json"))["reached"] == 0
    page = await planner.done(path, {"act": "move", "phase": "planned"})
    assert "The phase is now: planned." in page
    assert "Say why" in await planner.refused(path, {"act": "move", "phase": "idea"})
    page = await planner.text(f"{path}/edit")
    assert "The budget is what the cost lines come to." in page and 'value="2026-03-01"' in page
    assert (await visitor.send(path, {"act": "move", "phase": "running"})).status_code == 401


async def test_an_initiative_shows_its_indicator_before_and_after_it_began(city, reader_of):
    indicator = "urn:ngsi-ld:KeyPerformanceIndicator:city:X"
    for day, value in enumerate([9.0, 9.5, 9.2, 7.0, 6.5, 6.8]):
        at = city.clock.now().replace(day=1 + day)
        kpi = {"name": prop("Fine dust"), "kpiValue": prop(value, at=at, unit="GQ")}
        await city.write(entity("KeyPerformanceIndicator", indicator, kpi))
    planner = await reader_of("planner")
    fields = {"name_en": "Air", "description_en": "x", "startsAt": "2026-04-04"}
    fields |= {"target_0_indicator": indicator, "target_0_baseline": "9", "target_0_target": "5"}
    page = await planner.done("/initiatives/new", {**fields, "target_0_due": "2026-12-31"})
    assert "from 9\u202fµg/m³ to 5\u202fµg/m³" in page
    assert "Difference: -2.47\u202fµg/m³." in page and "not a proof" in page
    assert "beginning" in page and 'class="target"' in page


async def test_a_device_that_asks_is_admitted_sends_its_first_value_and_is_shut_out(city, reader_of, visitor):
    from cityloom.sensing.devices import Claim

    engineer = await reader_of("engineer")
    assert "No device yet" in await engineer.text("/devices")
    city.devices.authenticate(Claim(address="10.1.2.3", client_id="farm-7"))
    page = await engineer.text("/devices")
    assert "1 device wants to join" in page and "10.1.2.3" in page
    fields = {"id": "farm-7", "entityType": "WeatherObserved", "measures": "t = temperature CEL\nbad line"}
    assert "“bad line” is not of the form" in await engineer.refused("/devices/new", fields)
    fields["measures"] = "t = temperature CEL"
    answer = await engineer.send("/devices/new", fields)
    token = re.search(r'id="device-token">([^<]+)<', answer.text)[1]
    assert f"mosquitto_pub -h city.test -p 1883 -V 5 -q 1 -u farm-7 -P {token}" in answer.text
    assert (await engineer.data("/devices/farm-7/arrived.json"))["arrived"] is False

    bearer = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    pushed = await visitor.client.post("/hooks/http_push", content=b'{"t": 7.5}', headers=bearer)
    assert pushed.status_code == 202, pushed.text
    assert (await engineer.data("/devices/farm-7/arrived.json"))["arrived"] is True
    reading = await visitor.data("/entities/urn:ngsi-ld:WeatherObserved:farm-7.json")
    assert reading["values"][0]["text"] == "7.5\u202f°C"

    assert token not in await engineer.text("/devices/farm-7")
    answer = await engineer.send("/devices/farm-7", {"act": "renew"})
    assert re.search(r'id="device-token">([^<]+)<', answer.text)[1] != token
    refused = await visitor.client.post("/hooks/http_push", content=b'{"t": 8}', headers=bearer)
    assert refused.status_code == 403
    await engineer.done("/devices/farm-7", {"act": "revoke"})
    assert (await engineer.data("/devices.json"))["devices"][0]["state"] == "revoked"


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, b"{}", 403),
        ({"authorization": "Bearer nobody"}, b"{}", 403),
        ({"authorization": "Basic abc"}, b"{}", 403),
    ],
)
async def test_a_web_hook_without_a_device_s_token_is_refused(visitor, headers, body, status):
    answer = await visitor.client.post("/hooks/http_push", content=body, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json" and answer.json()["hint"]


async def test_a_device_is_put_on_the_map_with_its_place(city, reader_of, visitor):
    engineer = await reader_of("engineer")
    fields = {"id": "farm-8", "name": "Elm farm", "entityType": "WeatherObserved", "latitude": "56,15"}
    assert "A place has a latitude and a longitude" in await engineer.refused("/devices/new", fields)
    assert "Enter a number from" in await engineer.refused("/devices/new", fields | {"longitude": "1020"})
    station = "/entities/urn:ngsi-ld:WeatherObserved:farm-8"
    assert (await visitor.get(station)).status_code == 404
    await engineer.send("/devices/new", fields | {"longitude": "10.2"})
    (shown,) = (await visitor.data("/map.json?type=WeatherObserved"))["features"]
    assert shown["geometry"]["coordinates"] == [10.2, 56.15]
    assert "Elm farm" in await visitor.text(station)


async def test_a_wrong_reading_is_parked_shown_and_tried_again(city, reader_of, visitor):
    from cityloom.sensing.model import Device, Measure, Profile

    engineer = await reader_of("engineer")
    profile = Profile(
        "WeatherObserved", "urn:ngsi-ld:WeatherObserved:1", {"t": Measure("temperature", "CEL")}
    )
    actor = await city.accounts.actor_for_session(engineer.client.cookies["cityloom_session"])
    token = await city.devices.admit(actor, Device("w-1", profile=profile))
    bearer = {"authorization": f"Bearer {token}"}
    answer = await visitor.client.post("/hooks/http_push", content=b'{"t": "<hot>"}', headers=bearer)
    assert answer.status_code == 400 and "kept among the parked" in answer.json()["hint"]
    page = await engineer.text("/parked")
    assert '{"t": "<hot>"}' in page and "w-1" in page
    (parked,) = (await engineer.data("/parked.json"))["parked"]
    page = await engineer.done("/parked", {"act": "retry", "id": str(parked["id"])})
    assert "Stored: 0. Parked again: 1." in page
    (tried,) = [one for one in await city.audit.newest(TERMINAL) if one.action == "parked.retry"]
    assert tried.actor_id == actor.id and tried.detail == {"ids": [parked["id"]]}
    (parked,) = (await engineer.data("/parked.json"))["parked"]
    page = await engineer.done("/parked", {"act": "discard", "id": str(parked["id"])})
    assert "1 message is forgotten." in page and "Nothing is parked" in page
    (written,) = [one for one in await city.audit.newest(TERMINAL) if one.action == "parked.discard"]
    assert written.actor_id == actor.id and written.detail == {"ids": [parked["id"]]}


async def test_a_service_that_is_set_going_by_hand_stands_in_the_audit_log(city, reader_of):
    engineer = await reader_of("engineer")
    assert (await engineer.send("/services/frost", {"act": "run"})).status_code == 404
    (written,) = [one for one in await city.audit.newest(TERMINAL) if one.action == "service.run"]
    assert written.subject == "frost"


async def test_a_connector_is_stopped_and_started_again(city, reader_of):
    engineer, operator = await reader_of("engineer"), await reader_of("operator")
    page = await engineer.done("/connectors/http_push", {"act": "stop"})
    assert "Done." in page and "Undo" in page
    assert [one.state for one in city.connectors.statuses()] == ["stopped"]
    assert (await operator.send("/connectors/http_push", {"act": "start"})).status_code == 403
    await engineer.done("/connectors/http_push", {"act": "start"})
    assert [one.state for one in city.connectors.statuses()] != ["stopped"]
    assert (await engineer.send("/connectors/nobody", {"act": "stop"})).status_code == 404


async def test_a_warning_is_confirmed_by_the_one_it_was_sent_to(city, reader_of, visitor):
    grower = await reader_of("citizen", name="grower")
    operator = await reader_of("operator")
    people = {
        token: await city.accounts.actor_for_session(reader.client.cookies["cityloom_session"])
        for token, reader in (("grower", grower), ("operator", operator))
    }
    recipient = Recipient(
        id="urn:ngsi-ld:WarningRecipient:7",
        name="Farm 7",
        audience=("growers",),
        channels=(Channel("page"),),
        account=people["grower"].id,
    )
    await city.deliveries.register(people["operator"], recipient)
    attributes = {
        "severity": prop("high"),
        "status": prop("open"),
        "description": text(en="Frost tonight, -2 °C"),
        "audience": prop(["growers"]),
        "confirmWithin": prop("PT45M"),
        "raisedBy": prop("frost"),
        "alertSource": rel(LAMP),
    }
    await city.write(entity("Alert", "urn:ngsi-ld:Alert:1", attributes))
    page = await grower.text("/")
    assert "Warnings for you" in page and "Frost tonight, -2 °C" in page
    assert "Frost tonight" not in await visitor.text("/warnings")
    page = await operator.text("/alerts/urn:ngsi-ld:Alert:1")
    assert "Who was warned" in page and "Farm 7" in page
    (warning,) = (await grower.data("/warnings.json"))["warnings"]
    assert (await visitor.send(warning["href"], {})).status_code == 401
    await grower.done(warning["href"], {})
    assert (await grower.data("/warnings.json"))["warnings"][0]["status"] == "confirmed"
    assert "This code confirms nothing." in await visitor.refused("/warnings/code", {"code": "aaaaa-bbbbb"})


# One person's data


async def test_a_person_is_looked_up_and_erased_in_danish(visitor, reader_of):
    report = {"category": "road", "description": "Et hul", "latitude": "56,05", "longitude": "8,95"}
    mine = {"email": "bodil@example.org", "phone": "+45 21 22 23 24"}
    assert (await visitor.send("/report", {**report, **mine})).status_code == 303
    reader = await reader_of("data_protection_officer", language="da")
    said = await reader.refused("/persons", {"act": "look", "phone": "12 34 56 78"}, status=404)
    assert "findes ikke en gang til" in said
    found = await reader.send("/persons", {"act": "look", "phone": "21222324"})
    assert "Henvendelse<br>" in html.unescape(found.text)
    whose = {"email": "Bodil@example.org"}
    page = html.unescape((await reader.send("/persons", {"act": "look", **whose})).text)
    assert "Henvendelse<br>" in page and "Beskrivelse, Sted" in page
    page = html.unescape((await reader.send("/persons", {"act": "erase", "sure": "yes", **whose})).text)
    assert "intet er slettet endnu" in page and "Bekræft: slet for altid" not in page
    order = re.search(r"erasure:[\w-]+", page)[0]
    confirmed = {"act": "confirm", "order": order, "sure": "yes"}
    await reader.refused("/persons", confirmed, status=403)
    second = await reader_of("data_protection_officer", language="da", name="second")
    assert "Bekræft: slet for altid" in await second.text("/persons")
    await second.refused("/persons", {**confirmed, "sure": ""})
    page = html.unescape((await second.send("/persons", confirmed)).text)
    assert "Slettet for altid. 1 entitet, " in page and "I revisionsloggen hedder det" in page
    assert order not in await second.text("/persons")
    await reader.refused("/persons", {"act": "look", **whose}, status=404)


async def test_what_a_room_finds_wrong_with_a_person_or_a_report_is_said_in_danish(
    city, visitor, reader_of, monkeypatch
):
    async def refuses(*_given, **_more):
        hint = Worded("Write a number.")
        raise BadInput(Worded("The denominator is not above 0"), hint=hint, where="location.1")

    monkeypatch.setattr(city.rooms.erasure, "look", refuses)
    monkeypatch.setattr(city.rooms.reports, "submit", refuses)
    reader = await reader_of("data_protection_officer", language="da")
    said = await reader.refused("/persons", {"act": "look", "phone": "12 34 56 78"})
    assert "Nævneren er ikke over 0" in said
    report = {"category": "road", "description": "Et hul", "latitude": "56,05", "longitude": "8,95"}
    assert "Nævneren er ikke over 0" in await reader.refused("/report", report)
