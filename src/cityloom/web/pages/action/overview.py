"""The action plan as a whole: what is missing where, how balanced it is, which world goals it serves."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from starlette.responses import Response

from cityloom.planning.action.approval import elements_missing, missing
from cityloom.planning.action.model import INITIATION_MODELS, ORIGINS, TARGET_GROUPS
from cityloom.planning.model import Initiative, Phase
from cityloom.planning.sdg import GOALS, goal_of
from cityloom.web.addresses import address
from cityloom.web.pages.action.steps import EDIT, gap_path
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit

#: Initiatives with gaps on one page.
PAGE = 25


_ByGoal = Mapping[int, Mapping[str, Sequence[Initiative]]]


class _Counts(msgspec.Struct, frozen=True):
    """What the page tells of all initiatives."""

    #: Those for whose approval something is missing.
    waiting: Sequence[Initiative]
    phases: Mapping[str, int]
    groups: Mapping[str, int]
    models: Mapping[str, int]
    origins: Mapping[str, int]
    by_goal: _ByGoal


def add(pages: Pages) -> None:
    pages.get("/plan/action", show, pdf=True)


async def show(visit: Visit) -> Response:
    """The action plan at a glance."""
    found = visit.rooms.initiatives.list(visit.actor)
    counted = await asyncio.to_thread(_counted_up, found)
    waiting = counted.waiting
    offset = visit.whole("offset", 0)
    data = {
        "initiatives": len(found),
        "phases": counted.phases,
        "gaps": [_gaps(visit, one) for one in waiting[offset : offset + PAGE]],
        "gapsTotal": len(waiting),
        "targetGroups": counted.groups,
        "initiationModels": counted.models,
        "origins": counted.origins,
        "sustainableDevelopment": _goals(visit, counted.by_goal),
    }
    return visit.render(
        "plan-action.html",
        data,
        groups=TARGET_GROUPS,
        models=INITIATION_MODELS,
        origin_words=ORIGINS,
        sdg_words=GOALS,
        offset=offset,
        limit=PAGE,
        may_edit=visit.actor.may(EDIT),
        gap_path=gap_path,
    )


def _counted_up(found: Sequence[Initiative]) -> _Counts:
    """Goes through all of them; in a thread, since there may be thousands."""
    return _Counts(
        waiting=[one for one in found if one.phase in (Phase.IDEA, Phase.PLANNED) and _lacks(one)],
        phases=dict(Counter(one.phase for one in found)),
        groups=_groups(found),
        models=_counted(INITIATION_MODELS, (one.plan.action.initiation for one in found)),
        origins=_counted(ORIGINS, (one.plan.action.origin for one in found)),
        by_goal=_by_goal(found),
    )


def _gaps(visit: Visit, one: Initiative) -> dict[str, Any]:
    return {
        "id": one.id,
        "href": address("initiatives", one.id),
        "name": visit.wording.said(one.plan.name),
        "missing": missing(one.plan),
        "elements": elements_missing(one.plan),
    }


def _lacks(one: Initiative) -> bool:
    return bool(missing(one.plan) or elements_missing(one.plan))


def _groups(found: Sequence[Initiative]) -> dict[str, int]:
    """How many initiatives have a complete target in each of the six groups."""
    complete = Counter(
        group.group for one in found for group in one.plan.action.target_groups if group.is_complete
    )
    return {name: complete[name] for name in TARGET_GROUPS}


def _counted(known: Mapping[str, str], said: Iterable[str]) -> dict[str, int]:
    counts = Counter(said)
    return {name: counts[name] for name in (*known, "")}


def _by_goal(found: Sequence[Initiative]) -> _ByGoal:
    by_goal: dict[int, dict[str, list[Initiative]]] = {}
    for one in found:
        for target in one.plan.action.sdg_targets:
            if target.partition(".")[0].isdecimal():
                by_goal.setdefault(goal_of(target), {}).setdefault(target, []).append(one)
    return by_goal


def _goals(visit: Visit, by_goal: _ByGoal) -> list[dict[str, Any]]:
    """By goal of sustainable development: its targets that are served, and by how many; the first by name."""
    return [
        {
            "goal": goal,
            "targets": [
                {
                    "target": target,
                    "count": len(several),
                    "initiatives": [_named(visit, one) for one in several[:5]],
                }
                for target, several in sorted(by_goal[goal].items())
            ],
        }
        for goal in sorted(by_goal)
        if goal in GOALS
    ]


def _named(visit: Visit, one: Initiative) -> dict[str, str]:
    return {"href": address("initiatives", one.id), "name": visit.wording.said(one.plan.name)}
