"""What an initiative's page shows of it as an action, and the chain that it is a link of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from cityloom.context.publishing import public_id
from cityloom.kernel.errors import BadInput, CityError
from cityloom.kernel.worded import Worded
from cityloom.ngsild.model import Document
from cityloom.people.report import TYPE as REPORT
from cityloom.planning.action.admission import find_linked
from cityloom.planning.action.approval import Gap, elements_missing, flagged, missing, unchecked
from cityloom.planning.action.areas import AREAS, DOMAINS
from cityloom.planning.action.financing import USUAL_RISKS, heaviest_first, profile_of
from cityloom.planning.action.funding import CRITERIA, MECHANISMS, criteria_of, parted
from cityloom.planning.action.model import (
    ARRANGEMENTS,
    BEARERS,
    CHECKS,
    DIMENSIONS,
    INITIATION_MODELS,
    KINDS,
    LETS_BEGIN,
    ORIGINS,
    PORTFOLIO,
    RESULTS,
    RHYTHMS,
    SCALE_DECISIONS,
    TARGET_GROUPS,
    Action,
    Law,
)
from cityloom.planning.action.schedule import Placed
from cityloom.planning.model import Initiative, Phase
from cityloom.web.addresses import address
from cityloom.web.looks import name_of
from cityloom.web.pages.planning.contracts import contracts_about
from cityloom.web.pages.planning.links import href_of
from cityloom.web.pages.planning.voices import voices_of as changed_by
from cityloom.web.visit import Visit


def today(visit: Visit) -> date:
    """The city's day."""
    return visit.rooms.clock.now().astimezone(visit.city.zone).date()


async def action_data(visit: Visit, initiative: Initiative) -> dict[str, Any]:
    """The action as data: what is said, what is missing, its place in time, its money, its chain."""
    action, plan = initiative.plan.action, initiative.plan
    laid_out = await visit.rooms.plan.laid_out(visit.actor)
    placed = laid_out.schedule.placed.get(public_id(initiative.id))
    return {
        "action": {
            "kind": action.kind,
            "dimension": action.dimension,
            "areas": action.areas,
            "domain": action.domain,
            "initiationModel": action.initiation,
            "origin": action.origin,
            "department": action.department,
            "sharedWith": action.shared_with,
            "sdgTargets": action.sdg_targets,
            "value": action.value,
            "effort": action.effort,
            "reporting": action.reporting,
            "laws": [_law(visit, one) for one in action.laws],
            "pilot": action.pilot,
            "portfolio": action.portfolio,
            "checks": action.checks,
            "targetGroups": action.target_groups,
            "capital": action.cost("capital"),
            "operating": action.cost("operating"),
            "costs": action.costs,
            "funding": _funding(visit, initiative),
            "criteria": criteria_of(action.funding),
            "financing": action.financing,
            "profile": profile_of(plan.budget, action.financing) if plan.budget else None,
        },
        "missing": [one.field for one in missing(plan)],
        "unchecked": [one.field for one in unchecked(plan)],
        "flagged": [one.field for one in flagged(plan)],
        "schedule": placed,
        "goals": linked(visit, action.goals),
        "dependsOn": linked(visit, action.depends_on),
        "decisions": linked(visit, action.decisions),
        "contracts": contracts_of(visit, initiative.id),
        "citizensSaid": voices_of(visit, initiative),
    }


def action_words(visit: Visit, initiative: Initiative, placed: Placed | None) -> dict[str, Any]:
    """What only the page needs: gaps with their words, tables of choices."""
    plan = initiative.plan
    waits = initiative.is_draft or initiative.phase == Phase.IDEA
    return {
        "gaps": missing(plan) if waits else (),
        "unexamined": unchecked(plan) if waits or initiative.phase == Phase.PLANNED else (),
        "elements": elements_missing(plan),
        "flags": _by_step([one for one in flagged(plan) if one not in elements_missing(plan)]),
        "facts": _facts(visit, plan.action),
        "labels": {
            "checks": CHECKS,
            "results": RESULTS,
            "portfolio": PORTFOLIO,
            "groups": TARGET_GROUPS,
            "criteria": CRITERIA,
            "bearers": BEARERS,
            "arrangements": ARRANGEMENTS,
            "scale": SCALE_DECISIONS,
            "lets_begin": LETS_BEGIN,
        },
        "risks": heaviest_first(plan.action.financing.risks),
        "usual_risks": USUAL_RISKS[plan.action.financing.arrangement],
        "holder": linked(visit, [placed.because_of]) if placed and placed.because_of else [],
    }


def refusal_of(visit: Visit, initiative: Initiative, act: str, error: CityError) -> CityError:
    """Why it is not approved or not begun, with what is missing in the reader's language."""
    gaps = [*missing(initiative.plan), *(unchecked(initiative.plan) if act == "move" else ())]
    if error.where not in {gap.field for gap in gaps}:
        return error
    named = [
        visit.gettext(gap.label) for gap in gaps if (gap in unchecked(initiative.plan)) == _of_checks(error)
    ]
    said = error.said.template if isinstance(error.said, Worded) else error.message
    return BadInput(visit.gettext(said, missing=", ".join(named)), hint=error.advice, where=error.where)


def _of_checks(error: CityError) -> bool:
    return (error.where or "").startswith("checks.")


def _by_step(gaps: Sequence[Gap]) -> Sequence[Gap]:
    order = ["basis", "course", "costs", "funding", "checks"]
    return sorted(gaps, key=lambda gap: order.index(gap.step))


def _facts(visit: Visit, action: Action) -> list[tuple[str, str]]:
    """What is said by choosing, in words; what is not said is left out."""
    say = visit.gettext
    said = [
        (say("Kind"), KINDS.get(action.kind, "")),
        (say("Dimension"), DIMENSIONS.get(action.dimension, "")),
        (say("Domain of its services"), DOMAINS.get(action.domain, "")),
        (say("Who began it"), INITIATION_MODELS.get(action.initiation, "")),
        (say("Where the idea comes from"), ORIGINS.get(action.origin, "")),
        (say("Reported"), RHYTHMS.get(action.reporting.rhythm, "")),
    ]
    facts = [(label, say(words)) for label, words in said if words]
    plain = [
        (say("Reported to"), action.reporting.to),
        (say("Areas of adoption"), ", ".join(say(AREAS[one]) for one in action.areas)),
        (say("Department"), action.department),
        (say("Shared with"), ", ".join(action.shared_with)),
        (say("Sustainable Development Goals"), ", ".join(action.sdg_targets)),
    ]
    return facts + [(label, words) for label, words in plain if words]


def _funding(visit: Visit, initiative: Initiative) -> list[dict[str, Any]]:
    budget, mix = initiative.plan.budget, initiative.plan.action.funding
    parts = parted(budget, mix) if budget else {}
    return [
        {
            "mechanism": one.mechanism,
            "name": visit.wording.said(MECHANISMS[one.mechanism].name)
            if one.mechanism in MECHANISMS
            else one.mechanism,
            "percent": one.percent,
            "note": one.note,
            "amount": parts.get(one.mechanism),
        }
        for one in mix
    ]


def _law(visit: Visit, law: Law) -> dict[str, str]:
    """A law with the page of its record, where the reader may see it."""
    found = linked(visit, [law.record] if law.record else [])
    href = found[0]["href"] if found else ""
    return {"name": law.name, "exemption": law.exemption, "record": law.record, "href": href}


# The chain: number, initiative, money, contract, voice


def linked(visit: Visit, ids: Iterable[str]) -> list[dict[str, str]]:
    """What links lead to, as far as the reader may see it."""
    found = [find_linked(visit.rooms.broker, visit.actor, one) for one in ids]
    return [_link(visit, one) for one in found if one is not None]


def _link(visit: Visit, document: Document) -> dict[str, str]:
    return {
        "id": public_id(document["id"]),
        "name": name_of(document, visit.wording),
        "href": href_of(visit, document),
    }


def contracts_of(visit: Visit, initiative_id: str) -> list[dict[str, str]]:
    """The contracts that serve an initiative: files the reader may see, else what is public of them."""
    return contracts_about(visit, public_id(initiative_id))


def voices_of(visit: Visit, initiative: Initiative) -> list[dict[str, str]]:
    """What citizens said: reports that it answers, and contributions that changed it, by their words; only
    what the reader may see."""
    found = []
    for entity_id in initiative.plan.action.answers_to:
        document = find_linked(visit.rooms.broker, visit.actor, entity_id)
        if document is None:
            continue
        one = _link(visit, document)
        if REPORT in document["type"]:
            report = visit.rooms.reports.get(visit.actor, entity_id)
            one["href"] = address("reports", entity_id)
            one["name"] = " ".join(visit.wording.said(report.description).split())[:80] or one["name"]
        found.append(one)
    for said in changed_by(visit, public_id(initiative.id)):
        href = said["href"] or link_path(visit, said["consultation"])
        found.append({"id": said["consultation"], "name": " ".join(said["text"].split())[:80], "href": href})
    return found


def link_path(visit: Visit, entity_id: str) -> str:
    """The page of what a link leads to; that of the plan where the reader may not see it."""
    document = find_linked(visit.rooms.broker, visit.actor, entity_id)
    return href_of(visit, document) if document is not None else "/plan"


def chain_of(visit: Visit, initiatives: Iterable[Initiative]) -> list[dict[str, Any]]:
    """For an indicator: its initiatives, each with its money, its contracts and the voices it answers."""
    return [
        {
            "id": one.id,
            "href": address("initiatives", one.id),
            "name": visit.wording.said(one.plan.name),
            "phase": one.phase,
            "budget": one.plan.budget,
            "spent": one.plan.spent,
            "contracts": contracts_of(visit, one.id),
            "voices": voices_of(visit, one),
        }
        for one in initiatives
    ]
