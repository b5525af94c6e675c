"""What a process needs of its machine before it may serve: a free port, and its folder to itself."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
from pathlib import Path
from types import TracebackType

from cityloom.kernel.errors import BadConfig

#: Parameters of mallopt(3), and what they are set to.
_MALLOC = {"M_TRIM_THRESHOLD": (-1, 131_072), "M_MMAP_THRESHOLD": (-3, 262_144), "M_ARENA_MAX": (-8, 2)}
#: How many ports after the usual one are tried before the system chooses.
NEIGHBOURS = 20


def give_memory_back() -> None:
    """Have the C library return what is freed to the system; does nothing where that is not glibc.

    Learning and history take large arrays for a moment, each in a thread of its own. Left to itself, glibc
    keeps a heap for every thread, and in it most of what was freed. To be called before threads begin.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in _MALLOC.values():
            mallopt(parameter, value)


def listening_socket(host: str, port: int | None, usual: int) -> socket.socket:
    """A listening socket on the port asked for; None: on the usual one or, if it is busy, on one near it.

    Raises BadConfig when the port asked for is busy or forbidden.
    """
    if port is not None:
        return _bind(host, port)
    for candidate in [*range(usual, usual + NEIGHBOURS), 0]:
        try:
            return _bind(host, candidate)
        except BadConfig:
            continue
    raise BadConfig("No free port was found", hint="Ask for one with --port.", where=host)


def _bind(host: str, port: int) -> socket.socket:
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
            message, hint = f"Port {port} is busy", "Stop the other program, or choose another port."
        elif number == errno.EACCES:
            message, hint = f"Port {port} is not for ordinary users", "Choose one above 1023."
        else:
            message, hint = (
                f"{host}:{port} cannot be listened on ({error})",
                "Check the address and the port.",
            )
        raise BadConfig(message, hint=hint, where=f"{host}:{port}") from None
    listener.setblocking(False)
    return listener


class HomeLock:
    """Keeps a second process out of a city's folder."""

    def __init__(self, home: Path) -> None:
        self.path = home / "lock"
        self._descriptor = -1

    def __enter__(self) -> HomeLock:
        self._descriptor = os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600)
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
