"""A city that is killed while somebody it notifies is away tells them afterwards, each at least once."""

from __future__ import annotations

import json
import signal
import socket
import time
from typing import Any

import pytest

from loopback_servers import Asked, InThread
from running_city import RunningCity, ask

pytestmark = pytest.mark.faults

WRITES = 40
PATIENCE = 60


class Receiver(InThread):
    """Somebody who subscribes, on a port that stays while they are away."""

    def __init__(self, port: int = 0) -> None:
        self.told: list[dict[str, Any]] = []
        super().__init__(self._take, port)

    def _take(self, asked: Asked) -> tuple[int, dict[str, str], bytes]:
        self.told.extend(json.loads(asked.body)["data"])
        return 200, {}, b""

    def speeds(self, number: int) -> list[int]:
        return [one["speed"]["value"] for one in self.told if one["id"] == f"urn:x:{number}"]


def snapshot_of(city) -> dict[str, str]:
    """The header that leads into a snapshot, which is made, and empty."""
    query = {"type": "Query", "entities": [{"type": "Road"}]}
    wanted = {"id": "urn:x:snapshot", "type": "Snapshot", "snapshotQueries": [query]}
    assert city.web.post("/ngsi-ld/v1/snapshots", json=wanted).status_code == 201
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if city.web.get("/ngsi-ld/v1/snapshots/urn:x:snapshot").json()["snapshotStatus"] != "preparing":
            break
        time.sleep(0.05)
    return {"ngsild-snapshot": "urn:x:snapshot"}


@pytest.mark.parametrize("place", ["city", "snapshot"])
def test_nothing_is_missing_after_a_kill(tmp_path, place):
    home = tmp_path / "city"
    ask("init", "--home", home, "--name", "Cutby", "--time-zone", "UTC", "--place", "0,0", "--language", "en")
    with (home / "city.toml").open("a") as file:
        file.write("\n[outbound]\ninside = true\n")
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    city = RunningCity(home, "up", "--open-access")
    headers = snapshot_of(city) if place == "snapshot" else {}
    made = city.web.post(
        "/ngsi-ld/v1/subscriptions",
        json={
            "id": "urn:x:s",
            "type": "Subscription",
            "entities": [{"type": "Road"}],
            "notification": {"endpoint": {"uri": f"http://127.0.0.1:{port}/"}},
        },
        headers=headers,
    )
    assert made.status_code == 201, made.text
    for speed in range(WRITES):
        number = speed % 2
        entity = {"id": f"urn:x:{number}", "type": "Road", "speed": {"type": "Property", "value": speed}}
        written = city.web.post("/ngsi-ld/v1/entityOperations/upsert", json=[entity], headers=headers)
        assert written.status_code in (201, 204)
    city.stop(signal.SIGKILL)
    receiver = Receiver(port)
    city = RunningCity(home, "up", "--open-access")
    try:
        until = time.monotonic() + PATIENCE
        while len(set(receiver.speeds(0) + receiver.speeds(1))) < WRITES and time.monotonic() < until:
            time.sleep(0.05)
        for number in (0, 1):
            told = list(dict.fromkeys(receiver.speeds(number)))
            assert told == list(range(number, WRITES, 2)), "each, in order"
    finally:
        assert city.stop() == 0
        receiver.close()
