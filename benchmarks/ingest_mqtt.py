"""Durable readings a second over MQTT by QoS 1, the load on the same machine. Prints a table.

    python benchmarks/ingest_mqtt.py [--connections 50] [--in-flight 60] [--devices 20] [--seconds 10]
    python benchmarks/ingest_mqtt.py --rate 2000

A city is started for the measurement, empty and open, in a temporary folder, with everything that a city runs
(state, history, services' host, pages). Each connection is a gateway for some devices; a message is a JSON
with two values and counts as one reading. A reading counts when its PUBACK has come, which the city sends
after the commit. With --rate, devices send so many readings a second in all, whatever is acknowledged: that
shows how long an answer takes in a city that is not at its limit. When the city has stopped, its feed is
counted: it must hold what was acknowledged.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import orjson
import uvloop

from cityloom.adapters.sqlite.feed import SqliteFeed
from cityloom.sensing.mqtt import packets as mqtt
from cityloom.sensing.mqtt.encoding import encode

#: Seconds a city may take to answer.
PATIENCE = 60
#: Messages made before the measurement, for each connection; sent in turn.
PREPARED = 2_000
CONFIGURATION = """
name = "Benchmark"
frameworks = []
[connectors.mqtt]
rate = 1000000
burst = 1000000
[[connectors.mqtt.mappings]]
topic = "city/{type}/{device}"
"""


@contextlib.contextmanager
def a_city() -> Iterator[tuple[int, int]]:
    """An empty, open city; its MQTT port and its process. Says at the end what its feed holds."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="cityloom-mqtt-") as home:
        (Path(home) / "city.toml").write_text(CONFIGURATION)
        program = str(Path(sys.executable).with_name("cityloom"))
        command = [program, "up", "--home", home, "--open-access", "--port", str(port), "--mqtt-port", "0"]
        output = Path(home) / "output"
        with output.open("wb") as file:
            process = subprocess.Popen(command, stdout=file, stderr=file)
        try:
            yield listening(output), process.pid
        finally:
            process.terminate()
            process.wait(PATIENCE)
            print(f"{SqliteFeed(next(Path(home).rglob('feed.db'))).last_sequence()} changes in the feed")


def listening(output: Path) -> int:
    """The MQTT port, once the city listens on it."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        found = re.search(r"MQTT\s+\S+:(\d+)", output.read_text(errors="replace"))
        if found:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(found[1])), 1):
                return int(found[1])
        time.sleep(0.05)
    raise TimeoutError(output.read_text(errors="replace"))


class Gateway(asyncio.Protocol):
    """One connection with a window of unacknowledged messages."""

    def __init__(self, number: int, options: argparse.Namespace) -> None:
        self.sent = self.acknowledged = 0
        self.latencies: list[float] = []
        self.done = asyncio.get_running_loop().create_future()
        self._in_flight: deque[float] = deque()
        self._window = options.in_flight
        #: Mean seconds between two messages; 0: a new one for each that is acknowledged.
        self._pause = options.connections / options.rate if options.rate else 0.0
        self._packets = prepared(number, options.devices)
        self._number = number
        self._welcomed = self._stopping = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        hello = mqtt.Connect(f"gateway-{self._number}", mqtt.V311, keep_alive=600)
        self._transport.write(encode(hello, mqtt.V311))

    def data_received(self, data: bytes) -> None:
        if not self._welcomed:
            assert data == b"\x20\x02\x00\x00", data
            self._welcomed = True
            return self._pace() if self._pause else self._send(self._window)
        assert len(data) % 4 == 0, data[:40]
        count = len(data) // 4
        now = time.perf_counter()
        for _ in range(count):
            self.latencies.append(now - self._in_flight.popleft())
        self.acknowledged += count
        if not self._stopping:
            return None if self._pause else self._send(count)
        if not self._in_flight and not self.done.done():
            self.done.set_result(None)
        return None

    def stop(self) -> None:
        """Send no more, and wait for the last acknowledgements."""
        self._stopping = True
        if not self._in_flight:
            self.done.set_result(None)

    def _pace(self) -> None:
        if not self._stopping:
            self._send(1)
            # Devices do not beat time together.
            pause = self._pause * random.uniform(0.5, 1.5)
            asyncio.get_running_loop().call_later(pause, self._pace)

    def _send(self, count: int) -> None:
        now = time.perf_counter()
        start = self.sent % PREPARED
        chosen = self._packets[start : start + count]
        if len(chosen) < count:
            chosen += self._packets[: count - len(chosen)]
        self._transport.write(b"".join(chosen))
        self._in_flight.extend([now] * count)
        self.sent += count


def prepared(number: int, devices: int) -> list[bytes]:
    """Messages with values that differ, and packet identifiers that do not repeat within a window."""
    chance = random.Random(number)
    return [
        encode(
            mqtt.Publish(
                f"city/WeatherObserved/g{number}-{index % devices}",
                orjson.dumps(
                    {
                        "temperature": round(chance.uniform(-20, 40), 1),
                        "relativeHumidity": chance.randint(20, 100),
                    }
                ),
                1,
                packet_id=index + 1,
            ),
            mqtt.V311,
        )
        for index in range(PREPARED)
    ]


async def measure(port: int, process: int, options: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    gateways = []
    for number in range(options.connections):
        _, gateway = await loop.create_connection(lambda n=number: Gateway(n, options), "127.0.0.1", port)
        gateways.append(gateway)
    await asyncio.sleep(options.warm_up)
    before, began, spent = tally(gateways), time.perf_counter(), cpu_seconds(process)
    for gateway in gateways:
        gateway.latencies.clear()
    await asyncio.sleep(options.seconds)
    count, seconds = tally(gateways) - before, time.perf_counter() - began
    city = cpu_seconds(process) - spent
    latencies = sorted(1000 * latency for gateway in gateways for latency in gateway.latencies)
    for gateway in gateways:
        gateway.stop()
    await asyncio.wait_for(asyncio.gather(*(gateway.done for gateway in gateways)), PATIENCE)
    figures = {
        "connections": f"{options.connections}",
        "in flight": "paced" if options.rate else f"{options.in_flight}",
        "readings/s": f"{count / seconds:.0f}",
        "p50 ms": f"{latencies[len(latencies) // 2]:.1f}",
        "p99 ms": f"{latencies[len(latencies) * 99 // 100]:.1f}",
        "CPU µs a reading": f"{1e6 * city / count:.0f}",
        "memory MB": f"{resident_mb(process):.0f}",
        "machine's load": f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
    }
    print(f"| {' | '.join(figures)} |")
    print("|" + "---:|" * len(figures))
    print(f"| {' | '.join(figures.values())} |")
    print(f"{tally(gateways)} acknowledged")


def tally(gateways: list[Gateway]) -> int:
    return sum(gateway.acknowledged for gateway in gateways)


def cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--in-flight", type=int, default=60, help="unacknowledged messages a connection")
    parser.add_argument("--devices", type=int, default=20, help="devices behind a connection")
    parser.add_argument(
        "--rate", type=float, default=0, help="readings a second in all (default: as many as go)"
    )
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--warm-up", type=float, default=2.0)
    options = parser.parse_args()
    with a_city() as (port, process):
        uvloop.run(measure(port, process, options))


if __name__ == "__main__":
    main()
