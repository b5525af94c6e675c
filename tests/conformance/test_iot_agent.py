"""An IoT agent made with FIWARE's library, as nobody here wrote it, doing its ordinary work with a city."""

from __future__ import annotations

import json
import socket

import pytest

from other_clients import run_node, why_no_node_clients
from running_city import RunningCity

TENANT = "pumps"


@pytest.fixture
def city(tmp_path):
    home = tmp_path / "city"
    home.mkdir()
    (home / "city.toml").write_text('name = "Pumps"\nframeworks = []\n[outbound]\ninside = true\n')
    running = RunningCity(home, "up", "--open-access")
    yield running
    running.stop()


def test_an_iot_agent_measures_answers_what_it_is_asked_obeys_and_is_notified(city):
    if (why := why_no_node_clients()) is not None:
        pytest.skip(f"amber: FIWARE's library cannot be installed: {why}")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    done = run_node("iot_agent.cjs", city.address.rstrip("/"), str(port), TENANT)
    assert done.returncode == 0, done.stdout[-3000:]
    said = json.loads(done.stdout.strip().splitlines()[-1])

    assert said["registered"].startswith("urn:ngsi-ld:ContextSourceRegistration:")
    (listed,) = said["listed"]["body"]
    assert (listed["id"], listed["mode"]) == (said["registered"], "exclusive")
    assert said["read"]["temperature"]["value"] == 22.5
    whole = said["whole"]["body"]
    assert (whole["temperature"]["value"], whole["pressure"]["value"]) == (22.5, 2.5)
    assert whole["location"]["value"] == {"type": "Point", "coordinates": [10.2, 56.15]}
    assert said["lazy"]["status"] == 200
    assert said["lazy"]["body"]["pressure"]["value"] == 2.5
    assert said["told"] == 204
    assert said["commands"] == [["urn:ngsi-ld:Pump:pump1", "start", {"speed": 3}]]
    assert said["subscribed"].startswith("/ngsi-ld/v1/subscriptions/")
    assert [(value["name"], value["value"]) for value in said["notified"]] == [("temperature", 30)]
    assert said["after"]["body"] == []
