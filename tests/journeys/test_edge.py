"""An edge and its centre, two real processes: the line is cut, either side is killed, nothing is lost."""

from __future__ import annotations

import signal
import time

import pytest

from cityloom.app.watch.metrics import METRICS
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

    def hears_of_it(self) -> None:
        """Wait until the edge knows what the centre has, which the centre knows first."""
        until = time.monotonic() + PATIENCE_S
        while self.edge.web.get("/other-systems.json").json()["line"]["waiting"]:
            assert time.monotonic() < until, self.edge.said
            time.sleep(0.1)

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
    for round_number in range(2):
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


def test_what_two_places_said_differently_is_decided_shown_and_parked_apart(pair):
    key = pair.centre.as_terminal
    write(pair.edge, reading(1, 1.0, 0), {"id": "urn:ngsi-ld:Buoy:2", "type": "Buoy", "name": {"value": "A"}})
    pair.arrives()
    pair.line.is_cut = True
    # An older reading, one of the same instant, a name on both sides; and one that goes on the edge alone.
    write(pair.centre, reading(1, 5.0, 30), **key)
    write(pair.centre, {"id": "urn:ngsi-ld:Buoy:2", "type": "Buoy", "name": {"value": "centre"}}, **key)
    write(pair.edge, reading(1, 2.0, 20))
    write(pair.edge, reading(1, 3.0, 30))
    write(pair.edge, {"id": "urn:ngsi-ld:Buoy:2", "type": "Buoy", "name": {"value": "edge"}})
    write(pair.edge, reading(3, 7.0, 1))
    assert pair.edge.web.delete(f"{ENTITIES}/urn:ngsi-ld:Buoy:3").status_code == 204
    pair.line.is_cut = False
    pair.arrives()
    # Of one instant: what was written later. The reading between them is remembered.
    assert present_of(pair.centre, "urn:ngsi-ld:Buoy:1", key)["level"]["value"] == 3.0
    minutes = [(f"2026-03-01T10:{minute:02d}:00Z", said) for minute, said in ((0, 1.0), (20, 2.0), (30, 3.0))]
    assert past_of(pair.centre, "urn:ngsi-ld:Buoy:1", key) == minutes
    assert present_of(pair.centre, "urn:ngsi-ld:Buoy:2", key)["name"]["value"] == "edge"
    assert pair.centre.web.get(f"{ENTITIES}/urn:ngsi-ld:Buoy:3", headers=key).status_code == 404
    found = pair.at_centre(ENTITIES, type="EdgeConflict").json()
    shown = {one["entity"]["object"]: (one["kept"]["json"], one["givenUp"]["json"]) for one in found}
    assert {name: (kept["value"], given["value"]) for name, (kept, given) in shown.items()} == {
        "urn:ngsi-ld:Buoy:1": (3.0, 5.0),
        "urn:ngsi-ld:Buoy:2": ("edge", "centre"),
    }
    page = pair.centre.web.get("/other-systems.json", headers=key).json()
    (edge,) = page["edges"]
    assert (edge["name"], edge["conflicts"], edge["waiting"]) == ("ship", 2, 0)
    assert len(page["conflicts"]) == 2
    assert pair.centre.web.get("/other-systems", headers=key).status_code == 200
    pair.hears_of_it()
    line = pair.edge.web.get("/other-systems.json").json()["line"]
    assert (line["waiting"], line["trouble"]) == (0, "")
    metrics = pair.centre.web.get("/metrics", headers=key).text
    assert 'cityloom_edge_conflicts_total{edge="ship"} 2.0' in metrics
    assert told_apart(metrics) == by("centre")
    assert told_apart(pair.edge.web.get("/metrics").text) == by("edge")
    assert "edge-conflicts" in pair.centre.web.get("/system.json", headers=key).text


def by(teller: str) -> set[str]:
    """The metrics that such a city alone tells."""
    return {one.name for one in METRICS if one.told_by == teller}


def told_apart(text: str) -> set[str]:
    """Of the metrics in this answer, those which not every city tells."""
    told = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    return told & {one.name for one in METRICS if one.told_by}


@pytest.mark.parametrize("granted", ['types = ["Buoy"]\nids = ["urn:ngsi-ld:Buoy:"]'])
def test_an_edge_writes_what_is_granted_and_a_withdrawn_token_nothing(tmp_path, granted):
    pair = Pair(tmp_path, granted)
    try:
        key = pair.centre.as_terminal
        write(
            pair.edge, {"id": "urn:ngsi-ld:Bell:1", "type": "Bell", "tone": {"value": 1}}, reading(1, 1.0, 0)
        )
        pair.arrives()
        assert pair.centre.web.get(f"{ENTITIES}/urn:ngsi-ld:Bell:1", headers=key).status_code == 404
        assert present_of(pair.centre, "urn:ngsi-ld:Buoy:1", key)["level"]["value"] == 1.0
        assert pair.node()["parked"] >= 1
        assert "Bell" in pair.centre.web.get("/parked.json", headers=key).text
        token = (tmp_path / "edge/edge.token").read_text().strip()
        thief = {"authorization": f"Bearer {token}"}
        stolen = {"id": "urn:ngsi-ld:Buoy:9", "type": "Buoy"}
        assert pair.centre.web.post(ENTITIES, json=stolen, headers=thief).status_code == 403
        (tmp_path / "edge/edge.token").write_text(token[:-4] + "0000")
        write(pair.edge, reading(1, 2.0, 1))
        until = time.monotonic() + PATIENCE_S
        while "edge-refused" not in (said := pair.edge.web.get("/system.json").text):
            assert time.monotonic() < until, said
            time.sleep(0.2)
        assert present_of(pair.centre, "urn:ngsi-ld:Buoy:1", key)["level"]["value"] == 1.0
        # With a token that counts it goes on by itself.
        (tmp_path / "edge/edge.token").write_text(token)
        pair.arrives()
        assert_both_say_the_same(pair, [1])
    finally:
        pair.close()
