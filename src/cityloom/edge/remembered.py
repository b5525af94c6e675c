"""What history knows of an Entity that does not stand here any more: its types and its class stay its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from cityloom.history.evolution_parts import class_of, types_of
from cityloom.history.model import Series
from cityloom.kernel.actor import CITY, Actor, InformationClass


class Remembered(msgspec.Struct, frozen=True):
    """The types and the class of an Entity over time."""

    types: tuple[str, ...] = ()
    information_class: InformationClass = InformationClass.OPEN


class Past(Protocol):
    """The part of history that is needed here."""

    def series(self, actor: Actor, target: Sequence[str], *, whole: bool = ...) -> list[Series]:
        """All that is remembered of some Entities, as far as the actor may see it."""
        ...


class PastAlone:
    """Looks Entities up in history, once it has come as far as the feed: `caught_up` waits for that."""

    def __init__(self, history: Past, caught_up: Callable[[], Awaitable[None]]) -> None:
        self._history = history
        self._caught_up = caught_up

    async def of(self, entity_ids: Sequence[str]) -> Mapping[str, Remembered]:
        """What is remembered, by Entity. Raises NotReady."""
        await self._caught_up()
        found: dict[str, list[Series]] = {}
        for one in self._history.series(CITY, entity_ids, whole=True):
            found.setdefault(one.key.entity_id, []).append(one)
        return {
            entity_id: Remembered(types_of(series), class_of(series) or InformationClass.OPEN)
            for entity_id, series in found.items()
        }
