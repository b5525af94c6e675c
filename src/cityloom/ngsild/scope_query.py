"""The scope query language (ETSI GS CIM 009, 4.19): /Aarhus/#|(/CompanyA;/Madrid/+/ParqueNorte)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from cityloom.ngsild.errors import BadRequestData
from cityloom.ngsild.model import Document
from cityloom.ngsild.names import is_simple_name
from cityloom.ngsild.type_selection import split_selection

_HINT = "Write /Aarhus/Centre, /Aarhus/#, /Aarhus/+/Park, or (/Aarhus;/CompanyA)."


class ScopePattern(msgspec.Struct, frozen=True):
    """Levels of a scope, "+" for any one; with `below` everything under them matches too."""

    levels: tuple[str, ...]
    below: bool = False

    def matches(self, scope: Sequence[str]) -> bool:
        """Whether a scope, split into levels, matches."""
        if len(scope) != len(self.levels) and not (self.below and len(scope) > len(self.levels)):
            return False
        return all(wanted in ("+", level) for wanted, level in zip(self.levels, scope, strict=False))


class ScopeQuery(msgspec.Struct, frozen=True):
    """Alternatives, each with the patterns that must all match some scope of the entity."""

    alternatives: tuple[tuple[ScopePattern, ...], ...]


def parse_scope_query(text: str) -> ScopeQuery:
    """The query behind the text of `scopeQ`. Raises BadRequestData, TooComplexQuery."""
    return ScopeQuery(
        tuple(tuple(map(_pattern, words)) for words in split_selection(text, what="scopeQ", hint=_HINT))
    )


def compile_scopes(query: ScopeQuery) -> Callable[[Document], bool]:
    """A predicate on documents."""

    def matches(document: Document) -> bool:
        scopes = [scope.strip("/").split("/") for scope in document.get("scope", ())]
        return any(
            all(any(pattern.matches(scope) for scope in scopes) for pattern in patterns)
            for patterns in query.alternatives
        )

    return matches


def _pattern(text: str) -> ScopePattern:
    if text == "/#":
        return ScopePattern((), below=True)
    below = text.endswith("/#")
    levels = text.removesuffix("/#").removeprefix("/").split("/")
    if not all(level == "+" or is_simple_name(level) for level in levels):
        raise BadRequestData(f"{text[:60]!a} is not a scope to look for", hint=_HINT, where="scopeQ")
    return ScopePattern(tuple(levels), below)
