"""How contracts, parties and settlements are kept: of the security class, and written by their room alone.

Their pages show a contract's file to who manages or examines contracts and to its own provider. Over NGSI-LD
and on every other way an Entity is read by its class alone, so it must be one that no other staff is cleared
for: the internal class would show each contract to everybody who works for the city.
"""

from __future__ import annotations

import msgspec

from cityloom.access.authority import may_write
from cityloom.context.broker import Broker
from cityloom.kernel.actor import CITY, Actor, InformationClass
from cityloom.planning.contracts.model import CONTRACT, PARTY, SETTLEMENT

SECRECY = InformationClass.SECURITY


def as_the_room(actor: Actor) -> Actor:
    """The room's own hand, under the name of whoever acts: the room has checked what they may."""
    return msgspec.structs.replace(may_write(actor, classify=True), clearance=CITY.clearance)


async def keep_close(broker: Broker) -> int:
    """Bring what was internal, as all of it once was, into its class; returns how many Entities."""
    moved = 0
    for type_name in (PARTY, CONTRACT, SETTLEMENT):
        for document in broker.of_type(CITY, type_name):
            if broker.class_of(CITY, document["id"]) is InformationClass.INTERNAL:
                await broker.classify(CITY, document["id"], SECRECY, trace="contracts:keep")
                moved += 1
    return moved
