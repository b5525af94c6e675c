"""Which decision of a committee lets an initiative's budget change. Pure.

The budget of an adopted initiative is a promise with a price. It changes when a body that controls budgets
has decided so, from the amount that stands to the one that the decision names; so a decision serves once.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import msgspec

from cityloom.kernel.errors import Conflict
from cityloom.kernel.worded import Worded
from cityloom.planning.money import Money


class BudgetDecision(msgspec.Struct, frozen=True, kw_only=True):
    """A decision on a budget: of which initiative, from what to what. Ids are those of the Entities."""

    id: str
    initiative: str
    decided_on: date
    #: None: there was none before.
    before: Money | None
    #: None: the initiative gets no money any more.
    after: Money | None
    #: Whether the body that decided has control over budgets.
    by_right: bool


def decision_for(
    initiative: str, before: Money | None, after: Money | None, decisions: Iterable[BudgetDecision]
) -> BudgetDecision | None:
    """The newest decision that allows just this change; None where nothing changes.

    Raises Conflict naming `budget` where none allows it.
    """
    if before == after:
        return None
    about = [one for one in decisions if one.initiative == initiative]
    fitting = [one for one in about if one.by_right and (one.before, one.after) == (before, after)]
    if fitting:
        return max(fitting, key=lambda one: (one.decided_on, one.id))
    raise Conflict(
        Worded("No decision allows this change of the budget"),
        hint=_hint(about, before, after),
        where="budget",
    )


def _hint(about: list[BudgetDecision], before: Money | None, after: Money | None) -> Worded:
    if any((one.before, one.after) == (before, after) for one in about):
        return Worded("The body that decided it has no control over budgets; say so of the body, if it has.")
    standing = [one for one in about if one.by_right and one.before == before]
    if standing:
        newest = max(standing, key=lambda one: (one.decided_on, one.id))
        return Worded("What was decided is %(amount)s: enter that.", amount=_said(newest.after))
    return Worded(
        "Record the committee's decision first: from %(before)s to %(after)s.",
        before=_said(before),
        after=_said(after),
    )


def _said(money: Money | None) -> str:
    return "0" if money is None else f"{money.amount} {money.currency}"
