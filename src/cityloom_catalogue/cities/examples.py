"""Example initiatives and notices of the demo cities, kept as data in each city's `examples.toml`.

Days are local and count from the one on which the city opens, so that an example is always under way. Every
Entity says that it is an example: the Property `example` is true, and its badge is "simulated".
"""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from cityloom.sdk import (
    BadInput,
    Document,
    Instance,
    entity,
    format_instant,
    geo,
    json_value,
    prop,
    rel,
    text,
)
from cityloom_catalogue.cities.plan_examples import Example, plan_examples

#: Both demo cities lie in Denmark.
_ZONE = ZoneInfo("Europe/Copenhagen")
_EXAMPLE = {"example": prop(True), "dataOrigin": prop("simulated")}


class Milestone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A step of an initiative, due so many days after the city opens (or before, when negative)."""

    name: str
    due_day: int
    done_day: int | None = None
    #: The name in other languages.
    names: dict[str, str] = {}


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an indicator, by framework and code, is to become, in its own unit."""

    indicator: str
    baseline: float
    target: float
    due_day: int


class Cost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is spent of a kind (capital, operating), so many years after the one in which the city opens."""

    kind: str
    amount: str
    in_year: int = 0
    department: str = ""


class Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An examination (emf, security, privacy) on a day."""

    of: str
    by: str
    day: int
    result: str
    evidence: str


class TargetGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be reached in one of the six groups, by a day."""

    group: str
    target: str
    due_day: int


class Action(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What makes an action of an initiative. What is none of days, years or ids is written as it stands in
    the Entity."""

    costs: tuple[Cost, ...]
    reporting: dict[str, str]
    action_kind: str = "project"
    dimension: str = ""
    adoption_areas: tuple[str, ...] = ()
    service_domain: str = ""
    initiation_model: str = ""
    planning_origin: str = ""
    department: str = ""
    sdg_targets: tuple[str, ...] = ()
    public_value: int = 3
    effort: int = 3
    #: Ids of initiatives of the same city.
    depends_on: tuple[str, ...] = ()
    #: Goals of `plan.toml`.
    goals: tuple[str, ...] = ()
    #: Decisions of the same city on its budget.
    decisions: tuple[str, ...] = ()
    #: Percent by mechanism.
    funding: dict[str, str] = {}
    portfolio: dict[str, str] = {}
    checks: tuple[Check, ...] = ()
    target_groups: tuple[TargetGroup, ...] = ()
    #: `record` names one of the laws of `plan.toml`.
    laws: tuple[dict[str, str], ...] = ()


class Initiative(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A promise of the master plan. Amounts are decimal numbers as text."""

    id: str
    name: dict[str, str]
    description: dict[str, str]
    phase: str
    owner: str
    budget: str
    spent: str
    currency: str
    starts_day: int
    ends_day: int
    milestones: tuple[Milestone, ...]
    targets: tuple[Target, ...]
    action: Action | None = None


class Notice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something the city tells everybody, from one day to another."""

    id: str
    title: dict[str, str]
    body: dict[str, str]
    severity: str
    from_day: int
    to_day: int
    place: str = ""
    #: Longitude and latitude.
    point: tuple[float, float] | None = None


class Examples(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole `examples.toml`."""

    initiative: tuple[Initiative, ...] = ()
    notice: tuple[Notice, ...] = ()
    #: Records of the plan that only this city has.
    record: tuple[Example, ...] = ()


def read_examples(path: Path, city: str, opens: datetime) -> list[Document]:
    """The Entities of a city's examples. Raises BadInput naming the file and the key."""
    try:
        examples = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Examples)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadInput(
            f"The examples are not right: {error}",
            hint="Correct them; cities/examples.py says how.",
            where=str(path),
        ) from None
    return [
        *(_initiative(one, city, opens) for one in examples.initiative),
        *(_notice(one, city, opens) for one in examples.notice),
        *plan_examples(city, opens, _ZONE, examples.record),
    ]


def _initiative(one: Initiative, city: str, opens: datetime) -> Document:
    attributes: dict[str, Instance | list[Instance]] = {
        "name": text(**one.name),
        "description": text(**one.description),
        "phase": prop(one.phase),
        "owner": prop(one.owner),
        "budget": prop({"amount": one.budget, "currency": one.currency}),
        "spent": prop({"amount": one.spent, "currency": one.currency}),
        "startsAt": prop(_instant(opens, one.starts_day)),
        "endsAt": prop(_instant(opens, one.ends_day)),
        "milestones": json_value([_milestone(step, opens) for step in one.milestones]),
        "dateIssued": prop(_instant(opens, min(one.starts_day, 0))),
        **_EXAMPLE,
    }
    if one.targets:
        attributes["targets"] = json_value([_target(target, opens) for target in one.targets])
        attributes["targetIndicator"] = rel([_indicator(target) for target in one.targets])
    if one.action is not None:
        attributes |= _action(one.action, one.currency, city, opens)
    return entity("Initiative", f"urn:ngsi-ld:Initiative:{city}-{one.id}", attributes)


def _action(action: Action, currency: str, city: str, opens: datetime) -> dict[str, Instance]:
    words: dict[str, Any] = {
        "actionKind": action.action_kind,
        "dimension": action.dimension,
        "adoptionAreas": list(action.adoption_areas),
        "serviceDomain": action.service_domain,
        "initiationModel": action.initiation_model,
        "planningOrigin": action.planning_origin,
        "department": action.department,
        "publicValue": action.public_value,
        "effort": action.effort,
        "sdgTargets": list(action.sdg_targets),
    }
    attributes = {name: prop(said) for name, said in words.items() if said}
    if action.depends_on:
        attributes["dependsOn"] = rel([f"urn:ngsi-ld:Initiative:{city}-{one}" for one in action.depends_on])
    if action.goals:
        attributes["servesGoal"] = rel([f"urn:ngsi-ld:Goal:{city}-{one}" for one in action.goals])
    if action.decisions:
        decided = [f"urn:ngsi-ld:CommitteeDecision:{city}-{one}" for one in action.decisions]
        attributes["budgetDecision"] = rel(decided)
    rows: dict[str, Any] = {
        "costs": [_cost(one, currency, opens) for one in action.costs],
        "reporting": action.reporting,
        "funding": [
            {"mechanism": name, "percent": percent, "note": ""} for name, percent in action.funding.items()
        ],
        "portfolio": action.portfolio,
        "laws": [{**one, "record": f"urn:ngsi-ld:LawOrRule:{city}-{one['record']}"} for one in action.laws],
        "checks": [_check(one, opens) for one in action.checks],
        "targetGroups": [
            {"group": one.group, "target": one.target, "due": _day(opens, one.due_day)}
            for one in action.target_groups
        ],
    }
    return attributes | {name: json_value(said) for name, said in rows.items() if said}


def _cost(one: Cost, currency: str, opens: datetime) -> dict[str, Any]:
    return {
        "year": opens.astimezone(_ZONE).year + one.in_year,
        "kind": one.kind,
        "amount": {"amount": one.amount, "currency": currency},
        "department": one.department,
    }


def _check(one: Check, opens: datetime) -> dict[str, Any]:
    on = _day(opens, one.day)
    return {"of": one.of, "by": one.by, "on": on, "result": one.result, "evidence": one.evidence}


def _milestone(step: Milestone, opens: datetime) -> dict[str, Any]:
    done = None if step.done_day is None else _day(opens, step.done_day)
    return {"name": step.name, "names": step.names, "due": _day(opens, step.due_day), "done": done}


def _target(target: Target, opens: datetime) -> dict[str, Any]:
    return {
        "indicator": _indicator(target),
        "baseline": target.baseline,
        "target": target.target,
        "due": _day(opens, target.due_day),
    }


def _indicator(target: Target) -> str:
    return f"urn:ngsi-ld:KeyPerformanceIndicator:{target.indicator}"


def _notice(one: Notice, city: str, opens: datetime) -> Document:
    attributes: dict[str, Instance | list[Instance]] = {
        "title": text(**one.title),
        "body": text(**one.body),
        "severity": prop(one.severity),
        "status": prop("published"),
        "dateIssued": prop(_instant(opens, one.from_day)),
        "validFrom": prop(_instant(opens, one.from_day)),
        "validTo": prop(_instant(opens, one.to_day)),
        **_EXAMPLE,
    }
    if one.place:
        attributes["placeName"] = prop(one.place)
    if one.point:
        attributes["location"] = geo({"type": "Point", "coordinates": list(one.point)})
    return entity("Notice", f"urn:ngsi-ld:Notice:{city}-{one.id}", attributes)


def _day(opens: datetime, days: int) -> str:
    return (opens.astimezone(_ZONE).date() + timedelta(days=days)).isoformat()


def _instant(opens: datetime, days: int) -> str:
    """The midnight with which a day begins where the cities lie."""
    day = opens.astimezone(_ZONE).date() + timedelta(days=days)
    return format_instant(datetime.combine(day, time(), _ZONE).astimezone(UTC))
