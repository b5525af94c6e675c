"""From an Action to the attributes of its Entity: every field checked. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from cityloom.kernel.errors import BadInput
from cityloom.kernel.texts import check_line, check_text
from cityloom.kernel.worded import Worded
from cityloom.ngsild.model import Instance, json_value, prop, rel
from cityloom.planning.action import model
from cityloom.planning.action.areas import AREAS, DOMAINS
from cityloom.planning.action.funding import MECHANISMS
from cityloom.planning.action.model import (
    Action,
    Check,
    Cost,
    Financing,
    Law,
    Pilot,
    Reporting,
    Risk,
    Share,
    TargetGroup,
)
from cityloom.planning.money import check_money
from cityloom.planning.records.fields.field import too_many
from cityloom.planning.sdg import check_targets

LONGEST_LINE = 200
LONGEST_TEXT = 2000
MOST_LINKS = 50
MOST_COSTS = 80
MOST_ROWS = 30
FIRST_YEAR, LAST_YEAR = 1990, 2150
MOST_YEARS = 60

#: Attributes to write; None removes one.
Edits = dict[str, Instance | None]


def attributes_of(action: Action) -> Edits:
    """The action's attributes; None for what it leaves out. Raises BadInput naming the field."""
    return {
        "actionKind": _word(action.kind, model.KINDS, "actionKind"),
        "servesGoal": _links(action.goals, "servesGoal"),
        "sdgTargets": _list(check_targets(action.sdg_targets, where="sdgTargets")),
        "dimension": _word(action.dimension, model.DIMENSIONS, "dimension"),
        "adoptionAreas": _list([_choice(one, AREAS, "adoptionAreas") for one in dict.fromkeys(action.areas)]),
        "serviceDomain": _word(action.domain, DOMAINS, "serviceDomain"),
        "initiationModel": _word(action.initiation, model.INITIATION_MODELS, "initiationModel"),
        "planningOrigin": _word(action.origin, model.ORIGINS, "planningOrigin"),
        "department": _line(action.department, "department"),
        "sharedWith": _list(_lines(action.shared_with, "sharedWith")),
        "dependsOn": _links(action.depends_on, "dependsOn"),
        "answersTo": _links(action.answers_to, "answersTo"),
        "publicValue": _grade(action.value, "publicValue"),
        "effort": _grade(action.effort, "effort"),
        "laws": _rows([_law(one) for one in _few(action.laws, "laws")]),
        "pilot": _said(_pilot(action.pilot), Pilot()),
        "portfolio": _portfolio(action.portfolio),
        "checks": _rows(_checks(action.checks)),
        "costs": _rows(_costs(action.costs)),
        "funding": _rows(_funding(action.funding)),
        "financing": _said(_financing(action.financing), Financing()),
        "targetGroups": _rows(_target_groups(action.target_groups)),
        "reporting": _said(_reporting(action.reporting), Reporting()),
        "budgetDecision": _links(action.decisions, "budgetDecision"),
    }


def _word(said: str, known: Collection[str], where: str) -> Instance | None:
    return prop(_choice(said, known, where)) if said else None


def _choice(said: str, known: Collection[str], where: str) -> str:
    if said and said not in known:
        raise BadInput(
            Worded("%(said)s is none of the choices", said=repr(said[:40])),
            hint=Worded("Use %(names)s.", names=", ".join(known)),
            where=where,
        )
    return said


def _links(ids: Sequence[str], where: str) -> Instance | None:
    several = list(dict.fromkeys(ids))
    check_number(several, MOST_LINKS, where)
    for one in several:
        if not one.startswith("urn:") or len(one) > 500 or any(sign.isspace() for sign in one):
            raise BadInput(
                Worded("%(one)s is no id", one=repr(one[:60])),
                hint=Worded("Choose one of the list."),
                where=where,
            )
    return rel(several) if several else None


def _list(several: Sequence[str]) -> Instance | None:
    return prop(list(several)) if several else None


def _line(text: str, where: str) -> Instance | None:
    line = _checked_line(text, where)
    return prop(line) if line else None


def _checked_line(text: str, where: str) -> str:
    return check_line(text, where=where, longest=LONGEST_LINE, optional=True)


def _checked_text(text: str, where: str) -> str:
    return check_text(text, where=where, longest=LONGEST_TEXT, optional=True)


def _lines(several: Sequence[str], where: str) -> list[str]:
    check_number(several, MOST_ROWS, where)
    lines = [_checked_line(one, where) for one in several]
    return list(dict.fromkeys(one for one in lines if one))


def _grade(said: int | None, where: str) -> Instance | None:
    if said is None:
        return None
    return prop(_one_to_five(said, where))


def _one_to_five(said: int, where: str) -> int:
    if not 1 <= said <= 5:
        raise BadInput(
            Worded("This is no grade"), hint=Worded("Enter a whole number from 1 to 5."), where=where
        )
    return said


def check_number(several: Sequence[Any], most: int, where: str) -> None:
    """Raises BadInput where there are more than may be."""
    if len(several) > most:
        raise too_many(len(several), most, where)


def _few(several: Sequence[Any], where: str) -> Sequence[Any]:
    check_number(several, MOST_ROWS, where)
    return several


def _rows(several: Sequence[Any]) -> Instance | None:
    return json_value(msgspec.to_builtins(several)) if several else None


def _said(one: Any, nothing: Any) -> Instance | None:
    return json_value(msgspec.to_builtins(one)) if one != nothing else None


def _law(one: Law) -> Law:
    name = check_line(one.name, where="laws", longest=LONGEST_LINE)
    if one.record:
        _links([one.record], "laws")
    return Law(name, _checked_line(one.exemption, "laws"), one.record)


def _pilot(one: Pilot) -> Pilot:
    return Pilot(
        hypothesis=_checked_text(one.hypothesis, "pilot.hypothesis"),
        measure=_checked_text(one.measure, "pilot.measure"),
        stop_rule=_checked_text(one.stop_rule, "pilot.stopRule"),
        decision=_choice(one.decision, model.SCALE_DECISIONS, "pilot.decision"),
        decided_because=_checked_text(one.decided_because, "pilot.decidedBecause"),
    )


def _portfolio(said: Mapping[str, str]) -> Instance | None:
    checked = {}
    for element, text in said.items():
        _choice(element, model.PORTFOLIO, "portfolio")
        if cleaned := _checked_text(text, f"portfolio.{element}"):
            checked[element] = cleaned
    return json_value(checked) if checked else None


def _checks(several: Sequence[Check]) -> list[Check]:
    checked = []
    for one in several:
        where = f"checks.{one.of}"
        _choice(one.of, model.CHECKS, "checks")
        _choice(one.result, model.RESULTS, where)
        by, evidence = _checked_line(one.by, where), _checked_text(one.evidence, where)
        if one.result and not (by and one.on and evidence):
            hint = Worded("Say who examined it, on which day, and what shows it.")
            raise BadInput(Worded("A result without who, when and evidence"), hint=hint, where=where)
        if one.result or by or one.on or evidence:
            checked.append(Check(one.of, by, one.on, one.result, evidence))
    _check_once([one.of for one in checked], "checks")
    return checked


def _costs(several: Sequence[Cost]) -> list[Cost]:
    check_number(several, MOST_COSTS, "costs")
    checked = []
    for row, one in enumerate(several):
        where = f"costs.{row}"
        if not FIRST_YEAR <= one.year <= LAST_YEAR:
            hint = Worded(
                "Enter a year from %(first_year)s to %(last_year)s.",
                first_year=FIRST_YEAR,
                last_year=LAST_YEAR,
            )
            raise BadInput(Worded("%(year)s is no year of a budget", year=one.year), hint=hint, where=where)
        if not one.kind:
            raise BadInput(
                Worded("A cost that is of no kind"), hint=Worded("Say capital or operating."), where=where
            )
        _choice(one.kind, model.COST_KINDS, where)
        amount = check_money(one.amount, where=where)
        if amount.currency != several[0].amount.currency:
            hint = Worded("Keep to one currency in an initiative: amounts of two cannot be added.")
            raise BadInput(Worded("The costs are in two currencies"), hint=hint, where=where)
        checked.append(Cost(one.year, one.kind, amount, _checked_line(one.department, where)))
    return sorted(checked, key=lambda one: (one.year, one.kind, one.department))


def _funding(several: Sequence[Share]) -> list[Share]:
    """Parts of the whole; what is of no mechanism, or does not come to exactly 100 percent, is refused."""
    checked = []
    for one in several:
        _choice(one.mechanism, MECHANISMS, "funding")
        if not one.percent.is_finite() or not 0 <= one.percent <= 100:
            raise BadInput(
                Worded("This is no share"), hint=Worded("Enter 0 to 100 percent."), where="funding"
            )
        if one.percent:
            checked.append(Share(one.mechanism, one.percent, _checked_line(one.note, "funding")))
    _check_once([one.mechanism for one in checked], "funding")
    whole = sum((one.percent for one in checked), Decimal(0))
    if checked and whole != 100:
        hint = Worded("Let the shares come to exactly 100 percent: %(share)s is missing.", share=100 - whole)
        if whole > 100:
            over = whole - 100
            hint = Worded("Let the shares come to exactly 100 percent: %(share)s is too much.", share=over)
        raise BadInput(
            Worded("The shares come to %(whole)s percent", whole=whole), hint=hint, where="funding"
        )
    return checked


def _check_once(names: Sequence[str], where: str) -> None:
    if len(set(names)) < len(names):
        raise BadInput(
            Worded("The same stands there twice"), hint=Worded("Put it into one row."), where=where
        )


def _financing(one: Financing) -> Financing:
    arrangement = _choice(one.arrangement, model.ARRANGEMENTS, "financing.arrangement")
    if not one.rate.is_finite() or not 0 <= one.rate <= 100:
        raise BadInput(
            Worded("This is no rate"), hint=Worded("Enter 0 to 100 percent a year."), where="financing.rate"
        )
    if not (0 <= one.grace_years <= MOST_YEARS and 0 <= one.years <= MOST_YEARS):
        hint = Worded("Enter 0 to %(most_years)s years.", most_years=MOST_YEARS)
        raise BadInput(Worded("So many years are not reckoned with"), hint=hint, where="financing.years")
    if one.first_year and not FIRST_YEAR <= one.first_year <= LAST_YEAR:
        hint = Worded(
            "Enter a year from %(first_year)s to %(last_year)s.", first_year=FIRST_YEAR, last_year=LAST_YEAR
        )
        raise BadInput(Worded("This is no year"), hint=hint, where="financing.firstYear")
    risks = tuple(_risk(risk) for risk in _few(one.risks, "financing.risks"))
    return Financing(arrangement, one.rate, one.first_year, one.grace_years, one.years, risks)


def _risk(one: Risk) -> Risk:
    where = "financing.risks"
    return Risk(
        name=check_line(one.name, where=where, longest=LONGEST_LINE),
        bearer=_choice(one.bearer, model.BEARERS, where),
        likelihood=_one_to_five(one.likelihood, where),
        effect=_one_to_five(one.effect, where),
        answer=_checked_text(one.answer, where),
    )


def _target_groups(several: Sequence[TargetGroup]) -> list[TargetGroup]:
    checked = []
    for one in several:
        _choice(one.group, model.TARGET_GROUPS, "targetGroups")
        target = _checked_text(one.target, f"targetGroups.{one.group}")
        if target or one.due:
            checked.append(TargetGroup(one.group, target, one.due))
    _check_once([one.group for one in checked], "targetGroups")
    return checked


def _reporting(one: Reporting) -> Reporting:
    rhythm = _choice(one.rhythm, model.RHYTHMS, "reporting.rhythm")
    return Reporting(rhythm, _checked_line(one.to, "reporting.to"))
