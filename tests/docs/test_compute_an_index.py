"""The guide to indices does what it says."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cityloom.indicators.composite.aggregation import Mean
from cityloom.indicators.composite.normalisation import Scale
from cityloom.indicators.composite.treatment import Imputation
from cityloom.indicators.composite.weighting import Weights

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/guides/compute_an_index.md").read_text(encoding="utf-8")
COMMAND = str(Path(sys.executable).with_name("cityloom"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files of the guide."""
    made = tmp_path_factory.mktemp("guide")
    for name, text in re.findall(r"^```(?:csv|toml) (\S+)\n(.*?)^```", GUIDE, re.M | re.S):
        (made / name).write_text(text, encoding="utf-8")
    return made


def commands():
    """Each command with what the guide says that it prints."""
    return re.findall(r"^```console\n\$ cityloom (.+)\n((?:.*\n)*?)^```", GUIDE, re.M)


@pytest.mark.parametrize(("line", "printed"), commands())
def test_a_command_of_the_guide_prints_what_it_says(folder, line, printed):
    done = subprocess.run([COMMAND, *line.split()], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert all(one in said for one in printed.splitlines())


def test_the_tables_of_the_guide_are_written(folder):
    assert len(commands()) == 3
    with (folder / "result.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["city"] for row in rows} == {"Aston", "Beeham", "Ceewick"}
    assert all(row["rank_low"] for row in rows if row["kind"] == "index")
    assert 'Education",,,9,16,56.25,33-66' in (folder / "scores.csv").read_text(encoding="utf-8")


def test_the_guide_names_every_choice():
    steps = GUIDE.partition("## The steps")[2].partition("\n## ")[0]
    for every in (Mean, Scale, Imputation, Weights):
        assert all(f"`{one.value}`" in steps for one in every)
