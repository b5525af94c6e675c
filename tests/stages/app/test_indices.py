"""`cityloom index compute` and `cityloom score` work on files alone."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from cityloom.app.command_line import main
from cityloom.indicators.exchange.files import read_values

DEFINITION = """
id = "green"
version = "1"
title = { en = "Green city" }
[steps]
scale = "goalposts"
[[groups]]
code = "index"
[[indicators]]
code = "trees"
in = "index"
target = 30.0
worst = 0.0
[[indicators]]
code = "no2"
unit = "µg/m³"
in = "index"
higher = false
target = 10.0
worst = 50.0
"""
VALUES = """city,indicator,period,value
Aston,trees,2024,15
Aston,no2,2024,30
Beeham,trees,2024,30
Beeham,no2,2024,NA
Ceewick,noise,2024,3
"""


@pytest.fixture
def files(tmp_path):
    (tmp_path / "definition.toml").write_text(DEFINITION)
    (tmp_path / "values.csv").write_text(VALUES)
    return tmp_path


def rows_in(text):
    return list(csv.DictReader(io.StringIO(text)))


def run(*words):
    return main([str(word) for word in words])


def test_an_index_is_computed_and_what_was_left_out_is_told(files, capsys):
    out = files / "result.csv"
    assert run("index", "compute", files / "definition.toml", files / "values.csv", "--out", out) == 0
    found = {(row["city"], row["code"]): row for row in rows_in(out.read_text())}
    assert float(found["Aston", "index"]["score"]) == 50
    assert found["Beeham", "index"]["score"] == "100"
    assert found["Beeham", "no2"]["score"] == "", "missing is not zero"
    assert (found["Aston", "no2"]["unit"], found["Aston", "index"]["unit"]) == ("µg/m³", "")
    assert (found["Beeham", "index"]["rank"], found["Aston", "index"]["rank"]) == ("1", "2")
    assert found["Ceewick", "index"]["score"] == found["Ceewick", "index"]["rank"] == ""
    told = capsys.readouterr().err
    assert "2 of 3 cities have a score" in told
    assert "noise: left out: not in the definition" in told
    assert "2024 Beeham no2" in told
    assert "2024 Ceewick index" in told


def test_the_result_goes_to_standard_output_alone(files, capsys):
    assert run("index", "compute", files / "definition.toml", files / "values.csv") == 0
    assert len(rows_in(capsys.readouterr().out)) == 9


def test_ranks_are_told_as_intervals(files, capsys):
    words = ("index", "compute", files / "definition.toml", files / "values.csv")
    assert run(*words, "--sensitivity", 50, "--leave-one-out") == 0
    said = capsys.readouterr()
    ranked = [row for row in rows_in(said.out) if row["kind"] == "index" and row["rank"]]
    assert all(1 <= int(row["rank_low"]) <= int(row["rank_high"]) <= 2 for row in ranked)
    assert len(ranked) == 2
    assert "50 other choices" in said.err
    assert "without one indicator" in said.err


def test_an_index_that_does_not_rank_writes_no_ranks(files, capsys):
    (files / "definition.toml").write_text('ranks = false\ncaution = { en = "Not to rank." }' + DEFINITION)
    words = ("index", "compute", files / "definition.toml", files / "values.csv")
    assert run(*words) == 0
    said = capsys.readouterr()
    assert {row["rank"] for row in rows_in(said.out)} == {""}
    assert "Caution: Not to rank." in said.err
    assert run(*words, "--sensitivity", 5) == 1


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Aston,trees,2024,15", "Aston,trees,2024,fifteen", "values.csv line 2, column 4 (value)"),
        ("Aston,no2,2024,30", "Aston,trees,2024,30", "values.csv line 3"),
        ("Aston,no2,2024,30", "Aston,no2,2024,30,1", "values.csv line 3"),
        ("Aston,no2,2024,30", ",no2,2024,30", "values.csv line 3, column 1 (city)"),
        ("city,indicator,period,value", "city,indicator,period", "values.csv line 1"),
        ("Aston,no2,2024,30", '"Aston,no2,2024,30', "values.csv line"),
        ("Aston,no2,2024,30", "Aston,no2,2024,inf", "values.csv line 3, column 4 (value)"),
    ],
)
def test_a_wrong_table_is_told_with_line_and_column(files, capsys, old, new, said):
    (files / "values.csv").write_text(VALUES.replace(old, new))
    assert run("index", "compute", files / "definition.toml", files / "values.csv") == 1
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "words",
    [
        ("index", "compute", "nowhere.toml", "values.csv"),
        ("index", "compute", "no-framework", "values.csv"),
        ("index", "compute", "definition.toml", "nowhere.csv"),
        ("index", "compute", "definition.toml", "values.csv", "--column", "city"),
        ("index", "compute", "definition.toml", "values.csv", "--column", "city=TOWN"),
        ("index", "compute", "definition.toml", "values.csv", "--column", "town=city"),
        ("index", "compute", "definition.toml", "values.csv", "--out", "no/folder.csv"),
        ("score", "nothing", "values.csv"),
        ("score", "city", "values.csv"),
        ("score", "u4ssc", "values.csv", "--benchmarks", "nowhere.csv"),
    ],
)
def test_what_cannot_be_done_is_told_in_words(files, capsys, monkeypatch, words):
    monkeypatch.chdir(files)
    assert run(*words) == 1
    assert capsys.readouterr().err.startswith("cityloom: ")


@pytest.mark.parametrize("command", ["index", "score"])
def test_help_names_the_columns(capsys, command):
    with pytest.raises(SystemExit):
        run(command, "--help")
    assert "city, indicator, period, value" in " ".join(capsys.readouterr().out.split())


# U4SSC

#: Shares of the target that give 1, 3, 4 and 1 points, and the indicators of education.
EDUCATION = "".join(
    f"Aston,SC: EH: {code},2024,{value}\n"
    for code, value in (("ED:1C", 20), ("ED:2C", 80), ("ED:3C", 40_000), ("ED:4C", 20))
)


def score_u4ssc(files, text, *more):
    (files / "values.csv").write_text(text)
    return run("score", "u4ssc", files / "values.csv", *more)


def test_the_worked_examples_of_u4ssc(files, capsys):
    assert score_u4ssc(files, "city,indicator,period,value\n" + EDUCATION, "--out", files / "out.csv") == 0
    rows = {(row["kind"], row["code"]): row for row in rows_in((files / "out.csv").read_text())}
    education = next(row for key, row in rows.items() if key[1].endswith("/Education"))
    assert (education["score"], education["band"], education["points"]) == ("56.25", "33-66", "9")
    three = EDUCATION.replace(",20\n", ",\n", 1).replace("ED:4C,2024,20", "ED:4C,2024,60")
    score_u4ssc(files, "city,indicator,period,value\n" + three, "--out", files / "out.csv")
    rows = rows_in((files / "out.csv").read_text())
    education = next(row for row in rows if row["code"].endswith("/Education"))
    assert (education["score"], education["band"], education["most"]) == ("75", "66-95", "12")
    said = capsys.readouterr().out
    assert "does not rank" in said
    assert "Left out, not reported: " in said
    assert re.search(r"SC:EH:ED: .*1C", said)


def test_the_lowest_score_of_u4ssc_is_a_quarter(files, capsys):
    lowest = "city,indicator,period,value\n" + "".join(
        f"Aston,SC:EH:ED:{one},2024,0\n" for one in ("1C", "2C", "3C", "4C")
    )
    assert score_u4ssc(files, lowest) == 0
    assert "Aston, 2024: 25.00 %, band 0-33" in capsys.readouterr().out


def test_what_cannot_be_scored_says_why(files, capsys):
    text = (
        "city,indicator,period,value,point,unit\n"
        "Aston,XX:1,2024,5,,\n"
        "Aston,EC:ICT:PS:1A,2024,5,,\n"
        "Aston,EN:EN:AQ:1C,2024,5,pm10,ppm\n"
        "Aston,EC:I:UP:2A,2024,7,compact,\n"
        "Aston,EC:ICT:ICT:1C,2024,yes,,\n"
        "Aston,EC:I:WS:1C,2024,99,,\n"
        "Aston,EC:ICT:ICT:5A,2024,12,,\n"
        "Aston,EC: I:WS:1C,2024,98,,\n"
    )
    assert score_u4ssc(files, text) == 0
    said = capsys.readouterr().out
    for why in (
        "not in the framework: XX:1 (values.csv line 2)",
        "needs a data point: percent, number: EC:ICT:PS:1A",
        "is in ppm, and µg/m³ is asked for",
        "Left out, no benchmark: EC:ICT:ICT:5A",
        "is answered with yes or no",
        "stands twice, by another of its names: EC: I:WS:1C",
        "is answered with a number",
    ):
        assert why in said


def test_what_is_not_reported_is_grouped_by_its_codes_and_fits_into_a_terminal(files, capsys):
    assert score_u4ssc(files, "city,indicator,period,value\nAston,XX:1,2024,5\n") == 0
    lines = capsys.readouterr().out.splitlines()
    place = lines.index("  Left out, not reported: 112")
    assert lines[place + 1] == "    EC:ICT:ICT: 1C, 2C, 3C, 4C.3g, 4C.4g, 5A"
    codes = lines[place + 1 :]
    assert len(codes) > 20 and max(map(len, codes)) <= 100


# Formats

SDMX = """STRUCTURE,STRUCTURE_ID,REF_AREA: Area,INDICATOR: Indicator,TIME_PERIOD: Time,OBS_VALUE: Value
dataflow,X:Y(1.0),AST: Aston,trees: Trees,2024,15
"""
JSON_STAT = {
    "version": "2.0",
    "class": "dataset",
    "id": ["indicator", "geo", "time"],
    "size": [2, 2, 1],
    "role": {"geo": ["geo"], "time": ["time"]},
    "dimension": {
        "indicator": {"category": {"index": ["trees", "no2"]}},
        "geo": {"category": {"index": {"BEE": 1, "AST": 0}}},
        "time": {"category": {"label": {"2024": "2024"}}},
    },
    "value": [15, None, 30, 12.5],
}


def told(rows):
    return [(row.city, row.code, row.period, row.value) for row in rows]


def test_sdmx_csv_is_read_with_its_labels():
    assert told(read_values(SDMX.encode(), "x.csv")) == [("AST", "trees", "2024", 15)]


def test_json_stat_is_read_dense_and_sparse():
    dense = told(read_values(json.dumps(JSON_STAT).encode(), "x.json"))
    assert dense == [("AST", "trees", "2024", 15), ("AST", "no2", "2024", 30), ("BEE", "no2", "2024", 12.5)]
    sparse = JSON_STAT | {"value": {"0": 15, "2": 30, "3": 12.5}}
    assert told(read_values(json.dumps(sparse).encode(), "x.json")) == dense


def test_a_danish_table_has_semicolons_and_commas():
    text = "city;indicator;period;value\nAston;trees;2024;12,5\n"
    assert told(read_values(b"\xef\xbb\xbf" + text.encode(), "x.csv")) == [("Aston", "trees", "2024", 12.5)]
