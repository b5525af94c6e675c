"""A batch on its way: JSON, packed, and unpacked within bounds. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
import orjson

from cityloom.edge.merging import Incoming
from cityloom.edge.model import MOST_BYTES, MOST_BYTES_OF_ONE, MOST_CHANGES, UNTOLD, Batch, Brought
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import Change, ChangeKind
from cityloom.kernel.errors import BadInput, json_fault_of
from cityloom.kernel.time import FUTURE_TOLERANCE, format_instant, parse_instant, to_millis
from cityloom.ngsild.model import Document
from cityloom.ngsild.parse import parse_entity
from cityloom.ngsild.representation import represent

_Shape = TypeVar("_Shape")
_HINT = "An edge sends this by itself: both sides must be of one version of CityLoom."
#: The greatest count, the latest instant (the year 2100, milliseconds) and the longest name of a life.
_MOST, _LATEST, _LONGEST_LIFE = 2**53, 4_102_444_800_000, 100
_decode = msgspec.json.Decoder(Batch).decode
_encode = msgspec.json.Encoder().encode


class _Instance(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """An attribute instance, as far as its shape goes (`ngsild.model`)."""

    type: str
    #: Of attributes of attributes they may be missing.
    modified_at: str | None = None
    created_at: str | None = None
    value: msgspec.Raw = msgspec.Raw()
    object: msgspec.Raw = msgspec.Raw()
    language_map: msgspec.Raw = msgspec.Raw()
    vocab: msgspec.Raw = msgspec.Raw()
    json: msgspec.Raw = msgspec.Raw()
    value_list: msgspec.Raw = msgspec.Raw()
    object_list: msgspec.Raw = msgspec.Raw()
    observed_at: str | None = None
    unit_code: str | None = None
    dataset_id: str | None = None
    object_type: msgspec.Raw = msgspec.Raw()
    value_type: msgspec.Raw = msgspec.Raw()
    expires_at: str | None = None
    entity_id_sealed: msgspec.Raw = msgspec.Raw()
    entity_type_sealed: msgspec.Raw = msgspec.Raw()
    attrs: dict[str, list[_Instance]] | None = None


class _Entity(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """An Entity, as far as its shape goes."""

    id: str
    type: list[str]
    created_at: str
    modified_at: str
    attrs: dict[str, list[_Instance]]
    scope: list[str] | None = None
    expires_at: str | None = None


_entity = msgspec.json.Decoder(_Entity).decode
_before = msgspec.json.Decoder(dict[str, list[_Instance]]).decode


def pack(batch: Batch) -> bytes:
    """A batch as it is sent."""
    return zlib.compress(_encode(batch), 6)


def unpack(packed: bytes) -> Batch:
    """A batch that was sent. Raises BadInput."""
    unpacking = zlib.decompressobj()
    try:
        text = unpacking.decompress(packed, MOST_BYTES + 2 * MOST_BYTES_OF_ONE)
    except zlib.error:
        raise BadInput("This cannot be unpacked", hint=_HINT, where="body") from None
    if not unpacking.eof:
        raise BadInput("This is cut short, or more than is taken at once", hint=_HINT, where="body")
    try:
        batch = _decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        fault, place = json_fault_of(error)
        raise BadInput(fault, hint=_HINT, where=place or "body") from None
    if len(batch.changes) > MOST_CHANGES or not 0 <= batch.after <= batch.through:
        raise BadInput("This is no batch of changes", hint=_HINT, where="changes")
    _check_figures(batch)
    return batch


def _check_figures(batch: Batch) -> None:
    """What the centre keeps of a batch, and counts with, is bounded. Raises BadInput."""
    counts = (batch.through, batch.waiting, batch.given_up, *(one.sequence for one in batch.changes))
    instants = (batch.at, batch.oldest, batch.through_at, *(one.at for one in batch.changes))
    if not all(0 <= one <= _MOST for one in counts) or not all(0 <= one <= _LATEST for one in instants):
        raise BadInput("A figure is out of all bounds", hint=_HINT, where="changes")
    if not 0 < len(batch.life) <= _LONGEST_LIFE:
        raise BadInput("This is no name of a feed", hint=_HINT, where="life")


def brought(change: Change, *, told: bool) -> Brought:
    """A Change as it is sent; without `told` no more than its Entity's class."""
    return Brought(
        change.sequence,
        change.entity_id,
        change.types,
        int(change.kind),
        change.information_class,
        change.at_millis,
        change.by,
        change.attributes,
        msgspec.Raw(change.document) if told else UNTOLD,
        msgspec.Raw(change.before) if told and change.before else UNTOLD,
    )


def snapshot_of(document: bytes, information_class: InformationClass, at: int) -> Brought:
    """An Entity as it is now, as it is sent when its changes are gone."""
    entity = orjson.loads(document)
    return Brought(
        0,
        entity["id"],
        tuple(entity["type"]),
        int(ChangeKind.CREATED),
        information_class,
        at,
        "",
        tuple(entity["attrs"]),
        msgspec.Raw(document),
    )


def incoming_of(change: Brought, *, whole: bool) -> Incoming:
    """A change of an edge, taken apart and looked at: what is no Entity must not come to stand in the city
    and break whoever reads it. Raises BadInput."""
    kind = _kind_of(change.kind)
    latest = change.at + int(FUTURE_TOLERANCE.total_seconds() * 1000)
    document = _document(bytes(change.document), change.id, latest)
    if tuple(document["type"]) != change.types:
        raise BadInput("The Entity is of other types than its change says", hint=_HINT, where="types")
    before, were = bytes(change.before), {}
    if before != bytes(UNTOLD):
        for items in _shaped(_before, before).values():
            _check_times(items, latest)
        were = _loaded(before)
    return Incoming(kind, document, change.attributes, were, change.at, whole)


def _kind_of(number: int) -> ChangeKind:
    try:
        return ChangeKind(number)
    except ValueError:
        raise BadInput(f"There is no kind {number} of changes", hint=_HINT, where="kind") from None


def _document(text: bytes, entity_id: str, latest: int) -> Document:
    shaped = _shaped(_entity, text)
    _check_times([shaped], latest)
    for items in shaped.attrs.values():
        _check_times(items, latest)
    document: Document = _loaded(text)
    try:
        parse_entity(represent(document))
    except KeyError as error:
        raise BadInput(f"An attribute lacks {error}", hint=_HINT, where="document") from None
    except TypeError as error:
        raise BadInput(f"An attribute is not of its shape: {error}", hint=_HINT, where="document") from None
    if document["id"] != entity_id:
        raise BadInput("The Entity is another one than its change says", hint=_HINT, where="id")
    return document


def _check_times(items: Sequence[_Instance | _Entity], latest: int, *, nested: bool = False) -> None:
    """The system's times as the system writes them: what stands is decided by them."""
    for item in items:
        for text in (item.created_at, item.modified_at):
            if text is None and nested:
                continue
            instant = parse_instant(text, where="modifiedAt")
            if format_instant(instant) != text or to_millis(instant) > latest:
                raise BadInput(f"{str(text)[:40]!r} is no time of writing", hint=_HINT, where="modifiedAt")
        if item.expires_at is not None:
            parse_instant(item.expires_at, where="expiresAt")
        if isinstance(item, _Instance):
            for within in (item.attrs or {}).values():
                _check_times(within, latest, nested=True)


def _shaped(decode: Callable[[bytes], _Shape], text: bytes) -> _Shape:
    try:
        return decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        fault, place = json_fault_of(error)
        raise BadInput(fault, hint=_HINT, where=f"document.{place}".rstrip(".")) from None


def _loaded(text: bytes) -> Any:
    """What has its shape, read: numbers and letters that no document can hold are told now."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"This is no JSON: {error}", hint=_HINT, where="document") from None
