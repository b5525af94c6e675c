"""The guide to joining another city's broker is followed with two cities; one is killed and comes back."""

from __future__ import annotations

import json
import re
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from cityloom.app.configuration import parse_configuration
from running_city import RunningCity, ask

GUIDE = (Path(__file__).parents[2] / "docs/guides/join_another_citys_broker.md").read_text(encoding="utf-8")
NEIGHBOUR = "https://broker.neighbour.example/"
REQUESTS = re.findall(r"```http\n(\w+) (\S+)\n(?:Content-Type: (\S+)\n\n(.*?))?```", GUIDE, re.S)
REACHING = '\n[outbound]\ninside = true\n\n[federation]\nalias = "{}"\nopen = ["{}"]\n'


def counter(number, count):
    return {
        "id": f"urn:ngsi-ld:BicycleCounter:{number}",
        "type": "BicycleCounter",
        "count": {"value": count, "observedAt": f"2026-03-01T1{count % 10}:00:00Z"},
    }


def begun(home: Path, alias: str, open_to: str = "http://127.0.0.1:") -> RunningCity:
    if not home.exists():
        ask("init", "--home", home, "--name", alias)
        (home / "city.toml").open("a").write(REACHING.format(alias, open_to))
    return RunningCity(home, "up", "--open-access")


@pytest.fixture
def cities(tmp_path):
    ours, theirs = begun(tmp_path / "ours", "ourtown"), begun(tmp_path / "theirs", "neighbour")
    running = {"ours": ours, "theirs": theirs}
    yield running
    for city in running.values():
        if city.process.poll() is None:
            city.stop()


def followed(city, endpoint, number, **replaced):
    """Do what one of the guide's requests says."""
    method, path, media, body = REQUESTS[number]
    content = body.replace(NEIGHBOUR, endpoint)
    headers = {"content-type": media} if media else {}
    return city.web.request(method, path, content=content or None, headers=headers)


def ids(reply):
    assert reply.status_code == 200, reply.text
    return {one["id"][-1] for one in reply.json()}


def test_the_settings_of_the_guide_are_settings():
    (settings,) = re.findall(r"```toml\n(.*?)```", GUIDE, re.S)
    found = parse_configuration(settings)
    assert found.federation.open == found.outbound.allow == (NEIGHBOUR,)


def test_two_cities_answer_for_both_also_after_one_was_killed_and_is_back(cities, tmp_path):
    ours, theirs = cities["ours"], cities["theirs"]
    entities = "/ngsi-ld/v1/entities"
    assert ours.web.post(entities, json=counter(1, 5)).status_code == 201
    for one in (counter(2, 7), counter(1, 6)):
        assert theirs.web.post(entities, json=one).status_code == 201

    register, everything, local, key, standing, part = range(len(REQUESTS))
    assert followed(ours, theirs.address, register).status_code == 201
    both = followed(ours, theirs.address, everything)
    assert ids(both) == {"1", "2"}
    assert "ngsild-warning" not in both.headers
    # Of two values of one attribute the newer is shown.
    newer = ours.web.get(f"{entities}/urn:ngsi-ld:BicycleCounter:1").json()
    assert newer["count"]["value"] == 6
    assert ids(followed(ours, theirs.address, local)) == {"1"}
    assert followed(ours, theirs.address, key).status_code == 204

    theirs.stop(signal.SIGKILL)
    alone = followed(ours, theirs.address, everything)
    assert ids(alone) == {"1"}
    (warning,) = [line for line in GUIDE.splitlines() if line.startswith("NGSILD-Warning: ")]
    assert alone.headers["ngsild-warning"] == warning.removeprefix("NGSILD-Warning: ")
    told = followed(ours, theirs.address, standing).json()
    assert told["status"] == "failed"
    assert told["timesFailed"] == 1 < told["timesSent"]
    assert told["lastSuccess"] <= told["lastFailure"]

    cities["theirs"] = theirs = begun(tmp_path / "theirs", "neighbour")
    moved = json.dumps({"endpoint": theirs.address})
    path = REQUESTS[standing][1]
    assert (
        ours.web.patch(path, content=moved, headers={"content-type": "application/json"}).status_code == 204
    )
    back = followed(ours, theirs.address, everything)
    assert ids(back) == {"1", "2"}
    assert "ngsild-warning" not in back.headers

    # Our registrations outlive a kill, too.
    ours.stop(signal.SIGKILL)
    cities["ours"] = ours = begun(tmp_path / "ours", "ourtown")
    assert ids(followed(ours, theirs.address, everything)) == {"1", "2"}

    assert followed(ours, theirs.address, part).status_code == 204
    assert ids(followed(ours, theirs.address, everything)) == {"1"}


def test_two_cities_that_know_each_other_do_not_ask_in_circles(cities):
    ours, theirs = cities["ours"], cities["theirs"]
    assert ours.web.post("/ngsi-ld/v1/entities", json=counter(1, 5)).status_code == 201
    assert theirs.web.post("/ngsi-ld/v1/entities", json=counter(2, 7)).status_code == 201
    assert followed(ours, theirs.address, 0).status_code == 201
    assert followed(theirs, ours.address, 0).status_code == 201
    for city in (ours, theirs):
        assert ids(followed(city, "", 1)) == {"1", "2"}
        told = followed(city, "", 4).json()
        assert told["timesSent"] <= 2
