"""Warnings on their way to people who must act: recipients, deliveries, receipts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from cityloom.context.reading import ids, instant, items, texts, word, words
from cityloom.kernel.time import format_instant
from cityloom.ngsild.model import Document, Instance, entity, json_value, prop, rel

RECIPIENT, DELIVERY, ALERT, COMMAND = "WarningRecipient", "WarningDelivery", "Alert", "Command"
SEVERITIES = ("informational", "low", "medium", "high", "critical")
#: What a device is told to do with a warning.
WARN = "warn"


class Status(StrEnum):
    """Where a delivery stands. Sent is not delivered, and delivered is not confirmed."""

    SENT = "sent"
    #: The device has acknowledged it.
    DELIVERED = "delivered"
    #: Somebody has said that they know.
    CONFIRMED = "confirmed"
    #: Nobody has, in time: others were told.
    UNCONFIRMED = "unconfirmed"
    #: The device could not take it, or did not come in time.
    FAILED = "failed"
    #: The warning ended before it was confirmed.
    ENDED = "ended"


#: A receipt may still come.
AWAITED = frozenset({Status.SENT, Status.DELIVERED, Status.FAILED})


class Channel(msgspec.Struct, frozen=True, omit_defaults=True):
    """One way to reach somebody: their page, or a device of theirs."""

    kind: Literal["page", "device"]
    #: The id of the Device Entity.
    device: str = ""

    @property
    def name(self) -> str:
        """Short and distinct among a recipient's channels."""
        return self.kind if self.kind == "page" else f"device:{self.device.rpartition(':')[2]}"


class Recipient(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who wants to be warned."""

    id: str
    name: str
    #: Audiences they belong to: growers, operators.
    audience: tuple[str, ...]
    channels: tuple[Channel, ...]
    language: str = "en"
    #: Entities they care for; empty: every warning to their audience.
    watches: tuple[str, ...] = ()
    #: The account that sees the page's inbox and confirms.
    account: str = ""
    #: How staff reach them when no receipt comes.
    phone: str = ""


class Alarm(msgspec.Struct, frozen=True):
    """What of an Alert is delivered to people."""

    id: str
    raised_by: str
    #: Where it comes from: measured, replayed, simulated, estimated, entered.
    origin: str
    about: tuple[str, ...]
    severity: str
    description: Mapping[str, str]
    audience: tuple[str, ...]
    escalate_to: tuple[str, ...]
    confirm_within: timedelta | None
    valid_from: datetime | None
    valid_to: datetime | None
    is_over: bool


class Delivery(msgspec.Struct, frozen=True):
    """A delivery read from its Entity."""

    id: str
    alert: str
    recipient: str
    channel: str
    severity: str
    status: str
    text: Mapping[str, str]
    sent_at: datetime | None
    delivered_at: datetime | None
    confirm_until: datetime | None
    confirmed_at: datetime | None
    confirmed_by: str
    escalated_at: datetime | None
    #: The digest of the code that confirms it.
    code_digest: str
    command: str

    @property
    def rank(self) -> int:
        return rank_of(self.severity)


def rank_of(severity: str) -> int:
    """The place of a severity in `SEVERITIES`; an unknown one ranks as the most severe."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)


def alarm_of(document: Document) -> Alarm:
    """The warning that an Entity of the type Alert is."""
    return Alarm(
        id=document["id"],
        raised_by=word(document, "raisedBy"),
        origin=word(document, "dataOrigin"),
        about=ids(document, "alertSource"),
        severity=word(document, "severity"),
        description=texts(document, "description"),
        audience=words(document, "audience"),
        escalate_to=words(document, "escalateTo"),
        confirm_within=_length(word(document, "confirmWithin")),
        valid_from=instant(document, "validFrom"),
        valid_to=instant(document, "validTo"),
        is_over=word(document, "status") == "cleared",
    )


def recipient_of(document: Document) -> Recipient:
    """The recipient that an Entity is."""
    return Recipient(
        id=document["id"],
        name=next(iter(texts(document, "name").values()), document["id"].rpartition(":")[2]),
        audience=words(document, "audience"),
        channels=items(document, "channels", Channel),
        language=word(document, "language") or "en",
        watches=ids(document, "watches"),
        account=word(document, "account"),
        phone=word(document, "phone"),
    )


def delivery_of(document: Document) -> Delivery:
    """The delivery that an Entity is."""
    return Delivery(
        id=document["id"],
        alert=next(iter(ids(document, "basedOn")), ""),
        recipient=next(iter(ids(document, "recipient")), ""),
        channel=word(document, "channel"),
        severity=word(document, "severity"),
        status=word(document, "status"),
        text=texts(document, "text"),
        sent_at=instant(document, "sentAt"),
        delivered_at=instant(document, "deliveredAt"),
        confirm_until=instant(document, "confirmUntil"),
        confirmed_at=instant(document, "confirmedAt"),
        confirmed_by=word(document, "confirmedBy"),
        escalated_at=instant(document, "escalatedAt"),
        code_digest=word(document, "codeDigest"),
        command=next(iter(ids(document, "command")), ""),
    )


def recipient_document(recipient: Recipient) -> Document:
    """The Entity of a recipient."""
    attributes: dict[str, Instance] = {
        "name": prop(recipient.name),
        "audience": prop(list(recipient.audience)),
        "channels": json_value(msgspec.to_builtins(recipient.channels)),
        "language": prop(recipient.language),
        "dataOrigin": prop("entered"),
    }
    if recipient.watches:
        attributes["watches"] = rel(list(recipient.watches))
    for name, said in (("account", recipient.account), ("phone", recipient.phone)):
        if said:
            attributes[name] = prop(said)
    return entity(RECIPIENT, recipient.id, attributes)


def delivery_documents(
    alarm: Alarm, recipient: Recipient, channel: Channel, at: datetime, code: str, code_digest: str
) -> list[Document]:
    """A delivery, and for a device the Command that carries it. `code` goes to the device alone."""
    delivery_id = delivery_id_of(alarm, recipient, channel)
    language = recipient.language if recipient.language in alarm.description else "en"
    text = alarm.description.get(language) or next(iter(alarm.description.values()), "")
    attributes: dict[str, Instance] = {
        "basedOn": rel(alarm.id),
        "recipient": rel(recipient.id),
        "channel": prop(channel.name),
        "severity": prop(alarm.severity),
        "text": {"type": "LanguageProperty", "languageMap": {language: text}},
        "status": prop(Status.SENT.value, at=at),
        "sentAt": prop(format_instant(at)),
        "codeDigest": prop(code_digest),
    }
    if alarm.confirm_within is not None:
        attributes["confirmUntil"] = prop(format_instant(at + alarm.confirm_within))
    if alarm.valid_from is not None:
        ahead = (alarm.valid_from - at).total_seconds() / 3600
        attributes["leadTime"] = prop(round(ahead, 2), unit="HUR", at=at)
    if channel.kind == "page":
        return [entity(DELIVERY, delivery_id, attributes)]
    command_id = f"urn:ngsi-ld:{COMMAND}:{delivery_id.removeprefix('urn:ngsi-ld:')}"
    attributes["command"] = rel(command_id)
    command = _command(command_id, alarm, channel, at, {"text": text, "confirm": code})
    return [entity(DELIVERY, delivery_id, attributes), command]


def delivery_id_of(alarm: Alarm, recipient: Recipient, channel: Channel) -> str:
    """One delivery for each warning, severity, recipient and channel: seen twice, it is sent once."""
    parts = (alarm.id, alarm.severity, recipient.id, channel.name)
    local = ":".join(quote(part.removeprefix("urn:ngsi-ld:"), safe="-._:") for part in parts)
    return f"urn:ngsi-ld:{DELIVERY}:{local}"


def concerns(recipient: Recipient, alarm: Alarm, audience: Iterable[str], near: Iterable[str]) -> bool:
    """Whether a recipient is to be told. `near`: Entities related to those the warning is about."""
    if not set(recipient.audience) & set(audience):
        return False
    return not recipient.watches or bool(set(recipient.watches) & {*alarm.about, *near})


def group_of(alarm: Alarm) -> str:
    """Warnings of one service for one night are chased together."""
    since = "" if alarm.valid_from is None else format_instant(alarm.valid_from)
    return f"unconfirmed:{alarm.raised_by}:{since}"


def _command(command_id: str, alarm: Alarm, channel: Channel, at: datetime, told: dict[str, Any]) -> Document:
    attributes: dict[str, Instance] = {
        "command": prop(WARN),
        "refDevice": rel(channel.device),
        "commandValue": prop({**told, "severity": alarm.severity}),
        "status": prop("wished", at=at),
        "dateIssued": prop(format_instant(at)),
        "basedOn": rel(alarm.id),
    }
    if alarm.valid_to is not None:
        attributes["validTo"] = prop(format_instant(alarm.valid_to))
    return entity(COMMAND, command_id, attributes)


def _length(text: str) -> timedelta | None:
    """An ISO 8601 duration; what cannot be read asks for no receipt."""
    try:
        return msgspec.convert(text, timedelta)
    except msgspec.ValidationError:
        return None
