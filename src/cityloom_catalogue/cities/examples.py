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
    return entity("Initiative", f"urn:ngsi-ld:Initiative:{city}-{one.id}", attributes)


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
