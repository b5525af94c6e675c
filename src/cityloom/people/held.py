"""What is told of one person's data: who they are, what is held, what an erasure did."""

from __future__ import annotations

import msgspec


class Who(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Whose data: said in one or several ways, each of which adds to what is found."""

    #: An Entity's id: of a report, or of somebody that city.toml declares personal.
    entity: str = ""
    #: The code on the receipt of a report.
    code: str = ""
    #: The user name of an account: with it go the reports sent from it.
    account: str = ""
    #: How somebody wished to be reached.
    email: str = ""
    phone: str = ""


class HeldEntity(msgspec.Struct, frozen=True):
    """An Entity that is somebody's, or about them; `attributes` are those that are personal and there."""

    id: str
    type: str
    attributes: tuple[str, ...]
    readings: int


class Held(msgspec.Struct, frozen=True):
    """What the city holds of a person. Says where and how much, never what."""

    entities: tuple[HeldEntity, ...]
    contacts: int
    photos: int
    account: bool
    #: Copies of the keys, which are put in order too.
    key_copies: tuple[str, ...]


class Erased(msgspec.Struct, frozen=True):
    """What an erasure did. `stale`: copies of the keys that could not be reached, and must be destroyed."""

    id: str
    at: str
    entities: int
    keys: int
    stale: tuple[str, ...]
