"""One value answers several frameworks; what is not in hand is said and not made up."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

import pytest

import cityloom_catalogue
from cityloom.indicators.composite.computing import compute
from cityloom.indicators.composite.definition import read_definition
from cityloom.indicators.composite.tables import observations
from cityloom.indicators.exchange.reported import Reported
from cityloom.indicators.framework import point_id, read_framework
from cityloom.indicators.model import Entry
from cityloom.kernel.actor import ANONYMOUS
from cityloom.kernel.errors import BrokenPlugin, Conflict

FRAMEWORKS = Path(next(iter(cityloom_catalogue.__path__))) / "frameworks"
NAMES = sorted(path.parent.name for path in FRAMEWORKS.glob("*/manifest.toml"))
YEAR = {"since": datetime(2013, 1, 1, tzinfo=UTC), "until": datetime(2014, 1, 1, tzinfo=UTC)}
MOBILE = point_id("u4ssc", "EC:ICT:ICT:3C", "")
PER_HUNDRED = point_id("y4901", "I1.1.4", "")
DUST, ISO_DUST = point_id("u4ssc", "EN:EN:AQ:1C", "pm2.5"), point_id("iso37120", "8.1", "")


@pytest.fixture
async def room(city):
    made = city.indicators(*(read_framework(FRAMEWORKS / name) for name in ("u4ssc", "y4901", "iso37120")))
    await made.publish()
    return made


async def test_a_value_answers_another_framework_in_its_unit(city, room, planner, auditor):
    await room.enter(planner, MOBILE, Entry(value=95_424.0, source="the statistics office", **YEAR))
    found = room.summary(ANONYMOUS, PER_HUNDRED)
    assert found.value == pytest.approx(95.424)
    assert (found.is_reported, found.verified, found.source) == (True, False, "the statistics office")
    assert (found.answered_by.framework, found.answered_by.code) == ("u4ssc", "EC:ICT:ICT:3C")
    await room.verify(auditor, MOBILE)
    assert room.summary(ANONYMOUS, PER_HUNDRED).verified
    assert room.report(ANONYMOUS, "y4901").tallies[""].reported == 1
    assert [one.framework.id for one in room.reports(ANONYMOUS)] == ["u4ssc", "y4901", "iso37120"]


async def test_it_is_scored_by_nobody_s_targets_but_the_framework_s_own(room, planner):
    await room.enter(planner, DUST, Entry(value=8.0, source="the air monitors", **YEAR))
    assert room.summary(ANONYMOUS, DUST).points is not None
    answered = room.summary(ANONYMOUS, ISO_DUST)
    assert (answered.value, answered.unit_code) == (8.0, "GQ")
    assert (answered.points, answered.percent_of_target, answered.standing) == (None, None, "")


async def test_an_own_value_goes_first_and_what_is_taken_back_is_gone(room, planner):
    await room.enter(planner, DUST, Entry(value=8.0, source="the air monitors", **YEAR))
    await room.enter(planner, ISO_DUST, Entry(value=9.0, source="another report", **YEAR))
    assert room.summary(ANONYMOUS, ISO_DUST).value == 9.0
    assert room.summary(ANONYMOUS, ISO_DUST).answered_by is None
    await room.withdraw(planner, ISO_DUST)
    assert room.summary(ANONYMOUS, ISO_DUST).value == 8.0
    await room.withdraw(planner, DUST)
    assert room.summary(ANONYMOUS, ISO_DUST).value is None


async def test_what_stands_elsewhere_is_verified_there(room, planner, auditor):
    await room.enter(planner, DUST, Entry(value=8.0, source="the air monitors", **YEAR))
    with pytest.raises(Conflict):
        await room.verify(auditor, ISO_DUST)
    with pytest.raises(Conflict):
        await room.withdraw(planner, ISO_DUST)


@pytest.mark.parametrize("name", NAMES)
def test_a_mapping_leads_to_data_points_that_there_are(name):
    framework = read_framework(FRAMEWORKS / name)
    own = {(point.code, point.key): point for _, point in framework.points()}
    for key, every in framework.same_as.items():
        for same in every:
            others = {
                (point.code, point.key): point
                for _, point in read_framework(FRAMEWORKS / same.framework).points()
            }
            other = others[same.code, same.point]
            assert same.factor != 1 or own[key].unit_code == other.unit_code
            assert same.basis
            assert same.provenance


@pytest.mark.parametrize("name", NAMES)
def test_each_row_says_where_it_was_read_and_what_is_not_known_is_left_open(name):
    framework = read_framework(FRAMEWORKS / name)
    for one in framework.indicators:
        assert one.provenance
        assert one.confidence in ("high", "medium", "low")
    open_ones = [one for one in framework.indicators if not one.definition]
    assert not open_ones or framework.manifest.not_in_hand.keys() >= {"en", "da"} or name in ("u4ssc", "city")


def test_the_sizes_of_the_frameworks():
    sizes = {name: len(read_framework(FRAMEWORKS / name).indicators) for name in NAMES}
    assert sizes == {
        "china_2016": 21,
        "china_2022": 9,
        "city": 9,
        "easypark": 23,
        "fgssc": 37,
        "iso30146": 6,
        "iso37120": 128,
        "iso37122": 80,
        "iso37123": 68,
        "russia_iq": 10,
        "subjective_objective": 8,
        "u4ssc": 91,
        "y4901": 14,
        "y4902": 7,
    }


def test_a_factor_is_above_zero(tmp_path):
    import shutil

    folder = shutil.copytree(FRAMEWORKS / "y4901", tmp_path / "y4901")
    table = folder / "same_as.csv"
    table.write_text(table.read_text().replace("0.001", "0"))
    with pytest.raises(BrokenPlugin, match="factor"):
        read_framework(folder)


# Composite indices that frameworks bring along


def of_all(definition, share):
    """Each indicator at a share of its target."""
    return [Reported("Aston", one.code, "2024", share * one.target) for one in definition.indicators]


@pytest.mark.parametrize(("name", "out_of", "groups"), [("china_2016", 100, 9), ("russia_iq", 120, 1)])
def test_an_index_that_a_framework_brings_along(name, out_of, groups):
    definition = read_definition(FRAMEWORKS / name / "index.toml")
    assert definition.root.out_of == out_of
    assert len(definition.groups) == groups
    framework = read_framework(FRAMEWORKS / name)
    assert {one.code for one in definition.indicators} == {one.code for one in framework.indicators}
    (seen,), _ = observations(definition, of_all(definition, 0.5))
    assert compute(definition, seen).index.tolist() == pytest.approx([50])
    (seen,), _ = observations(definition, of_all(definition, 0.5)[1:])
    assert compute(definition, seen).index.tolist() != pytest.approx([50]), "a gap is not filled in silence"


def test_weights_of_china_add_up_to_a_hundred_and_each_group_to_its_own():
    definition = read_definition(FRAMEWORKS / "china_2016" / "index.toml")
    root = definition.members("index")
    assert sum(one.weight for one in root) == 100
    for group in root:
        assert sum(one.weight for one in definition.members(group.code)) == group.weight
    with (FRAMEWORKS / "china_2016" / "indicators.csv").open(encoding="utf-8") as file:
        kinds = {row["code"]: row["kind"] for row in csv.DictReader(file)}
    assert all(kinds[one.code] == f"weight {one.weight:g} %" for one in definition.indicators)


def test_points_of_russia_are_of_120():
    definition = read_definition(FRAMEWORKS / "russia_iq" / "index.toml")
    rows = [Reported("Moscow", one.code, "2018", 8.119) for one in definition.indicators]
    (seen,), _ = observations(definition, rows)
    score = compute(definition, seen).index[0]
    assert score * definition.root.out_of / 100 == pytest.approx(81.19)
