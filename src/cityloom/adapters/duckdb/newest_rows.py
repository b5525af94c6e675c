"""The newest reading of each of many series, looked for where it mostly is: in the last day."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np

from cityloom.history.model import Readings, Window, no_readings

_DAY = 86_400_000
#: How much further back than the time before is looked at next.
_FURTHER = 8
#: Beyond this everything is looked at.
_FURTHEST = 4_096 * _DAY


def newest_rows(window: Window, end: int | None, raw: Callable[[Window], Readings]) -> Readings:
    """What `raw` gives for a window with `last_n` 1, ordered by series; `end` is the last instant kept.

    Each series is asked for until it is found. Who has been silent for years is found last, by all that there
    is to be read; those who speak cost as much as a day.
    """
    if end is None:
        return no_readings()
    until = window.until
    missing, found = window.series, [no_readings()]
    latest = end + 1 if until is None else min(until, end + 1)
    back = _DAY
    while len(missing):
        since = latest - back
        is_last = back > _FURTHEST or (window.since is not None and since <= window.since)
        begins = window.since if is_last else since
        part = raw(msgspec.structs.replace(window, series=missing, since=begins, until=until))
        found.append(part)
        missing = np.setdiff1d(missing, part.series)
        if is_last:
            break
        until, back = since, back * _FURTHER
    whole = Readings(*(np.concatenate(column) for column in zip(*found, strict=True)))
    return whole.taken(np.argsort(whole.series, kind="stable"))
