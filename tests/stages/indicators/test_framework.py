"""Frameworks are read from their folder and checked; those of the catalogue are whole."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

import cityloom_catalogue
from cityloom.indicators.by_goal import targets_in
from cityloom.indicators.checks import Basis, findings
from cityloom.indicators.framework import read_framework
from cityloom.indicators.model import Rule
from cityloom.kernel.errors import BadConfig, BrokenPlugin
from cityloom.kernel.units import UNITS
from cityloom.planning.sdg import TARGETS

FRAMEWORKS = Path(next(iter(cityloom_catalogue.__path__))) / "frameworks"
#: Published values of cities, read in their verification reports: code, point, unit, value.
PUBLISHED = Path(__file__).parent / "published_values.csv"


@pytest.fixture(scope="module")
def u4ssc():
    return read_framework(FRAMEWORKS / "u4ssc")


@pytest.fixture
def folder(tmp_path):
    """A copy of the city's framework to break."""
    return shutil.copytree(FRAMEWORKS / "city", tmp_path / "city")


def change(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_u4ssc_has_its_91_indicators_and_112_data_points(u4ssc):
    assert len(u4ssc.indicators) == 91
    assert len(u4ssc.points()) == 112
    assert Counter(one.level for one in u4ssc.indicators) == {"core": 54, "advanced": 37}
    assert Counter(one.path[0] for one in u4ssc.indicators) == {
        "Economy": 45,
        "Environment": 17,
        "Society and Culture": 29,
    }
    assert len({one.path[:2] for one in u4ssc.indicators}) == 7
    assert len({one.path[2] for one in u4ssc.indicators}) == 22
    assert sum(len(one.points) > 1 for one in u4ssc.indicators) == 7


def test_u4ssc_says_of_every_row_where_it_was_read(u4ssc):
    assert all(one.provenance and one.confidence in ("high", "medium", "low") for one in u4ssc.indicators)
    assert all({"en", "da"} <= set(one.name) for one in u4ssc.indicators)
    assert all(
        "CityLoom" in point.benchmark.provenance for _, point in u4ssc.points() if point.benchmark is not None
    )


def test_u4ssc_scores_nothing_that_is_officially_without_a_benchmark(u4ssc):
    for code, key in (("EC:ICT:ICT:5A", ""), ("EC:ICT:PS:1A", "number"), ("EC:ICT:PS:2A", "")):
        (point,) = [one for _, one in u4ssc.points() if (one.code, one.key) == (code, key)]
        assert point.benchmark is None


def test_u4ssc_names_units_the_city_knows(u4ssc):
    assert {point.unit_code for _, point in u4ssc.points()} - {""} <= set(UNITS)


def test_u4ssc_takes_the_values_that_cities_have_published(u4ssc):
    points = {(point.code, point.key): point for _, point in u4ssc.points()}
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 60
    refused = []
    for row in rows:
        key = (row["code"], row["point"])
        assert key in points, row
        if row["value"]:
            found = findings(u4ssc, {key: float(row["value"])})
            refused += [(row, one.check.id) for one in found if one.check.severity == "error"]
    assert refused == []


@pytest.mark.parametrize("name", sorted(path.parent.name for path in FRAMEWORKS.glob("*/manifest.toml")))
def test_every_framework_of_the_catalogue_is_whole(name):
    framework = read_framework(FRAMEWORKS / name)
    assert framework.id == name
    assert framework.indicators
    assert (FRAMEWORKS / name / "README.md").exists()


@pytest.mark.parametrize("name", sorted(path.parent.name for path in FRAMEWORKS.glob("*/manifest.toml")))
def test_every_indicator_names_targets_of_sustainable_development_that_there_are(name):
    for one in read_framework(FRAMEWORKS / name).indicators:
        named = targets_in(one.sdg)
        # U4SSC names of life expectancy the whole third goal.
        assert named or (one.code, one.sdg) == ("SC:EH:H:1C", "3"), one.code
        assert set(named) <= set(TARGETS), (one.code, named)


def test_a_city_may_set_targets_of_its_own(folder, tmp_path):
    own = tmp_path / "own.csv"
    own.write_text(
        "code,point,target,worst,rule,basis,provenance\nM1,,70,,ratio_up,council 2026-04-12,the council\n",
        encoding="utf-8",
    )
    framework = read_framework(folder, benchmarks=own)
    benchmarks = {point.code: point.benchmark for _, point in framework.points()}
    assert benchmarks["M1"].target == 70
    assert benchmarks["M2"] is None
    assert framework.manifest.profile.id.startswith("own-")
    assert "Set by this city" in framework.manifest.profile.status["en"]


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("manifest.toml", 'scoring = "none"', 'scoring = "stars"', "stars"),
        ("manifest.toml", "id = ", "id == ", "cannot be read"),
        ("manifest.toml", 'edition = "1"', 'edition = "1"\ncolour = "blue"', "colour"),
        ("indicators.csv", "M2,,Moving", "M1,,Moving", "M1 stands twice"),
        ("indicators.csv", "M1,,Moving", "M1,,Flying", "group"),
        ("indicators.csv", ",100,higher,11.2", ",hundred,higher,11.2", "line 2"),
        ("indicators.csv", ",100,higher,11.2", ",100,higher", "line 2"),
        ("benchmarks.csv", "M1,,85", "X9,,85", "X9"),
        ("benchmarks.csv", "M1,,85", "M1,,0", "cannot be used"),
        ("benchmarks.csv", "M2,,0,50", "M2,,0,0", "cannot be used"),
        ("benchmarks.csv", "ratio_up,begin", "ratio_sideways,begin", "ratio_sideways"),
        ("measures.toml", 'verb = "arrived"', 'verb = "guessed"', "guessed"),
        ("measures.toml", 'code = "P1"', 'code = "P9"', "P9"),
        ("measures.toml", 'step = "PT5M"', 'step = "soon"', "soon"),
        ("measures.toml", 'step = "PT5M"', 'step = "PT0S"', "no length"),
        ("measures.toml", 'sees = "internal"', 'sees = "security"', "secret"),
        ("measures.toml", "below = 0.1", "below = 0.1\nabove = 0.2", "not both"),
        ("measures.toml", "below = 0.1", "", "not both"),
    ],
)
def test_read_framework_names_what_is_broken(folder, file, old, new, says):
    change(folder / file, old, new)
    with pytest.raises(BrokenPlugin) as broken:
        read_framework(folder)
    assert says in str(broken.value)


def test_read_framework_blames_the_city_for_its_own_targets(folder, tmp_path):
    own = tmp_path / "own.csv"
    own.write_text("code,point\nM1,\n", encoding="utf-8")
    with pytest.raises(BadConfig):
        read_framework(folder, benchmarks=own)


YEAR = {"since": datetime(2024, 1, 1, tzinfo=UTC), "until": datetime(2025, 1, 1, tzinfo=UTC)}
HOMES, WATER, PARKS = ("EC:ICT:ICT:1C", ""), ("EC:I:WS:1C", ""), ("EN:EN:PSN:2A", "")
OUTAGES, RESEARCH = ("EC:I:ES:1C", ""), ("EC:P:IN:1C", "")


@pytest.mark.parametrize(
    ("bases", "check"),
    [
        ({HOMES: Basis(400.0), WATER: Basis(400.0)}, ""),
        ({HOMES: Basis(400.0), WATER: Basis(410.0)}, "households"),
        ({HOMES: Basis(400.0), PARKS: Basis(900.0)}, ""),
        ({HOMES: Basis(900.0), PARKS: Basis(900.0)}, "not-inhabitants"),
        ({RESEARCH: Basis(1e9)}, ""),
        ({RESEARCH: Basis()}, "product"),
        ({OUTAGES: Basis(**YEAR)}, ""),
        ({OUTAGES: Basis(since=YEAR["since"], until=datetime(2024, 7, 1, tzinfo=UTC))}, "outage-frequency"),
        (
            {("EC:I:ES:2C", ""): Basis(since=YEAR["since"], until=datetime(2024, 2, 1, tzinfo=UTC))},
            "outage-time",
        ),
        ({("EC:ICT:PS:1A", "percent"): Basis(), ("EC:ICT:PS:1A", "number"): Basis()}, ""),
        ({("EC:ICT:PS:1A", "number"): Basis()}, "open-data"),
    ],
)
def test_findings_look_at_denominators_and_periods_too(u4ssc, bases, check):
    found = findings(u4ssc, dict.fromkeys(bases, 3.0), bases)
    assert [one.check.id for one in found] == ([check] if check else [])
    assert all(set(one.points) & set(bases) for one in found)


def test_a_check_of_a_denominator_that_nobody_has_is_refused(folder):
    with (folder / "manifest.toml").open("a") as file:
        file.write('[[checks]]\nid = "x"\nkind = "same_denominator"\ndenominator = "sheep"\n')
    with pytest.raises(BrokenPlugin, match="sheep"):
        read_framework(folder)


def test_findings_tell_what_does_not_fit_together(u4ssc):
    def found(**values):
        return {one.check.id for one in findings(u4ssc, values["values"])} - {"product"}

    modes = ["private", "public", "walking", "cycling", "para"]
    fitting = dict(zip([("EC:I:T:4A", one) for one in modes], [50, 20, 15, 14, 1], strict=True))
    assert found(values=fitting) == set()
    assert found(values={**fitting, ("EC:I:T:4A", "cycling"): 30}) == {"mode-shares"}
    levels = {("EN:EN:WS:4C", "primary"): 80, ("EN:EN:WS:4C", "secondary"): 90}
    assert found(values=levels) == {"treatment-levels"}
    assert found(values={("EC:I:WS:2C", ""): 99, ("EC:I:WS:1C", ""): 98}) == {"potable-water"}
    assert found(values={("EC:I:WS:2C", ""): 99}) == set()
    assert found(values={("SC:EH:ED:4C", ""): 101}) == {"percent"}
    assert found(values={("SC:EH:ED:2C", ""): 104}) == set()  # pupils come from other towns
    assert found(values={("EC:P:IN:1C", ""): 6}) == {"research"}
    assert found(values={("EC:ICT:WS:1C", ""): 60, ("EC:ICT:ES:1C", ""): 40}) == {"smart-meters"}
    assert found(values={("EC:ICT:WS:1C", ""): 40, ("EC:ICT:ES:1C", ""): 60}) == set()


def test_benchmarks_of_yes_and_no_are_told_by_their_rule(u4ssc):
    (plans,) = [point for _, point in u4ssc.points() if point.code == "SC:SH:SA:3A"]
    assert plans.benchmark.rule is Rule.BOOLEAN
    assert plans.is_yes_or_no
