"""The three main journeys of planning as people walk them in a real Chromium: a planner without a mouse, a
citizen on a small telephone without JavaScript, an auditor.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

sys.path.insert(0, str(Path(__file__).parent))
from pages_of_the_city import BY_HAND, overflow
from test_pages_in_chromium import ServedCity

from cityloom.kernel.actor import InformationClass
from cityloom.ngsild.model import entity, prop

pytestmark = pytest.mark.browser

LIGHTS = "/indicators/city/S2"
LIGHTS_POINT = "urn:ngsi-ld:KeyPerformanceIndicator:city:S2"
COUNTER = "urn:ngsi-ld:AirQualityObserved:journey"
TELEPHONE = {"width": 360, "height": 640}
#: Presses of the tabulator after which a page is no longer one that can be walked through by keyboard.
MOST_TABS = 150

_SPEC = importlib.util.spec_from_file_location(
    "pages_conftest", Path(__file__).parents[1] / "stages" / "web" / "conftest.py"
)
_pages = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_pages)


@pytest.fixture(scope="module")
def served():
    made = ServedCity()
    yield made
    made.stop()


class Clerk:
    """Somebody who does beside the browser what a journey finds done already."""

    def __init__(self, served: ServedCity, *roles: str, name: str) -> None:
        self._served = served
        self._reader = served.do(_signed_in(served, roles, name))

    def done(self, path: str, fields: dict[str, str]) -> str:
        return self._served.do(self._reader.done(path, fields))

    def data(self, path: str):
        return self._served.do(self._reader.data(path))


async def _signed_in(served: ServedCity, roles: tuple[str, ...], name: str):
    reader = _pages.Reader(served.city)
    return await reader.sign_in(*roles, name=name) if roles else reader


def contract(served: ServedCity, planner: Clerk, second: Clerk, **changes: str) -> str:
    """The address of a contract that two of the city have concluded."""
    for role in ("provider", "auditor"):
        served.session(role)
    planner.done("/plan/contracts/parties", {"name": f"Lys A/S {changes['name_en']}", "accounts": "provider"})
    parties = planner.data("/plan/contracts/parties.json")["parties"]
    terms = {
        "provider": next(one["id"] for one in parties if one["name"].endswith(changes["name_en"])),
        "examiner": "auditor",
        "starts": "2026-03-01",
        "ends": "2026-09-01",
        "every": "month",
        "currency": "DKK",
        "dispute_days": "30",
        "payment_days": "30",
    }
    line = {
        "name_en": "What is measured",
        "method": "mean",
        "every": "P1D",
        "least_coverage": "80",
        "without_data": "hold",
        "direction": "lower",
        "rule": "linear",
        "target": "10",
        "worst": "50",
        "price": "10000",
        "expected": "80",
        "bonus": "1000",
        "malus": "2000",
    }
    lines = {f"line_0_{name}": value for name, value in line.items()}
    planner.done("/plan/contracts/new", terms | lines | changes)
    made = planner.data("/plan/contracts.json")["contracts"]
    path = next(one["href"] for one in made if one["name"] == changes["name_en"])
    second.done(path, {"act": "conclude"})
    return path


# By keyboard alone


def reach(page: Page, target: Locator) -> None:
    """Press the tabulator until this has the focus."""
    expect(target).to_have_count(1)
    # Found once: a locator looks for its element anew at each question.
    wanted = target.element_handle()
    for _ in range(MOST_TABS):
        if wanted.evaluate("here => here === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{target} cannot be reached by keyboard on {page.url}")


def enter(page: Page, target: Locator) -> None:
    """Follow a link or press a button; on the page that comes one skips to the content."""
    reach(page, target)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    if page.locator(".skip").evaluate("here => here === document.activeElement"):
        page.keyboard.press("Enter")


def fill(page: Page, **fields: str) -> None:
    """Type into the fields of a form, in their order; a list is chosen from by its first letters."""
    for name, typed in fields.items():
        reach(page, page.locator(f"[name={name}]"))
        page.keyboard.type(typed)


def inside(page: Page) -> Locator:
    return page.locator("main")


def link(page: Page, words: str, *, exact: bool = False) -> Locator:
    return inside(page).get_by_role("link", name=words, exact=exact).first


def button(page: Page, words: str) -> Locator:
    return inside(page).get_by_role("button", name=words, exact=True)


def test_a_planner_walks_from_an_indicator_to_all_that_hangs_together_by_keyboard(served, open_page):
    planner, second = Clerk(served, "planner", name="ole"), Clerk(served, "planner", name="ida")
    Clerk(served, name="").done(
        "/report",
        {
            "category": "lighting",
            "description": "It is dark by the school",
            "latitude": "56.05",
            "longitude": "8.95",
        },
    )
    page = open_page(served.address, LIGHTS, session=served.session("planner"))

    # An initiative is begun where its indicator stands; what is forgotten is said, and nothing typed is lost.
    enter(page, link(page, "Plan an initiative that is to move it"))
    assert page.locator("[name=target_0_indicator] option:checked").inner_text() == (
        "Street lights in order (S2, %)"
    )
    fill(page, name_en="Bright mornings", owner="Streets")
    fill(page, startsAt="05012026", endsAt="10012026")
    fill(page, target_0_baseline="97", target_0_target="99", target_0_due="10012026")
    enter(page, button(page, "Save and look at it"))
    expect(page.get_by_role("alert")).to_contain_text("Say what it is to achieve.")
    assert page.locator("[name=target_0_target]").input_value() == "99"
    assert page.locator("[name=startsAt]").input_value() == "2026-05-01"
    fill(page, description_en="Lamps that burn on the way to school")
    enter(page, button(page, "Save and look at it"))

    # Approval says what is missing and leads to each.
    enter(page, link(page, "what it costs to build"))
    fill(page, year_0="2026", capital_0="400000", operating_0="25000")
    enter(page, button(page, "Save and look at it"))
    enter(page, link(page, "how often it is reported on"))
    fill(page, rhythm="Each m", reportTo="The committee", answers_0="It is dark by the school")
    enter(page, button(page, "Save and look at it"))
    expect(inside(page)).not_to_contain_text("It must say:")
    reach(page, page.locator("[name=phase]").first)
    page.keyboard.press("Space")
    enter(page, button(page, "Move it"))
    expect(page.get_by_role("status")).to_contain_text("The phase is now: planned.")
    enter(page, button(page, "Adopt it, for everybody to see"))
    expect(page.get_by_role("status")).to_contain_text("Adopted")

    measured = {"line_0_about": LIGHTS_POINT, "line_0_attribute": "kpiValue", "line_0_unit_code": "P1"}
    made = next(
        one for one in planner.data("/initiatives.json")["initiatives"] if one["name"] == "Bright mornings"
    )
    contract(served, planner, second, name_en="Lamps of the school way", initiative=made["id"], **measured)

    # The chain: each is one press away from the indicator, and the initiative leads back to it.
    page.goto(LIGHTS)
    row = inside(page).get_by_role("row").filter(has_text="Bright mornings")
    expect(row).to_contain_text(re.compile("425,000.DKK"))
    for words, back in (("Lamps of the school way", "Street lights in order"), ("It is dark by", "Bright")):
        enter(page, row.get_by_role("link", name=words))
        expect(link(page, back)).to_be_visible()
        page.goto(LIGHTS)
    enter(page, row.get_by_role("link", name="Bright mornings"))
    assert made["href"] in page.url
    enter(page, link(page, "425,000"))
    expect(link(page, "Bright mornings")).to_be_visible()
    enter(page, link(page, "Bright mornings"))
    enter(page, link(page, "Street lights in order", exact=True))
    assert LIGHTS in page.url
    reach(page, inside(page).locator("summary", has_text="What was looked at"))
    page.keyboard.press("Enter")
    enter(page, link(page, "Street lights", exact=True))
    enter(page, inside(page).locator("tbody a").first)
    expect(inside(page)).to_contain_text("Values")

    # The report on paper.
    page.goto(made["href"])
    printed = link(page, "Print it (PDF)")
    reach(page, printed)
    answer = page.request.get(printed.get_attribute("href"))
    assert (answer.status, answer.headers["content-type"]) == (200, "application/pdf")
    assert "Bright mornings" in served.city.printer.sheets[-1].html


# Without JavaScript on a small telephone


def test_a_citizen_contributes_without_javascript_and_reads_what_it_changed(served, open_page):
    page = open_page(served.address, "/", viewport=TELEPHONE, java_script_enabled=False)
    page.get_by_role("link", name="Example: what shall the square be?").click()
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Your words").fill("Trees, and a bench in their shade")
    page.get_by_role("button", name="Send", exact=True).click()
    code = page.locator("#follow-code").inner_text()
    expect(inside(page)).to_contain_text("There is no answer yet")

    planner = Clerk(served, "planner", name="eva")
    planner.done("/plan/goals/new", {"name_en": "Shade on squares"})
    goal = next(
        one for one in planner.data("/plan/goals.json")["records"] if one["name"] == "Shade on squares"
    )
    planner.done(goal["href"], {"act": "publish"})
    received = planner.data("/plan/contributions/urn:ngsi-ld:Consultation:loomby-square/all.json")
    mine = next(one for one in received["contributions"] if one["text"].startswith("Trees, and a bench"))
    answer = {"act": "answer", "text": "Six trees are planted", "changed": "yes", "what": goal["id"]}
    planner.done(mine["href"], answer)
    planner.done(mine["href"], {"act": "publish", "publicText": "Trees, and a bench"})

    # Later, from the first page of the city, with nothing but the code.
    page.goto("/")
    page.get_by_role("link", name="All consultations").click()
    page.get_by_label("The code of your contribution").fill(code)
    page.get_by_role("button", name="See the answer").click()
    expect(inside(page)).to_contain_text("Six trees are planted")
    assert not narrow_faults(page, "/", "/consultations", page.url)
    page.get_by_role("link", name="Shade on squares").click()
    expect(inside(page)).to_contain_text("Trees, and a bench")
    assert not narrow_faults(page, page.url, "/consultations/urn:ngsi-ld:Consultation:loomby-square")


def narrow_faults(page: Page, *paths: str) -> list[str]:
    """The pages that are wider than the telephone."""
    wider = []
    for path in paths:
        if page.url != path:
            page.goto(path)
        if overflow(page):
            wider.append(path)
    return wider


# Values verified, a period settled


def test_an_auditor_verifies_settles_and_walks_down_to_the_readings(served, open_page):
    planner, second = Clerk(served, "planner", name="pia"), Clerk(served, "planner", name="bo")
    point = planner.data(f"{BY_HAND}.json")["figures"][0]["id"]
    value = {"act": "enter", "point": point, "value": "61", "since": "2025-01-01", "until": "2025-12-31"}
    planner.done(BY_HAND, value | {"source": "The survey of households"})
    served.do(_a_month(served))
    measured = {"line_0_about": COUNTER, "line_0_attribute": "pm25", "line_0_unit_code": "GQ"}
    contract(served, planner, second, name_en="Clean streets", **measured)

    page = open_page(served.address, "/indicators", session=served.session("auditor"))
    link(page, "U4SSC").click()
    link(page, "Verify values").click()
    row = inside(page).get_by_role("row").filter(has_text="The survey of households")
    expect(row).to_contain_text("61")
    row.get_by_role("checkbox").check()
    button(page, "Verify what is ticked").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(row.get_by_role("checkbox")).to_be_checked()
    page.get_by_label("I have looked at the values that I ticked").check()
    button(page, "Verify what is ticked").click()
    expect(inside(page)).not_to_contain_text("The survey of households")

    page.get_by_role("navigation", name="Running the city").get_by_role("link", name="Contracts").click()
    link(page, "Clean streets").click()
    link(page, "1 Mar 2026").click()
    expect(inside(page)).to_contain_text(re.compile("11,000.DKK"))
    button(page, "Settle and seal it").click()
    expect(page.get_by_role("status")).to_contain_text("Settled and sealed.")
    expect(inside(page)).to_contain_text("31 read; of 31 expected, 0 are missing")
    readings = page.request.get(link(page, "Readings as CSV").get_attribute("href")).text()
    assert readings.count("pm25") == 31
    link(page, "Counter of the journey").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Counter of the journey")
    expect(inside(page)).to_contain_text(re.compile("10.µg/m³"))
    assert [fault for fault in page.faults if "400" not in fault] == []


async def _a_month(served: ServedCity) -> None:
    """March of a sensor, a reading a day at the town's noon."""
    for day in range(31):
        at = datetime(2026, 3, 1, 11, tzinfo=UTC) + timedelta(days=day)
        shown = {"name": prop("Counter of the journey"), "pm25": prop(10.0, at=at, unit="GQ")}
        await served.city.write(entity("AirQualityObserved", COUNTER, shown), secrecy=InformationClass.OPEN)
    await served.city.remembered()
