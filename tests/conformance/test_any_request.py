"""Whatever is sent to the API that /openapi.json describes: a reason in the answer, and nothing half done."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cityloom.access.authority import OPEN_ACCESS
from cityloom.adapters.network.reach import Reach
from cityloom.web.limits import BodyLimits, LimitBodies
from cityloom.web.ngsild.routes import OPERATIONS, api
from cityloom.web.openapi import describe
from rooms_in_memory import RoomsInMemory

DESCRIPTION = describe(OPERATIONS)
IDS = [f"urn:ngsi-ld:Lamp:{number}" for number in range(3)]
NAMES = ["power", "location", "note", "https://lights.example/glow", "status", "scope", "id"]
#: The only server errors that are an answer: the asker named an @context that cannot be had.
MEANT = {504}

numbers = st.one_of(
    st.integers(-5, 5),
    st.sampled_from([2**53, 2**63, 2**64, 10**30, -0.0, 1e308, 5e-324, 90, 180]),
    st.floats(allow_nan=False, allow_infinity=False),
)
texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            *(
                "",
                " ",
                "*",
                "@none",
                "@context",
                "urn:ngsi-ld:null",
                "/a/b",
                "/#",
                "[]",
                "{}",
                "null",
                "true",
            ),
            *("2026-04-10T11:00:00Z", "2026-13-40T99:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
            *("PT1H", "P9999Y", "PT0S", "-PT1S", "P1Y2M3DT4H5M6.7S", "avg,min", "distinctCount", "between"),
            *("[10,56]", "[[10,56],[11,57]]", "[[[10,56],[11,56],[11,57],[10,56]]]", "[1e999,0]", "[" * 400),
            *("near;maxDistance==1e3", "near;minDistance==0", "within", "Point", "Polygon", "MultiPolygon"),
            *("power>5", 'note~="(a*)*b"', "power==1..5;!note|note", "power[a.b]", "note{x}", "(" * 30),
            *(
                "observedAt",
                "createdAt",
                "deletedAt",
                "before",
                "after",
                "temporalValues",
                "aggregatedValues",
            ),
            *(
                "keyValues",
                "sysAttrs",
                "simplified",
                "noOverwrite",
                "update",
                "power;desc",
                "location;dist-asc",
            ),
            *(
                "da,en;q=0.5",
                "en;q=x",
                "1000",
                "1001",
                "-1",
                "9" * 20,
                "\x00",
                "\x1f",
                "\u202e",
                "Lamp|(A;B)",
            ),
        ]
    ),
    st.sampled_from(NAMES + IDS),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)
positions = st.lists(numbers, min_size=1, max_size=3)
geometries = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["Point", "LineString", "Polygon", "MultiPoint", "Circle"]),
        "coordinates": st.one_of(
            positions, st.lists(positions, max_size=5), st.lists(st.lists(positions, max_size=5), max_size=2)
        ),
    }
)
KINDS = ["Property", "Relationship", "GeoProperty", "LanguageProperty", "VocabProperty", "ListProperty"]
MEMBERS = [
    "value",
    "object",
    "languageMap",
    "vocab",
    "valueList",
    "json",
    "unitCode",
    "observedAt",
    "datasetId",
]
attributes = st.one_of(
    values,
    st.dictionaries(
        st.sampled_from(["type", *MEMBERS, "expiresAt", *NAMES]),
        st.one_of(values, geometries, st.sampled_from(KINDS)),
        max_size=4,
    ),
)
entities = st.builds(
    lambda identity, rest: {**rest, **identity},
    st.fixed_dictionaries(
        {}, optional={"id": st.sampled_from(IDS), "type": st.sampled_from(["Lamp", ["A", "B"]])}
    ),
    st.dictionaries(st.one_of(st.sampled_from(NAMES), texts), attributes, max_size=4),
)
queries = st.dictionaries(
    st.sampled_from(
        ["type", "entities", "q", "attrs", "pick", "geoQ", "scopeQ", "ordering", "lang", "datasetId", "omit"]
    ),
    st.one_of(values, st.just("Query"), st.just([{"type": "Lamp"}]), geometries),
    max_size=4,
)
#: What nothing is wrong with.
lamps = st.fixed_dictionaries(
    {
        "id": st.sampled_from(IDS),
        "type": st.just("Lamp"),
        "power": st.integers(0, 9),
        "note": st.one_of(st.just({"type": "Property", "value": "x", "datasetId": "urn:x:d"}), st.booleans()),
    },
    optional={"location": st.just({"type": "Point", "coordinates": [10, 56]}), "scope": st.just("/a/b")},
)
documents = st.one_of(
    entities,
    st.lists(entities, max_size=3),
    attributes,
    values,
    queries.map(lambda found: {"type": "Query", **found}),
)
bodies = st.one_of(
    documents.map(lambda found: json.dumps(found).encode()),
    documents.map(lambda found: json.dumps({"@context": "x", "x": found}).encode()),
    st.sampled_from([b"", b"{", b"[" * 5_000, b"\xff", b'{"id": NaN}', b'{"a":1,"a":2}', b'{"a":"\\ud800"}']),
    st.binary(max_size=30),
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "accept": st.sampled_from(
            ["*/*", "application/geo+json", "application/ld+json;q=x", "text/html", ",;="]
        ),
        "link": st.sampled_from(
            [
                '<https://elsewhere.example/c>; rel="http://www.w3.org/ns/json-ld#context"',
                "<" * 500,
                '<x>; rel="http://www.w3.org/ns/json-ld#context"',
            ]
        ),
        "ngsild-tenant": st.sampled_from(["north", "no such", "x" * 70]),
        "prefer": st.just("body=json"),
    },
)
media = st.sampled_from([*["application/json"] * 6, "application/ld+json", "text/plain", "a;charset=x"])


right_bodies = st.one_of(
    lamps,
    st.lists(lamps, min_size=1, max_size=2),
    st.lists(st.sampled_from(IDS), min_size=1, max_size=2),
    st.just({"power": {"value": 3}}),
    st.just({"value": 3}),
    st.just({"type": "Query", "entities": [{"type": "Lamp"}]}),
).map(lambda found: json.dumps(found).encode())


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """A request to an operation that is described, right or wrong."""
    path, item = draw(st.sampled_from(sorted(DESCRIPTION["paths"].items())))
    method, operation = draw(st.sampled_from(sorted(item.items())))
    described = operation.get("parameters", [])
    query = [one["name"] for one in described if one.get("in") == "query"]
    right = draw(st.booleans())
    for one in described:
        if one.get("in") == "path":
            known = st.sampled_from({"entityId": IDS, "type": ["Lamp"]}.get(one["name"], NAMES))
            said = draw(known if right else st.one_of(known, st.text(max_size=5)))
            path = path.replace(f"{{{one['name']}}}", quote(said, safe=""))
    made: dict[str, Any] = {"method": method.upper(), "url": f"http://city.test{path}"}
    made["headers"] = {} if right else draw(headers).copy()
    made["params"] = (
        {} if right or not query else draw(st.dictionaries(st.sampled_from(query), texts, max_size=2))
    )
    if "local" in query and draw(st.booleans()):
        made["params"]["local"] = "true"
    if "requestBody" in operation:
        made["content"] = draw(right_bodies if right else bodies)
        made["headers"]["content-type"] = "application/json" if right else draw(media)
    return made


class Surface:
    """The API over rooms in memory, on an event loop of its own."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        # Nobody outside is asked or told, whatever is registered.
        self._rooms: Any = RoomsInMemory(Reach(("https://nobody.example/",), inside=False))
        self.broker = self._rooms.broker
        app = LimitBodies(api(self._rooms), BodyLimits())

        async def as_operator(scope: Any, receive: Any, send: Any) -> None:
            scope.setdefault("state", {}).update(actor=OPEN_ACCESS, request_id="a-request")
            await app(scope, receive, send)

        self._client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=as_operator))
        runner.run(self._rooms.start())

    def ask(self, **request: Any) -> httpx2.Response:
        return self._runner.run(self._client.request(**request))

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.run(self._rooms.stop())


@pytest.fixture(scope="module")
def surface() -> Any:
    with asyncio.Runner() as runner:
        made = Surface(runner)
        yield made
        made.close()


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(request=requests())
def test_any_request_is_answered_with_a_reason_or_done_whole(
    surface: Surface, no_hang: Any, request: dict[str, Any]
):
    before = surface.broker.last_sequence
    with no_hang():
        reply = surface.ask(**request)
    assert reply.status_code < 500 or reply.status_code in MEANT, reply.text
    if reply.status_code < 400:
        return
    assert surface.broker.last_sequence == before, "a request that is refused changes nothing"
    if reply.content and reply.status_code != 406:
        said = reply.json()
        assert said["status"] == reply.status_code
        assert said["detail"] and said["hint"] and said["type"]
