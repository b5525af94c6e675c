"""A device from "wants to join" to its readings on a page, its command, and its silence."""

from __future__ import annotations

import json
import queue
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx2
import paho.mqtt.client as paho
import pytest

DEVICE, THING = "mill-7", "urn:ngsi-ld:WeatherObserved:mill-7"
PAGE = f"/entities/{THING}"


class Station:
    """A weather station with a real MQTT client."""

    def __init__(self, port: int, token: str, patience: float) -> None:
        self.heard: queue.Queue[bytes] = queue.Queue()
        self.answers: queue.Queue[str] = queue.Queue()
        self.patience = patience
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, "mill", protocol=paho.MQTTv5)
        self.client.username_pw_set(DEVICE, token)
        self.client.will_set(f"cityloom/{DEVICE}/status", "offline", qos=1, retain=True)
        self.client.on_connect = lambda _client, _data, _flags, reason, _more: self.answers.put(str(reason))
        self.client.on_message = lambda _client, _data, message: self.heard.put(message.payload)
        self.client.on_subscribe = lambda *_: self.answers.put("subscribed")
        self.client.on_publish = lambda _client, _data, _id, reason, more: self.answers.put(
            getattr(more, "ReasonString", "") or str(reason)
        )
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def answer(self) -> str:
        return self.answers.get(timeout=self.patience)

    def publish(self, **reading: object) -> str:
        """What the city says to a reading, once it is durable."""
        self.client.publish(f"cityloom/{DEVICE}/readings", json.dumps(reading), qos=1)
        return self.answer()

    def vanish(self) -> None:
        """The line is cut: nobody says goodbye."""
        self.client._sock_close()  # the connection breaks, as by a power cut
        self.client.loop_stop()


@contextmanager
def station(town, token: str, patience: float = 60):
    made = Station(town.mqtt_port, token, patience)
    try:
        yield made
    finally:
        made.client.loop_stop()


@pytest.fixture(scope="session")
def admitted(town) -> str:
    """The token of the device, which was refused first and admitted then."""
    with station(town, "guess") as refused:
        assert refused.answer() == "Not authorized"
    page = town.administrator.open("/devices")
    assert "127.0.0.1" in page.row(DEVICE)
    form = page.follow(f"Admit {DEVICE}")
    done = form.press(
        "Admit the device",
        entityType="WeatherObserved",
        name="Station at the mill",
        measures="t = temperature CEL\nrh = relativeHumidity P1",
        timeField="ts",
    )
    assert "mosquitto_pub" in done.text and f"-p {town.mqtt_port}" in done.text
    token = done.part("device-token")
    assert token not in town.administrator.open(f"/devices/{DEVICE}").html
    return token


def test_reading_is_on_the_page_and_leads_back_to_its_device(town, admitted, until):
    with station(town, admitted) as mill:
        assert mill.answer() == "Success"
        for minutes, temperature in ((2, 6.5), (1, 7.0), (0, 7.5)):
            at = datetime.now(UTC) - timedelta(minutes=minutes)
            assert mill.publish(t=temperature, rh=81, ts=at.isoformat()) == "Success"
    visitor = town.stranger()
    assert town.administrator.data(f"/devices/{DEVICE}/arrived.json") == {"arrived": True, "entity": THING}
    page = visitor.open(PAGE)
    assert "7.5 °C" in page.row("Temperature") and "81 %" in page.row("humidity")
    assert until(lambda: len(visitor.data(f"{PAGE}.json?attribute=temperature")["history"]) == 3)
    rows = page.follow("This course as CSV").html.splitlines()
    assert [row.split(",")[5] for row in rows[1:]] == ["6.5", "7.0", "7.5"]
    assert len(visitor.open(f"{PAGE}.csv").html.splitlines()) == 1 + 6 + 1, "its device is told too"
    told = visitor.client.get(f"/ngsi-ld/v1/entities/{THING}").json()
    assert (told["temperature"]["value"], told["temperature"]["unitCode"]) == (7.5, "CEL")
    way = page.follow("How do we know?")
    assert "3 readings" in way.text
    assert "Station at the mill" not in way.text, "devices are internal"
    assert "Station at the mill" in town.administrator.open(way.path).text


def test_wrong_reading_is_parked_with_its_reason_and_can_be_tried_again(town, admitted):
    operator = town.person("pia", "operator")
    with station(town, admitted) as mill:
        assert mill.answer() == "Success"
        assert "does not say when" in mill.publish(t=7.5)
        assert "warm" in mill.publish(t="warm", rh=82, ts=datetime.now(UTC).isoformat())
    page = operator.open("/parked")
    row = page.row(DEVICE)
    assert '"warm" is not of type "number"' in row
    assert "at temperature" in row and '"rh": 82' in row
    chosen = next(value for form in page.forms for value in form.names if value == "id")
    number = operator.data("/parked.json")["parked"][0]["id"]
    again = page.press("Try the chosen ones again", **{chosen: [str(number)]})
    assert "Parked again: 1." in again.text
    forgotten = again.press(
        "Forget the chosen ones", id=[str(operator.data("/parked.json")["parked"][0]["id"])]
    )
    assert "1 message is forgotten" in forgotten.text


def test_command_reaches_the_device_and_its_silence_is_seen(town, admitted, until):
    engineer = town.person("emma", "engineer")
    token = (
        engineer.open("/account")
        .press(
            "Make the token",
            label="commands",
            permissions=["entities:write", "connectors:manage"],
            classes=["open", "internal"],
        )
        .part("new-token")
    )
    program = httpx2.Client(
        base_url=town.running.address, headers={"authorization": f"Bearer {token}"}, timeout=60
    )
    with station(town, admitted) as mill, program:
        assert mill.answer() == "Success"
        mill.client.subscribe(f"cityloom/{DEVICE}/commands", 1)
        assert mill.answer() == "subscribed"
        wish = {
            "id": "urn:ngsi-ld:Command:heat",
            "type": "Command",
            "command": {"type": "Property", "value": "heat"},
            "commandValue": {"type": "Property", "value": {"seconds": 20}},
            "refDevice": {"type": "Relationship", "object": f"urn:ngsi-ld:Device:{DEVICE}"},
            "status": {"type": "Property", "value": "wished"},
        }
        reply = program.post("/ngsi-ld/v1/entities", json=wish)
        assert reply.status_code == 201, reply.text
        told = json.loads(mill.heard.get(timeout=mill.patience))
        assert (told["command"], told["value"]) == ("heat", {"seconds": 20})
        until(
            lambda: program.get(f"/ngsi-ld/v1/entities/{wish['id']}").json()["status"]["value"] == "delivered"
        )
        until(lambda: "online" in engineer.open("/devices").row("Station at the mill"))
        mill.vanish()
        until(lambda: "offline" in engineer.open("/devices").row("Station at the mill"))


def test_device_that_is_shut_out_stays_out(town):
    page = town.administrator.open("/devices/new")
    done = page.press("Admit the device", id="lost-1", entityType="WeatherObserved")
    push = {"authorization": f"Bearer {done.part('device-token')}"}
    hook = f"{town.running.address}/hooks/http_push"
    assert httpx2.post(hook, json={"temperature": 4.5}, headers=push).status_code == 202
    assert "shut out" in done.press("Shut it out").text
    assert httpx2.post(hook, json={"temperature": 4.5}, headers=push).status_code == 403
    assert "4.5" in town.stranger().open("/entities/urn:ngsi-ld:WeatherObserved:lost-1").row("Temperature")
