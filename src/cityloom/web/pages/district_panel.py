"""An indicator over the districts, as pages tell it: a row for each, a small map, what to take care of."""

from __future__ import annotations

from typing import Any

from cityloom.indicators.districts.comparing import ByDistrict, DistrictDoubt, by_district
from cityloom.indicators.districts.values import DistrictValue
from cityloom.indicators.summaries import IndicatorSummary
from cityloom.web.addresses import address
from cityloom.web.drawing.areas import Area, draw_areas
from cityloom.web.languages import noted as n
from cityloom.web.pages.indicator_rows import figure, quality_words
from cityloom.web.visit import Visit

#: What to take care of when districts are compared.
DOUBTS: dict[DistrictDoubt, str] = {
    DistrictDoubt.MISSING: n("Of some districts there is no value."),
    DistrictDoubt.PERIODS: n("The values are of different periods."),
    DistrictDoubt.FEW: n(
        "In some districts fewer than three things were measured: their values tell more of where those "
        "stand than of the district."
    ),
    DistrictDoubt.COVERAGE: n("Of some districts more readings are missing than of others."),
    DistrictDoubt.METHODS: n("Some values are worked out of the city's data, others were entered."),
    DistrictDoubt.NOT_VERIFIED: n("Some values have not been verified."),
    DistrictDoubt.TOTALS: n("It is a total: a larger district has more of it."),
    DistrictDoubt.NOT_THE_CITY: n(
        "The districts together do not give the city's value: something lies in no district, or was measured "
        "in another way."
    ),
}


def panel_of(visit: Visit, point: IndicatorSummary) -> dict[str, Any] | None:
    """The districts of an indicator; None where the city has none, or nothing is known of any."""
    found = by_district(point, visit.rooms.indicators.districts.of(visit.actor, point.id))
    if not found.values or not (found.reported or any(one.provisional is not None for one in found.values)):
        return None
    return told(visit, point, found)


def told(visit: Visit, point: IndicatorSummary, found: ByDistrict) -> dict[str, Any]:
    """The districts of an indicator in words and as data."""
    numbers = [float(one.value) for one in found.reported if one.value is not None]
    longest = max(map(abs, numbers), default=0.0)
    return {
        "href": address("indicators", point.framework, point.code, "districts"),
        "rows": [district_row(visit, point, one, longest) for one in found.values],
        "together": found.together,
        "togetherText": figure(visit, point, found.together),
        "doubts": [one.value for one in found.doubts],
        "doubtTexts": [visit.gettext(DOUBTS[one]) for one in found.doubts],
    }


def district_row(visit: Visit, point: IndicatorSummary, one: DistrictValue, longest: float) -> dict[str, Any]:
    """A district with its value; `longest` is the value whose bar is full."""
    number = None if one.value is None else float(one.value)
    return {
        "district": one.district.id,
        "name": visit.wording.said(one.district.name),
        "entity": one.id,
        "value": one.value,
        "text": figure(visit, point, one.value),
        "provisional": one.provisional,
        "provisionalText": figure(visit, point, one.provisional),
        "share": None if number is None or longest <= 0 or number < 0 else 100 * number / longest,
        "numerator": one.numerator,
        "denominator": one.denominator,
        "unit": point.unit,
        "since": one.since,
        "until": one.until,
        "rows": one.rows,
        "entities": one.entities,
        "coverage": one.coverage,
        "method": one.method,
        "origin": visit.origin(one.origin) if one.is_reported else None,
        "quality": quality_words(visit, one.quality, one.origin) if one.is_reported else "",
        "source": one.source,
        "verified": one.verified,
        "percentOfTarget": one.percent_of_target,
        "hasArea": one.district.area is not None,
    }


def district_map(visit: Visit, point: IndicatorSummary) -> Any:
    """The map of the districts; None where fewer than two have a place."""
    every = visit.rooms.indicators.districts.of(visit.actor, point.id)
    areas = [
        Area(
            label=str(place),
            name=visit.wording.said(one.district.name),
            geometry=one.district.area,
            value=None if one.value is None else float(one.value),
        )
        for place, one in enumerate(every, 1)
        if one.district.area is not None
    ]
    if len(areas) < 2 or all(one.value is None for one in areas):
        return None
    title = visit.gettext("Districts by value, the darker the higher")
    return draw_areas(areas, f"{visit.wording.said(point.name)}: {title}")
