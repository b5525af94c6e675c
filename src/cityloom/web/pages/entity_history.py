"""The course of one attribute: the range asked for, the readings at a fitting step, the chart."""

from __future__ import annotations

import asyncio
import math
from datetime import datetime, timedelta
from typing import Any

import msgspec

from cityloom.kernel.errors import BadInput
from cityloom.kernel.time import from_millis, parse_instant, to_millis
from cityloom.ngsild.model import Document, content, instance_of
from cityloom.web.drawing.chart import Chart, Estimated
from cityloom.web.drawing.scale import GAP, gaps, typical_step
from cityloom.web.labels import SHARES
from cityloom.web.languages import noted as n
from cityloom.web.pages.entity_values import estimates_of, sub_value
from cityloom.web.visit import Visit

#: The ranges offered, each with its length.
RANGES: dict[str, tuple[str, timedelta]] = {
    "6h": (n("6 hours"), timedelta(hours=6)),
    "24h": (n("24 hours"), timedelta(hours=24)),
    "7d": (n("7 days"), timedelta(days=7)),
    "30d": (n("30 days"), timedelta(days=30)),
}
DEFAULT_RANGE = "24h"
#: Up to this length every reading is shown; beyond, means of a step.
_RAW_UP_TO = timedelta(hours=48)
_MOST_RAW = 2_000
_STEPS = (
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=3),
    timedelta(hours=6),
    timedelta(days=1),
    timedelta(days=7),
)
_MOST_POINTS = 360


class Span(msgspec.Struct, frozen=True):
    """A range of time, by its name or by its ends."""

    name: str
    since: datetime | None
    until: datetime | None
    #: Whether it ends now and moves on.
    live: bool


def span_of(visit: Visit, *, everything: bool = False) -> Span:
    """The range in the query: `range`, or `since` and `until`; `everything`: no range, no bounds.

    Raises BadInput naming the parameter.
    """
    since, until = visit.query("since"), visit.query("until")
    now = visit.rooms.clock.now()
    if since or until:
        begin = _instant(visit, since, "since") if since else None
        end = _instant(visit, until, "until") if until else now
        begin = begin or (None if everything else end - RANGES[DEFAULT_RANGE][1])
        if begin is not None and begin >= end:
            raise BadInput("The range ends before it begins", hint="Swap the two.", where="since")
        return Span("", begin, end, live=False)
    name = visit.query("range")
    if everything and not name:
        return Span("", None, None, live=False)
    name = name if name in RANGES else DEFAULT_RANGE
    # Ranges are half-open, and the reading of this very instant belongs to it.
    return Span(name, now - RANGES[name][1], now + timedelta(milliseconds=1), live=True)


def _instant(visit: Visit, text: str, where: str) -> datetime:
    """An instant with its zone, or, as date fields give it, local time of the city without one."""
    try:
        local = datetime.fromisoformat(text)
    except ValueError:
        local = None
    if local is not None and local.tzinfo is None:
        return local.replace(tzinfo=visit.city.zone)
    return parse_instant(text, where=where)


async def chart_of(visit: Visit, document: Document, attribute: str, span: Span) -> Chart:
    """The readings of the range, and what is estimated for the time after now."""
    assert span.since is not None and span.until is not None, "only a download has no bounds"
    times, values = await asyncio.to_thread(_course, visit, document["id"], attribute, span.since, span.until)
    item = instance_of(document, attribute) or {}
    factor = 100.0 if attribute in SHARES else 1.0
    estimates = _estimates(document, attribute, factor) if span.live else []
    until = span.until
    if estimates:
        until = max(until, from_millis(estimates[-1].at))
    return Chart(
        title=visit.wording.attribute(attribute),
        unit="%" if attribute in SHARES else visit.wording.unit(item.get("unitCode")),
        since=span.since,
        until=until,
        times=times,
        values=[None if value is None else value * factor for value in values],
        estimates=estimates,
        now=visit.rooms.clock.now(),
    )


def _course(
    visit: Visit, entity_id: str, attribute: str, since: datetime, until: datetime
) -> tuple[list[int], list[float | None]]:
    """Readings, or their means over a step; called in a thread."""
    history = visit.rooms.history
    if until - since <= _RAW_UP_TO:
        readings = history.raw(visit.actor, entity_id, [attribute], since, until, limit=_MOST_RAW, dataset="")
        readings = [one for one in readings if isinstance(one.value, int | float)]
        readings.sort(key=lambda one: one.at)
        return [to_millis(one.at) for one in readings], [float(one.value) for one in readings]
    step = next((one for one in _STEPS if (until - since) / one <= _MOST_POINTS), _STEPS[-1])
    found = history.aggregate(
        visit.actor, entity_id, attribute, since, until, step, ("avg",), pooled=True, zone=visit.city.zone
    )
    means = found.values["avg"][0] if len(found.values["avg"]) else []
    middles = [int(edge) + int(step / timedelta(milliseconds=2)) for edge in found.edges[:-1]]
    return middles[: len(means)], [None if math.isnan(value) else float(value) for value in means]


def _estimates(document: Document, attribute: str, factor: float) -> list[Estimated]:
    found = []
    for _, item in estimates_of(document, attribute):
        meant_for, value = sub_value(item, "validAt"), content(item)
        if not meant_for or not isinstance(value, int | float):
            continue
        low, high = sub_value(item, "low"), sub_value(item, "high")
        found.append(
            Estimated(
                at=to_millis(parse_instant(meant_for, where="validAt")),
                value=value * factor,
                low=None if low is None else low * factor,
                high=None if high is None else high * factor,
            )
        )
    return sorted(found, key=lambda one: one.at)


def script_data(visit: Visit, entity_id: str, attribute: str, chart: Chart) -> dict[str, Any]:
    """The chart's data for its script."""
    estimates = {one.at: one for one in chart.estimates}
    measured = dict(zip(chart.times, chart.values, strict=True))
    # The script connects neighbours; an instant without a value keeps a gap a gap.
    holes = {later - 1 for _, later in gaps(chart.times)}
    times = sorted({*chart.times, *estimates, *holes})
    return {
        "entity": entity_id,
        "attribute": attribute,
        "label": chart.title,
        "unit": chart.unit,
        "gap": GAP * typical_step(chart.times) / 1000,
        "factor": 100 if attribute in SHARES else 1,
        "zone": visit.city.zone.key,
        "times": [at / 1000 for at in times],
        "measured": [_rounded(measured.get(at)) for at in times],
        "forecast": [_rounded(estimates[at].value) if at in estimates else None for at in times],
        "low": [_rounded(estimates[at].low) if at in estimates else None for at in times],
        "high": [_rounded(estimates[at].high) if at in estimates else None for at in times],
        "words": {
            "time": visit.gettext("Time"),
            "measured": chart.title,
            "forecast": visit.gettext("Estimated"),
            "low": visit.gettext("At least"),
            "high": visit.gettext("At most"),
        },
        "live": "range" not in visit.request.query_params or visit.query("range") in ("6h", "24h"),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
