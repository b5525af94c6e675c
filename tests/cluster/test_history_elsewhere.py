"""History that other processes remember, by a NATS cluster of three: what is acknowledged is remembered once
and in order, whoever is killed or hangs."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from collections import defaultdict
from pathlib import Path

import httpx2
import psycopg
import pytest

from nats_cluster import PASSWORD, USER
from running_city import RunningCity, ask
from stage_process import StageProcess
from standing_by import eventually

pytestmark = pytest.mark.cluster

THINGS = 40
PARTITIONS = 8
#: Seconds for which nothing of a partition may be remembered while it is written to. On a machine that has
#: nothing else to do it is less than ten: docs/guides/run_at_scale.md.
LONGEST_GAP_S = 60.0


@pytest.fixture
def home(tmp_path, postgres_address, postgres_server, nats_cluster, monkeypatch):
    monkeypatch.setenv("CITYLOOM_NATS_PASSWORD", PASSWORD)
    folder = tmp_path / "city"
    ask("init", "--home", folder, "--name", "Newtown", "--place", "10.2,56.1", "--language", "en")
    with (folder / "city.toml").open("a") as file:
        file.write(f'\n[storage]\nurl = "{postgres_server.url()}"\nschema = "{postgres_address.schema}"\n')
        servers = ", ".join(f'"{one}"' for one in nats_cluster.servers)
        file.write(f'[nats]\nservers = [{servers}]\nuser = "{USER}"\npartitions = {PARTITIONS}\n')
    return folder


class Writing:
    """Writes to all Things in turn, and keeps what was acknowledged: (Thing, value)."""

    def __init__(self, city: RunningCity) -> None:
        self._web = httpx2.Client(base_url=city.address, timeout=60, headers=city.as_terminal)
        self.acknowledged: set[tuple[str, int]] = set()
        self.longest_s = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _write(self) -> None:
        before = time.monotonic()
        for value in itertools.count(1):
            batch = [thing(number, value) for number in range(THINGS)]
            answer = self._web.post("/ngsi-ld/v1/entityOperations/upsert", json=batch)
            assert answer.status_code in (200, 201, 204), answer.text
            self.acknowledged |= {(one["id"], value) for one in batch}
            self.longest_s = max(self.longest_s, time.monotonic() - before)
            before = time.monotonic()
            if self._ended.wait(0.05):
                return


def thing(number: int, value: int) -> dict:
    return {
        "id": f"urn:ngsi-ld:Thing:{number}",
        "type": "Thing",
        "count": {"type": "Property", "value": value, "observedAt": moment(value)},
    }


def moment(value: int) -> str:
    return f"2026-01-01T{value // 3600:02d}:{value // 60 % 60:02d}:{value % 60:02d}Z"


#: Of those that followers remember.
_CURSORS = "SELECT partition, last FROM history_part WHERE partition >= 0"


class Watching:
    """How long each partition stood still, while all are written to."""

    def __init__(self, url: str, schema: str) -> None:
        self._url, self._schema = url, schema
        #: What is being done to whom, and the longest pause of any partition meanwhile.
        self.doing = "nothing"
        self.longest: dict[str, float] = defaultdict(float)
        #: By partition, how often its cursor was seen to move.
        self.moves: dict[int, int] = defaultdict(int)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> float:
        self._ended.set()
        self._thread.join(30)
        return max(self.longest.values())

    def all_go_on(self) -> None:
        """Wait until each partition was remembered further, twice: one commit may have been on its way."""
        begun = dict(self.moves)
        eventually(lambda: all(self.moves.get(one, 0) >= begun.get(one, 0) + 2 for one in range(PARTITIONS)))

    def _watch(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute("SELECT set_config('search_path', %s, false)", (self._schema,))
            moved: dict[int, tuple[int, float]] = {}
            while not self._ended.wait(0.1):
                now = time.monotonic()
                for partition, last in connection.execute(_CURSORS):
                    before, at = moved.get(partition, (last, now))
                    self.longest[self.doing] = max(self.longest[self.doing], now - at)
                    if last != before or partition not in moved:
                        moved[partition] = (last, now)
                        self.moves[partition] += 1


def remembered(url: str, schema: str) -> list[tuple[str, int, int]]:
    """Thing, value and transaction of each reading, in the order of the feed."""
    with psycopg.connect(url) as connection:
        connection.execute("SELECT set_config('search_path', %s, false)", (schema,))
        rows = connection.execute(
            "SELECT entity_id, number::bigint, reading.xmin::text::bigint FROM reading"
            " JOIN series ON series.id = reading.series WHERE attribute = 'count' ORDER BY sequence"
        )
        return list(rows)


def caught_up(city: RunningCity) -> None:
    """Wait until history tells what the state tells; a temporal question waits for that by itself."""
    question = "/ngsi-ld/v1/temporal/entities/urn:ngsi-ld:Thing:1?lastN=1"
    eventually(lambda: city.web.get(question, headers=city.as_terminal).status_code == 200, patience=120)


def check(found: list[tuple[str, int, int]], acknowledged: set[tuple[str, int]]) -> None:
    kept = [(name, value) for name, value, _ in found]
    assert len(kept) == len(set(kept)), "a reading was remembered twice"
    assert acknowledged <= set(kept), f"{len(acknowledged - set(kept))} acknowledged readings are lost"
    by_thing = defaultdict(list)
    for name, value, transaction in found:
        by_thing[name].append((value, transaction))
    for name, rows in by_thing.items():
        assert [value for value, _ in rows] == sorted(value for value, _ in rows), name
        transactions = [one for _, one in rows]
        assert transactions == sorted(transactions), f"{name} was remembered out of order"


def all_are_followed_by(*followers: StageProcess) -> bool:
    """Whether each has a share, and every partition is somebody's."""
    shares = [one.health()["partitions"] for one in followers]
    return all(shares) and {part for share in shares for part in share} == set(range(PARTITIONS))


def test_history_is_remembered_elsewhere_whoever_is_killed_or_hangs(
    home: Path, tmp_path, postgres_address, postgres_server, nats_cluster
):
    city = RunningCity(home, "up")
    first = StageProcess(home, tmp_path / "first.log")
    second = StageProcess(home, tmp_path / "second.log")
    writing = Writing(city)
    watching = Watching(postgres_server.url(), postgres_address.schema)
    eventually(lambda: len(watching.moves) == PARTITIONS)
    eventually(lambda: all_are_followed_by(first, second), patience=120)

    watching.doing = "server killed"
    nats_cluster.kill(0)
    watching.all_go_on()
    time.sleep(8)
    nats_cluster.start(0)
    time.sleep(4)
    watching.doing = "server paused"
    nats_cluster.pause(1)
    watching.all_go_on()
    time.sleep(8)
    nats_cluster.go_on(1)
    time.sleep(4)

    watching.doing = "follower killed"
    second.stop(signal.SIGKILL)
    watching.all_go_on()
    time.sleep(8)
    third = StageProcess(home, tmp_path / "third.log")
    time.sleep(4)
    # It hangs, others take over, and it goes on believing what it knew.
    watching.doing = "follower paused"
    first.send(signal.SIGSTOP)
    watching.all_go_on()
    time.sleep(8)
    first.send(signal.SIGCONT)
    time.sleep(5)

    writing.end()
    gap = watching.end()
    caught_up(city)
    found = remembered(postgres_server.url(), postgres_address.schema)
    print(
        f"\n{len(writing.acknowledged)} readings acknowledged, {len(found)} remembered; longest time without"
        f" any of a partition {gap:.1f} s, between two acknowledgements {writing.longest_s:.1f} s"
    )
    for doing, longest in watching.longest.items():
        print(f"  {doing:16s} {longest:4.1f} s")
    check(found, writing.acknowledged)
    assert gap <= LONGEST_GAP_S
    assert writing.longest_s <= LONGEST_GAP_S
    assert first.stop() == third.stop() == 0
    assert city.stop() == 0
