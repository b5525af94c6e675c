"""An example of a master plan for the demo cities, kept as data in `plan.toml`, and of its stakeholders in
`stakeholders.toml`. Invented, and marked so.

Each record is two Entities, as planning keeps them: what everybody sees, and the working copy of the staff.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from cityloom.sdk import Document, Instance, entity, format_instant, json_value, prop, rel, text

_EXAMPLE = {"example": prop(True), "dataOrigin": prop("simulated")}


class Example(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A record. Days count from the one on which the city opens."""

    type: str
    id: str
    name: dict[str, str]
    #: Texts by language.
    texts: dict[str, dict[str, str]] = {}
    values: dict[str, Any] = {}
    #: Numbers with their UN/CEFACT units.
    quantities: dict[str, tuple[float, str]] = {}
    days: dict[str, int] = {}
    #: "Goal:air" is a record of the same city, "KeyPerformanceIndicator:city:P1" an indicator.
    links: dict[str, tuple[str, ...]] = {}
    rows: dict[str, list[dict[str, Any]]] = {}
    #: Moments, by days.
    instants: dict[str, int] = {}
    #: What is internal: in the working copy alone.
    inside: dict[str, Any] = {}
    inside_days: dict[str, int] = {}
    inside_rows: dict[str, list[dict[str, Any]]] = {}
    #: Whether there is a working copy alone.
    never_public: bool = False
    #: The day on which it was first published, where that matters.
    public_since: int | None = None
    #: Of a contribution.
    answer: Answer | None = None


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a contribution was answered, on a day, and what it changed: as `Example.links` has it."""

    day: int
    text: str
    what: tuple[str, ...] = ()


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The plan went from a phase to the next, on a day."""

    day: int
    before: int
    after: int
    missing: tuple[str, ...] = ()
    reason: str = ""


class Acts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is done of the plan once the city runs: a first version is adopted; once the indicators have
    values a baseline is frozen, a proposed change accepted, and the plan adopted anew."""

    first: str
    baseline: dict[str, str]
    change: str
    answer: str
    again: str


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    record: tuple[Example, ...]
    step: tuple[Step, ...]
    acts: Acts


@cache
def plan() -> Plan:
    """What stands in the file."""
    read = tomllib.loads(Path(__file__).with_name("plan.toml").read_text(encoding="utf-8"))
    return msgspec.convert(read, Plan)


@cache
def stakeholders() -> tuple[Example, ...]:
    """The examples of stakeholders."""
    read = tomllib.loads(Path(__file__).with_name("stakeholders.toml").read_text(encoding="utf-8"))
    return tuple(msgspec.convert(read["record"], list[Example]))


def plan_acts(city: str) -> dict[str, Any]:
    """What `app.demo_plan` does in a city, with the ids of what it is done to."""
    acts = plan().acts
    named = {name: _linked((getattr(acts, name),), city) for name in ("first", "change", "again")}
    return {**msgspec.to_builtins(acts), **named}


def plan_examples(
    city: str, opens: datetime, zone: ZoneInfo, own: tuple[Example, ...] = ()
) -> Iterator[Document]:
    """The Entities of the example plan, in a city, with the records of its own."""
    for one in (*plan().record, *stakeholders(), *own):
        attributes = _attributes(one, city, opens, zone)
        if not one.never_public:
            published = {"status": prop("published"), "dateIssued": prop(format_instant(opens))}
            yield entity(one.type, f"urn:ngsi-ld:{one.type}:{city}-{one.id}", attributes | published)
        working = {"status": prop("draft")} | attributes | _inside(one, opens, zone)
        yield entity(one.type, f"urn:ngsi-ld:{one.type}:draft-{city}-{one.id}", working)
    yield _phases(opens)


def _attributes(one: Example, city: str, opens: datetime, zone: ZoneInfo) -> dict[str, Instance]:
    today = opens.astimezone(zone).date()
    return {
        "name": text(**one.name),
        **{name: text(**said) for name, said in one.texts.items()},
        **{name: prop(said) for name, said in one.values.items()},
        **{name: prop(value, unit=unit) for name, (value, unit) in one.quantities.items()},
        **{name: prop((today + timedelta(days=day)).isoformat()) for name, day in one.days.items()},
        **{name: prop(format_instant(opens + timedelta(days=day))) for name, day in one.instants.items()},
        **{name: rel(_linked(said, city)) for name, said in one.links.items()},
        **{name: json_value([_dated(row, today) for row in rows]) for name, rows in one.rows.items()},
        **(_answered(one.answer, city, opens) if one.answer else {}),
        **_EXAMPLE,
    }


def _answered(answer: Answer, city: str, opens: datetime) -> dict[str, Instance]:
    at, what = format_instant(opens + timedelta(days=answer.day)), _ids(answer.what, city)
    response = {"at": at, "by": "example:planner", "language": "en", "text": answer.text}
    step = {"at": at, "by": "example:planner", "did": "answered"}
    return {
        "status": prop("answered"),
        "responses": json_value([response | {"changed": bool(what), "what": what}]),
        "history": json_value([step]),
        **({"changedWhat": rel(what)} if what else {}),
    }


def _dated(row: dict[str, Any], today: date) -> dict[str, Any]:
    """A row of a table, with the day that its `day` counts to."""
    return row | ({"day": (today + timedelta(days=row["day"])).isoformat()} if "day" in row else {})


def _inside(one: Example, opens: datetime, zone: ZoneInfo) -> dict[str, Instance]:
    today = opens.astimezone(zone).date()
    inside = {
        **{name: prop(said) for name, said in one.inside.items()},
        **{name: prop((today + timedelta(days=day)).isoformat()) for name, day in one.inside_days.items()},
        **{name: json_value(rows) for name, rows in one.inside_rows.items()},
    }
    if one.public_since is not None:
        at = format_instant(opens + timedelta(days=one.public_since))
        inside["history"] = json_value([{"at": at, "by": "city", "did": "published"}])
    return inside


def _linked(said: tuple[str, ...], city: str) -> list[str] | str:
    ids = _ids(said, city)
    return ids[0] if len(ids) == 1 else ids


def _ids(said: tuple[str, ...], city: str) -> list[str]:
    ids = []
    for one in said:
        kind, _, name = one.partition(":")
        own = name if kind == "KeyPerformanceIndicator" else f"{city}-{name}"
        ids.append(f"urn:ngsi-ld:{kind}:{own}")
    return ids


def _phases(opens: datetime) -> Document:
    steps = [
        {
            "at": format_instant(opens + timedelta(days=step.day)),
            "by": "city",
            "before": step.before,
            "after": step.after,
            "missing": list(step.missing),
            "reason": step.reason,
        }
        for step in plan().step
    ]
    attributes = {
        "name": text(en="Example: master plan", da="Eksempel: masterplan"),
        "planPhase": prop(plan().step[-1].after),
        "passages": json_value(steps),
        **_EXAMPLE,
    }
    return entity("MasterPlan", "urn:ngsi-ld:MasterPlan:city", attributes)
