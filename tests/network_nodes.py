"""Machines of a cluster as network namespaces of this one: each with two lines to a hub, that can be cut.

What a thread opens or starts `inside` a namespace speaks from there. Where namespaces may not be made (no
root, no iproute2) there is one machine, the loopback, and no line that could be cut.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_NAMESPACES = Path("/run/netns")
HUB = "hub"


class Network:
    """A hub, where the database and the clients are, and machines "a", "b", … around it."""

    def __init__(self, machines: str, *, label: str = "", joined: bool = False) -> None:
        """`label` tells it from others of this process; `joined`: machines reach each other by their lines to
        the database, through the hub."""
        self._label = f"city{os.getpid()}{label}"
        self._joined = joined
        #: By machine: its address for clients, and that under which it finds the database.
        self.front = dict.fromkeys(machines, "127.0.0.1")
        self.database = dict.fromkeys(machines, "127.0.0.1")
        #: That which others than clients know it by.
        self.own = dict.fromkeys(machines, "127.0.0.1")
        self.real = _may_be_made()
        if self.real:
            self._make(machines)

    @contextmanager
    def inside(self, machine: str = HUB) -> Iterator[None]:
        """This thread is there, and what it starts."""
        if not self.real:
            yield
            return
        with Path("/proc/thread-self/ns/net").open() as before:
            _enter(_NAMESPACES / self._name(machine))
            try:
                yield
            finally:
                _set(before.fileno())

    def cut(self, machine: str, line: str = "d") -> None:
        """From now on nothing comes through: "d" is the line to the database, "f" that to clients."""
        self._ip("-n", self._name(HUB), "link", "set", "dev", f"{line}{machine}", "down")

    def mend(self, machine: str, line: str = "d") -> None:
        self._ip("-n", self._name(HUB), "link", "set", "dev", f"{line}{machine}", "up")

    def remove(self) -> None:
        if self.real:
            for machine in (HUB, *self.front):
                with suppress(subprocess.CalledProcessError):
                    self._ip("netns", "delete", self._name(machine))

    def _make(self, machines: str) -> None:
        self._ip("netns", "add", self._name(HUB))
        self._ip("-n", self._name(HUB), "link", "set", "dev", "lo", "up")
        for number, machine in enumerate(machines, 1):
            self._ip("netns", "add", self._name(machine))
            self._ip("-n", self._name(machine), "link", "set", "dev", "lo", "up")
            self.database[machine], self.own[machine] = self._line("d", machine, f"10.77.{number}")
            self.front[machine] = self._line("f", machine, f"10.78.{number}")[1]
            if self._joined:
                self._ip("-n", self._name(machine), "route", "add", "default", "via", self.database[machine])
        if self._joined:
            with self.inside():
                Path("/proc/sys/net/ipv4/ip_forward").write_text("1")

    def _line(self, line: str, machine: str, prefix: str) -> tuple[str, str]:
        """A line from the hub to a machine; the addresses of its two ends."""
        here, there = self._name(HUB), self._name(machine)
        ends = (f"{prefix}.1", f"{prefix}.2")
        self._ip(
            "-n",
            here,
            "link",
            "add",
            "name",
            f"{line}{machine}",
            "type",
            "veth",
            "peer",
            "name",
            line,
            "netns",
            there,
        )
        self._ip("-n", here, "address", "add", f"{ends[0]}/30", "dev", f"{line}{machine}")
        self._ip("-n", there, "address", "add", f"{ends[1]}/30", "dev", line)
        self._ip("-n", here, "link", "set", "dev", f"{line}{machine}", "up")
        self._ip("-n", there, "link", "set", "dev", line, "up")
        return ends

    def _name(self, machine: str) -> str:
        return f"{self._label}-{machine}"

    def _ip(self, *words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True, timeout=20)


def _may_be_made() -> bool:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    name = f"city{os.getpid()}-try"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, timeout=20)
    if made.returncode == 0:
        subprocess.run(["ip", "netns", "delete", name], capture_output=True, timeout=20)
    return made.returncode == 0


def _enter(namespace: Path) -> None:
    with namespace.open() as file:
        _set(file.fileno())


def _set(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
