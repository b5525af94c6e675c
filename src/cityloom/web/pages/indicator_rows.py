"""How a value of an indicator is told: in a row of a list, with its unit, and how good its data are."""

from __future__ import annotations

from typing import Any

from cityloom.indicators.model import Quality
from cityloom.indicators.summaries import IndicatorSummary
from cityloom.web.addresses import address
from cityloom.web.languages import noted as n
from cityloom.web.visit import Visit

ENTER, VERIFY = "indicators:enter", "indicators:verify"
#: 1 to 4 points as levels.
LEVEL_OF_POINTS = {1: "bad", 2: "poor", 3: "fair", 4: "good"}
QUALITIES: dict[Quality, str] = {
    Quality.MEASURED: n("measured or counted"),
    Quality.SURVEY: n("from a survey"),
    Quality.HIGHER_LEVEL: n("from a higher level of government"),
    Quality.ASSUMPTIONS: n("worked out from assumptions"),
    Quality.PERSONAL_ESTIMATE: n("somebody's estimate"),
    Quality.UNKNOWN: n("not known"),
}


def indicator_row(visit: Visit, one: IndicatorSummary) -> dict[str, Any]:
    """A data point as it is listed."""
    return {
        "id": one.id,
        "href": address("indicators", one.framework, one.code) + (f"#{one.point}" if one.point else ""),
        "code": one.code,
        "point": one.point,
        "name": visit.wording.said(one.name),
        "groups": "/".join(one.groups[-1].path) if one.groups else "",
        "value": one.value,
        "text": figure(visit, one, one.value),
        "state": one.state.value,
        "level": LEVEL_OF_POINTS.get(one.points or 0, "none"),
        "points": one.points,
        "origin": visit.origin(one.origin),
        "verified": one.verified,
        "coreLevel": one.level,
        "isBound": one.is_bound,
        "warnings": len(one.findings),
    }


def figure(visit: Visit, one: IndicatorSummary, value: float | bool | None) -> str:
    """A value of an indicator with its unit."""
    if value is None:
        return ""
    if isinstance(value, bool) or one.is_yes_or_no:
        return visit.wording.quantity(bool(value))
    unit = visit.wording.unit(one.unit_code) if one.unit_code else one.unit
    return f"{visit.wording.number(value)}\u202f{unit}".strip() if unit else visit.wording.number(value)


def quality_words(visit: Visit, quality: Quality | None, origin: str) -> str:
    """How good the data are; what a demo city worked out of its own data was measured by nobody."""
    if quality is None:
        return ""
    if quality is Quality.MEASURED and visit.city.demo and origin != "entered":
        return visit.wording.choice(visit.city.demo)
    return visit.gettext(QUALITIES[quality])
