"""All initiatives laid out in time: the schedule, and the order in which they are shown. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from zoneinfo import ZoneInfo

import msgspec

from cityloom.context.publishing import public_id
from cityloom.planning.action.activities import activities_of
from cityloom.planning.action.schedule import Schedule, schedule
from cityloom.planning.model import Initiative


class LaidOut(msgspec.Struct, frozen=True):
    """Where everything lies. Ids are those that links hold."""

    schedule: Schedule
    #: Those that have a place in time: what hangs together stands together, what begins first comes first.
    ordered: Sequence[Initiative]
    by_id: Mapping[str, Initiative]
    #: Those that do not say when they begin and end.
    undated: Sequence[Initiative]


def lay_out(
    initiatives: Sequence[Initiative], zone: ZoneInfo, today: date, delays: Mapping[str, int]
) -> LaidOut:
    """Lay them out as of a day. `delays`: days by which some would begin later than they could, by id."""
    found = schedule(activities_of(initiatives, zone), today, delays)
    by_id = {public_id(one.id): one for one in initiatives}
    begins: dict[int, date] = {}
    for placed in found.placed.values():
        begins[placed.chain] = min(begins.get(placed.chain, date.max), placed.earliest_start)
    order = sorted(
        found.placed.values(), key=lambda one: (begins[one.chain], one.chain, one.earliest_start, one.id)
    )
    return LaidOut(
        schedule=found,
        ordered=tuple(by_id[one.id] for one in order),
        by_id=by_id,
        undated=tuple(one for one in initiatives if one.plan.starts_at is None or one.plan.ends_at is None),
    )
