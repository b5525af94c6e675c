"""What those who subscribed wait for while half of all hang, drip, redirect, send bombs or reset.

    python benchmarks/notifications.py [--endpoints 1000] [--seconds 8] [--rate 10] [--rounds 4]

A city is started for it, open, in a temporary folder. Each endpoint is a host of its own and has a
subscription; Entities change at a fixed rate, and each change concerns twenty endpoints. In each round first
all are well, then half are hostile, then all are well again, until nothing is missing: so what else happens
on the machine meets both. Prints how long the healthy ones waited from the write to the notification, what
the city's process spent for each notification, and what was missing or out of order; ends with 1 if anything
was, or if the healthy ones' 99th percentile was above 1.2 of what it had been.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "faults"))

from endpoints import Endpoints, Watched, listening
from test_hostile_endpoints import CONFIGURATION

from running_city import RunningCity

#: Endpoints that hear of the same Entity.
AT_AN_ENTITY = 20
#: Seconds for all to hear of everything once they are well again.
PATIENCE = 300
_TICKS = os.sysconf("SC_CLK_TCK")


def processor_time(process: int) -> float:
    """Seconds that a process has spent."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


async def changes(watched: Watched, rate: float, seconds: float) -> None:
    begun = time.perf_counter()
    for turn in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, begun + turn / rate - time.perf_counter()))
        await watched.change(turn % watched.entities)


def waited(endpoints: Endpoints, watched: Watched, numbers: list[int], since: float) -> list[float]:
    """Seconds from write to notification of what was written since a moment."""
    return [
        came - watched.written[name, count]
        for number in numbers
        for name, count, came in endpoints.told[number]
        if count and watched.written[name, count] >= since
    ]


Pair = tuple[Endpoints, Watched]


class Phases:
    """What was measured of those that are alike: all are well, or half are hostile."""

    def __init__(self) -> None:
        self.waited: list[float] = []
        self.processor = 0.0
        self.taken = 0
        self.attempts = 0

    def percentile(self, share: float) -> float:
        """In milliseconds."""
        found = sorted(self.waited)
        return 1e3 * found[min(int(len(found) * share), len(found) - 1)]

    def print(self, label: str) -> None:
        spent = 1e6 * self.processor / (self.taken + self.attempts)
        cells = [f"{self.percentile(share):.1f} ms" for share in (0.5, 0.99, 1)]
        print(f"{label:<20}{self.taken:>10}{self.attempts:>10}", *(f"{cell:>12}" for cell in cells), end="")
        print(f"{spent:>9.0f} us", flush=True)


async def phase(found: Phases, city: int, given: argparse.Namespace, two: Pair) -> None:
    """Change Entities for a while, and note what it costs and how long the healthy ones wait."""
    endpoints, watched = two
    healthy = [number for number, mode in enumerate(endpoints.modes) if mode == "well"]
    since, spent, before = time.perf_counter(), processor_time(city), endpoints.attempts
    already = sum(len(endpoints.told[number]) for number in healthy)
    await changes(watched, given.rate, given.seconds)
    await watched.all_told(endpoints, PATIENCE, healthy)
    found.processor += processor_time(city) - spent
    found.attempts += endpoints.attempts - before
    found.taken += sum(len(endpoints.told[number]) for number in healthy) - already
    found.waited += waited(endpoints, watched, healthy, since)


async def measure(address: str, city: int, given: argparse.Namespace) -> bool:
    # Odd, so that healthy and hostile ones hear of the same Entity.
    entities = max(1, given.endpoints // AT_AN_ENTITY) | 1
    well, beside = Phases(), Phases()
    async with listening(given.endpoints) as endpoints, Watched(address, entities) as watched:
        await watched.subscribe(endpoints)
        await changes(watched, given.rate, 3)
        await watched.all_told(endpoints, PATIENCE)
        recovered = []
        for _ in range(given.rounds):
            await phase(well, city, given, (endpoints, watched))
            endpoints.turn_hostile()
            await phase(beside, city, given, (endpoints, watched))
            endpoints.turn_well()
            since = time.perf_counter()
            missing = await watched.all_told(endpoints, PATIENCE)
            recovered.append(time.perf_counter() - since)
        print(f"{'':<20}{'taken':>10}{'hostile':>10}{'p50':>13}{'p99':>13}{'longest':>13}{'CPU each':>12}")
        well.print("all are well")
        beside.print("half are hostile")
        disorder = [number for number in range(given.endpoints) if not endpoints.is_in_order(number)]
        ratio = beside.percentile(0.99) / well.percentile(0.99)
        print(f"all are told {max(recovered):.1f} s after all are well; missing: {missing}")
        print(f"out of order: {len(disorder)}; led astray: {endpoints.led_astray}; p99 x {ratio:.2f}")
        return not missing and not disorder and not endpoints.led_astray and ratio <= 1.2


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--endpoints", type=int, default=1_000, help="endpoints in all (default 1000)")
    options.add_argument("--seconds", type=float, default=8, help="length of each phase (default 8)")
    options.add_argument("--rate", type=float, default=10, help="changes a second (default 10)")
    options.add_argument("--rounds", type=int, default=4, help="phases of each kind (default 4)")
    given = options.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="cityloom-notifications-") as name:
        home = Path(name) / "city"
        home.mkdir()
        (home / "city.toml").write_text(CONFIGURATION)
        city = RunningCity(home, "up", "--open-access")
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return 0 if runner.run(measure(city.address, city.process.pid, given)) else 1
        finally:
            city.stop()


if __name__ == "__main__":
    sys.exit(main())
