"""The newest reading of each of many series, looked for where it mostly is: in the last day."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np

from cityloom.history.model import Integers, Readings, Window, no_readings

_DAY = 86_400_000
#: How much further back than the time before is looked at next.
_FURTHER = 8
#: Beyond this everything is looked at.
_FURTHEST = 4_096 * _DAY


def newest_rows(
    window: Window, end: int | None, raw: Callable[[Window], Readings], ahead: Integers | None = None
) -> Readings:
    """What `raw` gives for a window with `last_n` 1, ordered by series; `end` is the last instant kept.

    Each series is asked for until it is found. Who has been silent for years is found last, by all that there
    is to be read; those who speak cost as much as a day. Series `ahead` are looked for beside them, no longer
    than they are, and may be missing from what is given.
    """
    if end is None:
        return no_readings()
    until = window.until
    missing, found = window.series, [no_readings()]
    latest = end + 1 if until is None else min(until, end + 1)
    beside = np.empty(0, np.int64) if ahead is None else ahead
    back = _DAY
    while len(missing):
        since = latest - back
        is_last = back > _FURTHEST or (window.since is not None and since <= window.since)
        begins = window.since if is_last else since
        asked = np.concatenate([missing, beside])
        part = raw(msgspec.structs.replace(window, series=asked, since=begins, until=until))
        found.append(part)
        missing = np.setdiff1d(missing, part.series, assume_unique=True)
        beside = np.setdiff1d(beside, part.series, assume_unique=True)
        if is_last:
            break
        until, back = since, back * _FURTHER
    whole = Readings(*(np.concatenate(column) for column in zip(*found, strict=True)))
    return whole.taken(np.argsort(whole.series, kind="stable"))
