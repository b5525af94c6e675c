"""Requests that have broken other brokers, sent to every operation that is described: refused, or done whole.

No answer is the server's fault, none is waited for in vain, and nothing is stored of what is refused.
Each operation is sent some of the values, the next one others; `--fuzz 10` sends ten times as many.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from cityloom.web.ngsild.routes import OPERATIONS
from cityloom.web.openapi import describe
from running_city import RunningCity
from stored import Stored, Unchanged

DOCUMENT = describe(OPERATIONS)
LABELS = [
    (method.upper(), path) for path, item in sorted(DOCUMENT["paths"].items()) for method in sorted(item)
]
JSON = {"content-type": "application/json"}
WITH_BODY = [
    (method, path) for method, path in LABELS if "requestBody" in DOCUMENT["paths"][path][method.lower()]
]
WITH_QUERY = [
    (method, path)
    for method, path in LABELS
    if any(one.get("in") == "query" for one in DOCUMENT["paths"][path][method.lower()]["parameters"])
]
#: Seconds within which each request must have its answer, whatever it is.
NO_HANG = 20
#: What others are at fault for: an @context that cannot be had, a source that does not answer.
OF_OTHERS = {502, 504}
#: Of all there are, the values that each operation or parameter is sent.
VALUES = 3
ID = "urn:ngsi-ld:Lamp:1"
LAMP = {"id": ID, "type": "Lamp", "power": 5, "location": {"type": "Point", "coordinates": [10, 56]}}

#: What no operation may take.
NO_JSON = {
    "nothing": b"",
    "half an object": b"{",
    "another mark before it": b"\xef\xbb\xbf{}",
    "no UTF-8": b'{"id":"urn:x:\xff"}',
    "half a character": b'{"id":"urn:x:\\ud800"}',
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":-Infinity}',
    "a number beyond all": b'{"a":1e999}',
    "very many digits": b'{"a":' + b"9" * 5_000 + b"}",
    "a name twice": b'{"id":"urn:x:1","id":"urn:x:2","type":"A"}',
    "very deep lists": b"[" * 100_000,
    "very deep objects": b'{"a":' * 20_000,
    "deep and whole": b'{"a":' + b"[" * 400 + b"]" * 400 + b"}",
    "a nul": b"\x00",
    "two of them": b"{}{}",
    "a comment": b"{} // no",
    "a comma too many": b'{"a":1,}',
    "five megabytes of nothing": b"[" + b"[]," * 1_700_000 + b"[]]",
}
#: JSON that is JSON: each is refused or done.
MEMBERS: dict[str, Any] = {
    "2^53 and more": 2**53 + 1,
    "2^63": 2**63,
    "less than -2^63": -(2**63) - 1,
    "2^64 less one": 2**64 - 1,
    "minus zero": -0.0,
    "the least number": 5e-324,
    "a nul": "a\x00b",
    "right to left": "\u202eevil\u202c",
    "no width": "a\u200b\u2060\ufeffb",
    "many members": {f"m{number}": number for number in range(10_000)},
    "a long name": {"n" * 500_000: 1},
    "a long text": "x" * 900_000,
    "lists in lists": [[[[[[[[[[1]]]]]]]]]],
    "no type": {"type": "Nonsense", "value": 1},
    "no value": {"type": "Property"},
    "no object": {"type": "Relationship", "object": "no uri at all"},
    "no objects": {"type": "Relationship", "object": {"a": 1}},
    "no time": {"type": "Property", "value": 1, "observedAt": "2026-02-30T00:00:00Z"},
    "a leap second": {"type": "Property", "value": 1, "observedAt": "2016-12-31T23:59:60Z"},
    "year 0": {"type": "Property", "value": 1, "observedAt": "0000-01-01T00:00:00Z"},
    "year 9999": {"type": "Property", "value": 1, "observedAt": "9999-12-31T23:59:59Z"},
    "expired": {"type": "Property", "value": 1, "expiresAt": "0001-01-01T00:00:00Z"},
    "no languages": {"type": "LanguageProperty", "languageMap": {"x" * 300: "a", "": "b", "en": {"a": 1}}},
    "null in it": {"type": "Property", "value": {"a": None}},
    "the null of NGSI-LD": "urn:ngsi-ld:null",
    "a place beyond the poles": {"type": "Point", "coordinates": [0, 91]},
    "a place that is none": {"type": "Point", "coordinates": ["a", None]},
    "no coordinates": {"type": "Polygon", "coordinates": []},
    "a ring that is open": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0]]]},
    "a ring that crosses itself": {
        "type": "Polygon",
        "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]],
    },
    "across the date line": {
        "type": "Polygon",
        "coordinates": [[[179, 0], [-179, 0], [-179, 1], [179, 1], [179, 0]]],
    },
    "very many corners": {
        "type": "Polygon",
        "coordinates": [[[number / 1e5, 0] for number in range(30_000)]],
    },
    "circles": {"type": "Circle", "coordinates": [0, 0]},
    "five numbers": {"type": "Point", "coordinates": [0, 0, 0, 0, 0]},
    "a data set that is none": {"type": "Property", "value": 1, "datasetId": "no uri"},
    "the same data set twice": [{"value": 1, "datasetId": "urn:x:d"}, {"value": 2, "datasetId": "urn:x:d"}],
    "another's prototype": {"__proto__": {"a": 1}, "constructor": 1},
}
CONTEXTS: dict[str, Any] = {
    "a cycle": {"a": "b:x", "b": "a:y"},
    "of itself": {"a": "a:a"},
    "the core redefined": {"id": "https://evil.example/id", "type": "https://evil.example/type"},
    "a keyword redefined": {"@id": "https://evil.example/id"},
    "imports": {"@import": "http://127.0.0.1:1/context"},
    "an address within": "http://127.0.0.1:1/context",
    "an address in another form": "http://[::ffff:127.0.0.1]:1/context",
    "a file": "file:///etc/passwd",
    "very many": ["https://contexts.example/none"] * 1_000,
    "lists in lists": [[[[[[{}]]]]]],
    "a base": {"@base": "https://evil.example/", "@vocab": ""},
    "no text": {"a": 5, "b": None, "c": {"@id": 7}},
    "many terms": {f"t{number}": f"https://terms.example/{number}" for number in range(20_000)},
    "a number": 5,
}
TEXTS = [
    "",
    "\x00",
    "\u202e\u200b",
    "x" * 9_000,
    "(" * 2_000,
    "[" * 2_000,
    "a" * 29 + "!",
    "(a+)+$",
    "(?=a)",
    "((a{1,1000}){1,1000}){1,1000}",
    "((((a*)*)*)*)*b",
    ";".join(["x==1"] * 400),
    "|".join(["x==1"] * 400),
    "x==1..",
    "x~=(a+)+$",
    "x==1e999",
    "x==" + "9" * 400,
    "x[a.b.c[d]]==1",
    "x" + ".x" * 3_000,
    'x=="' + "\\" * 301,
    "near;maxDistance==-1",
    "near;maxDistance==1e999",
    "near;minDistance==NaN",
    "[[[[[[0,0]]]]]]",
    "[1e999,NaN]",
    "[[0,0],[1,1],[1,0],[0,1],[0,0]]",
    json.dumps([[number / 1e5, 0] for number in range(800)]),
    "Polygon",
    "2026-02-30T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:60Z",
    "P9999999999Y",
    "PT0S",
    "-P1D",
    "-1",
    "0",
    "9" * 40,
    "1e3",
    "NaN",
    "true",
    "/" + "a/" * 2_000,
    "/#/#",
    "((/A;/B),/C",
    "da;q=1e9,*;q=-1",
    "name;desc;desc",
    ",".join(["urn:x:1"] * 900),
    "urn:x:1,,urn:x:2",
    "%00%ff",
    "' OR 1=1 --",
    '"; DROP TABLE change; --',
    "{{7*7}}${7*7}",
    "@none",
    "urn:ngsi-ld:null",
]
HEADERS: dict[str, list[str | bytes]] = {
    "link": [
        "<",
        "<" * 5_000,
        '<x>; rel="http://www.w3.org/ns/json-ld#context"',
        '<http://127.0.0.1:1/c>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"',
        '<file:///etc/passwd>; rel="http://www.w3.org/ns/json-ld#context"',
        ", ".join(['<https://a.example/c>; rel="http://www.w3.org/ns/json-ld#context"'] * 20),
        '<https://a.example/c>; rel="' + "a " * 3_000 + '"',
    ],
    "ngsild-tenant": [
        "",
        "..",
        "../../etc",
        "a b",
        "x" * 300,
        "t\u00e9nant".encode("latin-1"),
    ],
    "ngsild-snapshot": ["", "no uri", "../../etc", "urn:x:absent", "x" * 9_000],
    "ngsild-entitymap": ["", "/", "urn:x:absent", "x" * 9_000],
    "accept": ["", ";;;", "application/json;q=2", ",".join(["a/b"] * 1_000), "*/*;q=0"],
    "content-type": [
        "",
        "application/json; charset=utf-7",
        "application/" + "x" * 3_000,
        "multipart/form-data",
    ],
    "prefer": ["ngsi-ld=99.9", "ngsi-ld=" + "1" * 3_000, "respond-async, wait=9999999999999"],
    "range": ["bytes=0-1", "date-time=0-0", "bytes=" + "0-1," * 2_000],
    "content-encoding": ["gzip", "br", "identity, gzip"],
}


NAMES = ["%00", "%FF", "%ED%A0%80", "..", "%2e%2e%2f", "%2F", "a" * 9_000, "%F0%9F%92%A9", "%0d%0aX: y", "*"]


class Prober:
    """Sends requests to a real city, and looks at each answer."""

    def __init__(self, city: RunningCity) -> None:
        self.city = city
        self.stored = Stored(city.home)

    def ask(self, method: str, path: str, why: str, **request: Any) -> httpx2.Response:
        unchanged = Unchanged(self.stored)
        path = path.replace("{entityId}", ID).replace("{attrId}", "power").replace("{type}", "Lamp")
        path = path.replace("{", "urn:x:").replace("}", "")
        answer = self.city.web.request(method, path, **request)
        told = f"{why}: {method} {path} {answer.status_code} {answer.text[:1000]}"
        assert answer.status_code < 500 or answer.status_code in OF_OTHERS, told
        if answer.status_code >= 400:
            assert unchanged, f"a refused request was stored: {told}"
        return answer


@pytest.fixture(scope="module")
def prober(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prober]:
    home: Path = tmp_path_factory.mktemp("nasty") / "city"
    city = RunningCity(home, "up", "--open-access")
    city.web.timeout = httpx2.Timeout(NO_HANG)
    assert city.web.post("/ngsi-ld/v1/entities", json=LAMP).status_code == 201
    made = Prober(city)
    yield made
    assert city.process.poll() is None, city.said
    assert city.stop() == 0
    assert "Traceback" not in city.said, city.said[-5000:]


def ids(labels: list[tuple[str, str]]) -> list[str]:
    return [" ".join(label) for label in labels]


def in_its_form(path: str, method: str, document: Any) -> bytes:
    """A document as this operation takes them: alone, or one of a batch."""
    described = DOCUMENT["paths"][path][method.lower()]["requestBody"]["content"]["application/json"][
        "schema"
    ]
    schema = DOCUMENT["components"]["schemas"][described["$ref"].rsplit("/", 1)[-1]]
    return json.dumps([document] if schema.get("type") == "array" else document).encode()


@pytest.fixture
def some(request: pytest.FixtureRequest) -> Callable[[Iterable[Any], int], list[Any]]:
    """Some of the values, those from a place on: every value's turn comes with some place."""

    def chosen(values: Iterable[Any], place: int) -> list[Any]:
        known = list(values)
        many = min(len(known), round(VALUES * request.config.getoption("--fuzz")))
        return [known[(place * many + number) % len(known)] for number in range(many)]

    return chosen


@pytest.mark.parametrize(("method", "path"), WITH_BODY, ids=ids(WITH_BODY))
def test_a_body_that_is_no_json_is_refused(prober: Prober, some: Any, method: str, path: str):
    for why, body in some(NO_JSON.items(), WITH_BODY.index((method, path))):
        for media in ("application/json", "application/ld+json"):
            answer = prober.ask(method, path, why, content=body, headers={"content-type": media})
            assert answer.status_code >= 400, why


@pytest.mark.parametrize(("method", "path"), WITH_BODY, ids=ids(WITH_BODY))
def test_nasty_members_are_refused_or_taken(prober: Prober, some: Any, method: str, path: str):
    for why, member in some(MEMBERS.items(), WITH_BODY.index((method, path))):
        for name in ("thing", "type", "location", "id"):
            document = {"id": ID, "type": "Lamp", name: member}
            body = in_its_form(path, method, document)
            prober.ask(
                method, path, f"{name}: {why}", content=body, headers={"content-type": "application/json"}
            )


@pytest.mark.parametrize(("method", "path"), WITH_BODY, ids=ids(WITH_BODY))
def test_nasty_contexts_are_refused_or_taken(prober: Prober, some: Any, method: str, path: str):
    for why, context in some(CONTEXTS.items(), WITH_BODY.index((method, path))):
        body = in_its_form(path, method, {"@context": context, "id": ID, "type": "Lamp", "a": 1})
        prober.ask(method, path, why, content=body, headers={"content-type": "application/ld+json"})


@pytest.mark.parametrize(("method", "path"), WITH_QUERY, ids=ids(WITH_QUERY))
def test_nasty_parameters_are_refused_or_taken(prober: Prober, some: Any, method: str, path: str):
    described = DOCUMENT["paths"][path][method.lower()]
    names = [one["name"] for one in described["parameters"] if one.get("in") == "query"]
    body = {"content": in_its_form(path, method, LAMP)} if "requestBody" in described else {}
    headers = JSON if body else {}
    narrowed = {"type": "Lamp"} if "type" in names and path.endswith("entities") else {}
    for place, name in enumerate(names):
        for value in some(TEXTS, LABELS.index((method, path)) * 7 + place):
            prober.ask(
                method,
                path,
                f"{name}={value[:80]!a}",
                params={**narrowed, name: value},
                headers=headers,
                **body,
            )


@pytest.mark.parametrize(("method", "path"), LABELS, ids=ids(LABELS))
def test_nasty_headers_are_refused_or_passed_over(prober: Prober, some: Any, method: str, path: str):
    described = DOCUMENT["paths"][path][method.lower()]
    body = {"content": in_its_form(path, method, LAMP)} if "requestBody" in described else {}
    every = [(name, value) for name, values in HEADERS.items() for value in values]
    for name, value in some(every, LABELS.index((method, path))):
        headers = {**(JSON if body else {}), name: value}
        prober.ask(method, path, f"{name}: {value[:80]!a}", headers=headers, **body)


@pytest.mark.parametrize("path", sorted({path for _, path in LABELS if "{" in path}))
def test_nasty_ids_are_refused_or_not_found(prober: Prober, path: str):
    for name in NAMES:
        for method in ("GET", "DELETE"):
            before, end = path.split("{", 1)[0], path.split("}", 1)[1]
            end = end.replace("{attrId}", name).replace("{instanceId}", name)
            answer = prober.ask(method, f"{before}{name}{end}", name)
            assert answer.status_code >= 400 or answer.status_code == 200, (name, answer.status_code)
