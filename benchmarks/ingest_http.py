"""Durable writes a second over HTTP: single PATCHes and batches. Prints a table.

    python benchmarks/ingest_http.py [--entities 10000] [--seconds 8] [--url http://127.0.0.1:8080]

Without --url a city is started for the measurement, empty and open, in a temporary folder. The load runs
on the same machine. Singles are sent by wrk where it is installed, else by a client in Python, which takes
more of the machine than the city does; batches always by the client in Python, with bodies made before.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

CONNECTIONS = 32
BATCH = 1000
BATCH_CONNECTIONS = 4
#: Seconds a city may take to answer.
PATIENCE = 60
API = "/ngsi-ld/v1"

WRK_SCRIPT = """
local count = 0
local thread = 0
function setup(t) t:set("id", thread); thread = thread + 1 end
function init(args) math.randomseed(id + 1) end
function request()
  count = count + 1
  local entity = math.random(0, %(entities)d - 1)
  local body = string.format(
    '{"pm10":{"type":"Property","value":%%.2f,"unitCode":"GQ"},"no2":{"type":"Property","value":%%d}}',
    math.random() * 100, count)
  return wrk.format("PATCH", "%(api)s/entities/urn:ngsi-ld:AirQualityObserved:" .. entity .. "/attrs",
    {["Content-Type"] = "application/json"}, body)
end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT %%d %%d %%d %%d %%d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), e.status + e.connect + e.read + e.write + e.timeout))
end
"""


@contextlib.contextmanager
def a_city() -> Iterator[str]:
    """An empty, open city on a free port; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = Path(sys.executable).with_name("cityloom")
    with tempfile.TemporaryDirectory(prefix="cityloom-http-") as home:
        command = [
            str(program),
            "up",
            "--home",
            home,
            "--open-access",
            "--port",
            str(port),
            "--mqtt-port",
            "0",
        ]
        with (Path(home) / "output").open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            asyncio.run(ready("127.0.0.1", port))
            yield f"http://127.0.0.1:{port}"
        except TimeoutError:
            print((Path(home) / "output").read_text(errors="replace"), file=sys.stderr)
            raise
        finally:
            process.terminate()
            process.wait(20)


async def ready(host: str, port: int) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            if await Client(host, port).once("GET", "/readyz") == 200:
                return
        await asyncio.sleep(0.1)
    raise TimeoutError("the city does not answer")


class Client:
    """One connection that sends a request and waits for the answer."""

    def __init__(self, host: str, port: int):
        self._host, self._port = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def once(self, method: str, path: str, body: bytes = b"") -> int:
        status = await self.send(method, path, body)
        self.close()
        return status

    async def send(self, method: str, path: str, body: bytes = b"") -> int:
        """The status of the answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", answer)
        if length is not None:
            await reader.readexactly(int(length[1]))
        return int(answer[9:12])

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()


def station(number: int, value: float) -> dict[str, object]:
    return {
        "id": f"urn:ngsi-ld:AirQualityObserved:{number}",
        "type": "AirQualityObserved",
        "pm10": {"type": "Property", "value": value, "unitCode": "GQ"},
        "no2": {"type": "Property", "value": value / 2},
        "location": {
            "type": "GeoProperty",
            "value": {"type": "Point", "coordinates": [10 + number % 100 / 100, 56 + number // 100 / 1000]},
        },
    }


def batch_bodies(entities: int, value: float) -> list[bytes]:
    return [
        json.dumps([station(number, value + number) for number in range(first, first + BATCH)]).encode()
        for first in range(0, entities, BATCH)
    ]


async def batches(host: str, port: int, bodies: list[bytes], connections: int) -> list[float]:
    """Send every body once; the seconds each answer took."""
    waiting = iter(bodies)
    took: list[float] = []

    async def sender() -> None:
        client = Client(host, port)
        for body in waiting:
            begin = time.perf_counter()
            status = await client.send("POST", f"{API}/entityOperations/upsert?options=update", body)
            took.append(time.perf_counter() - begin)
            if status not in (201, 204):
                raise RuntimeError(f"the batch was answered with {status}")
        client.close()

    await asyncio.gather(*(sender() for _ in range(connections)))
    return took


def singles_by_wrk(url: str, entities: int, seconds: int, connections: int) -> tuple[float, float, float]:
    """Writes a second, and the latencies p50 and p99 in milliseconds."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(WRK_SCRIPT % {"entities": entities, "api": API})
        script.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script.name, url]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", said)
    if result is None or int(result[5]):
        raise RuntimeError(f"wrk met errors:\n{said}")
    requests, micros, p50, p99, _ = map(int, result.groups())
    return requests / (micros / 1e6), p50 / 1000, p99 / 1000


async def singles_by_python(
    host: str, port: int, entities: int, seconds: int, connections: int
) -> tuple[float, float, float]:
    """The same, from Python."""
    until = time.perf_counter() + seconds
    took: list[float] = []

    async def sender(number: int) -> None:
        client = Client(host, port)
        while (begin := time.perf_counter()) < until:
            number = (number + connections) % entities
            body = json.dumps({"pm10": {"type": "Property", "value": begin, "unitCode": "GQ"}}).encode()
            path = f"{API}/entities/urn:ngsi-ld:AirQualityObserved:{number}/attrs"
            if (status := await client.send("PATCH", path, body)) != 204:
                raise RuntimeError(f"a PATCH was answered with {status}")
            took.append(time.perf_counter() - begin)
        client.close()

    await asyncio.gather(*(sender(number) for number in range(connections)))
    return len(took) / seconds, *percentiles(took)


def percentiles(seconds: list[float]) -> tuple[float, float]:
    """p50 and p99 in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100, method="inclusive") if len(seconds) > 1 else seconds * 99
    return cuts[49] * 1000, cuts[98] * 1000


def measure(url: str, entities: int, seconds: int) -> None:
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    print(f"{'':<44}{'writes/s':>10}{'p50 ms':>10}{'p99 ms':>10}")
    for label, value in ((f"create, batches of {BATCH}", 0.0), (f"update, batches of {BATCH}", 0.5)):
        bodies = batch_bodies(entities, value)
        begin = time.perf_counter()
        took = asyncio.run(batches(host, port, bodies, BATCH_CONNECTIONS))
        rate = entities / (time.perf_counter() - begin)
        row(f"{label}, {BATCH_CONNECTIONS} connections", rate, *percentiles(took))
    for connections in (1, CONNECTIONS, 128):
        if shutil.which("wrk"):
            result = singles_by_wrk(url, entities, seconds, connections)
        else:
            result = asyncio.run(singles_by_python(host, port, entities, seconds, connections))
        row(f"single PATCH, {connections} connections", *result)


def row(label: str, rate: float, p50: float, p99: float) -> None:
    print(f"{label:<44}{rate:>10,.0f}{p50:>10.1f}{p99:>10.1f}", flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--entities", type=int, default=10_000, help="entities written to (default 10000)")
    options.add_argument("--seconds", type=int, default=8, help="for each run of singles (default 8)")
    options.add_argument("--url", default="", help="a city that runs already, open to writing")
    given = options.parse_args()
    with contextlib.nullcontext(given.url) if given.url else a_city() as url:
        measure(url, given.entities // BATCH * BATCH, given.seconds)


if __name__ == "__main__":
    main()
