"""How fast the broker answers and how dear each answer is, over HTTP and durably. Prints a table.

    python benchmarks/broker.py [--entities 100000] [--seconds 20] [--cases patch,get] [--guarded] [--restart]

A city is started for the measurement, in a temporary folder, on one core of the machine; the load runs on
another. Single requests are sent by wrk with a script in Lua, batches by a client in Python with bodies made
before. `cpu us` is what the city's process spent (all its threads, in user and kernel) for each operation,
until history had caught up: it hardly moves when others use the machine too, as rates do. Entities have
615 bytes of JSON.

Open access takes anything that is NGSI-LD; `--guarded` has the city ask for a token and bind what is written
to its data models, as one that serves others does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

API = "/ngsi-ld/v1"
TYPE = "AirQualityObserved"
CONNECTIONS = 64
BATCH = 1000
BATCH_CONNECTIONS = 4
#: Bytes of an Entity as it is written.
WRITTEN = 615
#: Seconds of the same load before each case, which count for nothing.
WARM_UP = 2
#: Seconds a city may take to answer, also with a million Entities.
PATIENCE = 300
#: Seconds of processor time in a second that a city may use that has nothing to do.
QUIET = 0.05
#: Seconds after which it is not waited for any longer.
MOST_QUIETING = 60
#: West, south, and how far it is to the other side, in degrees.
PLACE = (10.0, 56.0, 0.6, 0.4)

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")

WRK = """
local thread = 0
function setup(t) t:set("id", thread); thread = thread + 1 end
function init(args) math.randomseed(id + 1); count = 0 end
local headers = {%(headers)s}
local api = "%(api)s"
local entities = %(entities)d
%(request)s
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT %%d %%d %%d %%d %%d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), e.status + e.connect + e.read + e.write + e.timeout))
end
"""

PATCH = """
function request()
  count = count + 1
  local body = string.format('{"temperature":{"type":"Property","value":%%.2f,"unitCode":"CEL",' ..
    '"observedAt":"2026-01-%%02dT%%02d:%%02d:%%02dZ"}}', math.random() * 40 - 10,
    math.random(1, 20), math.random(0, 23), math.random(0, 59), math.random(0, 59))
  return wrk.format("PATCH", api .. "/entities/urn:ngsi-ld:%(type)s:" .. math.random(0, entities - 1) ..
    "/attrs", headers, body)
end
"""
GET = """
function request()
  return wrk.format("GET", api .. "/entities/urn:ngsi-ld:%(type)s:" .. math.random(0, entities - 1), headers)
end
"""
#: One Entity in a hundred lies between the temperatures.
BY_VALUE = """
function request()
  local from = math.random() * 39 - 10
  return wrk.format("GET", string.format(
    "%%s/entities?type=%(type)s&limit=20&q=temperature%%%%3E=%%.2f;temperature%%%%3C%%.2f",
    api, from, from + 0.4), headers)
end
"""
BY_PLACE = """
function request()
  return wrk.format("GET", string.format(
    "%%s/entities?type=%(type)s&limit=20&georel=near;maxDistance==1000&geometry=Point&coordinates=[%%.4f,%%.4f]",
    api, %(west)f + math.random() * %(wide)f, %(south)f + math.random() * %(high)f), headers)
end
"""
BY_BOTH = """
function request()
  return wrk.format("GET", string.format(
    "%%s/entities?type=%(type)s&limit=20&q=temperature%%%%3E%%.2f&georel=near;maxDistance==2000" ..
    "&geometry=Point&coordinates=[%%.4f,%%.4f]", api, math.random() * 40 - 10,
    %(west)f + math.random() * %(wide)f, %(south)f + math.random() * %(high)f), headers)
end
"""
#: Half of the Entities match; somewhere in the first thousand pages.
DEEP = """
function request()
  return wrk.format("GET", string.format(
    "%%s/entities?type=%(type)s&limit=20&offset=%%d&q=temperature%%%%3E10", api,
    20 * math.random(0, math.min(1000, entities / 50))), headers)
end
"""
COUNT = """
function request()
  return wrk.format("GET", string.format(
    "%%s/entities?type=%(type)s&limit=20&count=true&q=temperature%%%%3E%%.2f", api, math.random() * 40 - 10),
    headers)
end
"""
TYPES = """
function request()
  return wrk.format("GET", string.format(
    "%%s/entities?type=%(type)s&limit=20&offset=%%d", api, 20 * math.random(0, entities / 40)), headers)
end
"""

SINGLES = {
    "patch": ("PATCH /entities/{id}/attrs", PATCH),
    "get": ("GET /entities/{id}", GET),
    "q": ("GET /entities?q, 1 % match, 20", BY_VALUE),
    "geo": ("GET /entities?georel=near, 20", BY_PLACE),
    "both": ("GET /entities?q&georel=near, 20", BY_BOTH),
    "deep": ("GET /entities?q, half match, deep", DEEP),
    "count": ("GET /entities?q&count=true, 20", COUNT),
    "type": ("GET /entities?type, deep", TYPES),
}
CASES = (*SINGLES, "batch")


@dataclass
class City:
    """A city in a process of its own, on one core."""

    home: Path
    core: int
    guarded: bool
    process: subprocess.Popen[bytes] | None = None
    address: str = ""
    key: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def start(self) -> float:
        """Start it; seconds until it answers."""
        program = Path(sys.executable).with_name("cityloom")
        words = [str(program), "up", "--home", str(self.home / "city"), "--port", "0", "--mqtt-port", "0"]
        if not self.guarded:
            words.append("--open-access")
        begin = time.perf_counter()
        running = self.home / "city" / "running.json"
        running.unlink(missing_ok=True)
        with (self.home / "output").open("ab") as output:
            self.process = subprocess.Popen(
                ["taskset", "-c", str(self.core), *words], stdout=output, stderr=output
            )
        while time.perf_counter() - begin < PATIENCE and self.process.poll() is None:
            with contextlib.suppress(OSError, ValueError):
                found = json.loads(running.read_bytes())
                self.address, self.key = found["address"], found["key"]
                self.headers = {"content-type": "application/json"}
                if self.guarded:
                    self.headers["authorization"] = f"Bearer {self.key}"
                return time.perf_counter() - begin
            time.sleep(0.02)
        raise TimeoutError((self.home / "output").read_text(errors="replace"))

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)

    def cpu(self) -> float:
        """Seconds of processor time that it has used, all its threads together."""
        assert self.process is not None
        parts = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(parts[11]) + int(parts[12])) / _TICKS

    def spent_until_quiet(self) -> float:
        """Wait until history has caught up, with all who follow; seconds of processor time that it took."""
        begin = last = self.cpu()
        for _ in range(MOST_QUIETING):
            time.sleep(1)
            before, last = last, self.cpu()
            if last - before < QUIET:
                break
        return last - begin

    def memory(self) -> float:
        """What it holds of the machine's memory, in MB."""
        assert self.process is not None
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * _PAGE / 1e6


def entity(number: int, chance: random.Random) -> dict[str, object]:
    west, south, wide, high = PLACE
    at = f"2026-01-01T{number % 24:02}:{number % 60:02}:00Z"
    made: dict[str, object] = {
        "id": f"urn:ngsi-ld:{TYPE}:{number}",
        "type": TYPE,
        "temperature": {
            "type": "Property",
            "value": round(chance.random() * 40 - 10, 2),
            "unitCode": "CEL",
            "observedAt": at,
        },
        "no2": {
            "type": "Property",
            "value": round(chance.random() * 80, 1),
            "unitCode": "GQ",
            "observedAt": at,
        },
        "pm10": {
            "type": "Property",
            "value": round(chance.random() * 60, 1),
            "unitCode": "GQ",
            "observedAt": at,
        },
        "location": {
            "type": "GeoProperty",
            "value": {
                "type": "Point",
                "coordinates": [
                    round(west + chance.random() * wide, 6),
                    round(south + chance.random() * high, 6),
                ],
            },
        },
        "description": {"type": "Property", "value": ""},
    }
    written = len(json.dumps(made, separators=(",", ":")))
    made["description"] = {"type": "Property", "value": "s" * (WRITTEN - written)}
    return made


def bodies(entities: int, seed: int) -> Iterator[bytes]:
    chance = random.Random(seed)
    for first in range(0, entities, BATCH):
        several = [entity(number, chance) for number in range(first, min(first + BATCH, entities))]
        yield json.dumps(several, separators=(",", ":")).encode()


async def send_batches(city: City, batches: list[bytes], connections: int) -> list[float]:
    """Send every body once; the seconds each answer took."""
    parts = urlsplit(city.address)
    waiting = iter(batches)
    took: list[float] = []
    head = "".join(f"{name}: {value}\r\n" for name, value in city.headers.items())

    async def sender() -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        for body in waiting:
            begin = time.perf_counter()
            writer.write(
                f"POST {API}/entityOperations/upsert HTTP/1.1\r\nhost: {parts.netloc}\r\n{head}"
                f"content-length: {len(body)}\r\n\r\n".encode()
                + body
            )
            answer = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", answer)
            said = b"" if length is None else await reader.readexactly(int(length[1]))
            if answer[9:12] not in (b"201", b"204"):
                raise RuntimeError(f"the batch was answered with {answer[9:12]!r} {said[:500]!r}")
            took.append(time.perf_counter() - begin)
        writer.close()

    await asyncio.gather(*(sender() for _ in range(connections)))
    return took


def load_batches(city: City, batches: list[bytes], core: int) -> list[float]:
    """The same from another core."""
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        return asyncio.run(send_batches(city, batches, BATCH_CONNECTIONS))
    finally:
        os.sched_setaffinity(0, mine)


def singles(
    city: City, request: str, entities: int, seconds: int, core: int
) -> tuple[int, float, float, float]:
    """How many, the rate, and the latencies p50 and p99 in milliseconds."""
    west, south, wide, high = PLACE
    headers = ", ".join(f'["{name}"]="{value}"' for name, value in city.headers.items())
    wanted = request % {"type": TYPE, "west": west, "south": south, "wide": wide, "high": high}
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(WRK % {"entities": entities, "api": API, "headers": headers, "request": wanted})
        script.flush()
        command = [
            "taskset",
            "-c",
            str(core),
            "wrk",
            "-t1",
            f"-c{CONNECTIONS}",
            f"-d{seconds}s",
            "--timeout",
            "20s",
        ]
        said = subprocess.run(
            [*command, "-s", script.name, city.address], check=True, capture_output=True, text=True
        ).stdout
    result = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", said)
    if result is None or int(result[5]):
        raise RuntimeError(f"wrk met errors:\n{said}")
    requests, micros, p50, p99, _ = map(int, result.groups())
    return requests, requests / (micros / 1e6), p50 / 1000, p99 / 1000


def row(label: str, rate: float, p50: float, p99: float, cpu: float, memory: float) -> None:
    print(f"{label:<36}{rate:>10.0f}{p50:>9.1f}{p99:>9.1f}{cpu:>9.1f}{memory:>9.0f}", flush=True)


def batches_row(city: City, label: str, entities: int, seed: int, core: int) -> None:
    """Write every Entity once, in batches whose bodies are made beforehand, part by part."""
    took: list[float] = []
    elapsed = used = 0.0
    waiting = bodies(entities, seed)
    while part := [body for body, _ in zip(waiting, range(100), strict=False)]:
        begin, before = time.perf_counter(), city.cpu()
        took += load_batches(city, part, core)
        elapsed, used = elapsed + time.perf_counter() - begin, used + city.cpu() - before
    used += city.spent_until_quiet()
    cuts = statistics.quantiles(took, n=100, method="inclusive")
    row(label, entities / elapsed, cuts[49] * 1000, cuts[98] * 1000, used / entities * 1e6, city.memory())


def asked_first(city: City, label: str) -> None:
    """Ask the first question of a value: it waits until what it looks at stands in a column."""
    question = f"{city.address}{API}/entities?type={TYPE}&limit=20&q=temperature%3E29&local=true"
    before, begin = city.cpu(), time.perf_counter()
    with urlopen(Request(question, headers=city.headers), timeout=PATIENCE) as answer:
        answer.read()
    elapsed = (time.perf_counter() - begin) * 1000
    used = (city.cpu() - before) * 1e6
    row(label, 1000 / elapsed, elapsed, elapsed, used, city.memory())


def measured(city: City, label: str, request: str, arguments: argparse.Namespace) -> None:
    singles(city, request, arguments.entities, WARM_UP, arguments.load_core)
    before = city.cpu()
    load = (city, request, arguments.entities, arguments.seconds, arguments.load_core)
    requests, rate, p50, p99 = singles(*load)
    used = city.cpu() - before + city.spent_until_quiet()
    row(label, rate, p50, p99, used / max(requests, 1) * 1e6, city.memory())


def measure(city: City, arguments: argparse.Namespace, pause: Callable[[str], None]) -> None:
    print(f"started in {city.start():.1f} s, {city.memory():.0f} MB; {os.getloadavg()[0]:.1f} others' load")
    print(f"{'':<36}{'ops/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'cpu us':>9}{'MB':>9}")
    if not arguments.home:
        batches_row(city, f"create, batches of {BATCH}", arguments.entities, 1, arguments.load_core)
    asked_first(city, "GET /entities?q, the first of all")
    for case in arguments.cases.split(","):
        # What the case before left to the stages is none of this one's.
        time.sleep(arguments.rest)
        pause(case)
        if case == "batch":
            label = f"upsert, batches of {BATCH}"
            batches_row(city, label, min(arguments.entities, 200_000), 2, arguments.load_core)
        else:
            measured(city, *SINGLES[case], arguments)
    if arguments.restart:
        city.stop()
        print(f"started again in {city.start():.1f} s, {city.memory():.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--entities", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=20, help="for each case of single requests")
    parser.add_argument("--rest", type=float, default=3.0, help="seconds between two cases")
    parser.add_argument("--cases", default=",".join(CASES), help=f"some of {', '.join(CASES)}")
    parser.add_argument("--core", type=int, default=0, help="the city's")
    parser.add_argument("--load-core", type=int, default=1)
    parser.add_argument("--guarded", action="store_true", help="ask for a token, bind to data models")
    parser.add_argument("--restart", action="store_true", help="stop and start it at the end")
    parser.add_argument("--home", type=Path, help="a folder whose city/ holds the Entities already")
    parser.add_argument("--profile", help="a command to run beside each case, with {pid} and {case} in it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cityloom-broker-") as home:
        city = City(arguments.home or Path(home), arguments.core, arguments.guarded)

        def beside(case: str) -> None:
            if arguments.profile and city.process is not None:
                command = arguments.profile.format(pid=city.process.pid, case=quote(case))
                subprocess.Popen(command, shell=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        try:
            measure(city, arguments, beside)
        finally:
            city.stop()


if __name__ == "__main__":
    main()
