"""What a newcomer waits for, and what it costs: seconds, megabytes, memory. Prints a table.

    python benchmarks/first_run.py [--city aarhus --city loomby] [--data DIR] [--minutes 3] [--scratch DIR]

The repository's HEAD is cloned into a scratch folder and `make demo` is run there as a newcomer would run it,
with the downloads done before (a first clone fills the caches of pip, uv and npm, and --data names the data
pack of Aarhus where the cache has none). Measured from the command: the address on the terminal, /readyz, a
map with enough features, the first moved marker on the live stream, and the seconds of processor time that
all of it took, which say more than those on the clock where a machine is shared. Then pages are visited while
the memory is watched; Ctrl+C is pressed; `make demo` is run again, which must go on where it was; and the
process is ended by SIGTERM. Linux, and Python's own library alone.
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
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

REPOSITORY = Path(__file__).resolve().parents[1]
#: Seconds before a start is given up.
PATIENCE = 300
#: What the bars of the project are.
BARS = {"filled page s": 60, "install MB": 400, "memory MB": 512, "stop s": 5}
#: Features that make a filled map, by city.
FILLED = {"aarhus": 400, "loomby": 100}
PAGES = (
    "/", "/map", "/map.json", "/alerts", "/indicators", "/initiatives", "/entities", "/open-data", "/report",
    "/services", "/system", "/devices", "/indicators/u4ssc",
    "/ngsi-ld/v1/entities?type=TrafficFlowObserved&limit=100&options=keyValues",
)  # fmt: skip


class Demo:
    """`make demo` in a clone, until it is stopped. Times are seconds since the command."""

    def __init__(self, clone: Path, city: str, home: Path, data: Path | None) -> None:
        self.home = home
        self.city = city
        self.said: list[tuple[float, str]] = []
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "CITYLOOM_PORT": "0"}
        # The clone's own environment, not the one that this benchmark runs in.
        environment.pop("VIRTUAL_ENV", None)
        self.began = time.monotonic()
        command = ["make", "demo", f"CITY={city}", f"HOME_DIR={home}"]
        if data is not None and city == "aarhus":
            command.append(f"DATA={data}")
        self.process = subprocess.Popen(
            command,
            cwd=clone,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()
        self.address = ""

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append((time.monotonic() - self.began, line.rstrip()))

    @property
    def words(self) -> str:
        return "\n".join(line for _, line in self.said)

    def running(self) -> dict[str, Any]:
        """What the city wrote down of itself."""
        found: dict[str, Any] = json.loads((self.home / "running.json").read_text())
        return found

    def seconds_until(self, what: str, happens: Callable[[], bool]) -> float:
        """Seconds since the command when it happened."""
        while not happens():
            if self.process.poll() is not None or time.monotonic() - self.began > PATIENCE:
                raise SystemExit(f"{self.city}: no {what}.\n{self.words}")
            time.sleep(0.1)
        return time.monotonic() - self.began

    def tells_address(self) -> bool:
        found = re.search(r"https?://127\.0\.0\.1:\d+", self.words)
        self.address = found[0] if found else ""
        return bool(found)

    def is_ready(self) -> bool:
        return self.get("/readyz")[0] == 200

    def is_filled(self) -> bool:
        status, body = self.get("/map.json")
        return status == 200 and len(json.loads(body)["features"]) >= FILLED.get(self.city, 1)

    def moves(self) -> bool:
        """Wait for the first marker that moves."""
        with urlopen(f"{self.address}/live", timeout=PATIENCE) as stream:
            for line in stream:
                if line.startswith(b"event: changes"):
                    return True
        return False

    def get(self, path: str, *, staff: bool = False) -> tuple[int, bytes]:
        headers = {"authorization": f"Bearer {self.running()['key']}"} if staff else {}
        try:
            with urlopen(Request(self.address + path, headers=headers), timeout=60) as answer:
                return answer.status, answer.read()
        except (OSError, HTTPException) as error:
            return getattr(error, "code", 0), b""

    def memory_mb(self) -> tuple[float, float]:
        """Resident now, and at most so far."""
        status = Path(f"/proc/{self.running()['process']}/status").read_text()
        now, most = (int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) for name in ("VmRSS", "VmHWM"))
        return now / 1024, most / 1024

    def cpu_seconds(self) -> float:
        """Processor time of the city and of make, which made the environment before."""
        return sum(_cpu_seconds(process) for process in (self.process.pid, int(self.running()["process"])))

    def stop(self, number: int) -> tuple[float, int]:
        """Seconds until everything has ended, and the city's own words of how: the status of make.

        SIGINT goes to the whole group, as a terminal sends it for Ctrl+C; others to the city alone.
        """
        process = int(self.running()["process"])
        began = time.monotonic()
        if number == signal.SIGINT:
            os.killpg(self.process.pid, number)
        else:
            os.kill(process, number)
        while Path(f"/proc/{process}/cmdline").exists() and Path(f"/proc/{process}/cmdline").read_bytes():
            time.sleep(0.02)
        seconds = time.monotonic() - began
        status = self.process.wait(PATIENCE)
        self._listening.join(10)
        return seconds, status


def _cpu_seconds(process: int) -> float:
    """Of a process and of its children that have ended."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def clone_of(repository: Path, into: Path) -> Path:
    subprocess.run(["git", "clone", "--quiet", str(repository), str(into)], check=True)
    return into


def fill_caches(repository: Path, scratch: Path) -> float:
    """Download everything once; seconds."""
    began = time.monotonic()
    clone = clone_of(repository, scratch / "caches")
    subprocess.run(["make", "web"], cwd=clone, check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(clone)
    return time.monotonic() - began


def installed_mb(clone: Path, scratch: Path) -> float:
    """Disk used by what runs a city: no Node, no tools of the developer; byte code included."""
    runtime = scratch / "runtime"
    environment = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(runtime)}
    environment.pop("VIRTUAL_ENV", None)
    command = [
        ".venv/bin/uv",
        "sync",
        "--quiet",
        "--frozen",
        "--no-dev",
        "--no-editable",
        "--compile-bytecode",
    ]
    subprocess.run(command, cwd=clone, env=environment, check=True)
    blocks = {path.lstat().st_ino: path.lstat().st_blocks for path in [runtime, *runtime.rglob("*")]}
    return sum(blocks.values()) * 512 / 1e6


def visited(demo: Demo, seconds: float) -> Iterator[float]:
    """Visit a page a second, as staff and as a visitor; yields the memory after each, in MB."""
    until = time.monotonic() + seconds
    visit = 0
    while time.monotonic() < until:
        began = time.monotonic()
        staff = visit // len(PAGES) % 2 == 1
        status, _ = demo.get(PAGES[visit % len(PAGES)], staff=staff)
        if status >= 500 or status == 0:
            raise SystemExit(f"{PAGES[visit % len(PAGES)]} answered {status}.\n{demo.words}")
        visit += 1
        yield demo.memory_mb()[0]
        time.sleep(max(0.0, 1 - (time.monotonic() - began)))


def measured(clone: Path, city: str, home: Path, data: Path | None, minutes: float) -> dict[str, str]:
    """One first run, one visit, one stop, one second run."""
    demo = Demo(clone, city, home, data)
    figures: dict[str, float] = {}
    try:
        figures["address s"] = demo.seconds_until("address", demo.tells_address)
        figures["ready s"] = demo.seconds_until("answer", demo.is_ready)
        figures["filled page s"] = demo.seconds_until("filled map", demo.is_filled)
        figures["moved s"] = demo.seconds_until("moving marker", demo.moves)
        figures["CPU s"] = demo.cpu_seconds()
        seen = list(visited(demo, 60 * minutes))
        figures["memory MB"] = max(seen[len(seen) // 2 :])
        figures["memory at most MB"] = demo.memory_mb()[1]
        figures["stop s"], _ = demo.stop(signal.SIGINT)
        left_at = json.loads((home / "replay.json").read_text())["at"]
        again = Demo(clone, city, home, data)
        demo = again
        again.seconds_until("address", again.tells_address)
        figures["again filled s"] = again.seconds_until("filled map", again.is_filled)
        goes_on_at = json.loads(again.get("/clock.json")[1])["now"]
        stopped, status = again.stop(signal.SIGTERM)
        figures["stop s"] = max(figures["stop s"], stopped)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(demo.process.pid, signal.SIGKILL)
    print(f"{city}: stopped at {left_at}, went on at {goes_on_at}, ended with status {status}")
    print(*(f"    {at:6.1f} s  {line}" for at, line in demo.said), sep="\n", file=sys.stderr)
    return {
        name: f"{value:.1f}" if name.endswith(" s") else f"{value:.0f}" for name, value in figures.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--city", action="append", default=[], help="aarhus or loomby; both when left out")
    parser.add_argument("--data", type=Path, default=None, help="folder with the data pack of Aarhus")
    parser.add_argument("--minutes", type=float, default=3.0, help="how long pages are visited")
    parser.add_argument("--scratch", type=Path, default=None, help="folder to work in (default: a new one)")
    parser.add_argument("--repository", type=Path, default=REPOSITORY)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cityloom-first-run-", dir=options.scratch) as scratch:
        return compare(Path(scratch), options)


def compare(scratch: Path, options: argparse.Namespace) -> int:
    print(f"load before {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"downloads (or caches looked at) {fill_caches(options.repository, scratch):.1f} s")
    rows = []
    for city in options.city or ["aarhus", "loomby"]:
        clone = clone_of(options.repository, scratch / city)
        row = measured(clone, city, scratch / f"{city}-home", options.data, options.minutes)
        row["install MB"] = f"{installed_mb(clone, scratch):.0f}"
        row["load"] = f"{os.getloadavg()[0]:.1f}"
        rows.append({"city": city, **row})
    print(f"| {' | '.join(rows[0])} |")
    print("| --- |" + " ---: |" * (len(rows[0]) - 1))
    print(*(f"| {' | '.join(row.values())} |" for row in rows), sep="\n")
    over = [(row["city"], name) for row in rows for name, bar in BARS.items() if float(row[name]) > bar]
    for city, name in over:
        print(f"{city}: {name} is over the bar of {BARS[name]}")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
