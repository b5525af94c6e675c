"""The reference says what the code does: nothing is left without a meaning, and the choices are tried."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from cityloom.app.reference import pages
from cityloom.kernel.time import EARLIEST, FUTURE_TOLERANCE
from cityloom.ngsild.query import DEFAULT_LIMIT, MAX_LIMIT
from cityloom.web.ngsild.routes import OPERATIONS
from running_city import RunningCity

ROOT = Path(__file__).parents[2]
NGSI_LD = (ROOT / "docs/reference/ngsi-ld.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    city = RunningCity(tmp_path_factory.mktemp("reference") / "trial", "up", "--open-access")
    yield city
    city.stop()


@pytest.mark.parametrize("name", sorted(pages()))
def test_reference_leaves_nothing_without_a_meaning(name):
    rows = [line for line in pages()[name].splitlines() if line.startswith("| `")]
    assert [row for row in rows if row.rstrip(" |").endswith(("`", "a table"))] == []


def test_reference_tells_every_operation_of_the_api():
    said = pages()["http.md"]
    assert all(f"| {one.method} | `{one.path}` | {one.clause} |" in said for one in OPERATIONS)
    assert len(OPERATIONS) > 20


def test_health_answers_as_the_reference_says(trial):
    said = re.findall(r"^\| `(/\w+)` \| (\d+) `([^`]+)`", pages()["http.md"], re.M)
    assert [address for address, _, _ in said] == ["/healthz", "/readyz"]
    for address, status, body in said:
        answer = trial.web.get(address)
        assert (answer.status_code, answer.headers["cache-control"]) == (int(status), "no-store")
        assert answer.text == body.replace(": ", ":").replace(", ", ",")
    assert {"memory_bytes", "disk_free_bytes"} <= trial.web.get("/system.json").json()["figures"].keys()


def test_each_choice_of_the_api_is_what_the_city_does(trial):
    (block,) = re.findall(r"```http\n(.*?)```", NGSI_LD, re.S)
    head, _, body = block.partition("\n\n")
    method, target = head.splitlines()[0].split(" ")
    headers = dict(line.split(": ") for line in head.splitlines()[1:])
    assert trial.web.request(method, target, headers=headers, content=body).status_code == 201
    rows = re.findall(r"^\| `(\w+) (/\S+)` \| (\d+) \|", NGSI_LD, re.M)
    assert len(rows) > 10
    for method, target, status in rows:
        answer = trial.web.request(method, target)
        assert answer.status_code == int(status), f"{method} {target}: {answer.text[:300]}"


def test_numbers_of_the_api_are_those_of_the_code():
    assert f"usual page has {DEFAULT_LIMIT} entities" in NGSI_LD
    assert f"the largest {MAX_LIMIT:,}:" in NGSI_LD
    assert (FUTURE_TOLERANCE.total_seconds(), EARLIEST.isoformat()[:10]) == (600, "1970-01-02")
    assert {one.largest_body for one in OPERATIONS} == {1_000_000, 8_000_000}
