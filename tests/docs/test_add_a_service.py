"""The guide to a new service does what it says."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

from cityloom.services import facts
from cityloom.services.world import World

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/guides/add_a_service.md").read_text()
#: As a person types it: the folder in which they stand is not on the path of Python.
COMMAND = [str(Path(sys.executable).with_name("cityloom"))]


def test_the_commands_of_the_guide_write_a_service_that_passes(tmp_path):
    (tmp_path / "city" / "mycity").mkdir(parents=True)
    listing = GUIDE[GUIDE.index("plugins = [") :].partition("`")[0]
    (tmp_path / "city" / "city.toml").write_text(f"{listing}\n[services.heat_watch]\n")
    (command, *_) = re.findall(r"^\$ cityloom (new .*)$", GUIDE, re.M)
    made = subprocess.run([*COMMAND, *command.split()], cwd=tmp_path, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    for word in ("check", "plugins"):
        listed = subprocess.run([*COMMAND, word], cwd=tmp_path, capture_output=True, text=True)
        assert listed.returncode == 0, listed.stdout + listed.stderr
    assert "services/heat_watch" in listed.stdout


def test_the_guide_names_what_the_world_offers():
    asked = {ast.parse(call).body[0].value for call in re.findall(r"`(world\.[^`]+)`", GUIDE)}
    names = {node.func.attr if isinstance(node, ast.Call) else node.attr for node in asked}
    public = {name for name in vars(World) if not name.startswith("_")} | {"open_alerts"}
    assert len(names) == 8
    assert names <= public


def test_the_guide_names_every_fact():
    for fact in (
        facts.Estimate,
        facts.AlertRaised,
        facts.AlertCleared,
        facts.EntityWritten,
        facts.CommandWished,
    ):
        assert f"`{fact.__name__}" in GUIDE
