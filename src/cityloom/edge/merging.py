"""How what an edge has written is merged with what stands at the centre. Pure.

Each attribute instance (a name and a datasetId) is one register. Of all that was ever written to it the
newest stands, by one order that is the same everywhere: `observedAt`, or where nobody observed it the moment
of writing; then the moment of writing; then the text of what it says. A deletion is written like a value.
So the order in which edges come back makes no difference, nor does hearing something twice.

What does not stand goes into the past, so that no reading is lost. Where both sides have written and the
time of observation cannot tell who is right, the order above still decides, and a conflict is reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import orjson

from cityloom.kernel.change import ChangeKind
from cityloom.kernel.time import format_instant, from_millis, parse_instant, to_millis
from cityloom.ngsild.model import Document, Instance

#: What a change may name beside attributes.
MEMBERS = ("type", "scope", "expiresAt")
_SYSTEM = frozenset({"createdAt", "modifiedAt"})

#: An attribute's name and its datasetId, "" for the default one.
Place = tuple[str, str]
#: When an Entity (`WHOLE`) or an instance was deleted at an edge, milliseconds since 1970.
Graves = Mapping[Place, int]
WHOLE: Place = ("", "")
_Attributes = Mapping[str, Sequence[Instance]]


class Incoming(msgspec.Struct, frozen=True):
    """A change of an edge, taken apart."""

    kind: ChangeKind
    #: The Entity after it; for DELETED, the last state.
    document: Document
    attributes: tuple[str, ...]
    #: The instances of `attributes` as they were before it.
    before: _Attributes
    #: When the edge accepted it, milliseconds since 1970.
    at: int
    #: An Entity as it is now, sent since its changes are gone: nobody can tell what it was before.
    whole: bool = False


class Clash(msgspec.Struct, frozen=True):
    """Two sides that said different things of one attribute; None: it was deleted."""

    place: Place
    kept: Instance | None
    given_up: Instance | None


class Outcome(msgspec.Struct, frozen=True):
    """What becomes of an Entity."""

    #: As it stands from now on; None where it is not there.
    document: Document | None
    #: Names of what was written or removed; empty where nothing changes.
    names: tuple[str, ...] = ()
    #: Readings of the past, by attribute.
    past: Mapping[str, list[Instance]] = {}
    clashes: tuple[Clash, ...] = ()
    #: Deletions to be remembered beside those that are.
    graves: Graves = {}


def merged(standing: Document | None, incoming: Incoming, graves: Graves) -> Outcome:
    """What an incoming change makes of an Entity as it stands (None: it does not)."""
    merging = _Merging(standing, incoming, graves)
    if incoming.kind is ChangeKind.DELETED:
        return merging.deletion()
    return merging.write()


class _Merging:
    """One change and one Entity."""

    def __init__(self, standing: Document | None, incoming: Incoming, graves: Graves) -> None:
        self._standing = standing
        self._incoming = incoming
        self._graves = graves
        self._attributes: dict[str, list[Instance]] = (
            {} if standing is None else {name: list(items) for name, items in standing["attrs"].items()}
        )
        self._names: dict[str, None] = {}
        self._past: dict[str, list[Instance]] = {}
        self._clashes: list[Clash] = []
        self._dug: dict[Place, int] = {}

    def write(self) -> Outcome:
        """Something created or updated."""
        incoming, standing = self._incoming, self._standing
        buried = self._graves.get(WHOLE, 0)
        for place, new, old in self._written():
            self._settle(place, new, old)
        if standing is None and incoming.at <= buried and not self._attributes:
            return self._outcome(None)
        document = self._head()
        if standing is None:
            if incoming.kind is ChangeKind.UPDATED and not incoming.whole and not buried:
                # It stood here when it was created: the centre has deleted it since.
                self._clashes.append(Clash(WHOLE, None, None))
            return self._outcome(document, created=True)
        for member in MEMBERS:
            if document.get(member) != standing.get(member):
                self._names[member] = None
        return self._outcome(document)

    def deletion(self) -> Outcome:
        """The Entity was deleted there: what was written later than that stays."""
        at, standing = self._incoming.at, self._standing
        self._dig(WHOLE)
        if standing is None:
            return self._outcome(None)
        known = _by_place(self._incoming.document["attrs"])
        for place in _by_place(standing["attrs"]):
            self._settle(place, None, known.get(place))
        survives = self._attributes or to_millis(_instant(standing["modifiedAt"])) > at
        return self._outcome(self._head() if survives else None)

    def _written(self) -> Iterator[tuple[Place, Instance | None, Instance | None]]:
        """Each instance that the change has written: its place, as it is, as it was."""
        incoming = self._incoming
        there = incoming.document["attrs"]
        # Of an Entity that is not here more is wanted than what changed last.
        all_of_it = self._standing is None
        names = there.keys() if all_of_it else [name for name in incoming.attributes if name not in MEMBERS]
        for name in names:
            new = _datasets(there.get(name, ()))
            old = _datasets(incoming.before.get(name, ()))
            for dataset in {**old, **new}:
                if all_of_it or new.get(dataset) != old.get(dataset):
                    yield (name, dataset), new.get(dataset), old.get(dataset)

    def _settle(self, place: Place, new: Instance | None, old: Instance | None) -> None:
        """Decide between what stands and what comes; None: it was deleted."""
        standing = _find(self._attributes, place)
        if self._is_clash(standing, new, old):
            self._clash(place, standing, new)
        if self._wins(place, standing, new):
            self._put(place, new)
        elif new is not None and (standing is None or instant_of(new) != instant_of(standing)):
            self._remember(place, new)
        if new is None and self._incoming.kind is not ChangeKind.DELETED:
            self._dig(place)

    def _wins(self, place: Place, standing: Instance | None, new: Instance | None) -> bool:
        key = self._deleted(self._incoming.at) if new is None else order_of(new)
        if standing is not None and key <= order_of(standing):
            return False
        buried = max(self._graves.get(WHOLE, 0), self._graves.get(place, 0))
        return new is None or not buried or key > self._deleted(buried)

    def _is_clash(self, standing: Instance | None, new: Instance | None, old: Instance | None) -> bool:
        """Whether both sides have written, and observation does not tell which came later."""
        if standing is None or _same(standing, old) or _same(standing, new):
            return False
        if new is None:
            return True
        dated = "observedAt" in standing and "observedAt" in new
        if dated:
            return instant_of(standing) == instant_of(new)
        return not self._incoming.whole

    def _clash(self, place: Place, standing: Instance | None, new: Instance | None) -> None:
        wins = self._wins(place, standing, new)
        kept, given_up = (new, standing) if wins else (standing, new)
        self._clashes.append(Clash(place, kept, given_up))

    def _put(self, place: Place, new: Instance | None) -> None:
        name, dataset = place
        kept = [one for one in self._attributes.get(name, ()) if one.get("datasetId", "") != dataset]
        if new is not None:
            kept.append(new)
        elif len(kept) == len(self._attributes.get(name, ())):
            return
        if kept:
            self._attributes[name] = kept
        else:
            self._attributes.pop(name, None)
        self._names[name] = None

    def _remember(self, place: Place, new: Instance) -> None:
        self._past.setdefault(place[0], []).append(
            {key: value for key, value in new.items() if key != "createdAt"}
        )

    def _dig(self, place: Place) -> None:
        if self._incoming.at > self._graves.get(place, 0):
            self._dug[place] = self._incoming.at

    @staticmethod
    def _deleted(at: int) -> tuple[datetime, datetime, bytes]:
        """A deletion in the order of values."""
        then = from_millis(at)
        return then, then, b""

    def _head(self) -> Document:
        """The Entity with all that stands: types of both sides, the rest as it was written last."""
        there, here = self._incoming.document, self._standing
        if here is None:
            return {**there, "attrs": self._attributes}
        document = {**here, "attrs": self._attributes}
        if self._incoming.kind is ChangeKind.DELETED:
            return document
        newer = _instant(there["modifiedAt"]) >= _instant(here["modifiedAt"])
        if newer:
            document["modifiedAt"] = there["modifiedAt"]
            self._take_members(document, there)
        document["type"] = list(dict.fromkeys((*here["type"], *there["type"])))
        return document

    def _take_members(self, document: Document, there: Document) -> None:
        for member in MEMBERS[1:]:
            if member in self._incoming.attributes:
                if member in there:
                    document[member] = there[member]
                else:
                    document.pop(member, None)

    def _outcome(self, document: Document | None, *, created: bool = False) -> Outcome:
        names = tuple(self._attributes) if created else tuple(self._names)
        return Outcome(document, names, self._past, tuple(self._clashes), self._dug)


def order_of(item: Instance) -> tuple[datetime, datetime, bytes]:
    """By this the newest of several instances is told: the same at every place."""
    written = _instant(item["modifiedAt"])
    said = item.get("observedAt")
    return (written if said is None else _instant(said)), written, _text(item)


def instant_of(item: Instance) -> int:
    """Where an instance stands in history: when it was observed, else when it was written; milliseconds."""
    return to_millis(_instant(item.get("observedAt", item["modifiedAt"])))


def written_at(millis: int) -> str:
    """An instant of writing as it stands in a document."""
    return format_instant(from_millis(millis))


def _instant(text: Any) -> datetime:
    return parse_instant(text, where="modifiedAt")


def _same(one: Instance, other: Instance | None) -> bool:
    """Whether two instances say the same of the same time."""
    return other is not None and _text(one) == _text(other)


def _text(item: Instance) -> bytes:
    """All that an instance says, but for the system's times, as one text."""
    return orjson.dumps(_said(item), option=orjson.OPT_SORT_KEYS)


def _said(part: Any) -> Any:
    if isinstance(part, dict):
        return {name: _said(one) for name, one in part.items() if name not in _SYSTEM}
    return [_said(one) for one in part] if isinstance(part, list) else part


def _find(attributes: _Attributes, place: Place) -> Instance | None:
    return _datasets(attributes.get(place[0], ())).get(place[1])


def _datasets(items: Sequence[Instance]) -> dict[str, Instance]:
    return {str(item.get("datasetId", "")): item for item in items}


def _by_place(attributes: _Attributes) -> dict[Place, Instance]:
    return {
        (name, dataset): item
        for name, items in attributes.items()
        for dataset, item in _datasets(items).items()
    }
