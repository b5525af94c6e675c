"""An edge and its centre, two real processes: the line is cut, either side is killed, nothing is lost."""

from __future__ import annotations

import signal
import time

import pytest

from edge_line import BrokenLine, make_centre, make_edge
from running_city import RunningCity

ENTITIES = "/ngsi-ld/v1/entities"
TEMPORAL = "/ngsi-ld/v1/temporal/entities"
PATIENCE_S = 60


class Pair:
    """An edge, a centre, and the line between them."""

    def __init__(self, folder, granted: str = "") -> None:
        self.folder = folder
        self.line = BrokenLine()
        token = make_centre(folder / "centre", granted=granted)
        make_edge(folder / "edge", self.line.address, token)
        self.centre = RunningCity(folder / "centre", "up")
        self.line.leads_to(self.centre)
        self.edge = RunningCity(folder / "edge", "up", "--open-access")

    def restart_centre(self) -> None:
        self.centre = RunningCity(self.folder / "centre", "up")
        self.line.leads_to(self.centre)

    def restart_edge(self) -> None:
        self.edge = RunningCity(self.folder / "edge", "up", "--open-access")

    def at_centre(self, path: str, **params):
        return self.centre.web.get(path, params=params, headers=self.centre.as_terminal)

    def node(self) -> dict:
        return self.at_centre(f"{ENTITIES}/urn:ngsi-ld:EdgeNode:ship", options="keyValues").json()

    def arrives(self) -> None:
        """Wait until the centre has all that the edge has written by now."""
        last = int(
            next(
                line.split()[-1]
                for line in self.edge.web.get("/metrics").text.splitlines()
                if line.startswith("cityloom_changes_total ")
            ).split(".")[0]
        )
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            if self.node().get("received", 0) >= last:
                return
            time.sleep(0.1)
        raise AssertionError((last, self.node(), self.edge.said, self.centre.said))

    def close(self) -> None:
        for city in (self.edge, self.centre):
            if city.process.poll() is None:
                city.stop()
        self.line.close()


@pytest.fixture
def pair(tmp_path):
    found = Pair(tmp_path)
    yield found
    found.close()


def reading(number: int, value: float, minute: int) -> dict:
    at = f"2026-03-01T{10 + minute // 60:02d}:{minute % 60:02d}:00Z"
    return {
        "id": f"urn:ngsi-ld:Buoy:{number}",
        "type": "Buoy",
        "level": {"value": value, "observedAt": at, "unitCode": "MTR"},
    }


def write(city: RunningCity, *documents: dict, **headers: str) -> None:
    reply = city.web.post(
        "/ngsi-ld/v1/entityOperations/upsert",
        json=list(documents),
        params={"options": "update"},
        headers=headers,
    )
    assert reply.status_code in (201, 204), reply.text


def past_of(city: RunningCity, entity_id: str, headers) -> list:
    """All readings that a city remembers of a buoy, also such as were superseded."""
    reply = city.web.get(
        f"{TEMPORAL}/{entity_id}", params={"options": "temporalValues", "lastN": 10_000}, headers=headers
    )
    assert reply.status_code == 200, reply.text
    return sorted(map(tuple, (pair[::-1] for pair in reply.json()["level"]["values"])))


def present_of(city: RunningCity, entity_id: str, headers) -> dict:
    reply = city.web.get(f"{ENTITIES}/{entity_id}", headers=headers)
    assert reply.status_code == 200, reply.text
    return reply.json()


def assert_both_say_the_same(pair: Pair, numbers) -> None:
    for number in numbers:
        entity_id = f"urn:ngsi-ld:Buoy:{number}"
        here = present_of(pair.edge, entity_id, {}), past_of(pair.edge, entity_id, {})
        key = pair.centre.as_terminal
        there = present_of(pair.centre, entity_id, key), past_of(pair.centre, entity_id, key)
        assert there == here


def test_what_was_written_while_the_line_was_cut_arrives_once(pair):
    write(pair.edge, *(reading(number, 1.0, 0) for number in range(3)))
    pair.arrives()
    pair.line.is_cut = True
    for minute in range(1, 20):
        write(pair.edge, *(reading(number, minute / 10, minute) for number in range(3)))
    assert present_of(pair.centre, "urn:ngsi-ld:Buoy:1", pair.centre.as_terminal)["level"]["value"] == 1.0
    pair.line.fates = ["half", "unanswered", "twice", "none", "unanswered", "whole"]
    pair.line.is_cut = False
    pair.arrives()
    assert_both_say_the_same(pair, range(3))
    assert len(past_of(pair.centre, "urn:ngsi-ld:Buoy:1", pair.centre.as_terminal)) == 20


def test_neither_side_loses_or_repeats_anything_when_either_is_killed(pair):
    minute = 0
    for round_number in range(4):
        for _ in range(15):
            write(pair.edge, *(reading(number, float(minute), minute) for number in range(2)))
            minute += 1
        pair.line.fates = ["unanswered"] if round_number % 2 else ["half"]
        if round_number % 2:
            pair.centre.stop(signal.SIGKILL)
            pair.restart_centre()
        else:
            pair.edge.stop(signal.SIGKILL)
            pair.restart_edge()
    pair.arrives()
    assert_both_say_the_same(pair, range(2))
    assert len(past_of(pair.centre, "urn:ngsi-ld:Buoy:1", pair.centre.as_terminal)) == minute
