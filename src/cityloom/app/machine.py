"""What a process needs of its machine to serve: a free port, its folder to itself, time for its work."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import fcntl
import gc
import os
import resource
import socket
from pathlib import Path
from types import TracebackType

from cityloom.kernel.errors import BadConfig

#: Parameters of mallopt(3), and what they are set to.
_MALLOC = {"M_TRIM_THRESHOLD": (-1, 131_072), "M_MMAP_THRESHOLD": (-3, 262_144), "M_ARENA_MAX": (-8, 2)}
#: Seconds until what lies free between what is used is given back again.
TRIM_EVERY = 20.0
#: Where a city listens when nobody says otherwise.
USUAL_PORT = 8080
USUAL_MQTT_PORT = 1883
#: How many ports after the usual one are tried before the system chooses.
NEIGHBOURS = 20
#: New objects, less those that died, before Python looks for garbage. Four batches of a thousand Entities at
#: once, with what history makes of them, are 180,000, all of them alive; to look through them takes 50 ms in
#: which everybody waits.
GARBAGE_AFTER = 250_000


def give_memory_back() -> None:
    """Have the C library return what is freed to the system; does nothing where that is not glibc.

    Learning and history take large arrays for a moment, each in a thread of its own. Left to itself, glibc
    keeps a heap for every thread, and in it most of what was freed. To be called before threads begin.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in _MALLOC.values():
            mallopt(parameter, value)


def take_descriptors() -> None:
    """Let the process have as many open files as it may: each connection is one, and usual is 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def keep_memory_small(every: float = TRIM_EVERY) -> None:
    """Give back what is free in the middle of the heap, too, once every so many seconds; until cancelled.

    `mallopt` gives back its end alone. In a city whose pages are read that is some 50 MB less.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while trim is not None:
        await asyncio.sleep(every)
        await asyncio.to_thread(trim, 0)


def listening_socket(host: str, port: int | None, usual: int, *, option: str = "--port") -> socket.socket:
    """A listening socket on the port asked for; None: on the usual one or, if it is busy, on one near it.

    `option` is the word of the command line that asks for another one.
    Raises BadConfig when the port asked for is busy or forbidden.
    """
    if port is not None:
        return _bind(host, port, option)
    for candidate in [*range(usual, usual + NEIGHBOURS), 0]:
        try:
            return _bind(host, candidate, option)
        except BadConfig:
            continue
    raise BadConfig("No free port was found", hint=f"Ask for one with {option}.", where=host)


def _bind(host: str, port: int, option: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except (OSError, OverflowError) as error:
        listener.close()
        number = getattr(error, "errno", None)
        if number == errno.EADDRINUSE:
            message, hint = (
                f"Port {port} is busy",
                f"Stop the other program, or choose another port with {option}.",
            )
        elif number == errno.EACCES:
            message, hint = f"Port {port} is not for ordinary users", f"Choose one above 1023 with {option}."
        else:
            message, hint = (
                f"{host}:{port} cannot be listened on ({error})",
                "Check the address and the port.",
            )
        raise BadConfig(message, hint=hint, where=f"{host}:{port}") from None
    listener.setblocking(False)
    return listener


def spare_collector() -> None:
    """Let the garbage collector look where garbage may be. Called once everything runs.

    What is there by then stays until the end. And each reading is some objects that die by themselves once
    it is durable: after 700 of them, which is Python's own measure, there is nothing to find; looking all
    the same took a sixth of the time of a city under load.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER)


class HomeLock:
    """Keeps a second process out of a city's folder."""

    def __init__(self, home: Path) -> None:
        self.path = home / "lock"
        self._descriptor = -1

    def __enter__(self) -> HomeLock:
        try:
            self._descriptor = os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise BadConfig(
                f"The city's folder cannot be written: {error.strerror}",
                hint="Let this user write in it, or choose another one with --home.",
                where=str(self.path.parent),
            ) from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise BadConfig(
                "This city is running already",
                hint="Stop it first, or choose another --home.",
                where=str(self.path.parent),
            ) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)
