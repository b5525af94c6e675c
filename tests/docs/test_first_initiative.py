"""The planner's first quarter of an hour: typed by the names that stand on the pages, in a filled town."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest
import pytest_asyncio

from cityloom import __version__
from cityloom.kernel.actor import CITY
from demo_town import fill, run_examples
from forms_of_guides import addresses, forms, plain, standing, typed

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/start/first_initiative.md").read_text(encoding="utf-8")
LIGHTS = "/indicators/city/S2"

pytestmark = pytest.mark.asyncio(loop_scope="module")


def _pages_conftest():
    """What the tests of pages are made with."""
    path = ROOT / "tests/stages/web/conftest.py"
    spec = importlib.util.spec_from_file_location("conftest_of_pages", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault("conftest_of_pages", module)
    spec.loader.exec_module(module)
    return module


_PAGES = _pages_conftest()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town():
    """Loomby with its examples, once its indicators have values."""
    city = await _PAGES.small_city.SmallCity().start()
    city.examples = await fill(city)
    await run_examples(city, city.examples)
    yield city
    await city.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def planner(town):
    return await _PAGES.Reader(town).sign_in("planner")


def link(page: str, words: str) -> str:
    """Where a link with these words leads."""
    found = [
        href
        for href, said in re.findall(r'<a[^>]*href="([^"]+)"[^>]*>(.*?)</a>', page, re.S)
        if plain(said).partition(":")[0] == words
    ]
    assert found, f"there is no link {words!r}"
    return found[0].replace("&amp;", "&")


async def send(planner, path: str, lines, go: str) -> str:
    """Type into a form as it stands, and save; where it goes on."""
    page = (await planner.get(path)).text
    answer = await planner.send(path.partition("?")[0], {**standing(page), **typed(page, lines), "go": go})
    assert answer.status_code == 303, plain(answer.text)[:3000]
    return answer.headers["location"]


async def test_the_example_plan_has_something_in_each_phase(town, planner):
    visitor = _PAGES.Reader(town)
    plan = await visitor.data("/plan.json")
    assert [one["state"] for one in plan["phases"]] == ["passed", "passed", "passed", "open"]
    for phase in (1, 2, 3):
        asked = (await planner.data(f"/plan/phases/{phase}.json"))["requirements"]
        assert [one["name"] for one in asked if not one["met"]] == []
    (baseline,) = (await visitor.data("/plan/baselines.json"))["baselines"]
    frozen = (await visitor.data(f"{baseline['href']}.json"))["values"]
    assert "city:S2" in {f"{one['framework']}:{one['code']}" for one in frozen}
    newer, older = (await visitor.data("/plan/versions.json"))["versions"]
    assert newer["sha256"] != older["sha256"] and (newer["number"], older["number"]) == (2, 1)
    rows = (await visitor.data("/plan/decisions.json"))["records"]
    # The foot of a page names the platform's version, whatever version the page itself is about.
    for path in (newer["href"], "/plan/phases/1"):
        assert f"CityLoom {__version__}" in await visitor.text(path)
    kinds = {one["values"]["kind"] for one in rows}
    assert {"adoption", "budget"} <= kinds
    rows = (await planner.data("/plan/changes.json"))["records"]
    assert {one["values"]["state"] for one in rows} == {"accepted", "proposed"}


async def test_the_tutorial_leads_from_an_indicator_to_an_adopted_initiative(town, planner):
    begin, missing, course, costs = (lines for _, lines in forms(GUIDE))
    first = link((await planner.get(LIGHTS)).text, "Plan an initiative that is to move it")
    page = (await planner.get(first)).text
    assert float(standing(page)["target_0_baseline"]) > 90 and standing(page)["currency"] == "DKK"
    assert page.count('name="milestone_0_name"') == 1 and "What approval will ask for" in page
    here = await send(planner, first, begin, "back")
    # Each thing that is missing leads to its field, which is there.
    asked = link((await planner.get(here)).text, "when it begins")
    path, _, field = asked.partition("#")
    assert f'id="{field}"' in (await planner.get(path)).text
    path = await send(planner, path, missing, "on")
    path = await send(planner, path, course, "on")
    await send(planner, path, costs, "back")
    draft = await planner.data(f"{here}.json")
    assert draft["missing"] == [] and draft["budget"] == {"amount": "255000.00", "currency": "DKK"}
    page = await planner.text(here)
    assert "What was done" in page and "Take back the last change" in page
    await planner.done(here, {"act": "adopt"})
    assert "Lamps on Mill Lane" in await _PAGES.Reader(town).text(LIGHTS)
    assert "Lamps on Mill Lane" in await _PAGES.Reader(town).text("/initiatives")


async def test_every_missing_thing_leads_to_a_field_that_is_there(planner):
    lines = [["Name (English)", "A pilot"], ["What it is to achieve (English)", "To see"]]
    here = await send(planner, "/initiatives/new", lines, "back")
    await planner.done(f"{here}/edit/course", {"kind": "pilot"})
    page = (await planner.get(here)).text
    asked = re.findall(rf'href="({re.escape(here)}/edit[^"#]*)#([^"]+)"', page)
    assert len(asked) >= 8 + 3 + 3 + 5 + 6
    forms_of = {path: (await planner.get(path)).text for path in {path for path, _ in asked}}
    assert [field for path, field in asked if f'id="{field}"' not in forms_of[path]] == []


async def test_the_chain_of_every_example_is_whole(town, planner):
    visitor = _PAGES.Reader(town)
    rows = (await visitor.data("/initiatives.json"))["initiatives"]
    examples = [one for one in rows if one["origin"] == "simulated"]
    assert len(examples) == 3
    for one in examples:
        for reader in (visitor, planner):
            told = await reader.data(f"{one['href']}.json")
            for part in ("courses", "goals", "budget", "contracts", "citizensSaid"):
                assert told[part], (one["name"], part)
            for said in (*told["contracts"], *told["goals"], *told["citizensSaid"]):
                assert "draft-" not in said["href"] or "/contributions/" in said["href"]
                assert (await reader.get(said["href"])).status_code == 200, said


async def test_what_is_made_of_the_examples_is_made_once(town):
    def counts():
        types = ("ServiceContract", "ContractSettlement", "ContractParty", "PlanVersion", "PlanBaseline")
        return {name: len(list(town.broker.of_type(CITY, name))) for name in (*types, "Assessment")}

    before = counts()
    await run_examples(town, town.examples)
    assert counts() == before
    # Beside each of the two versions stands what the staff alone may know of it.
    assert before["ContractSettlement"] == 1 and before["PlanVersion"] == 4


async def test_the_addresses_of_the_tutorial_answer(planner):
    for path in addresses(GUIDE):
        assert (await planner.get(path)).status_code == 200, path
    rows = (await planner.data("/initiatives.json"))["initiatives"]
    assert (await planner.get(f"{rows[0]['href']}.pdf")).headers["content-type"] == "application/pdf"
