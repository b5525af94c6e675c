"""Words of strangers stay words: planted everywhere, they become no element, no script and no address."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pytest

from cityloom.kernel.actor import CITY, InformationClass
from cityloom.kernel.errors import BadInput
from cityloom.ngsild.model import entity, json_value, point, prop, rel, text
from cityloom.planning.register import KINDS
from cityloom.sensing.model import Device, Message, Profile

MARK = "zzevil"
WORDS = f"{MARK}\"'><x-evil onclick=alert(1)></script></title></textarea><x-evil>{{{{7*7}}}}&lt;x-evil&gt;"
SCRIPT = f"javascript:alert('{MARK}')"
#: Pages looked at from which all that the city links to is followed.
BEGIN = ["/", "/?view=operator", "/?view=planner", "/map", "/entities", "/alerts", "/indicators", "/notices"]
BEGIN += [
    "/initiatives",
    "/plan/action",
    "/plan/action/timeline",
    "/plan/action/budget",
    "/plan/action/ranking",
    "/reports",
    "/open-data",
    "/warnings",
    "/devices",
    "/parked",
    "/services",
    "/other-systems",
    "/system",
]
BEGIN += ["/accounts", "/account", "/report", "/about", "/alerts/new", "/notices/new", "/initiatives/new"]
BEGIN += ["/consultations", "/plan/stakeholders", "/plan/stakeholders/note-contact"]
MOST = 400
_ADDRESSES = ("href", "src", "action", "formaction", "xlink:href", "data", "srcset", "poster")


class Reading(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []
        self.links: list[str] = []
        self._data: list[str] | None = None

    def handle_starttag(self, tag, attributes):
        said = dict(attributes)
        if tag == "x-evil" or any(name.startswith("on") or name == "style" for name in said):
            self.faults.append(f"<{tag} {attributes}>")
        if tag in ("iframe", "object", "embed", "base"):
            self.faults.append(f"<{tag}>")
        if tag == "script":
            if said.get("type") == "application/json":
                self._data = []
            elif not (said.get("src") or "").startswith("/static/"):
                self.faults.append(f"a script {said}")
        for name in _ADDRESSES:
            address = said.get(name)
            if address is None:
                continue
            scheme = urlsplit(address.strip()).scheme.lower()
            if scheme not in ("", "http", "https", "mailto", "tel"):
                self.faults.append(f"<{tag} {name}={address!r}>")
            if tag == "a" and name == "href":
                self.links.append(address)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)

    def handle_endtag(self, tag):
        if tag == "script" and self._data is not None:
            try:
                json.loads("".join(self._data))
            except ValueError:
                self.faults.append(f"data that is no JSON: {self._data}")
            self._data = None

    def handle_data(self, data):
        if self._data is not None:
            self._data.append(data)


def things(city):
    """Entities of every kind that pages know, each with hostile words wherever words can stand."""
    now = city.clock.now()
    kinds = ["Streetlight", "WeatherObserved", "OffStreetParking", "TrafficFlowObserved", "Event", "Camera"]
    kinds += ["AirQualityObserved", "WasteContainer", "Alert", "Notice", "CitizenReport", "Initiative"]
    kinds += ["KeyPerformanceIndicator", "Command", f"{MARK}<x-evil>", "WarningDelivery", "RoadSegment"]
    for number, kind in enumerate(kinds):
        attributes = {
            "name": prop(WORDS),
            "title": text(en=WORDS, da=WORDS),
            "description": text(en=WORDS),
            "location": point(8.95, 56.05 + number / 1000),
            "address": prop({"streetAddress": WORDS}),
            "dataProvider": prop(SCRIPT),
            "source": prop(SCRIPT),
            "seeAlso": prop([SCRIPT]),
            "license": prop(SCRIPT),
            "image": prop(SCRIPT),
            "temperature": prop(3.5, at=now, unit=WORDS),
            "powerState": prop(WORDS, at=now),
            "status": prop(WORDS),
            "severity": prop(WORDS),
            "category": prop(WORDS),
            "dataOrigin": prop(WORDS),
            f"{MARK}'\"><x-evil>": prop(WORDS),
            "refDevice": rel("urn:ngsi-ld:Streetlight:0"),
            "because": json_value([{"about": WORDS, "attribute": WORDS, "note": WORDS}]),
        }
        yield entity(kind, f"urn:ngsi-ld:{kind.partition('<')[0]}:{number}", attributes)
    strange = {"name": prop(WORDS), "location": point(8.96, 56.05)}
    yield entity("Streetlight", f"urn:ngsi-ld:Streetlight:{MARK}\"'><x-evil>/../?a=b#c", strange)


@pytest.fixture
async def haunted(city, reader_of):
    """A city into which somebody hostile wrote whatever can be written."""
    for one in things(city):
        await city.broker.upsert_many(CITY, [one], update=True, information_class=InformationClass.OPEN)
    await city.broker.caught_up()
    administrator = await reader_of("administrator")
    from cityloom.access.authority import TERMINAL

    await city.devices.admit(
        TERMINAL,
        Device("evil-1", name=WORDS, profile=Profile("Streetlight", f"urn:ngsi-ld:Streetlight:{MARK}")),
    )
    await city.accounts.create(TERMINAL, "evil", display_name=MARK + "<x-evil>", roles=["citizen"])
    message = Message("http_push", WORDS, WORDS.encode(), city.clock.now(), content_type=WORDS)
    await city.parked.park([(message, BadInput(WORDS, hint=WORDS, where=WORDS))])
    city.health.said = [WORDS]
    report = {"category": "lighting", "description": WORDS, "latitude": "56.05", "longitude": "8.95"}
    sent = await administrator.send("/report", {**report, "placeName": WORDS, "email": "evil@example.org"})
    assert sent.status_code == 303
    return city


async def walk(reader, begin=BEGIN):
    """Every page that can be reached, with its address."""
    waiting, seen = list(begin), set(begin)
    while waiting:
        path = waiting.pop(0)
        if path.endswith(".parquet"):  # the memory's history writes none
            continue
        answer = await reader.get(path)
        yield path, answer
        if "text/html" not in answer.headers.get("content-type", ""):
            continue
        page = Reading()
        page.feed(answer.text)
        for link in page.links:
            to = urljoin(f"http://city.test{path}", link).partition("#")[0].removeprefix("http://city.test")
            if to.startswith("/") and to not in seen and not to.startswith("/static") and len(seen) < MOST:
                seen.add(to)
                waiting.append(to)


@pytest.mark.parametrize("role", ["", "administrator"])
async def test_no_page_makes_elements_scripts_or_addresses_of_what_strangers_wrote(
    haunted, visitor, reader_of, role
):
    reader = await reader_of(role, name="looker") if role else visitor
    told, pages = 0, 0
    async for path, answer in walk(reader):
        assert answer.status_code < 500, (path, answer.status_code, answer.text[:300])
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert "script-src 'self'" in answer.headers["content-security-policy"], path
        kind = answer.headers.get("content-type", "").partition(";")[0]
        if kind == "text/html":
            pages += 1
            page = Reading()
            page.feed(answer.text)
            assert page.faults == [], (path, page.faults)
            told += MARK in answer.text
        else:
            assert kind in (
                "application/json",
                "application/geo+json",
                "text/csv",
                "image/svg+xml",
                "",
                "application/vnd.apache.parquet",
                "application/ld+json",
                "text/plain",
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                "application/pdf",
                "text/calendar",
            ), (path, kind)
    assert pages > 30 and told > 15, (pages, told)


def _shapes(kind, turn: int) -> dict:
    """What nobody of the plan would write, in each of its fields: words in every shape, and wrong shapes."""
    rows = json_value([{one.name: WORDS for one in _columns(kind)}, {one.name: 7 for one in _columns(kind)}])
    shapes = [
        prop(WORDS),
        prop(SCRIPT),
        text(en=WORDS, da=SCRIPT),
        rows,
        rel(f"urn:ngsi-ld:{MARK}'\"><x-evil>"),
    ]
    shapes += [prop([WORDS, SCRIPT]), prop({"amount": "1e999", "currency": WORDS}), prop(1e308), prop(True)]
    shapes += [point(8.95, 56.05), json_value({WORDS: [WORDS]}), prop("2026-02-30")]
    fields = {one.name: shapes[(at + turn) % len(shapes)] for at, one in enumerate(kind.fields)}
    steps = json_value([{"at": WORDS, "by": WORDS, "did": WORDS, "note": WORDS}])
    return {
        **fields,
        "name": text(en=WORDS),
        "status": prop(WORDS),
        "history": steps,
        "dataOrigin": prop(WORDS),
    }


def _columns(kind):
    return [column for field in kind.fields for column in getattr(field, "columns", ())]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.type)
async def test_records_that_others_wrote_are_words_and_break_no_page(city, reader_of, kind):
    for turn in range(0, 12, 4):
        for number, secrecy in ((f"draft-{turn}", InformationClass.INTERNAL), (turn, InformationClass.OPEN)):
            written = entity(kind.type, f"urn:ngsi-ld:{kind.type}:{number}", _shapes(kind, turn))
            await city.write(written, secrecy=secrecy)
    reader = await reader_of("administrator")
    here = f"/plan/{kind.path}"
    for path in [
        here,
        f"{here}/new",
        *(f"{here}/urn:ngsi-ld:{kind.type}:{turn}" for turn in range(0, 12, 4)),
    ]:
        for address in (path, f"{path}/edit" if ":" in path else f"{path}.json"):
            answer = await reader.get(address)
            assert answer.status_code < 500, (address, answer.text[:500])
            page = Reading()
            page.feed(answer.text if "html" in answer.headers["content-type"] else "")
            assert page.faults == [], (address, page.faults)
    assert (await reader.get(f"{here}.csv")).status_code == 200
    assert (await reader.get(f"{here}.xlsx")).status_code == 200


async def test_drawings_and_data_hold_hostile_words_as_words(haunted, visitor):
    for path in ("/map.json", "/entities.json", "/report/map.svg"):
        answer = await visitor.get(path)
        assert answer.status_code == 200
        if path.endswith("svg"):
            assert "x-evil" not in answer.text
        else:
            for href in re.findall(r'"href":"([^"]*)"', answer.text):
                assert href.startswith("/") and not href.startswith("//"), href


async def test_photos_are_pictures_and_nothing_else(visitor):
    report = {"category": "lighting", "description": "dark", "latitude": "56.05", "longitude": "8.95"}
    for body in (
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"<script>alert(1)</script>",
    ):
        files = {"photo": ("lamp.png", body, "image/png")}
        told = await visitor.refused("/report", report, files=files)
        assert "no photo that can be shown" in told
