"""Every operation that /openapi.json describes, asked of a real city by requests made from it.

The bound is small in the suite; `pytest tests/conformance/test_described_surface.py --fuzz 50` asks fifty
times as much.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from cityloom.web.ngsild.routes import OPERATIONS
from cityloom.web.openapi import describe
from running_city import RunningCity
from stored import Stored, Unchanged

schemathesis: Any = pytest.importorskip("schemathesis", reason="amber: schemathesis is not installed")


#: Requests to an operation, half of them as described and half not.
EXAMPLES = 6
#: Seconds within which each request must have its answer, whatever it is.
NO_HANG = 20
#: An @context that cannot be had, a source that does not answer: errors of others.
OF_OTHERS = {502, 504}
DOCUMENT = describe(OPERATIONS)
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
LABELS = [
    (method.upper(), path) for path, item in sorted(DOCUMENT["paths"].items()) for method in sorted(item)
]


#: A document that each of these operations stores, by path.
RIGHT: dict[str, Any] = {
    "/entities": {"id": "urn:ngsi-ld:Lamp:right", "type": "Lamp", "power": 5},
    "/entityOperations/create": [{"id": "urn:ngsi-ld:Lamp:right2", "type": "Lamp", "power": 5}],
    "/temporal/entities": {
        "id": "urn:ngsi-ld:Lamp:right3",
        "type": "Lamp",
        "power": [{"type": "Property", "value": 5, "observedAt": "2026-03-01T08:00:00Z"}],
    },
    "/subscriptions": {
        "id": "urn:ngsi-ld:Subscription:right",
        "type": "Subscription",
        "entities": [{"type": "Lamp"}],
        "notification": {"endpoint": {"uri": "http://told.example/told"}},
    },
    "/csourceRegistrations": {
        "id": "urn:ngsi-ld:ContextSourceRegistration:right",
        "type": "ContextSourceRegistration",
        "information": [{"entities": [{"type": "Bridge"}]}],
        "endpoint": "http://bridges.example",
    },
    "/csourceSubscriptions": {
        "id": "urn:ngsi-ld:Subscription:right",
        "type": "Subscription",
        "entities": [{"type": "Bridge"}],
        "notification": {"endpoint": {"uri": "http://told.example/told"}},
    },
    "/jsonldContexts": {"@context": {"power": "https://lamps.example/power"}},
    "/snapshots": {
        "id": "urn:ngsi-ld:Snapshot:right",
        "type": "Snapshot",
        "snapshotQueries": [{"type": "Query", "entities": [{"type": "Lamp"}]}],
    },
}
#: What any member of them is replaced by, and what none of them has.
SPOILT: tuple[Any, ...] = (None, 7, "", [], {}, "\x00")


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCity]:
    home = tmp_path_factory.mktemp("fuzzed") / "city"
    running = RunningCity(home, "up", "--open-access")
    running.web.timeout = NO_HANG
    yield running
    assert running.process.poll() is None, running.said
    assert running.stop() == 0
    assert "Traceback" not in running.said, running.said[-5000:]


@pytest.fixture(scope="module")
def stored(city: RunningCity) -> Stored:
    return Stored(city.home)


@pytest.mark.parametrize(("method", "path"), LABELS, ids=[" ".join(label) for label in LABELS])
@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
def test_an_operation_answers_whatever_is_sent_to_it_and_stores_nothing_that_it_refuses(
    city: RunningCity, stored: Stored, request: pytest.FixtureRequest, method: str, path: str, right: bool
):
    mode = schemathesis.GenerationMode.POSITIVE if right else schemathesis.GenerationMode.NEGATIVE
    cases = SCHEMA[path][method].as_strategy(generation_mode=mode)
    many = max(1, int(EXAMPLES * request.config.getoption("--fuzz") / 2))

    @settings(
        max_examples=many,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.generate),
    )
    @given(case=cases)
    def ask(case: Any) -> None:
        unchanged = Unchanged(stored)
        answer = case.call(base_url=city.address, timeout=NO_HANG)
        status = answer.status_code
        told = f"{case.as_curl_command()}\n{status} {answer.text[:2000]}"
        assert status < 500 or status in OF_OTHERS, told
        if status >= 400:
            assert unchanged, f"a refused request was stored\n{told}"
            if answer.content and status not in (405, 406):
                said = answer.json()
                assert said["status"] == status and said["detail"] and said["hint"], told

    try:
        ask()
    except Unsatisfiable:
        assert not right, "nothing can be made from what is described"


@pytest.mark.parametrize("path", RIGHT)
def test_what_is_right_is_stored_and_what_is_refused_is_not(city: RunningCity, stored: Stored, path: str):
    """From a right document and each with one member spoilt: whatever goes wrong goes wrong before it is
    kept. What one of them left is deleted before the next, so that none is refused for being there."""

    def ask(document: Any) -> int:
        unchanged = Unchanged(stored)
        answer = city.web.post(f"/ngsi-ld/v1{path}", json=document)
        told = f"{path} {document} {answer.status_code} {answer.text[:500]}"
        refused = answer.status_code == 207 or answer.status_code >= 400
        assert bool(unchanged) == refused, told
        assert answer.status_code < 500, told
        if not refused:
            forget(city, path, answer)
        return answer.status_code

    right = RIGHT[path]
    assert ask(right) < 300
    whole = right[0] if isinstance(right, list) else right
    for member in (*whole, "nonsense"):
        for value in SPOILT:
            spoilt = {**whole, member: value}
            ask([spoilt] if isinstance(right, list) else spoilt)


def forget(city: RunningCity, path: str, answer: Any) -> None:
    """Delete what an operation has made."""
    if path == "/entityOperations/create":
        assert city.web.post("/ngsi-ld/v1/entityOperations/delete", json=answer.json()).status_code == 204
    else:
        assert city.web.delete(answer.headers["location"]).status_code == 204, answer.headers
