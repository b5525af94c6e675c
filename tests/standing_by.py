"""A city run by processes of which one works and the others stand by, and clients that do not give up."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import psycopg

from loopback_servers import NO_CERTIFICATES
from network_nodes import Network
from running_city import COMMAND
from warm_start import NOT_WITHOUT_US

_ADDRESS = re.compile(r"(?:Pages and API|Health) +(http://[^/\s]+)")
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class Node:
    """`cityloom up --standby` on a machine of its own."""

    def __init__(self, network: Network, machine: str, home: Path) -> None:
        self.machine = machine
        self.home = home
        self._network = network
        self._log = home.parent / f"{home.name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.address = ""

    def start(self) -> None:
        """Returns once it stands by or runs the city."""
        words = ["up", "--standby", "--home", self.home, "--host", self._network.front[self.machine]]
        with self._network.inside(self.machine), self._log.open("w") as log:
            self.process = subprocess.Popen(
                [*NOT_WITHOUT_US, *COMMAND, *map(str, words), "--port", "0", "--mqtt-port", "0"],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        eventually(lambda: "Ctrl+C" in self.said or self.process.poll() is not None, self._log)
        found = _ADDRESS.findall(self.said)
        assert found, self.said
        self.address = found[-1]

    @property
    def said(self) -> str:
        return self._log.read_text()

    @property
    def runs_the_city(self) -> bool:
        return self.status("/readyz") == 200

    def end(self, number: int = signal.SIGKILL) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60)

    def headers(self) -> dict[str, str]:
        """Those of who can read its folder; none before it ran the city."""
        try:
            found = json.loads((self.home / "running.json").read_text())
        except (OSError, ValueError):
            return {}
        return {"authorization": f"Bearer {found['key']}"}

    def ask(self, path: str, timeout: float = 2, **query: str) -> httpx2.Response | None:
        """None: nobody answers."""
        try:
            with self._network.inside():
                return httpx2.get(
                    self.address + path,
                    params=query,
                    headers=self.headers(),
                    timeout=timeout,
                    verify=NO_CERTIFICATES,
                )
        except httpx2.HTTPError:
            return None

    def status(self, path: str) -> int:
        answer = self.ask(path)
        return 0 if answer is None else answer.status_code


class Load:
    """Clients, each with an Entity of its own to which it writes 1, 2, 3, …: the next number once the last
    one was acknowledged, the same number again and to the other process while it was not."""

    def __init__(self, network: Network, nodes: list[Node], clients: int, label: str) -> None:
        self._network = network
        self._nodes = nodes
        self._stop = threading.Event()
        self._label = label
        #: By Entity, the last number that was acknowledged.
        self.acknowledged: dict[str, int] = {}
        #: When and by which machine, of all of them.
        self.answers: list[tuple[float, str]] = []
        self._threads = [
            threading.Thread(target=self._write, args=(one,), daemon=True) for one in range(clients)
        ]

    def __enter__(self) -> Load:
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Each client has got the answer to its last number."""
        self._stop.set()
        for one in self._threads:
            one.join(60)
            assert not one.is_alive(), "a client gets no answer"

    def goes_on(self, on: Node | None = None, times: int = 60) -> None:
        """Wait for so many further answers, of one process where that is asked."""
        begun = self._count(on)
        eventually(lambda: self._count(on) >= begun + times)

    @property
    def longest_gap(self) -> float:
        """Seconds between two answers, whoever gave and got them."""
        times = sorted(at for at, _ in self.answers)
        return max((later - at for at, later in itertools.pairwise(times)), default=0.0)

    def first_answer_of(self, node: Node, after: float) -> float:
        return min(at for at, machine in self.answers if machine == node.machine and at > after)

    def _count(self, on: Node | None) -> int:
        return sum(on is None or machine == on.machine for _, machine in list(self.answers))

    def _write(self, client: int) -> None:
        entity = f"urn:ngsi-ld:Meter:{self._label}-{client}"
        turns = itertools.cycle(self._nodes)
        node = next(turns)
        with self._network.inside(), closing(httpx2.Client(timeout=2, verify=NO_CERTIFICATES)) as web:
            for number in itertools.count(1):
                if self._stop.is_set():
                    return
                while not self._sent(web, node, entity, number):
                    node = next(turns)
                    time.sleep(0.05)
                self.acknowledged[entity] = number
                self.answers.append((time.monotonic(), node.machine))

    def _sent(self, web: httpx2.Client, node: Node, entity: str, number: int) -> bool:
        at = (_BEGAN + timedelta(seconds=number)).isoformat().replace("+00:00", "Z")
        count = {"type": "Property", "value": number, "observedAt": at}
        try:
            answer = web.post(
                f"{node.address}/ngsi-ld/v1/entityOperations/upsert",
                json=[{"id": entity, "type": "Meter", "count": count}],
                headers=node.headers(),
            )
        except httpx2.HTTPError:
            return False
        return answer.status_code in (201, 204)


class Stored:
    """What the database has of the Entities of a load."""

    def __init__(self, url: str, schema: str) -> None:
        self._url = url
        self._schema = schema

    def rows(self, statement: str, *values: object) -> list[tuple]:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(f"SET search_path = {self._schema}")
            return connection.execute(statement, values).fetchall()

    def check(self, load: Load) -> None:
        """All that was acknowledged is there, in order, and in the history once."""
        behind = "SELECT (SELECT last FROM feed_head) > (SELECT last_sequence FROM history_progress)"
        eventually(lambda: not self.rows(behind)[0][0])
        for entity, last in load.acknowledged.items():
            readings = self.rows(
                "SELECT number FROM reading JOIN series ON id = series WHERE entity_id = %s"
                " AND attribute = 'count' AND NOT superseded ORDER BY observed_at",
                entity,
            )
            assert [value for (value,) in readings] == list(range(1, last + 1)), entity
            changes = self.rows("SELECT document FROM change WHERE entity_id = %s ORDER BY sequence", entity)
            told = [json.loads(bytes(one))["attrs"]["count"][0]["value"] for (one,) in changes]
            assert told == sorted(told) and set(told) == set(range(1, last + 1)), entity


def eventually(holds: Callable[[], bool], log: Path | None = None, patience: float = 60) -> None:
    """Wait for what another process is about to do."""
    until = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < until, log.read_text() if log else "it does not come about"
        time.sleep(0.05)
