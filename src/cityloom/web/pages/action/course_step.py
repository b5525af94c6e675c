"""The step of the form that says why and how: goals, dependencies, laws, reporting, the pilot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from cityloom.planning.action.areas import AREAS, DOMAINS
from cityloom.planning.action.model import (
    DIMENSIONS,
    INITIATION_MODELS,
    KINDS,
    ORIGINS,
    RHYTHMS,
    SCALE_DECISIONS,
    Action,
    Law,
    Pilot,
    Reporting,
)
from cityloom.planning.model import Initiative, Plan
from cityloom.planning.sdg import TARGETS
from cityloom.web.forms import Form
from cityloom.web.pages.action import choosing
from cityloom.web.pages.action.choosing import options
from cityloom.web.visit import Visit

FIELDS = ("sdgTargets", "dependsOn", "servesGoal", "answersTo", "laws", "pilot", "reporting", "sharedWith")
#: Rows that are there for each kind of link at the least, one of them empty.
LINKS = 3
LAWS = 3
GRADES = [(str(grade), str(grade)) for grade in range(1, 6)]


def filled(visit: Visit, initiative: Initiative) -> Mapping[str, object]:
    """What is there."""
    action = initiative.plan.action
    values: dict[str, object] = {
        "kind": action.kind,
        "dimension": action.dimension,
        "domain": action.domain,
        "initiation": action.initiation,
        "origin": action.origin,
        "department": action.department,
        "sharedWith": ", ".join(action.shared_with),
        "sdgTargets": ", ".join(action.sdg_targets),
        "value": action.value,
        "effort": action.effort,
        "rhythm": action.reporting.rhythm,
        "reportTo": action.reporting.to,
        "hypothesis": action.pilot.hypothesis,
        "measure": action.pilot.measure,
        "stopRule": action.pilot.stop_rule,
        "decision": action.pilot.decision,
        "decidedBecause": action.pilot.decided_because,
    }
    for name, linkable, ids in _links(visit, initiative):
        values |= {f"{name}_{row}": label for row, label in enumerate(linkable.labels(ids))}
    for row, law in enumerate(action.laws):
        values |= {f"law_{row}": law.name, f"exemption_{row}": law.exemption}
    return values


def _links(visit: Visit, initiative: Initiative) -> list[tuple[str, choosing.Linkable, tuple[str, ...]]]:
    action = initiative.plan.action
    return [
        ("goal", choosing.records(visit, "Goal"), action.goals),
        ("depends", choosing.initiatives(visit, but=initiative.id), action.depends_on),
        ("answers", choosing.voices(visit), action.answers_to),
    ]


def offered(visit: Visit, initiative: Initiative, form: Form) -> Mapping[str, Any]:
    """What can be chosen."""
    action = initiative.plan.action
    return {
        "kinds": options(visit, KINDS),
        "dimensions": options(visit, DIMENSIONS),
        "areas": options(visit, AREAS),
        "ticked_areas": form.values("areas") or action.areas,
        "domains": options(visit, DOMAINS),
        "initiations": options(visit, INITIATION_MODELS),
        "origins": options(visit, ORIGINS),
        "rhythms": options(visit, RHYTHMS),
        "scale_decisions": options(visit, SCALE_DECISIONS),
        "grades": GRADES,
        "sdg_targets": TARGETS,
        "links": {
            name: (linkable.suggested, _rows(form, name, ids))
            for name, linkable, ids in _links(visit, initiative)
        },
        "registered_laws": _registered(visit).suggested,
        "law_rows": max(LAWS, len(action.laws) + 1, _typed(form, "law")),
    }


def _rows(form: Form, name: str, ids: tuple[str, ...]) -> int:
    return max(LINKS, len(ids) + 1, _typed(form, name))


def _typed(form: Form, name: str) -> int:
    row = 0
    while form.value(f"{name}_{row}"):
        row += 1
    return row + 1


def taken(visit: Visit, form: Form, initiative: Initiative) -> Plan:
    """The plan with what was typed; what is wrong is marked in the form."""
    before = initiative.plan.action
    linked = {
        name: linkable.taken(visit, form, name, 50, ids) for name, linkable, ids in _links(visit, initiative)
    }
    action = msgspec.structs.replace(
        before,
        kind=form.choice("kind", KINDS) or "project",
        goals=linked["goal"],
        depends_on=linked["depends"],
        answers_to=linked["answers"],
        sdg_targets=tuple(form.text("sdgTargets", longest=500).replace(";", ",").split(",")),
        dimension=form.choice("dimension", DIMENSIONS),
        areas=tuple(one for one in form.values("areas") if one in AREAS),
        domain=form.choice("domain", DOMAINS),
        initiation=form.choice("initiation", INITIATION_MODELS),
        origin=form.choice("origin", ORIGINS),
        department=form.text("department"),
        shared_with=tuple(form.text("sharedWith", longest=1000).split(",")),
        value=_grade(form, "value"),
        effort=_grade(form, "effort"),
        laws=_laws(visit, form, before),
        reporting=Reporting(form.choice("rhythm", RHYTHMS), form.text("reportTo")),
        pilot=Pilot(
            hypothesis=form.text("hypothesis", longest=2000),
            measure=form.text("measure", longest=2000),
            stop_rule=form.text("stopRule", longest=2000),
            decision=form.choice("decision", SCALE_DECISIONS) or "open",
            decided_because=form.text("decidedBecause", longest=2000),
        ),
    )
    return msgspec.structs.replace(initiative.plan, action=action)


def _grade(form: Form, name: str) -> int | None:
    said = form.choice(name, [value for value, _ in GRADES])
    return int(said) if said else None


def _laws(visit: Visit, form: Form, before: Action) -> tuple[Law, ...]:
    """The laws that were typed; one that is called as in the register is tied to its record there."""
    records = {one.name: one.record for one in before.laws} | dict(_registered(visit).by_label)
    rows = range(30)
    return tuple(
        Law(name, form.text(f"exemption_{row}"), records.get(name, ""))
        for row in rows
        if (name := form.text(f"law_{row}"))
    )


def _registered(visit: Visit) -> choosing.Linkable:
    return choosing.records(visit, "LawOrRule")
