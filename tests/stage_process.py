"""A process of its own that does a stage of a city: `cityloom up --stages history`."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import httpx2

from warm_start import start


class StageProcess:
    """A follower on the folder of a city, until `stop`."""

    def __init__(self, home: Path, log: Path, stages: str = "history", patience: float = 60) -> None:
        self._log = log.open("w+")
        self.process = start(
            ["up", "--stages", stages, "--home", str(home), "--port", "0"],
            stdout=self._log,
            stderr=self._log,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self.address = self._wait(patience)

    @property
    def said(self) -> str:
        return Path(self._log.name).read_text()

    def health(self) -> dict:
        return httpx2.get(f"{self.address}/healthz", timeout=10).json()

    def metrics(self) -> str:
        return httpx2.get(f"{self.address}/metrics", timeout=10).text

    def metric(self, name: str) -> float:
        return float(re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", self.metrics(), re.M)[1])

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)

    def _wait(self, patience: float) -> str:
        until = time.monotonic() + patience
        while time.monotonic() < until and self.process.poll() is None:
            found = re.search(r"(http://\S+)/readyz", self.said)
            if found and "Ctrl+C" in self.said:
                return found[1]
            time.sleep(0.05)
        self.process.kill()
        raise AssertionError(f"the process did not start:\n{self.said}")
