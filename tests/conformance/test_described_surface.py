"""Every operation that /openapi.json describes, asked of a real city by requests made from it.

The bound is small in the suite; `pytest tests/conformance/test_described_surface.py --fuzz 50` asks fifty
times as much.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from cityloom.access.authority import OPEN_ACCESS
from cityloom.web.ngsild.routes import OPERATIONS
from cityloom.web.openapi import describe
from running_city import RunningCity

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


class Stored:
    """What a running city has stored, read from its files beside it."""

    def __init__(self, home: Path) -> None:
        self._feed = apsw.Connection(str(home / "feed.db"), flags=apsw.SQLITE_OPEN_READONLY)
        self._records = apsw.Connection(str(home / "records.db"), flags=apsw.SQLITE_OPEN_READONLY)
        self._registers = [
            name
            for (name,) in self._records.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            if name.startswith("regist")
        ]

    def now(self) -> tuple[Any, ...]:
        """Something that differs after every write of whoever asks."""
        last = self._feed.execute("SELECT max(sequence) FROM change WHERE by = ?", (OPEN_ACCESS.id,)).get
        kept = [
            tuple(self._records.execute(f"SELECT * FROM {name} ORDER BY 1, 2, 3").fetchall())
            for name in self._registers
        ]
        return last, *kept


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
        before = stored.now()
        answer = case.call(base_url=city.address, timeout=NO_HANG)
        status = answer.status_code
        told = f"{case.as_curl_command()}\n{status} {answer.text[:2000]}"
        assert status < 500 or status in OF_OTHERS, told
        if status >= 400:
            assert stored.now() == before, f"a refused request was stored\n{told}"
            if answer.content and status not in (405, 406):
                said = answer.json()
                assert said["status"] == status and said["detail"] and said["hint"], told

    try:
        ask()
    except Unsatisfiable:
        assert not right, "nothing can be made from what is described"
