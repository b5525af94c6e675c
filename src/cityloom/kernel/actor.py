"""Who asks, and what they may see."""

from __future__ import annotations

from enum import IntEnum

import msgspec


class InformationClass(IntEnum):
    """The classes of information (ITU-D Q1/2: an open and a security class; internal lies between).

    The order is the order of secrecy.
    """

    OPEN = 0
    INTERNAL = 1
    SECURITY = 2

    @property
    def label(self) -> str:
        return self.name.lower()


class Actor(msgspec.Struct, frozen=True):
    """Somebody or something that asks: a person, a device, a service of the city.

    `permissions` are names from `cityloom.access.roles`; `clearance` is the set of information classes
    that may be seen; `writable` the set that may be written.
    """

    id: str
    name: str = ""
    roles: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()
    clearance: frozenset[InformationClass] = frozenset({InformationClass.OPEN})

    def may(self, permission: str) -> bool:
        return permission in self.permissions

    def sees(self, information_class: InformationClass) -> bool:
        return information_class in self.clearance


#: Held by no role. The rooms have them while they write, everybody has them under open access:
#: to write what belongs to a room (`access.ownership`), and to say where things come from.
AS_A_ROOM = "entities:as-a-room"
AS_THE_PLATFORM = "entities:as-the-platform"

#: A visitor who has not signed in: sees what is open, writes nothing but what a form lets in.
ANONYMOUS = Actor(id="anonymous", name="Visitor", roles=frozenset({"anonymous"}))

#: The city itself: its connectors' host, stages and services. Never given to a request.
CITY = Actor(
    id="city",
    name="City",
    roles=frozenset({"city"}),
    permissions=frozenset(
        {"entities:read", "entities:write", "entities:classify", AS_A_ROOM, AS_THE_PLATFORM}
    ),
    clearance=frozenset(InformationClass),
)
