"""A whole city as it is installed, on a disk of its own, through power cuts and kills under mixed load."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from harness import Disk
from mixed_load import CONTEXTS, ENTITIES, SUBSCRIPTIONS, Ledger, Load, State

from cityloom.context.commit import EXIT_DISK_ERROR
from running_city import run
from warm_start import Started, start

HERE = Path(__file__).parent
#: Seconds a city may take to start, to acknowledge something, or to end.
PATIENCE = 90
CONFIGURATION = """
name = "Cutby"
frameworks = []
[outbound]
inside = true
[connectors.mqtt]
rate = 1000000
burst = 1000000
[[connectors.mqtt.mappings]]
topic = "city/{type}/{device}"
"""


class DidNotStart(AssertionError):
    """The city ended, or said nothing, before it could be asked; tells what it said."""


@dataclass(frozen=True)
class Trial:
    """What one cut or kill did."""

    #: Writes that were acknowledged before it, by the way they came.
    told: dict[str, int]
    #: Things found in an older state than was acknowledged.
    lost: list[str]
    #: Sequences that are missing in the feed, and Entities whose Changes stand in another order than sent.
    holes: int
    disorder: list[str]
    #: What clients were refused before it happened.
    refusals: list[str]
    #: The process' status; negative: the signal that ended it.
    status: int
    #: Seconds from the start of the next process until it answers.
    recovery: float

    @property
    def acknowledged(self) -> int:
        return sum(self.told.values())


@dataclass
class City:
    """A city's folder, and the process that serves it while it runs."""

    home: Path
    log: Path
    bug: str = "none"
    #: Words before the command: a tracer.
    under: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    process: Started | None = None
    address: str = ""
    mqtt_port: int = 0

    def lay_out(self) -> None:
        self.home.mkdir(exist_ok=True)
        (self.home / "city.toml").write_text(CONFIGURATION)
        os.sync()

    def launch(self) -> Started:
        """Start the process, and wait for nothing."""
        words = ["up", "--open-access", "--home", str(self.home), "--port", "0", "--mqtt-port", "0"]
        command = [str(HERE / "planted.py"), self.bug, *words]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **self.environment}
        with self.log.open("wb") as log:
            if self.under:
                traced = [*self.under, sys.executable, *command]
                self.process = subprocess.Popen(traced, stdout=log, stderr=log, env=environment)
            else:
                self.process = start(command, stdout=log, stderr=log, env=environment)
        return self.process

    def start(self) -> float:
        """Start the process and wait until it answers; returns how long that took, in seconds.

        Raises DidNotStart.
        """
        begun = time.monotonic()
        process = self.launch()
        while process.poll() is None and time.monotonic() < begun + PATIENCE:
            web = re.search(r"Pages and API\s+(\S+)", self.said)
            devices = re.search(r"MQTT\s+\S+:(\d+)", self.said)
            if web and devices:
                self.address, self.mqtt_port = web[1], int(devices[1])
                return time.monotonic() - begun
            time.sleep(0.02)
        self.kill()
        raise DidNotStart(self.said)

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def kill(self) -> int:
        """End the process at once; its status (that of its own, when it was gone already)."""
        assert self.process is not None
        self.process.kill()
        return self.process.wait()

    def wait(self, patience: float = 30) -> int | None:
        """The status with which the process ends by itself; None when it does not."""
        assert self.process is not None
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            return None

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def found(self) -> dict[str, State]:
        """Everything that the running city has of what the clients wrote."""
        with httpx2.Client(base_url=self.address, timeout=PATIENCE) as web:
            found: dict[str, State] = {
                one["id"]: one["count"]
                for kind in ("Counter", "Many", "Guest", "Meter")
                for one in all_of(web, ENTITIES, type=kind, format="simplified")
            }
            for one in all_of(web, SUBSCRIPTIONS):
                found[one["id"]] = int(one["subscriptionName"])
            for url in web.get(CONTEXTS, params={"kind": "Hosted"}).json():
                found[str(url).rsplit("/", 1)[-1]] = 1
            return found


def all_of(web: httpx2.Client, path: str, **asked: str) -> Iterator[object]:
    """All pages of a collection; nothing where it is not offered."""
    offset = 0
    while True:
        reply = web.get(path, params={**asked, "limit": 1000, "offset": offset})
        if reply.status_code == 404:
            return
        assert reply.status_code == 200, reply.text
        page = reply.json()
        yield from page
        offset += 1000
        if len(page) < 1000:
            return


@contextmanager
def on_a_disk(folder: Path, bug: str = "none") -> Iterator[tuple[Disk, City]]:
    """A city on a disk whose power can be cut."""
    with Disk(folder).made() as disk:
        city = City(disk.at / "city", folder / "log", bug)
        city.lay_out()
        try:
            yield disk, city
        finally:
            if city.process is not None:
                city.kill()


def cut_under_load(disk: Disk, city: City, load: Load, chance: random.Random) -> Trial:
    """Cut the power of a running city at a moment of chance, and start it again on what is left."""
    let_write(city, load, chance)
    # Before the cut: what is acknowledged while it happens may be lost.
    told = Told.by(load)
    disk.cut()
    # A city without a bug ends by itself; one with a bug may not notice.
    status = city.wait() if city.bug == "none" else None
    status = city.kill() if status is None else status
    load.end()
    give_power_back(disk)
    return look(city, load, told, status)


def fail_flushes_under_load(disk: Disk, city: City, load: Load, chance: random.Random) -> Trial:
    """From a moment of chance on, no flush succeeds; when the city has ended, the power is cut as well."""
    let_write(city, load, chance)
    assert city.process is not None
    calls = "fsync,fdatasync"
    inject = f"inject={calls}:error=EIO:when={chance.randint(1, 20)}+"
    words = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e", inject]
    with subprocess.Popen([*words, "-p", str(city.process.pid)]) as tracer:
        status = city.wait(30 if city.bug == "none" else 3)
        status = city.kill() if status is None else status
        tracer.wait(PATIENCE)
    load.end()
    # After the end: whatever was acknowledged, before and after flushes began to fail, must be there.
    told = Told.by(load)
    disk.cut()
    give_power_back(disk)
    return look(city, load, told, status)


def kill_under_load(city: City, load: Load, chance: random.Random) -> Trial:
    """Kill a running city at a moment of chance, and start it again."""
    let_write(city, load, chance)
    refusals = list(load.refusals)
    status = city.kill()
    load.end()
    told = Told.by(load)
    told.refusals = refusals
    return look(city, load, told, status)


def give_power_back(disk: Disk) -> None:
    disk.unmount()
    disk.mount()


def is_found(folder: Path, bug: str, chance: random.Random) -> bool:
    """Whether a fault shows a bug that was put in: by writes that are lost, files that do not fit, or a city
    that goes on although nobody knows what is stored."""
    fault = fail_flushes_under_load if bug == "forgiving" else cut_under_load
    with on_a_disk(folder, bug) as (disk, city):
        city.start()
        city.stop()
        os.sync()  # the files are there; what is lost is lost afterwards
        city.start()
        try:
            trial = fault(disk, city, Load(Ledger()), chance)
        except DidNotStart:
            return True
        return bool(trial.lost) or (bug == "forgiving" and trial.status != EXIT_DISK_ERROR)


@dataclass
class Told:
    """What clients had been told at a moment."""

    acknowledged: dict[str, int]
    ways: dict[str, int]
    refusals: list[str]

    @classmethod
    def by(cls, load: Load) -> Told:
        return cls(load.ledger.snapshot(), load.ledger.told.copy(), list(load.refusals))


def let_write(city: City, load: Load, chance: random.Random) -> None:
    """Let clients write for a while of chance; they go on afterwards."""
    load.ledger.told.clear()
    load.begin(city.address, city.mqtt_port)
    wait_for_acknowledgements(city, load, chance.randint(50, 1_500))


def look(city: City, load: Load, told: Told, status: int) -> Trial:
    """Start the city again, and compare what it has with what clients were told."""
    kept = feed_as_it_is(city.home)
    recovery = city.start()
    found = city.found()
    lost = []
    for name, track in load.ledger.tracks.items():
        acknowledged, there = told.acknowledged.get(name, 0), found.get(name)
        if track.lost(acknowledged, there):
            lost.append(f"{name}: {track.states[acknowledged]} was acknowledged, {there} is there")
        track.settle(there)
    return Trial(told.ways, lost, kept["holes"], kept["disorder"], told.refusals, status, recovery)


def wait_for_acknowledgements(city: City, load: Load, wanted: int) -> None:
    until = time.monotonic() + PATIENCE
    while load.ledger.acknowledged < wanted:
        assert city.process is not None and city.process.poll() is None, city.said
        assert not load.refusals, load.refusals
        assert time.monotonic() < until, "the city acknowledges nothing"
        time.sleep(0.001)


def feed_as_it_is(home: Path) -> dict:
    """What the files say before a city has mended anything; in a process that lets go of them."""
    asked = run(HERE / "feed_as_it_is.py", home, timeout=PATIENCE)
    if asked.returncode != 0:
        raise DidNotStart(asked.stderr)
    return json.loads(asked.stdout)
