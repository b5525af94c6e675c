"""Initiatives as activities in time: by days of the city's zone. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from zoneinfo import ZoneInfo

from cityloom.context.publishing import public_id
from cityloom.planning.action.schedule import Activity
from cityloom.planning.model import Initiative, Phase


def activities_of(initiatives: Iterable[Initiative], zone: ZoneInfo) -> list[Activity]:
    """Those that say when they begin and end, by the id that links hold; the others have no place in time."""
    found = []
    for one in initiatives:
        plan = one.plan
        if plan.starts_at is None or plan.ends_at is None:
            continue
        found.append(
            Activity(
                id=public_id(one.id),
                start=plan.starts_at.astimezone(zone).date(),
                end=plan.ends_at.astimezone(zone).date(),
                after=tuple(public_id(other) for other in plan.action.depends_on),
                has_begun=one.phase in (Phase.RUNNING, Phase.DONE),
                has_ended=one.phase == Phase.DONE,
            )
        )
    return found
