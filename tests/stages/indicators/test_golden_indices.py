"""Published indices, worked out again from definition and values as files; skipped without the tables."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

import cityloom_catalogue
from cityloom.indicators.composite.computing import Observations, Result, compute
from cityloom.indicators.composite.definition import read_definition
from cityloom.indicators.composite.normalisation import Scale
from cityloom.indicators.composite.tables import city_groups, observations
from cityloom.indicators.exchange.files import values_in
from cityloom.indicators.framework import read_framework
from cityloom.indicators.scoring import points_of, score

ROOT = Path(__file__).parents[3]
KPI = Path(os.environ.get("CITYLOOM_DATA", ROOT.parent / "shared" / "data")) / "kpi"
ASEM = KPI / "golden_asem"
U4SSC = Path(next(iter(cityloom_catalogue.__path__))) / "frameworks/u4ssc"

pytestmark = pytest.mark.skipif(not KPI.exists(), reason="the published indices are not on this machine")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def numbers(table: list[dict[str, str]], column: str) -> np.ndarray:
    return np.array([float(row[column]) if row[column] not in ("", "NA") else np.nan for row in table])


def differ_by_at_most(found: np.ndarray, published: np.ndarray, most: float) -> int:
    """How many cells were compared; a gap must be a gap in both."""
    assert (np.isnan(found) == np.isnan(published)).all()
    assert np.nanmax(np.abs(found - published), initial=0) <= most
    return int((~np.isnan(published)).sum())


# 105 cities of the United States, 2019 (Sustainable Development Solutions Network, CC BY 4.0)


@pytest.fixture(scope="module")
def cities_of_2019(tmp_path_factory) -> Result:
    folder = tmp_path_factory.mktemp("sdsn")
    bounds, values = (
        rows(KPI / "golden_sdsn_us_cities_2019_bounds.csv"),
        rows(KPI / "golden_sdsn_us_cities_2019_values.csv"),
    )
    said = ['id = "sdsn"', 'version = "2019"', 'title = { en = "SDSN" }', "[steps]", 'scale = "goalposts"']
    said += ["[[groups]]", 'code = "index"']
    for goal in dict.fromkeys(row["sdg"] for row in bounds):
        said += ["[[groups]]", f'code = "goal{goal}"', 'in = "index"']
    for row in bounds:
        said += ["[[indicators]]", f'code = "{row["indicator"]}"', f'in = "goal{row["sdg"]}"']
        said += [f"target = {float(row['target'])}", f"worst = {float(row['worst'])}"]
    (folder / "definition.toml").write_text("\n".join(said))
    with (folder / "values.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["city", "indicator", "period", "value"])
        for row in values:
            writer.writerows([row["msa"], one["indicator"], 2019, row[one["indicator"]]] for one in bounds)
    definition = read_definition(folder / "definition.toml")
    (seen,), notes = observations(definition, values_in(folder / "values.csv"))
    assert notes == []
    return compute(definition, seen)


def test_every_cell_of_the_index_of_105_cities(cities_of_2019):
    published = rows(KPI / "golden_sdsn_us_cities_2019_values.csv")
    assert list(cities_of_2019.cities) == [row["msa"] for row in published]
    assert len(published) == 105
    cells = 0
    for code, course in cities_of_2019.indicators.items():
        cells += differ_by_at_most(course.scores, numbers(published, f"n_{code}"), 1e-3)
    assert cells == 5815
    goals = [code for code in cities_of_2019.groups if code.startswith("goal")]
    assert len(goals) == 15
    for code in goals:
        scores = cities_of_2019.groups[code].scores
        differ_by_at_most(scores, numbers(published, f"score_sdg{code.removeprefix('goal')}"), 1e-3)
    assert differ_by_at_most(cities_of_2019.index, numbers(published, "score_sdgi"), 1e-5) == 105


def test_all_105_ranks(cities_of_2019):
    published = rows(KPI / "golden_sdsn_us_cities_2019_values.csv")
    assert cities_of_2019.ranks.tolist() == numbers(published, "rank_sdgIndex").tolist()


def test_the_order_of_the_105_cities_does_not_hang_on_the_scale(cities_of_2019):
    """Seen from the other scales, directions are the same: the first stay ahead of the last."""
    definition = cities_of_2019.definition
    other = replace(definition, steps=replace(definition.steps, scale=Scale.MIN_MAX))
    columns = {code: course.treated for code, course in cities_of_2019.indicators.items()}
    found = compute(other, Observations("2019", cities_of_2019.cities, columns)).ranks
    assert np.corrcoef(found, cities_of_2019.ranks)[0, 1] > 0.9


def test_what_a_city_does_not_report_is_told_and_not_zero(cities_of_2019):
    silent = [note for note in cities_of_2019.notes if note.said == "not reported"]
    assert len(silent) == sum(np.isnan(one.scores).sum() for one in cities_of_2019.indicators.values())
    assert silent
    assert all(
        np.isnan(cities_of_2019.indicators[note.code].scores[cities_of_2019.cities.index(note.city)])
        for note in silent
    )


# ASEM sustainable connectivity, the example of COINr (MIT)


@pytest.fixture(scope="module")
def connectivity(tmp_path_factory) -> Result:
    folder = tmp_path_factory.mktemp("asem")
    meta, weights = rows(ASEM / "ind_meta.csv"), rows(ASEM / "agg_meta.csv")
    parents = {row["Agg1"]: row["Agg2"] for row in meta} | {row["Agg2"]: row["Agg3"] for row in meta}
    said = ['id = "asem"', 'version = "1"', 'title = { en = "ASEM" }', "[steps]"]
    said += ['impute = "group_mean"', 'impute_by = "Group_EurAsia"', "treat = true", "winsorise_at_most = 6"]
    said += ['scale = "min_max"', 'weights = "given"']
    for row in weights:
        said += ["[[groups]]", f'code = "{row["Code"]}"', f"weight = {float(row['Weight'])}"]
        said += [f'in = "{parents[row["Code"]]}"'] if row["Code"] in parents else []
    for row in meta:
        said += ["[[indicators]]", f'code = "{row["IndCode"]}"', f'in = "{row["Agg1"]}"']
        said += [f"higher = {str(float(row['Direction']) > 0).lower()}", f"weight = {row['IndWeight']}"]
        said += [f'denominator = "{row["Denominator"]}"'] if row["Denominator"] not in ("", "NA") else []
    (folder / "definition.toml").write_text("\n".join(said))
    raw, below = rows(ASEM / "raw.csv"), rows(ASEM / "denominators.csv")
    with (folder / "values.csv").open("w", newline="") as file, (folder / "cities.csv").open("w") as cities:
        writer = csv.writer(file)
        writer.writerow(["city", "indicator", "period", "value"])
        cities.write("city,Group_EurAsia\n")
        for row, divisors in zip(raw, below, strict=True):
            for one in meta:
                writer.writerow([row["UnitCode"], one["IndCode"], 2018, row[one["IndCode"]]])
            for code in ("Den_Area", "Den_Energy", "Den_GDP", "Den_Pop"):
                writer.writerow([row["UnitCode"], code, 2018, divisors[code]])
            cities.write(f"{row['UnitCode']},{row['Group_EurAsia']}\n")
    definition = read_definition(folder / "definition.toml")
    groups = city_groups((folder / "cities.csv").read_text(), definition.steps.impute_by, "cities.csv")
    (seen,), _ = observations(definition, values_in(folder / "values.csv"), groups)
    return compute(definition, seen)


@pytest.mark.parametrize(
    ("step", "file"),
    [
        ("denominated", "denominated.csv"),
        ("imputed", "imputed.csv"),
        ("treated", "treated.csv"),
        ("scores", "normalised.csv"),
    ],
)
def test_a_step_of_the_asem_index(connectivity, step, file):
    published = rows(ASEM / file)
    cells = 0
    for code, course in connectivity.indicators.items():
        wanted = numbers(published, code)
        cells += differ_by_at_most(getattr(course, step), wanted, 1e-7 * max(1.0, np.nanmax(np.abs(wanted))))
    assert cells == 51 * 49 - (65 if step == "denominated" else 0)


def test_what_was_treated_of_the_asem_index(connectivity):
    told = {note.code: note.said for note in connectivity.notes if note.said.startswith("treated")}
    for row in rows(ASEM / "treat_summary.csv"):
        low, high = int(float(row["Low"])), int(float(row["High"]))
        said = f"treated: {low} value(s) drawn in from below, {high} from above" if low or high else None
        assert told.get(row["IndCode"]) == said


def test_the_levels_and_ranks_of_the_asem_index(connectivity):
    published = rows(ASEM / "aggregated.csv")
    for code, group in connectivity.groups.items():
        differ_by_at_most(group.scores, numbers(published, code), 1e-6)
    ranks = {row["UnitCode"]: float(row["Index"]) for row in rows(ASEM / "results_rank.csv")}
    assert dict(zip(connectivity.cities, connectivity.ranks.tolist(), strict=True)) == ranks


# U4SSC's validation rules

#: What stands for each rule: a check of the manifest, or another mechanism that a test elsewhere has seen.
RULES = {
    "V01": "mode-shares",
    "V02": "waste-shares",
    "V03": "treatment-levels",
    "V04": "unit",
    "V05": "potable-water",
    "V06": "broadband",
    "V07": "smart-meters",
    "V08": "research",
    "V09": "percent",
    "V10": "households",
    "V11": "not-inhabitants",
    "V12": "open-data",
    "V13": "product",
    "V14": "percent",
    "V15": "outage-frequency",
}


def test_each_validation_rule_is_a_check():
    framework = read_framework(U4SSC)
    checks = {check.id for check in framework.manifest.checks} | {"unit"}
    assert {row["id"] for row in rows(KPI / "u4ssc_validation_rules.csv")} == set(RULES)
    assert set(RULES.values()) <= checks
    (air,) = (one for one in framework.indicators if one.code == "EN:EN:AQ:1C")
    assert {point.unit for point in air.points} == {"µg/m³"}


def test_the_worked_examples_as_they_are_published():
    for row in rows(KPI / "u4ssc_scoring_golden.csv"):
        found = score(int(one) for one in row["kpi_points"].split("|"))
        assert (found.scored, 4 * found.scored) == (int(row["reported"]), int(row["max_points"]))
        assert found.percent == float(row["score_pct"])
        assert points_of(float(row["score_pct"])) == {"33-66": 2, "66-95": 3}[row["band"]] == found.band
