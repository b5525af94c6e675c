"""A snapshot of a real city, killed at once after a write into it was acknowledged."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from running_city import RunningCity

ROOT = "/ngsi-ld/v1"
CAR = {"id": "urn:ngsi-ld:Car:1", "type": "Car", "speed": 50}
CARS = {"type": "Query", "entities": [{"type": "Car"}]}
ID = "urn:ngsi-ld:Snapshot:1"
IN_IT = {"ngsild-snapshot": ID}


def ready(city: RunningCity) -> dict[str, Any]:
    while True:
        told: dict[str, Any] = city.web.get(f"{ROOT}/snapshots/{ID}").json()
        if told["snapshotStatus"] != "preparing":
            return told


def test_what_was_written_into_a_snapshot_outlives_a_kill(tmp_path: Path):
    first = RunningCity(tmp_path / "city", "up", "--open-access")
    assert first.web.post(f"{ROOT}/entities", json=CAR).status_code == 201
    wanted = {"id": ID, "type": "Snapshot", "snapshotQueries": [CARS]}
    assert first.web.post(f"{ROOT}/snapshots", json=wanted).status_code == 201
    before = ready(first)
    path = f"{ROOT}/entities/{CAR['id']}/attrs"
    assert first.web.patch(path, json={"speed": 7}, headers=IN_IT).status_code == 204
    first.stop(signal.SIGKILL)
    second = RunningCity(tmp_path / "city", "up", "--open-access")
    after = ready(second)
    assert {**after, "lastUsedAt": ""} == {**before, "lastUsedAt": ""}
    told = second.web.get(f"{ROOT}/entities/{CAR['id']}", params={"format": "simplified"}, headers=IN_IT)
    assert told.json()["speed"] == 7
    assert second.web.get(f"{ROOT}/entities/{CAR['id']}?format=simplified").json()["speed"] == 50
    assert (tmp_path / "city" / "snapshots").stat().st_mode & 0o077 == 0
    assert second.web.delete(f"{ROOT}/snapshots/{ID}").status_code == 204
    assert list((tmp_path / "city" / "snapshots").iterdir()) == []
    assert second.stop() == 0
    assert "Traceback" not in second.said, second.said[-3000:]
