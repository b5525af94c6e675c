"""The entity type selection language (ETSI GS CIM 009, 4.17): Building|(Home;Vehicle)."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from cityloom.ngsild.contexts import CORE, Context
from cityloom.ngsild.errors import BadRequestData, TooComplexQuery
from cityloom.ngsild.model import Document

MAX_ALTERNATIVES = 200
MAX_SELECTION = 8_000


class TypeSelection(msgspec.Struct, frozen=True):
    """Alternatives, each with the types an entity must all have."""

    alternatives: tuple[tuple[str, ...], ...]

    def candidates(self) -> tuple[str, ...]:
        """One type of each alternative: who matches has one of these."""
        return tuple(dict.fromkeys(names[0] for names in self.alternatives))


def parse_type_selection(text: str, context: Context = CORE) -> TypeSelection | None:
    """The selection behind the text of `type`, names expanded; None for "*", which selects every type.

    Raises BadRequestData, TooComplexQuery.
    """
    if text == "*":
        return None
    if text.startswith("(") and text.endswith(")") and text.count("(") == 1:
        text = text[1:-1]
    return TypeSelection(
        tuple(
            tuple(context.expand(name) for name in names)
            for names in split_selection(text, what="type", hint="Write Building|House, or (Home;Vehicle).")
        )
    )


def compile_types(selection: TypeSelection) -> Callable[[Document], bool]:
    """A predicate on documents."""
    wanted = [frozenset(names) for names in selection.alternatives]
    return lambda document: any(names.issubset(document["type"]) for names in wanted)


def split_selection(text: str, *, what: str, hint: str) -> list[list[str]]:
    """Alternatives joined by | or a comma, each of words joined by ; with or without parentheses."""
    if len(text) > MAX_SELECTION or text.count("|") + text.count(",") >= MAX_ALTERNATIVES:
        raise TooComplexQuery(
            f"{what} has more than {MAX_ALTERNATIVES} alternatives", hint="Ask several times.", where=what
        )
    found: list[list[str]] = []
    for part in text.replace("|", ",").split(","):
        inner = part[1:-1] if part.startswith("(") and part.endswith(")") else part
        words = inner.split(";")
        if not all(words) or any(mark in word for word in words for mark in "()"):
            raise BadRequestData(f"{text[:60]!a} cannot be read as {what}", hint=hint, where=what)
        found.append(words)
    return found
