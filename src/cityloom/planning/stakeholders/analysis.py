"""The three steps of an analysis, repeated as the city changes (ITU-T Y Suppl. 34, clause 6). Pure.

Each step says what is missing still; a round that is finished keeps its result, which the next is compared
with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date

import msgspec

from cityloom.planning.stakeholders.defaults import CELLS
from cityloom.planning.stakeholders.model import Stakeholder


class Identified(msgspec.Struct, frozen=True):
    """Step 1: who has a stake."""

    count: int
    by_category: Mapping[str, int]
    #: Categories in which there is nobody yet.
    empty: tuple[str, ...]
    #: Names that stand there more than once.
    twice: tuple[str, ...]


class Categorised(msgspec.Struct, frozen=True):
    """Step 2: ids of those for whom something is not said yet."""

    without_role: tuple[str, ...]
    without_enabling: tuple[str, ...]
    without_relation: tuple[str, ...]


class Detailed(msgspec.Struct, frozen=True):
    """Step 3: ids of those for whom something is not said yet."""

    #: With the cells of the matrix that are empty.
    cells: Mapping[str, tuple[str, ...]]
    without_level: tuple[str, ...]
    without_power: tuple[str, ...]
    without_target: tuple[str, ...]
    without_next: tuple[str, ...]
    #: Whose next action was due before today.
    overdue: tuple[str, ...]


class Row(msgspec.Struct, frozen=True, rename="camel"):
    """What a round keeps of a stakeholder: all of it words, as they stood on the day."""

    id: str
    name: str
    category: str
    roles: str
    enabling: str
    level: str
    power: str
    interest: str
    contribution: str


class Compared(msgspec.Struct, frozen=True):
    """What changed from one round to the next: names."""

    came: tuple[str, ...]
    went: tuple[str, ...]
    #: By name: what changed, from and to.
    changed: Mapping[str, Mapping[str, tuple[str, str]]]


def identified(found: Sequence[Stakeholder], categories: Sequence[str]) -> Identified:
    """Step 1, for the categories that there are."""
    counts = Counter(one.category for one in found)
    names = Counter(_name(one).casefold() for one in found)
    twice = {_name(one) for one in found if names[_name(one).casefold()] > 1}
    return Identified(
        len(found),
        {category: counts[category] for category in categories},
        tuple(category for category in categories if not counts[category]),
        tuple(sorted(twice)),
    )


def categorised(found: Sequence[Stakeholder]) -> Categorised:
    """Step 2."""
    return Categorised(
        _those(found, lambda one: not one.roles_now),
        _those(found, lambda one: not one.enabling),
        _those(found, lambda one: not one.relations),
    )


def detailed(found: Sequence[Stakeholder], today: date) -> Detailed:
    """Step 3."""
    return Detailed(
        {one.id: one.empty_cells for one in found if one.empty_cells},
        _those(found, lambda one: not one.standing.level),
        _those(found, lambda one: one.standing.quadrant is None),
        _those(found, lambda one: not one.target),
        _those(found, lambda one: not one.next_action or one.next_on is None),
        _those(found, lambda one: one.next_on is not None and one.next_on < today),
    )


def share_done(found: Sequence[Stakeholder]) -> float:
    """How much of the matrix and of the standing is said, from 0 to 1."""
    if not found:
        return 0.0
    wanted = len(CELLS) + 2
    said = sum(
        len(CELLS) - len(one.empty_cells) + bool(one.standing.level) + (one.standing.quadrant is not None)
        for one in found
    )
    return said / (wanted * len(found))


def row(one: Stakeholder) -> Row:
    """What a round keeps."""
    return Row(
        id=one.id,
        name=_name(one),
        category=one.category,
        roles=", ".join(one.roles_now),
        enabling=", ".join(one.enabling),
        level=one.standing.level,
        power=_number(one.standing.power),
        interest=_number(one.standing.interest),
        contribution=one.cells.get("contribution", "")[:200],
    )


def compared(before: Sequence[Row], after: Sequence[Row]) -> Compared:
    """What is different in the later round."""
    was, now = {one.id: one for one in before}, {one.id: one for one in after}
    changed = {}
    for name in was.keys() & now.keys():
        old, new = msgspec.structs.asdict(was[name]), msgspec.structs.asdict(now[name])
        differing = {key: (old[key], new[key]) for key in old if old[key] != new[key]}
        if differing:
            changed[now[name].name] = differing
    return Compared(
        tuple(sorted(now[name].name for name in now.keys() - was.keys())),
        tuple(sorted(was[name].name for name in was.keys() - now.keys())),
        dict(sorted(changed.items())),
    )


def _those(found: Sequence[Stakeholder], fits: Callable[[Stakeholder], bool]) -> tuple[str, ...]:
    return tuple(one.id for one in found if fits(one))


def _name(one: Stakeholder) -> str:
    return next(iter(one.name.values()), "")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
