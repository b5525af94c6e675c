"""What is secret changes nothing that is open: byte for byte.

The same open happenings are lived through twice, each time with other things of the security class (and of
another tenant) happening between them. Then everything that a visitor can get is fetched from both cities:
every page and its JSON, the whole API, downloads, the live stream, history, lineage, indicators, error
texts, headers. The two must not differ in one byte.
"""

from __future__ import annotations

import asyncio
import importlib.util
import secrets
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from cityloom.access.authority import OPEN_ACCESS
from cityloom.context.consumption import Consumption
from cityloom.context.state import CurrentState
from cityloom.indicators.indicators import Indicators
from cityloom.kernel import time as kernel_time
from cityloom.kernel.actor import ANONYMOUS, CITY, InformationClass
from cityloom.kernel.change import Because
from cityloom.kernel.errors import CityError
from cityloom.ngsild.model import Document, entity, json_value, point, prop, rel, text
from cityloom.operations.alerts import Occasion
from cityloom.subscriptions import sending
from cityloom.web.live import Live

SECURITY, OPEN = InformationClass.SECURITY, InformationClass.OPEN
TYPES = ("Streetlight", "WeatherObserved", "KeyPerformanceIndicator", "Alert", "Notice", "CitizenReport")
NUMBERS = range(6)


def load_small_city() -> Any:
    """The small city of the pages' tests."""
    path = Path(__file__).parents[1] / "stages" / "web" / "small_city.py"
    name = "small_city_of_journeys"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name].SmallCity


# -- what happens


@dataclass(frozen=True)
class Happening:
    """Something written about the thing of this number: a secret one, or one that everybody sees."""

    secret: bool
    kind: str
    number: int
    value: int = 0
    #: What it points at: nothing, an open thing, a secret thing.
    points_at: str = ""


def id_of(number: int, *, secret: bool) -> str:
    return f"urn:ngsi-ld:{TYPES[number]}:{'secret' if secret else 'open'}-{number}"


def document_of(happening: Happening, at: Any) -> Document:
    """A thing with a reading, a place beside others, words, and what it rests on."""
    number = happening.number
    attributes: dict[str, Any] = {
        "temperature": prop(happening.value, at=at, unit="CEL"),
        "kpiValue": prop(happening.value, at=at, unit="P1"),
        "name": prop(f"Thing {number} {'hidden' if happening.secret else 'plain'}"),
        "description": text(en=f"Value {happening.value}"),
        "status": prop("published"),
        "category": prop("road"),
        "severity": prop("high"),
        "dataOrigin": prop("measured"),
        "location": point(8.9 + number / 100, 56.0 + happening.value / 1000),
        "dateIssued": prop(kernel_time.format_instant(at)),
    }
    if happening.points_at:
        target = id_of((number + 1) % len(TYPES), secret=happening.points_at == "secret")
        attributes["alertSource"] = rel(target)
        attributes["because"] = json_value(
            [
                {"about": target, "attribute": "temperature", "since": "2026-04-10T00:00:00Z"},
                {"about": f"type:{TYPES[number]}", "attribute": "temperature", "count": 3},
            ]
        )
    return entity(TYPES[number], id_of(number, secret=happening.secret), attributes)


class World:
    """One city, with time and chance in hand: both depend on the open happenings alone."""

    def __init__(self) -> None:
        self.millis = 1_775_815_200_000
        self.label = "start"
        self.drawn = 0
        self.city: Any = None

    @contextmanager
    def in_hand(self) -> Iterator[None]:
        """While this lasts, the machine's clock stands and chance repeats itself."""
        original = kernel_time.now_millis
        # It draws once, for the process: before chance is in hand, whoever comes first.
        assert sending
        with ExitStack() as stack:
            for module in [module for name, module in sys.modules.items() if name.startswith("cityloom.")]:
                if getattr(module, "now_millis", None) is original:
                    stack.enter_context(patch.object(module, "now_millis", lambda: self.millis))
            stack.enter_context(patch.object(secrets, "token_hex", lambda size=32: self.chance(size).hex()))
            stack.enter_context(patch.object(secrets, "token_bytes", lambda size=32: self.chance(size)))
            stack.enter_context(
                patch.object(secrets, "token_urlsafe", lambda size=32: self.chance(size).hex())
            )
            stack.enter_context(
                patch.object(secrets, "choice", lambda items: items[self.chance(1)[0] % len(items)])
            )
            # The hours of the city pass in one go below, not whenever the machine has time.
            stack.enter_context(patch.object(Indicators, "start", Indicators.publish))
            yield

    def chance(self, size: int) -> bytes:
        self.drawn += 1
        return sha256(f"{self.label} {self.drawn}".encode()).digest()[:size].ljust(size, b"\0")

    def turn(self, label: str) -> None:
        """A new moment: what is drawn in it depends on its name alone."""
        self.label, self.drawn = label, 0

    async def live_through(self, happenings: list[Happening]) -> None:
        moment = 0
        for happening in happenings:
            if happening.secret:
                self.turn(f"secret {secrets.SystemRandom().random()}")
                await self.secretly(happening)
            else:
                moment += 1
                self.turn(f"open {moment}")
                self.millis += 60_000
                self.city.clock.pass_by(minutes=1)
                await self.openly(happening)
        await self.city.broker.caught_up()
        self.turn("indicators")
        self.city.clock.pass_by(days=1)
        await self.city.indicators.compute()
        await self.city.broker.caught_up()

    async def openly(self, happening: Happening) -> None:
        broker = self.city.broker
        if happening.kind == "delete":
            with suppressed():
                await broker.delete(CITY, id_of(happening.number, secret=False))
        else:
            document = document_of(happening, self.city.clock.now())
            await broker.upsert(CITY, document, information_class=OPEN)

    async def secretly(self, happening: Happening) -> None:
        broker, number = self.city.broker, happening.number
        thing = id_of(number, secret=True)
        document = document_of(happening, self.city.clock.now())
        with suppressed():
            if happening.kind == "put":
                await broker.upsert(CITY, document, information_class=SECURITY)
            elif happening.kind == "delete":
                await broker.delete(CITY, thing)
            elif happening.kind == "elsewhere":
                await broker.upsert(CITY, document, information_class=SECURITY, tenant="harbour")
            else:
                await self.raise_secretly(number, happening.value)

    async def raise_secretly(self, number: int, value: int) -> None:
        about = id_of(number, secret=False)
        occasion = Occasion(
            key=f"secret {number}",
            category="safety",
            severity="critical",
            description={"en": f"Somebody is at thing {number}: {value}"},
            about=(about,),
            because=(Because(about=about, attribute="temperature", value=value),),
        )
        await self.city.rooms.alerts.raise_(OPEN_ACCESS, occasion, information_class=SECURITY)


@contextmanager
def suppressed() -> Iterator[None]:
    """A happening that cannot be (deleting what is not there) does not happen."""
    try:
        yield
    except CityError:
        return


# -- what a visitor gets


def probes() -> list[str]:
    """Ids of open things, of secret ones and of none."""
    known = [id_of(number, secret=secret) for number in NUMBERS for secret in (False, True)]
    return [*known, "urn:ngsi-ld:Streetlight:none"]


API_QUERIES: list[tuple[str, dict[str, str], str]] = [
    *(
        ("/entities", {"type": name, "count": "true", "options": options, "limit": "50"}, accept)
        for name in TYPES
        for options, accept in (
            ("sysAttrs", "application/json"),
            ("keyValues", "application/ld+json"),
            ("concise", "application/geo+json"),
        )
    ),
    ("/entities", {"local": "true", "count": "true", "limit": "0"}, "application/json"),
    ("/entities", {"idPattern": ".*secret.*", "type": "*", "count": "true"}, "application/json"),
    ("/entities", {"type": "*", "q": "temperature>0", "count": "true"}, "application/json"),
    ("/entities", {"type": "*", "q": 'name~="hidden"', "count": "true"}, "application/json"),
    ("/entities", {"id": ",".join(probes()), "count": "true"}, "application/json"),
    (
        "/entities",
        {
            "type": "*",
            "georel": "near;maxDistance==100000",
            "geometry": "Point",
            "coordinates": "[8.9,56]",
            "count": "true",
        },
        "application/json",
    ),
    *(
        ("/temporal/entities", {"type": name, "timerel": "after", "timeAt": "2020-01-01T00:00:00Z"}, accept)
        for name in TYPES
        for accept in ("application/json",)
    ),
    ("/types", {}, "application/json"),
    ("/types", {"details": "true"}, "application/json"),
    ("/attributes", {}, "application/json"),
    ("/attributes", {"details": "true"}, "application/json"),
    *(("/attributes/" + name, {}, "application/json") for name in ("temperature", "alertSource", "none")),
    *((f"/types/{name}", {}, "application/json") for name in TYPES),
    ("/jsonldContexts", {}, "application/json"),
]

#: How each parameter of a page's route is filled.
PARAMETERS: dict[str, Callable[[], list[str]]] = {
    "id": probes,
    "type": lambda: [*TYPES, "None"],
    "format": lambda: ["json", "csv", "parquet"],
    "code": lambda: ["aaaaa-bbbbb-ccccc-ddddd-eeeee", "EC.ICT.ICT.1C", "none"],
    "framework": lambda: ["u4ssc", "city", "none"],
    "digest": lambda: ["0" * 64],
    "name": lambda: ["city.css"],
    "goal:int": lambda: ["11"],
    "version:int": lambda: ["1"],
    "step": lambda: ["course"],
    "questionnaire": lambda: ["secure_places"],
    "register": lambda: ["cities"],
    "row": lambda: ["1"],
    "period": lambda: ["2026-03-01"],
    "phase": lambda: ["1"],
    "which": lambda: ["onion"],
    "what": lambda: ["contact"],
    "kind": lambda: ["goals"],
}
#: Asked in their own way, or not at all: the stream; the health of the process; files that nobody writes.
#: Headers of a download that tell when its file was made.
OF_A_FILE = (b"last-modified", b"etag")
ELSEWHERE = {"/live", "/static/{name}"}


def page_paths(site: Any) -> list[str]:
    """Every address that can be asked for with GET; a route with an unknown parameter fails the test."""
    paths: list[str] = []
    for route in site.pages.routes:
        methods = getattr(route, "methods", None) or {"GET"}
        plain = route.path.replace(":path", "")
        # What is printed is the page, which is asked for beside it.
        if "GET" not in methods or plain in ELSEWHERE or plain.endswith(".pdf"):
            continue
        filled = [plain]
        while any("{" in path for path in filled):
            parameter = filled[0].partition("{")[2].partition("}")[0]
            assert parameter in PARAMETERS, f"{route.path}: say in PARAMETERS how to fill {parameter!r}"
            filled = [
                path.replace("{" + parameter + "}", quote(value, safe=":"), 1)
                for path in filled
                for value in PARAMETERS[parameter]()
            ]
        paths += filled
    return paths


async def ask(
    site: Any, path: str, query: dict[str, str], headers: dict[str, str], *, until: bytes = b""
) -> bytes:
    """The whole answer to a GET: status, headers and body. `until` hangs up when the body has come so far."""
    request = [{"type": "http.request", "body": b"", "more_body": False}]
    hung_up = asyncio.Event()
    told: list[bytes] = []

    async def receive() -> dict[str, Any]:
        if request:
            return request.pop()
        await hung_up.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            lines = sorted(
                name + b": " + value for name, value in message["headers"] if name not in OF_A_FILE
            )
            told.append(b"%d\n%s\n\n" % (message["status"], b"\n".join(lines)))
        else:
            told.append(message.get("body", b""))
            if until and until in message.get("body", b""):
                hung_up.set()

    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": quote(path, safe="/:").encode(),
        "query_string": urlencode(query).encode(),
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1:8080"), *raw],
        "client": ("192.0.2.1", 50_000),
        "server": ("127.0.0.1", 8080),
        "state": {},
    }
    await asyncio.wait_for(site(scope, receive, send), 20)
    return b"".join(told)


async def everything_open(world: World) -> dict[str, bytes]:
    """All that a visitor can get, by what was asked."""
    got: dict[str, bytes] = {}
    site = world.city.site

    async def fetch(name: str, act: Callable[[], Awaitable[bytes]]) -> None:
        world.turn(name)
        got[name] = await act()

    for path in page_paths(site):
        await fetch(path, lambda path=path: ask(site, path, {}, {}))
    for path, query, accept in API_QUERIES:
        api = "/ngsi-ld/v1" + path
        name = f"{api}?{urlencode(query)} as {accept}"
        await fetch(
            name, lambda api=api, query=query, accept=accept: ask(site, api, query, {"accept": accept})
        )
    for one in probes():
        for api in (f"/ngsi-ld/v1/entities/{one}", f"/ngsi-ld/v1/temporal/entities/{one}"):
            await fetch(api, lambda api=api: ask(site, api, {"options": "sysAttrs"}, {}))
    stream = {"last-event-id": "0"}
    await fetch("/live", lambda: ask(site, "/live", {}, stream, until=b"id: "))
    got |= {name: repr(answer).encode() for name, answer in (await from_rooms(world)).items()}
    return got


async def from_rooms(world: World) -> dict[str, Any]:
    """The same from the rooms themselves: what no page may show yet."""
    rooms = world.city.rooms
    broker, history = rooms.broker, rooms.history
    now = world.city.clock.now()
    since, until = now - timedelta(days=1), now + timedelta(days=1)
    answers: dict[str, Any] = {
        "types": broker.types(ANONYMOUS),
        "alerts": rooms.alerts.list(ANONYMOUS),
        "alert counts": rooms.alerts.counts(ANONYMOUS),
        "notices": rooms.notices.list(ANONYMOUS),
        "initiatives": rooms.initiatives.list(ANONYMOUS),
        "reports": rooms.reports.list(ANONYMOUS),
        "nearby": rooms.reports.nearby(ANONYMOUS, "road", (8.9, 56.0), metres=100_000),
    }
    for name in TYPES:
        target = f"type:{name}"
        answers[f"of type {name}"] = broker.of_type(ANONYMOUS, name)
        answers[f"referrers of {target}"] = broker.referrers(ANONYMOUS, target)
        answers[f"aggregate of {target}"] = outcome(
            lambda target=target: (
                history.aggregate(
                    ANONYMOUS, target, "temperature", since, until, methods=("totalCount", "avg"), pooled=True
                ).values
            )
        )
        answers[f"coverage of {target}"] = outcome(
            lambda target=target: history.coverage(
                ANONYMOUS, target, "temperature", since, until, timedelta(hours=1)
            )
        )
    for one in probes():
        answers[f"referrers of {one}"] = broker.referrers(ANONYMOUS, one)
        answers[f"retrieve {one}"] = outcome(lambda one=one: broker.retrieve(ANONYMOUS, one))
        answers[f"class of {one}"] = outcome(lambda one=one: broker.class_of(ANONYMOUS, one))
        answers[f"raw {one}"] = outcome(lambda one=one: readings_without_sequence(history, one))
        for direction in (rooms.lineage.back, rooms.lineage.forward):
            name = f"{direction.__name__} from {one}"
            try:
                answers[name] = await direction(ANONYMOUS, one)
            except CityError as error:
                answers[name] = str(error)
    return answers


def readings_without_sequence(history: Any, one: str) -> list[Any]:
    """The sequence is the feed's own number: it stays inside the house."""
    return [
        (found.attribute, found.at, found.value, found.unit_code, found.recorded_at)
        for found in history.raw(ANONYMOUS, one)
    ]


def outcome(act: Callable[[], Any]) -> Any:
    try:
        return act()
    except CityError as error:
        return str(error)


async def seen_by_a_visitor(happenings: list[Happening]) -> dict[str, bytes]:
    world = World()
    with world.in_hand():
        world.city = await load_small_city()().start()
        try:
            await world.live_through(happenings)
            return await everything_open(world)
        finally:
            await world.city.stop()


# -- the property

numbers = st.integers(0, len(TYPES) - 1)
values = st.integers(-20, 40)
pointers = st.sampled_from(["", "open", "secret"])
OPENLY = st.builds(
    Happening, st.just(False), st.sampled_from(["put", "put", "delete"]), numbers, values, pointers
)
SECRETLY = st.builds(
    Happening,
    st.just(True),
    st.sampled_from(["put", "put", "put", "delete", "elsewhere", "alert"]),
    numbers,
    values,
    pointers,
)
FIRST = Happening(False, "put", 0, 7)


@st.composite
def two_lives(draw: st.DrawFn) -> tuple[list[Happening], list[Happening]]:
    """The same open happenings twice, with other secret ones between them."""
    openly = [FIRST, *draw(st.lists(OPENLY, max_size=8))]
    return between(draw, openly), between(draw, openly)


def between(draw: st.DrawFn, openly: list[Happening]) -> list[Happening]:
    life: list[Happening] = []
    for happening in openly:
        life += [*draw(st.lists(SECRETLY, max_size=3)), happening]
    return life + draw(st.lists(SECRETLY, max_size=3))


ALL_OPEN = [Happening(False, "put", number, number, "secret") for number in NUMBERS]
ALL_SECRET = [
    Happening(True, kind, number, 39, "open") for number in NUMBERS for kind in ("put", "elsewhere", "alert")
]


@settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    # A life is lived in a second: making a failing one smaller would take minutes.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@example(([*ALL_SECRET, *ALL_OPEN, *ALL_SECRET], ALL_OPEN))
@given(two_lives())
async def test_changing_what_is_secret_changes_nothing_that_is_open(lives):
    first, second = lives
    assert_same(await seen_by_a_visitor(first), await seen_by_a_visitor(second))


def assert_same(first: dict[str, bytes], second: dict[str, bytes]) -> None:
    assert first.keys() == second.keys()
    differing = [name for name in first if first[name] != second[name]]
    if differing:
        told = "\n".join(f"{name}: {difference(first[name], second[name])}" for name in differing[:8])
        pytest.fail(f"{len(differing)} answers differ, among them:\n{told}")


def difference(first: bytes, second: bytes) -> str:
    """Where two answers part, with a little of what stands around."""
    shorter = min(len(first), len(second))
    place = next((index for index in range(shorter) if first[index] != second[index]), shorter)
    around = slice(max(0, place - 60), place + 60)
    return f"{first[around]!r} and {second[around]!r}"


@pytest.fixture(scope="module")
def plain() -> dict[str, bytes]:
    """What a visitor gets of the city in which nothing is secret."""
    return asyncio.run(seen_by_a_visitor(ALL_OPEN))


async def test_the_same_life_twice_gives_the_same_bytes_and_says_something(plain):
    assert_same(plain, await seen_by_a_visitor(ALL_OPEN))
    assert b"Thing 0 plain" in plain["/map.json"]
    asked = "/ngsi-ld/v1/entities?type=Streetlight&count=true&options=keyValues&limit=50"
    assert b"Thing 0 plain" in plain[f"{asked} as application/ld+json"]
    assert b"event: changes" in plain["/live"]
    assert b"temperature" in plain["/open-data/WeatherObserved.csv"]
    assert not [path for path, answer in plain.items() if answer.startswith(b"5")]


@pytest.mark.parametrize("leak", ["types", "referrers", "find", "shared numbers"])
async def test_a_planted_leak_is_seen(plain, leak):
    everything = frozenset(InformationClass)
    planted: dict[str, tuple[type, str, Any]] = {
        "types": (Consumption, "types", lambda self, actor, tenant="": self._state.types(tenant, everything)),
        "referrers": (
            Consumption,
            "referrers",
            lambda self, actor, target, tenant="": [
                held.entity_id for held in self._state.referrers(tenant, target, everything)
            ],
        ),
        "find": (
            CurrentState,
            "find",
            lambda self, tenant, entity_id, clearance, find=CurrentState.find: find(
                self, tenant, entity_id, everything
            ),
        ),
        "shared numbers": (Live, "position", lambda self, clearance: str(sum(self._counts.values()))),
    }
    with patch.object(*planted[leak]):
        leaking = await seen_by_a_visitor([*ALL_SECRET, *ALL_OPEN])
    with pytest.raises(pytest.fail.Exception):
        assert_same(plain, leaking)
