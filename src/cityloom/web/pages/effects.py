"""What changed in an indicator since an initiative, or anything else, began: with an interval, or why not."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from starlette.responses import Response

from cityloom.analytics.interrupted_series import Effect
from cityloom.indicators.summaries import IndicatorSummary
from cityloom.kernel.errors import BadInput, NotFound
from cityloom.kernel.time import to_millis
from cityloom.planning.effects import MOST_CONTROLS, Placebo, Told
from cityloom.planning.model import Initiative
from cityloom.web.addresses import address
from cityloom.web.drawing.chart import Chart, Estimated, draw_chart
from cityloom.web.languages import noted as n
from cityloom.web.looks import name_of
from cityloom.web.pages.routing import Pages
from cityloom.web.taken_along import csv_of
from cityloom.web.visit import Visit

#: Series that the form offers to choose beside the indicator's own.
_OFFERED = 3
_COLUMNS = ("end", "value", "expected", "fitted")
#: Why an effect cannot be told.
REASONS = {
    "nothingKnown": n("Too little is known of this indicator."),
    "notStarted": n("It has not begun, or there is no value since."),
    "tooFewBefore": n("There are too few values before the beginning: it takes 12 that do not overlap."),
    "tooFewAfter": n("There are too few values since the beginning: it takes 5 that do not overlap."),
    "gaps": n("Too many values are missing in between."),
    "constant": n("The values before never changed, so nothing tells what is usual."),
    "alreadyChanging": n(
        "The indicator had changed before as much, when nothing began: its course is not understood."
    ),
    "otherCourse": n("The series chosen for comparison went another way before: they show nothing here."),
    "othersBegan": n(
        "Other initiatives for the same indicator began at about the same time: they cannot be told apart."
    ),
}


def add(pages: Pages) -> None:
    pages.get("/indicators/{framework}/{code}/effect", show, pdf=True)
    pages.data("/indicators/{framework}/{code}/effect.csv", as_csv)


async def of_initiative(
    visit: Visit,
    indicator: str,
    initiative: Initiative,
    controls: tuple[str, ...] = (),
    *,
    series: str = "",
) -> Told:
    """What an initiative did to one of its indicators; `series` is that of a district, "" for the city's."""
    initiatives = visit.rooms.initiatives
    others = [one for one in initiatives.aiming_at(visit.actor, indicator) if one.id != initiative.id]
    running = [one for one in others if one.phase in ("running", "done")]
    return await initiatives.effects.of(
        visit.actor, series or indicator, initiative.plan.starts_at, running, controls
    )


def effect_row(visit: Visit, told: Told) -> dict[str, Any]:
    """An effect in words and as data."""
    return {
        "indicator": told.indicator,
        "begins": told.begins,
        "unit": told.unit_code,
        "reason": told.reason,
        "reasonText": visit.gettext(REASONS[told.reason]) if told.reason else "",
        **_figures(visit, told.effect, told.unit_code),
        "stepDays": told.step_days,
        "controls": list(told.controls),
        "placebos": [_placebo(visit, one, told.unit_code) for one in told.placebos],
        "placebosBeyond": _beyond(told),
        "others": list(told.others),
        "leftOut": told.left_out,
    }


def _placebo(visit: Visit, one: Placebo, unit: str) -> dict[str, Any]:
    """What the same reckoning finds for a series that nothing reached."""
    found = one.effect
    return {
        "of": one.of,
        "name": _name(visit, one.of),
        "reason": one.reason,
        "effect": found.value if found else None,
        "low": found.low if found else None,
        "high": found.high if found else None,
        "text": _signed(visit, found.value, unit) if found else "",
        "interval": f"{_signed(visit, found.low, unit)} … {_signed(visit, found.high, unit)}"
        if found
        else "",
    }


def _beyond(told: Told) -> int | None:
    """Of how many placebos the effect is as large; None where none could be told."""
    found = [abs(one.effect.value) for one in told.placebos if one.effect is not None]
    if not found or told.effect is None:
        return None
    return sum(one >= abs(told.effect.value) for one in found)


def _figures(visit: Visit, found: Effect | None, unit: str) -> dict[str, Any]:
    if found is None:
        return dict.fromkeys(
            ("effect", "low", "high", "before", "after", "likeness", "slope", "parallel")
        ) | {
            "text": "", "interval": "", "slopeText": "", "isTold": False, "isControlled": False,
        }  # fmt: skip
    low, high = _signed(visit, found.low, unit), _signed(visit, found.high, unit)
    return {
        "effect": found.value,
        "low": found.low,
        "high": found.high,
        "before": found.before,
        "after": found.after,
        "likeness": found.likeness,
        "slope": found.slope,
        "parallel": found.parallel,
        "text": _signed(visit, found.value, unit),
        "interval": f"{low} … {high}",
        "slopeText": "" if found.slope is None else _signed(visit, found.slope, unit),
        "isTold": found.is_told,
        "isControlled": found.is_controlled,
    }


def _signed(visit: Visit, value: float, unit: str) -> str:
    said = visit.wording.quantity(abs(value), unit)
    return f"{'−' if value < 0 else '+'}{said}"


def draw_effect(visit: Visit, told: Told, title: str) -> Any:
    """The values, and (dashed) what they would have been without it."""
    if len(told.times) < 2 or told.begins is None:
        return None
    expected = told.effect.expected if told.effect else ()
    after = told.times[len(told.times) - len(expected) :]
    chart = Chart(
        title=title,
        unit=visit.wording.unit(told.unit_code),
        since=told.times[0] - timedelta(seconds=1),
        until=max(told.times[-1], told.begins),
        times=[to_millis(at) for at in told.times],
        values=list(told.values),
        estimates=[Estimated(to_millis(at), value) for at, value in zip(after, expected, strict=True)],
        marks=[(told.begins, visit.gettext("beginning"))],
    )
    return draw_chart(chart, visit.wording)


async def show(visit: Visit) -> Response:
    """What changed in an indicator since an initiative or a day, beside other series if wanted."""
    point, initiative, told = await _asked(visit)
    name = visit.wording.said(point.name)
    data = {
        "framework": point.framework,
        "code": point.code,
        "point": point.id,
        "name": name,
        "initiative": initiative.id if initiative else None,
        "initiativeName": visit.wording.said(initiative.plan.name) if initiative else "",
        "district": visit.query("district") or None,
        "change": effect_row(visit, told) if told else None,
    }
    aiming = visit.rooms.initiatives.aiming_at(visit.actor, point.id)
    return visit.render(
        "effect.html",
        data,
        chart=draw_effect(visit, told, name) if told else None,
        initiatives=[(one.id, visit.wording.said(one.plan.name)) for one in aiming],
        rows=_rows(told) if told else [],
        series=_series(visit, point),
        chosen=(_controls(visit) + [""] * _OFFERED)[:_OFFERED],
        control_names=[_name(visit, one) for one in told.controls] if told else [],
        other_names=[_name(visit, one) for one in told.others] if told else [],
        since=visit.query("since"),
        alone=visit.query("alone") == "yes",
        districts=_districts(visit, point),
        here=address("indicators", point.framework, point.code, "effect"),
    )


async def as_csv(visit: Visit) -> Response:
    """The series that was looked at, with what it would have been."""
    point, _, told = await _asked(visit)
    if told is None:
        raise BadInput("Say since when", hint="Choose an initiative, or a day.", where="since")
    return csv_of(visit, f"effect-{point.code.replace(':', '-')}", _COLUMNS, _rows(told))


def _rows(told: Told) -> list[dict[str, Any]]:
    fitted = told.effect.fitted if told.effect else ()
    expected = told.effect.expected if told.effect else ()
    course = (*fitted, *expected)
    return [
        {
            "end": at,
            "value": value,
            "expected": course[place] if course and place >= len(fitted) else None,
            "fitted": course[place] if place < len(fitted) else None,
        }
        for place, (at, value) in enumerate(zip(told.times, told.values, strict=True))
    ]


def _of_district(visit: Visit, point: IndicatorSummary) -> tuple[str, tuple[str, ...]]:
    """The series that is asked for, and what it is held against: of a district, the other districts.

    Raises NotFound.
    """
    controls = tuple(one for one in _controls(visit) if one != point.id)
    wanted = visit.query("district")
    if not wanted:
        return point.id, controls
    series = visit.rooms.indicators.districts.history_ids(visit.actor, point.id)
    if wanted not in series:
        raise NotFound("There is no value of such a district", hint="Look at the indicator by district.")
    if not controls and visit.query("alone") != "yes":
        controls = tuple(name for district, name in series.items() if district != wanted)[:MOST_CONTROLS]
    return series[wanted], controls


async def _asked(visit: Visit) -> tuple[IndicatorSummary, Initiative | None, Told | None]:
    indicators = visit.rooms.indicators
    ids = indicators.find(visit.part("framework"), visit.part("code"))
    wanted = visit.query("point")
    if wanted and wanted not in ids:
        raise NotFound("There is no such figure", hint="Look at the indicator again.")
    point = indicators.summary(visit.actor, wanted or ids[0])
    series, controls = _of_district(visit, point)
    if visit.query("initiative"):
        initiative = visit.rooms.initiatives.get(visit.actor, visit.query("initiative"))
        told = await of_initiative(visit, point.id, initiative, controls, series=series)
        return point, initiative, told
    since = _since(visit)
    if since is None:
        return point, None, None
    others = [
        one
        for one in visit.rooms.initiatives.aiming_at(visit.actor, point.id)
        if one.phase in ("running", "done")
    ]
    return (
        point,
        None,
        await visit.rooms.initiatives.effects.of(visit.actor, series, since, others, controls),
    )


def _controls(visit: Visit) -> list[str]:
    said = visit.request.query_params.getlist("control")[:_OFFERED]
    return [one[:500] for one in said if one]


def _since(visit: Visit) -> datetime | None:
    said = visit.query("since")
    if not said:
        return None
    try:
        return datetime.fromisoformat(said[:10]).replace(tzinfo=visit.city.zone)
    except ValueError:
        raise BadInput(
            f"{said[:20]!r} is no day", hint="Write a day such as 2026-01-31.", where="since"
        ) from None


def _districts(visit: Visit, point: IndicatorSummary) -> list[tuple[str, str]]:
    """The districts of which there are values, with their names."""
    room = visit.rooms.indicators.districts
    known = room.history_ids(visit.actor, point.id)
    return [(one.id, visit.wording.said(one.name)) for one in room.districts(visit.actor) if one.id in known]


def _series(visit: Visit, point: IndicatorSummary) -> list[tuple[str, str]]:
    """The indicators that may be looked at beside: those in the same unit first."""
    found = [
        one
        for report in visit.rooms.indicators.reports(visit.actor)
        for one in report.indicators
        if one.is_reported and one.answered_by is None and one.id != point.id and not one.is_yes_or_no
    ]
    found.sort(key=lambda one: (one.unit != point.unit, one.framework, one.code))
    return [(one.id, f"{one.framework} {one.code}: {visit.wording.said(one.name)}") for one in found]


def _name(visit: Visit, entity_id: str) -> str:
    document = visit.rooms.broker.find(visit.actor, entity_id)
    return name_of(document, visit.wording) if document else entity_id
