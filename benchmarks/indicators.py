"""Pages of a city with 50,000 values of indicators, and all frameworks worked out over ten years.

    python benchmarks/indicators.py [--values 50000]

A city in a temporary folder, in this process: all frameworks of the catalogue, each figure with as many
values over ten years. Prints milliseconds of processor time a page (the least of five), and the seconds that
the years take, on the clock and of the processor. The targets are 300 ms and 10 s.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx2

import cityloom_catalogue
from cityloom.app.configuration import Configuration
from cityloom.app.folder import CityFolder
from cityloom.app.house import House
from cityloom.app.running import rooms_of
from cityloom.indicators import writing
from cityloom.indicators.model import Entry
from cityloom.kernel.actor import CITY
from cityloom.kernel.time import WallClock
from cityloom.web.request_tally import RequestTally
from cityloom.web.site import Site, build

FRAMEWORKS = Path(next(iter(cityloom_catalogue.__path__))) / "frameworks"
PAGES = (
    "/indicators",
    "/indicators/u4ssc",
    "/indicators/iso37120",
    "/indicators/u4ssc/EC:ICT:ICT:1C",
    "/indicators/u4ssc/verification",
    "/indicators/u4ssc/factsheet",
    "/indicators/u4ssc/principles",
    "/indicators/sdg",
    "/indicators/years",
    "/open-data",
)
YEARS, ROUNDS, AT_ONCE = 10, 5, 200


async def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--values", type=int, default=50_000)
    options = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        names = tuple(sorted(path.parent.name for path in FRAMEWORKS.glob("*/manifest.toml")))
        house = House(CityFolder(Path(folder)), Configuration(name="Measured", frameworks=names), WallClock())
        await house.begin()
        await house.indicators.publish()
        count = await fill(house, options.values)
        await house.all_is_remembered()
        site = build(rooms_of(house, cast(Any, None), None, None, RequestTally()))
        print(f"{count} values in {len(names)} frameworks")
        await _years(house)
        await _pages(site)
        await house.stop()


async def fill(house: House, wanted: int) -> int:
    """As many values of each figure as make those wanted; returns how many."""
    random.seed(1)
    frameworks = house.indicators.frameworks()
    figures = [(one, *pair) for one in frameworks for pair in one.points()]
    periods = max(1, wanted // len(figures))
    now = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    step = timedelta(days=365.25 * YEARS / periods)
    for period in range(periods):
        until = now - step * (periods - period - 1)
        documents = []
        for framework, _, point in figures:
            value = bool(random.getrandbits(1)) if point.is_yes_or_no else random.uniform(1, 100)
            entry = Entry(value=value, source="drawn", since=until - step, until=until)
            attributes = writing.entered(
                framework, point, entry, value, evidence=[], by="person:bench", now=until
            )
            documents.append(writing.new_entity(point, attributes))
        for first in range(0, len(documents), AT_ONCE):
            await house.broker.upsert_many(CITY, documents[first : first + AT_ONCE], update=True)
    return periods * len(figures)


async def _years(house: House) -> None:
    began, cpu = time.perf_counter(), time.process_time()
    house.indicators.years.begin()
    found = await house.indicators.years.finished()
    assert found is not None
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    print(f"ten years, {found.values} values read: {wall:.1f} s, {cpu:.1f} s of processor time")


async def _pages(site: Site) -> None:
    transport = httpx2.ASGITransport(app=site)
    async with httpx2.AsyncClient(transport=transport, base_url="http://city.test", timeout=60) as client:
        for path in PAGES:
            least = float("inf")
            for _ in range(ROUNDS):
                cpu = time.process_time()
                answer = await client.get(path)
                least = min(least, time.process_time() - cpu)
                assert answer.status_code == 200, (path, answer.status_code, answer.text[-500:])
            print(f"{path:40s} {1000 * least:6.0f} ms {len(answer.content):8d} bytes")


if __name__ == "__main__":
    asyncio.run(main())
