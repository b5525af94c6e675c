"""Which boxes and lines the map of interaction has: all stakeholders, or groups of them where they are many.
Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

#: More boxes than this are grouped by category.
MOST_BOXES = 24
#: Kinds that the map treats in a way of their own: strife, and what is of several kinds at once.
CONFLICT = "conflict"
SEVERAL = "several"


class Relation(msgspec.Struct, frozen=True):
    """How one stakeholder acts on another; strength from 1 to 3."""

    source: str
    target: str
    kind: str
    both_ways: bool = False
    strength: int = 2


class Scene(msgspec.Struct, frozen=True):
    """What the map shows. A group's id is its category, with how many are in it."""

    people: tuple[str, ...]
    groups: Mapping[str, int]
    relations: tuple[Relation, ...]
    #: How many of the chosen ones found no room.
    left_out: int = 0


def scene(
    categories: Mapping[str, str], relations: Sequence[Relation], *, chosen: str = "", around: str = ""
) -> Scene:
    """The map of stakeholders, whose category is given by id.

    `chosen` is a category whose members are shown one by one beside the groups of the others; `around` a
    stakeholder who is shown with whom they deal alone.
    """
    if around in categories:
        near = Counter(_other(one, around) for one in relations if around in (one.source, one.target))
        people = [around, *(name for name, _ in near.most_common() if name in categories and name != around)]
        return _single(people, relations)
    if len(categories) <= MOST_BOXES:
        return _single(list(categories), relations)
    shown = [name for name, category in categories.items() if category == chosen]
    degree = Counter(end for one in relations for end in (one.source, one.target))
    # Those with the most relations find room first.
    kept = sorted(shown, key=lambda name: -degree[name])[: MOST_BOXES - _others(categories, chosen)]
    groups = Counter(category for category in categories.values() if category != chosen)
    joined = _joined(categories, relations, set(kept), chosen)
    return Scene(tuple(kept), dict(groups), joined, len(shown) - len(kept))


def _single(people: Sequence[str], relations: Iterable[Relation]) -> Scene:
    kept = set(people[:MOST_BOXES])
    found = tuple(one for one in relations if one.source in kept and one.target in kept)
    return Scene(tuple(people[:MOST_BOXES]), {}, found, max(0, len(people) - MOST_BOXES))


def _others(categories: Mapping[str, str], chosen: str) -> int:
    return len({category for category in categories.values() if category != chosen})


def _joined(
    categories: Mapping[str, str], relations: Iterable[Relation], shown: set[str], chosen: str
) -> tuple[Relation, ...]:
    """Relations between what is shown: several between the same are one line, as strong as the strongest of
    them; conflict stays apart."""
    found: dict[tuple[str, str, bool], Relation] = {}
    for one in relations:
        ends = [end if end in shown else categories.get(end, "") for end in (one.source, one.target)]
        if ends[0] == ends[1] or not all(end and end != chosen for end in ends):
            continue
        apart = one.kind == CONFLICT
        key, back = (ends[0], ends[1], apart), (ends[1], ends[0], apart)
        if back in found:
            found[back] = _merged(found[back], one, both_ways=True)
        elif key in found:
            found[key] = _merged(found[key], one, both_ways=found[key].both_ways or one.both_ways)
        else:
            found[key] = Relation(ends[0], ends[1], one.kind, one.both_ways, one.strength)
    return tuple(found.values())


def _merged(before: Relation, one: Relation, *, both_ways: bool) -> Relation:
    strength = max(before.strength, one.strength)
    kind = before.kind if before.kind == one.kind else SEVERAL
    return msgspec.structs.replace(before, kind=kind, both_ways=both_ways, strength=strength)


def _other(one: Relation, end: str) -> str:
    return one.target if one.source == end else one.source
