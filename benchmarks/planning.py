"""Every page of the plan of a large city: processor time, time on the clock, and how long others wait.

    python benchmarks/planning.py [--folder FOLDER] [--only /plan] [--pdf]

A city in a temporary folder is filled by `planned_city.py` and by `indicators.py`, then opened by another
process, whose start and memory are told. Each GET route of the pages is asked by a planner, somebody of the
committee, a citizen and a visitor; a route that none of them is shown stops the program, so that none is
forgotten. The least of three rounds counts. `wait` is the longest that the event loop did nothing else, of
its processor time: so long a reading waits for its acknowledgement. With `--folder` the city is kept and
taken again. The target is 300 ms a page, of the time on the clock; ten years of all frameworks in 10 s.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import multiprocessing
import re
import resource
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import msgspec
from indicators import FRAMEWORKS, fill
from planned_city import PEOPLE, Made, Size, planned
from starlette.routing import Route

from cityloom.app.configuration import Configuration
from cityloom.app.folder import CityFolder
from cityloom.app.health import ProcessHealth
from cityloom.app.house import House
from cityloom.app.running import rooms_of
from cityloom.kernel.time import WallClock
from cityloom.planning.register import KINDS
from cityloom.web.request_tally import RequestTally
from cityloom.web.site import Site, build

TARGET_MS = 300
ROUNDS = 3
#: What takes less of the processor is counted, not told.
WORTH_TELLING_S = 0.1
WHO = (*PEOPLE, "visitor")
#: Addresses whose answers have no end or are made elsewhere, and why each is left out.
LEFT_OUT = {
    "/healthz": "tells nothing of the plan",
    "/readyz": "tells nothing of the plan",
    "/live": "a stream",
    "/static/{name:path}": "files",
    "/metrics": "figures of the process, which does not serve here",
    "/evidence/": "a file",
    "/report/{code}": "of somebody who has the code",
    "/contribution/{code}": "of somebody who has the code",
}
#: Answers that should not be.
BROKEN: list[str] = []
#: Begins of routes that are for other roles than those asked here.
FOR_OTHERS = (
    "/accounts",
    "/alerts/{id",
    "/alerts/new",
    "/devices",
    "/follow/{id",
    "/indicators/{framework}/verify",
    "/indicators/{framework}/verification/{version",
    "/loads",
    "/notices/",
    "/parked",
    "/persons",
    "/reports/{id",
    "/services",
    "/system",
)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    asked.add_argument("--folder", type=Path)
    asked.add_argument("--only", default="", help="parts of the routes' paths, with commas between")
    asked.add_argument("--kinds", default="", help="kinds of records by their paths; all of them otherwise")
    asked.add_argument("--who", default=",".join(WHO), help="who asks: a part of these")
    asked.add_argument("--pdf", action="store_true", help="pages on paper, too")
    asked.add_argument("--smaller", type=int, default=1, help="so many times smaller")
    options = asked.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary) / "city"
        if not (folder / "made.json").exists():
            whole = Size()
            size = Size(**{k: max(1, getattr(whole, k) // options.smaller) for k in Size.__struct_fields__})
            filling = multiprocessing.get_context("spawn").Process(target=_fill, args=(folder, size))
            filling.start()
            filling.join()
            assert filling.exitcode == 0, "the city was not filled"
        made = msgspec.json.decode((folder / "made.json").read_bytes(), type=Made)
        asyncio.run(_measure(folder, made, options))


# The city


def _house(folder: Path) -> House:
    names = tuple(sorted(path.parent.name for path in FRAMEWORKS.glob("*/manifest.toml")))
    return House(CityFolder(folder), Configuration(name="Measured", frameworks=names), WallClock())


def _fill(folder: Path, size: Size) -> None:
    asyncio.run(_filled(folder, size))


async def _filled(folder: Path, size: Size) -> None:
    began = time.perf_counter()
    house = _house(folder)
    await house.begin()
    await house.indicators.publish()
    values = await fill(house, size.values)
    made = await planned(house, size)
    await house.all_is_remembered()
    await house.stop()
    (folder / "made.json").write_bytes(msgspec.json.encode(made))
    print(f"{size.initiatives} initiatives, {values} values: written in {time.perf_counter() - began:.0f} s")


async def _measure(folder: Path, made: Made, options: argparse.Namespace) -> None:
    cpu = time.process_time()
    house = _house(folder)
    await house.begin()
    tally = RequestTally()
    site = build(rooms_of(house, ProcessHealth(house, tally), None, None, tally))
    print(f"start: {time.process_time() - cpu:.1f} s of processor time, {_memory():.0f} MB")
    pulse = Pulse()
    watching = asyncio.create_task(pulse.beat())
    await _ready(site, pulse)
    await _pages(site, made, options, pulse)
    print(f"after all pages: {_memory():.0f} MB")
    await _years(house, site, made, pulse)
    watching.cancel()
    await house.stop()


async def _ready(site: Site, pulse: Pulse) -> None:
    """What is read of the plan before the first page asks for it."""
    cpu = time.process_time()
    with pulse.watched() as waited:
        await site.rooms.read()
    spent = time.process_time() - cpu
    print(
        f"read of the plan: {spent:.1f} s of processor time, others wait {1000 * waited():.0f} ms, "
        f"{_memory():.0f} MB"
    )


def _memory() -> float:
    """Of this process now, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


class Pulse:
    """The longest that the loop's thread worked on one thing, in seconds of its processor time."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.collected = 0.0
        gc.callbacks.append(self._collecting)

    async def beat(self) -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(0.005)
            now = time.thread_time()
            self.longest = max(self.longest, now - before)
            before = now

    def watched(self) -> _Watched:
        """`with pulse.watched() as waited: ...` and then `waited()`."""
        return _Watched(self)

    def _collecting(self, phase: str, _info: Mapping[str, int]) -> None:
        now = time.thread_time()
        if phase == "start":
            self._since = now
        else:
            self.collected = max(self.collected, now - self._since)


class _Watched:
    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse

    def __enter__(self) -> Any:
        self._pulse.longest = 0.0
        return lambda: self._pulse.longest

    def __exit__(self, *_: object) -> None:
        pass


# The pages


class Found(msgspec.Struct):
    """What one address costs one reader."""

    path: str
    who: str
    cpu: float
    wall: float
    waited: float
    size: int


async def _pages(site: Site, made: Made, options: argparse.Namespace, pulse: Pulse) -> None:
    print(f"{'page':70s} {'who':9s} {'cpu ms':>7s} {'wall ms':>8s} {'wait ms':>8s} {'kB':>7s}")
    found: list[Found] = []
    refused: list[str] = []
    async with _readers(site, made) as readers:
        for route, paths in _addresses(site, made, options):
            before = len(found)
            for path in paths:
                for who in options.who.split(","):
                    one = await _asked(readers[who], path, who, pulse)
                    if one is not None:
                        found.append(one)
            if len(found) == before:
                refused.append(route)
    _tell(found, pulse)
    wrong = [one for one in refused if not one.startswith(FOR_OTHERS)]
    if options.who != ",".join(WHO):
        return
    print(
        f"{len({one.path for one in found})} addresses were shown to somebody; routes for other roles: "
        f"{len(refused) - len(wrong)}"
    )
    assert not wrong, f"nobody was shown: {wrong}"
    assert not BROKEN, BROKEN


@asynccontextmanager
async def _readers(site: Site, made: Made) -> AsyncIterator[dict[str, httpx2.AsyncClient]]:
    transport = httpx2.ASGITransport(app=site)
    readers = {}
    for who in WHO:
        headers = {"accept-language": "en"}
        client = httpx2.AsyncClient(
            transport=transport, base_url="http://city.test", timeout=300, headers=headers
        )
        if who in made.tokens:
            client.cookies.set("cityloom_session", made.tokens[who], domain="city.test")
        readers[who] = client
    yield readers
    for client in readers.values():
        await client.aclose()


async def _asked(client: httpx2.AsyncClient, path: str, who: str, pulse: Pulse) -> Found | None:
    cpu = wall = waited = float("inf")
    size = 0
    for _ in range(1 if ".pdf" in path else ROUNDS):
        await asyncio.sleep(0.002)
        with pulse.watched() as longest:
            began, spent = time.perf_counter(), time.process_time()
            answer = await client.get(path)
            cpu, wall = min(cpu, time.process_time() - spent), min(wall, time.perf_counter() - began)
            await asyncio.sleep(0.001)
            waited = min(waited, longest())
        if answer.status_code >= 500:
            BROKEN.append(f"{path} {who}: {answer.status_code} {answer.text[-300:]}")
        if answer.status_code != 200:
            return None
        size = len(answer.content)
        if cpu < 0.03:
            break
    one = Found(path, who, cpu, wall, waited, size)
    if cpu >= WORTH_TELLING_S:
        print(
            f"{path[:70]:70s} {who:9s} {1000 * cpu:7.0f} {1000 * wall:8.0f} {1000 * waited:8.1f} "
            f"{size / 1000:7.0f}",
            flush=True,
        )
    return one


def _addresses(site: Site, made: Made, options: argparse.Namespace) -> Iterator[tuple[str, list[str]]]:
    """Each GET route with addresses that it answers."""
    for route in site.pages.routes:
        if not isinstance(route, Route) or "GET" not in (route.methods or ()):
            continue
        path = route.path
        if not any(part in path for part in options.only.split(",")) or any(one in path for one in LEFT_OUT):
            continue
        if path.endswith(".pdf") and not options.pdf:
            continue
        yield path, _filled_in(path, made, options.kinds.split(",") if options.kinds else [])


def _filled_in(path: str, made: Made, chosen: Sequence[str]) -> list[str]:
    if path.startswith("/plan/{kind}"):
        kinds = [kind for kind in KINDS if not chosen or kind.path in chosen]
        ids = {kind.path: made.firsts.get(kind.type, f"urn:ngsi-ld:{kind.type}:1") for kind in kinds}
        return [path.replace("{kind}", name).replace("{id:path}", one) for name, one in ids.items()]
    found = [path]
    for name in re.findall(r"{[^}]+}", path):
        values = _examples(path, name, made)
        found = [one.replace(name, value) for one in found for value in values]
    if path.startswith("/plan/versions/compare"):
        two = "before=urn:ngsi-ld:PlanVersion:1"
        return [f"{path}?{two}", f"{path}?{two}&after=urn:ngsi-ld:PlanVersion:2"]
    return [*found, *(f"{one}{more}" for one in found for more in MORE.get(path, ()))]


#: What else is asked of a page.
MORE: Mapping[str, Sequence[str]] = {
    "/initiatives": ("?q=streets&offset=4000", "?phase=running"),
    "/plan/action/timeline": ("?show=critical", "?offset=4000"),
    "/plan/{kind}": ("?q=goal",),
    "/plan/dependencies": ("?stops=urn:ngsi-ld:InfrastructureItem:1",),
    "/entities": ("?type=Initiative",),
}


def _examples(path: str, name: str, made: Made) -> list[str]:
    first = made.firsts
    known = {
        "{framework}": ["u4ssc"],
        "{code}": ["EC:ICT:ICT:1C"],
        "{goal:int}": ["11"],
        "{version:int}": ["1"],
        "{phase}": ["1", "2", "3", "4"],
        "{step}": ["course", "costs", "funding", "checks"],
        "{which}": ["map", "classification", "onion", "grid", "trend"],
        "{what}": ["contact", "role"],
        "{type}": ["Initiative", "Goal"],
        "{format}": ["csv", "json"],
        "{questionnaire}": ["city_category"],
        "{register}": ["smart_cities_52"],
        "{row}": ["masdar"],
        "{period}": [first["period"]],
        "{key}": [first["period"]],
        "{first}": [first["period"]],
    }
    if name in known:
        return known[name]
    by_path = {
        "/initiatives/": [first["initiative"], first["draft"]],
        "/entities/": [first["initiative"]],
        "/consultations/": ["urn:ngsi-ld:Consultation:0"],
        "/plan/contributions/{id}/": ["urn:ngsi-ld:Consultation:0"],
        "/plan/contributions/": [first["contribution"]],
        "/plan/contracts/": [first["contract"], first["contract"].replace("draft-", "")],
        "/plan/versions/": ["urn:ngsi-ld:PlanVersion:1"],
        "/plan/baselines/": ["urn:ngsi-ld:PlanBaseline:1"],
        "/plan/assessments/": [first["assessment"]],
        "/follow/": [first["initiative"]],
    }
    return next((several for begin, several in by_path.items() if path.startswith(begin)), ["urn:x:1"])


def _tell(found: Sequence[Found], pulse: Pulse) -> None:
    if not found:
        return
    slow = sum(1000 * one.wall > TARGET_MS for one in found)
    cpus = sorted(one.cpu for one in found)
    print(
        f"{len(found)} asked; beyond {TARGET_MS} ms: {slow}; median {1000 * cpus[len(cpus) // 2]:.0f} ms of "
        f"processor time; others waited {1000 * max(one.waited for one in found):.0f} ms at most; "
        f"the longest collection took {1000 * pulse.collected:.0f} ms"
    )


async def _years(house: House, site: Site, made: Made, pulse: Pulse) -> None:
    """Ten years of all frameworks, while their page is looked at."""
    seen: set[str] = set()
    async with _readers(site, made) as readers:
        with pulse.watched() as waited:
            began, cpu = time.perf_counter(), time.process_time()
            house.indicators.years.begin()
            while house.indicators.years.is_running:
                page = (await readers["visitor"].get("/indicators/years")).text
                seen |= set(re.findall(r'<progress[^>]* value="(\d+)"', page))
                await asyncio.sleep(0.2)
            wall, cpu = time.perf_counter() - began, time.process_time() - cpu
            longest = waited()
    found = house.indicators.years.found
    assert found is not None
    print(
        f"ten years of all frameworks, {found.values} values read: {wall:.1f} s, {cpu:.1f} s of processor "
        f"time; others waited {1000 * longest:.0f} ms at most; the bar stood at "
        + ", ".join(sorted(seen, key=int))
    )


if __name__ == "__main__":
    main()
