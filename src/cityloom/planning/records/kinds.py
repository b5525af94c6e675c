"""A kind of record: its fields, who writes it, and what it is called. Data, not code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from cityloom.kernel.actor import Actor, InformationClass
from cityloom.planning.records.fields import Field

#: Attributes that every record has beside its fields.
RESERVED = frozenset({"status", "dataOrigin", "history", "revisions", "dateIssued"})


class RecordKind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of record. Its first field is `name`, a Said."""

    #: The type of its Entities.
    type: str
    #: Its part of the address: /plan/goals.
    path: str
    #: What one and several are called.
    singular: str
    plural: str
    #: What it is for, in a sentence.
    about: str
    fields: tuple[Field, ...]
    #: What it takes to write one.
    permission: str
    #: Whether one may be published for everybody.
    publishable: bool = True
    #: Fields that a list shows beside the name.
    columns: tuple[str, ...] = ()
    #: Rules over several fields: raises BadInput naming the field.
    check: Callable[[Mapping[str, Any]], None] | None = None
    #: Fields that an act of the room writes, such as an award: no form, table or undoing does.
    by_room: tuple[str, ...] = ()
    #: The class of its working copies. What is of the security class is shown by its pages to who writes the
    #: kind, and to `readers`; over NGSI-LD and elsewhere to who is cleared for that class alone.
    secrecy: InformationClass = InformationClass.INTERNAL
    #: More permissions with which such working copies are read.
    readers: tuple[str, ...] = ()
    #: A link, and a day that what it leads to says: through that day who drafted a record reads it alone.
    sealed_through: tuple[str, str] | None = None
    #: Fields that nobody changes once it is open, nor is it thrown away then.
    fixed: tuple[str, ...] = ()

    def is_read_by(self, actor: Actor) -> bool:
        """Whether the pages show records that are more than internal to somebody."""
        return any(map(actor.may, (self.permission, *self.readers)))

    def field(self, name: str) -> Field:
        """A field by its name. Raises KeyError."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)
