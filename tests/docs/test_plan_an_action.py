"""The guide to planning an action: its fields are typed by the names it gives them, its pages opened."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from cityloom.kernel.actor import CITY, InformationClass
from cityloom.ngsild.model import entity, prop, text
from forms_of_guides import addresses, forms, plain, typed

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/guides/plan_an_action.md").read_text(encoding="utf-8")
INDICATOR = "urn:ngsi-ld:KeyPerformanceIndicator:city:S2"
REPORT = "urn:ngsi-ld:CitizenReport:1"
OPEN = InformationClass.OPEN


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


async def test_the_guide_leads_to_an_initiative_whose_work_begins(planner):
    path, said = "/initiatives/new", dict(forms(GUIDE))
    assert list(said) == [
        "What and when",
        "Why and how",
        "Costs",
        "Where the money comes from",
        "Checks and targets",
    ]
    for name, wanted in said.items():
        page = (await planner.get(path)).text
        values = typed(page, wanted)
        if name == "Checks and targets":
            values = {
                f"{field.rpartition('_')[0]}_{of}": value
                for of in ("emf", "security", "privacy")
                for field, value in values.items()
            }
        answer = await planner.send(path, {**values, "go": "on"})
        assert answer.status_code == 303, (name, plain(answer.text)[:3000])
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
    for path in addresses(GUIDE):
        answer = await planner.get(path)
        assert answer.status_code == 200 and answer.content, path
