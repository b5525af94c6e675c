"""Clients that others have written, at their ordinary work with a running city."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from other_clients import run_node, run_python, why_no_node_clients, why_no_python_client
from running_city import RunningCity


@pytest.fixture
def city(tmp_path: Path) -> Iterator[RunningCity]:
    home = tmp_path / "city"
    home.mkdir()
    (home / "city.toml").write_text('name = "Clientby"\nframeworks = []\n[outbound]\ninside = true\n')
    running = RunningCity(home, "up", "--open-access")
    yield running
    running.stop()


def told_by(done: Any) -> dict[str, Any]:
    """What a client's day said: the last line of its output."""
    assert done.returncode == 0, done.stdout[-3000:]
    told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return told


def test_ngsildclient_works_with_single_entities_and_with_batches(city: RunningCity):
    if (why := why_no_python_client()) is not None:
        pytest.skip(f"amber: ngsildclient cannot be installed: {why}")
    address = urlsplit(city.address)
    said = told_by(run_python("ngsildclient_day.py", str(address.hostname), str(address.port)))
    assert said["created"] == [True, True]
    assert said["read"] == ["AirQualityObserved", 22, "urn:ngsi-ld:Sensor:1"]
    assert (said["upserted"], said["changed"]) == (True, 30)
    assert said["deleted"] == [True, False]
    assert (said["created_many"], said["upserted_many"], said["counted"]) == (True, True, 9)
    assert (said["queried"], said["head"], said["left"]) == (3, 3, 6)
    assert "AirQualityObserved" in said["types"]
    assert any("ngsi-ld-core-context" in one for one in said["contexts"])
    assert said["dropped"] == 0


def test_ngsijs_creates_queries_subscribes_remembers_and_deletes(city: RunningCity):
    if (why := why_no_node_clients()) is not None:
        pytest.skip(f"amber: ngsijs cannot be installed: {why}")
    said = told_by(run_node("ngsijs.cjs", city.address))
    assert said["created"] == "/ngsi-ld/v1/entities/urn:ngsi-ld:Bus:1"
    assert (said["twice"], said["absent"], said["wrong"]) == ("AlreadyExists", "NotFound", "BadRequest")
    assert (said["read"]["name"], said["read"]["speed"]) == ("Bus 1", 10)
    assert said["read"]["line"] == "urn:ngsi-ld:Line:1"
    assert said["fast"] == [3, ["urn:ngsi-ld:Bus:2", "urn:ngsi-ld:Bus:3"]]
    assert said["near"] == ["Bus 1", "Bus 2"]
    assert said["subscribed"].startswith("/ngsi-ld/v1/subscriptions/")
    assert said["notified"] == [["urn:ngsi-ld:Bus:1", 60]]
    assert said["listed"] == [[True, "speed>90"]]
    assert said["ended"] == "NotFound"
    assert said["appended"] == "InvalidResponse"
    assert said["changed"]["speed"] == 70 and "line" not in said["changed"]
    assert (said["types"], said["type"]) == (["Bus"], 4)
    assert (said["begun"], said["past"]) == (True, [[2, 3]])
    assert said["left"] == 3
