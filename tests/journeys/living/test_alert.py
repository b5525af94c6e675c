"""An alert of a service: handled step by step, told to the public, and followed back to its readings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from running_city import ask

HOUSE = "urn:ngsi-ld:WeatherObserved:hothouse-1"


@pytest.fixture(scope="module")
def alert(town, until) -> str:
    """The path of the alert that the town's own service raises when its hothouse is hot."""
    page = town.administrator.open("/devices/new").press(
        "Admit the device",
        id="hothouse-1",
        entityType="WeatherObserved",
        measures="t = temperature CEL",
        timeField="ts",
        name="Thermometer in the hothouse",
    )
    now = datetime.now(UTC)
    readings = [{"t": 33.0, "ts": (now - timedelta(minutes=5 * n)).isoformat()} for n in range(10, 0, -1)]
    pushed = httpx2.post(
        f"{town.running.address}/hooks/http_push",
        json=readings,
        headers={"authorization": f"Bearer {page.part('device-token')}"},
    )
    assert pushed.status_code == 202
    operator = town.person("lone", "operator")
    until(lambda: "33.0 °C in the last hour" in operator.open("/alerts").text, "an alert of the service")
    return operator.open("/alerts").link("33.0 °C in the last hour")


def test_alert_says_why_and_leads_back_to_readings_and_device(town, alert):
    operator = town.person("lone", "operator")
    page = operator.open(alert)
    assert "Heat watch" in page.row("Raised by")
    assert "Temperature" in page.row("hothouse-1") and "reading" in page.row("hothouse-1")
    way = page.follow("How do we know?")
    assert "Temperature: 10 readings" in way.text
    assert "Thermometer in the hothouse" in way.text
    told = ask("follow", operator.data(f"{alert}.json")["id"], "--home", town.running.home)
    assert "temperature: 10 readings" in told and "refDevice: Thermometer in the hothouse" in told
    forward = ask("follow", HOUSE, "--home", town.running.home)
    assert "33.0 °C in the last hour" in forward.partition("What rests on it?")[2]


def test_alert_is_handled_step_by_step_and_each_step_is_in_the_audit_log(town, alert):
    operator = town.person("lone", "operator")
    page = operator.open(alert).press("Acknowledge")
    page = page.press("Assign", assignedTo="the gardeners", note="They have the key")
    page = page.press("Add the comment", comment="The windows are open now.")
    old = operator.open(alert)
    page = page.press("Clear the alert", why="It has cooled down.")
    steps = ("acknowledged", "assigned → the gardeners They have the key", "cleared It has cooled down.")
    for did in (*steps, "The windows are open now."):
        assert "lone" in page.row(did)
    overrun = old.press("Clear the alert", why="I was slow.")
    assert overrun.status == 409 and "I was slow." in overrun.text
    assert "Taken back." in page.press("Take back the last step").text
    auditor = town.person("axel", "auditor")
    log = auditor.open("/system")
    for act in (
        "took an alert on",
        "gave an alert to somebody",
        "remarked on an alert",
        "said that an alert is over",
        "took a decision on an alert back",
    ):
        assert "lone" in log.row(act)
    assert "The audit log is whole" in log.press("Verify the log").text


def test_notice_that_rests_on_an_alert_is_read_by_everybody_and_followed_back(town, alert):
    operator, citizen = town.person("lone", "operator"), town.stranger()
    form = operator.open(alert).follow("Tell the public")
    assert "33.0 °C in the last hour" in form.text
    draft = form.press("Save", title_en="It is hot in the botanical garden")
    assert "The draft is saved" in draft.text
    assert "botanical" not in citizen.open("/notices").text
    assert draft.press("Publish it").text.count("The notice is published.") == 1
    assert "botanical" in citizen.open("/").text
    seen = citizen.open("/notices").follow("It is hot in the botanical garden")
    assert "in the last hour" in seen.text
    way = seen.follow("How do we know?")
    assert "for staff only" in way.text, "the alert is internal"
    behind = operator.open(way.path).text
    assert "Temperature: 10 readings" in behind and "Thermometer in the hothouse" in behind
    before = operator.open(f"/follow/{HOUSE}").text.partition("What rests on it")[2]
    assert "It is hot in the botanical garden" in before
    gone = operator.open(seen.path).press("Withdraw the notice", why="It rains.")
    assert "The notice is withdrawn." in gone.text
    log = town.person("axel", "auditor").open("/system")
    assert "lone" in log.row("published a notice") and "lone" in log.row("withdrew a notice")
    assert "It rains." in citizen.open(seen.path).text and "botanical" not in citizen.open("/").text
