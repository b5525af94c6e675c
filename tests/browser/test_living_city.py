"""The living town in a real Chromium, as a person starts it: it moves, and it says what it is.

What holds for every page and role is tried over a small city, in test_pages_in_chromium.py.
"""

from __future__ import annotations

import json
import math
import re
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

sys.path.insert(0, str(Path(__file__).parents[1]))
from running_city import RunningCity

pytestmark = pytest.mark.browser

#: Seconds: the first evening is six hours of the town's time away, one minute at its own pace.
PATIENCE = 240
PAGES = ("/", "/map", "/entities", "/alerts", "/indicators/city", "/initiatives", "/notices", "/open-data")


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    city = RunningCity(tmp_path_factory.mktemp("browser") / "loomby", "demo", "loomby", patience=300)
    city.opened_on = city.web.get("/clock.json").json()["now"][:10]
    yield city
    city.stop()


def test_the_map_moves_as_readings_arrive_and_a_click_on_a_sign_leads_to_its_page(open_page, town):
    station = town.web.get("/map.json", params={"type": "WeatherObserved"}).json()["features"][0]
    name = station["properties"]["name"]
    page = open_page(town.address, "/map?type=WeatherObserved", viewport={"width": 1280, "height": 900})
    box = page.locator(".map-box.ready")
    expect(box).to_be_visible(timeout=60_000)
    before = box.get_attribute("data-redraws")
    ages = page.locator("tbody time").all_inner_texts()
    expect(box).not_to_have_attribute("data-redraws", before)
    assert ages

    page.mouse.click(*_on_screen(page, station["geometry"]["coordinates"]))
    link = page.locator(".maplibregl-popup-content h2 a")
    expect(link).to_have_text(name)
    link.click()
    expect(page).to_have_url(re.compile("/entities/"))
    expect(page.locator("h1")).to_contain_text(name)


def _on_screen(page, lon_lat: list[float]) -> tuple[float, float]:
    """Where a place lies while the map stands as it was opened: its bounds with 30 pixels around them."""
    ground = json.loads(page.locator(".map-box > script").text_content())
    west, south, east, north = ground["bounds"]
    box = page.locator(".map-box canvas").bounding_box()
    left, top, right, bottom = *_mercator(west, north), *_mercator(east, south)
    scale = min((box["width"] - 60) / (right - left), (box["height"] - 60) / (bottom - top))
    x, y = _mercator(*lon_lat)
    return (
        box["x"] + box["width"] / 2 + (x - (left + right) / 2) * scale,
        box["y"] + box["height"] / 2 + (y - (top + bottom) / 2) * scale,
    )


def _mercator(longitude: float, latitude: float) -> tuple[float, float]:
    return longitude, -math.degrees(math.asinh(math.tan(math.radians(latitude))))


def test_values_of_an_entity_s_page_move_as_readings_arrive(open_page, town):
    section = town.web.get("/map.json", params={"type": "TrafficFlowObserved"}).json()["features"][0]
    page = open_page(town.address, section["properties"]["href"])
    said = page.locator("[data-attribute=averageVehicleSpeed] time")
    before = said.get_attribute("datetime")
    expect(said).not_to_have_attribute("datetime", before)


def test_every_page_says_that_the_town_is_simulated_and_nothing_is_shown_as_measured(open_page, town):
    page = open_page(town.address, "/about")
    for path in PAGES:
        page.goto(path)
        expect(page.locator(".banner .badge")).to_contain_text("simulated")
        badges = [one.strip() for one in page.locator("main .badge").all_inner_texts()]
        assert "measured" not in badges, path


def test_no_request_leaves_the_origin(open_page, town):
    page = open_page(town.address, "/map")
    page.wait_for_selector(".map-box.ready")
    for path in ("/", "/report", "/entities?type=WeatherObserved"):
        page.goto(path)
    origins = {urlsplit(url)[:2] for url in page.asked if not url.startswith(("data:", "blob:"))}
    assert origins == {urlsplit(town.address)[:2]}


def test_a_visitor_learns_nothing_of_those_who_are_warned(town):
    for path in ("/ngsi-ld/v1/entities?type=WarningRecipient", "/ngsi-ld/v1/entities?type=WarningDelivery"):
        assert town.web.get(path).json() == []
    for path in ("/ngsi-ld/v1/types", "/entities", "/open-data", "/warnings.json"):
        assert "WarningRecipient" not in town.web.get(path).text
    there = town.web.get("/ngsi-ld/v1/entities?type=WarningRecipient", headers=town.as_terminal)
    assert len(there.json()) == 12
    recipient = there.json()[0]["id"]
    for path in (f"/ngsi-ld/v1/entities/{recipient}", f"/entities/{recipient}", f"/follow/{recipient}"):
        assert town.web.get(path).status_code == 404


def test_the_first_evening_brings_a_frost_warning_to_every_farm(town):
    """The town opens at noon before a night of frost: by six the service has learned from its past."""
    until = time.monotonic() + PATIENCE
    while not (warned := _of_staff(town, 'type=Alert&q=subCategory=="frost"')) and time.monotonic() < until:
        time.sleep(0.5)
    assert {one["dateIssued"]["value"] for one in warned} == {f"{town.opened_on}T16:00:00Z"}
    assert len(warned) == 12
    assert all("frost" in one["description"]["languageMap"]["en"].lower() for one in warned)
    while len(sent := _of_staff(town, "type=WarningDelivery&limit=100")) < 12 and time.monotonic() < until:
        time.sleep(0.5)
    assert len(sent) == 12


def _of_staff(town, query: str) -> list:
    return town.web.get(f"/ngsi-ld/v1/entities?{query}", headers=town.as_terminal).json()


def test_the_first_password_must_be_changed_before_anything_else(open_page, town):
    made = re.search(r"Sign in\s+(\S+)\s+password (\S+)", town.said)
    page = open_page(town.address, "/sign-in")
    page.get_by_label("User name").fill(made[1])
    page.get_by_label("Password").fill(made[2])
    page.locator("main").get_by_role("button", name="Sign in").click()
    page.goto("/devices")
    assert page.url.split("?")[0].endswith("/password")
