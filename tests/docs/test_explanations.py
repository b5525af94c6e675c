"""The pages that explain are in step with the code."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from cityloom.access.ownership import EVIDENCE, ORIGIN
from cityloom.edge.forwarding import STAGE as FORWARD
from cityloom.history.stage import STAGE as HISTORY
from cityloom.indicators.view import ORIGINS
from cityloom.people.deliveries import STAGE as DELIVERIES
from cityloom.sensing.host import _STAGE as SENSING
from cityloom.services.host import STAGE as SERVICES
from cityloom.subscriptions.subscriptions import STAGE as SUBSCRIPTIONS
from cityloom.web.labels import CHOICES
from cityloom.web.live import STAGE as LIVE
from running_city import RunningCity

ROOT = Path(__file__).parents[2]
RIVER = (ROOT / "docs/explain/the_river.md").read_text(encoding="utf-8")
TRUE = (ROOT / "docs/explain/what_is_true.md").read_text(encoding="utf-8")
HOUSE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
#: For each room the place of its layer, the lowest upstream.
HEIGHT = {
    room: place
    for place, layer in enumerate(reversed(next(one for one in CONTRACTS if one["id"] == "river")["layers"]))
    for room in layer.split(" | ")
}


def arrows(kind):
    return re.findall(rf"^    (\w+) {kind} (\w+)$", RIVER, re.M)


def test_the_river_flows_as_imports_are_allowed():
    down = arrows(r"-->(?:\|[^|]+\|)?")
    rain = arrows(r"-\. rain: [^.]+ \.->")
    lines = re.search(r"```mermaid\nflowchart LR\n(.*?)```", RIVER, re.S)[1].splitlines()
    assert len(down) + len(rain) == len(lines), "every line of the picture is an arrow"
    assert all(HEIGHT[source] < HEIGHT[target] for source, target in down)
    assert all(HEIGHT[source] > HEIGHT[target] for source, target in rain)


def test_the_river_shows_every_room():
    drawn = {room for arrow in arrows(r"-[-.].*?>(?:\|[^|]+\|)?") for room in arrow}
    named = set(re.findall(r"`(\w+)`", RIVER.partition("stand beside the river")[0].rpartition("\n\n")[2]))
    beside = set(re.findall(r"`(\w+)`", re.search(r"^Three rooms .*$", RIVER, re.M)[0]))
    assert named <= beside
    assert drawn | beside == HEIGHT.keys() - {"sdk"}
    assert drawn & beside == set()
    rooms = HOUSE.partition("## The rooms")[2].partition("\n## ")[0]
    told = set(re.findall(r"^\| `(\w+)` \|", rooms, re.M))
    assert told == HEIGHT.keys() - {"sdk"}


def test_the_river_names_every_stage():
    rows = re.findall(r"^\| `(\w+)` \|", RIVER, re.M)
    assert sorted(rows) == sorted([HISTORY, SERVICES, DELIVERIES, SENSING, SUBSCRIPTIONS, FORWARD, LIVE])


def test_badges_stand_in_the_order_in_which_they_can_be_relied_on():
    rows = re.findall(r"^\| (\w+) \| [^|]+ \| [^|]+ \|$", TRUE, re.M)[1:]
    assert tuple(rows) == ORIGINS
    assert all(badge in CHOICES for badge in ORIGINS)
    assert f"`{ORIGIN}`" in TRUE
    assert any(f"`{one}`" in TRUE for one in EVIDENCE)


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    city = RunningCity(tmp_path_factory.mktemp("true") / "trial", "up", "--open-access")
    yield city
    city.stop()


@pytest.mark.parametrize("badge", ORIGINS)
def test_a_badge_stands_on_the_page_of_what_carries_it(trial, badge):
    name = f"urn:ngsi-ld:Mast:{badge}"
    mast = {"id": name, "type": "Mast", ORIGIN: badge, "height": 3}
    assert trial.web.post("/ngsi-ld/v1/entities", json=mast).status_code == 201
    page = trial.web.get(f"/entities/{name}").text
    assert re.search(rf'<span class="badge [^"]*{badge}">', page)
    others = set(ORIGINS) - {badge}
    assert not any(re.search(rf'<span class="badge [^"]*{other}">', page) for other in others)
