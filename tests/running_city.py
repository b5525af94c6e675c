"""A real city in a process of its own, as a person at a terminal starts it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryFile

import httpx2

from loopback_servers import NO_CERTIFICATES
from warm_start import start

COMMAND = (sys.executable, "-m", "cityloom.app.command_line")


def run(
    *words: object, cwd: Path | str | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """`cityloom <words>` until it ends: its status, and what it said on each of its streams."""
    told = [str(word) for word in words]
    with TemporaryFile("w+") as out, TemporaryFile("w+") as errors:
        process = start(told, stdout=out, stderr=errors, cwd=cwd)
        try:
            status = process.wait(timeout)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        for stream in (out, errors):
            stream.seek(0)
        return subprocess.CompletedProcess(told, status, out.read(), errors.read())


def ask(*words: object, status: int = 0) -> str:
    """What `cityloom <words>` says in a terminal, on both its streams, before it ends with this status."""
    done = run(*words)
    assert done.returncode == status, (done.returncode, done.stdout + done.stderr)
    return done.stdout + done.stderr


class RunningCity:
    """`cityloom <words>` on a folder, until `stop`. Addresses are those it wrote down itself."""

    def __init__(self, home: Path, *words: str, patience: float = 90) -> None:
        self.home = home
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self._log = (home.parent / f"{home.name}.log").open("w+")
        self.process = start(
            [*words, "--home", str(home), "--port", "0", "--mqtt-port", "0"],
            stdout=self._log,
            stderr=self._log,
            env=environment,
        )
        self.address, self.key = self._wait(patience)
        self.web = httpx2.Client(base_url=self.address, timeout=30, verify=NO_CERTIFICATES)

    @property
    def said(self) -> str:
        """All that it printed so far."""
        self._log.flush()
        return Path(self._log.name).read_text()

    @property
    def as_terminal(self) -> dict[str, str]:
        """Headers that let in whoever can read the city's folder."""
        return {"authorization": f"Bearer {self.key}"}

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.web.close()
        self.process.send_signal(number)
        return self.process.wait(30)

    def _wait(self, patience: float) -> tuple[str, str]:
        until = time.monotonic() + patience
        while time.monotonic() < until and self.process.poll() is None:
            try:
                found = json.loads((self.home / "running.json").read_text())
            except (OSError, ValueError):
                time.sleep(0.05)
                continue
            # The address is written down a moment before it is told.
            if found["process"] == self.process.pid and "Ctrl+C" in self.said:
                return found["address"], found["key"]
            time.sleep(0.05)
        self.process.kill()
        raise AssertionError(f"the city did not start:\n{self.said}")
