"""The guide to a city of one's own: its pieces make a city.toml, and that city runs."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from cityloom.access.roles import ROLES
from cityloom.app.command_line import build_parser
from cityloom.app.configuration import Configuration, parse_configuration
from cityloom.app.house import models_of
from cityloom.app.plugins import find_plugins
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.errors import BadInput
from running_city import RunningCity, ask

GUIDE = (Path(__file__).parents[2] / "docs/guides/your_own_city.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.S)


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    home = tmp_path_factory.mktemp("own") / "city"
    home.mkdir()
    (home / "city.toml").write_text("\n".join(blocks("toml")))
    city = RunningCity(home, "up")
    yield city
    city.stop()


def test_the_commands_of_the_guide_are_commands():
    lines = re.findall(r"^\$ cityloom (.*)$", GUIDE, re.M)
    assert [build_parser().parse_args(line.split()).home for line in lines] == [Path("city")] * 3


def test_the_pieces_make_a_file_that_is_checked(town):
    assert "nothing is wrong" in ask("check", "--home", town.home)
    configuration = parse_configuration((town.home / "city.toml").read_text())
    untold = {"demo", "proxies"}
    same = [
        name
        for name in Configuration.__struct_fields__
        if f"[{name}" not in GUIDE and f"{name.replace('_', '-')} =" not in GUIDE
    ]
    assert set(same) == untold, "the guide goes through the whole file"
    assert configuration.services["frost"] == {"warn_at_c": 1.0}


def test_the_city_of_the_guide_runs_what_its_file_says(town):
    running = town.web.get("/services.json", headers=town.as_terminal).json()
    said = json.dumps(running)
    for name in ("mqtt", "http_push", "parking", "frost"):
        assert f'"{name}"' in said
    assert "broken" not in said


def test_a_street_of_the_guide_becomes_the_background_of_the_map(town):
    (block,) = blocks("http")
    head, _, body = block.partition("\n\n")
    method, target = head.splitlines()[0].split()
    headers = {**town.as_terminal, **dict(line.split(": ") for line in head.splitlines()[1:])}
    assert town.web.request(method, target, headers=headers, content=body).status_code == 201
    lines = [one["geometry"] for one in town.web.get("/map/roads.json").json()["features"]]
    assert json.loads(body)["location"] in lines


def test_a_data_model_of_the_guide_is_kept_to(tmp_path):
    ask("new", "service", "heat_watch", "--into", tmp_path / "benches")
    (block,) = blocks("json")
    models = tmp_path / "benches" / "models"
    models.mkdir()
    (models / "Bench.schema.json").write_text(block)
    known = models_of(find_plugins(["cityloom_catalogue", "benches"], tmp_path))
    bench = {
        "id": "urn:ngsi-ld:Bench:1",
        "type": ["Bench"],
        "attrs": {"temperature": [{"type": "Property", "value": 20.0}]},
    }
    known.check(bench)
    bench["attrs"]["temperature"][0]["value"] = 200.0
    with pytest.raises(BadInput):
        known.check(bench)


def test_the_guide_names_the_classes_and_roles_there_are():
    classes = re.findall(r"^\| (\w+) \| \w[^|]*\|$", GUIDE.partition("## What comes in")[0], re.M)
    assert classes[1:] == [one.label for one in sorted(InformationClass)]
    roles = set(re.findall(r"\| `(\w+)` \|$", GUIDE, re.M))
    assert roles == ROLES.keys() - {"anonymous", "citizen", "device", "edge", "administrator"}
