"""The periods of a query: whole steps from `since`, by the clock or by the city's calendar. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

import msgspec
import numpy as np

from cityloom.history.model import Integers
from cityloom.kernel.errors import BadInput
from cityloom.kernel.time import months_later, to_millis

#: More periods than this are not drawn and not computed in one query.
MOST_PERIODS = 100_000

#: Years have four digits; a period that would reach beyond ends here.
_LAST_MILLIS = to_millis(datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC))

_DURATION = re.compile(
    r"P(?:(\d{1,4})Y)?(?:(\d{1,4})M)?(?:(\d{1,4})W)?(?:(\d{1,6})D)?"
    r"(?:T(?:(\d{1,7})H)?(?:(\d{1,8})M)?(?:(\d{1,9}(?:\.\d{1,3})?)S)?)?"
)


class Step(msgspec.Struct, frozen=True):
    """A length of time: calendar months and days, and a fixed part."""

    months: int = 0
    days: int = 0
    fixed: timedelta = timedelta(0)

    @property
    def by_calendar(self) -> bool:
        """Whether its length depends on where in the calendar it begins."""
        return bool(self.months or self.days)


def parse_step(text: str, *, where: str = "step") -> Step:
    """An ISO 8601 duration ("PT1H", "P1D", "P1M"). "P0D" and the like give a Step of no length.

    Raises BadInput naming `where`.
    """
    match = _DURATION.fullmatch(text)
    if match is None or text.endswith(("P", "T")):
        raise BadInput(
            f"{text[:40]!r} is not a duration",
            hint="Write it as ISO 8601 has it: PT15M, PT1H, P1D, P1M.",
            where=where,
        )
    years, months, weeks, days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return Step(
        months=int(years) * 12 + int(months),
        days=int(weeks) * 7 + int(days),
        fixed=timedelta(hours=hours, minutes=minutes, seconds=seconds),
    )


def edges_of(
    since: datetime,
    until: datetime,
    step: Step | timedelta | None,
    zone: tzinfo | None = None,
    *,
    passed: int = 0,
) -> Integers:
    """Edges of the periods from `since`, the last one at or after `until`, in milliseconds since 1970.

    Days and months follow the calendar of `zone` (default: that of `since`): a day on which the clock changes
    has 23 or 25 hours. None or a step of no length gives one period. `passed` calendar steps are left out
    at the beginning. Raises BadInput for too many periods.
    """
    if until <= since:
        hint = "Let `until` be after `since`."
        raise BadInput("The end does not lie after the beginning", hint=hint, where="until")
    fixed = step if isinstance(step, timedelta) else step.fixed if step and not step.by_calendar else None
    if isinstance(step, Step) and step.by_calendar:
        return _calendar_edges(since.astimezone(zone) if zone else since, until, step, passed)
    if not fixed:
        return np.array([to_millis(since), to_millis(until)], np.int64)
    start, width = to_millis(since), fixed // timedelta(milliseconds=1)
    count = -((start - to_millis(until)) // width) if width > 0 else MOST_PERIODS + 1
    _check_count(count)
    return np.minimum(start + width * np.arange(count + 1, dtype=np.int64), _LAST_MILLIS)


def edges_from(
    since: datetime, until: datetime, step: Step | timedelta | None, *, first: datetime
) -> Integers:
    """As `edges_of`, without the periods that end before `first`: they hold nothing."""
    if isinstance(step, timedelta):
        step = Step(fixed=step)
    if step is None or first <= since:
        return edges_of(since, until, step)
    if step.by_calendar:
        whole = max(0, int((first - since) / _about(step)) - 2)
        while (after := _within_years(since, step, whole + 1)) is not None and after <= first:
            whole += 1
        return edges_of(since, until, step, passed=whole)
    if step.fixed:
        return edges_of(since + step.fixed * ((first - since) // step.fixed), until, step)
    return edges_of(since, until, step)


def _within_years(since: datetime, step: Step, times: int) -> datetime | None:
    """As `shifted`; None beyond the years that there are."""
    try:
        return shifted(since, step, times)
    except (ValueError, OverflowError):
        return None


def _about(step: Step) -> timedelta:
    """How long a step is on the average, a little long."""
    return timedelta(days=30.44 * step.months + step.days) + step.fixed


def _calendar_edges(since: datetime, until: datetime, step: Step, passed: int = 0) -> Integers:
    # Counting the steps would take as long as making them.
    _check_count(int((until - since) / _about(step) * 0.9) - passed)
    edges = [to_millis(shifted(since, step, passed))]
    end = to_millis(until)
    while edges[-1] < end:
        try:
            edges.append(to_millis(shifted(since, step, passed + len(edges))))
        except (ValueError, OverflowError):
            edges.append(_LAST_MILLIS)
        _check_count(len(edges) - 1)
    return np.array(edges, np.int64)


def shifted(since: datetime, step: Step, times: int) -> datetime:
    """An instant some steps later, or (negative) earlier, by the calendar of its own time zone."""
    # Wall-clock arithmetic: the offset is found again for the new date.
    return months_later(since, step.months * times) + timedelta(days=step.days * times) + step.fixed * times


def _check_count(count: int) -> None:
    if count > MOST_PERIODS:
        raise BadInput(
            f"The query has more than {MOST_PERIODS} periods",
            hint="Take a longer step or a shorter time.",
            where="step",
        )
