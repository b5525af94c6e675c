"""From an Entity to its Action: what is missing or of another kind than expected reads as nothing. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeVar

import msgspec

from cityloom.context.reading import ids, items, word, words
from cityloom.kernel.errors import BadInput
from cityloom.ngsild.model import Document, value_of
from cityloom.planning.action.areas import AREAS, DOMAINS
from cityloom.planning.action.model import (
    CHECKS,
    COST_KINDS,
    DIMENSIONS,
    INITIATION_MODELS,
    KINDS,
    ORIGINS,
    PORTFOLIO,
    TARGET_GROUPS,
    Action,
    Check,
    Cost,
    Financing,
    Law,
    Pilot,
    Reporting,
    Share,
    TargetGroup,
)
from cityloom.planning.money import check_money

_Item = TypeVar("_Item")
EMPTY = Action()


def action_of(document: Document) -> Action:
    """The Action of an Entity of the type Initiative."""
    return Action(
        kind=_of(KINDS, word(document, "actionKind")) or "project",
        goals=ids(document, "servesGoal"),
        sdg_targets=words(document, "sdgTargets"),
        dimension=_of(DIMENSIONS, word(document, "dimension")),
        areas=tuple(one for one in AREAS if one in words(document, "adoptionAreas")),
        domain=_of(DOMAINS, word(document, "serviceDomain")),
        initiation=_of(INITIATION_MODELS, word(document, "initiationModel")),
        origin=_of(ORIGINS, word(document, "planningOrigin")),
        department=word(document, "department"),
        shared_with=words(document, "sharedWith"),
        depends_on=ids(document, "dependsOn"),
        answers_to=ids(document, "answersTo"),
        value=_grade(value_of(document, "publicValue")),
        effort=_grade(value_of(document, "effort")),
        laws=items(document, "laws", Law),
        pilot=_one(document, "pilot", Pilot, EMPTY.pilot),
        portfolio=_portfolio(value_of(document, "portfolio")),
        checks=tuple(one for one in items(document, "checks", Check) if one.of in CHECKS),
        costs=_costs(document),
        funding=tuple(one for one in items(document, "funding", Share) if one.percent.is_finite()),
        financing=_one(document, "financing", Financing, EMPTY.financing),
        target_groups=tuple(
            one for one in items(document, "targetGroups", TargetGroup) if one.group in TARGET_GROUPS
        ),
        reporting=_one(document, "reporting", Reporting, EMPTY.reporting),
        decisions=ids(document, "budgetDecision"),
    )


def _of(known: Collection[str], said: str) -> str:
    return said if said in known else ""


def _grade(said: Any) -> int | None:
    return said if type(said) is int and 1 <= said <= 5 else None


def _portfolio(said: Any) -> dict[str, str]:
    if not isinstance(said, dict):
        return {}
    return {name: text for name, text in said.items() if name in PORTFOLIO and isinstance(text, str)}


def _costs(document: Document) -> tuple[Cost, ...]:
    """The cost lines; nothing when one of them is no amount or in another currency than the first."""
    found = items(document, "costs", Cost)
    try:
        for one in found:
            check_money(one.amount, where="costs")
    except BadInput:
        return ()
    alike = all(one.kind in COST_KINDS and one.amount.currency == found[0].amount.currency for one in found)
    return found if alike else ()


def _one(document: Document, name: str, kind: type[_Item], otherwise: _Item) -> _Item:
    said = value_of(document, name)
    if said is None:
        return otherwise
    try:
        return msgspec.convert(said, kind)
    except msgspec.ValidationError:
        return otherwise
