"""What of an Entity is somebody's own: by type, as data. Pure.

What is personal is sealed with a key of that Entity before it reaches a disk (`adapters.sealed`), and can be
made unreadable everywhere, in backups too, by destroying the key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from cityloom.ngsild.model import Document, Instance

#: In a declaration: every attribute but those that say nothing of anybody.
EVERY = "*"
_OF_NOBODY = frozenset({"dataOrigin", "erasedAt"})
#: Says on an Entity since when what was personal is gone.
ERASED_AT = "erasedAt"
#: Decimals of a degree that are left of a place: about a hundred metres.
COARSE_DECIMALS = 3


class PersonalType(msgspec.Struct, frozen=True):
    """What of the Entities of a type is personal."""

    #: Names of attributes; `EVERY`: all of them.
    attributes: frozenset[str]
    #: Places that stay, coarse: "somewhere in these streets".
    coarse: frozenset[str] = frozenset()
    #: The Relationship that points at the Entity of whom it is about; "" where that is the Entity itself.
    subject: str = ""

    def covers(self, name: str) -> bool:
        return name in self.attributes or (EVERY in self.attributes and name not in _OF_NOBODY)


#: The platform's own. A report's category, times and status stay: they are no person's.
OWN_TYPES: Mapping[str, PersonalType] = {
    "CitizenReport": PersonalType(
        frozenset({"description", "placeName", "photo", "answers", "closedBecause", "location"}),
        coarse=frozenset({"location"}),
    ),
    # Who came to see the city, and what was said; what it was before an edit as well.
    "StakeholderContact": PersonalType(frozenset({"who", "said", "revisions"})),
    "ConsultationContribution": PersonalType(frozenset({"text", "publicText", "responses"})),
    "CitizenReply": PersonalType(frozenset({"text"}), subject="replyTo"),
    "WarningRecipient": PersonalType(frozenset({"name", "phone", "account"})),
    "WarningDelivery": PersonalType(frozenset({"confirmedBy"}), subject="recipient"),
    # What an edge and its centre said of an Entity, which may be somebody's.
    "EdgeConflict": PersonalType(frozenset({"kept", "givenUp"}), subject="entity"),
}


class PersonalTypes:
    """The types of a city whose Entities are about somebody."""

    def __init__(self, declared: Mapping[str, PersonalType] | None = None) -> None:
        self.types: Mapping[str, PersonalType] = {**OWN_TYPES, **(declared or {})}
        self._known: dict[tuple[str, ...], PersonalType | None] = {}

    def of(self, types: tuple[str, ...]) -> PersonalType | None:
        """What is personal of an Entity with these types; None: nothing. Asked once for each change."""
        try:
            return self._known[types]
        except KeyError:
            found = self._known[types] = self._of(types)
            return found

    def _of(self, types: Iterable[str]) -> PersonalType | None:
        found = [self.types[name] for name in types if name in self.types]
        if not found:
            return None
        return PersonalType(
            frozenset().union(*(one.attributes for one in found)),
            frozenset().union(*(one.coarse for one in found)),
            next((one.subject for one in found if one.subject), ""),
        )


def subject_of(rule: PersonalType, document: Document) -> str:
    """The id of the Entity of whom a document is about."""
    for instance in document.get("attrs", {}).get(rule.subject, ()) if rule.subject else ():
        target = instance.get("object")
        if isinstance(target, str):
            return target
    return str(document.get("id", ""))


def parted(
    rule: PersonalType, attributes: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, list[Instance]]]:
    """The attributes with what is personal emptied (a coarse place made coarse), and what was taken out."""
    left: dict[str, Any] = {}
    taken: dict[str, list[Instance]] = {}
    for name, instances in attributes.items():
        left[name] = instances
        if rule.covers(name):
            left[name] = [coarse(one) for one in instances] if name in rule.coarse else []
        if left[name] != instances:
            taken[name] = instances
    return left, taken


def without_empty(attributes: Mapping[str, list[Instance]]) -> dict[str, list[Instance]]:
    """The attributes that say something: what was taken out and could not be put back is not there."""
    return {name: instances for name, instances in attributes.items() if instances}


def coarse(instance: Instance) -> Instance:
    """An instance of a place, about a hundred metres coarse: of a line or an area, its first position."""
    positions: Any = (instance.get("value") or {}).get("coordinates")
    while isinstance(positions, list) and positions and isinstance(positions[0], list):
        positions = positions[0]
    if not positions:
        return instance
    rounded = [round(float(number), COARSE_DECIMALS) for number in positions[:2]]
    return {**instance, "value": {"type": "Point", "coordinates": rounded}}
