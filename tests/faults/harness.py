"""Cutting the power of a small city, and killing it, while it acknowledges writes.

A power cut is simulated on an ext4 file system in a file: the shutdown ioctl makes it forget all that was
not flushed and refuse everything after, as a disk does when the current goes. Mounting it again replays its
journal, as a machine does when the current is back. (Killing a process proves little: the kernel still has
its writes. A server that acknowledges before it commits survives any number of kills.)
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from running_city import run
from warm_start import Started, start

CITY = Path(__file__).with_name("loaded_city.py")
#: EXT4_IOC_SHUTDOWN and its flag "do not flush the journal".
_SHUTDOWN, _NO_LOG_FLUSH = 0x8004587D, 2
_SIZE = 400 * 1024 * 1024
#: Seconds a city may take to start and acknowledge something.
_PATIENCE = 30


@dataclass(frozen=True)
class Outcome:
    """What one cut or kill did.

    `lost` counts acknowledged writes that are not there afterwards, those of earlier kills in the same
    folder included; `acknowledged` counts those of this time.
    """

    acknowledged: int
    lost: int
    #: Sequences missing between two changes of the feed.
    holes: int
    #: Seconds from the start of the process that reads until it knows everything.
    recovery: float
    #: How the city's process ended; None when it had to be killed.
    status: int | None = None


def why_no_power_cuts() -> str:
    """Why a power cut cannot be simulated here; empty when it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "amber: a simulated power cut needs Linux and root"
    if shutil.which("mkfs.ext4") is None or shutil.which("losetup") is None:
        return "amber: a simulated power cut needs mkfs.ext4 and losetup"
    if subprocess.run(["losetup", "-f"], capture_output=True, check=False).returncode != 0:
        return "amber: a simulated power cut needs a free loop device"
    return ""


class Disk:
    """An ext4 file system in a file, mounted at `at`."""

    def __init__(self, folder: Path, size: int = _SIZE):
        self._size = size
        self._image = folder / "disk.img"
        self.at = folder / "disk"

    @contextmanager
    def made(self) -> Iterator[Disk]:
        self.at.mkdir(parents=True)
        with self._image.open("wb") as image:
            image.truncate(self._size)
        _run("mkfs.ext4", "-q", "-F", str(self._image))
        self.mount()
        try:
            yield self
        finally:
            self.unmount()
            self._image.unlink()

    def mount(self) -> None:
        _run("mount", "-o", "loop", str(self._image), str(self.at))

    def unmount(self) -> None:
        _run("umount", str(self.at))

    def cut(self) -> None:
        """Lose what is not flushed; the file system answers every call with an error from now on."""
        handle = os.open(self.at, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(handle)


def power_cut(folder: Path, chance: random.Random, plant: str = "") -> Outcome:
    """Start a city on a disk of its own, cut the power under load, and look what is left."""
    acks = folder / "acks"
    with Disk(folder).made() as disk:
        process = _start(disk.at, acks, plant)
        try:
            _let_run(process, acks, chance)
            told = acks.read_text()  # before the cut: what is acknowledged while it happens may be lost
            disk.cut()
            status = None if plant else _end_of(process)
        finally:
            process.kill()
            process.wait()
        disk.unmount()
        disk.mount()
        return replace(_compare(told, disk.at), status=status)


def kill(folder: Path, chance: random.Random) -> Outcome:
    """Start (or go on with) a city in `folder`, kill it under load, and look what is left."""
    acks = folder / "acks"
    city = folder / "city"
    city.mkdir(exist_ok=True)
    before = acks.read_text().count("\n") if acks.exists() else 0
    process = _start(city, acks, "")
    try:
        _let_run(process, acks, chance)
    finally:
        process.kill()
        process.wait()
    outcome = _compare(acks.read_text(), city)
    return replace(outcome, acknowledged=outcome.acknowledged - before)


def _start(city: Path, acks: Path, plant: str) -> Started:
    with acks.with_name("log").open("ab") as log:
        return start([str(CITY), "write", str(city), str(acks), plant], stdout=log, stderr=log)


def _end_of(process: Started) -> int | None:
    """The status with which a city ends whose disk is gone; None when it goes on."""
    try:
        return process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        return None


def _let_run(process: Started, acks: Path, chance: random.Random) -> None:
    """Wait until the city acknowledges, then for as many acknowledgements more as chance has it."""
    before = acks.stat().st_size if acks.exists() else 0
    wanted = before + chance.randint(1_000, 60_000)
    until = time.monotonic() + _PATIENCE
    while not acks.exists() or acks.stat().st_size < wanted:
        if process.poll() is not None:
            raise RuntimeError(f"the city ended by itself with status {process.returncode}")
        if time.monotonic() > until:
            raise TimeoutError("the city acknowledges nothing")
        time.sleep(0.001)


def _compare(told: str, city: Path) -> Outcome:
    lines = [line.split() for line in told.splitlines(keepends=True) if line.endswith("\n")]
    begin = time.monotonic()
    asked = run(CITY, "read", city)
    recovery = time.monotonic() - begin
    if asked.returncode != 0:
        # A city that cannot be opened any more has lost everything.
        sys.stderr.write(asked.stderr)
        return Outcome(len(lines), len(lines), 0, recovery)
    known = json.loads(asked.stdout)
    marks = set(known["marks"])
    lost = 0
    for kind, client, count in lines:
        if kind == "mark":
            lost += f"urn:ngsi-ld:Mark:{client}-{count}" not in marks
        else:
            lost += known["counts"].get(f"urn:ngsi-ld:Counter:{client}", 0) < int(count)
    return Outcome(len(lines), lost, known["holes"], recovery)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
