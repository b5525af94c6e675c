"""The days on which an initiative is reported on. Pure."""

from __future__ import annotations

from datetime import date, timedelta

#: Months between two reports, by the rhythm.
_MONTHS = {"monthly": 1, "quarterly": 3, "halfYearly": 6, "yearly": 12}


def reporting_days(rhythm: str, starts: date, ends: date) -> list[date]:
    """The days on which is reported from after the beginning to the end, the end being one of them."""
    months = _MONTHS.get(rhythm)
    if months is None or ends <= starts:
        return []
    days = []
    for place in range(1, 12 * (ends.year - starts.year + 1) // months + 1):
        day = _months_later(starts, months * place)
        if day >= ends:
            break
        days.append(day)
    return [*days, ends]


def _months_later(day: date, months: int) -> date:
    """The same day of a later month, or its last where it has none of that number."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    following = date(year + (month == 11), (month + 1) % 12 + 1, 1)
    return date(year, month + 1, min(day.day, (following - timedelta(days=1)).day))
