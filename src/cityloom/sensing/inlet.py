"""The way from a connector's message to a durable reading, or to the list of what was parked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Literal

import msgspec
import orjson

from cityloom.context.broker import Broker
from cityloom.kernel.actor import AS_THE_PLATFORM, Actor, InformationClass
from cityloom.kernel.errors import BrokenPlugin, CityError, NotAllowed, NotReady
from cityloom.kernel.time import Clock
from cityloom.ngsild.model import Document
from cityloom.sensing.contract import Connector
from cityloom.sensing.model import STORED, Message, Outcome
from cityloom.sensing.models import DataModels
from cityloom.sensing.newest import Newest
from cityloom.sensing.parked import ParkedReadings

State = Literal["stopped", "starting", "running", "troubled", "broken"]


class Tally(msgspec.Struct):
    """How a connector is getting on, since the city was started."""

    state: State = "stopped"
    #: Where it listens or what it is connected to.
    place: str = ""
    received: int = 0
    #: Messages whose readings are durable.
    stored: int = 0
    parked: int = 0
    last_message_at: datetime | None = None
    last_error: str = ""
    last_error_at: datetime | None = None


class CityInlet:
    """An `Inlet`: decodes, checks, writes in one commit, parks what is wrong."""

    def __init__(
        self,
        connector_id: str,
        connector: Connector,
        *,
        broker: Broker,
        models: DataModels,
        parked: ParkedReadings,
        clock: Clock,
        newest: Newest,
    ) -> None:
        self.tally = Tally()
        self._id = connector_id
        self._connector = connector
        self._broker = broker
        self._models = models
        self._parked = parked
        self._clock = clock
        self._newest = newest
        self._trace = f"connector:{connector_id}"
        self._actor = Actor(
            id=f"connector:{connector_id}",
            name=connector_id,
            roles=frozenset({"connector"}),
            # It says where readings come from. Of what belongs to rooms it writes devices alone.
            permissions=frozenset({"entities:write", "entities:classify", "devices:admit", AS_THE_PLATFORM}),
            clearance=frozenset(InformationClass),
        )

    @property
    def connector(self) -> str:
        return self._id

    async def deliver(self, message: Message) -> Outcome:
        return (await self.deliver_many([message]))[0]

    async def deliver_many(self, messages: Sequence[Message]) -> list[Outcome]:
        tally = self.tally
        now = self._clock.now()
        tally.received += len(messages)
        tally.last_message_at = now
        errors: dict[int, CityError] = {}
        decoded: list[tuple[int, Document]] = []
        for index, message in enumerate(messages):
            try:
                documents = self._decode(message, now)
            except CityError as error:
                errors[index] = error
            else:
                decoded += [(index, document) for document in documents]
        for information_class, group in _by_class(decoded, messages):
            errors.update(await self._write(group, information_class))
        if errors:
            await self._park([(messages[index], error) for index, error in sorted(errors.items())])
        tally.stored += len(messages) - len(errors)
        tally.parked += len(errors)
        self._well()
        if not errors:
            return [STORED] * len(messages)
        return [_outcome(errors.get(index)) for index in range(len(messages))]

    async def deliver_documents(self, documents: Sequence[Document]) -> None:
        tally = self.tally
        now = self._clock.now()
        tally.received += len(documents)
        tally.last_message_at = now
        errors: dict[int, CityError] = {}
        good: list[tuple[int, Document]] = []
        for index, document in enumerate(documents):
            try:
                self._models.check(document, now)
            except CityError as error:
                errors[index] = error
            else:
                good.append((index, document))
        errors.update(await self._write(good, None))
        if errors:
            await self._park(
                [(self._as_message(documents[index], now), error) for index, error in sorted(errors.items())]
            )
        tally.stored += len(documents) - len(errors)
        tally.parked += len(errors)
        self._well()

    def listening(self, place: str) -> None:
        self.tally.place = place
        self.tally.state = "running"

    def troubled(self, error: str) -> None:
        self.tally.state = "troubled"
        self._note_error(error)

    def _decode(self, message: Message, now: datetime) -> list[Document]:
        try:
            documents = self._connector.decode(message)
            for document in documents:
                self._models.fit(document, now)
        except CityError:
            raise
        except Exception as error:  # a plugin may raise anything; the city goes on without it
            self.tally.state = "broken"
            broken = BrokenPlugin(
                f"The connector {self._id} failed: {type(error).__name__}: {error}",
                hint="Tell its owner; the message is kept and can be tried again.",
            )
            self._note_error(broken.message)
            raise broken from error
        return documents

    async def _write(
        self, decoded: Sequence[tuple[int, Document]], information_class: InformationClass | None
    ) -> dict[int, CityError]:
        """Write documents in one commit. Returns what was refused, by the index of its message."""
        if not decoded:
            return {}
        documents: list[Document] = []
        for _, document in decoded:
            behind = self._newest.arrange(document)
            documents.append(document)
            if behind is not None:
                documents.append(behind)
        try:
            outcome = await self._broker.upsert_many(
                self._actor, documents, update=True, information_class=information_class, trace=self._trace
            )
        except CityError as error:
            self._lose(documents, error)
            raise
        if not outcome.errors:
            return {}
        refused = dict(outcome.errors)
        for entity_id, refusal in outcome.errors:
            self._newest.forget(entity_id)
            if isinstance(refusal, NotReady):
                # A part of the batch was not stored: nobody is told that it was, and it comes again.
                self._lose(documents, refusal)
                raise refusal
        return {index: refused[item["id"]] for index, item in decoded if item["id"] in refused}

    async def _park(self, parked: Sequence[tuple[Message, CityError]]) -> None:
        # Everybody who sees how connectors are may read the last error: no word of a secret message.
        told = [e for m, e in parked if self._parked.class_of(m) < InformationClass.SECURITY]
        self._note_error(str(told[-1]) if told else "A message of the security class was parked")
        try:
            await self._parked.park(parked)
        except CityError as error:
            self.troubled(str(error))
            raise

    def _lose(self, documents: Sequence[Document], error: CityError) -> None:
        for document in documents:
            self._newest.forget(document["id"])
        self.troubled(str(error))

    def _well(self) -> None:
        if self.tally.state == "troubled":
            self.tally.state = "running"

    def _note_error(self, error: str) -> None:
        self.tally.last_error = error[:1000]
        self.tally.last_error_at = self._clock.now()

    def _as_message(self, document: Document, now: datetime) -> Message:
        body = orjson.dumps(document)
        return Message(
            self._id, str(document.get("id", "")), body, now, entity_types=tuple(document.get("type", ()))
        )


def _by_class(
    decoded: Sequence[tuple[int, Document]], messages: Sequence[Message]
) -> list[tuple[InformationClass | None, list[tuple[int, Document]]]]:
    """Runs of documents that get the same information class; nearly always one run."""
    classes = {device.information_class if (device := one.device) else None for one in messages}
    if len(classes) == 1:
        return [(classes.pop(), list(decoded))]

    def class_of(item: tuple[int, Document]) -> InformationClass | None:
        device = messages[item[0]].device
        return device.information_class if device is not None else None

    return [(found, list(run)) for found, run in groupby(decoded, class_of)]


def _outcome(error: CityError | None) -> Outcome:
    if error is None:
        return STORED
    return Outcome(True, isinstance(error, NotAllowed), error.message, error.hint)


async def settle(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
