"""What those who subscribed wait for while half of all hang, drip, redirect, send bombs or reset.

    python benchmarks/notifications.py [--endpoints 1000] [--seconds 20] [--rate 10]

A city is started for it, open, in a temporary folder. Each endpoint is a host of its own and has a
subscription; Entities change at a fixed rate, and each change concerns twenty endpoints. First all are well,
then half are hostile, then all are well again. Prints how long the healthy ones waited from the write to the
notification, and what was missing when everybody was well; ends with 1 if anything was, or if the healthy
ones' 99th percentile was above 1.2 of what it had been.
"""

from __future__ import annotations

import argparse
import asyncio
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


async def changes(watched: Watched, rate: float, seconds: float) -> None:
    begun = time.perf_counter()
    for turn in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, begun + turn / rate - time.perf_counter()))
        await watched.change(turn % watched.entities)


def waited(endpoints: Endpoints, watched: Watched, numbers: list[int], since: float) -> list[float]:
    """Seconds from write to notification, sorted; of what was written since a moment."""
    return sorted(
        came - watched.written[name, count]
        for number in numbers
        for name, count, came in endpoints.told[number]
        if count and watched.written[name, count] >= since
    )


def told(label: str, found: list[float]) -> float:
    """Print a line; returns the 99th percentile in milliseconds."""
    p50, p99 = (1e3 * found[int(len(found) * share)] for share in (0.5, 0.99))
    print(f"{label:<36}{len(found):>10}{p50:>12.1f} ms{p99:>12.1f} ms{1e3 * found[-1]:>12.1f} ms", flush=True)
    return p99


async def measure(address: str, given: argparse.Namespace) -> bool:
    entities = max(1, given.endpoints // AT_AN_ENTITY)
    async with listening(given.endpoints) as endpoints, Watched(address, entities) as watched:
        await watched.subscribe(endpoints)
        await changes(watched, given.rate, 3)
        await watched.all_told(endpoints, 60)
        healthy = list(range(1, given.endpoints, 2))
        print(f"{'':<36}{'heard':>10}{'p50':>15}{'p99':>15}{'longest':>15}")
        since = time.perf_counter()
        await changes(watched, given.rate, given.seconds)
        await watched.all_told(endpoints, 60)
        before = told("all are well", waited(endpoints, watched, healthy, since))
        endpoints.turn_hostile()
        since = time.perf_counter()
        await changes(watched, given.rate, given.seconds)
        await asyncio.sleep(2)
        beside = told("half are hostile", waited(endpoints, watched, healthy, since))
        behind = watched.missing(endpoints)
        print(f"behind: {len(behind)} endpoints, {sum(map(len, behind.values()))} notifications")
        endpoints.turn_well()
        since = time.perf_counter()
        missing = await watched.all_told(endpoints, 300)
        print(f"all are told {time.perf_counter() - since:.1f} s after all are well; missing: {missing}")
        disorder = [number for number in range(given.endpoints) if not endpoints.is_in_order(number)]
        print(
            f"out of order: {len(disorder)}; led astray: {endpoints.led_astray}; p99 x {beside / before:.2f}"
        )
        return not missing and not disorder and not endpoints.led_astray and beside <= 1.2 * before


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--endpoints", type=int, default=1_000, help="endpoints in all (default 1000)")
    options.add_argument("--seconds", type=float, default=20, help="length of each phase (default 20)")
    options.add_argument("--rate", type=float, default=10, help="changes a second (default 10)")
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
                return 0 if runner.run(measure(city.address, given)) else 1
        finally:
            city.stop()


if __name__ == "__main__":
    sys.exit(main())
