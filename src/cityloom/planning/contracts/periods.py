"""The periods in which a contract is settled: whole months, quarters or years from its first day."""

from __future__ import annotations

from datetime import date, datetime, time, tzinfo

import msgspec

from cityloom.planning.contracts.terms import Every, Terms

_MONTHS = {Every.MONTH: 1, Every.QUARTER: 3, Every.YEAR: 12}


class Period(msgspec.Struct, frozen=True):
    """Days from `first` until before `end`."""

    first: date
    end: date

    @property
    def key(self) -> str:
        """Its name in addresses and ids: the first day."""
        return self.first.isoformat()

    def begins(self, zone: tzinfo) -> datetime:
        return datetime.combine(self.first, time(), zone)

    def finishes(self, zone: tzinfo) -> datetime:
        return datetime.combine(self.end, time(), zone)


def periods_of(terms: Terms) -> tuple[Period, ...]:
    """All periods in order; the last one ends with the contract."""
    if terms.every is Every.ONCE:
        return (Period(terms.starts, terms.ends),)
    found: list[Period] = []
    first = terms.starts
    while first < terms.ends:
        following = _later(terms.starts, _MONTHS[terms.every] * (len(found) + 1))
        found.append(Period(first, min(following, terms.ends)))
        first = following
    return tuple(found)


def _later(day: date, months: int) -> date:
    """The same day some months later, or that month's last day."""
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    for last in range(day.day, 27, -1):
        try:
            return date(year, month + 1, last)
        except ValueError:
            continue
    return date(year, month + 1, min(day.day, 28))
