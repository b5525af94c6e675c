"""Sets pages as PDF, each in a child: few at a time, in bounded time and memory."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress

import msgspec

from cityloom.adapters.weasyprint.typesetting import NOT_INSTALLED
from cityloom.kernel.errors import NotReady
from cityloom.web.printing import CannotPrint, Sheet, TooLongToPrint

_log = logging.getLogger(__name__)

#: Children at a time, and those who wait for one.
AT_ONCE, MOST_WAITING = 2, 8
#: Seconds from the start of a child to its end.
LONGEST_S = 120.0
#: Letters of a page, and bytes of a PDF.
LARGEST_PAGE, LARGEST_PDF = 4_000_000, 40_000_000
_CHILD = "cityloom.adapters.weasyprint.typesetting"
#: What of the environment the child gets: where things lie, and no secrets.
_ENVIRONMENT = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "PYTHONPATH",
    "XDG_CACHE_HOME",
    "FONTCONFIG_FILE",
    "FONTCONFIG_PATH",
)


class WeasyPrinter:
    """A `web.printing.Printer` over WeasyPrint. To be used on one event loop."""

    def __init__(self, *, longest_s: float = LONGEST_S) -> None:
        self._longest_s = longest_s
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._asked = 0

    async def pdf(self, sheet: Sheet) -> bytes:
        """A PDF of the document; see `Printer`."""
        if len(sheet.html) > LARGEST_PAGE:
            raise _too_long()
        if self._asked >= AT_ONCE + MOST_WAITING:
            raise NotReady("Many pages are being printed", hint="Ask again in a minute.")
        self._asked += 1
        try:
            async with self._turns:
                return await self._of_child(msgspec.json.encode(sheet))
        finally:
            self._asked -= 1

    async def _of_child(self, task: bytes) -> bytes:
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", _CHILD, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment
        )
        try:
            content, said = await asyncio.wait_for(child.communicate(task), self._longest_s)
        except TimeoutError:
            raise _too_long() from None
        finally:
            await _ended(child)
        if child.returncode == NOT_INSTALLED:
            raise _not_installed(said)
        if child.returncode != 0 or len(content) > LARGEST_PDF:
            # Ended by a bound, or by a fault whose last words are for the operator.
            _log.warning(
                "A page was not printed (%s): %s", child.returncode, said.decode(errors="replace")[-2000:]
            )
            raise _too_long()
        return content


async def _ended(child: Process) -> None:
    """Nobody waits for the child any more."""
    if child.returncode is None:
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()


def _not_installed(said: bytes) -> CannotPrint:
    reason = said.decode(errors="replace").strip().partition("\n")[0][:200]
    return CannotPrint(
        "This city makes no PDF yet: WeasyPrint or the system's Pango is missing",
        hint="Install both: pip install 'cityloom[reports]', and Pango "
        f"(Debian: apt install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0). {reason}",
    )


def _too_long() -> TooLongToPrint:
    return TooLongToPrint(
        "This page is too long to be set as PDF", hint="Ask for a part of it, or take it as CSV or JSON."
    )
