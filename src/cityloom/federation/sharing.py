"""Who gets which part of what is written (ETSI GS CIM 009, 4.3.6.2, 4.3.6.3, 5.6.1.4). Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from cityloom.ngsild.registrations import EntityInfo, Registration
from cityloom.ngsild.source_matching import describes


class Directory:
    """Registrations by the Entities that they speak of, to be asked about many Entities."""

    def __init__(self, registrations: Iterable[Registration]) -> None:
        self._registrations = tuple(registrations)
        self._by_id: dict[str, list[int]] = {}
        self._by_type: dict[str, list[int]] = {}
        #: Those that do not name the Entity: of a type, where types are unknown; and whatever the type.
        self._typed: list[int] = []
        self._open: list[int] = []
        for place, registration in enumerate(self._registrations):
            for info in registration.information:
                for one in info.entities or (EntityInfo(),):
                    self._file(place, one)

    def _file(self, place: int, entity: EntityInfo) -> None:
        if entity.id is not None:
            self._by_id.setdefault(entity.id, []).append(place)
            return
        if not entity.types:
            self._open.append(place)
            return
        self._typed.append(place)
        for name in entity.types:
            self._by_type.setdefault(name, []).append(place)

    def about(self, entity_id: str, types: tuple[str, ...]) -> list[Registration]:
        """Those that may speak of an Entity, in their order; with no types those of any type."""
        places = {*self._by_id.get(entity_id, ()), *self._open}
        if types:
            for name in types:
                places.update(self._by_type.get(name, ()))
        else:
            places.update(self._typed)
        return [self._registrations[place] for place in sorted(places)]


class Share(msgspec.Struct, frozen=True):
    """The attributes that one source gets."""

    registration: Registration
    attributes: frozenset[str]


class Shares(msgspec.Struct, frozen=True):
    """What is written, shared out."""

    forwarded: tuple[Share, ...] = ()
    #: Held by sources alone that do not offer the operation.
    refused: tuple[Share, ...] = ()
    #: Held by sources alone through which the request has come already.
    looping: tuple[Share, ...] = ()
    #: What is left for the city itself.
    local: frozenset[str] = frozenset()
    #: Whether nothing is left for the city itself: all of it is held by sources alone.
    elsewhere: bool = False

    @property
    def is_local(self) -> bool:
        """Whether no source has a part in it."""
        return not (self.forwarded or self.refused or self.looping)


def share_out(
    registrations: Iterable[Registration],
    operations: frozenset[str],
    entity_id: str,
    types: tuple[str, ...],
    attributes: frozenset[str],
    *,
    via: tuple[str, ...] = (),
    came_around: bool = False,
    whole: bool = False,
) -> Shares:
    """Share out attributes of one Entity; with `whole` the operation is about the Entity as such.

    First comes who holds its part alone, exclusive before redirect; who is an equal gets what is left.
    `types` is empty where nobody knows them.
    """
    matching = [one for one in registrations if one.mode != "auxiliary" and _speaks_of(one, entity_id, types)]
    rest = attributes
    found: dict[str, list[Share]] = {"forwarded": [], "refused": [], "looping": []}
    proxied = False
    for mode in ("exclusive", "redirect"):
        taken: frozenset[str] = frozenset()
        for one in matching:
            if one.mode != mode:
                continue
            share = _part(one, entity_id, types, rest)
            if not share and not whole and not (not attributes and _speaks_of_all(one, entity_id, types)):
                continue
            proxied = True
            taken |= share
            kind = "looping" if came_around or (one.alias and one.alias in via) else "forwarded"
            if kind == "forwarded" and not operations & one.operations:
                kind = "refused"
            found[kind].append(Share(one, share))
        rest -= taken
    for one in matching:
        if one.proxied or came_around or (one.alias and one.alias in via):
            continue
        share = _part(one, entity_id, types, rest)
        if operations & one.operations and (share or whole or not attributes):
            found["forwarded"].append(Share(one, share))
    return Shares(
        forwarded=tuple(found["forwarded"]),
        refused=tuple(found["refused"]),
        looping=tuple(found["looping"]),
        local=rest,
        elsewhere=proxied and not rest and not whole,
    )


def _speaks_of(registration: Registration, entity_id: str, types: tuple[str, ...]) -> bool:
    return any(describes(info, entity_id, types) for info in registration.information)


def _speaks_of_all(registration: Registration, entity_id: str, types: tuple[str, ...]) -> bool:
    return any(not info.attributes and describes(info, entity_id, types) for info in registration.information)


def _part(
    registration: Registration, entity_id: str, types: tuple[str, ...], attributes: frozenset[str]
) -> frozenset[str]:
    found: frozenset[str] = frozenset()
    for info in registration.information:
        if describes(info, entity_id, types):
            found |= info.attributes & attributes if info.attributes else attributes
    return found
