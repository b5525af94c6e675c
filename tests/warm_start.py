"""Processes that are forked off one that has loaded the city's modules already.

Loading them is most of what a command costs, and the tests start hundreds. A process made here is one of its
own as one from a terminal is: its words, folder, environment and streams are what is asked for, it can be
killed, and it ends with its status. That the real command loads what it needs is proven by the tests of the
guides, which type it, and by stages/app/test_light_commands.py. Linux alone can hand a process to another
parent; elsewhere, and where CITYLOOM_TESTS_WARM is not 1 (benchmarks), each is started from nothing.

    python warm_start.py    serves on file descriptor 0, a socket of whole messages
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

#: What the commands of a city bring along; plugins are loaded by each process itself.
LOADED = (
    "cityloom.app.commands",
    "cityloom.app.backup.command",
    "cityloom.app.doctor.command",
    "cityloom.app.load.command",
    "cityloom.app.load.exporting",
    "cityloom.app.move.command",
    "cityloom.app.persons",
    "cityloom.app.retaining",
)
#: `python -m` of it, said so that a script may stand in its place.
COMMAND_LINE = "cityloom.app.command_line"
LONGEST = 1 << 20
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
#: Where there is util-linux a process ends with the tests that started it, also when they are killed.
NOT_WITHOUT_US = ("setpriv", "--pdeathsig", "KILL", "--") if shutil.which("setpriv") else ()


class Process:
    """A process that was forked; waited for and killed as one of `subprocess` is."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The status once it has ended; negative: the signal that ended it."""
        return self._ended(os.WNOHANG)

    def wait(self, timeout: float | None = None) -> int:
        if timeout is None:
            ended = self._ended(0)
            assert ended is not None
            return ended
        until, pause = time.monotonic() + timeout, 0.001
        while (ended := self.poll()) is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(pause)
            pause = min(0.05, pause * 2)
        return ended

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, how: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, how)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


Started = Process | subprocess.Popen[bytes]


class _Starter:
    """The process that has loaded everything, and the line to it. One for each process of the tests."""

    def __init__(self) -> None:
        # Whoever was forked there becomes a child of this process, as soon as its parent has ended.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.owner = os.getpid()
        with theirs:
            self._process = subprocess.Popen([sys.executable, __file__], stdin=theirs)
        atexit.register(self.stop)

    def start(self, words: Sequence[str], env: dict[str, str], cwd: str, files: Sequence[int]) -> Process:
        order = {"words": words, "env": env, "cwd": cwd, "parent": os.getpid()}
        socket.send_fds(self.line, [json.dumps(order).encode()], list(files))
        return Process(int(self.line.recv(100)))

    def stop(self) -> None:
        if os.getpid() == self.owner:
            self.line.close()
            self._process.wait(20)


_starter: _Starter | None = None


def _network() -> str:
    """The network that this thread stands in."""
    return os.readlink("/proc/thread-self/ns/net") if sys.platform == "linux" else ""  # noqa: PTH115 - a name


_NETWORK = _network()


def _can_be_forked() -> bool:
    """Not where the tests stand in another machine's network: those that are forked would not."""
    warm = os.environ.get("CITYLOOM_TESTS_WARM") == "1"
    return warm and sys.platform == "linux" and _network() == _NETWORK


def start(
    words: Sequence[str],
    *,
    stdout: IO[Any] | int,
    stderr: IO[Any] | int,
    env: dict[str, str] | None = None,
    cwd: Path | str | None = None,
) -> Started:
    """A process of the command line with these words, or of the script that the first of them is.

    The streams are files, or `subprocess.DEVNULL`; it reads nothing.
    """
    global _starter
    if not _can_be_forked():
        command = list(words) if _is_script(words) else ["-m", COMMAND_LINE, *words]
        return subprocess.Popen(
            [*NOT_WITHOUT_US, sys.executable, *command], stdout=stdout, stderr=stderr, env=env, cwd=cwd
        )
    if _starter is None or _starter.owner != os.getpid():
        _starter = _Starter()
    with contextlib.ExitStack() as opened:
        nothing = opened.enter_context(Path(os.devnull).open("r+b"))
        files = [
            nothing.fileno() if one == subprocess.DEVNULL else one if isinstance(one, int) else one.fileno()
            for one in (nothing, stdout, stderr)
        ]
        return _starter.start(list(words), dict(env or os.environ), str(cwd or Path.cwd()), files)


def _serve(line: socket.socket) -> dict[str, Any]:
    """Fork for each order; returns in the process that was asked for, with the order."""
    while True:
        said, files, *_ = socket.recv_fds(line, LONGEST, 3)
        if not said:
            os._exit(0)
        reading, writing = os.pipe()
        between = os.fork()
        if between == 0:
            child = os.fork()
            if child:
                os.write(writing, str(child).encode())
                os._exit(0)
            os.close(reading)
            os.close(writing)
            return _become(json.loads(said), files, line)
        for file in (*files, writing):
            os.close(file)
        os.waitpid(between, 0)
        line.send(os.read(reading, 100))
        os.close(reading)


def _become(order: dict[str, Any], files: Sequence[int], line: socket.socket) -> dict[str, Any]:
    """Be as a process that the order's parent has started itself."""
    while os.getppid() != order["parent"]:
        os.sched_yield()
    # It ends with the tests that started it, also when they are killed.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    line.detach()
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.closerange(3, max(files) + 1)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    time.tzset()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(write_through=bool(os.environ.get("PYTHONUNBUFFERED")))
    return order


def _is_script(words: Sequence[str]) -> bool:
    return bool(words) and words[0].endswith(".py")


def _run(words: list[str]) -> int:
    """The command line, or a script, as if Python had been started with it."""
    if not _is_script(words):
        main = importlib.import_module(COMMAND_LINE).main
        sys.argv = ["cityloom", *words]
        sys.path[0] = str(Path.cwd())
        return main(words)
    sys.argv = words
    sys.path[0] = str(Path(words[0]).parent)
    runpy.run_path(words[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    for _name in LOADED:
        importlib.import_module(_name)
    # DuckDB opens a database of its own when it is loaded; the thread that works for it cannot be forked.
    importlib.import_module("duckdb").default_connection().close()
    gc.collect()
    gc.freeze()
    _order = _serve(socket.socket(fileno=os.dup(0)))
    sys.exit(_run(_order["words"]))
