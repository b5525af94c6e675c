"""The page that follows one write shows what a city really does."""

from __future__ import annotations

import re
import socket
import sqlite3
import sys
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from cityloom.history.stage import STAGE as HISTORY
from cityloom.web.live import STAGE as LIVE
from running_city import RunningCity

PAGE = (Path(__file__).parents[2] / "docs/explain/one_write.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)\n```", PAGE, re.S)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The answer to the PATCH, the Entity after it, and what stands in the feed."""
    home = tmp_path_factory.mktemp("write") / "town"
    city = RunningCity(home, "up", "--open-access")
    try:
        (station,) = blocks("json")
        made = city.web.post("/ngsi-ld/v1/entities", json=orjson.loads(station))
        assert made.status_code == 201, made.text
        parts = urlsplit(city.address)
        with socket.create_connection((parts.hostname, parts.port), 30) as line:
            head, _, body = blocks("http")[0].partition("\n\n")
            line.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body.encode())
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += line.recv(65_536)
        sent = orjson.loads(station)["id"]
        after = city.web.get(f"/ngsi-ld/v1/entities/{sent}").json()
    finally:
        city.stop()
    with sqlite3.connect(home / "feed.db") as feed:
        feed.row_factory = sqlite3.Row
        changes = [dict(row) for row in feed.execute("SELECT * FROM change ORDER BY sequence")]
    return answer, after, next(one for one in reversed(changes) if one["entity_id"] == sent)


def test_the_request_is_as_long_as_it_says():
    head, _, body = blocks("http")[0].partition("\n\n")
    assert f"content-length: {len(body)}\n" in head + "\n"


def test_the_answer_begins_as_the_page_says_and_carries_the_gate_s_headers(done):
    answer, after, _ = done
    assert answer.startswith(blocks("http")[1].encode() + b"\r\n")
    assert b"\r\ncontent-security-policy: default-src 'none'" in answer
    assert b"\r\nx-request-id: " in answer
    assert after["temperature"]["value"] == 19.25


def test_the_feed_holds_what_the_page_shows(done):
    rows = re.findall(r"^\| `(\w+)` \| `(.*)` \|$", PAGE, re.M)
    assert [name for name, _ in rows] == ["entity_id", "attributes", "by", "trace"]
    for name, shown in rows:
        wanted = ".+".join(map(re.escape, shown.split("…")))
        assert re.fullmatch(wanted, done[2][name]), (name, done[2][name])


def test_the_stages_that_the_page_names_are_there():
    assert blocks("stages") == [f"{HISTORY}\n{LIVE}"]


def test_the_files_that_the_page_names_are_there():
    named = set(re.findall(r"`(\w+(?:/\w+)+\.py)`", PAGE)) - {"benchmarks/broker.py"}
    assert len(named) >= 9
    root = Path(__file__).parents[2]
    assert [name for name in named if not (root / "src/cityloom" / name).is_file()] == []
    assert (root / "benchmarks/broker.py").is_file()
