"""Which subscriptions a change concerns (ETSI GS CIM 009, 5.8.6).

A thousand subscriptions to one type must not cost a thousand comparisons a change. Those that ask the same
are one `Rule`. Rules are found by the Entity's type and the attributes written, and among these by what `q`
asks of one attribute: limits of a number by their order, equal values by a table. What is found this way is
then looked at in full, so an index may offer too much and never too little.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import orjson

from cityloom.kernel.change import Change, ChangeKind
from cityloom.ngsild.attribute_changes import OF_ENTITY, Happening, attribute_happenings, waited_for
from cityloom.ngsild.model import Document
from cityloom.ngsild.q_language import And, Compare, Located, Operator, Or, Path, Term
from cityloom.ngsild.q_matching import Lookup, values_at
from cityloom.ngsild.query import EntityQuery, EntitySelector, Predicate, compile
from cityloom.ngsild.subscription import Subscription
from cityloom.subscriptions.model import Kept

_ORDERED = frozenset({">", ">=", "<", "<="})
_CREATED, _DELETED = int(Happening.ATTRIBUTE_CREATED), int(Happening.ATTRIBUTE_DELETED)
#: What may happen in a change of each kind.
_POSSIBLE = {
    ChangeKind.CREATED: _CREATED | int(Happening.ENTITY_CREATED),
    ChangeKind.UPDATED: _CREATED | int(Happening.ATTRIBUTE_UPDATED) | _DELETED,
    ChangeKind.DELETED: _DELETED | int(Happening.ENTITY_DELETED),
}


class Happened:
    """A change, looked at no more than it must be: its document is read once, if at all."""

    __slots__ = ("_before", "_document", "_happenings", "change", "possible")

    def __init__(self, change: Change) -> None:
        self.change = change
        self.possible = _POSSIBLE.get(change.kind, 0)
        self._document: Document | None = None
        self._before: dict[str, Any] | None = None
        self._happenings: dict[str, int] | None = None

    @property
    def document(self) -> Document:
        """The Entity after the change; for a deletion, as it was."""
        if self._document is None:
            self._document = orjson.loads(self.change.document)
        return self._document

    @property
    def before(self) -> dict[str, Any]:
        """The attributes written as they were."""
        if self._before is None:
            self._before = orjson.loads(self.change.before) if self.change.before else {}
        return self._before

    @property
    def happenings(self) -> dict[str, int]:
        """What happened, by attribute."""
        if self._happenings is None:
            self._happenings = self._look()
        return self._happenings

    def _look(self) -> dict[str, int]:
        if self.change.kind is ChangeKind.CREATED:
            return dict.fromkeys(self.change.attributes, _CREATED)
        if self.change.kind is ChangeKind.DELETED:
            return dict.fromkeys(self.change.attributes, _DELETED)
        return attribute_happenings(self.before, self.document["attrs"], self.change.attributes)


class Question(msgspec.Struct, frozen=True):
    """What a subscription asks of a change. Subscriptions with equal questions share one Rule."""

    mask: int
    watched: frozenset[str] | None
    query: EntityQuery
    #: Whose eyes follow linked Entities; "" where none are followed.
    seen_by: str = ""


def question_of(kept: Kept) -> Question:
    """The question of a subscription."""
    wanted = kept.wanted
    follows = wanted.q is not None and _follows_links(wanted.q.term)
    return Question(
        mask=waited_for(wanted.triggers),
        watched=None if wanted.watched is None else frozenset(wanted.watched),
        query=query_of(wanted),
        seen_by=kept.owner if follows else "",
    )


def query_of(wanted: Subscription) -> EntityQuery:
    """The Entities that a subscription is to. `csf` passes over nothing: what is here comes from here."""
    selectors = () if wanted.entities is None else wanted.entities
    found = tuple(
        EntitySelector(
            type_expression=one.types, id=identifier, id_pattern=None if one.ids else one.id_pattern
        )
        for one in selectors
        for identifier in (one.ids or (None,))
    )
    return EntityQuery(
        selectors=found,
        q=None if wanted.q is None else wanted.q.term,
        geo=None if wanted.geo is None else wanted.geo.query,
        scope_q=None if wanted.scopes is None else wanted.scopes.query,
    )


class Rule:
    """A question, ready to be asked, and the subscriptions that ask it."""

    __slots__ = ("_matches", "anchors", "asked_by", "key", "mask", "question", "watched")

    def __init__(self, key: bytes, question: Question, lookup: Lookup | None) -> None:
        self.key = key
        self.question = question
        self.mask = question.mask
        self.watched = question.watched
        self.anchors = _anchors(question.query.q)
        self.asked_by: dict[str, Kept] = {}
        query = question.query
        if all(map(_is_type_alone, query.selectors)):
            # The plans have looked at the type.
            query = msgspec.structs.replace(query, selectors=())
        self._matches: Predicate | None = None if query == EntityQuery() else compile(query, lookup)

    def concerns(self, happened: Happened) -> bool:
        """Whether the change is one that is waited for, of an Entity that is asked about."""
        if not self.mask & happened.possible or not self._is_triggered(happened):
            return False
        return self._matches is None or self._matches(happened.document)

    def _is_triggered(self, happened: Happened) -> bool:
        happenings = happened.happenings
        if self.mask & happened.possible & OF_ENTITY:
            return self.watched is None or not self.watched.isdisjoint(happenings)
        return any(
            found & self.mask
            for name, found in happenings.items()
            if self.watched is None or name in self.watched
        )


class Anchor(msgspec.Struct, frozen=True):
    """What must hold of one attribute before the rest is looked at: path operator value."""

    path: Path
    operator: Operator
    value: Any


class Limits:
    """Rules by the limit of a number, in order."""

    def __init__(self) -> None:
        self._limits: list[float] = []
        self._rules: dict[float, list[Rule]] = {}

    def add(self, limit: float, rule: Rule) -> None:
        if limit not in self._rules:
            insort(self._limits, limit)
            self._rules[limit] = []
        self._rules[limit].append(rule)

    def remove(self, limit: float, rule: Rule) -> None:
        self._rules[limit].remove(rule)
        if not self._rules[limit]:
            del self._rules[limit], self._limits[bisect_left(self._limits, limit)]

    def passed(self, operator: str, number: float) -> Iterator[Rule]:
        """The rules whose limit the number passes."""
        limits = self._limits
        if operator == ">":
            found = limits[: bisect_left(limits, number)]
        elif operator == ">=":
            found = limits[: bisect_right(limits, number)]
        elif operator == "<":
            found = limits[bisect_right(limits, number) :]
        else:
            found = limits[bisect_left(limits, number) :]
        for limit in found:
            yield from self._rules[limit]


class Plan:
    """The rules for one type and one attribute that is watched (or for any)."""

    def __init__(self) -> None:
        self._limits: dict[Path, dict[str, Limits]] = {}
        self._equals: dict[Path, dict[Any, list[Rule]]] = {}
        self._others: list[Rule] = []

    def add(self, rule: Rule) -> None:
        if not rule.anchors:
            self._others.append(rule)
        for anchor in rule.anchors:
            if anchor.operator == "==":
                self._equals.setdefault(anchor.path, {}).setdefault(anchor.value, []).append(rule)
            else:
                by_operator = self._limits.setdefault(anchor.path, {})
                by_operator.setdefault(anchor.operator, Limits()).add(anchor.value, rule)

    def remove(self, rule: Rule) -> None:
        if not rule.anchors:
            self._others.remove(rule)
        for anchor in rule.anchors:
            if anchor.operator == "==":
                self._equals[anchor.path][anchor.value].remove(rule)
            else:
                self._limits[anchor.path][anchor.operator].remove(anchor.value, rule)

    def candidates(self, happened: Happened) -> Iterator[Rule]:
        """Every rule that can concern the change, and some that do not."""
        yield from self._others
        for path, by_operator in self._limits.items():
            for value in values_at(path, happened.document):
                if isinstance(value, int | float) and not isinstance(value, bool):
                    for operator, limits in by_operator.items():
                        yield from limits.passed(operator, value)
        for path, by_value in self._equals.items():
            for value in values_at(path, happened.document):
                for one in value if isinstance(value, list | tuple) else (value,):
                    if isinstance(one, str | int | float):
                        yield from by_value.get(_equal_key(one), ())


class Matcher:
    """The rules of one tenant. `lookup_of` gives a subscription's eyes for linked Entities."""

    def __init__(self, lookup_of: Callable[[Kept], Lookup]) -> None:
        self._lookup_of = lookup_of
        self._rules: dict[bytes, Rule] = {}
        #: By the subscription's id.
        self._rule_of: dict[str, Rule] = {}
        #: By type (None: any), then by attribute (None: any).
        self._plans: dict[str | None, dict[str | None, Plan]] = {}

    def __len__(self) -> int:
        return len(self._rule_of)

    def add(self, kept: Kept) -> None:
        """Take in a subscription, in place of an earlier one with its id."""
        self.remove(kept.wanted.id)
        question = question_of(kept)
        key = msgspec.json.encode(question, order="deterministic")
        rule = self._rules.get(key)
        if rule is None:
            rule = self._rules[key] = Rule(key, question, self._lookup_of(kept) if question.seen_by else None)
            for plan in self._places(rule):
                plan.add(rule)
        rule.asked_by[kept.wanted.id] = kept
        self._rule_of[kept.wanted.id] = rule

    def remove(self, id: str) -> None:
        """Forget a subscription, if it is there."""
        rule = self._rule_of.pop(id, None)
        if rule is None:
            return
        del rule.asked_by[id]
        if not rule.asked_by:
            del self._rules[rule.key]
            for plan in self._places(rule):
                plan.remove(rule)

    def concerned(self, happened: Happened) -> Iterator[Rule]:
        """The rules that a change concerns, each once."""
        found: dict[int, Rule] = {}
        for plan in self._plans_for(happened.change):
            for rule in plan.candidates(happened):
                found[id(rule)] = rule
        return (rule for rule in found.values() if rule.concerns(happened))

    def _plans_for(self, change: Change) -> Iterator[Plan]:
        for name in (*change.types, None):
            by_attribute = self._plans.get(name)
            if by_attribute is None:
                continue
            if (plan := by_attribute.get(None)) is not None:
                yield plan
            if len(by_attribute) > 1 or plan is None:
                for attribute in change.attributes:
                    if (watching := by_attribute.get(attribute)) is not None:
                        yield watching

    def _places(self, rule: Rule) -> Iterator[Plan]:
        for name in _types(rule.question.query):
            for attribute in (None,) if rule.watched is None else rule.watched:
                yield self._plans.setdefault(name, {}).setdefault(attribute, Plan())


def _types(query: EntityQuery) -> set[str | None]:
    """One type of each alternative; None where any type will do."""
    found: set[str | None] = set()
    for selector in query.selectors:
        found.update((None,) if selector.type_expression is None else selector.type_expression.candidates())
    return found or {None}


def _is_type_alone(selector: EntitySelector) -> bool:
    types = selector.type_expression
    alone = types is None or all(len(names) == 1 for names in types.alternatives)
    return alone and selector.id is None and selector.id_pattern is None


def _anchors(term: Term | None) -> tuple[Anchor, ...]:
    """Conditions of which everything that matches meets one; none where they cannot be looked up."""
    if isinstance(term, And):
        return next(filter(None, map(_anchors, term.terms)), ())
    if isinstance(term, Or):
        parts = [_anchors(part) for part in term.terms]
        return tuple(dict.fromkeys(one for part in parts for one in part)) if all(parts) else ()
    anchor = _anchor(term) if isinstance(term, Compare) else None
    return () if anchor is None else (anchor,)


def _anchor(term: Compare) -> Anchor | None:
    if term.path.hops or not isinstance(term.values, tuple):
        return None
    (first, *more) = term.values
    if term.operator in _ORDERED and first.kind == "number":
        return Anchor(term.path, term.operator, first.value)
    if term.operator == "==" and not more and first.iri is None and first.kind in _LOOKED_UP:
        return Anchor(term.path, "==", _equal_key(first.value))
    return None


_LOOKED_UP = frozenset({"number", "string", "uri", "boolean"})


def _equal_key(value: Any) -> Any:
    """What a value is looked up by: true is not 1."""
    return (value,) if isinstance(value, bool) else value


def _follows_links(term: Term) -> bool:
    if isinstance(term, And | Or):
        return any(map(_follows_links, term.terms))
    return not isinstance(term, Located) and bool(term.path.hops)
