"""Every page for every role in a real Chromium, over a small city whose clock the test moves.

The living town, as a person starts it, is looked at in test_living_city.py.
"""

from __future__ import annotations

import asyncio
import importlib.util
import re
import socket
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from playwright.sync_api import Page, expect

sys.path.insert(0, str(Path(__file__).parent))
from pages_of_the_city import (
    ALERT,
    BY_ROLE,
    FOR_EVERYBODY,
    LAYOUT_RULES,
    STATION,
    look_with_axe,
    overflow,
    violations,
)

from cityloom.access.accounts import SET_UP
from cityloom.kernel.findings import found
from cityloom.kernel.measures import Growth
from cityloom.ngsild.model import entity, point, prop, text
from cityloom.web.server import Server

LAMP = "urn:ngsi-ld:Streetlight:test:1"
WIDE = {"width": 1280, "height": 800}
#: A page of 1280 pixels read at 400 %: WCAG 1.4.10.
NARROW = {"width": 320, "height": 640}

_SPEC = importlib.util.spec_from_file_location(
    "small_city", Path(__file__).parents[1] / "stages" / "web" / "small_city.py"
)
small_city = importlib.util.module_from_spec(_SPEC)
sys.modules.setdefault("small_city", small_city)
_SPEC.loader.exec_module(small_city)

pytestmark = pytest.mark.browser


class ServedCity:
    """A small city on a port of its own, its event loop in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        self.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.city = self.do(self._start())
        self.server = Server(self.city.site, before_stop=self.city.site.close)
        self._serving = asyncio.run_coroutine_threadsafe(self.server.serve([listener]), self.loop)
        self._sessions: dict[str, str] = {}

    async def _start(self):
        city = await small_city.SmallCity().start()
        await city.fill(0.3)
        lamp = {"severity": prop("high"), "status": prop("open"), "description": text(en="Lamp 1 is dark")}
        await city.write(entity("Alert", ALERT, lamp))
        return city

    def do(self, work):
        """Run something in the city and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(300)

    def session(self, role: str) -> str:
        """The session of the one person who has this role."""
        if role not in self._sessions:
            self._sessions[role] = self.do(self.city.session(role.replace("_", "-"), role))
        return self._sessions[role]

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.server.stop)
        self._serving.result(20)
        self.do(self.city.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(20)
        self.loop.close()


@pytest.fixture(scope="module")
def served():
    made = ServedCity()
    yield made
    made.stop()


@pytest.fixture
def visit(served, open_page):
    """Opens a page, signed in where a role is given."""

    def opened(path: str, role: str = "", **options) -> Page:
        return open_page(served.address, path, session=served.session(role) if role else "", **options)

    return opened


# What holds for every page


def _become(page: Page, served: ServedCity, role: str) -> None:
    """The same window in somebody else's hands: a window of one's own costs more than a page."""
    page.context.clear_cookies()
    if role:
        session = {"name": "cityloom_session", "value": served.session(role), "url": served.address}
        page.context.add_cookies([session])


def test_pages_are_accessible_in_english_and_light_on_a_wide_window(visit, served):
    page = visit("/clock.json", viewport=WIDE, color_scheme="light", bypass_csp=True)
    look_with_axe(page.context)
    told = {}
    for role, paths in {"anonymous": FOR_EVERYBODY, **BY_ROLE}.items():
        _become(page, served, "" if role == "anonymous" else role)
        for path in paths:
            page.goto(path)
            told[role, path, "overflows"] = overflow(page)
            told[role, path] = violations(page)
    assert {place: found for place, found in told.items() if found} == {}
    assert [fault for fault in page.faults if "404" not in fault] == []


def test_pages_are_accessible_in_danish_and_dark_on_a_narrow_window(visit, served):
    """Whoever sees a page, its words and boxes are the same: the administrator stands for all staff."""
    page = visit("/clock.json", viewport=NARROW, locale="da", color_scheme="dark", bypass_csp=True)
    look_with_axe(page.context)
    staff = dict.fromkeys(path for paths in BY_ROLE.values() for path in paths)
    told = {}
    for role, paths in {"": FOR_EVERYBODY, "administrator": staff}.items():
        _become(page, served, role)
        for path in paths:
            page.goto(path)
            assert page.locator("html").get_attribute("lang") == "da"
            told[role, path, "overflows"] = overflow(page)
            page.evaluate("document.documentElement.dir = 'rtl'")
            told[role, path, "overflows from right to left"] = overflow(page)
            page.evaluate("document.documentElement.dir = 'ltr'")
            told[role, path] = violations(page, rules=LAYOUT_RULES)
    assert {place: found for place, found in told.items() if found} == {}


def test_a_fault_in_one_of_many_rows_is_seen(visit):
    page = visit("/map", viewport=WIDE, bypass_csp=True)
    rows = page.locator("tbody tr")
    many = rows.count()
    rows.last.evaluate("row => row.cells[0].insertAdjacentHTML('beforeend', '<img src=\"data:,\">')")
    rows.nth(-2).evaluate("row => { row.id = 'main'; document.querySelector('tbody').id = 'main'; }")
    found = violations(page)
    assert rows.count() < many / 2, "long lists are made shorter"
    assert any(one.startswith("image-alt") for one in found)
    assert "two elements are called main" in found


def test_the_system_page_tells_what_is_wrong_on_any_window(visit, served):
    health, requests = served.city.health, served.city.rooms.requests
    health.found = [found("disk-fills-up", "The disk is full in 12 days"), found("stage-fails", "It is away")]
    health.growth = Growth(900_000.0, 1e9, 41 * 86_400.0)
    asked = SimpleNamespace(method="GET", path="/temporal/entities/{entityId}/attrs/{attrId}")
    query = b"type=Device,Vehicle&q=speed%3E50&timerel=after&timeAt=2026-01-01T00:00:00Z&aggrMethods=avg"
    requests.note({"state": {"operation": asked}, "query_string": query}, 200, 3.2)
    try:
        for window, words, why in (
            (WIDE, "In about 41 days", "Then nothing more can be stored."),
            (NARROW, "Om cirka 41 dage", "Så kan intet mere gemmes."),
        ):
            code = "en" if window is WIDE else "da"
            page = visit("/system", "administrator", viewport=window, locale=code, bypass_csp=True)
            assert page.get_by_role("alert").get_by_text("The disk is full in 12 days").is_visible()
            assert words in page.content()
            assert page.get_by_role("alert").get_by_text(why).is_visible()
            assert violations(page) == []
            assert not overflow(page)
    finally:
        health.found = []


def test_the_content_security_policy_blocks_nothing_of_our_own(visit):
    page = visit("/map", "administrator")
    page.wait_for_selector(".map-box.ready")
    for path in (f"/entities/{STATION}", "/report", "/"):
        page.goto(path)
    assert [fault for fault in page.faults if "Content Security Policy" in fault] == []


# What moves


def test_a_change_is_seen_on_the_entity_s_page_as_it_happens(visit, served):
    page = visit(f"/entities/{STATION}")
    value = page.locator("[data-attribute=temperature] [data-part=value]")
    expect(value).not_to_have_text(re.compile("33.3"))
    page.wait_for_selector(".uplot")
    served.city.clock.pass_by(minutes=5)
    served.do(served.city.reading("WeatherObserved", STATION, temperature=(33.3, "CEL")))
    expect(value).to_have_text("33.3\u202f°C")


def test_a_change_is_seen_on_the_map_and_in_its_list(visit, served):
    lamp = {"name": prop("Zeta lamp"), "status": prop("ok"), "location": point(8.951, 56.051)}
    served.do(served.city.write(entity("Streetlight", LAMP, lamp)))
    page = visit("/map?q=zeta")
    page.wait_for_selector(".map-box.ready")
    box = page.locator(".map-box")
    before = box.get_attribute("data-redraws")
    state = page.locator(f'tr[data-item="{LAMP}"] [data-part=state]')
    expect(state).to_have_text("in order")
    served.do(served.city.write(entity("Streetlight", LAMP, {"status": prop("defectiveLamp")})))
    expect(state).to_have_text("lamp is broken")
    expect(box).not_to_have_attribute("data-redraws", before)


def test_what_becomes_urgent_moves_up_the_list_and_what_has_focus_stays(visit, served):
    one, other, third = (f"urn:ngsi-ld:Streetlight:theta-{number}" for number in (1, 2, 3))
    for number, lamp in enumerate((one, other, third), 1):
        look = {"name": prop(f"Theta {number}"), "status": prop("ok"), "location": point(8.951, 56.051)}
        served.do(served.city.write(entity("Streetlight", lamp, look)))
    page = visit("/map?q=theta")
    page.wait_for_selector(".map-box.ready")
    rows = "[...document.querySelectorAll('tr[data-map-row]')].map(row => row.dataset.item)"
    assert page.evaluate(rows) == [one, other, third]
    last = page.locator("tr[data-map-row]").nth(2)
    page.locator(f'tr[data-item="{one}"] a').focus()
    served.do(served.city.write(entity("Streetlight", third, {"status": prop("defectiveLamp")})))
    expect(last).to_have_attribute("data-item", other)
    assert page.evaluate(rows) == [one, third, other]
    assert page.evaluate("document.activeElement.closest('tr').dataset.item") == one
    page.evaluate("document.activeElement.blur()")
    served.do(served.city.write(entity("Streetlight", other, {"status": prop("defectiveLamp")})))
    expect(last).to_have_attribute("data-item", one)
    assert page.evaluate(rows) == [third, other, one]


def test_what_changes_while_a_page_is_being_fetched_is_seen_on_it(visit, served):
    page = visit("/clock.json")

    def change_first(route) -> None:
        served.do(served.city.reading("WeatherObserved", STATION, temperature=(44.4, "CEL")))
        route.continue_()

    page.route("**/live?**", change_first)
    served.city.clock.pass_by(minutes=5)
    page.goto(f"/entities/{STATION}")
    value = page.locator("[data-attribute=temperature] [data-part=value]")
    expect(value).to_have_text("44.4\u202f°C")


def test_what_a_busy_city_turns_away_is_asked_for_again(visit, served):
    page = visit("/clock.json")
    turned_away = set()

    def turn_away(route) -> None:
        path = route.request.url.partition("?")[0]
        if path in turned_away:
            route.continue_()
        else:
            turned_away.add(path)
            route.fulfill(status=503, headers={"retry-after": "2"}, body="")

    for pattern in ("**/live?**", "**/map.json", "**/icons.svg?**"):
        page.route(pattern, turn_away)
    lamp = {"name": prop("Kappa lamp"), "status": prop("ok"), "location": point(8.951, 56.051)}
    served.do(served.city.write(entity("Streetlight", LAMP, lamp)))
    page.goto("/map?q=kappa")
    page.wait_for_selector(".map-box.ready")
    assert {path.rpartition("/")[2] for path in turned_away} == {"live", "map.json", "icons.svg"}
    served.do(served.city.write(entity("Streetlight", LAMP, {"status": prop("defectiveLamp")})))
    state = page.locator(f'tr[data-item="{LAMP}"] [data-part=state]')
    expect(state).to_have_text("lamp is broken")


# The keyboard


def _tab_to(page: Page, of_focused: str, wanted: str, most: int = 60) -> None:
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate(f"document.activeElement.{of_focused}").startswith(wanted):
            return
    raise AssertionError(f"the keyboard does not lead to {wanted}")


def test_the_keyboard_leads_from_the_map_s_list_to_an_entity_and_its_chart(visit):
    page = visit("/map?q=merino")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    _tab_to(page, "getAttribute('href') || ''", "/entities/")
    page.keyboard.press("Enter")
    page.wait_for_url("**/entities/**")
    _tab_to(page, "textContent.trim()", "7 days")
    page.keyboard.press("Enter")
    page.wait_for_url("**range=7d**")
    _tab_to(page, "textContent.trim()", "The readings as a table")
    page.keyboard.press("Enter")
    expect(page.locator("details[open] table caption").first).to_be_visible()


CONTROLS = "a[href], button, input:not([type=hidden]), select, textarea, summary"


@pytest.mark.parametrize("path", ["/map", "/alerts/new", f"/alerts/{ALERT}"])
def test_the_keyboard_reaches_everything_and_focus_is_always_seen(visit, path):
    page = visit(path, "operator")
    controls = f"""[...document.querySelectorAll('{CONTROLS}')]
        .filter(one => one.checkVisibility({{visibilityProperty: true}}) && one.tabIndex >= 0)"""
    reachable = page.evaluate(f"{controls}.length")
    seen = set()
    for _ in range(reachable + 30):
        page.keyboard.press("Tab")
        focused, drawn = page.evaluate(
            """(() => { const one = document.activeElement, style = getComputedStyle(one);
            const all = [...document.querySelectorAll('*')];
            const seen = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
            return [all.indexOf(one), one === document.body || seen]; })()"""
        )
        assert drawn, page.evaluate("document.activeElement.outerHTML.slice(0, 160)")
        if focused in seen:
            break
        seen.add(focused)
    missed = page.evaluate(
        f"""seen => {{ const all = [...document.querySelectorAll('*')], reached = seen.map(one => all[one]);
        const groups = new Set(reached.filter(one => one.type === 'radio').map(one => one.name));
        return {controls}
        .filter(one => !reached.includes(one) && !(one.type === 'radio' && groups.has(one.name)))
        .map(one => one.outerHTML.slice(0, 120)); }}""",
        sorted(seen),
    )
    assert missed == []


# Forms


def test_a_form_with_mistakes_brings_the_reader_to_their_list(visit):
    page = visit("/alerts/new", "operator")
    page.get_by_role("button", name="Raise the alert").click()
    expect(page.locator(".errors")).to_be_focused()
    page.get_by_role("link", name="Say what has happened.").click()
    field = page.locator("#field-description")
    expect(field).to_be_focused()
    expect(field).to_have_accessible_description(re.compile("Say what has happened."))


def test_a_report_is_made_by_a_click_on_the_map_and_answered(visit):
    page = visit("/report", viewport={"width": 1280, "height": 1000})
    page.wait_for_selector(".map-box[data-ready]")
    page.get_by_label("street lights").check()
    page.get_by_label("What you saw").fill("The lamp by the mill is dark")
    page.locator(".map-box canvas").click(position={"x": 300, "y": 150})
    expect(page.locator("#place-said")).to_contain_text("Chosen:")
    page.get_by_role("button", name="Send the report").click()
    page.wait_for_url("**/report/*new=1")
    code = page.locator("#follow-code").inner_text()

    staff = visit("/reports", "operator")
    staff.get_by_role("link", name="The lamp by the mill is dark").click()
    staff.get_by_label("Your answer").fill("We come tomorrow.")
    staff.get_by_role("button", name="Send the answer").click()
    expect(staff.get_by_role("status").first).to_contain_text("The answer is sent.")

    page.goto("/report")
    page.get_by_label("The code of your report").fill(code)
    page.get_by_role("button", name="See the answer").click()
    expect(page.get_by_text("We come tomorrow.")).to_be_visible()


def test_a_first_password_is_changed_before_anything_else(visit, served):
    made = served.do(served.city.accounts.create(SET_UP, "newcomer", roles=["operator"]))
    page = visit("/sign-in")
    page.get_by_label("User name").fill("newcomer")
    page.get_by_label("Password").fill(made.password)
    page.locator("main").get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/password")
    page.goto("/alerts")
    assert page.url.endswith("/password")
    page.get_by_label("The password you have now").fill(made.password)
    page.get_by_label("New password", exact=True).fill("lantern harbour seven")
    page.get_by_label("New password, once more").fill("lantern harbour seven")
    page.get_by_role("button", name="Save the password").click()
    expect(page.get_by_role("heading", name="What happens now")).to_be_visible()


def test_a_step_can_be_taken_back_from_the_page_that_tells_of_it(visit):
    page = visit(f"/alerts/{ALERT}", "operator")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_role("status").first).to_contain_text("Acknowledged.")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Acknowledge")).to_be_visible()


def test_language_and_colours_are_kept(visit):
    page = visit("/notices")
    page.get_by_role("button", name="Dansk").click()
    expect(page.get_by_role("heading", name="Meddelelser")).to_be_visible()
    assert page.url.endswith("/notices")
    page.get_by_role("button", name="Mørke farver").click()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    page.goto("/map")
    assert page.locator("html").get_attribute("lang") == "da"
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"


# Without JavaScript


def test_pages_work_without_javascript(visit):
    page = visit("/about", java_script_enabled=False, viewport={"width": 360, "height": 740})
    for path in ("/", "/map", f"/entities/{STATION}", "/alerts", "/indicators/u4ssc"):
        page.goto(path)
        expect(page.locator("h1")).to_be_visible()
        for drawn in page.locator("main svg.plain, main figure.chart svg").all()[:2]:
            expect(drawn).to_be_visible()
        page.get_by_role("link", name="Menu").click()
        expect(page.get_by_role("link", name="Indicators").first).to_be_visible()
    page.goto("/map")
    assert page.locator("tbody tr").count() > 20


def test_a_report_is_made_without_javascript_by_a_click_on_the_picture(visit):
    page = visit("/report", java_script_enabled=False)
    page.get_by_label("street lights").check()
    page.get_by_label("What you saw").fill("Dark")
    page.locator("input[type=image]").click(position={"x": 300, "y": 200})
    assert page.locator("#field-latitude").input_value().startswith("56.")
    assert page.locator("#field-description").input_value() == "Dark"
    page.get_by_role("button", name="Send the report").click()
    expect(page.get_by_text("Keep this code.")).to_be_visible()


def test_signing_in_and_choosing_a_language_work_without_javascript(visit, served):
    password = served.do(served.city.person("plain", "operator"))
    page = visit("/sign-in", java_script_enabled=False)
    page.get_by_label("User name").fill("plain")
    page.get_by_label("Password").fill(password)
    page.locator("main").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="What happens now")).to_be_visible()
    page.get_by_role("button", name="Dansk").click()
    assert page.locator("html").get_attribute("lang") == "da"
