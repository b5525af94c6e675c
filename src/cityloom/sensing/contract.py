"""What a connector looks like, and what the host gives it.

A connector is a folder `connectors/<id>/` with `manifest.toml`, `connector.py`, `README.md` and `samples/`.
`connector.py` holds a class `Connector`. Its constructor takes the settings and raises BadConfig when they
are wrong; `decode` is pure. How bytes reach it is either a transport of the platform, named in the manifest,
or a `listen` of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from cityloom.ngsild.model import Document
from cityloom.sensing.model import Message, Outcome

#: A connector's settings: what city.toml says, filled up with the manifest's defaults.
Settings = Mapping[str, Any]

SettingType = Literal["text", "secret", "number", "boolean", "path", "list", "table"]


class Setting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One setting in a manifest: what a form shows and what a check looks at."""

    type: SettingType
    #: One sentence for whoever fills it in, by language.
    help: dict[str, str]
    default: Any = None
    required: bool = False


class ConnectorManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A connector's manifest.toml, read before any of its code runs."""

    id: str
    title: str
    owner: str
    #: Types of the Entities it can write; "*" when settings decide.
    sends: tuple[str, ...]
    #: The platform's transport that carries its bytes; empty when it has a `listen` of its own.
    transport: str = ""
    kind: Literal["connector"] = "connector"
    settings: dict[str, Setting] = {}


class Inlet(Protocol):
    """Where a connector hands in what it heard."""

    @property
    def connector(self) -> str:
        """What the connector is called in this city."""
        ...

    async def deliver(self, message: Message) -> Outcome:
        """Returns once the readings, or the parked message with its reason, survive a power cut.

        Raises NotReady (StorageFull among others) when nothing was stored: do not acknowledge then.
        """
        ...

    async def deliver_many(self, messages: Sequence[Message]) -> list[Outcome]:
        """As `deliver`, in one commit; outcomes in the order of the messages."""
        ...

    async def deliver_documents(self, documents: Sequence[Document]) -> None:
        """Entities that need no decoding (tables, simulators), in one commit. Wrong ones are parked."""
        ...

    def listening(self, place: str) -> None:
        """Say where it listens or what it is connected to; the connector counts as running from here."""
        ...

    def troubled(self, error: str) -> None:
        """Say what hinders it at the moment; cleared by `listening` or by the next message."""
        ...


class Connector(Protocol):
    """Makes Entities of messages. Pure: same message, same documents."""

    def decode(self, message: Message) -> list[Document]:
        """The Entities a message speaks of. Raises BadInput naming the field."""
        ...


@runtime_checkable
class Listening(Protocol):
    """A connector that fetches or hears by itself."""

    async def listen(self, inlet: Inlet) -> None:
        """Hear and deliver until cancelled."""
        ...


class Transport(Protocol):
    """A way by which bytes reach connectors: the MQTT listener, an MQTT client, a replay."""

    async def run(self, connector: str, inlet: Inlet, settings: Settings) -> None:
        """Carry messages to the inlet until cancelled."""
        ...


class ReplaySource(Protocol):
    """A past, or a simulated present, that can be played: observations in the order of time.

    Built by a demo city or from tables. All instants aware UTC.
    """

    @property
    def name(self) -> str:
        """Short and stable, such as "aarhus"; part of ids."""
        ...

    @property
    def origin(self) -> Literal["replayed", "simulated"]:
        """The badge every Entity gets that brings no `dataOrigin` of its own."""
        ...

    @property
    def start(self) -> datetime:
        """The first instant that can be played."""
        ...

    @property
    def end(self) -> datetime:
        """The instant after the last that can be played."""
        ...

    def batches(self, since: datetime) -> Iterator[tuple[datetime, list[Document]]]:
        """Observations from `since` on: (the instant at which they become known, their Entities).

        Instants ascend and never repeat. Documents are partial Entities in the internal form, each
        attribute with its true observedAt. Called in a thread; may be called again after a seek.
        """
        ...
