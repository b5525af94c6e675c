"""Files of a city that are damaged, missing or older than the others: it says which, and loses nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from running_city import RunningCity, run

FILES = ("feed.db", "state.db", "records.db", "history.duckdb")
THINGS = 40


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a city that has lived and was stopped."""
    home = tmp_path_factory.mktemp("lived") / "city"
    city = RunningCity(home, "up", "--open-access")
    things = [
        {
            "id": f"urn:ngsi-ld:Thing:{number}",
            "type": "Thing",
            "level": {"type": "Property", "value": number, "observedAt": "2026-01-01T00:00:00Z"},
        }
        for number in range(THINGS)
    ]
    answer = city.web.post("/ngsi-ld/v1/entityOperations/create", json=things)
    assert answer.status_code == 201, answer.text
    assert city.stop() == 0
    return home


@pytest.fixture
def home(lived: Path, tmp_path: Path) -> Path:
    """A copy of it to damage."""
    return Path(shutil.copytree(lived, tmp_path / "city"))


def start(home: Path) -> subprocess.CompletedProcess[str]:
    """Start the city, which must refuse."""
    words = ["up", "--open-access", "--home", str(home), "--port", "0", "--mqtt-port", "0"]
    return run(*words, timeout=60)


def head(path: Path) -> None:
    path.write_bytes(bytes(100) + path.read_bytes()[100:])


def middle(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + bytes((one * 7 + 13) % 256 for one in whole[4096:]))


def half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 8192 * 4096)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", [head, middle, half])
def test_a_damaged_file_is_named_with_the_cure_and_left_alone(
    home: Path, name: str, damage: Callable[[Path], None]
):
    damage(home / name)
    before = (home / name).read_bytes()
    refused = start(home)
    assert refused.returncode == 1
    assert name in refused.stderr and "restore" in refused.stderr.lower(), refused.stderr
    assert "Traceback" not in refused.stderr
    assert (home / name).read_bytes() == before


@pytest.mark.parametrize("name", ["feed.db", "records.db", "history.duckdb"])
def test_a_missing_file_is_not_replaced_in_silence(home: Path, name: str):
    for path in home.glob(f"{name}*"):
        path.unlink()
    refused = start(home)
    assert refused.returncode == 1
    assert name in refused.stderr and "restore" in refused.stderr.lower(), refused.stderr


@pytest.mark.parametrize("name", ["state.db", "history.duckdb"])
def test_what_the_feed_still_holds_is_made_again(home: Path, name: str):
    for path in home.glob(f"{name}*"):
        path.unlink()
    if name == "history.duckdb":
        (home / name).touch()
    city = RunningCity(home, "up", "--open-access")
    try:
        asked = {"type": "Thing", "count": "true", "limit": "0"}
        found = city.web.get("/ngsi-ld/v1/entities", params=asked)
        assert found.headers["ngsild-results-count"] == str(THINGS)
        for number in range(THINGS):
            wanted = f"/ngsi-ld/v1/temporal/entities/urn:ngsi-ld:Thing:{number}"
            until_there(city, wanted)
    finally:
        city.stop()


def until_there(city: RunningCity, path: str) -> None:
    """The past is written in the background; the request of a reader waits for no more than its turn."""
    for _ in range(1000):
        if city.web.get(path).status_code == 200:
            return
    raise AssertionError(f"{path} does not come")


def test_accounts_that_were_given_up_begin_anew(home: Path):
    (home / "records.db").unlink()
    (home / "records.db").touch()
    city = RunningCity(home, "up", "--open-access")
    assert city.stop() == 0
