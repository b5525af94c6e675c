"""How the plan goes: goals with their initiatives and indicators, the money, what is overdue. Pure.

One tree for the staff and for everybody: who asks sees what they are cleared for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, tzinfo
from decimal import Decimal

import msgspec

from cityloom.context.publishing import public_id
from cityloom.planning.masterplan.progress import Verdict, share_of_way, verdict, worst
from cityloom.planning.masterplan.serving import goals_of
from cityloom.planning.model import Initiative, Milestone
from cityloom.planning.records.model import Record

#: Parts of parts, over so many steps; what lies deeper is shown at the top.
_DEEPEST = 20


class Now(msgspec.Struct, frozen=True):
    """What an indicator says now. `unit` is a UN/CEFACT code, or words where there is none."""

    name: Mapping[str, str]
    value: float | bool | None
    unit: str


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """An indicator of a goal, or a target of an initiative, with how it goes."""

    indicator: str
    name: Mapping[str, str]
    unit: str
    #: From the target, else from the frozen baseline; None where neither says.
    baseline: float | None
    now: float | None
    target: float | None
    due: date | None
    #: The share of the way that is gone; None where it cannot be told.
    share: float | None
    verdict: Verdict


class Task(msgspec.Struct, frozen=True):
    """An initiative with the targets it promised."""

    initiative: Initiative
    targets: tuple[Measured, ...]
    overdue: tuple[Milestone, ...]
    verdict: Verdict


class GoalState(msgspec.Struct, frozen=True):
    """A goal with what serves it, what shows it, and its parts."""

    goal: Record
    tasks: tuple[Task, ...]
    indicators: tuple[Measured, ...]
    parts: tuple[GoalState, ...]
    verdict: Verdict


class Sum(msgspec.Struct, frozen=True):
    """Money in one currency; exact."""

    currency: str
    budget: Decimal
    spent: Decimal

    @property
    def share(self) -> float | None:
        """Spent over budget; None without a budget."""
        return float(self.spent / self.budget) if self.budget else None


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """The whole plan as it goes."""

    goals: tuple[GoalState, ...]
    #: Initiatives that serve no goal.
    loose: tuple[Task, ...]
    money: tuple[Sum, ...]
    overdue: tuple[tuple[Initiative, Milestone], ...]
    #: How many initiatives stand how.
    tally: Mapping[Verdict, int]


def course(
    goals: Sequence[Record],
    initiatives: Sequence[Initiative],
    now: Mapping[str, Now],
    baseline: Mapping[str, float],
    *,
    today: date,
    zone: tzinfo,
) -> Course:
    """How the plan goes today. `now` and `baseline` by the indicator's id."""
    tasks = {one.id: _task(one, now, today, zone) for one in initiatives}
    known = {goal.id for goal in goals}
    tree = _Tree(now, baseline)
    for task in tasks.values():
        for served in goals_of(task.initiative):
            tree.serving.setdefault(served, []).append(task)
    for goal in goals:
        parent = public_id(goal.get("parent", ""))
        tree.parts.setdefault(parent if parent in known else "", []).append(goal)
    states = [tree.state(goal) for goal in _ordered(tree.parts.get("", []))]
    # Goals that are part of each other in a circle, or very deep down, are under none: they stand at the top.
    states.extend(tree.state(goal) for goal in _ordered(goals) if goal.id not in tree.placed)
    tally: dict[Verdict, int] = {}
    for task in tasks.values():
        tally[task.verdict] = tally.get(task.verdict, 0) + 1
    return Course(
        goals=tuple(states),
        loose=tuple(tasks[one.id] for one in initiatives if not known & set(goals_of(one))),
        money=tuple(sums(initiatives)),
        overdue=tuple((one, step) for one in initiatives for step in one.overdue(today)),
        tally=tally,
    )


def sums(initiatives: Iterable[Initiative]) -> list[Sum]:
    """Budgets and what is spent, for each currency."""
    found: dict[str, list[Decimal]] = {}
    for one in initiatives:
        for place, money in enumerate((one.plan.budget, one.plan.spent)):
            if money is not None:
                found.setdefault(money.currency, [Decimal(0), Decimal(0)])[place] += money.amount
    return [Sum(currency, *both) for currency, both in sorted(found.items())]


def _ordered(goals: Iterable[Record]) -> list[Record]:
    return sorted(goals, key=lambda one: (one.get("priority", 10.0), next(iter(one.name.values()), "")))


class _Tree:
    """Goals with their parts, each placed once."""

    def __init__(self, now: Mapping[str, Now], baseline: Mapping[str, float]) -> None:
        self.parts: dict[str, list[Record]] = {}
        self.serving: dict[str, list[Task]] = {}
        self.placed: set[str] = set()
        self._now = now
        self._baseline = baseline

    def state(self, goal: Record, depth: int = 0) -> GoalState:
        """A goal with everything below it."""
        self.placed.add(goal.id)
        parts = _ordered(self.parts.get(goal.id, ())) if depth < _DEEPEST else []
        below = tuple(self.state(one, depth + 1) for one in parts if one.id not in self.placed)
        tasks = tuple(self.serving.get(goal.id, ()))
        promised = {target.indicator for task in tasks for target in task.targets}
        indicators = tuple(
            _without_target(one, self._now, self._baseline)
            for one in goal.get("indicators", ())
            if one not in promised
        )
        verdicts = [task.verdict for task in tasks] + [part.verdict for part in below]
        return GoalState(goal, tasks, indicators, below, worst(verdicts))


def _task(one: Initiative, now: Mapping[str, Now], today: date, zone: tzinfo) -> Task:
    since = one.plan.starts_at.astimezone(zone).date() if one.plan.starts_at else None
    targets = []
    for target in one.plan.targets:
        said = now.get(target.indicator, Now({}, None, ""))
        value = _number(said.value)
        targets.append(
            Measured(
                indicator=target.indicator,
                name=said.name,
                unit=said.unit,
                baseline=target.baseline,
                now=value,
                target=target.target,
                due=target.due,
                share=None if value is None else share_of_way(target.baseline, value, target.target),
                verdict=verdict(
                    target.baseline, value, target.target, since=since, due=target.due, today=today
                ),
            )
        )
    return Task(one, tuple(targets), one.overdue(today), worst([target.verdict for target in targets]))


def _without_target(indicator: str, now: Mapping[str, Now], baseline: Mapping[str, float]) -> Measured:
    said = now.get(indicator, Now({}, None, ""))
    return Measured(
        indicator=indicator,
        name=said.name,
        unit=said.unit,
        baseline=baseline.get(indicator),
        now=_number(said.value),
        target=None,
        due=None,
        share=None,
        verdict=Verdict.UNKNOWN,
    )


def _number(value: float | bool | None) -> float | None:
    return None if value is None else float(value)
