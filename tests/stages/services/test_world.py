"""The world shows what was declared, and notes what was looked at."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from cityloom.kernel.change import Because
from cityloom.kernel.errors import BrokenPlugin
from cityloom.ngsild.model import entity, prop
from cityloom.services.manifest import read_manifest
from cityloom.services.words import Messages
from cityloom.services.world import Matrix, View, World, align

MANIFEST = """
id = "heat"
title = "Heat"
owner = "desk"
[[needs]]
name = "stations"
type = "WeatherObserved"
attributes = ["temperature", "name"]
series = ["temperature"]
datasets = ["urn:ngsi-ld:Dataset:roof"]
history = "PT1H"
step = "PT30M"
[[needs]]
name = "roofs"
type = "Roof"
attributes = ["angle"]
[wakes-on]
every = "PT10M"
"""
A, B = "urn:ngsi-ld:WeatherObserved:a", "urn:ngsi-ld:WeatherObserved:b"
AT = datetime(2026, 4, 12, 12, 0, tzinfo=UTC)
TIMES = np.array(["2026-04-12T11:30", "2026-04-12T12:00"], dtype="datetime64[ms]")


@pytest.fixture
def world():
    documents = {
        A: entity("WeatherObserved", A, {"temperature": prop(21.5, at=AT, unit="CEL"), "name": prop("Mast")}),
        B: entity("WeatherObserved", B, {"temperature": [prop(30.0, dataset="urn:ngsi-ld:Dataset:roof")]}),
    }
    matrices = {("temperature", None): Matrix((A, B), TIMES, np.array([[20.0, 21.0], [np.nan, np.nan]]))}
    messages = Messages({"en": {"title": "Heat", "summary": "…", "hot": "{degrees} at {when}"}})
    return World(
        read_manifest(tomllib.loads(MANIFEST), where="m"),
        {"stations": View(documents, matrices), "roofs": View({})},
        settings={"limit_c": 28.0},
        zone=ZoneInfo("Europe/Copenhagen"),
        messages=messages,
        provenance={"source": "elsewhere"},
    )


@pytest.mark.parametrize(
    "look",
    [
        lambda world: world.ids("cars"),
        lambda world: world.value("stations", A, "windSpeed"),
        lambda world: world.column("stations", "windSpeed"),
        lambda world: world.matrix("stations", "name"),
        lambda world: world.matrix("stations", "temperature", "urn:ngsi-ld:Dataset:other"),
        lambda world: world.setting("limit"),
    ],
)
def test_looking_at_what_is_not_declared_is_the_authors_mistake(world, look):
    with pytest.raises(BrokenPlugin, match="does not declare") as caught:
        look(world)
    assert "manifest.toml" in str(caught.value.where)


def test_reading_gives_value_time_and_unit_of_the_default_instance(world):
    assert world.reading("stations", A, "temperature") == (21.5, AT, "CEL")
    assert world.value("stations", A, "name") == "Mast"
    assert world.value("stations", B, "temperature") is None
    assert world.value("stations", "urn:ngsi-ld:WeatherObserved:none", "temperature") is None


def test_column_is_nan_where_there_is_no_number(world):
    column = world.column("stations", "temperature")
    assert column[0] == 21.5
    assert np.isnan(column[1])
    assert np.isnan(world.column("stations", "name")).all()


def test_because_tells_of_an_entity_what_was_looked_at_of_it(world):
    world.matrix("stations", "temperature")
    world.value("stations", A, "temperature")
    assert world.because(A) == (
        Because(
            about=A,
            attribute="temperature",
            since="2026-04-12T11:30:00Z",
            until="2026-04-12T12:30:00Z",
            count=2,
            note="steps of PT30M",
        ),
        Because(
            about=A,
            attribute="temperature",
            since="2026-04-12T12:00:00Z",
            value=21.5,
            unit_code="CEL",
            count=1,
        ),
    )
    assert world.because(B)[0].missing == 2


def test_because_without_an_entity_tells_of_the_types(world):
    world.matrix("stations", "temperature")
    world.column("stations", "name")
    told = {(item.about, item.attribute): (item.count, item.missing) for item in world.because()}
    assert told == {("type:WeatherObserved", "temperature"): (2, 2), ("type:WeatherObserved", "name"): (1, 1)}


def test_because_of_an_entity_that_was_not_looked_at_tells_of_the_types(world):
    world.matrix("stations", "temperature")
    assert world.because("urn:ngsi-ld:Farm:7") == world.because()


def test_because_names_the_parameters_once_they_were_looked_at(world):
    assert world.because() == ()
    assert world.parameters is None
    assert world.because() == (
        Because(about="service:heat", attribute="parameters", note="source: elsewhere"),
    )


def test_looked_at_counts_each_thing_once(world):
    for _ in range(3):
        world.value("stations", A, "temperature")
        world.matrix("stations", "temperature")
    world.column("stations", "name")
    assert world.looked_at == {("stations", "temperature"), ("stations", "name")}
    assert world.looks == 3


def test_say_writes_numbers_and_times_as_each_language_does():
    messages = Messages(
        {
            "en": {"title": "", "summary": "", "hot": "{degrees} °C, {cars} cars, {when}, {place}"},
            "da": {"title": "", "summary": "", "hot": "{degrees} °C, {cars} biler, {when}, {place}"},
        }
    )
    facts = {"degrees": 1234.56, "cars": 1500, "when": AT, "place": {"en": "the mast", "da": "masten"}}
    assert messages.say("hot", facts, ZoneInfo("Europe/Copenhagen")) == {
        "en": "1,234.6 °C, 1,500 cars, Sun 14:00, the mast",
        "da": "1.234,6 °C, 1.500 biler, søn. 14.00, masten",
    }


@pytest.mark.parametrize(
    ("key", "facts", "said"),
    [("cold", {}, "no text 'cold'"), ("hot", {"degrees": 1}, "'when'"), ("odd", {}, "cannot be filled")],
)
def test_say_names_the_text_that_is_missing_or_cannot_be_filled(key, facts, said):
    messages = Messages(
        {"en": {"title": "", "summary": "", "hot": "{degrees} {when}", "odd": "{"}}, where="heat"
    )
    with pytest.raises(BrokenPlugin, match=said) as caught:
        messages.say(key, facts, ZoneInfo("UTC"))
    assert caught.value.where == "heat/en.toml"


def test_align_orders_rows_and_fills_gaps():
    matrix = Matrix(("b", "x", "a"), TIMES, np.array([[1.0, 2.0], [9.0, 9.0], [3.0, 4.0]]))
    aligned = align(("a", "b", "c"), matrix)
    assert aligned.ids == ("a", "b", "c")
    assert aligned.values[:2].tolist() == [[3.0, 4.0], [1.0, 2.0]]
    assert np.isnan(aligned.values[2]).all()
