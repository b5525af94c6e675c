"""The guide to planning an action: its fields are typed by the names it gives them, its pages opened."""

from __future__ import annotations

import html
import importlib.util
import re
import sys
from pathlib import Path

import pytest

from cityloom.kernel.actor import CITY, InformationClass
from cityloom.ngsild.model import entity, prop, text

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/guides/plan_an_action.md").read_text(encoding="utf-8")
INDICATOR = "urn:ngsi-ld:KeyPerformanceIndicator:city:S2"
REPORT = "urn:ngsi-ld:CitizenReport:1"
OPEN = InformationClass.OPEN

_FIELD = re.compile(r'<label for="field-([^"]+)">(.*?)</label>', re.S)
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
async def planner():
    """A planner in a small city with an indicator and a report."""
    city = await _PAGES.small_city.SmallCity().start()
    kpi = entity("KeyPerformanceIndicator", INDICATOR, {"name": text(en="Street lights in order")})
    said = {"status": prop("received"), "category": prop("road")}
    report = entity("CitizenReport", REPORT, {**said, "description": text(en="It is dark on Mill Lane")})
    for document in (kpi, report):
        if city.broker.find(CITY, document["id"]) is None:
            await city.broker.create(CITY, document, information_class=OPEN)
    yield await _PAGES.Reader(city).sign_in("planner")
    await city.stop()


def steps():
    """Each form of the guide: its name, and what is typed into which field."""
    for name, lines in re.findall(r"^```form ([^\n]+)\n(.*?)^```", GUIDE, re.M | re.S):
        yield name, [line.split(": ", 1) for line in lines.splitlines()]


def _plain(markup):
    return html.unescape(re.sub(r"<[^>]+>", "", markup)).replace("(optional)", "").strip()


def typed(page, wanted):
    """The fields of a page filled in: of several of one name, the next one that lies behind the last."""
    fields = [(found.start(), found[1], _plain(found[2])) for found in _FIELD.finditer(page)]
    values, after = {}, 0
    for label, value in wanted:
        place, name = next((place, name) for place, name, said in fields if said == label and place >= after)
        after = place
        choices = re.search(rf'<select id="field-{re.escape(name)}".*?</select>', page, re.S)
        if choices:
            options = {_plain(words): code for code, words in _OPTION.findall(choices[0])}
            # An indicator is offered with its code and unit behind its name.
            value = next(code for words, code in options.items() if words.startswith(value))
        values[name] = value
    return values


async def test_the_guide_leads_to_an_initiative_whose_work_begins(planner):
    path, forms = "/initiatives/new", dict(steps())
    assert list(forms) == [
        "What and when",
        "Why and how",
        "Costs",
        "Where the money comes from",
        "Checks and targets",
    ]
    for name, wanted in forms.items():
        page = (await planner.get(path)).text
        values = typed(page, wanted)
        if name == "Checks and targets":
            values = {
                f"{field.rpartition('_')[0]}_{of}": value
                for of in ("emf", "security", "privacy")
                for field, value in values.items()
            }
        answer = await planner.send(path, {**values, "go": "on"})
        assert answer.status_code == 303, (name, _plain(answer.text)[:3000])
        path = answer.headers["location"]
    draft = await planner.data(f"{path}.json")
    assert (draft["missing"], draft["unchecked"]) == ([], [])
    assert draft["budget"] == {"amount": "255000.50", "currency": "DKK"}
    await planner.done(path, {"act": "adopt"})
    (one,) = [
        row
        for row in (await planner.data("/initiatives.json"))["initiatives"]
        if row["name"] == "Light on Mill Lane"
    ]
    for phase in ("planned", "running"):
        await planner.done(one["href"], {"act": "move", "phase": phase})
    assert "Light on Mill Lane" in await planner.text("/indicators/city/S2")
    assert "What came of it" in await planner.text(f"/reports/{REPORT}")
    assert "Light on Mill Lane" in await planner.text("/plan/action/timeline")


async def test_the_addresses_of_the_guide_answer(planner):
    (block,) = re.findall(r"^```addresses\n(.*?)^```", GUIDE, re.M | re.S)
    for path in block.split():
        answer = await planner.get(path)
        assert answer.status_code == 200 and answer.content, path
