"""What keeps an initiative from being approved, begun, changed or linked: each refusal names the field.

Apart from the two that look Entities up, pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from cityloom.context.broker import Broker
from cityloom.context.publishing import public_id, working_id
from cityloom.context.reading import ids, truth, word
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.ngsild.model import Document, value_of
from cityloom.planning.action.approval import missing, named, unchecked
from cityloom.planning.action.model import CHECKS, Action, Cost
from cityloom.planning.model import Initiative, Phase, Plan
from cityloom.planning.money import Money
from cityloom.planning.money import read as read_money

DECISION = "CommitteeDecision"
LAW = "LawOrRule"
#: Types of what people said, which an initiative may answer.
VOICES = ("CitizenReport",)


def find_linked(broker: Broker, actor: Actor, entity_id: str) -> Document | None:
    """What a link points at: the published Entity, else the working copy, as far as the actor may see it."""
    return broker.find(actor, public_id(entity_id)) or broker.find(actor, working_id(entity_id))


def check_approval(plan: Plan) -> None:
    """Raise BadInput naming what must be said before the initiative is approved."""
    if gaps := missing(plan):
        raise BadInput(
            Worded("It cannot be approved yet: %(missing)s", missing=named(gaps)),
            hint=Worded("Say what is missing; “Before it is approved” leads to each."),
            where=gaps[0].field,
        )


def check_stays_approved(before: Initiative, plan: Plan) -> None:
    """What was adopted loses nothing that an action must say. What it lacked before asks for nothing."""
    if before.is_draft:
        return
    lacked = {gap.field for gap in missing(before.plan)}
    if gaps := [gap for gap in missing(plan) if gap.field not in lacked]:
        raise BadInput(
            Worded("An adopted initiative must go on saying: %(missing)s", missing=named(gaps)),
            hint=Worded("Change it, but do not leave it out."),
            where=gaps[0].field,
        )


def check_stays_examined(before: Initiative, plan: Plan) -> None:
    """What was begun on its examinations keeps them: one is done anew, with whatever result, not left out."""
    if before.phase not in (Phase.RUNNING, Phase.DONE):
        return
    for subject, label in CHECKS.items():
        if _has_result(before.plan, subject) and not _has_result(plan, subject):
            raise BadInput(
                Worded("It was begun on this examination: %(name)s", name=label),
                hint=Worded("Enter its newest result, but do not leave it out."),
                where=f"checks.{subject}",
            )


def _has_result(plan: Plan, subject: str) -> bool:
    found = plan.action.check_of(subject)
    return found is not None and bool(found.result)


def check_examined(plan: Plan) -> None:
    """Raise BadInput naming the examinations without which the work does not begin."""
    if gaps := unchecked(plan):
        raise BadInput(
            Worded("It has not been examined yet: %(missing)s", missing=named(gaps)),
            hint=Worded("Enter who examined it, when, the result and what shows it."),
            where=gaps[0].field,
        )


def check_budget_change(before: Initiative, plan: Plan) -> None:
    """An adopted initiative's budget changes with a decision that was not used for it before.

    So none that was used is left out: it could be used again.
    """
    if before.is_draft:
        return
    if set(before.plan.action.decisions) - set(plan.action.decisions):
        raise BadInput(
            Worded("A decision on which the budget was changed is not left out"),
            hint=Worded("Leave it among the decisions, and add the new one."),
            where="budgetDecision",
        )
    if _money_of(before.plan) == _money_of(plan):
        return
    if not set(plan.action.decisions) - set(before.plan.action.decisions):
        raise BadInput(
            Worded("The budget of an adopted initiative changes only by a decision"),
            hint=Worded("Choose the committee's decision that allows it."),
            where="budgetDecision",
        )


def _money_of(plan: Plan) -> tuple[Money | None, frozenset[Cost]]:
    return plan.action.whole_cost or plan.budget, frozenset(plan.action.costs)


def check_no_circle(initiative_id: str, plan: Plan, others: Iterable[Initiative]) -> None:
    """Raise BadInput when the initiative would come to wait for itself."""
    own = public_id(initiative_id)
    after: dict[str, Sequence[str]] = {
        public_id(one.id): [public_id(other) for other in one.plan.action.depends_on] for one in others
    }
    after[own] = [public_id(other) for other in plan.action.depends_on]
    if circle := _circle_through(own, after):
        names = _names(others) | {own: next(iter(plan.name.values()), own)}
        way = " → ".join(names.get(one, one) for one in (*circle, own))
        raise BadInput(
            Worded("They would wait for each other: %(way)s", way=way),
            hint=Worded("Take one of these dependencies out."),
            where="dependsOn",
        )


def _circle_through(own: str, after: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The shortest circle through one initiative; () when there is none."""
    came_from: dict[str, str] = {}
    waiting = deque([own])
    while waiting:
        here = waiting.popleft()
        for other in after.get(here, ()):
            if other == own:
                return _way_back(own, here, came_from)
            if other not in came_from:
                came_from[other] = here
                waiting.append(other)
    return ()


def _way_back(own: str, last: str, came_from: Mapping[str, str]) -> tuple[str, ...]:
    way = [last]
    while way[-1] != own:
        way.append(came_from[way[-1]])
    return tuple(reversed(way))


def _names(initiatives: Iterable[Initiative]) -> dict[str, str]:
    return {public_id(one.id): next(iter(one.plan.name.values()), one.id) for one in initiatives}


def check_links(
    broker: Broker, actor: Actor, plan: Plan, *, but: Plan | None = None, none_secret: bool = False
) -> None:
    """Everything new that the action points at is there for the actor, and of a type that it may point at.

    In the open none of the security class is pointed at.
    """
    action, known = plan.action, but.action if but else None
    for where, types, said, before in (
        ("servesGoal", ("Goal",), action.goals, known.goals if known else ()),
        ("dependsOn", ("Initiative",), action.depends_on, known.depends_on if known else ()),
        ("answersTo", VOICES, action.answers_to, known.answers_to if known else ()),
        ("laws", (LAW,), _records(action), _records(known) if known else ()),
        ("budgetDecision", (DECISION,), action.decisions, known.decisions if known else ()),
    ):
        for entity_id in said:
            if entity_id not in before:
                _check_link(broker, actor, entity_id, types, where, none_secret=none_secret)


def _records(action: Action) -> tuple[str, ...]:
    """What the laws that it touches are in the register."""
    return tuple(one.record for one in action.laws if one.record)


def _check_link(
    broker: Broker, actor: Actor, entity_id: str, types: Sequence[str], where: str, *, none_secret: bool
) -> None:
    document = find_linked(broker, actor, entity_id)
    if document is None or not set(types) & set(document["type"]):
        raise BadInput(
            Worded("There is no %(names)s %(entity_id)s", names=" or ".join(types), entity_id=entity_id),
            hint=Worded("Choose one of the list."),
            where=where,
        )
    if none_secret and broker.class_of(actor, document["id"]) is InformationClass.SECURITY:
        raise BadInput(
            Worded("It points at something of the security class"), hint=Worded("Take it out."), where=where
        )


def check_decisions(broker: Broker, actor: Actor, before: Initiative, plan: Plan) -> None:
    """Each decision that is new allows this change: published, by a body that controls budgets, about this
    initiative, and about this budget."""
    for entity_id in plan.action.decisions:
        if entity_id not in before.plan.action.decisions:
            document = broker.find(actor, public_id(entity_id))
            if document is None:
                raise _no_right(Worded("This decision is not published yet"))
            _check_decision(document, before, plan)
            _check_body(broker, actor, document)


def _check_decision(document: Document, before: Initiative, plan: Plan) -> None:
    about = [public_id(one) for one in ids(document, "initiative")]
    if about and public_id(before.id) not in about:
        raise _no_right(Worded("This decision is about another initiative"))
    if word(document, "kind") not in ("", "budget"):
        raise _no_right(Worded("This decision is not on a budget"))
    said = read_money(value_of(document, "budgetBefore"))
    if said is not None and said != _money_of(before.plan)[0]:
        raise _no_right(Worded("This decision is about another budget than the present one"))
    said = read_money(value_of(document, "budgetAfter"))
    if said is not None and said != _money_of(plan)[0]:
        told = Worded(
            "This decision allows %(amount)s %(currency)s", amount=said.amount, currency=said.currency
        )
        raise _no_right(told)


def _check_body(broker: Broker, actor: Actor, decision: Document) -> None:
    for entity_id in ids(decision, "body"):
        body = find_linked(broker, actor, entity_id)
        if body is not None and not truth(body, "budgetControl"):
            raise _no_right(Worded("The body that decided it does not control budgets"))


def _no_right(message: Worded) -> BadInput:
    hint = Worded("Choose the committee's decision that allows it.")
    return BadInput(message, hint=hint, where="budgetDecision")
