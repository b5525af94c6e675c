"""What is there of the plan, and how a requirement is said of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import msgspec

from cityloom.context.publishing import public_id
from cityloom.kernel.worded import Worded
from cityloom.planning.masterplan.gates import Requirement
from cityloom.planning.model import Initiative
from cityloom.planning.records.model import Record

#: Names that are told where several things lack something.
_NAMED = 3


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is there of the plan, as far as somebody may see it."""

    #: By type, without those that were thrown away.
    records: Mapping[str, Sequence[Record]]
    initiatives: Sequence[Initiative]
    today: date
    baselines: int = 0
    versions: int = 0
    #: Records whose working copy says something that nobody outside sees.
    unpublished: int = 0

    def of(self, type_name: str) -> Sequence[Record]:
        """The records of a type."""
        return self.records.get(type_name, ())


def dependencies(records: Iterable[Record]) -> dict[str, list[str]]:
    """What each service or item depends on, by id."""
    return {one.id: [public_id(other) for other in one.get("dependsOn", ())] for one in records}


def said(name: str, title: str, met: bool, why: str, href: str) -> Requirement:
    return Requirement(name, title, met, "" if met else why, href)


def of_goals(
    facts: Facts,
    name: str,
    title: str,
    loose: Sequence[Record],
    path: str,
    *,
    edit: bool = False,
) -> Requirement:
    """Met where there are some, and none of them lacks it; leads to the first that does."""
    there = facts.of("Goal")
    why = (
        Worded("It is missing for: %(names)s.", names=names_of(loose))
        if there
        else Worded("There is no goal yet.")
    )
    href = f"/plan/{path}" if not loose else f"/plan/{path}/{loose[0].id}" + ("/edit" if edit else "")
    return said(name, title, bool(there) and not loose, why, href)


def of_initiatives(facts: Facts, name: str, title: str, loose: Sequence[Initiative]) -> Requirement:
    adopted = adopted_ones(facts)
    names = ", ".join(_plain(one.plan.name, one.id) for one in loose[:_NAMED]) + _more(len(loose))
    why = (
        Worded("It is missing for: %(names)s.", names=names)
        if adopted
        else Worded("No initiative is adopted.")
    )
    href = f"/initiatives/{loose[0].id}" if loose else "/initiatives"
    return said(name, title, bool(adopted) and not loose, why, href)


def adopted_ones(facts: Facts) -> list[Initiative]:
    return [one for one in facts.initiatives if not one.is_draft]


def any_below(facts: Facts, goal: Record, name: str) -> bool:
    wanted = {goal.id, *below(facts, goal.id)}
    return any(one.get(name) for one in facts.of("Goal") if one.id in wanted)


def below(facts: Facts, goal_id: str) -> set[str]:
    """The goals that are part of a goal, over any number of steps."""
    found: set[str] = set()
    at = [goal_id]
    while at:
        here = at.pop()
        for one in facts.of("Goal"):
            if public_id(one.get("parent", "")) == here and one.id not in found:
                found.add(one.id)
                at.append(one.id)
    return found


def first_or_new(records: Sequence[Record], path: str) -> str:
    return f"/plan/{path}/{records[0].id}/edit" if records else f"/plan/{path}/new"


def names_of(records: Sequence[Record]) -> str:
    return ", ".join(_plain(one.name, one.id) for one in records[:_NAMED]) + _more(len(records))


def _plain(name: Mapping[str, str], otherwise: str) -> str:
    return next(iter(name.values()), otherwise)


def _more(count: int) -> str:
    return f" (+{count - _NAMED})" if count > _NAMED else ""
