"""Turns on the event loop for what takes long: pages of many rows, tables with all that is there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from time import perf_counter
from typing import TypeVar

_Part = TypeVar("_Part")
#: Seconds of work before others get their turn.
TURN_SECONDS = 0.005


class Turns:
    """Of everybody who works long one alone goes on between two turns of the others: however many pages are
    made at once, a reading waits for one part of one of them."""

    def __init__(self) -> None:
        self._one = asyncio.Lock()

    async def all(self, parts: Iterable[_Part]) -> list[_Part]:
        """What an iterable gives, worked at in turns."""
        found: list[_Part] = []
        until = perf_counter() + TURN_SECONDS
        for part in parts:
            found.append(part)
            if perf_counter() > until:
                async with self._one:
                    await asyncio.sleep(0)
                until = perf_counter() + TURN_SECONDS
        return found

    async def joined(self, parts: Iterable[str]) -> str:
        """The parts of a text, made in turns."""
        return "".join(await self.all(parts))
