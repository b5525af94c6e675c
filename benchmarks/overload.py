"""What a city does with more than it can do, and with those who only hold on to it. Prints a table.

    python benchmarks/overload.py [--seconds 5] [--times 4] [--rounds 3] [--held 2000]

A city is started for it, open, in a temporary folder. In each round its capacity is measured: as many writes
and reads a second as 64 connections get answered, each asking again at once. Then so many times that rate is
sent over 1,000 connections, without regard to answers or to Retry-After; what counts is how many requests a
second are still done. Where others use the machine too the city gets more of it now and less then: so the
same is told of a second of its processor time, and what an answer costs that turns somebody away. Then half
the capacity is sent, and the time is taken until it is answered as before. At last so many connections are
held with a request that never becomes whole, and others are answered meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

import uvloop

PATIENCE = 60
#: Connections that measure the capacity, and that bring too much.
USUAL, MANY = 64, 1_000
ENTITIES = 200


@contextmanager
def a_city() -> Iterator[tuple[tuple[str, int], int]]:
    """An open city without anything in it; its host and port, and its process."""
    with tempfile.TemporaryDirectory(prefix="cityloom-overload-") as home:
        (Path(home) / "city.toml").write_text('name = "Benchmark"\nframeworks = []\n')
        program = str(Path(sys.executable).with_name("cityloom"))
        command = [program, "up", "--home", home, "--open-access", "--port", "0", "--mqtt-port", "0"]
        output = Path(home) / "output"
        with output.open("wb") as file:
            process = subprocess.Popen(
                command, stdout=file, stderr=file, env={**os.environ, "PYTHONUNBUFFERED": "1"}
            )
        try:
            until = time.monotonic() + PATIENCE
            while not (found := re.search(r"Pages and API\s+http://([\d.]+):(\d+)", output.read_text())):
                if time.monotonic() > until:
                    raise TimeoutError(output.read_text())
                time.sleep(0.05)
            yield (found[1], int(found[2])), process.pid
        finally:
            process.terminate()
            process.wait(PATIENCE)


def processor_time(process: int) -> float:
    """Seconds that a process has spent."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def request(method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} /ngsi-ld/v1{path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def entity(number: int) -> str:
    return f"urn:ngsi-ld:Lamp:{number % ENTITIES}"


def asked(number: int) -> bytes:
    """Every other request writes."""
    if number % 2:
        return request("GET", f"/entities/{entity(number)}")
    body = b'{"level":{"type":"Property","value":%d}}' % number
    return request("PATCH", f"/entities/{entity(number)}/attrs", body)


class Line(asyncio.Protocol):
    """One connection with at most one request on its way."""

    def __init__(self, tally: Tally, *, at_once: bool) -> None:
        self._tally = tally
        #: Whether it asks again as soon as it was answered.
        self._at_once = at_once
        self._since = 0.0
        self._seen = b""
        self.transport: asyncio.Transport | None = None

    @property
    def is_busy(self) -> bool:
        return self._since > 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def ask(self) -> None:
        assert self.transport is not None
        self._since = time.perf_counter()
        self.transport.write(asked(self._tally.next()))

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, end, rest = self._seen.partition(b"\r\n\r\n")
        if not end:
            return
        length = re.search(rb"content-length: (\d+)", head)
        if length and len(rest) < int(length[1]):
            return
        self._seen = b""
        self._tally.answered(int(head[9:12]), self._since, b"retry-after" in head)
        self._since = 0.0
        if self._at_once and self._tally.is_open:
            self.ask()

    def connection_lost(self, _exc: Exception | None) -> None:
        self.transport = None
        if self.is_busy and self._tally.is_open:
            self._tally.statuses["lost"] += 1


class Tally:
    """What became of the requests of one phase."""

    def __init__(self) -> None:
        self.statuses: Counter[int | str] = Counter()
        self.latencies: list[tuple[float, float]] = []
        self.is_open = True
        self._number = 0

    def next(self) -> int:
        self._number += 1
        return self._number

    def answered(self, status: int, since: float, told_when: bool) -> None:
        now = time.perf_counter()
        if not self.is_open:
            return
        self.statuses[status] += 1
        if status < 300:
            self.latencies.append((now, now - since))
        elif status in (429, 503) and not told_when:
            self.statuses["without Retry-After"] += 1

    @property
    def done(self) -> int:
        return len(self.latencies)

    def percentile(self, share: float) -> float:
        """In milliseconds."""
        lasted = sorted(one for _, one in self.latencies)
        return 1e3 * lasted[min(int(len(lasted) * share), len(lasted) - 1)] if lasted else float("nan")


async def lines(where: tuple[str, int], many: int, tally: Tally, *, at_once: bool) -> list[Line]:
    loop = asyncio.get_running_loop()
    made = []
    for _ in range(many):
        _, line = await loop.create_connection(lambda: Line(tally, at_once=at_once), *where)
        made.append(line)
    return made


def leave(made: list[Line]) -> None:
    for line in made:
        if line.transport is not None:
            line.transport.abort()


async def capacity(where: tuple[str, int], seconds: float) -> Tally:
    """As many as are answered."""
    tally = Tally()
    made = await lines(where, USUAL, tally, at_once=True)
    for line in made:
        line.ask()
    await asyncio.sleep(seconds)
    tally.is_open = False
    leave(made)
    return tally


async def sent(where: tuple[str, int], rate: float, seconds: float, many: int = MANY) -> Tally:
    """So many a second, whatever is answered; those for which no connection is free are counted as unsent."""
    tally = Tally()
    made = await lines(where, many, tally, at_once=False)
    begun = time.perf_counter()
    due = turn = 0
    while (passed := time.perf_counter() - begun) < seconds:
        while due < passed * rate:
            due += 1
            turn += 1
            line = made[turn % many]
            if line.transport is None or line.is_busy:
                tally.statuses["unsent"] += 1
            else:
                line.ask()
        await asyncio.sleep(0.002)
    tally.is_open = False
    leave(made)
    return tally


async def recovery(where: tuple[str, int], rate: float, usual_p99: float) -> float:
    """Seconds from now until a whole second's requests are all done, and as fast as they used to be."""
    begun = time.perf_counter()
    while time.perf_counter() - begun < 120:
        tally = await sent(where, rate, 1.0, USUAL)
        refused = sum(count for status, count in tally.statuses.items() if status in (429, 503, "lost"))
        if tally.done and not refused and tally.percentile(0.99) <= 2 * usual_p99:
            return time.perf_counter() - begun
    return float("inf")


class Held(asyncio.Protocol):
    """A connection whose request never becomes whole."""

    def __init__(self, begins: bytes) -> None:
        self._begins = begins
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._begins:
            cast(asyncio.Transport, transport).write(self._begins)

    def connection_lost(self, _exc: Exception | None) -> None:
        self.closed.set_result(time.perf_counter())


HALVES = (
    b"",
    request("GET", "/entities")[:60],
    request("POST", "/entities", b" " * 9_000)[:200],
)


async def held(where: tuple[str, int], many: int, rate: float) -> tuple[Tally, Tally, float]:
    """Paced requests without and with connections that are held, and the seconds until all are closed."""
    alone = await sent(where, rate, 5, USUAL)
    loop = asyncio.get_running_loop()
    begun = time.perf_counter()
    holding = [
        (await loop.create_connection(lambda n=number: Held(HALVES[n % 3]), *where))[1]
        for number in range(many)
    ]
    beside = await sent(where, rate, 5, USUAL)
    with suppress(TimeoutError):
        async with asyncio.timeout(60):
            await asyncio.gather(*(one.closed for one in holding))
    closed = [one.closed.result() - begun for one in holding if one.closed.done()]
    return alone, beside, max(closed) if len(closed) == many else float("inf")


def row(label: str, *cells: object) -> None:
    print(f"{label:<44}" + "".join(f"{cell!s:>16}" for cell in cells), flush=True)


def told(label: str, tally: Tally, seconds: float) -> None:
    row(
        label,
        f"{tally.done / seconds:.0f}/s",
        f"{tally.percentile(0.5):.1f} ms",
        f"{tally.percentile(0.99):.1f} ms",
        dict(sorted(tally.statuses.items(), key=str)),
    )


class Rounds:
    """What is done of what is asked, at capacity and beyond it, with the processor time of the city."""

    def __init__(self, process: int) -> None:
        self._process = process
        self.done = [0, 0]
        self.spent = [0.0, 0.0]
        self.turned_away = 0

    async def one(self, where: tuple[str, int], seconds: float, times: float) -> Tally:
        """Capacity, then so many times as much; returns what became of the second."""
        usual = await self._noted(0, capacity(where, seconds))
        rate = usual.done / seconds
        much = await self._noted(1, sent(where, rate * times, seconds))
        self.turned_away += much.statuses[503]
        told("capacity, 64 connections", usual, seconds)
        told(f"{times} times as much, {MANY} connections", much, seconds)
        return usual

    async def _noted(self, which: int, asking: Awaitable[Tally]) -> Tally:
        before = processor_time(self._process)
        tally = await asking
        self.spent[which] += processor_time(self._process) - before
        self.done[which] += tally.done
        return tally

    def told(self) -> float:
        """Print what they come to; returns the goodput, by the processor time."""
        usual, much = (spent / done for spent, done in zip(self.spent, self.done, strict=True))
        # What is not spent on what is done is spent on those who are turned away, and on their connections.
        each = max(0.0, self.spent[1] - usual * self.done[1]) / max(1, self.turned_away)
        row("CPU for each that is done, and turned away", f"{1e6 * usual:.0f} us", f"{1e6 * each:.0f} us")
        row("goodput, by the clock and by CPU", f"{self.done[1] / self.done[0]:.0%}", f"{usual / much:.0%}")
        return usual / much


async def measure(where: tuple[str, int], process: int, given: argparse.Namespace) -> bool:
    reader, writer = await asyncio.open_connection(*where)
    for number in range(ENTITIES):
        body = b'{"id":"%s","type":"Lamp","level":{"type":"Property","value":0}}' % entity(number).encode()
        writer.write(request("POST", "/entities", body))
        await reader.readuntil(b"\r\n\r\n")
    writer.close()
    row("", "done", "p50", "p99", "answers")
    await capacity(where, 2)
    rounds = Rounds(process)
    for _ in range(given.rounds):
        usual = await rounds.one(where, given.seconds, given.times)
    most = usual.done / given.seconds
    half = await sent(where, most / 2, 5, USUAL)
    told("half of it", half, 5)
    await sent(where, most * given.times, given.seconds)
    back = await recovery(where, most / 2, half.percentile(0.99))
    row("back to half of it as before, after", f"{back:.1f} s")
    alone, beside, closed = await held(where, given.held, most / 4)
    told("a quarter of it", alone, 5)
    told(f"beside {given.held} that are held", beside, 5)
    row("all that were held are closed after", f"{closed:.1f} s")
    goodput = rounds.told()
    ratio = beside.percentile(0.99) / alone.percentile(0.99)
    row("p99 beside those held", f"x {ratio:.2f}")
    return goodput >= 0.8 and back <= 60 and closed <= 30 and ratio <= 2


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=5, help="length of each phase (default 5)")
    options.add_argument("--times", type=float, default=4, help="how many times too much (default 4)")
    options.add_argument("--rounds", type=int, default=3, help="phases of each kind (default 3)")
    options.add_argument("--held", type=int, default=2_000, help="connections that are held (default 2000)")
    given = options.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with a_city() as (where, process), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return 0 if runner.run(measure(where, process, given)) else 1


if __name__ == "__main__":
    sys.exit(main())
