"""Looks up names of hosts that strangers chose, in threads, so that those of one keep nobody else waiting.

A look-up cannot be broken off: a name server that never answers holds its thread for as long as the system's
resolver waits. So each site (`receiver.example`, with all names below it) has few threads at once, and one
that has hung shares a few threads with others that have, until it answers in time again.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from cityloom.kernel.outbound import Unreachable

#: Threads for names of sites that answered last, and for those that hung.
THREADS = 32
THREADS_OF_SUSPECTS = 4
#: Look-ups of one site at once.
OF_ONE_SITE = 4
#: Seconds for one look-up.
DEADLINE = 5.0
#: Sites that have hung of which that is known; the oldest are forgotten.
MOST_SUSPECTS = 10_000

#: The numbers of a host, by its name and the port. Blocking. Raises OSError, UnicodeError.
Look = Callable[[str, int], list[str]]


class Names:
    """Lives on the event loop."""

    def __init__(self, look: Look | None = None, *, deadline: float = DEADLINE) -> None:
        self._look = look or _looked_up
        self._deadline = deadline
        self._trusted = ThreadPoolExecutor(THREADS, thread_name_prefix="names")
        self._suspects = ThreadPoolExecutor(THREADS_OF_SUSPECTS, thread_name_prefix="names that hung")
        self._hung: dict[str, None] = {}
        self._free: dict[str, asyncio.Semaphore] = {}
        #: How many ask for names of a site.
        self._asking: Counter[str] = Counter()

    async def numbers(self, host: str, port: int) -> list[str]:
        """The numbers behind a name. Raises Unreachable when nobody knows it, or nobody says so in time."""
        site = site_of(host)
        begun: list[bool] = []
        self._asking[site] += 1
        try:
            async with asyncio.timeout(self._deadline):
                found = await asyncio.shield(await self._looking(site, host, port, begun))
        except TimeoutError:
            if begun:
                self._hung[site] = None
                if len(self._hung) > MOST_SUSPECTS:
                    del self._hung[next(iter(self._hung))]
            raise _unknown(host, f"nobody says so in time ({self._deadline:g} s)") from None
        except (OSError, UnicodeError) as error:
            raise _unknown(host, str(error)) from None
        finally:
            self._leave(site)
        self._hung.pop(site, None)
        return found

    async def _looking(self, site: str, host: str, port: int, begun: list[bool]) -> asyncio.Future[list[str]]:
        """A look-up that has a thread or waits for one; its site is free for another once it has ended."""

        def look() -> list[str]:
            begun.append(True)
            return self._look(host, port)

        free = self._free.setdefault(site, asyncio.Semaphore(OF_ONE_SITE))
        await free.acquire()
        pool = self._suspects if site in self._hung else self._trusted
        looking = asyncio.get_running_loop().run_in_executor(pool, look)
        self._asking[site] += 1

        def ended(done: asyncio.Future[list[str]]) -> None:
            free.release()
            self._leave(site)
            if not done.cancelled():
                # Nobody may be waiting for it any more.
                done.exception()

        looking.add_done_callback(ended)
        return looking

    def _leave(self, site: str) -> None:
        self._asking[site] -= 1
        if self._asking[site] <= 0:
            del self._asking[site]
            self._free.pop(site, None)


def site_of(host: str) -> str:
    """The last two labels of a name: whose name servers answer for it, as far as can be told from it."""
    return ".".join(host.lower().rstrip(".").split(".")[-2:])


def _looked_up(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _unknown(host: str, why: str) -> Unreachable:
    return Unreachable(
        f"Nobody knows the name {host[:100]!a}: {why}", hint="Check the address.", where=host[:100]
    )


#: One for all who send: the threads are the machine's.
NAMES = Names()
