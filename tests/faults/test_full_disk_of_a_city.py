"""A city whose disk is full says so, acknowledges nothing, shows what it knows, and goes on by itself."""

from __future__ import annotations

import json
import queue
import re
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import httpx2
import paho.mqtt.client as paho
import pytest
from small_disk import small_disk, why_not

from plain_browser import Browser
from running_city import RunningCity, ask

ANSWERS = ("--name", "Fullby", "--time-zone", "Europe/Copenhagen", "--place", "9.0,56.0", "--language", "en")
PASSWORD = "seven quiet lanterns"
PATIENCE = 90
THING = "urn:ngsi-ld:WeatherObserved:mill-7"


pytestmark = [pytest.mark.faults, pytest.mark.skipif(bool(why_not()), reason=why_not())]


def fill(ballast: Path) -> None:
    """Take all room that is left."""
    with ballast.open("ab", buffering=0) as file:
        for piece in (1 << 20, 1 << 12, 1):
            try:
                while file.write(b"\0" * piece):
                    pass
            except OSError:
                continue


def until(look: Callable, what: str, city: RunningCity):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what} did not come about:\n{city.said[-3000:]}")


class People:
    """An administrator at a browser, a program with a token, and a device, of a city that has just begun."""

    def __init__(self, city: RunningCity) -> None:
        self.admin = Browser(city.address)
        first = re.search(r"password (\S+)", city.said)[1]
        self.admin.open("/sign-in").press("Sign in", name="admin", password=first)
        self.admin.open("/password").press(
            "Save the password", current=first, password=PASSWORD, again=PASSWORD
        )
        form = self.admin.open("/devices/new")
        admitted = form.press(
            "Admit the device", id="mill-7", entityType="WeatherObserved", measures="t = temperature CEL"
        )
        self.program = httpx2.Client(base_url=city.address, headers=city.as_terminal, timeout=60)
        self.acknowledged: queue.Queue[int] = queue.Queue()
        self.device = paho.Client(
            paho.CallbackAPIVersion.VERSION2, "mill", protocol=paho.MQTTv311, clean_session=False
        )
        self.device.username_pw_set("mill-7", admitted.part("device-token"))
        self.device.reconnect_delay_set(1, 1)
        self.device.on_publish = lambda _client, _data, number, *_: self.acknowledged.put(number)
        port = re.search(r"MQTT\s+127\.0\.0\.1:(\d+)", city.said)[1]
        self.device.connect("127.0.0.1", int(port))
        self.device.loop_start()

    def measure(self, temperature: float) -> int:
        """A reading is sent; its number, which comes up in `acknowledged` once it is stored."""
        return self.device.publish("cityloom/mill-7/readings", json.dumps({"t": temperature}), qos=1).mid

    def mark(self, number: int) -> httpx2.Response:
        note = {"type": "Property", "value": "x" * 100_000}
        entity = {"id": f"urn:ngsi-ld:Mark:{number}", "type": "Mark", "note": note}
        return self.program.post("/ngsi-ld/v1/entities", json=entity)

    def leave(self) -> None:
        self.device.disconnect()
        self.device.loop_stop()
        self.admin.close()
        self.program.close()


def a_photo(shade: int) -> bytes:
    """A grey square as PNG."""
    head = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes([shade]) * 8) * 8)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in ((b"IHDR", head), (b"IDAT", rows), (b"IEND", b""))
    )


def send_report(city: RunningCity, words: str, shade: int) -> httpx2.Response:
    """A citizen's report with a photo; the answer, whatever it is."""
    with httpx2.Client(base_url=city.address, timeout=60, follow_redirects=True) as citizen:
        token = re.search(r'name="form_token" value="([^"]+)"', citizen.get("/report").text)[1]
        fields = {"form_token": token, "category": "lighting", "description": words}
        return citizen.post(
            "/report",
            data={**fields, "latitude": "56.001", "longitude": "9.001"},
            files={"photo": ("lamp.png", a_photo(shade), "image/png")},
        )


def temperatures(city: RunningCity) -> list[float]:
    asked = {
        "attrs": "temperature",
        "options": "temporalValues",
        "timerel": "after",
        "timeAt": "2020-01-01T00:00:00Z",
    }
    found = city.web.get(f"/ngsi-ld/v1/temporal/entities/{THING}", params=asked)
    return (
        [value for value, _ in found.json().get("temperature", {"values": []})["values"]]
        if found.status_code == 200
        else []
    )


def marks(city: RunningCity) -> set[str]:
    found = city.web.get("/ngsi-ld/v1/entities", params={"type": "Mark", "pick": "id", "limit": 1000})
    return {one["id"] for one in found.json()}


def test_a_city_with_a_full_disk_says_so_and_goes_on_by_itself_once_there_is_room(tmp_path: Path):
    home = tmp_path / "town"
    with small_disk(home):
        ask("init", "--home", home, *ANSWERS)
        city = RunningCity(home, "up")
        try:
            known = run(city, home)
            # Whoever stops it while the disk is full loses nothing either.
            fill(home / "ballast")
        finally:
            status = city.stop()
        assert status == 0, city.said
        (home / "ballast").unlink()
        again = RunningCity(home, "up")
        try:
            assert marks(again) == known
            assert temperatures(again) == [1.5, 2.5, 3.5]
        finally:
            assert again.stop() == 0


def run(city: RunningCity, home: Path) -> set[str]:
    """Fill the disk of a city and empty it again; the marks that were acknowledged."""
    people = People(city)
    first = people.measure(1.5)
    assert people.acknowledged.get(timeout=PATIENCE) == first
    assert people.mark(0).status_code == 201
    before = send_report(city, "The lamp by the mill is dark", 20)
    assert before.status_code == 200, before.text
    until(lambda: temperatures(city) == [1.5], "history", city)
    ballast = home / "ballast"
    fill(ballast)

    stored = {"urn:ngsi-ld:Mark:0"}
    for number in range(1, 1000):
        reply = people.mark(number)
        if reply.status_code != 201:
            break
        stored.add(f"urn:ngsi-ld:Mark:{number}")
    fill(ballast)
    reply = people.mark(1000)
    assert reply.status_code == 507, reply.text
    assert "disk is full" in reply.json()["detail"] and "room" in reply.json()["hint"]
    batch = [{"id": f"urn:ngsi-ld:Mark:b{one}", "type": "Mark"} for one in range(300)]
    many = people.program.post("/ngsi-ld/v1/entityOperations/upsert", json=batch)
    assert many.status_code == 507, many.text
    # Forms are told so on a page.
    refused = send_report(city, "The bench is broken", 40)
    assert refused.status_code == 507 and "The city&#39;s disk is full" in refused.text, refused.text
    # What is known can be looked at, with and without a session.
    for path in (
        "/",
        "/map",
        "/entities",
        "/alerts",
        "/indicators",
        "/reports",
        f"/entities/{THING}",
        "/about",
    ):
        assert city.web.get(path).status_code == 200, path
        people.admin.open(path)
    for path in ("/system", "/devices", "/parked", "/accounts", "/services"):
        people.admin.open(path)
    assert "disk is nearly full" in people.admin.open("/system").text
    assert city.web.get("/readyz").status_code == 200
    assert marks(city) == stored
    assert temperatures(city) == [1.5]
    # A device is not told that what is not stored is stored.
    second = people.measure(2.5)
    until(lambda: "The disk is full" in people.admin.open("/services").text, "the connector's trouble", city)
    assert people.acknowledged.empty()
    assert temperatures(city) == [1.5]

    ballast.unlink()
    assert until(lambda: people.mark(2000).status_code in (201, 409), "a write", city)
    stored.add("urn:ngsi-ld:Mark:2000")
    assert people.acknowledged.get(timeout=PATIENCE) == second
    third = people.measure(3.5)
    assert people.acknowledged.get(timeout=PATIENCE) == third
    done = send_report(city, "The bench is broken", 40)
    assert done.status_code == 200, done.text
    assert "The bench is broken" in people.admin.open("/reports").text
    until(lambda: temperatures(city) == [1.5, 2.5, 3.5], "history", city)
    until(lambda: "Everything answers" in people.admin.open("/system").text, "the end of the trouble", city)
    people.leave()
    return stored
