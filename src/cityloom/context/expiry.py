"""Transient entities and attributes (ETSI GS CIM 009, 4.22): at `expiresAt` they go, by the city's clock."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import chain

import msgspec
import orjson

from cityloom.context.state import CurrentState, Held
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import Change, ChangeKind
from cityloom.kernel.errors import CityError
from cityloom.kernel.time import Clock, parse_instant
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.model import Document
from cityloom.ngsild.transience import expiries_within

#: Stands in every document that has something to expire, so that the others need not be parsed.
_MARK = b'"expiresAt":'
_EVERY_CLASS = tuple(InformationClass)
#: Removals that share commits.
_REMOVED_AT_ONCE = 1_000
#: How long what cannot be removed is left alone.
_REST = timedelta(seconds=10)

_log = logging.getLogger(__name__)


class Expired(msgspec.Struct, frozen=True):
    """Something whose time has come: a whole Entity, (with a name) one instance of an attribute, or (with
    an instant) all within its attributes that has expired until then."""

    tenant: str
    entity_id: str
    name: str = ""
    dataset: str | None = None
    within_until: datetime | None = None


class Expiry:
    """Knows what expires next."""

    def __init__(self, state: CurrentState) -> None:
        self._state = state
        self._agenda: list[tuple[datetime, str, str]] = []
        for tenant in state.tenants(_EVERY_CLASS):
            for held in state.all(tenant, _EVERY_CLASS):
                if held.kept.find(_MARK) >= 0:
                    self.note(tenant, held.entity_id, held.document)

    def committed(self, changes: Iterable[Change]) -> None:
        """Remember when something that was written expires."""
        for change in changes:
            if _MARK in change.document and change.kind is not ChangeKind.PAST:
                self.note(change.tenant, change.entity_id, change.document)

    def note(self, tenant: str, entity_id: str, text: bytes) -> None:
        """Remember when something of this document expires, if anything does."""
        if _MARK in text:
            document = orjson.loads(text)
            whole = (when for when, _, _ in _expiries(document))
            when = min(chain(whole, expiries_within(document["attrs"])), default=None)
            if when is not None:
                heapq.heappush(self._agenda, (when, tenant, entity_id))

    @property
    def is_idle(self) -> bool:
        """Whether nothing will expire."""
        return not self._agenda

    def is_due(self, now: datetime) -> bool:
        """Whether something may have expired by now."""
        return bool(self._agenda) and self._agenda[0][0] <= now

    def due(self, now: datetime) -> list[Expired]:
        """What has expired by now. What has a later time meanwhile was noted again when it got it."""
        found: dict[Expired, None] = {}
        while self._agenda and self._agenda[0][0] <= now:
            _, tenant, entity_id = heapq.heappop(self._agenda)
            held = self._state.find(tenant, entity_id, _EVERY_CLASS)
            if held is not None:
                found |= dict.fromkeys(_expired(tenant, held, now))
        return list(found)

    def again(self, expired: Expired, when: datetime) -> None:
        """Try once more at `when`: it could not be removed."""
        heapq.heappush(self._agenda, (when, expired.tenant, expired.entity_id))


class Sweeper:
    """Removes what has expired by the city's clock."""

    def __init__(self, expiry: Expiry, clock: Clock, remove: Callable[[Expired], Awaitable[None]]) -> None:
        self._expiry = expiry
        self._clock = clock
        self._remove = remove
        self._sweeping = asyncio.Lock()

    async def run(self) -> None:
        """Sweep once a second, for ever."""
        while True:
            await self.sweep()
            await asyncio.sleep(1)

    async def sweep(self) -> None:
        """Remove what has expired by now; waits for a sweep that is under way."""
        if not self._sweeping.locked() and (
            self._expiry.is_idle or not self._expiry.is_due(self._clock.now())
        ):
            return
        async with self._sweeping:
            due = self._expiry.due(self._clock.now())
            for start in range(0, len(due), _REMOVED_AT_ONCE):
                await asyncio.gather(*map(self._removed, due[start : start + _REMOVED_AT_ONCE]))

    async def _removed(self, expired: Expired) -> None:
        try:
            await self._remove(expired)
        except ResourceNotFound:
            pass  # somebody was quicker
        except CityError as refused:
            _log.warning("%s has expired and stays for now: %s", expired.entity_id, refused)
            self._expiry.again(expired, self._clock.now() + _REST)


def _expired(tenant: str, held: Held, now: datetime) -> Iterator[Expired]:
    document = orjson.loads(held.document)
    over = [(name, dataset) for when, name, dataset in _expiries(document) if when <= now]
    if ("", None) in over:
        yield Expired(tenant, held.entity_id)
        return
    for name, dataset in over:
        yield Expired(tenant, held.entity_id, name, dataset)
    if any(when <= now for when in expiries_within(document["attrs"])):
        yield Expired(tenant, held.entity_id, within_until=now)


def _expiries(document: Document) -> Iterator[tuple[datetime, str, str | None]]:
    """When what expires: the Entity (no name), or an instance by name and datasetId."""
    if "expiresAt" in document:
        yield parse_instant(document["expiresAt"], where="expiresAt"), "", None
    for name, items in document["attrs"].items():
        for item in items:
            if "expiresAt" in item:
                yield parse_instant(item["expiresAt"], where="expiresAt"), name, item.get("datasetId")
