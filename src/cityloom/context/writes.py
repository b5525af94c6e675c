"""What is to be written, and the Entity that it finds."""

from __future__ import annotations

import msgspec

from cityloom.kernel.actor import Actor, InformationClass
from cityloom.ngsild.model import Document


class Request(msgspec.Struct, frozen=True):
    """Who writes, for which tenant, and what set it off."""

    actor: Actor
    tenant: str
    trace: str


class PastWrite(msgspec.Struct, frozen=True):
    """A write to the past, as far as the context must know of it."""

    #: The types of the Entity after it.
    types: tuple[str, ...]
    #: What history is told, as it stands in the feed.
    told: bytes
    #: Names of the attributes that it is about; none where it is about all.
    attributes: tuple[str, ...]
    #: The part that is written as it was and as it will be: None where nothing was, or nothing stays.
    before: Document | None
    after: Document | None
    #: The class of what is remembered already; None where nothing is.
    information_class: InformationClass | None


class Standing(msgspec.Struct, frozen=True, gc=False):
    """An Entity as the next command finds it, committed or not."""

    types: tuple[str, ...]
    information_class: InformationClass
    document: bytes
    created: int
