"""The guide to the plan's workspace: its table is brought in, the plan adopted, its version verified."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from cityloom.app.command_line import main

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/guides/plan_a_city.md").read_text(encoding="utf-8")


def _pages_conftest():
    """What the tests of pages are made with."""
    path = ROOT / "tests/stages/web/conftest.py"
    spec = importlib.util.spec_from_file_location("conftest_of_pages", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault("conftest_of_pages", module)
    spec.loader.exec_module(module)
    return module


_PAGES = _pages_conftest()


@pytest.fixture
async def city():
    """A small city without indicators."""
    made = await _PAGES.small_city.SmallCity(frameworks=()).start()
    yield made
    await made.stop()


async def test_the_guide_brings_a_plan_and_has_it_adopted_and_verified(city, tmp_path, capsys, monkeypatch):
    planner = await _PAGES.Reader(city).sign_in("planner")
    committee = await _PAGES.Reader(city).sign_in("committee")
    visitor = _PAGES.Reader(city)
    # Bring what there is.
    (table,) = re.findall(r"^```csv plan.csv\n(.*?)^```", GUIDE, re.M | re.S)
    files = {"file": ("plan.csv", table.encode(), "text/csv")}
    for act, told in (("look", "What would be done"), ("bring", "What was done")):
        page = (await planner.send("/plan/import", {"act": act}, files=files)).text
        assert told in page and "new: 6" in page and "wrong: 1" in page
    # Publish, decide, adopt.
    waiting = (await planner.data("/plan/unpublished.json"))["records"]
    await planner.done("/plan/unpublished", {"record": [one["id"] for one in waiting]})
    (council,) = (await committee.data("/plan/bodies.json"))["records"]
    ((path, lines),) = re.findall(r"^```form (/\S+)\n(.*?)^```", GUIDE, re.M | re.S)
    fields = dict(line.split(": ", 1) for line in lines.splitlines())
    await committee.done(path, {**fields, "body": council["id"]})
    (decision,) = (await committee.data("/plan/decisions.json"))["records"]
    await committee.done(decision["href"], {"act": "publish"})
    await committee.done("/plan/versions", {"decision": decision["id"]})
    # Verify, as anybody can.
    (version,) = (await visitor.data("/plan/versions.json"))["versions"]
    raw = (await visitor.get(f"{version['href']}/file")).content
    ((command, printed),) = re.findall(r"^```console\n\$ cityloom (.+)\n((?:.*\n)*?)^```", GUIDE, re.M)
    monkeypatch.chdir(tmp_path)
    file = tmp_path / command.split()[-1]
    file.write_bytes(raw)
    assert main([*command.split(), "--digest", version["sha256"]]) == 0
    said = capsys.readouterr().out
    assert all(line in said for line in printed.splitlines()), said
    file.write_bytes(raw.replace(b"Ring 1", b"Ring 2"))
    assert main(command.split()) == 1
    assert "not what was adopted" in capsys.readouterr().err


async def test_every_address_of_the_guide_is_there(city):
    visitor = _PAGES.Reader(city)
    named = set(re.findall(r"`(/plan[^`]*)`", GUIDE))
    assert len(named) >= 5
    for path in named:
        assert (await visitor.get(path)).status_code == 200, path
