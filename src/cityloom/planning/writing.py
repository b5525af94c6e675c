"""From a plan to the attributes of its Entity: every field checked. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import msgspec

from cityloom.context.reading import bare, language_property
from cityloom.kernel.errors import BadInput, Conflict
from cityloom.kernel.texts import check_languages, check_line
from cityloom.kernel.time import format_instant
from cityloom.kernel.worded import Worded
from cityloom.ngsild.geometry import check_geometry
from cityloom.ngsild.model import Document, Instance, geo, json_value, prop, rel
from cityloom.planning.action.writing import attributes_of as action_attributes_of
from cityloom.planning.action.writing import check_number
from cityloom.planning.model import (
    DECIDED_ON,
    Initiative,
    Milestone,
    Plan,
    Revision,
    Step,
    Target,
    initiative_of,
)
from cityloom.planning.money import Money, check_money, written

LONGEST_NAME = 200
LONGEST_DESCRIPTION = 8000
MOST_MILESTONES = 100
MOST_TARGETS = 20
MOST_STEPS = 500
#: Versions that can be gone back to, and the bytes they may fill together.
MOST_REVISIONS = 10
MOST_REVISION_BYTES = 100_000

#: Attributes to write; None removes one.
Edits = dict[str, Instance | None]

#: What an edit writes and an undo brings back. `targetIndicator` follows from the targets.
_KEPT = (*(name for name in DECIDED_ON if name != "phase"), "targetIndicator")


def attributes_of(plan: Plan) -> Edits:
    """The plan's attributes; None for what it leaves out. Raises BadInput naming the field."""
    if plan.starts_at and plan.ends_at and plan.ends_at <= plan.starts_at:
        raise BadInput(
            Worded("It ends before it begins"), hint=Worded("Let it end after it begins."), where="endsAt"
        )
    owner = check_line(plan.owner, where="owner", longest=200, optional=True)
    targets = _check_targets(plan.targets)
    milestones = _check_milestones(plan.milestones)
    indicators = list(dict.fromkeys(target.indicator for target in targets))
    action = action_attributes_of(plan.action)
    return {
        "name": language_property(check_languages(plan.name, where="name", longest=LONGEST_NAME)),
        "description": language_property(
            check_languages(plan.description, where="description", longest=LONGEST_DESCRIPTION)
        ),
        "owner": prop(owner) if owner else None,
        **_money(plan),
        "startsAt": prop(format_instant(plan.starts_at)) if plan.starts_at else None,
        "endsAt": prop(format_instant(plan.ends_at)) if plan.ends_at else None,
        "milestones": json_value(msgspec.to_builtins(milestones)) if milestones else None,
        "targets": json_value(msgspec.to_builtins(targets)) if targets else None,
        "targetIndicator": rel(indicators) if indicators else None,
        "location": geo(_check_location(plan.location)) if plan.location else None,
        **action,
    }


def revised(initiative: Initiative, at: str, by: str) -> Instance:
    """The revisions with the present version added, the oldest left out."""
    attributes = initiative.document["attrs"]
    was = {name: [bare(item) for item in attributes[name]] if name in attributes else None for name in _KEPT}
    kept = [*initiative.revisions, Revision(at, by, was)][-MOST_REVISIONS:]
    while len(kept) > 1 and len(msgspec.json.encode(kept)) > MOST_REVISION_BYTES:
        del kept[0]
    return json_value(msgspec.to_builtins(kept))


def undone(initiative: Initiative) -> Edits:
    """What brings the version before back. Raises Conflict when there is none."""
    if not initiative.revisions:
        raise Conflict(
            Worded("There is no version before this one"), hint=Worded("Edit it instead."), where="revisions"
        )
    *before, last = initiative.revisions
    edits: Edits = {name: _first(last.was.get(name)) for name in _KEPT}
    edits["revisions"] = json_value(msgspec.to_builtins(before)) if before else None
    return edits


def with_edits(initiative: Initiative, edits: Edits) -> Plan:
    """The plan as it would be with these attributes written."""
    document = initiative.document
    attributes = {name: items for name, items in document["attrs"].items() if name not in edits}
    attributes |= {name: [item] for name, item in edits.items() if item is not None}
    return initiative_of({**document, "attrs": attributes}).plan


def stepped(initiative: Initiative, step: Step) -> Instance:
    """The history with one step more, the oldest left out."""
    kept = [*initiative.history, step][-MOST_STEPS:]
    return json_value(msgspec.to_builtins(kept))


def _first(instances: Any) -> Instance | None:
    return instances[0] if isinstance(instances, list) and instances else None


def _money(plan: Plan) -> Edits:
    budget = _budget(plan)
    spent = check_money(plan.spent, where="spent") if plan.spent else None
    if spent and (budget is None or spent.currency != budget.currency):
        hint = Worded("Say the budget in the same currency.")
        raise BadInput(
            Worded("Spent in another currency than the budget's"), hint=hint, where="spent.currency"
        )
    return {"budget": _money_property(budget), "spent": _money_property(spent)}


def _budget(plan: Plan) -> Money | None:
    """The budget: what the cost lines come to, where there are any."""
    said = check_money(plan.budget, where="budget") if plan.budget else None
    whole = plan.action.whole_cost
    if whole is None:
        return said
    if said is not None and said != whole:
        raise BadInput(
            Worded(
                "The cost lines come to %(amount)s %(currency)s, the budget is %(amount2)s %(currency2)s",
                amount=whole.amount,
                currency=whole.currency,
                amount2=said.amount,
                currency2=said.currency,
            ),
            hint=Worded("Correct one of them; or leave the budget empty, and the lines make it."),
            where="costs",
        )
    return whole


def _money_property(amount: Money | None) -> Instance | None:
    return prop(written(amount)) if amount else None


def _check_milestones(milestones: Sequence[Milestone]) -> list[Milestone]:
    check_number(milestones, MOST_MILESTONES, "milestones")
    checked = []
    for index, one in enumerate(milestones):
        name = check_line(one.name, where=f"milestones.{index}.name", longest=LONGEST_NAME)
        checked.append(Milestone(name, one.due, one.done, one.names))
    return sorted(checked, key=lambda one: one.due)


def _check_targets(targets: Sequence[Target]) -> list[Target]:
    check_number(targets, MOST_TARGETS, "targets")
    for index, one in enumerate(targets):
        where = f"targets.{index}"
        if not (isfinite(one.baseline) and isfinite(one.target)):
            raise BadInput(Worded("This is no number"), hint=Worded("Enter a number."), where=where)
        if one.baseline == one.target:
            hint = Worded("Let the target differ from the baseline, or nothing is promised.")
            raise BadInput(Worded("The target is what there is already"), hint=hint, where=f"{where}.target")
    return list(targets)


def _check_location(location: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return check_geometry(dict(location))
    except BadInput as error:
        raise BadInput(error.message, hint=error.hint, where="location") from None


def carried_over(document: Document) -> dict[str, list[Instance]]:
    """What of a draft is adopted: the plan and the phase; no revisions, no history, nobody's remarks."""
    return {
        name: [bare(item) for item in instances]
        for name, instances in document["attrs"].items()
        if name in _KEPT or name == "phase"
    }
