"""How the broker compares with other NGSI-LD brokers, case by case in the same run. Prints tables and ratios.

    python benchmarks/peers.py --peer NAME=http://127.0.0.1:9090@PID [--peer …] [--entities 100000]
        [--seconds 20] [--cases patch,get] [--flushes]

A peer is any NGSI-LD broker on this machine that has been started beforehand, empty and with the durability
that it is to be measured with. PID is its process; where it keeps its data in another (a database server),
that one is named too: @PID+PID. Their children count. The city is started as benchmarks/broker.py does it,
and every peer is moved to the city's core, so that each has one core and the load the other. All get the same
Entities and the same requests, one server at a time, case after case, so that what else the machine does
falls on all of them. Afterwards they stay loaded: start a peer anew for another run.

`--flushes` counts, by strace, how often each server has the disk flushed during 1,000 writes that wait for
each other: fewer than 1,000 says that it acknowledges what a power cut takes. (A file opened for synchronous
writing flushes without a call, and is not counted.)

`answers` tells how many Entities come back to the same questions; a peer that finds others than the city does
is fast at something else. Where a peer refuses a case, or ends none within the time, the reason stands there.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import broker

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
#: Calls that return when the disk has what was written.
FLUSHES = ("fsync", "fdatasync", "msync", "sync_file_range", "syncfs", "sync")
WRITES = 1000
#: What each server is asked once it is loaded, and how many it finds.
QUESTIONS = {
    "q": "q=temperature%3E10.1;temperature%3C10.3",
    "near": "georel=near;maxDistance==1500&geometry=Point&coordinates=[10.3,56.2]",
    "both": "q=temperature%3E20&georel=near;maxDistance==3000&geometry=Point&coordinates=[10.3,56.2]",
}


class Server(Protocol):
    """Whatever answers NGSI-LD at an address."""

    address: str
    headers: dict[str, str]

    def cpu(self) -> float: ...

    def memory(self) -> float: ...


class Figures(NamedTuple):
    """What a case showed: operations a second, milliseconds, microseconds of CPU an operation, MB."""

    rate: float
    p50: float
    p99: float
    cpu: float
    memory: float


def _fields(process: int) -> list[str]:
    """/proc's figures of a process, from its state on; empty once it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return []


def family(roots: tuple[int, ...]) -> set[int]:
    """The processes and all that descend from them."""
    parents = {int(entry.name): _fields(int(entry.name)) for entry in Path("/proc").glob("[0-9]*")}
    found = set(roots)
    while (
        more := {child for child, figures in parents.items() if figures and int(figures[1]) in found} - found
    ):
        found |= more
    return found


@dataclass
class Peer:
    """A broker that somebody else has started."""

    name: str
    address: str
    processes: tuple[int, ...]
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})

    @classmethod
    def named(cls, text: str) -> Peer:
        """From the command line: NAME=URL@PID[+PID…]."""
        parts = re.fullmatch(r"(\w[\w.-]*)=(https?://[^@]+?)/?@(\d+(?:\+\d+)*)", text)
        if parts is None:
            raise argparse.ArgumentTypeError(f"{text!r} is not NAME=URL@PID or NAME=URL@PID+PID")
        return cls(parts[1], parts[2], tuple(map(int, parts[3].split("+"))))

    def pin(self, core: int) -> None:
        for process in family(self.processes):
            for thread in Path(f"/proc/{process}/task").glob("*"):
                with contextlib.suppress(OSError):
                    os.sched_setaffinity(int(thread.name), {core})

    def cpu(self) -> float:
        """Seconds of processor time used by its processes, and by those of their children that have ended."""
        figures = [found for process in family(self.processes) if (found := _fields(process))]
        return sum(int(value) for found in figures for value in found[11:15]) / _TICKS

    def memory(self) -> float:
        """What its processes hold of the machine's memory, in MB; what they share is counted for each."""
        return sum(int(found[21]) * _PAGE for one in family(self.processes) if (found := _fields(one))) / 1e6


def city_of(arguments: argparse.Namespace, home: str) -> broker.City:
    city = broker.City(Path(home), arguments.core, guarded=False)
    print(f"city started in {city.start():.1f} s")
    return city


def ask(server: Server, method: str, path: str, body: bytes | None = None) -> bytes:
    headers = server.headers if body is not None else {"accept": "application/json"}
    request = urllib.request.Request(server.address + broker.API + path, body, headers, method=method)
    with urllib.request.urlopen(request, timeout=broker.PATIENCE) as answer:
        return bytes(answer.read())


def batches(server: Server, entities: int, seed: int, core: int) -> Figures:
    """Write every Entity once, in batches whose bodies are made beforehand, part by part."""
    took: list[float] = []
    elapsed = used = 0.0
    waiting = broker.bodies(entities, seed)
    while part := [body for body, _ in zip(waiting, range(50), strict=False)]:
        begin, before = time.perf_counter(), server.cpu()
        took += broker.load_batches(server, part, core)
        elapsed, used = elapsed + time.perf_counter() - begin, used + server.cpu() - before
    took.sort()
    p50, p99 = (took[int(share * (len(took) - 1))] * 1000 for share in (0.5, 0.99))
    return Figures(entities / elapsed, p50, p99, used / entities * 1e6, server.memory())


def singles(server: Server, request: str, arguments: argparse.Namespace) -> Figures:
    before = server.cpu()
    requests, rate, p50, p99 = broker.singles(
        server, request, arguments.entities, arguments.seconds, arguments.load_core
    )
    if not requests:
        raise RuntimeError(f"not one answer in {arguments.seconds} s")
    return Figures(rate, p50, p99, (server.cpu() - before) / requests * 1e6, server.memory())


def measured(server: Server, case: str, arguments: argparse.Namespace) -> Figures:
    if case == "create":
        return batches(server, arguments.entities, 1, arguments.load_core)
    if case == "batch":
        return batches(server, min(arguments.entities, arguments.batched), 2, arguments.load_core)
    return singles(server, broker.SINGLES[case][1], arguments)


def label_of(case: str) -> str:
    if case in broker.SINGLES:
        return broker.SINGLES[case][0]
    return f"{'create' if case == 'create' else 'upsert'}, batches of {broker.BATCH}"


def compare(servers: dict[str, Server], case: str, arguments: argparse.Namespace) -> None:
    """One case on each server, and how the city stands to each."""
    print(f"\n{label_of(case)}")
    first: Figures | None = None
    for name, server in servers.items():
        time.sleep(arguments.rest)  # What the case before left to do in the background is none of this one's.
        try:
            figures = measured(server, case, arguments)
        except (RuntimeError, OSError, EOFError, subprocess.CalledProcessError) as reason:
            print(f"  {name:<14} no figures: {' '.join(str(reason).split())[:200]}", flush=True)
            continue
        ratio = (
            "" if first is None else f"{first.rate / figures.rate:>9.1f} x{figures.cpu / first.cpu:>9.1f} x"
        )
        first = figures if first is None else first
        cells = f"{figures.rate:>10.0f}{figures.p50:>9.1f}{figures.p99:>9.1f}{figures.cpu:>10.1f}"
        print(f"  {name:<14}{cells}{figures.memory:>8.0f}{ratio}", flush=True)


def questions(servers: dict[str, Server]) -> None:
    print(f"\nanswers       {''.join(f'{name:>14}' for name in servers)}")
    for name, question in QUESTIONS.items():
        found = []
        for server in servers.values():
            try:
                said = json.loads(ask(server, "GET", f"/entities?type={broker.TYPE}&limit=1000&{question}"))
                found.append(str(len(said)))
            except OSError as reason:
                found.append(str(reason)[:12])
        print(f"{name:<14}{''.join(f'{one:>14}' for one in found)}", flush=True)


@contextlib.contextmanager
def traced(processes: set[int], report: Path) -> Iterator[None]:
    """Have strace count the flushes of these processes into the file."""
    attached = [word for process in sorted(processes) for word in ("-p", str(process))]
    watched = ["-e", f"trace={','.join(FLUSHES)}"]
    tracer = subprocess.Popen(
        ["strace", "-f", "-c", *watched, "-o", str(report), *attached], stderr=subprocess.PIPE
    )
    assert tracer.stderr is not None
    tracer.stderr.readline()  # "Process … attached": from here on it counts.
    try:
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=60)


def flushes(servers: dict[str, Server], roots: dict[str, tuple[int, ...]], entities: int) -> None:
    print(f"\nflushes during {WRITES} writes, each sent when the one before was acknowledged")
    for name, server in servers.items():
        with tempfile.NamedTemporaryFile("r") as report:
            with traced(family(roots[name]), Path(report.name)):
                for number in range(WRITES):
                    body = json.dumps({"temperature": {"type": "Property", "value": number / 10}}).encode()
                    path = f"/entities/urn:ngsi-ld:{broker.TYPE}:{number % entities}/attrs"
                    ask(server, "PATCH", path, body)
            # Share of time, seconds, microseconds a call, calls, errors if there were any, name.
            rows = [line.split() for line in report]
        said = ", ".join(f"{row[3]} {row[-1]}" for row in rows if row and row[-1] in FLUSHES)
        print(f"  {name:<14}{said or 'none'}", flush=True)


def run(city: broker.City, arguments: argparse.Namespace) -> None:
    servers: dict[str, Server] = {"city": city, **{peer.name: peer for peer in arguments.peer}}
    for peer in arguments.peer:
        peer.pin(arguments.core)
    print(
        f"{os.getloadavg()[0]:.1f} others' load; x: the city's rate over the peer's, its CPU over the city's"
    )
    print(f"{'':<16}{'ops/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'cpu us':>10}{'MB':>8}{'rate':>11}{'cpu':>11}")
    compare(servers, "create", arguments)
    questions(servers)
    if arguments.flushes:
        assert city.process is not None
        roots = {"city": (city.process.pid,), **{peer.name: peer.processes for peer in arguments.peer}}
        flushes(servers, roots, arguments.entities)
    for case in arguments.cases.split(","):
        compare(servers, case, arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peer", type=Peer.named, action="append", required=True, help="NAME=URL@PID[+PID…]")
    parser.add_argument("--entities", type=int, default=100_000)
    parser.add_argument("--batched", type=int, default=200_000, help="at most so many in the upsert case")
    parser.add_argument("--seconds", type=int, default=20, help="for each case of single requests")
    parser.add_argument("--rest", type=float, default=3.0, help="seconds before each case")
    parser.add_argument("--cases", default=",".join(broker.CASES), help=f"some of {', '.join(broker.CASES)}")
    parser.add_argument("--core", type=int, default=0, help="the servers'")
    parser.add_argument("--load-core", type=int, default=1)
    parser.add_argument("--flushes", action="store_true", help="count them by strace")
    arguments = parser.parse_args()
    if arguments.flushes and not shutil.which("strace"):
        sys.exit("--flushes needs strace, which is not installed here.")
    with tempfile.TemporaryDirectory(prefix="cityloom-peers-") as home:
        city = city_of(arguments, home)
        try:
            run(city, arguments)
        finally:
            city.stop()


if __name__ == "__main__":
    main()
