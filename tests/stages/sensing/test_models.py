"""Data models: what is plausible passes in the model's unit, the rest is refused by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityloom.kernel.errors import BadConfig, BadInput
from cityloom.kernel.units import UNITS, convert
from cityloom.ngsild.model import entity, instance_of, json_value, prop, rel, text, value_of
from cityloom.sensing.models import DataModels, read_models

NOON = datetime(2014, 8, 1, 12, 0, tzinfo=UTC)
AIR = {
    "$id": "urn:cityloom:model:Air",
    "title": "Air",
    "x-domain": "weather",
    "$ref": "urn:cityloom:model:entity",
    "properties": {
        "type": {"const": "Air"},
        "temperature": {
            "description": "Warmth",
            "type": "number",
            "x-unitCode": "CEL",
            "minimum": -90,
            "maximum": 60,
        },
        "noise": {"type": "number", "x-unitCode": "C62"},
        "windSpeed": {"type": "number", "x-unitCode": "MTS"},
        "mood": {"enum": ["fair", "foul"]},
        "refDevice": {"type": "string"},
    },
}
ENTITY = {
    "$id": "urn:cityloom:model:entity",
    "required": ["id", "type"],
    "properties": {"name": {"description": "Its name", "type": ["string", "object"]}},
}


@pytest.fixture
def models():
    return DataModels([AIR, ENTITY])


def air(**attributes):
    return entity("Air", "urn:ngsi-ld:Air:1", attributes)


def test_fit_gives_a_number_without_unit_the_models_unit(models):
    reading = air(temperature=prop(1.5, at=NOON))
    models.fit(reading, NOON)
    assert instance_of(reading, "temperature") == prop(1.5, at=NOON, unit="CEL")


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [(32, "FAH", 0.0), (273.15, "KEL", 0.0), (20, "CEL", 20), (-40, "FAH", -40.0)],
)
def test_fit_brings_a_number_into_the_models_unit(models, value, unit, expected):
    reading = air(temperature=prop(value, at=NOON, unit=unit))
    models.fit(reading, NOON)
    assert instance_of(reading, "temperature") == prop(expected, at=NOON, unit="CEL")


def test_fit_converts_decibels_which_do_not_lie_on_a_line(models):
    reading = air(noise=prop(20, unit="2N"))
    models.fit(reading, NOON)
    assert value_of(reading, "noise") == pytest.approx(100)


@given(st.floats(-1e6, 1e6), st.sampled_from(["KMH", "HM", "MTS"]))
@settings(max_examples=100, deadline=None)
def test_fit_converts_as_the_table_of_units_does(value, unit):
    reading = air(windSpeed=prop(value, unit=unit))
    DataModels([AIR, ENTITY]).fit(reading, NOON)
    assert value_of(reading, "windSpeed") == pytest.approx(convert(value, unit, "MTS"), rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("unit", ["MTR", "nonsense", ""])
def test_fit_refuses_a_unit_of_another_quantity_or_none_at_all(models, unit):
    with pytest.raises(BadInput) as caught:
        models.fit(air(temperature=prop(1.5, unit=unit)), NOON)
    assert caught.value.where == "temperature.unitCode"


@pytest.mark.parametrize(
    "value", [True, "3", None, {}, [], -100, 61, float("nan"), float("inf"), -float("inf"), 10**30]
)
def test_fit_refuses_what_is_not_plausible_and_says_what_would_be(models, value):
    with pytest.raises(BadInput) as caught:
        models.fit(air(temperature=prop(value, unit="CEL")), NOON)
    assert caught.value.where == "temperature"
    assert caught.value.hint == "temperature is: Warmth, in °C (unit code CEL), from -90 to 60."


def test_fit_judges_a_value_in_the_models_unit(models):
    models.fit(air(temperature=prop(100, unit="FAH")), NOON)
    with pytest.raises(BadInput, match="maximum of 60"):
        models.fit(air(temperature=prop(400, unit="KEL")), NOON)


@pytest.mark.parametrize(
    ("attribute", "instance", "where"),
    [
        ("mood", prop("bored"), "mood"),
        ("refDevice", rel(["urn:a:b", "urn:a:c"]), "refDevice"),
        ("temperature", [prop(1, unit="CEL"), prop(99, unit="CEL", dataset="urn:x:y")], "temperature"),
    ],
)
def test_fit_looks_at_every_kind_of_attribute_and_every_instance(models, attribute, instance, where):
    with pytest.raises(BadInput) as caught:
        models.fit(air(**{attribute: instance}), NOON)
    assert caught.value.where == where


def test_fit_takes_attributes_and_types_that_no_model_names(models):
    models.fit(air(colour=prop("blue"), name=text(en="Roof"), extra=json_value({"a": 1})), NOON)
    models.fit(entity("Cloud", "urn:ngsi-ld:Cloud:1", {"temperature": prop("warm")}), NOON)


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (NOON + timedelta(minutes=11), "future"),
        (datetime(1970, 1, 1, tzinfo=UTC), "before any measurement"),
    ],
)
def test_fit_refuses_the_clock_that_is_plainly_wrong(models, at, words):
    with pytest.raises(BadInput, match=words) as caught:
        models.fit(air(temperature=prop(1, at=at)), NOON)
    assert caught.value.where == "temperature.observedAt"


def test_fit_takes_late_readings_and_forecasts_in_a_dataset_of_their_own(models):
    models.fit(air(temperature=prop(1, at=NOON - timedelta(days=3000))), NOON)
    models.fit(air(temperature=prop(1, at=NOON + timedelta(days=1), dataset="urn:x:forecast")), NOON)


def test_check_says_the_same_and_leaves_the_document_alone(models):
    reading = air(temperature=prop(50, unit="FAH"))
    models.check(reading)
    assert instance_of(reading, "temperature") == prop(50, unit="FAH")
    with pytest.raises(BadInput):
        models.check(air(temperature=prop(500, unit="FAH")))


def test_find_tells_what_a_form_wants_to_know(models):
    model = models.find("Air")
    temperature = model.attributes["temperature"]
    assert (temperature.unit, temperature.minimum, temperature.maximum) == ("CEL", -90, 60)
    assert temperature.types == ("number",)
    assert model.attributes["mood"].choices == ("fair", "foul")
    assert model.attributes["name"].description == "Its name"
    assert models.find("Cloud") is None


def test_models_refuse_a_schema_that_is_none():
    with pytest.raises(BadConfig) as caught:
        DataModels([{"$id": "urn:x", "properties": {"type": {"const": "X"}, "a": {"type": "nombre"}}}])
    assert caught.value.where == "urn:x"


def test_models_refuse_a_reference_that_leads_nowhere():
    with pytest.raises(BadConfig, match="urn:nowhere"):
        DataModels([{"$id": "urn:x", "properties": {"type": {"const": "X"}}, "$ref": "urn:nowhere"}])


def test_read_models_names_the_file_that_is_not_json(tmp_path: Path):
    (tmp_path / "weather").mkdir()
    broken = tmp_path / "weather" / "X.schema.json"
    broken.write_text("{")
    with pytest.raises(BadConfig) as caught:
        read_models([tmp_path])
    assert caught.value.where == str(broken)


def test_units_of_this_test_are_in_the_table():
    assert {"CEL", "FAH", "KEL", "MTS", "KMH", "HM", "2N", "C62"} <= set(UNITS)


def test_a_merged_part_of_a_value_is_checked_with_the_rest_of_it():
    hours = {"type": "object", "required": ["opens", "closes"], "properties": {"opens": {"type": "integer"}}}
    shop = {"$id": "urn:x", "properties": {"type": {"const": "Shop"}, "hours": hours}}
    models = DataModels([shop])
    stored = entity("Shop", "urn:ngsi-ld:Shop:1", {"hours": prop({"opens": 8, "closes": 17})})

    def part(**said):
        return {"id": stored["id"], "attrs": {"hours": [prop(said)]}}

    models.fit_written(part(opens=9), stored, merging=True)
    with pytest.raises(BadInput, match="early"):
        models.fit_written(part(opens="early"), stored, merging=True)
    with pytest.raises(BadInput, match="closes"):
        models.fit_written(part(closes="urn:ngsi-ld:null"), stored, merging=True)
    with pytest.raises(BadInput, match="closes"):
        models.fit_written(part(opens=9), stored)
