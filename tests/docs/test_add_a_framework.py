"""The guide to a new framework does what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

from cityloom.indicators.framework import read_framework
from cityloom.indicators.measures import AnyMeasure

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/guides/add_a_framework.md").read_text(encoding="utf-8")
COMMAND = [str(Path(sys.executable).with_name("cityloom"))]


def test_the_commands_of_the_guide_write_a_framework_that_can_be_read(tmp_path):
    (tmp_path / "city" / "mycity").mkdir(parents=True)
    (tmp_path / "city" / "city.toml").write_text('plugins = ["cityloom_catalogue", "mycity"]\n')
    (command, *_) = re.findall(r"^\$ cityloom (new .*)$", GUIDE, re.M)
    made = subprocess.run([*COMMAND, *command.split()], cwd=tmp_path, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    framework = read_framework(tmp_path / "city" / "mycity" / "frameworks" / "district")
    assert framework.points()
    listed = subprocess.run([*COMMAND, "plugins"], cwd=tmp_path, capture_output=True, text=True)
    assert listed.returncode == 0, listed.stdout + listed.stderr
    assert "frameworks/district" in listed.stdout


def test_a_broken_index_of_a_framework_is_named(tmp_path):
    (tmp_path / "city" / "mycity").mkdir(parents=True)
    (tmp_path / "city" / "city.toml").write_text('plugins = ["mycity"]\n')
    made = [*COMMAND, "new", "framework", "district", "--into", "city/mycity"]
    subprocess.run(made, cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "city/mycity/frameworks/district/index.toml").write_text('id = "district"\n')
    listed = subprocess.run([*COMMAND, "plugins"], cwd=tmp_path, capture_output=True, text=True)
    assert listed.returncode == 1
    assert "index.toml" in listed.stdout


def test_the_guide_names_every_measure():
    verbs = {measure.__struct_config__.tag for measure in get_args(AnyMeasure)}
    told = set(re.findall(r"^\| `([a-z_]+)` \|", GUIDE, re.M)) - {"verb"}
    assert told == verbs
