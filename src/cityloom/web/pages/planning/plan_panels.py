"""What the pages of the master plan's records show beside what is written down."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from cityloom.context.publishing import public_id
from cityloom.planning.masterplan import processes
from cityloom.planning.masterplan.adoption import decided_by
from cityloom.planning.masterplan.dimensions import ASPECTS, EMPHASES, REGIONS, shares
from cityloom.planning.masterplan.kinds.basis import evidence_of
from cityloom.planning.masterplan.requirements.facts import dependencies
from cityloom.planning.masterplan.stages import STAGES, advice, judge
from cityloom.planning.masterplan.watching import WORDS
from cityloom.planning.records.model import Record
from cityloom.web.addresses import address
from cityloom.web.pages.planning.factors import measured_now, state_of
from cityloom.web.pages.planning.links import record_href
from cityloom.web.visit import Visit


def _drawn(visit: Visit, name: str, **values: Any) -> Markup:
    """One macro of the panels' template."""
    parts = visit.desk.environment(visit.language).get_template("plan-panels.html")
    made = parts.make_module({"visit": visit, "w": visit.wording})
    drawn: Markup = getattr(made, name)(**values)
    return drawn


async def stage(visit: Visit, record: Record) -> Markup:
    """What the evidence speaks for, and what suits the stage that was chosen."""
    judged, chosen = judge(evidence_of(record.values)), record.get("stage", "")
    signs = [
        visit.gettext(one.words, value=visit.wording.number(one.value), bound=visit.wording.number(one.bound))
        for one in judged.signs
    ]
    suits = advice().get(chosen)
    return _drawn(
        visit,
        "stage",
        judged=visit.language.say(STAGES[judged.stage]) if judged.stage else "",
        agrees=judged.stage == chosen,
        signs=signs,
        chosen=visit.language.say(STAGES.get(chosen, chosen)),
        direction=visit.wording.said(suits.direction) if suits else "",
        policies=[visit.wording.said(one) for one in suits.policies] if suits else [],
        provenance=suits.provenance if suits else "",
    )


async def vision(visit: Visit, record: Record) -> Markup | None:
    """What the goals put first, held against the region that was chosen."""
    region = record.get("region", "")
    if region not in EMPHASES:
        return None
    own = shares(one.get("aspects", ()) for one in visit.rooms.records.list(visit.actor, "Goal"))
    rows = [
        (visit.language.say(title), own[key], key in record.get("aspects", ()), key in EMPHASES[region])
        for key, title in ASPECTS.items()
    ]
    return _drawn(visit, "region", region=visit.language.say(REGIONS[region]), rows=rows)


async def law(visit: Visit, record: Record) -> Markup:
    """Which initiatives touch it, and which of them are exempted from what."""
    public = public_id(record.id)
    rows = [
        (visit.wording.said(one.plan.name), address("initiatives", one.id), said.exemption)
        for one in visit.rooms.initiatives.list(visit.actor)
        for said in one.plan.action.laws
        if said.record and public_id(said.record) == public
    ]
    return _drawn(visit, "law", rows=rows, sandbox=bool(record.get("sandbox")))


async def service(visit: Visit, record: Record) -> Markup:
    """What stops when this one stops."""
    records = visit.rooms.records
    every = [*records.list(visit.actor, "ServiceProcess"), *records.list(visit.actor, "InfrastructureItem")]
    by_id = {one.id: one for one in every}
    stopped = [
        (visit.wording.said(by_id[one.id].name), record_href(by_id[one.id]), one.steps)
        for one in processes.cascade(dependencies(every), record.id)
        if one.id in by_id
    ]
    return _drawn(visit, "cascade", record_id=record.id, stopped=stopped)


async def factor(visit: Visit, record: Record) -> Markup:
    """Whether it is within its bounds now."""
    value, unit = measured_now(visit, record)
    state = state_of(record, value)
    return _drawn(
        visit,
        "factor",
        state=state.value,
        words=visit.language.say(WORDS[state]),
        value=value,
        unit=unit,
        low=record.get("low"),
        high=record.get("high"),
        answer=record.get("answer", ""),
    )


async def change(visit: Visit, record: Record) -> Markup | None:
    """The form by which a proposed change is answered."""
    if record.get("state", "proposed") != "proposed" or not visit.actor.may(record.kind.permission):
        return None
    return _drawn(visit, "answer", href=record_href(record) + "/answer", version=record.version)


async def decision(visit: Visit, record: Record) -> Markup | None:
    """Where a decision leads to: the version that it adopts, or the initiative whose budget it changes."""
    if record.get("kind") != "adoption":
        return None
    versions = [
        (visit.wording.said(one.name), one.number, one.id)
        for one in visit.rooms.plan.versions.list(visit.actor)
        if record.id in decided_by(one)
    ]
    return _drawn(visit, "adoption", versions=versions, may_adopt=visit.actor.may("plan:adopt"))
