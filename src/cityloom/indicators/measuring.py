"""Works measures out: from how things are now, and from history. Blocking; called in a thread."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import singledispatch
from statistics import median

import numpy as np
from numpy.typing import NDArray

from cityloom.history.links import TYPE_TARGET
from cityloom.history.model import Integers
from cityloom.history.periods import Step, edges_of, parse_step, shifted
from cityloom.history.pools import Holding, PooledSeries
from cityloom.history.pools import pooled as pooled_in
from cityloom.indicators import measures as verbs
from cityloom.indicators.model import Measured
from cityloom.indicators.view import View, moment, only
from cityloom.kernel.time import from_millis, to_millis
from cityloom.ngsild.model import Document, value_of

_HOUR = timedelta(hours=1)
_HOUR_MILLIS = 3_600_000


@singledispatch
def work_out(measure: verbs.Measure, view: View) -> Measured:
    """What a measure finds in the period of a view. Raises BadInput for units that do not fit.

    `value` is numerator over denominator where both are given, before the indicator's multiplier.
    """
    raise TypeError(f"{type(measure).__name__} finds nothing in {type(view).__name__}")


@work_out.register
def _mean(measure: verbs.Mean, view: View) -> Measured:
    pooled = view.pool(measure.type, measure.attribute, unit_code=view.unit_code)
    edges = edges_of(view.since, view.until, _HOUR)
    found = view.history.cells(pooled.pool, edges)
    used = found.cells > 0
    if not used.any():
        return view.found()
    entities, count = int(used.sum()), int(found.readings.sum())
    expected, cells = entities * (len(edges) - 1), int(found.cells.sum())
    means = found.mean[used]
    return view.found(
        value=float(means.mean()),
        numerator=float(means.sum()),
        denominator=float(entities),
        parts_unit=view.unit_code,
        rows=count,
        entities=entities,
        coverage=cells / expected,
        origin=view.origin_of(measure.type, _those(pooled, used)),
        because=(view.because(measure.type, measure.attribute, count, missing=expected - cells),),
    )


@work_out.register
def _against_reference(measure: verbs.AgainstReference, view: View) -> Measured:
    asked = view.pool(measure.type, measure.attribute)
    unit = asked.series.unit_code
    pooled = pooled_in(asked.series, asked.pool.window, unit)
    references = view.fixed(measure.type, measure.reference, unit)
    weights = view.fixed(measure.type, measure.weight) if measure.weight else dict.fromkeys(references, 1.0)
    edges = edges_of(view.since, view.until, _HOUR)
    chosen = _chosen_hours(measure, view, edges)
    found = view.history.cells(pooled.pool, edges, chosen=chosen, above=0.0, medians=True)
    numerator = denominator = 0.0
    used: list[str] = []
    cells = 0
    for group, entity_id in enumerate(pooled.entity_ids):
        if not found.cells[group] or entity_id not in references or entity_id not in weights:
            continue
        cells += int(found.cells[group])
        used.append(entity_id)
        reference, weight = references[entity_id], weights[entity_id] * measure.scale
        typical = float(found.median[group])
        numerator += weight * (1 / typical if measure.inverse else typical)
        denominator += weight * (1 / reference if measure.inverse else reference)
    if not used:
        return view.found()
    expected = int(chosen.sum()) * len(used)
    count = int(found.readings.sum())
    return view.found(
        value=numerator / denominator,
        numerator=numerator,
        denominator=denominator,
        parts_unit=measure.parts_unit,
        rows=count,
        entities=len(used),
        coverage=cells / expected,
        origin=view.origin_of(measure.type, set(used)),
        because=(
            view.because(measure.type, measure.attribute, count, missing=expected - cells),
            view.because(measure.type, measure.reference, len(used)),
        ),
    )


@work_out.register
def _share_of_time(measure: verbs.ShareOfTime, view: View) -> Measured:
    pooled = view.pool(measure.type, measure.attribute)
    reference = np.ones(pooled.pool.groups)
    if measure.reference:
        references = view.fixed(measure.type, measure.reference)
        reference = np.array([references.get(one, np.nan) for one in pooled.entity_ids])
    hold = parse_step(measure.hold).fixed // timedelta(milliseconds=1)
    found = view.history.held(
        pooled.pool, Holding(to_millis(view.until), hold, reference, measure.above, measure.below)
    )
    used = found.readings > 0
    covered, count = float(found.covered.sum()), int(found.readings.sum())
    if not count:
        return view.found()
    whole = (to_millis(view.until) - to_millis(view.since)) * int(used.sum())
    inside = float(found.inside.sum())
    return view.found(
        value=inside / covered,
        numerator=inside / _HOUR_MILLIS,
        denominator=covered / _HOUR_MILLIS,
        parts_unit="HUR",
        rows=count,
        entities=int(used.sum()),
        coverage=covered / whole,
        origin=view.origin_of(measure.type, _those(pooled, used)),
        because=(view.because(measure.type, measure.attribute, count),),
    )


@work_out.register
def _days_above(measure: verbs.DaysAbove, view: View) -> Measured:
    first, last = _whole_days(view)
    if first >= last:
        return view.found()
    pooled = view.pool_between(measure.type, measure.attribute, first, last)
    found = view.history.cells(pooled.pool, edges_of(first, last, Step(days=1), view.zone))
    used, days = found.cells > 0, found.period_cells > 0
    if not used.any():
        return view.found()
    daily = found.period_mean[days]
    count = int(found.readings.sum())
    return view.found(
        value=float((daily > measure.above).mean()),
        numerator=float((daily > measure.above).sum()),
        denominator=float(days.sum()),
        parts_unit="DAY",
        rows=count,
        entities=int(used.sum()),
        coverage=float(days.mean()),
        origin=view.origin_of(measure.type, _those(pooled, used)),
        because=(view.because(measure.type, measure.attribute, count, missing=int((~days).sum())),),
    )


@work_out.register
def _share_of_entities(measure: verbs.ShareOfEntities, view: View) -> Measured:
    said = view.having(measure.type, measure.attribute)
    having = [one for one in said if value_of(one, measure.attribute) is not None]
    fitting = [one for one in having if value_of(one, measure.attribute) in measure.values]
    if not having:
        return view.found()
    return view.found(
        now=True,
        value=len(fitting) / len(having),
        numerator=float(len(fitting)),
        denominator=float(len(having)),
        rows=len(having),
        entities=len(having),
        coverage=len(having) / len(view.of_type(measure.type)),
        origin=view.origin(having),
        because=(view.because(measure.type, measure.attribute, len(having), note="as they are now"),),
    )


@work_out.register
def _arrived(measure: verbs.Arrived, view: View) -> Measured:
    step = parse_step(measure.step).fixed
    found = view.history.coverage(
        view.actor,
        TYPE_TARGET + measure.type,
        measure.attribute,
        view.since,
        view.until,
        step,
        among=view.among,
    )
    if not found.expected:
        return view.found()
    return view.found(
        value=found.share,
        numerator=float(found.expected - found.missing),
        denominator=float(found.expected),
        rows=found.count,
        entities=found.entities,
        origin=view.origin(only(view.of_type(measure.type), "dataOrigin")),
        because=(view.because(measure.type, measure.attribute, found.count, missing=found.missing),),
    )


@work_out.register
def _median_duration(measure: verbs.MedianDuration, view: View) -> Measured:
    begun, lasted = [], []
    for document in view.of_type(measure.type):
        begin, end = moment(document, measure.begins), moment(document, measure.ends)
        if begin is None or not view.since <= begin < view.until:
            continue
        begun.append(document)
        if end is not None and begin <= end <= view.until:
            lasted.append((end - begin) / _HOUR)
    if not begun:
        return view.found()
    return view.found(
        value=median(lasted) if lasted else None,
        numerator=float(len(lasted)),
        denominator=float(len(begun)),
        rows=len(begun),
        entities=len(begun),
        coverage=len(lasted) / len(begun),
        origin=view.origin(begun),
        because=(
            view.because(
                measure.type, measure.begins, len(begun), missing=len(begun) - len(lasted), note=measure.ends
            ),
        ),
    )


@work_out.register
def _lead_time(measure: verbs.LeadTime, view: View) -> Measured:
    came, in_time, readings = [], 0, 0
    for warning in view.of_type(measure.type):
        if any(value_of(warning, name) != wanted for name, wanted in measure.where.items()):
            continue
        arrived, looked_at = _arrival(measure, warning, view)
        readings += looked_at
        if arrived is None:
            continue
        came.append(warning)
        confirmed = moment(warning, measure.confirmed)
        if confirmed is not None and arrived - to_millis(confirmed) >= measure.hours * _HOUR_MILLIS:
            in_time += 1
    if not came:
        return view.found()
    return view.found(
        value=in_time / len(came),
        numerator=float(in_time),
        denominator=float(len(came)),
        rows=len(came),
        entities=len(came),
        origin=view.origin(came),
        because=(
            view.because(measure.type, measure.confirmed, len(came)),
            view.because(measure.about_type, measure.attribute, readings),
        ),
    )


@work_out.register
def _open_types(_: verbs.OpenTypes, view: View) -> Measured:
    count = len(view.open_types)
    return view.found(
        now=True,
        value=float(count),
        numerator=float(count),
        rows=sum(view.open_types.values()),
        entities=sum(view.open_types.values()),
        origin=_origin_of_count(one for name in view.open_types for one in view.of_type(name)),
        because=tuple(view.because(name, "", number) for name, number in view.open_types.items()),
    )


@work_out.register
def _total_over_figure(measure: verbs.TotalOverFigure, view: View) -> Measured:
    pooled = view.pool(measure.type, measure.alive)
    found = view.history.cells(pooled.pool, edges_of(view.since, view.until, None))
    alive, count = _those(pooled, found.readings > 0), int(found.readings.sum())
    sizes = {key: size for key, size in view.fixed(measure.type, measure.attribute).items() if key in alive}
    if not sizes:
        return view.found()
    total, figure = sum(sizes.values()) / measure.divisor, view.figures.get(measure.figure)
    return view.found(
        value=None if figure is None else total / figure,
        numerator=total,
        denominator=figure,
        parts_unit=measure.parts_unit,
        rows=count,
        entities=len(sizes),
        origin=view.origin_of(measure.type, sizes),
        because=(
            view.because(measure.type, measure.attribute, len(sizes)),
            view.because(measure.type, measure.alive, count),
        ),
    )


def _those(pooled: PooledSeries, used: NDArray[np.bool_]) -> set[str]:
    """The Entities of some of the groups."""
    return {pooled.entity_ids[group] for group in np.flatnonzero(used).tolist()}


def _whole_days(view: View) -> tuple[datetime, datetime]:
    """The first and the last local midnight in the period."""
    since, until = view.since.astimezone(view.zone), view.until.astimezone(view.zone)
    first, last = (one.replace(hour=0, minute=0, second=0, microsecond=0) for one in (since, until))
    return (first if first == since else shifted(first, Step(days=1), 1)), last


def _chosen_hours(measure: verbs.AgainstReference, view: View, edges: Integers) -> NDArray[np.bool_]:
    """Which of the hours that begin at `edges` are meant, by the city's clock."""
    local = [from_millis(edge).astimezone(view.zone) for edge in edges[:-1].tolist()]
    return np.array(
        [
            (not measure.hours or any(first <= one.hour < last for first, last in measure.hours))
            and (not measure.weekdays or one.isoweekday() in measure.weekdays)
            for one in local
        ],
        np.bool_,
    )


def _arrival(measure: verbs.LeadTime, warning: Document, view: View) -> tuple[int | None, int]:
    """When what was warned of came (milliseconds), and how many readings were looked at for it."""
    issued, ends = moment(warning, measure.issued), moment(warning, measure.ends)
    about = value_of(warning, measure.about)
    if issued is None or ends is None or not isinstance(about, str) or not view.since <= issued < view.until:
        return None, 0
    end = min(ends, view.until)
    if end <= issued:
        return None, 0
    _, found = view.history.numbers(view.actor, about, measure.attribute, issued, end)
    low = found.at[found.number <= measure.at_most]
    return (int(low.min()) if low.size else None), len(found.at)


def _origin_of_count(things: Iterable[Document]) -> str:
    """Things are counted here, whoever entered or worked them out; in a played city they are played."""
    origins = {str(value_of(one, "dataOrigin", "")) for one in things}
    return next((one for one in ("simulated", "replayed") if one in origins), "measured")
