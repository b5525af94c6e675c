"""The columns that were asked for, remembered over a restart: the first question after it waits for none."""

from __future__ import annotations

import asyncio
import logging
from typing import NamedTuple

import msgspec

from cityloom.context.broker import Broker
from cityloom.context.ports import Entry, Register
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.errors import CityError
from cityloom.ngsild.q_language import Path

_log = logging.getLogger(__name__)

#: As which the register keeps them: a document for each class of a tenant.
KIND = "columns"
#: Seconds between two looks at what is asked for.
LOOK_S = 60.0

_decode = msgspec.json.Decoder(list[Path]).decode


class Shelf(NamedTuple):
    """Where Entities lie together, and columns are made of them."""

    tenant: str
    information_class: InformationClass


class Warming:
    """Makes the columns that the city had before its restart, and notes which ones it has."""

    def __init__(self, broker: Broker, register: Register) -> None:
        self._broker = broker
        self._register = register
        self._noted: dict[Shelf, frozenset[Path]] = {}
        #: Set when there are the columns that the city had, or it cannot be told which.
        self.done = asyncio.Event()

    async def run(self) -> None:
        """Make what there was, then look what is asked for until cancelled."""
        try:
            await self.warm()
        finally:
            self.done.set()
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.note()
            except CityError as error:
                _log.warning("Which columns are asked for is noted later: %s", error)

    async def warm(self) -> None:
        """Make the columns that were noted, in turns between which others are answered."""
        for entry in await asyncio.to_thread(self._register.load, KIND):
            try:
                shelf = Shelf(entry.tenant, InformationClass[entry.id])
                paths = _decode(entry.document)
            except (KeyError, msgspec.MsgspecError):
                _log.warning("Columns of class %s were noted in a way that is not known", entry.id)
                continue
            self._noted[shelf] = frozenset(paths)
            await self._broker.make_columns(*shelf, paths)

    async def note(self) -> None:
        """Note which columns there are. Raises StorageFull, NotReady."""
        for tenant, information_class, paths in self._broker.columns():
            shelf = Shelf(tenant, information_class)
            if self._noted.get(shelf, frozenset()) != frozenset(paths):
                entry = Entry(tenant, information_class.name, msgspec.json.encode(paths))
                await asyncio.to_thread(self._register.put, KIND, entry)
                self._noted[shelf] = frozenset(paths)
