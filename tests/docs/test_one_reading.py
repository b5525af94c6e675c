"""The page that follows one reading shows what a city really answers."""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import paho.mqtt.client as mqtt_client
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from cityloom.sensing.mqtt.encoding import encode
from cityloom.sensing.mqtt.packets import Publish
from running_city import COMMAND, RunningCity

PAGE = (Path(__file__).parents[2] / "docs/explain/one_reading.md").read_text(encoding="utf-8")
STEPS = {title[0]: text for title, text in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.S | re.M)}
LIGHT = "urn:ngsi-ld:Streetlight:lamp-17"
INDICATOR = "urn:ngsi-ld:KeyPerformanceIndicator:city:S2"
PATIENCE = 30


def shown(step, language):
    """The only block of a step in a language."""
    (block,) = re.findall(rf"```{language}\n(.*?)```", STEPS[step], re.S)
    return block


def told(step):
    """Topic and payload of the message that a step publishes."""
    (command,) = re.findall(r"^\$ mosquitto_pub (.*)$", STEPS[step], re.M)
    words = shlex.split(command)
    return words[words.index("-t") + 1], words[words.index("-m") + 1]


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    home = tmp_path_factory.mktemp("reading") / "town"
    home.mkdir()
    (home / "city.toml").write_text(re.search(r"```toml\n(.*?)```", PAGE, re.S)[1])
    return home


@pytest.fixture(scope="module")
def heard(town):
    """What the city answers after the two messages, and what stands in its feed once it has stopped."""
    city = RunningCity(town, "up", "--open-access")
    try:
        reasons = [publish(city, *told(step)) for step in "17"]
        answers = {
            "2": city.web.get(f"/ngsi-ld/v1/entities/{LIGHT}").json(),
            "4": eventually(
                lambda: city.web.get(f"/ngsi-ld/v1/temporal/entities/{LIGHT}").json(),
                lambda it: "status" in it,
            ),
            "7": city.web.get("/parked.json").json()["parked"][0],
        }
    finally:
        city.stop()
    return answers, reasons


@pytest.fixture(scope="module")
def restarted(town, heard):
    city = RunningCity(town, "up", "--open-access")
    yield city
    city.stop()


def publish(city, topic, payload):
    """The reason code of the acknowledgement."""
    port = int(eventually(lambda: re.search(r"MQTT +\S+:(\d+)", city.said), bool)[1])
    reasons = []
    client = mqtt_client.Client(mqtt_client.CallbackAPIVersion.VERSION2, protocol=mqtt_client.MQTTv5)
    client.on_publish = lambda _client, _data, _number, reason, _properties: reasons.append(reason.value)
    client.username_pw_set("lamp-17", "TOKEN")
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        client.publish(topic, payload, qos=1)
        return eventually(lambda: reasons, bool)[0]
    finally:
        client.disconnect()
        client.loop_stop()


def eventually(ask, good):
    until = time.monotonic() + PATIENCE
    while not good(found := ask()):
        assert time.monotonic() < until, found
        time.sleep(0.05)
    return found


def holds(shown, real):
    """Whether all that is shown is so; there may be more."""
    if isinstance(shown, dict):
        return all(name in real and holds(value, real[name]) for name, value in shown.items())
    if isinstance(shown, list):
        return len(shown) == len(real) and all(map(holds, shown, real))
    return shown == real


def test_the_packet_is_the_one_that_a_client_sends():
    topic, payload = told("1")
    packet = encode(Publish(topic, payload.encode(), qos=1, packet_id=1), 5)
    assert packet.startswith(bytes.fromhex(shown("1", "hex")))
    assert b"{" in bytes.fromhex(shown("1", "hex"))


@pytest.mark.parametrize("step", ["2", "4", "7"])
def test_each_step_answers_what_is_shown(heard, step):
    answers, _ = heard
    block = json.loads(shown(step, "json"))
    assert holds(block, answers[step]), answers[step]


def test_the_right_message_is_acknowledged_and_the_wrong_one_is_called_so(heard):
    _, reasons = heard
    assert reasons == [0, 0x99]


def test_the_feed_holds_what_is_shown(town, heard):
    rows = dict(re.findall(r"^\| `(\w+)` \| `([^`]+)` \|$", STEPS["3"], re.M))
    assert len(rows) == 5
    feed = sqlite3.connect(f"file:{town / 'feed.db'}?mode=ro", uri=True)
    (real,) = feed.execute(f"SELECT {', '.join(rows)} FROM change WHERE entity_id = ?", [LIGHT]).fetchall()
    feed.close()
    assert list(real) == list(rows.values())


def test_the_number_rests_on_the_reading(restarted):
    block = json.loads(shown("5", "json"))
    real = eventually(
        lambda: restarted.web.get(f"/ngsi-ld/v1/entities/{INDICATOR}").json(), lambda it: "kpiValue" in it
    )
    assert holds(block, real), real


@pytest.mark.parametrize("asked", [INDICATOR, LIGHT])
def test_the_way_is_walked_from_both_ends(restarted, town, asked):
    test_the_number_rests_on_the_reading(restarted)
    block = next(
        one for one in re.findall(r"```console\n(.*?)```", STEPS["6"], re.S) if f"follow {asked}\n" in one
    )
    wanted = block.partition("\n")[2].strip()
    done = subprocess.run(
        [*COMMAND, "follow", asked, "--home", str(town)], capture_output=True, text=True, timeout=60
    )
    pattern = ".*".join(re.escape(piece) for piece in wanted.split("…"))
    assert re.match(pattern, done.stdout, re.S), done.stdout
