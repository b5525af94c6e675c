"""An indicator's value as attributes of its Entity, and back. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from cityloom.context.reading import says
from cityloom.indicators import scoring
from cityloom.indicators.framework import Framework
from cityloom.indicators.model import (
    TYPE,
    VALUE,
    DataPoint,
    Entry,
    Evidence,
    Indicator,
    Measured,
    Quality,
    State,
)
from cityloom.kernel.time import format_instant
from cityloom.ngsild.model import Document, Instance, json_value, prop, rel, text, value_of

#: Attributes by name; None for one that is not there.
Attributes = dict[str, Instance | None]

#: What belongs to one value and goes with it.
WITH_A_VALUE = (
    VALUE,
    "numerator",
    "denominator",
    "calculationPeriod",
    "rowsUsed",
    "entitiesUsed",
    "coverage",
    "dataQuality",
    "calculationMethod",
    "calculatedBy",
    "source",
    "dataOrigin",
    "because",
    "currentStanding",
    "points",
    "percentOfTarget",
    "benchmarkProfile",
    "definitionVersion",
    "provisionalValue",
    "enteredBy",
    "enteredAt",
    "remark",
    "refSurvey",
    "respondents",
    "evidence",
    "updatedAt",
)
VERIFICATION = ("verified", "verifiedBy", "verifiedAt")


def static(framework: Framework, indicator: Indicator, point: DataPoint) -> Attributes:
    """What the framework says of a data point."""
    formula = indicator.numerator
    if indicator.denominator:
        formula = f"({indicator.numerator}) / ({indicator.denominator})"
        formula += f" x {point.multiplier:g}" if point.multiplier != 1 else ""
    return {
        "name": text(**full_name(indicator, point)),
        "description": text(**indicator.definition) if indicator.definition else None,
        "framework": prop(framework.id),
        "code": prop(point.code),
        "dataPoint": prop(point.key) if point.key else None,
        "unit": prop(point.unit) if point.unit else None,
        "calculationFormula": prop(formula) if formula else None,
    }


def full_name(indicator: Indicator, point: DataPoint) -> dict[str, str]:
    """The indicator's name, with that of the data point where there are several."""
    if not point.name or not point.key:
        return dict(indicator.name)
    return {
        language: f"{name}: {point.name.get(language, point.key)}"
        for language, name in indicator.name.items()
    }


def unreported() -> Attributes:
    """There is no value."""
    gone: Attributes = dict.fromkeys((*WITH_A_VALUE, *VERIFICATION))
    return gone | {"reportingState": prop(State.NOT_REPORTED.value)}


def computed(
    framework: Framework,
    point: DataPoint,
    found: Measured,
    *,
    reported: bool,
    comparable: bool,
    now: datetime,
    definition: str = "",
) -> Attributes:
    """A value that a measure found: reported, or only what there is so far.

    `definition` says by which earlier definition, "" for the one that stands.
    """
    at = found.until
    value = None if found.value is None else found.value * point.multiplier
    attributes = unreported() | {
        "numerator": _number(found.numerator, at, found.parts_unit),
        "denominator": _number(found.denominator, at, found.parts_unit),
        "calculationPeriod": _period(found.since, found.until),
        "rowsUsed": prop(found.rows, at=at),
        "entitiesUsed": prop(found.entities, at=at),
        "coverage": _number(found.coverage, at, ""),
        "dataQuality": prop(int(Quality.MEASURED)),
        "calculationMethod": prop("automatic"),
        "calculatedBy": prop("CityLoom"),
        "dataOrigin": prop(found.origin) if found.origin else None,
        "definitionVersion": prop(definition, at=at) if definition else None,
        "because": json_value(msgspec.to_builtins(list(found.because))) if found.because else None,
        "updatedAt": prop(format_instant(now)),
    }
    if value is None:
        return attributes
    if not reported:
        return attributes | {"provisionalValue": _number(value, at, point.unit_code)}
    return (
        attributes
        | {VALUE: _number(value, at, point.unit_code), "reportingState": prop(State.REPORTED.value)}
        | judged(framework, point, value, comparable=comparable)
    )


def entered(
    framework: Framework,
    point: DataPoint,
    entry: Entry,
    value: float | bool,
    *,
    evidence: Sequence[Evidence],
    by: str,
    now: datetime,
    definition: str = "",
) -> Attributes:
    """A value that somebody entered; whoever verifies it comes later."""
    at = entry.until
    shown = prop(value, at=at, unit=point.unit_code or None)
    return (
        unreported()
        | {
            VALUE: shown,
            "numerator": _number(entry.numerator, at, ""),
            "denominator": _number(entry.denominator, at, ""),
            "calculationPeriod": _period(entry.since, entry.until),
            "dataQuality": prop(int(entry.quality)),
            "calculationMethod": prop("manual"),
            "source": prop(entry.source) if entry.source else None,
            "dataOrigin": prop("entered"),
            "definitionVersion": prop(definition, at=at) if definition else None,
            "enteredBy": prop(by),
            "enteredAt": prop(format_instant(now)),
            "remark": prop(entry.note) if entry.note else None,
            "refSurvey": rel(entry.survey) if entry.survey else None,
            "respondents": _number(entry.respondents, at, ""),
            "evidence": json_value(msgspec.to_builtins(list(evidence))) if evidence else None,
            "updatedAt": prop(format_instant(now)),
            "reportingState": prop(State.REPORTED.value),
            "verified": prop(False),
        }
        | judged(framework, point, value, comparable=True)
    )


def verified(by: str, now: datetime) -> Attributes:
    """A second person has looked at the value and its evidence."""
    return {"verified": prop(True), "verifiedBy": prop(by), "verifiedAt": prop(format_instant(now))}


def edits(document: Document, attributes: Mapping[str, Instance | None]) -> Attributes:
    """What has to be written so that the Entity says this: what it says already is left out.

    `updatedAt` alone is no reason to write, and a verification stays with a value that stays.
    """
    wanted = dict(attributes)
    shown = wanted.get(VALUE)
    if shown is not None and value_of(document, VALUE) == shown["value"] and _same_way(document, wanted):
        for name in VERIFICATION:
            wanted.pop(name, None)
    changed = {name: item for name, item in wanted.items() if not says(document, name, item)}
    return {} if set(changed) <= {"updatedAt"} else changed


def is_entered(document: Document) -> bool:
    """Whether what stands was entered by somebody: it does until they withdraw it."""
    return VALUE in document["attrs"] and value_of(document, "calculationMethod") == "manual"


def worked_out(document: Document, attributes: Mapping[str, Instance | None]) -> Attributes:
    """`edits` for what a measure says: nothing where somebody has entered a value, also while it measured."""
    return {} if is_entered(document) else edits(document, attributes)


def _same_way(document: Document, wanted: Attributes) -> bool:
    method = wanted.get("calculationMethod")
    automatic = method is not None and method["value"] == "automatic"
    return automatic and value_of(document, "calculationMethod") == "automatic"


def _number(value: float | None, at: datetime, unit_code: str) -> Instance | None:
    return None if value is None else prop(value, at=at, unit=unit_code or None)


def _period(since: datetime, until: datetime) -> Instance:
    return json_value({"from": format_instant(since), "to": format_instant(until)})


def judged(framework: Framework, point: DataPoint, value: float | bool, *, comparable: bool) -> Attributes:
    """The value against its target; points where the framework gives them."""
    percent = None
    if comparable and point.benchmark is not None:
        percent = scoring.percent_of_target(value, point.benchmark)
    if percent is None:
        return {}
    judged: Attributes = {
        "percentOfTarget": prop(percent, unit="P1"),
        "benchmarkProfile": prop(framework.manifest.profile.id),
        "currentStanding": prop(scoring.standing(scoring.points_of(percent))),
    }
    if framework.manifest.scoring == "points":
        judged["points"] = prop(scoring.points_of(percent))
    return judged


_JUDGED = ("percentOfTarget", "benchmarkProfile", "currentStanding", "points")


def rejudged(framework: Framework, document: Document, *, point: DataPoint) -> Attributes:
    """What changes of a value's Entity when it is held against the targets that stand."""
    value = value_of(document, VALUE)
    if not isinstance(value, int | float):
        return {}
    measure = framework.measure_of(point)
    automatic = value_of(document, "calculationMethod") == "automatic"
    comparable = not automatic or measure is None or measure.comparable
    if "definitionVersion" in document["attrs"]:
        comparable = False
    gone: Attributes = dict.fromkeys(_JUDGED)
    return edits(document, gone | judged(framework, point, value, comparable=comparable))


def new_entity(point: DataPoint, attributes: Attributes) -> Document:
    """The Entity of a data point with what there is to say."""
    return {
        "id": point.id,
        "type": [TYPE],
        "attrs": {name: [item] for name, item in attributes.items() if item is not None},
    }
