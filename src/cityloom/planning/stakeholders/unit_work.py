"""What a unit of the city or the state has on its hands: found by its name, wherever it is written. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import msgspec

from cityloom.planning.model import Initiative, Milestone
from cityloom.planning.records.model import Record

#: Fields of other records that name who is in charge.
_IN_CHARGE = ("owner", "responsible", "by")


class UnitWork(msgspec.Struct, frozen=True):
    """What a unit carries alone, what it carries with others, and what it is in charge of."""

    own: tuple[Initiative, ...]
    shared: tuple[Initiative, ...]
    #: Services, infrastructure, factors, occasions: all that names it.
    records: tuple[Record, ...]
    #: Milestones of its own initiatives that are overdue.
    overdue: tuple[tuple[Initiative, Milestone], ...]


def work_of(
    names: Mapping[str, str], initiatives: Iterable[Initiative], records: Sequence[Record], today: date
) -> UnitWork:
    """The work of the unit that is called so in one of these languages; an initiative's own comes first."""
    called = {one.strip().casefold() for one in names.values()}
    own, shared = [], []
    for one in initiatives:
        action = one.plan.action
        if _is(action.department or one.plan.owner, called):
            own.append(one)
        elif any(
            _is(name, called) for name in (*action.shared_with, *(cost.department for cost in action.costs))
        ):
            shared.append(one)
    return UnitWork(
        tuple(own),
        tuple(shared),
        tuple(one for one in records if any(_is(one.get(name, ""), called) for name in _IN_CHARGE)),
        tuple((one, milestone) for one in own for milestone in one.overdue(today)),
    )


def _is(name: str, called: set[str]) -> bool:
    return name.strip().casefold() in called
