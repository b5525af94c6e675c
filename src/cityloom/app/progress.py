"""How far a download is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

_BAR = 30
_EVERY_SECONDS = 0.1
#: Off a terminal a line is written each time another tenth is done.
_TENTHS = 10


class ShownProgress:
    """Writes bytes, percent and the time that is left to a stream. Not called from two threads at once.

    With a `unit` it is so many of those, instead of bytes.
    """

    def __init__(
        self, stream: TextIO, seconds: Callable[[], float] = time.monotonic, *, unit: str = ""
    ) -> None:
        self._stream = stream
        self._unit = unit
        self._seconds = seconds
        self._label = ""
        self._began = 0.0
        self._began_at = 0
        self._shown = float("-inf")
        self._tenth = -1
        self._counting = False

    def __call__(self, label: str, done: int, total: int) -> None:
        """`done` of `total` bytes, or `done` things where a total of 0 says that the end is not known."""
        now = self._seconds()
        if label != self._label:
            self._label, self._began, self._began_at = label, now, done
            self._shown, self._tenth = float("-inf"), -1
        if total <= 0:
            self._count(now, done)
            return
        line = progress_line(done, total, now - self._began, done - self._began_at, self._unit)
        if self._stream.isatty():
            self._draw(line, now, done, total)
        else:
            self._tell(line, done, total)

    def _count(self, now: float, done: int) -> None:
        """A running number on a terminal; elsewhere there is no end to report."""
        if self._stream.isatty() and now - self._shown >= _EVERY_SECONDS:
            self._shown = now
            self._counting = True
            self._stream.write(f"\r\x1b[K{self._label}: {done:,}")
            self._stream.flush()

    def end(self) -> None:
        """What comes next begins a line of its own."""
        if self._counting:
            self._counting = False
            self._stream.write("\n")
            self._stream.flush()

    def _draw(self, line: str, now: float, done: int, total: int) -> None:
        if now - self._shown < _EVERY_SECONDS and done < total:
            return
        self._shown = now
        full = _BAR * done // total
        bar = "█" * full + "·" * (_BAR - full)
        end = "\n" if done >= total else ""
        self._stream.write(f"\r\x1b[K{self._label} {bar} {line}{end}")
        self._stream.flush()

    def _tell(self, line: str, done: int, total: int) -> None:
        tenth = _TENTHS * done // total
        if tenth != self._tenth:
            self._tenth = tenth
            self._stream.write(f"{self._label}: {line}\n")
            self._stream.flush()


def progress_line(done: int, total: int, seconds: float, fresh: int, unit: str = "") -> str:
    """Such as "12.3 of 847.0 MB, 1 %, about 4 min left". `fresh` bytes of `done` came in `seconds`."""
    percent = 100 * done // total
    of = f"{done:,} of {total:,} {unit}" if unit else f"{done / 1e6:.1f} of {total / 1e6:.1f} MB"
    line = f"{of}, {percent} %"
    if done >= total or fresh <= 0 or seconds <= 0:
        return line
    left = (total - done) * seconds / fresh
    return f"{line}, about {f'{left / 60:.0f} min' if left >= 90 else f'{left:.0f} s'} left"
