"""What holds for every page: it is there for whom it should be, also as data, light, and well formed."""

from __future__ import annotations

import gzip
import re
from html.parser import HTMLParser

import pytest

from cityloom.access.roles import ROLES
from cityloom.kernel.actor import InformationClass
from cityloom.ngsild.model import entity, point, prop

LAMP = "urn:ngsi-ld:Streetlight:1"
OPEN_PAGES = ["/", "/?view=operator", "/?view=planner", "/map", "/entities", "/entities?type=Streetlight"]
OPEN_PAGES += [f"/entities/{LAMP}", f"/follow/{LAMP}", "/alerts", "/indicators", "/initiatives", "/notices"]
OPEN_PAGES += [
    f"/plan/action{page}" for page in ("", "/timeline", "/budget", "/ranking", "/funding", "/coverage")
]
OPEN_PAGES += ["/report", "/reports", "/open-data", "/warnings", "/sign-in", "/language", "/about"]
#: Pages with the permission that opens them.
STAFF_PAGES = {
    "/alerts/new": "alerts:handle",
    "/notices/new": "notices:publish",
    "/initiatives/new": "initiatives:edit",
    "/plan/stakeholders/engagement": "stakeholders:edit",
    "/plan/stakeholders/participation": "stakeholders:edit",
    "/plan/stakeholders/analysis": "stakeholders:edit",
    "/plan/stakeholders/diagrams/grid": "stakeholders:edit",
    "/plan/stakeholders/note-contact": "stakeholders:edit",
    "/devices": "devices:admit",
    "/devices/new": "devices:admit",
    "/parked": "parked:read",
    "/services": "services:manage",
    "/other-systems": "audit:read",
    "/system": "audit:read",
    "/accounts": "accounts:manage",
    "/account": "tokens:own",
    "/password": "password:change",
}
#: Forms and choices have nothing to give as data.
WITHOUT_DATA = ("/alerts/new", "/notices/new", "/initiatives/new", "/devices/new", "/password", "/sign-in")
WITHOUT_DATA += ("/language", "/report", "/plan/stakeholders/note-contact")
OPEN_PAGES += ["/consultations", "/plan/stakeholders", "/plan/stakeholders/matrix"]
OPEN_PAGES += ["/plan/stakeholders/diagrams/map", "/plan/stakeholders/diagrams/classification"]
VOID = {"meta", "link", "input", "br", "hr", "img", "use", "path", "rect", "circle", "line"}


@pytest.fixture
async def lit(city):
    """A city with one lamp."""
    lamp = {
        "name": prop("Lamp 1"),
        "powerState": prop("on", at=city.clock.now()),
        "location": point(8.95, 56.05),
    }
    lamp["powerConsumption"] = prop(31.5, at=city.clock.now(), unit="WTT")
    await city.write(entity("Streetlight", LAMP, lamp))
    return city


class Checker(HTMLParser):
    """Finds elements that are not closed, ids that stand twice, and labels that name no field."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.ids: list[str] = []
        self.wanted: list[str] = []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if "id" in found:
            self.ids.append(found["id"])
        for name in ("for", "aria-labelledby", "aria-describedby", "aria-controls"):
            self.wanted += (found.get(name) or "").split()
        if "style" in found or any(name.startswith("on") for name in found):
            self.faults.append(f"<{tag}> has a style or a script of its own")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()} closes nothing")


def check(text: str) -> list[str]:
    checker = Checker()
    checker.feed(text)
    twice = {one for one in checker.ids if checker.ids.count(one) > 1}
    return [
        *checker.faults,
        *(f"<{tag}> is not closed" for tag in checker.open),
        *(f"the id {one} stands twice" for one in twice),
        *(f"nothing has the id {one}" for one in set(checker.wanted) - set(checker.ids)),
    ]


@pytest.mark.parametrize("path", OPEN_PAGES)
async def test_open_pages_are_there_for_everybody_in_both_languages(lit, visitor, path):
    for code in ("en", "da"):
        visitor.client.headers["accept-language"] = code
        answer = await visitor.get(path)
        assert answer.status_code == 200, answer.text[:500]
        assert f'<html lang="{code}" dir="ltr"' in answer.text
        assert len(re.findall(r"<h1[ >]", answer.text)) == 1
        assert check(answer.text) == []


@pytest.mark.parametrize(
    "path", [path for path in OPEN_PAGES if path not in WITHOUT_DATA and "?" not in path]
)
async def test_open_pages_have_their_data_beside_them(lit, visitor, path):
    data = await visitor.data("/home.json" if path == "/" else f"{path}.json")
    assert isinstance(data, dict) and data


@pytest.mark.parametrize(("path", "permission"), STAFF_PAGES.items())
async def test_staff_pages_open_to_the_permission_and_send_visitors_to_sign_in(
    lit, visitor, path, permission
):
    refused = await visitor.get(path)
    assert refused.status_code == 303 and refused.headers["location"] == f"/sign-in?back={path}"
    if path not in WITHOUT_DATA:
        assert (await visitor.get(f"{path}.json")).status_code == 401
    holder = next(role.name for role in ROLES.values() if role.assignable and permission in role.permissions)
    await visitor.sign_in(holder)
    answer = await visitor.get(path)
    assert answer.status_code == 200 and check(answer.text) == []
    if path not in WITHOUT_DATA:
        assert (await visitor.get(f"{path}.json")).status_code == 200


@pytest.mark.parametrize("path", [path for path, needs in STAFF_PAGES.items() if ":own" not in needs][:-1])
async def test_staff_pages_tell_a_citizen_what_it_takes(lit, reader_of, path):
    citizen = await reader_of("citizen")
    answer = await citizen.get(path)
    assert answer.status_code == 403 and "It takes the permission" in answer.text


@pytest.mark.parametrize("path", [*OPEN_PAGES, *STAFF_PAGES])
async def test_pages_are_light(lit, reader_of, path):
    """At most 60 kB over the line for a first visit, without the map and its drawing."""
    reader = await reader_of("administrator")
    text = (await reader.get(path)).text
    drawn = re.sub(r'<svg class="plain".*?</svg>', "", text, flags=re.S)
    named = set(re.findall(r'(?:href|src)="(/static/[^"#]+)', text))
    beside = [(await reader.get(one)).content for one in named if not re.search("/built/(map|place)", one)]
    parts = [gzip.compress(part, 5) for part in (drawn.encode(), *beside)]
    assert sum(map(len, parts)) < 60_000


@pytest.mark.parametrize(
    "path", [*OPEN_PAGES, "/map.json", "/entities.json?type=Streetlight", "/open-data.json"]
)
async def test_pages_show_a_visitor_the_same_whatever_is_secret(lit, visitor, path):
    before = _plain((await visitor.get(path)).text)
    secret = {
        "name": prop("Lamp 7"),
        "powerState": prop("off", at=lit.clock.now()),
        "location": point(8.9, 56.0),
    }
    for number, secrecy in ((7, InformationClass.SECURITY), (8, InformationClass.INTERNAL)):
        lamp = f"urn:ngsi-ld:Streetlight:{number}"
        await lit.write(entity("Streetlight", lamp, secret), secrecy=secrecy)
        await lit.write(
            entity("Camera", f"urn:ngsi-ld:Camera:{number}", {"name": prop("Gate")}), secrecy=secrecy
        )
    assert _plain((await visitor.get(path)).text) == before


def _plain(text: str) -> str:
    return re.sub(r'name="form_token" value="[^"]+"', "", text)


async def test_what_is_secret_is_not_there_for_a_visitor(lit, visitor, reader_of):
    camera = "urn:ngsi-ld:Camera:7"
    await lit.write(entity("Camera", camera, {"name": prop("Gate")}), secrecy=InformationClass.SECURITY)
    guard = await reader_of("security_operator")
    for path in (f"/entities/{camera}", f"/entities/{camera}.csv", f"/entities/{camera}.geojson"):
        assert (await visitor.get(path)).status_code == 404
        assert (await guard.get(path)).status_code == 200
    for path in (f"/follow/{camera}", f"/entities/{camera}.json"):
        assert (await visitor.get(path)).status_code == 404
    assert "security" in await guard.text(f"/entities/{camera}")


async def test_a_reader_who_chose_a_language_and_colours_keeps_them(visitor):
    text = await visitor.done("/language", {"language": "da"})
    assert "Meddelelser" in text
    await visitor.done("/theme", {"theme": "dark"})
    assert 'data-theme="dark"' in await visitor.text("/about")
    visitor.client.headers["accept-language"] = "en"
    assert "Om denne bys platform" in await visitor.text("/about")


async def test_choosing_leads_back_to_the_page_one_was_at_and_to_no_other_site(visitor):
    for referer, to in (
        ("http://city.test/map?q=x", "/map?q=x"),
        ("https://evil.test/map", "/"),
        ("http://city.test//evil.test", "/"),
        ("", "/"),
    ):
        visitor.client.headers["referer"] = referer
        answer = await visitor.send("/theme", {"theme": "light"})
        assert answer.headers["location"] == to, referer


async def test_cookies_are_out_of_reach_of_scripts_and_other_sites(visitor):
    cookies = (await visitor.get("/")).headers.get_list("set-cookie")
    assert cookies and all("HttpOnly" in one and "SameSite=lax" in one for one in cookies)


async def test_open_access_says_so_loudly_on_every_page(small_city_class, reader_class):
    city = await small_city_class(open_access=True, frameworks=()).start()
    try:
        shown = await reader_class(city).get("/about", host="localhost")
        assert "Open access: authentication is off" in shown.text
    finally:
        await city.stop()


async def test_demo_cities_say_what_their_data_are(visitor):
    assert "simulated town" in await visitor.text("/about")
