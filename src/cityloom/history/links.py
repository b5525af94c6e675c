"""Trees of links between Entities: what one points at, and what points at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Protocol

import msgspec

from cityloom.kernel.actor import Actor
from cityloom.kernel.change import Because
from cityloom.ngsild.model import Document, Instance, text_of, value_of

#: How far, how wide and how large a tree grows.
DEEPEST = 6
WIDEST = 25
LARGEST = 300
#: The kind of a link that comes from evidence, not from a Relationship.
EVIDENCE = "because"
#: Begins the name of a target that stands for all Entities of a type.
TYPE_TARGET = "type:"
_NAMES = ("name", "title", "description")


class Kept(msgspec.Struct, frozen=True):
    """What history holds of one attribute of an Entity, or of all Entities of a type."""

    attribute: str
    dataset: str
    unit_code: str
    #: Series taken together; 1 for one Entity.
    series: int
    count: int
    first: datetime
    last: datetime
    #: Seconds between readings as a rule, and pauses much longer than that; of the newest readings.
    usual_step: float | None
    gaps: int


class Link(msgspec.Struct):
    """One step on the way. `children` are further back (or further forward)."""

    #: What ties it to its parent: a Relationship's name, "because", or "" for the root.
    kind: str
    #: An Entity's id, or "type:Name".
    entity_id: str
    type: str
    label: str
    #: Where its values come from: measured, replayed, simulated, estimated, entered; "" when it does not say.
    origin: str = ""
    #: False when it is not there, or not there for this actor; then only its id is known.
    known: bool = True
    because: list[Because] = msgspec.field(default_factory=list)
    readings: list[Kept] = msgspec.field(default_factory=list)
    children: list[Link] = msgspec.field(default_factory=list)
    #: It stands higher up already and is not followed again.
    again: bool = False
    #: Children left out.
    more: int = 0

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Link]]:
        """This link and all below it, each with its depth, in the order of reading."""
        yield depth, self
        for child in self.children:
            yield from child.walk(depth + 1)


class References(Protocol):
    """The broker, as far as following needs it."""

    def find(self, actor: Actor, entity_id: str, *, tenant: str = ...) -> Document | None: ...

    def retrieve(self, actor: Actor, entity_id: str, *, tenant: str = ...) -> Document: ...

    def referrers(self, actor: Actor, target: str, *, tenant: str = ...) -> list[str]: ...


#: The kind of a link, where it leads, and the evidence on it.
_Step = tuple[str, str, list[Because]]


class Tree:
    """Grows one tree for one actor."""

    def __init__(self, broker: References, actor: Actor, language: str, tenant: str) -> None:
        self._broker = broker
        self._actor = actor
        self._language = language
        self._tenant = tenant
        self._seen: set[str] = set()

    def root(self, entity_id: str) -> Link:
        return self._link("", entity_id, [])

    def behind(self, root: Link) -> None:
        """Grow towards what an Entity points at."""
        self._grow(root, self._pointed_at)

    def before(self, root: Link) -> None:
        """Grow towards what points at an Entity."""
        self._grow(root, self._pointing)

    def _grow(self, root: Link, next_of: Callable[[Document], Iterator[_Step]]) -> None:
        """Breadth first, so that a large tree loses what is far away and not what is near."""
        self._seen.add(root.entity_id)
        layer, size = [root], 1
        for _ in range(DEEPEST):
            below: list[Link] = []
            for link in layer:
                document = self._find(link.entity_id)
                steps = [] if document is None else list(next_of(document))
                room = max(0, min(WIDEST, LARGEST - size))
                link.more = max(0, len(steps) - room)
                link.children = [self._link(*step) for step in steps[:room]]
                size += len(link.children)
                below += [child for child in link.children if self._is_new(child)]
            layer = below
        for link in layer:
            document = self._find(link.entity_id)
            link.more = 0 if document is None else len(list(next_of(document)))

    def _is_new(self, link: Link) -> bool:
        link.again = link.entity_id in self._seen
        self._seen.add(link.entity_id)
        return not link.again

    def _pointed_at(self, document: Document) -> Iterator[_Step]:
        for kind, target in dict.fromkeys(_relationships(document["attrs"])):
            yield kind, target, []
        evidence: dict[str, list[Because]] = {}
        for one in dict.fromkeys(_evidence(document["attrs"])):
            evidence.setdefault(one.about, []).append(one)
        for about, pieces in evidence.items():
            yield EVIDENCE, about, pieces

    def _pointing(self, document: Document) -> Iterator[_Step]:
        entity_id = document["id"]
        targets = (entity_id, *(TYPE_TARGET + name for name in document["type"]))
        named: dict[str, None] = {}
        for target in targets:
            named |= dict.fromkeys(self._broker.referrers(self._actor, target, tenant=self._tenant))
        for referrer in named:
            found = self._find(referrer)
            if found is None or referrer == entity_id:
                continue
            pieces = [one for one in dict.fromkeys(_evidence(found["attrs"])) if one.about in targets]
            kinds = (kind for kind, target in _relationships(found["attrs"]) if target == entity_id)
            yield next(kinds, EVIDENCE), referrer, pieces

    def _link(self, kind: str, entity_id: str, because: list[Because]) -> Link:
        if entity_id.startswith(TYPE_TARGET):
            name = entity_id.removeprefix(TYPE_TARGET)
            return Link(kind, entity_id, name, name, because=because)
        document = self._find(entity_id)
        if document is None:
            return Link(kind, entity_id, "", entity_id, known=False, because=because)
        return Link(
            kind,
            entity_id,
            type=document["type"][0],
            label=label_of(document, self._language),
            origin=str(value_of(document, "dataOrigin", "")),
            because=because,
        )

    def _find(self, entity_id: str) -> Document | None:
        return self._broker.find(self._actor, entity_id, tenant=self._tenant)


def label_of(document: Document, language: str) -> str:
    """What people call an Entity: its name, else its title, its description, its id."""
    for name in _NAMES:
        if said := text_of(document, name, language).strip():
            return said if len(said) <= 80 else said[:79] + "…"
    return str(document["id"])


def _relationships(attributes: dict[str, list[Instance]]) -> Iterator[tuple[str, str]]:
    """The names and objects of all Relationships, those of sub-attributes too."""
    for name, instances in attributes.items():
        for item in instances:
            if item["type"] in ("Relationship", "ListRelationship"):
                for target in _targets(item.get("object", item.get("objectList"))):
                    yield name, target
            yield from _relationships(item.get("attrs", {}))


def _targets(said: Any) -> Iterator[str]:
    if isinstance(said, str):
        yield said
    elif isinstance(said, dict):
        yield from _targets(said.get("object"))
    elif isinstance(said, list):
        for one in said:
            yield from _targets(one)


def _evidence(attributes: dict[str, list[Instance]]) -> Iterator[Because]:
    """All pieces of evidence, those of sub-attributes too. Anybody may write them: what is none is passed."""
    for name, instances in attributes.items():
        for item in instances:
            if name == EVIDENCE and isinstance(item.get("json"), list):
                yield from _pieces(item["json"])
            yield from _evidence(item.get("attrs", {}))


def _pieces(said: list[Any]) -> Iterator[Because]:
    for one in said:
        try:
            yield msgspec.convert(one, Because)
        except msgspec.ValidationError:
            continue
