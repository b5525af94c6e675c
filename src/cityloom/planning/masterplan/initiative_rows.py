"""An initiative as a row of the plan's table. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.planning.action.model import Action
from cityloom.planning.masterplan.serving import goals_of
from cityloom.planning.model import Initiative, Plan
from cityloom.planning.money import Money
from cityloom.planning.writing import attributes_of

#: What stands in the column `list`.
KIND = "initiatives"
_SEPARATOR = ";"
_COLUMNS = ("owner", "startsAt", "endsAt", "budget", "spent", "servesGoal", "phase")


def header(languages: Sequence[str]) -> list[str]:
    """The names of the columns."""
    texts = [f"{name}.{code}" for name in ("name", "description") for code in languages]
    return ["id", "state", *texts, *_COLUMNS]


def cells(one: Initiative, languages: Sequence[str]) -> list[str]:
    """An initiative as a row. Its milestones, targets and costs are in the JSON."""
    plan = one.plan
    texts = [said.get(code, "") for said in (plan.name, plan.description) for code in languages]
    days = [at.date().isoformat() if at else "" for at in (plan.starts_at, plan.ends_at)]
    money = [f"{said.amount} {said.currency}" if said else "" for said in (plan.budget, plan.spent)]
    goals = _SEPARATOR.join(goals_of(one))
    return [
        one.id,
        "draft" if one.is_draft else "adopted",
        *texts,
        plan.owner,
        *days,
        *money,
        goals,
        one.phase,
    ]


def name_of(said: Mapping[str, str]) -> dict[str, str]:
    """What a row is called, by language."""
    return _texts(said, "name")


def plan_of(said: Mapping[str, str], goals: Mapping[str, str]) -> Plan:
    """What a row says, checked. `goals` are ids by name, "" for one that is still to come.

    Raises BadInput naming the column.
    """
    serves = []
    for one in filter(None, (part.strip() for part in said.get("servesGoal", "").split(_SEPARATOR))):
        found = goals.get(one.casefold(), one if one.startswith("urn:") else None)
        if found is None:
            hint = Worded("Write the name of a goal of the plan.")
            raise BadInput(
                Worded("There is no goal %(name)s", name=repr(one[:60])), hint=hint, where="servesGoal"
            )
        if found:
            serves.append(found)
    plan = Plan(
        name=name_of(said),
        description=_texts(said, "description") or name_of(said),
        owner=said.get("owner", ""),
        budget=_money(said, "budget"),
        spent=_money(said, "spent"),
        starts_at=_instant(said, "startsAt"),
        ends_at=_instant(said, "endsAt"),
        action=Action(goals=tuple(serves)),
    )
    attributes_of(plan)  # raises for what cannot be written
    return plan


def _texts(said: Mapping[str, str], name: str) -> dict[str, str]:
    by_language = {
        column.partition(".")[2]: text for column, text in said.items() if column.startswith(f"{name}.")
    }
    return by_language or ({"en": said[name]} if name in said else {})


def _money(said: Mapping[str, str], name: str) -> Money | None:
    if name not in said:
        return None
    amount, _, currency = said[name].partition(" ")
    try:
        return Money(Decimal(amount), currency.strip())
    except InvalidOperation:
        hint = Worded("Write it as 1200.50 EUR.")
        raise BadInput(Worded("This is no amount of money"), hint=hint, where=name) from None


def _instant(said: Mapping[str, str], name: str) -> datetime | None:
    if name not in said:
        return None
    try:
        return datetime.combine(date.fromisoformat(said[name][:10]), time(), UTC)
    except ValueError:
        hint = Worded("Enter a date as year-month-day, such as 2026-04-12.")
        raise BadInput(Worded("This is no day"), hint=hint, where=name) from None
