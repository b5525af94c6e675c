"""What sensing knows: a device, what its numbers mean, a message, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from cityloom.kernel.actor import InformationClass
from cityloom.kernel.media_types import JSON


class Measure(msgspec.Struct, frozen=True):
    """What one field of a device's message becomes: an attribute, in a unit (UN/CEFACT code or none)."""

    attribute: str
    unit: str | None = None


class Profile(msgspec.Struct, frozen=True):
    """What a device's messages are about: the Entity it reports on and the meaning of each field.

    Fields that `measures` does not name are left out; without any measures every field is taken under its
    own name, in the unit of the data model. `time_field` holds the instant of the observation; without it
    the time of receipt counts.
    """

    entity_type: str
    entity_id: str
    measures: dict[str, Measure] = {}
    time_field: str = ""


class Device(msgspec.Struct, frozen=True):
    """An admitted device, as connectors see it. Its credentials stay in the registry."""

    id: str
    name: str = ""
    profile: Profile | None = None
    #: MQTT topic filters it may publish to beside `cityloom/<id>/…`; what makes a gateway of it.
    publishes: tuple[str, ...] = ()
    #: The class of what it reports, where it differs from the city's policy for the type.
    information_class: InformationClass | None = None

    @property
    def entity_id(self) -> str:
        """The Entity that stands for the device itself."""
        return f"urn:ngsi-ld:Device:{self.id}"


class Message(msgspec.Struct, frozen=True, gc=False):
    """What arrived from outside, before anybody has understood it."""

    #: The connector it came through.
    connector: str
    #: Where it was addressed to: a topic, a path, a file and row.
    address: str
    body: bytes
    #: The city's time of receipt.
    received_at: datetime
    device: Device | None = None
    content_type: str = JSON
    #: Types of the Entity it is about, where that is known before it is understood.
    entity_types: tuple[str, ...] = ()


class Outcome(msgspec.Struct, frozen=True):
    """What became of a message. `reason` and `hint` say why it was parked."""

    parked: bool = False
    #: Parked because its sender may not say this.
    refused: bool = False
    reason: str = ""
    hint: str = ""


#: The message's readings are durable.
STORED = Outcome()


class DeviceRecord(msgspec.Struct, frozen=True):
    """A device with its credentials, as the registry keeps it."""

    device: Device
    admitted_at: datetime
    admitted_by: str
    #: SHA-256 of the token in hex; the token itself is kept nowhere.
    token_digest: str
    #: SHA-256 of the certificate in hex, and the certificate as PEM; empty without one.
    fingerprint: str = ""
    certificate: str = ""
    revoked_at: datetime | None = None


class Waiting(msgspec.Struct, frozen=True):
    """Somebody who asked to connect and is not admitted."""

    name: str
    address: str
    since: datetime
    last: datetime
    count: int = 1


class ParkedReading(msgspec.Struct, frozen=True):
    """A message that could not be understood or stored, with the reason."""

    #: Given by the store when it is kept, ascending; 0 before.
    id: int
    at: datetime
    connector: str
    address: str
    device: str
    reason: str
    hint: str
    #: What of the message is at fault: a field, a line.
    where: str
    #: The message, cut off after `parked.LONGEST_BODY` bytes.
    body: bytes
    content_type: str
    truncated: bool = False
    #: Who may see it: the class that its reading would have had; internal where that is not known.
    information_class: InformationClass = InformationClass.INTERNAL


class Wish(msgspec.Struct, frozen=True):
    """A Command on its way to a device."""

    id: str
    device_id: str
    command: str
    value: Any = None
    issued: str = ""
    valid_to: datetime | None = None
