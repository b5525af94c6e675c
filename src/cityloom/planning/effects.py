"""What an initiative, or another change on a day, did to an indicator: an interval, or why it cannot be told.

The indicator's values become an evenly spaced series whose slots meet at the beginning; what is worked out of
it stands in `analytics.interrupted_series`. Values whose periods overlap are thinned, and those whose period
holds the beginning are left out: they are of before and after at once.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec
import numpy as np
from numpy.typing import NDArray

from cityloom.analytics.interrupted_series import (
    FEWEST_AFTER,
    LONGEST,
    Effect,
    Reason,
    effect,
    together,
)
from cityloom.context.broker import Broker
from cityloom.history.model import Reading
from cityloom.kernel.actor import Actor
from cityloom.kernel.errors import BadInput, NotFound
from cityloom.kernel.time import months_later, parse_instant
from cityloom.kernel.worded import Worded
from cityloom.ngsild.model import value_of
from cityloom.planning.course import Point, comparable
from cityloom.planning.model import Initiative

Readings = Callable[[Actor, str], Sequence[Reading]]

#: Series that may be looked at beside the indicator's own, and those of them that are tried as placebos: each
#: takes a tenth of a second.
MOST_CONTROLS, MOST_PLACEBOS = 40, 12
#: Controls without which no placebo is tried: each needs some beside it.
_FEWEST_FOR_PLACEBOS = 3
#: Effects that are remembered: each takes a tenth of a second.
_REMEMBERED = 200
_DAY = timedelta(days=1)
_MONTH, _YEAR = 30.436875, 365.2425
#: What the spacing of values is taken for: in days, in calendar months; after how many a season comes again.
_STEPS: tuple[tuple[float, int, int], ...] = (
    (1 / 24, 0, 24),
    (1.0, 0, 7),
    (7.0, 0, 52),
    (_MONTH, 1, 12),
    (_MONTH * 3, 3, 4),
    (_YEAR, 12, 0),
)
#: A change of the clocks is so little of a day at most.
_CLOCKS = 0.05
#: How far a spacing may lie from one of those, in parts of it.
_ABOUT = 0.15
#: Of values whose periods overlap, one stands for a slot when its period covers so much of it.
_COVERS = 0.9


class Doubt(StrEnum):
    """Why nothing is told, beside the reasons of the series itself."""

    NOTHING_KNOWN = "nothingKnown"
    NOT_STARTED = "notStarted"
    OTHERS_BEGAN = "othersBegan"


class Placebo(msgspec.Struct, frozen=True):
    """What the same reckoning finds where nothing began: an effect there is none of the thing's."""

    of: str
    #: Empty where an effect is told.
    reason: str
    effect: Effect | None


class Told(msgspec.Struct, frozen=True):
    """An effect, or why it cannot be told yet; with the series that was looked at."""

    indicator: str
    unit_code: str
    begins: datetime | None
    #: Empty where an effect is told.
    reason: str
    effect: Effect | None
    #: Ends of the slots and the mean value in each, None for none.
    times: tuple[datetime, ...]
    values: tuple[float | None, ...]
    #: Days from one slot to the next.
    step_days: float
    controls: tuple[str, ...]
    #: Initiatives for the same indicator that began too near to be told apart.
    others: tuple[str, ...]
    #: Values that were left out: no number, of another unit, or of before and after at once.
    left_out: int
    #: The same worked out for each control, which nothing reached, beside the others.
    placebos: tuple[Placebo, ...] = ()


class Effects:
    """Works effects out, and remembers them while the values stay. `readings` tells an indicator's values."""

    def __init__(self, broker: Broker, readings: Readings) -> None:
        self._broker = broker
        self._readings = readings
        self._remembered: dict[tuple[object, ...], Told] = {}

    async def of(
        self,
        actor: Actor,
        indicator: str,
        begins: datetime | None,
        others: Iterable[Initiative] = (),
        controls: Sequence[str] = (),
    ) -> Told:
        """What changed in an indicator since `begins`.

        `others` are the other initiatives for it; `controls` are indicators that it should not have moved.
        Raises BadInput for too many controls.
        """
        if len(controls) > MOST_CONTROLS:
            raise BadInput(
                Worded("These are too many series"),
                hint=Worded("Choose up to %(most_controls)s.", most_controls=MOST_CONTROLS),
                where="control",
            )
        windows = {one: self._window(actor, one) for one in (indicator, *controls)}
        near = [(one.id, one.plan.starts_at) for one in others if one.plan.starts_at is not None]

        def work() -> Told:
            return self._work(actor, indicator, begins, near, controls, windows)

        return await asyncio.to_thread(work)

    def _work(
        self,
        actor: Actor,
        indicator: str,
        begins: datetime | None,
        others: Sequence[tuple[str, datetime]],
        controls: Sequence[str],
        windows: dict[str, timedelta],
    ) -> Told:
        readings = {one: self._of_indicator(actor, one) for one in (indicator, *controls)}
        key = (begins, tuple(others), *((one, len(found), _newest(found)) for one, found in readings.items()))
        if key not in self._remembered:
            while len(self._remembered) >= _REMEMBERED:
                self._remembered.pop(next(iter(self._remembered)))
            self._remembered[key] = told(indicator, begins, readings, windows, others)
        return self._remembered[key]

    def _of_indicator(self, actor: Actor, indicator: str) -> Sequence[Reading]:
        try:
            return self._readings(actor, indicator)
        except NotFound:
            return ()

    def _window(self, actor: Actor, indicator: str) -> timedelta:
        """How long the period is of which one value tells; 0 where that is not said."""
        document = self._broker.find(actor, indicator)
        said = None if document is None else value_of(document, "calculationPeriod")
        if not isinstance(said, dict):
            return timedelta(0)
        try:
            return parse_instant(said.get("to"), where="to") - parse_instant(said.get("from"), where="from")
        except BadInput:
            return timedelta(0)


def _newest(readings: Sequence[Reading]) -> object:
    return max(((one.at, str(one.value)) for one in readings), default=None)


def told(
    indicator: str,
    begins: datetime | None,
    readings: dict[str, Sequence[Reading]],
    windows: dict[str, timedelta],
    others: Sequence[tuple[str, datetime]] = (),
) -> Told:
    """The effect of what began at `begins`, by the values of the indicator and of controls. Pure."""
    points, unit_code, left_out = comparable(readings[indicator])
    controls = tuple(one for one in readings if one != indicator)
    nothing = Told(indicator, unit_code, begins, "", None, (), (), 0.0, controls, (), left_out)
    if len(points) < 2:
        return msgspec.structs.replace(nothing, reason=Doubt.NOTHING_KNOWN.value)
    if begins is None or begins > points[-1].at:
        return msgspec.structs.replace(nothing, reason=Doubt.NOT_STARTED.value)
    slots = _slots(points, begins, windows[indicator])
    until, near = _undisturbed(slots, others)
    series, dropped = slots.series(points, windows[indicator], until)
    beside = [slots.series(comparable(readings[one])[0], windows[one], until)[0] for one in controls]
    found = msgspec.structs.replace(
        nothing,
        times=slots.times(),
        values=tuple(None if np.isnan(one) else float(one) for one in series),
        step_days=slots.days,
        others=near,
        left_out=left_out + dropped,
    )
    if near:
        return msgspec.structs.replace(found, reason=Doubt.OTHERS_BEGAN.value)
    control = together(beside, slots.before) if beside else None
    answer = effect(series, slots.before, season=slots.season, control=control)
    if isinstance(answer, Reason):
        return msgspec.structs.replace(found, reason=answer.value)
    return msgspec.structs.replace(found, effect=answer, placebos=_placebos(controls, beside, slots))


def _placebos(
    names: Sequence[str], series: Sequence[NDArray[np.float64]], slots: _Slots
) -> tuple[Placebo, ...]:
    """Each control as if it had begun there, beside the other controls."""
    if len(series) < _FEWEST_FOR_PLACEBOS:
        return ()
    found = []
    for place, name in enumerate(names[:MOST_PLACEBOS]):
        others = [one for at, one in enumerate(series) if at != place]
        control = together(others, slots.before)
        answer = effect(series[place], slots.before, season=slots.season, control=control)
        if isinstance(answer, Effect):
            found.append(Placebo(name, "", answer))
        else:
            found.append(Placebo(name, answer.value, None))
    return tuple(found)


class _Slots(msgspec.Struct, frozen=True):
    """Evenly spaced slots that meet at `begins`; those of the time before come first."""

    begins: datetime
    days: float
    #: Calendar months in a slot; 0 where slots are of so many days.
    months: int
    season: int
    #: Whether values come oftener than their periods end: then one stands for a slot.
    overlapping: bool
    #: Slots before the beginning, and in all.
    before: int = 0
    count: int = 0

    def place(self, at: datetime) -> int:
        """The slot in which an instant lies: its end is its own, and a shift of the clocks moves nothing."""
        return math.ceil(self._distance(at) - _CLOCKS) - 1 + self.before

    def _distance(self, at: datetime) -> float:
        """Slots from the beginning to an instant."""
        if not self.months:
            return (at - self.begins) / _DAY / self.days
        # Midnights anywhere on earth are of their own day in these hours.
        day, first = at + _DAY / 2, self.begins + _DAY / 2
        whole = (day.year - first.year) * 12 + day.month - first.month
        return (whole + (day.day - first.day) / 31) / self.months

    def end(self, place: int) -> datetime:
        """The end of a slot."""
        ahead = place + 1 - self.before
        if not self.months:
            return self.begins + timedelta(days=self.days) * ahead
        return months_later(self.begins, self.months * ahead)

    def times(self) -> tuple[datetime, ...]:
        """The ends of the slots."""
        return tuple(self.end(place) for place in range(self.count))

    def series(
        self, points: Sequence[Point], window: timedelta, until: datetime | None
    ) -> tuple[NDArray[np.float64], int]:
        """The mean value in each slot, NaN for none; how many values were left out."""
        sums, counts = np.zeros(self.count), np.zeros(self.count)
        dropped = 0
        for one in points:
            place = self.place(one.at)
            if not 0 <= place < self.count or (until is not None and one.at > until):
                continue
            if self._is_of_both(one.at, window):
                dropped += 1
            elif not self.overlapping or self._stands_for(one.at, place):
                sums[place] += one.value
                counts[place] += 1
        with np.errstate(invalid="ignore"):
            return np.where(counts > 0, sums / counts, np.nan), dropped

    def _is_of_both(self, at: datetime, window: timedelta) -> bool:
        """Whether more than a little of the value's period lies on either side of the beginning."""
        little = (1 - _COVERS) * window
        return at - self.begins > little and self.begins - (at - window) > little

    def _stands_for(self, at: datetime, place: int) -> bool:
        """Whether the period that ends then is this slot, but for a little."""
        return (self.end(place) - at) / _DAY < (1 - _COVERS) * self.days


def _slots(points: Sequence[Point], begins: datetime, window: timedelta) -> _Slots:
    gaps = np.diff([one.at.timestamp() for one in points]) / _DAY.total_seconds()
    known = gaps[gaps > 0]
    usual = float(np.median(known)) if len(known) else 1.0
    spacing = max(usual, window / _DAY)
    days, months, season = next(
        (step for step in _STEPS if abs(spacing - step[0]) <= _ABOUT * step[0]), (spacing, 0, 0)
    )
    length = (points[-1].at - points[0].at) / _DAY
    while length / days > LONGEST:
        # A week is the next round step after days; what recurs within a slot is no season of slots.
        days, months, season = (7.0, 0, 52) if days == 1.0 else (days * 4, 0, 0)
    slots = _Slots(begins, days, months, season, window / _DAY > (1 + _ABOUT) * usual)
    first, last = slots.place(points[0].at), slots.place(points[-1].at)
    before = max(0, -first)
    return msgspec.structs.replace(slots, before=before, count=last + before + 1)


def _undisturbed(
    slots: _Slots, others: Sequence[tuple[str, datetime]]
) -> tuple[datetime | None, tuple[str, ...]]:
    """Until when the values are of this beginning alone, and the initiatives that began too near to it."""
    room = timedelta(days=slots.days * FEWEST_AFTER)
    near = tuple(one for one, at in others if abs(at - slots.begins) < room)
    later = [at for _, at in others if at - slots.begins >= room]
    return min(later, default=None), near
