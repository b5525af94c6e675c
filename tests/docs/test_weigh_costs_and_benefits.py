"""The guide to costs and benefits does what it says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cityloom.app.command_line import main
from cityloom.planning.finance.cash_flows import Kind, Shape
from cityloom.planning.finance.discounting import Timing

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/guides/weigh_costs_and_benefits.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The files of the guide, in the folder one is in."""
    for name, text in re.findall(r"^```toml (\S+)\n(.*?)^```", GUIDE, re.M | re.S):
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commands():
    """Each command with what the guide says that it prints."""
    return re.findall(r"^```console\n\$ cityloom (.+)\n((?:.*\n)*?)^```", GUIDE, re.M)


@pytest.mark.parametrize(("line", "printed"), commands())
def test_a_command_of_the_guide_prints_what_it_says(folder, capsys, line, printed):
    assert main(line.split()) == 0
    said = capsys.readouterr().out
    assert [one for one in printed.splitlines() if one not in said] == []


def test_the_file_has_all_of_it(folder, capsys):
    assert len(commands()) == 3
    main(commands()[0][0].split())
    written = json.loads((folder / "lamps.json").read_text(encoding="utf-8"))
    assert written["seed"] == 7
    assert set(written["tables"]) >= {"years", "items", "groups", "tornado", "percentiles", "histogram"}
    assert written["tables"]["years"][-1]["present"] == written["figures"]["npv"]["value"]


def test_a_file_that_is_wrong_is_refused_with_its_line(folder, capsys):
    (folder / "wrong.toml").write_text((folder / "lamps.toml").read_text().replace("0.9,", "2,"))
    assert main(["cba", "compute", "wrong.toml"]) == 1
    assert "wrong.toml line 14" in capsys.readouterr().err


def test_the_guide_names_every_choice():
    for every in (Kind, Shape, Timing):
        assert all(f"`{one.value}`" in GUIDE for one in every)
