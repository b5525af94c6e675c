"""What lists need of each Entity of a type: read anew only where the Entity has changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import orjson

from cityloom.context.broker import Broker
from cityloom.context.keeping import Kept, unpack
from cityloom.kernel.actor import CITY, Actor
from cityloom.ngsild.model import Document

_Summary = TypeVar("_Summary")


class Summaries(Generic[_Summary]):
    """Summaries of the Entities of one type, kept in memory. `read` makes one from a document."""

    def __init__(self, broker: Broker, type_name: str, read: Callable[[Document], _Summary]) -> None:
        self._broker = broker
        self._type_name = type_name
        self._read = read
        #: By the Entity as it is kept, which is another one once it has changed.
        self._summaries: dict[Kept, _Summary] = {}

    def all(self, actor: Actor) -> list[_Summary]:
        """Of the Entities that the actor may see, oldest first."""
        found = self._broker.kept_of_type(actor, self._type_name)
        if len(self._summaries) > 2 * self._broker.types(CITY).get(self._type_name, 0) + 1000:
            # Many of them are gone. Those that are still there are read again when they are asked for.
            self._summaries.clear()
        for kept in found:
            if kept not in self._summaries:
                self._summaries[kept] = self._read(orjson.loads(unpack(kept)))
        return [self._summaries[kept] for kept in found]
