"""Linked entities in answers (ETSI GS CIM 009, 4.5.23): put into the Relationships that point at them, or
beside the entities that do. Pure but for the lookup, which gives nobody what they may not see."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import Any, Literal, TypeVar

import msgspec
import orjson

from cityloom.ngsild.contexts import Context
from cityloom.ngsild.errors import TooManyResults
from cityloom.ngsild.model import CONTENT_MEMBER, Document, Instance
from cityloom.ngsild.q_matching import Lookup
from cityloom.ngsild.representation import View, show

#: Linked entities in one answer, and their bytes as they are kept: one counts each time that it is told of.
MAX_LINKED = 10_000
MAX_BYTES = 32_000_000

#: The member that carries a linked entity in the inline representation, by the type of what points at it.
_ENTITY_MEMBER = {"Relationship": "entity", "ListRelationship": "entityList"}


class Join(msgspec.Struct, frozen=True):
    """How linked entities are put into an answer; to which depth, and which were met before."""

    how: Literal["flat", "inline"]
    levels: int = 1
    contained_by: frozenset[str] = frozenset()


_Made = TypeVar("_Made")

#: An entity of an answer, and how it is shown.
Shown = tuple[Document, View]


#: Work in steps, between which others may have their turn.
Steps = Generator[None, None, _Made]


def join_linked(
    documents: Iterable[Document], context: Context, view: View, join: Join, lookup: Lookup
) -> list[Shown]:
    """What `join_steps` returns, in one go."""
    steps = join_steps(documents, context, view, join, lookup)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            found: list[Shown] = done.value
            return found


def join_steps(
    documents: Iterable[Document], context: Context, view: View, join: Join, lookup: Lookup
) -> Steps[list[Shown]]:
    """The entities of an answer with those they point at; a step is one that is looked up. Raises
    TooManyResults.

    Inline: the same entities, whose Relationships carry what they point at, already shown; on no way from an
    entity downward does one come twice. Flat: followed by those they point at, level by level, each once.
    """
    budget = _Budget()
    if join.how == "flat":
        found = [(document, view) for document in documents]
        return (yield from _flattened(found, join, _counted(lookup, budget)))
    inlining = _Inlining(context, _counted(lookup, budget))
    filled: list[Shown] = []
    for document in documents:
        met = join.contained_by | {document["id"]}
        filled.append(((yield from inlining.filled(document, view, join.levels, met)), view))
    return filled


class _Budget:
    def __init__(self) -> None:
        self.left = MAX_LINKED
        self.bytes_left = MAX_BYTES

    def spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise _too_much(f"More than {MAX_LINKED} entities")

    def spend_on(self, linked: Document) -> None:
        self.bytes_left -= len(orjson.dumps(linked))
        if self.bytes_left < 0:
            raise _too_much(f"Entities of more than {MAX_BYTES // 1_000_000} MB")


def _too_much(what: str) -> TooManyResults:
    return TooManyResults(
        f"{what} are linked to what was asked for",
        hint="Ask for fewer entities, a lower joinLevel, or pick fewer Relationships.",
        where="join",
    )


def _counted(lookup: Lookup, budget: _Budget) -> Lookup:
    def find(entity_id: str) -> Document | None:
        budget.spend()
        linked = lookup(entity_id)
        if linked is not None:
            budget.spend_on(linked)
        return linked

    return find


def _flattened(found: list[Shown], join: Join, lookup: Lookup) -> Steps[list[Shown]]:
    met = set(join.contained_by) | {document["id"] for document, _ in found}
    level = found
    for _ in range(join.levels):
        below: list[Shown] = []
        for document, view in level:
            for name, item in _pointers(document, view):
                for target in targets_of(item):
                    if target in met:
                        continue
                    met.add(target)
                    linked = lookup(target)
                    yield
                    if linked is not None:
                        below.append((linked, view.toward(name)))
        found = found + below
        level = below
    return found


class _Inlining:
    def __init__(self, context: Context, lookup: Lookup) -> None:
        self._context = context
        self._lookup = lookup

    def filled(self, document: Document, view: View, levels: int, met: frozenset[str]) -> Steps[Document]:
        """The entity with what its Relationships point at in them, already shown."""
        if levels == 0:
            return document
        attributes = dict(document["attrs"])
        for name in dict.fromkeys(name for name, _ in _pointers(document, view)):
            below = view.toward(name)
            items = []
            for item in attributes[name]:
                items.append((yield from self._with_linked(item, view, below, levels, met)))  # noqa: PERF401 - yields
            attributes[name] = items
        return {**document, "attrs": attributes}

    def _with_linked(
        self, item: Instance, view: View, below: View, levels: int, met: frozenset[str]
    ) -> Steps[Instance]:
        if item["type"] not in _ENTITY_MEMBER or not view.shows_dataset(item):
            return item
        found: list[Any] = []
        any_found = False
        for target in targets_of(item):
            linked = None if target in met else self._lookup(target)
            yield
            if linked is not None:
                filled = yield from self.filled(linked, below, levels - 1, met | {target})
                found.append(show(filled, self._context, below))
                any_found = True
            elif view.format == "simplified":
                found.append(target)
        if not any_found:
            return item
        single = item["type"] == "Relationship" and not isinstance(item["object"], list)
        return {**item, _ENTITY_MEMBER[item["type"]]: found[0] if single else found}


def _pointers(document: Document, view: View) -> Iterator[tuple[str, Instance]]:
    """The Relationships that are shown, instance by instance."""
    for name, items in document["attrs"].items():
        if view.shows(name):
            for item in items:
                if item["type"] in _ENTITY_MEMBER and view.shows_dataset(item):
                    yield name, item


def targets_of(item: Instance) -> list[str]:
    """The ids that an instance of a Relationship or ListRelationship points at."""
    said = item[CONTENT_MEMBER[item["type"]]]
    return said if isinstance(said, list) else [said]
