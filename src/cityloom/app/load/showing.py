"""How far a load is: a bar and a rate on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

_BAR = 30
_EVERY_SECONDS = 0.1
_TENTHS = 10


class LoadProgress:
    """Writes rows, readings and readings a second to a stream."""

    def __init__(self, stream: TextIO, seconds: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._seconds = seconds
        self._began = seconds()
        self._shown = float("-inf")
        self._tenth = -1
        self._open = False

    def say(self, line: str) -> None:
        """A step that is not counted."""
        self.end()
        self._stream.write(f"{line}\n")
        self._stream.flush()

    def __call__(self, row: int, rows: int, readings: int) -> None:
        """`row` of `rows` are done with; `readings` were brought since the beginning."""
        now = self._seconds()
        rate = readings / max(now - self._began, 1e-3)
        share = row / max(rows, 1)
        line = f"{share:4.0%}  {row:,} of {rows:,} rows, {readings:,} readings, {rate:,.0f} a second"
        if self._stream.isatty():
            if now - self._shown < _EVERY_SECONDS and row < rows:
                return
            self._shown = now
            full = round(_BAR * share)
            self._stream.write(f"\r\x1b[K{'█' * full}{'·' * (_BAR - full)} {line}")
            self._stream.flush()
            self._open = True
        elif int(_TENTHS * share) != self._tenth:
            self._tenth = int(_TENTHS * share)
            self._stream.write(f"{line}\n")
            self._stream.flush()

    def end(self) -> None:
        """What comes next begins a line of its own."""
        if self._open:
            self._stream.write("\n")
            self._open = False
