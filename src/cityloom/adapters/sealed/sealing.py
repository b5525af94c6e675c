"""Documents, texts and files in their sealed form, and back.

A sealed document keeps what is nobody's in clear and begins with the name of its key:
`{"@sealed": "name.base64", "id": …, "attrs": {"description": [], …}}`.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

import orjson

from cityloom.adapters.sealed.keys import KeyFile, KeyView, Wanted
from cityloom.kernel.change import Change
from cityloom.ngsild.model import prop
from cityloom.people.personal import (
    ERASED_AT,
    PersonalType,
    PersonalTypes,
    parted,
    subject_of,
    without_empty,
)

_MEMBER = "@sealed"
_BEGINS = b'{"@sealed":"'
_TEXT_BEGINS = "sealed:2:"
#: Of texts from before they were bound to their Entity by more than its key.
_BOUND_BY_KEY = "sealed:1:"
_DATA_BEGINS = b"\x00sealed:1:"


class Sealing:
    """Seals what is personal with its Entity's key, and opens it."""

    def __init__(self, keys: KeyFile | KeyView, personal: PersonalTypes) -> None:
        self.keys = keys
        self.personal = personal

    # -- changes and states --------------------------------------------------------------------------------

    def document(self, rule: PersonalType, tenant: str, entity_id: str, document: bytes) -> bytes:
        """A document of a personal type as it goes to the disk."""
        plain = orjson.loads(document)
        left, taken = parted(rule, plain.get("attrs") or {})
        if not any(taken.values()):
            return document
        sealed = self._sealed(tenant, entity_id, subject_of(rule, plain) or entity_id, taken)
        # What could not be read here is kept for where its key is.
        unread = plain.pop(_MEMBER, "")
        return orjson.dumps({_MEMBER: f"{unread} {sealed}".strip(), **plain, "attrs": left})

    def before(self, rule: PersonalType, change: Change) -> bytes:
        """What stood before a change, as it goes to the disk."""
        if not change.before:
            return b""
        left, taken = parted(rule, orjson.loads(change.before))
        if not any(taken.values()):
            return change.before
        sealed = self._sealed(change.tenant, change.entity_id, change.entity_id, taken)
        return orjson.dumps({_MEMBER: sealed, **left})

    def opened_document(self, document: bytes) -> bytes:
        """A document from the disk; without what is personal where its key is gone.

        Where the key is not here and was not destroyed, what it sealed stays a member of the document, so
        that a city which runs for a while without its keys loses nothing.
        """
        if not is_sealed_document(document):
            return document
        plain = orjson.loads(document)
        attributes, unread, erased = plain["attrs"], [], ""
        for sealed in plain.pop(_MEMBER).split(" "):
            taken, at = self._opened(sealed), self.keys.erased_at(sealed.partition(".")[0])
            attributes = {**attributes, **(taken or {})}
            erased = erased or at
            if taken is None and not at:
                unread.append(sealed)
        plain["attrs"] = without_empty(attributes)
        if erased and "id" in plain:
            plain["attrs"].setdefault(ERASED_AT, [prop(erased)])
        return orjson.dumps({_MEMBER: " ".join(unread), **plain} if unread else plain)

    def opened_before(self, before: bytes) -> bytes:
        """What stood before a change, from the disk."""
        if not before.startswith(_BEGINS):
            return before
        plain = orjson.loads(before)
        taken = self._opened(plain.pop(_MEMBER)) or {}
        return orjson.dumps(without_empty({**plain, **taken}))

    def _sealed(self, tenant: str, entity_id: str, subject: str, taken: Mapping[str, Any]) -> str:
        (name,) = self.keys.of([Wanted(tenant, entity_id, subject)])
        return f"{name}.{b64encode(self.keys.seal(name, orjson.dumps(taken), b'document')).decode()}"

    def _opened(self, sealed: str) -> dict[str, Any] | None:
        name, _, data = sealed.partition(".")
        plain = self.keys.open(name, b64decode(data), b"document")
        return None if plain is None else orjson.loads(plain)

    # -- texts and data ------------------------------------------------------------------------------------

    def text(self, tenant: str, entity_id: str, text: str, purpose: bytes) -> str:
        """A text about an Entity, sealed."""
        (name,) = self.keys.of([Wanted(tenant, entity_id, entity_id)])
        data = b64encode(self.keys.seal(name, text.encode(), _bound(purpose, tenant, entity_id))).decode()
        return f"{_TEXT_BEGINS}{name}.{data}"

    def opened_text(self, tenant: str, entity_id: str, text: str, purpose: bytes) -> str | None:
        """A text about an Entity from the disk; None where its key is gone, or it was sealed of another one:
        whoever writes somebody's sealed text into an Entity of their own reads nothing there. One that is not
        sealed is as it is."""
        if not is_sealed(text):
            return text
        name, _, data = text[len(_TEXT_BEGINS) :].partition(".")
        by_key = text.startswith(_BOUND_BY_KEY)
        try:
            sealed = b64decode(data, validate=True)
        except ValueError:
            return text
        if by_key and self.keys.name_of(tenant, entity_id) != name:
            return None
        plain = self.keys.open(name, sealed, purpose if by_key else _bound(purpose, tenant, entity_id))
        return None if plain is None else plain.decode()

    def data(self, tenant: str, entity_id: str, data: bytes, purpose: bytes) -> bytes:
        """Bytes about an Entity, sealed."""
        (name,) = self.keys.of([Wanted(tenant, entity_id, entity_id)])
        return _DATA_BEGINS + name.encode() + self.keys.seal(name, data, purpose)

    def opened_data(self, data: bytes, purpose: bytes) -> bytes | None:
        """Bytes from the disk; None where their key is gone. Those that are not sealed are as they are."""
        if not data.startswith(_DATA_BEGINS):
            return data
        rest = data[len(_DATA_BEGINS) :]
        return self.keys.open(rest[:32].decode(errors="replace"), rest[32:], purpose)


def is_sealed_document(document: bytes) -> bool:
    """Whether a document, packed or not, is one of `Sealing.document` from which something was taken."""
    return document.startswith(_BEGINS)


def is_sealed(text: str) -> bool:
    """Whether a text is one of `Sealing.text`."""
    return text.startswith((_TEXT_BEGINS, _BOUND_BY_KEY))


def _bound(purpose: bytes, tenant: str, entity_id: str) -> bytes:
    """What a text is for and of whom. Neither a tenant's name nor an id has a line's end."""
    return b"\n".join((purpose, tenant.encode(), entity_id.encode()))
