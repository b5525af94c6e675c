"""A city whose processes end, stop, are cut off, and whose database is restarted: nothing acknowledged is
lost, nothing comes twice, and somebody answers again within ten seconds."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from network_nodes import Network
from postgres_server import PostgresServer
from running_city import ask
from standing_by import Load, Node, Stored, eventually

pytestmark = pytest.mark.cluster

#: Seconds for which nobody may answer at most.
LONGEST_GAP_S = 10.0
TAKEN_OVER = 75
CLIENTS = 3
_loads = itertools.count(1)


class Pair:
    """Two processes of one city."""

    def __init__(self, network: Network, nodes: list[Node], stored: Stored) -> None:
        self.network = network
        self.nodes = nodes
        self.stored = stored

    def up(self) -> tuple[Node, Node]:
        """Who runs the city and who stands by, both at work."""
        for one in self.nodes:
            if one.process is None or one.process.poll() is not None:
                one.start()
        eventually(lambda: any(one.runs_the_city for one in self.nodes))
        runs = next(one for one in self.nodes if one.runs_the_city)
        stands_by = next(one for one in self.nodes if one is not runs)
        eventually(lambda: stands_by.status("/readyz") == 503)
        return runs, stands_by

    def load(self, first: Node) -> Load:
        nodes = [first, *(one for one in self.nodes if one is not first)]
        return Load(self.network, nodes, CLIENTS, str(next(_loads)))

    def check(self, load: Load, what: str) -> None:
        load.end()
        self.stored.check(load)
        print(f"\n{what}: longest gap {load.longest_gap:.1f} s, {len(load.answers)} acknowledged")
        assert load.longest_gap <= LONGEST_GAP_S


@pytest.fixture(scope="module")
def pair(
    tmp_path_factory: pytest.TempPathFactory, network: Network, city_database: PostgresServer
) -> Iterator[Pair]:
    nodes = []
    folder = tmp_path_factory.mktemp("cities")
    for machine in "ab":
        home = folder / machine
        write_city(home, network, city_database, machine)
        nodes.append(Node(network, machine, home))
    yield Pair(network, nodes, Stored(city_database.url(), "grown"))
    for one in nodes:
        if one.process is not None and one.process.poll() is None:
            one.process.kill()
            one.process.wait()
    with psycopg.connect(city_database.url()) as connection:
        connection.execute("DROP SCHEMA IF EXISTS grown CASCADE")


def write_city(home: Path, network: Network, server: PostgresServer, machine: str) -> None:
    ask("init", "--home", home, "--name", "Newtown", "--place", "10.2,56.1", "--language", "en")
    url = server.url()
    if network.real:
        url = f"postgresql://owner@{network.database[machine]}:5432/postgres?sslmode=disable"
    with (home / "city.toml").open("a") as file:
        file.write(f'\n[storage]\nurl = "{url}"\nschema = "grown"\n')


def test_a_standby_says_that_it_is_one(pair):
    runs, stands_by = pair.up()
    ready = stands_by.ask("/readyz")
    assert ready.json()["status"] == "standing by"
    assert "stands by" in ready.json()["troubles"][0]
    assert stands_by.status("/healthz") == 200
    assert "cityloom_standing_by 1.0" in stands_by.ask("/metrics").text
    eventually(lambda: "cityloom_standbys 1.0" in runs.ask("/metrics").text)
    refused = stands_by.ask("/ngsi-ld/v1/entities?type=Meter")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.headers["content-type"] == "application/problem+json"


def test_killed(pair):
    runs, stands_by = pair.up()
    with pair.load(runs) as load:
        load.goes_on(runs)
        assert runs.end(signal.SIGKILL) == -signal.SIGKILL
        load.goes_on(stands_by)
    pair.check(load, "killed")


def test_stopped_in_order(pair):
    runs, stands_by = pair.up()
    with pair.load(runs) as load:
        load.goes_on(runs)
        assert runs.end(signal.SIGTERM) == 0
        load.goes_on(stands_by)
    pair.check(load, "stopped in order")


def test_paused_for_longer_than_its_lease(pair):
    runs, stands_by = pair.up()
    with pair.load(runs) as load:
        load.goes_on(runs)
        runs.process.send_signal(signal.SIGSTOP)
        load.goes_on(stands_by)
        runs.process.send_signal(signal.SIGCONT)
        assert runs.process.wait(60) == TAKEN_OVER
        load.goes_on(stands_by)
    assert "Another process runs this city now" in runs.said
    pair.check(load, "paused")


def test_cut_off_from_its_database(pair):
    if not pair.network.real:
        pytest.skip("amber: network namespaces need root and iproute2")
    runs, stands_by = pair.up()
    with pair.load(runs) as load, Reader(pair.network, runs, load) as reader:
        load.goes_on(runs)
        reader.reads()
        pair.network.cut(runs.machine)
        cut_at = time.monotonic()
        load.goes_on(stands_by)
        reader.reads()
        assert runs.process.poll() is None
        pair.network.mend(runs.machine)
        assert runs.process.wait(120) == TAKEN_OVER
        load.goes_on(stands_by)
    assert "Another process runs this city now" in runs.said
    late = [
        at for at, status in reader.answers if status == 200 and at > load.first_answer_of(stands_by, cut_at)
    ]
    assert not late, "what was read there was out of date"
    pair.check(load, "cut off")


def test_database_is_restarted(pair, network, city_database):
    runs, stands_by = pair.up()
    before = pair.stored.rows("SELECT holder, terms FROM lease")
    with pair.load(runs) as load:
        for stop in (city_database.stop, city_database.crash):
            load.goes_on(runs)
            stop()
            with network.inside():
                again(city_database, network)
            load.goes_on()
    assert pair.stored.rows("SELECT holder, terms FROM lease") == before, "nobody took the city over"
    assert (runs.runs_the_city, stands_by.runs_the_city) == (True, False)
    pair.check(load, "database restarted")


def again(server: PostgresServer, network: Network) -> None:
    server.start(*(("listen_addresses=*", "port=5432") if network.real else ()))


class Reader:
    """Asks one process all the time how an Entity is."""

    def __init__(self, network: Network, node: Node, load: Load) -> None:
        self._node = node
        self._load = load
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        #: When each question was asked, and the status of its answer; 0: none.
        self.answers: list[tuple[float, int]] = []

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def reads(self) -> None:
        """Wait for some further answers."""
        begun = len(self.answers)
        eventually(lambda: len(self.answers) > begun + 5)

    def _read(self) -> None:
        while not self._stop.wait(0.02):
            for entity in list(self._load.acknowledged)[:1]:
                asked = time.monotonic()
                self.answers.append((asked, self._node.status(f"/ngsi-ld/v1/entities/{entity}")))
