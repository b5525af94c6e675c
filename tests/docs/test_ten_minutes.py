"""The tutorial, from an empty folder to a reading on a page, as it stands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import paho.mqtt.client as mqtt_client
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from plain_browser import Browser
from running_city import COMMAND, RunningCity, ask

ROOT = Path(__file__).parents[2]
TUTORIAL = (ROOT / "docs/start/ten_minutes.md").read_text(encoding="utf-8")
STEPS = dict(re.findall(r"^## (\d)\. .+?\n(.*?)(?=^## |\Z)", TUTORIAL, re.S | re.M))
OWN_PASSWORD = "seven quiet lanterns"
PATIENCE = 30


def commands(step, program):
    """The words for a program in the lines of a step."""
    return [shlex.split(line) for line in re.findall(rf"^\$ {program} (.*)$", STEPS[step], re.M)]


def blocks(step):
    return re.findall(r"```http\n(.*?)```", STEPS[step], re.S)


def eventually(look):
    until = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.05)
    return found


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    (words,) = commands("2", "cityloom")
    assert words == ["up", "--home", "trial", "--open-access"]
    city = RunningCity(tmp_path_factory.mktemp("tutorial") / "trial", "up", "--open-access")
    yield city
    city.stop()


@pytest.fixture(scope="module")
def answers(trial):
    """What the requests of the tutorial are answered, in its order."""
    found = []
    for block in blocks("3") + blocks("4"):
        head, _, body = block.partition("\n\n")
        first, *headers = head.strip().splitlines()
        method, target = first.split(" ", 1)
        said = dict(line.split(": ", 1) for line in headers)
        found.append(trial.web.request(method, target, headers=said, content=body.strip() or None))
    return found


def test_the_first_step_makes_what_the_others_need():
    (target,) = re.findall(r"^\$ make (\S+)$", STEPS["1"], re.M)
    assert re.search(rf"^{target}: .*built/\.done", (ROOT / "Makefile").read_text(), re.M)
    assert ask(*commands("1", "cityloom")[0]).startswith("cityloom ")


def test_the_requests_do_what_the_text_says(trial, answers):
    assert [answer.status_code for answer in answers] == [201, 200, 200, 204, 200]
    assert answers[1].json()["temperature"] == 1.5
    assert [one["id"] for one in answers[2].json()] == ["urn:ngsi-ld:WeatherObserved:mast"]

    def both():
        told = trial.web.get(answers[4].request.url).json().get("temperature", {}).get("values", [])
        return told if len(told) == 2 else None

    assert [pair[0] for pair in eventually(both)] == [1.5, -0.5]
    assert "Mast by the mill" in trial.web.get("/map.json").text


def test_the_line_for_curl_is_one_that_curl_takes(trial, tmp_path):
    (words,) = commands("3", "curl")
    body = blocks("3")[0].partition("\n\n")[2]
    (tmp_path / "mast.json").write_text(body.replace(":mast", ":mast-by-curl"))
    here = [word.replace("http://127.0.0.1:8080", trial.address) for word in words]
    done = subprocess.run(
        ["curl", "--silent", *here], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.startswith("HTTP/1.1 201 "), done.stderr


def test_follow_prints_the_way_in_the_terminal(trial, answers):
    (words,) = commands("5", "cityloom")
    assert words[-1] == "trial", "it is the city that the reader has running"
    eventually(lambda: "temperature: 2 readings" in ask(*words[:-1], trial.home))


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tutorial")
    *made, up = commands("6", "cityloom")
    for words in made:
        done = subprocess.run([*COMMAND, *words], cwd=folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
    assert [words[0] for words in made] == ["init", "check"]
    city = RunningCity(folder / up[-1], *up[:1])
    yield city
    city.stop()


def test_a_device_is_admitted_as_the_text_says_and_its_reading_is_on_its_page(town):
    first = eventually(lambda: re.search(r"password (\S+)", town.said))[1]
    port = int(re.search(r"MQTT +127\.0\.0\.1:(\d+)", town.said)[1])
    browser = Browser(town.address)
    page = browser.open("/sign-in").press("Sign in", name="admin", password=first)
    assert page.path == "/password"
    page.press("Save the password", current=first, password=OWN_PASSWORD, again=OWN_PASSWORD)
    device, kind, measures = re.search(r"id `([^`]+)`, type `([^`]+)`, .*?`([^`]+)`", STEPS["7"]).groups()
    page = browser.open("/devices/new").press(
        "Admit the device", id=device, entityType=kind, measures=measures
    )
    token = page.part("device-token")
    (words,) = commands("7", "mosquitto_pub")
    said = dict(zip(words[::2], words[1::2], strict=True))
    assert said["-u"] == device

    client = mqtt_client.Client(mqtt_client.CallbackAPIVersion.VERSION2, protocol=mqtt_client.MQTTv5)
    heard = []
    client.on_publish = lambda _client, _data, _number, reason, _more: heard.append(reason.value)
    client.username_pw_set(said["-u"], token)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        client.publish(said["-t"], said["-m"], qos=int(said["-q"]))
        assert eventually(lambda: heard) == [0]
    finally:
        client.disconnect()
        client.loop_stop()
    shown = browser.open(f"/entities/urn:ngsi-ld:{kind}:{device}")
    assert "1.5 °C" in shown.row("Temperature")
    browser.close()
