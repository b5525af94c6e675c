"""Which members of an entity are shown, and of the entities it points at (ETSI GS CIM 009, 4.21).

`name,locatedAt{name}` names the member `name`, and of what `locatedAt` points at the member `name`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cityloom.ngsild.contexts import CORE, Context
from cityloom.ngsild.errors import BadRequestData

MAX_TERMS = 1_000
#: Levels of linked entities, in projections as in answers.
MAX_LEVELS = 10

_MEMBERS = frozenset({"id", "type", "scope"})
_MARKS = frozenset("{},|")


class Projection(msgspec.Struct, frozen=True):
    """Expanded names of members; `linked` has, by Relationship, those of the entities pointed at."""

    members: frozenset[str] = frozenset()
    linked: Mapping[str, Projection] = msgspec.field(default_factory=dict)

    @property
    def depth(self) -> int:
        """Levels of linked entities that it reaches into."""
        return 1 + max(one.depth for one in self.linked.values()) if self.linked else 0


def parse_projection(text: str, context: Context = CORE) -> Projection:
    """The projection behind the text of `pick` or `omit`. Raises BadRequestData."""
    reader = _Reader(text, context)
    found = reader.terms(0)
    if not reader.is_done:
        raise _wrong("A brace too much")
    return found


def split_terms(text: str) -> tuple[str, ...]:
    """The terms of a projection, braces left in them. Raises BadRequestData for an empty one."""
    found = [""]
    depth = 0
    for letter in text:
        depth += (letter == "{") - (letter == "}")
        if letter in ",|" and depth == 0:
            found.append("")
        else:
            found[-1] += letter
    terms = tuple(term.strip() for term in found)
    if not all(terms):
        raise _wrong("A name is missing")
    return terms


class _Reader:
    def __init__(self, text: str, context: Context) -> None:
        self._context = context
        self._pieces = _pieces(text)
        self._at = 0

    @property
    def is_done(self) -> bool:
        return self._at == len(self._pieces)

    def terms(self, depth: int) -> Projection:
        if depth > MAX_LEVELS:
            raise _wrong(f"More than {MAX_LEVELS} levels of linked entities")
        members: dict[str, None] = {}
        linked: dict[str, Projection] = {}
        while True:
            name = self._name()
            members[name] = None
            if self._takes("{"):
                linked[name] = self.terms(depth + 1)
                if not self._takes("}"):
                    raise _wrong("A brace is missing")
            if not self._takes(","):
                return Projection(frozenset(members), linked)

    def _name(self) -> str:
        piece = "" if self.is_done else self._pieces[self._at]
        if not piece or piece in _MARKS:
            raise _wrong("A name is missing")
        self._at += 1
        return piece if piece in _MEMBERS else self._context.expand(piece)

    def _takes(self, mark: str) -> bool:
        taken = not self.is_done and self._pieces[self._at] == mark
        self._at += taken
        return taken


def _pieces(text: str) -> list[str]:
    """Names and marks; a pipe is a comma."""
    found: list[str] = []
    name = ""
    for letter in text:
        if letter in _MARKS:
            if name.strip():
                found.append(name.strip())
            name = ""
            found.append("," if letter == "|" else letter)
        else:
            name += letter
    if name.strip():
        found.append(name.strip())
    if len(found) > 2 * MAX_TERMS:
        raise _wrong(f"More than {MAX_TERMS} names")
    return found


def _wrong(message: str) -> BadRequestData:
    return BadRequestData(
        f"{message} in the list of members", hint="Write name,locatedAt{name}: names between commas."
    )
