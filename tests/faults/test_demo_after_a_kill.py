"""A demo city that is killed, while it starts or while it plays, goes on as if nothing had happened."""

from __future__ import annotations

import json
import subprocess
import time
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from running_city import RunningCity
from warm_start import start

ASKED = "/ngsi-ld/v1/entities?type=WeatherObserved&options=keyValues&limit=1"
PATIENCE = 90


def start_and_kill(home: Path, when_there: str) -> None:
    """Start Loomby and kill it as soon as this file is there."""
    words = ["demo", "loomby", "--home", str(home), "--port", "0", "--mqtt-port", "0"]
    process = start(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + PATIENCE
    while not (home / when_there).exists():
        assert process.poll() is None, "the city did not start"
        assert time.monotonic() < until, f"{when_there} does not come"
        time.sleep(0.002)
    process.kill()
    process.wait()


@pytest.mark.parametrize("moment", ["history.duckdb.wal", "replay.json"])
def test_a_start_that_is_killed_can_be_begun_again(tmp_path: Path, moment: str):
    home = tmp_path / "loomby"
    start_and_kill(home, moment)
    city = RunningCity(home, "demo", "loomby")
    try:
        station = city.web.get(ASKED).json()[0]
        past = readings(city, station["id"])
        assert len(past) > 40 and len(past) == len(set(past))
        assert "Sign in         admin   password" in city.said
    finally:
        assert city.stop() == 0


def readings(city: RunningCity, entity_id: str, since: str = "2026-04-08T00:00:00Z") -> list[str]:
    """The instants of a station's temperatures."""
    asked = {
        "attrs": "temperature",
        "options": "temporalValues",
        "timerel": "after",
        "timeAt": since,
    }
    found = city.web.get(f"/ngsi-ld/v1/temporal/entities/{entity_id}", params={**asked, "lastN": 1000})
    assert found.status_code == 200, found.text
    said = found.json()["temperature"]
    # Forecasts have a dataset of their own.
    measured = next(one for one in said if "datasetId" not in one) if isinstance(said, list) else said
    return [at for _, at in measured["values"]]


def now_of(city: RunningCity) -> str:
    return city.web.get("/clock.json").json()["now"]


def test_a_city_that_is_killed_while_it_plays_goes_on_where_it_was(tmp_path: Path):
    home = tmp_path / "loomby"
    city = RunningCity(home, "demo", "loomby", "--speed", "6")
    station = city.web.get(ASKED).json()[0]["id"]
    began = json.loads((home / "replay.json").read_text())["at"]
    known = readings(city, station)
    until = time.monotonic() + PATIENCE
    try:
        while len(played := readings(city, station)) < len(known) + 2:
            assert time.monotonic() < until, "nothing is played"
            time.sleep(0.2)
        killed_at = now_of(city)
    finally:
        city.process.kill()
        city.process.wait()
        city.web.close()
    assert json.loads((home / "replay.json").read_text())["at"] == began, "it was to be killed unprepared"

    again = RunningCity(home, "demo", "loomby")
    try:
        assert began < played[-1] <= now_of(again)
        # The clock stood between two of the town's five minutes at the most.
        assert minutes(now_of(again)) - minutes(killed_at) > -10
        came = readings(again, station)
        assert set(played) <= set(came) and len(came) == len(set(came))
        steps = {minutes(b) - minutes(a) for a, b in pairwise(came)}
        assert steps == {15.0}, "a reading is missing"
    finally:
        assert again.stop() == 0


def minutes(instant: str) -> float:

    return datetime.fromisoformat(instant).timestamp() / 60
