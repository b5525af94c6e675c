"""The guide to hearing the city: its fields are typed by the names it gives them, its pages opened."""

from __future__ import annotations

import html
import importlib.util
import re
import sys
from pathlib import Path

import pytest

from cityloom.planning.stakeholders.engagement import HIGH_FROM, MOST, quadrant
from cityloom.planning.stakeholders.participation import Thresholds
from cityloom.planning.stakeholders.principles import Requirements
from cityloom.planning.stakeholders.words import PRINCIPLES, QUADRANTS

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/guides/hear_the_city.md").read_text(encoding="utf-8")
BASE = "/plan/stakeholders"

_FIELD = re.compile(r'<label for="field-([^"]+)">(.*?)</label>', re.S)
_LEGEND = re.compile(r"<legend[^>]*>(.*?)</legend>.*?(?:id|name)=\"(?:field-)?([^\"]+)\"", re.S)
_OPTION = re.compile(r'<option value="([^"]*)"[^>]*>(.*?)</option>', re.S)


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
    made = await _PAGES.small_city.SmallCity(frameworks=()).start()
    yield made
    await made.stop()


@pytest.fixture
async def planner(city):
    """A planner who has loaded the twelve categories."""
    reader = await _PAGES.Reader(city).sign_in("planner")
    await reader.done(f"{BASE}/load", {"what": "categories"})
    return reader


def forms():
    """Each form of the guide: its address, and what is typed into which field."""
    for path, lines in re.findall(r"^```form ([^\n]+)\n(.*?)^```", GUIDE, re.M | re.S):
        yield path, [line.split(": ", 1) for line in lines.splitlines()]


def plain(markup: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", markup)).replace("(optional)", "").strip()


def typed(page: str, lines, names: dict[str, str]) -> dict[str, str]:
    """The fields of a form by the names that a reader sees beside them."""
    fields: dict[str, str] = {}
    for label, said in lines:
        beside = [one for one, words in _FIELD.findall(page) if plain(words) == label]
        if beside:
            name = beside[0]
        elif label.endswith(" (English)"):
            name = f"{label.removesuffix(' (English)').lower()}_en"
            assert f'name="{name}"' in page, label
        else:
            found = [one for words, one in _LEGEND.findall(page) if plain(words) == label]
            assert found, f"no field is called {label}"
            name = found[0]
        fields[name] = chosen(page, name, said, names)
    return fields


def chosen(page: str, name: str, said: str, names: dict[str, str]) -> str:
    """What is sent for what is chosen: an option by its words, stakeholders by their names."""
    several = said.split("; ")
    if all(one in names for one in several):
        return ";".join(names[one] for one in several)
    select = re.search(rf'<select id="field-{name}".*?</select>', page, re.S)
    options = {plain(words): value for value, words in _OPTION.findall(select[0])} if select else {}
    return options.get(said, said)


async def test_the_forms_of_the_guide_are_filled_in_as_it_says(city, planner):
    rows = (await planner.data(f"{BASE}.json"))["stakeholders"]
    names = {row["name"]: row["id"] for row in rows}
    for path, lines in forms():
        page = (await planner.get(path)).text
        await planner.done(path, typed(page, lines, names))
    one = next(row for row in (await planner.data(f"{BASE}.json"))["stakeholders"] if row["level"])
    assert (one["name"], one["level"], one["power"]) == ("Industry associations", "resistant", 7.0)
    record = (await planner.data("/plan/consultations.json"))["records"][0]
    await planner.done(record["href"], {"act": "publish"})
    visitor = _PAGES.Reader(city)
    path = record["href"].replace("/plan", "")
    told = await visitor.data(f"{path}.json")
    assert told["stage"] == "announced" and all(one["holds"] for one in told["principles"])
    city.clock.pass_by(days=22)
    assert (await visitor.data(f"{path}.json"))["stage"] == "open"


async def test_the_addresses_of_the_guide_are_there_for_whom_it_says(city, planner):
    visitor = _PAGES.Reader(city)
    rows = re.findall(r"^\| `(/\S+)` \|.*\| (everybody|staff)[^|]*\|$", GUIDE, re.M)
    assert len(rows) == 5
    for path, who in rows:
        assert (await planner.get(path)).status_code == 200
        assert ((await visitor.get(path)).status_code == 200) == (who == "everybody"), path


def test_the_numbers_of_the_guide_are_those_of_the_code():
    assert f"| {HIGH_FROM} to {MOST} | {HIGH_FROM} to {MOST} | {QUADRANTS[quadrant(10, 10)]} |" in GUIDE
    assert f"| {HIGH_FROM} to {MOST} | 1 to {HIGH_FROM - 1} | {QUADRANTS[quadrant(10, 1)]} |" in GUIDE
    assert f"| 1 to {HIGH_FROM - 1} | {HIGH_FROM} to {MOST} | {QUADRANTS[quadrant(1, 10)]} |" in GUIDE
    assert all(f"| {name} |" in GUIDE for name in PRINCIPLES.values())
    assert f"stakeholders of {Requirements().least_categories} categories" in GUIDE
    assert f"{Requirements().least_days} days in the open" in GUIDE
    assert f"fewer than {Thresholds().least_acts} contributions" in GUIDE
