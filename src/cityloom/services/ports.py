"""What the host of the services needs of the outside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from cityloom.history.answers import Matrix as Table
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.change import Change
from cityloom.kernel.errors import CityError
from cityloom.ngsild.model import Document
from cityloom.services.contract import Trained


class Outcome(Protocol):
    """What became of a batch: `errors` holds (entity id, reason) of those refused."""

    @property
    def errors(self) -> Sequence[tuple[str, CityError]]: ...


class Context(Protocol):
    """The part of the context broker that services need."""

    def of_type(self, actor: Actor, type_name: str) -> list[Document]:
        """Every Entity of a type that the actor may see."""
        ...

    def find(self, actor: Actor, entity_id: str) -> Document | None: ...

    def class_of(self, actor: Actor, entity_id: str) -> InformationClass: ...

    async def upsert_many(
        self,
        actor: Actor,
        documents: Sequence[Document],
        *,
        update: bool,
        information_class: InformationClass | None = None,
        trace: str = "",
    ) -> Outcome:
        """Create the Entities, or write the given attribute instances onto those that exist."""
        ...

    def follow(
        self, stage: str, handler: Callable[[list[Change]], Awaitable[None]], *, durable: bool
    ) -> object: ...


class Series(Protocol):
    """The part of history that services need."""

    def matrix(
        self,
        actor: Actor,
        type_name: str,
        attribute: str,
        since: datetime,
        until: datetime,
        step: timedelta,
        dataset: str = "",
    ) -> Table:
        """All Entities of a type over time, as `cityloom.history.queries.History` gives them. Blocking."""
        ...


class ParameterStore(Protocol):
    """Keeps what services have learned. Called from worker threads, one service at a time."""

    def load(self, service: str) -> Trained | None:
        """The parameters kept last, None when there are none."""
        ...

    def save(self, service: str, trained: Trained) -> None:
        """Replace the parameters durably: after a crash the old or the new ones are there, whole."""
        ...
