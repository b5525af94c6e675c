"""Whether participation goes wrong: one voice over all, more effort than it yields, groups left out. Pure.

ITU-T Y Suppl. 34, clause 4.2 names three perils. What is told of them here is counted from what happened:
contributions, attendance, and the hours and costs that were noted. Of too little nothing is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from enum import StrEnum
from statistics import median

import msgspec

from cityloom.planning.money import Money

#: The group of those who speak for themselves.
CITIZENS = "citizens"


class Peril(StrEnum):
    """What can go wrong."""

    DOMINANCE = "dominance"
    COST = "cost"
    EXCLUSIVITY = "exclusivity"


class Verdict(StrEnum):
    """What is told of a rule."""

    FINE = "fine"
    WARNING = "warning"
    UNKNOWN = "unknown"


class Rule(StrEnum):
    """What is counted."""

    #: Of all acts, those of the one stakeholder who acted most.
    ONE_VOICE = "one_voice"
    #: Of the acts of organised groups, those of the group that acted most.
    ONE_GROUP = "one_group"
    #: Of the contributions of organised groups that changed something, those of the one group.
    ONE_OUTCOME = "one_outcome"
    #: Hours of staff for each act.
    HOURS = "hours"
    #: Money for each act.
    MONEY = "money"
    #: Days until half of the contributions were answered.
    DAYS = "days"
    #: Of the groups in the register, those that never took part.
    GROUPS_ABSENT = "groups_absent"
    #: Of the stakeholders in the register, those that never took part.
    STAKEHOLDERS_ABSENT = "stakeholders_absent"


PERILS = {
    Peril.DOMINANCE: (Rule.ONE_VOICE, Rule.ONE_GROUP, Rule.ONE_OUTCOME),
    Peril.COST: (Rule.HOURS, Rule.MONEY, Rule.DAYS),
    Peril.EXCLUSIVITY: (Rule.GROUPS_ABSENT, Rule.STAKEHOLDERS_ABSENT),
}


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """Beyond these a warning is given. Shares are from 0 to 1; each city sets its own."""

    #: Acts below which nothing is told.
    least_acts: int = 20
    #: Groups in the register below which nothing is told of who is left out.
    least_groups: int = 4
    one_voice: float = 0.25
    one_group: float = 0.5
    one_outcome: float = 0.6
    hours: float = 4.0
    #: In whichever currency the costs were noted.
    money: float = 500.0
    days: float = 30.0
    groups_absent: float = 0.25
    stakeholders_absent: float = 0.5


class Act(msgspec.Struct, frozen=True):
    """Somebody took part: a contribution, or having come."""

    #: The stakeholder's id; "" for somebody who spoke for themselves.
    stakeholder: str
    #: The category they spoke for.
    group: str
    #: Whether it changed something; None for what is no contribution, or not answered yet.
    changed: bool | None = None
    #: Days until it was answered; None while it is not, and for what needs no answer.
    days: float | None = None
    #: So many took part in the same way.
    count: int = 1


class Effort(msgspec.Struct, frozen=True):
    """What one process took, as far as it was noted."""

    hours: float | None = None
    cost: Money | None = None
    #: How many took part in it.
    acts: int = 0


class Finding(msgspec.Struct, frozen=True):
    """What a rule says. `value` is None where nothing can be told; `who` is whom it is about."""

    rule: Rule
    verdict: Verdict
    threshold: float
    value: float | None = None
    who: str = ""
    #: Of how many it was counted, and how many that would have to be.
    of: int = 0
    least: int = 0
    currency: str = ""


class Register(msgspec.Struct, frozen=True):
    """Who could have taken part: the group of each stakeholder by id."""

    groups: dict[str, str]


def findings(
    acts: Sequence[Act], efforts: Sequence[Effort], register: Register, set_to: Thresholds
) -> dict[Peril, tuple[Finding, ...]]:
    """All rules of the three perils."""
    return {
        Peril.DOMINANCE: (
            _loudest(
                Rule.ONE_VOICE, [(one.stakeholder, one.count) for one in acts], set_to.one_voice, set_to
            ),
            _loudest(Rule.ONE_GROUP, _organised(acts), set_to.one_group, set_to),
            _loudest(
                Rule.ONE_OUTCOME, _organised([one for one in acts if one.changed]), set_to.one_outcome, set_to
            ),
        ),
        Peril.COST: (_hours(efforts, set_to), _money(efforts, set_to), _days(acts, set_to)),
        Peril.EXCLUSIVITY: (_groups_absent(acts, register, set_to), _absent(acts, register, set_to)),
    }


#: Whose voice, and how often.
_Voice = tuple[str, int]


def _number(acts: Iterable[Act]) -> int:
    return sum(one.count for one in acts)


def _organised(acts: Sequence[Act]) -> list[_Voice]:
    """The groups that acted. Citizens are many already: they cannot be too loud as a group."""
    return [(one.group, one.count) for one in acts if one.group and one.group != CITIZENS]


def _loudest(rule: Rule, voices: Sequence[_Voice], threshold: float, set_to: Thresholds) -> Finding:
    """The greatest share of one voice; "" is somebody else each time."""
    whole = sum(count for _, count in voices)
    if whole < set_to.least_acts:
        return Finding(rule, Verdict.UNKNOWN, threshold, of=whole, least=set_to.least_acts)
    named: Counter[str] = Counter()
    for voice, count in voices:
        if voice:
            named[voice] += count
    who, most = max(sorted(named.items()), key=lambda one: one[1], default=("", 0))
    return _judged(rule, most / whole, threshold, who=who, of=whole)


def _hours(efforts: Sequence[Effort], set_to: Thresholds) -> Finding:
    noted = [one for one in efforts if one.hours is not None]
    acts = sum(one.acts for one in noted)
    if acts < set_to.least_acts:
        return Finding(Rule.HOURS, Verdict.UNKNOWN, set_to.hours, of=acts, least=set_to.least_acts)
    spent = sum(one.hours or 0.0 for one in noted)
    return _judged(Rule.HOURS, spent / acts, set_to.hours, of=acts)


def _money(efforts: Sequence[Effort], set_to: Thresholds) -> Finding:
    """Costs in several currencies are not added up: then nothing is told."""
    noted = [one for one in efforts if one.cost is not None]
    acts = sum(one.acts for one in noted)
    currencies = sorted({one.cost.currency for one in noted if one.cost is not None})
    if acts < set_to.least_acts or len(currencies) != 1:
        said = ", ".join(currencies)
        return Finding(
            Rule.MONEY, Verdict.UNKNOWN, set_to.money, of=acts, least=set_to.least_acts, currency=said
        )
    spent = sum((one.cost.amount for one in noted if one.cost is not None), Decimal(0))
    found = _judged(Rule.MONEY, float(spent / acts), set_to.money, of=acts)
    return msgspec.structs.replace(found, currency=currencies[0])


def _days(acts: Sequence[Act], set_to: Thresholds) -> Finding:
    waits = [one.days for one in acts if one.days is not None]
    if len(waits) < set_to.least_acts:
        return Finding(Rule.DAYS, Verdict.UNKNOWN, set_to.days, of=len(waits), least=set_to.least_acts)
    return _judged(Rule.DAYS, median(waits), set_to.days, of=len(waits))


def _groups_absent(acts: Sequence[Act], register: Register, set_to: Thresholds) -> Finding:
    groups = set(register.groups.values())
    if len(groups) < set_to.least_groups or _number(acts) < set_to.least_acts:
        return Finding(
            Rule.GROUPS_ABSENT,
            Verdict.UNKNOWN,
            set_to.groups_absent,
            of=_number(acts),
            least=set_to.least_acts,
        )
    absent = sorted(groups - {one.group for one in acts})
    return _judged(
        Rule.GROUPS_ABSENT,
        len(absent) / len(groups),
        set_to.groups_absent,
        who=", ".join(absent),
        of=len(groups),
    )


def _absent(acts: Sequence[Act], register: Register, set_to: Thresholds) -> Finding:
    known = set(register.groups)
    if len(known) < set_to.least_groups or _number(acts) < set_to.least_acts:
        return Finding(
            Rule.STAKEHOLDERS_ABSENT,
            Verdict.UNKNOWN,
            set_to.stakeholders_absent,
            of=_number(acts),
            least=set_to.least_acts,
        )
    absent = known - {one.stakeholder for one in acts}
    return _judged(
        Rule.STAKEHOLDERS_ABSENT, len(absent) / len(known), set_to.stakeholders_absent, of=len(known)
    )


def _judged(rule: Rule, value: float, threshold: float, *, who: str = "", of: int) -> Finding:
    verdict = Verdict.WARNING if value > threshold else Verdict.FINE
    return Finding(rule, verdict, threshold, value=value, who=who, of=of)
