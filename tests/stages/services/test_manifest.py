"""A manifest says what is wrong with it, and where."""

from __future__ import annotations

import tomllib
from datetime import date

import pytest

from cityloom.kernel.errors import BadConfig, BrokenPlugin
from cityloom.services.manifest import check_overrides, read_manifest, settings_on

GOOD = """
id = "heat"
title = "Heat"
owner = "desk"
alerts = ["weather/heat"]
[[needs]]
name = "stations"
type = "WeatherObserved"
attributes = ["temperature"]
series = ["temperature"]
history = "PT1H"
step = "PT10M"
[wakes-on]
every = "PT10M"
[settings.limit_c]
help = { en = "Warn from here on.", da = "Advar herfra." }
values = [
  { since = 2025-01-01, value = 28.0, source = "council 7/2025" },
  { since = 2020-01-01, value = 30.0, source = "council 1/2020" },
]
"""


def changed(old: str, new: str) -> dict:
    assert old in GOOD
    return tomllib.loads(GOOD.replace(old, new))


def test_read_manifest_reads_a_whole_one():
    manifest = read_manifest(tomllib.loads(GOOD), where="manifest.toml")
    assert manifest.window("stations").step_length.total_seconds() == 600
    assert settings_on(manifest, date(2026, 1, 1)) == {"limit_c": 28.0}


@pytest.mark.parametrize(
    ("old", "new", "said", "place"),
    [
        ('owner = "desk"', "", "`owner`", "top"),
        ('step = "PT10M"', 'step = "ten"', "not a duration", "needs.stations.step"),
        ('history = "PT1H"', "", "not a duration", "needs.stations.history"),
        ('series = ["temperature"]', 'series = ["wind"]', "'wind' has a series", "needs.stations"),
        ('series = ["temperature"]', "", "names no series", "needs.stations"),
        ('every = "PT10M"', "", "Nothing wakes it", "wakes-on"),
        ('every = "PT10M"', 'at = ["25:00"]', "not a time of day", "wakes-on.at"),
        ('every = "PT10M"', 'evry = "PT10M"', "`evry`", "wakes-on"),
        ('every = "PT10M"', 'every = "PT10M"\ndelay = "x"', "not a duration", "wakes-on.delay"),
        ('"weather/heat"', '"heat"', "category/subCategory", "alerts"),
        ("since = 2020-01-01", 'since = "once"', "an instant", "settings"),
        ('id = "heat"', 'id = "heat"\nsees = "everything"', "everything", "sees"),
        (
            'id = "heat"',
            'id = "heat"\ntraining = { every = "P1D", wants = "" }',
            "not a duration",
            "training.wants",
        ),
    ],
)
def test_read_manifest_names_the_place_and_the_cure(old, new, said, place):
    with pytest.raises(BrokenPlugin) as caught:
        read_manifest(changed(old, new), where="services/heat/manifest.toml")
    assert said in caught.value.message
    assert place in str(caught.value.where)
    assert caught.value.hint


def test_read_manifest_refuses_two_windows_of_one_name():
    raw = tomllib.loads(GOOD)
    raw["needs"] = raw["needs"] * 2
    with pytest.raises(BrokenPlugin, match="'stations' is there twice"):
        read_manifest(raw, where="manifest.toml")


def test_read_manifest_refuses_a_setting_without_a_value():
    raw = tomllib.loads(GOOD)
    raw["settings"]["limit_c"]["values"] = []
    with pytest.raises(BrokenPlugin, match="has no value"):
        read_manifest(raw, where="manifest.toml")


@pytest.mark.parametrize(
    ("day", "value"),
    [
        (date(2019, 1, 1), 30.0),
        (date(2020, 1, 1), 30.0),
        (date(2024, 12, 31), 30.0),
        (date(2025, 1, 1), 28.0),
    ],
)
def test_settings_on_a_day_are_those_in_force(day, value):
    manifest = read_manifest(tomllib.loads(GOOD), where="manifest.toml")
    assert settings_on(manifest, day) == {"limit_c": value}
    assert settings_on(manifest, day, {"limit_c": 1.0}) == {"limit_c": 1.0}


@pytest.mark.parametrize(
    ("overrides", "said"),
    [({"limit": 3}, "no setting 'limit'"), ({"limit_c": "hot"}, "kind"), ({"limit_c": True}, "kind")],
)
def test_check_overrides_refuses_what_the_service_does_not_have(overrides, said):
    manifest = read_manifest(tomllib.loads(GOOD), where="manifest.toml")
    with pytest.raises(BadConfig, match=said):
        check_overrides(manifest, overrides)


def test_check_overrides_lets_a_whole_number_pass_for_a_number():
    check_overrides(read_manifest(tomllib.loads(GOOD), where="manifest.toml"), {"limit_c": 30})
