"""The guide to tables: its table and its mapping do what it says."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from cityloom.access.authority import TERMINAL
from cityloom.app.command_line import build_parser
from cityloom.app.load.guessing import guess
from cityloom.ngsild.model import value_of
from cityloom.sensing.table_meaning import Place, ReadingColumn, StandingAttribute, TableForm, TimeColumn
from loading_city import LoadedCity

GUIDE = (Path(__file__).parents[2] / "docs/guides/load_a_table.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.S)


@pytest.fixture
def city(tmp_path):
    opened = LoadedCity(tmp_path)
    yield opened
    opened.close()


def test_the_example_gives_what_the_guide_says(city):
    (table,), mapping = blocks("csv"), blocks("toml")[0]
    result = city.load(table, mapping, "stations.csv")
    assert (result.rows, result.readings, result.rejected) == (4, 5, 1)
    north = city.broker.retrieve(TERMINAL, "urn:ngsi-ld:WeatherStation:nord")
    assert value_of(north, "temperature") == -1.5 and value_of(north, "humidity") == 80
    assert value_of(north, "location") == {"type": "Point", "coordinates": [10.21, 56.17]}
    assert value_of(north, "operator") == "Port of Newtown"
    assert value_of(north, "refCity") == "urn:ngsi-ld:City:newtown"
    rejected = (city.home / "stations.csv.rejects.csv").read_text().splitlines()
    assert rejected[1].startswith('5,day,"it never was in Europe/Copenhagen')
    assert rejected[1].endswith(",29.03.2026 02:30")


def test_the_long_form_of_the_guide_is_a_mapping(city):
    long = blocks("toml")[1]
    head = 'type = "A"\nid = "urn:ngsi-ld:A:{s}"\n[time]\ncolumn = "t"\nformat = "unix"\n'
    city.load("s,t,quantity,value\na,1700000000,T,1\na,1700000000,H,50\n", head + long)
    assert [name for name, *_ in city.readings("urn:ngsi-ld:A:a")] == ["humidity", "temperature"]


def test_a_mapping_is_guessed_from_the_example(city):
    path = city.home / "stations.csv"
    path.write_text(blocks("csv")[0])
    said = tomllib.loads(guess(path))
    assert said["table"]["separator"] == ";" and said["table"]["decimal"] == ","
    assert "{station}" in said["id"]
    assert said["location"] == {"longitude": "lon", "latitude": "lat"}
    assert said["time"]["columns"] == ["day", "hour"] and said["time"]["format"] == "%d.%m.%Y %H:%M"
    assert {one["unit"] for one in said["readings"].values()} == {"CEL", "P1"}


def test_the_commands_of_the_guide_are_commands():
    lines = re.findall(r"^\$ cityloom (.*)$", GUIDE, re.M)
    assert len(lines) > 5
    for line in lines:
        build_parser().parse_args(shlex.split(line.partition(" > ")[0]))


def test_every_word_of_a_mapping_stands_in_the_guide():
    for shape in (TableForm, TimeColumn, ReadingColumn, StandingAttribute, Place):
        for name in shape.__struct_fields__:
            if name not in ("crs", "attribute", "columns"):
                assert f"`{name}`" in GUIDE or f"{name} =" in GUIDE, name
