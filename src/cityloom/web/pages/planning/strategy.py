"""Pages of the second phase: the tree of goals, adopted versions and what differs between them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.responses import Response

from cityloom.kernel.actor import InformationClass
from cityloom.kernel.errors import BadInput, Conflict, NotFound
from cityloom.kernel.media_types import JSON
from cityloom.planning.masterplan.dimensions import (
    ASPECTS,
    DIMENSIONS,
    coverage,
    dimension_of,
    shares,
)
from cityloom.planning.masterplan.frozen import Frozen
from cityloom.planning.masterplan.monitoring import GoalState
from cityloom.planning.masterplan.serving import goals_of
from cityloom.planning.masterplan.versions import Difference, compare
from cityloom.planning.records.model import Record
from cityloom.web.addresses import address
from cityloom.web.drawing.radar import Spoke, draw_radar
from cityloom.web.forms import Form, WrongForm
from cityloom.web.pages.planning.basis import frozen_row
from cityloom.web.pages.planning.links import record_href
from cityloom.web.pages.planning.plan import ADOPT, EDIT
from cityloom.web.pages.planning.space import Space
from cityloom.web.pages.routing import Pages
from cityloom.web.taken_along import file_to_keep
from cityloom.web.visit import Visit

#: Records on one page of those that are not published; goals on that of the tree.
PAGE, MOST_GOALS = 100, 200


def add(pages: Pages) -> None:
    pages.get("/plan/goal-tree", show_tree)
    pages.get("/plan/unpublished", show_unpublished)
    pages.post("/plan/unpublished", publish_all)
    pages.get("/plan/versions", browse_versions)
    pages.post("/plan/versions", adopt)
    pages.get("/plan/versions/compare", show_comparison)
    pages.data("/plan/versions/{id}/file", version_file)
    pages.get("/plan/versions/{id}", show_version)


# Goals


async def show_tree(visit: Visit) -> Response:
    """The goals as a tree with what they are tied to, and which dimensions are covered."""
    course = await visit.rooms.plan.course(visit.actor)
    aspects = shares(one.get("aspects", ()) for one in visit.rooms.records.list(visit.actor, "Goal"))
    within = visit.query("within")
    every = _below(course.goals, within) if within else course.goals
    offset = 0 if visit.as_json else visit.whole("offset", 0)
    space = Space(None if visit.as_json else MOST_GOALS)
    data = {
        "goals": [_goal(visit, one, space) for one in every[offset:] if space.is_left()],
        "total": len(every),
        "dimensions": _coverage(visit),
        "aspects": [
            {"aspect": key, "title": visit.language.say(ASPECTS[key]), "share": share}
            for key, share in aspects.items()
        ],
    }
    return visit.render(
        "plan-goals.html",
        data,
        may_edit=visit.actor.may(EDIT),
        radar=_profile(visit, aspects),
        within=within,
        offset=offset,
    )


def _profile(visit: Visit, aspects: Mapping[str, float]) -> Markup | None:
    """The city's profile: how much each aspect is named, the most named of them at 100; None for no goal."""
    most = max(aspects.values())
    if not most:
        return None
    spokes = [Spoke(str(number), 100 * share / most) for number, share in enumerate(aspects.values(), 1)]
    return draw_radar(spokes, visit.gettext("Profile of the city by the aspects that its goals name"))


def _below(states: Sequence[GoalState], goal_id: str) -> Sequence[GoalState]:
    """The part of the tree under a goal, it too; nothing where there is no such goal."""
    waiting = list(states)
    while waiting:
        state = waiting.pop()
        if state.goal.id == goal_id:
            return [state]
        waiting += state.parts
    return []


def _goal(visit: Visit, state: GoalState, space: Space) -> dict[str, Any]:
    space.take()
    goal, say = state.goal, visit.language.say
    titles = goal.kind.field("sdgTargets").choices  # type: ignore[attr-defined]  # the field is a Choices
    return {
        "id": goal.id,
        "href": record_href(goal),
        "name": visit.wording.said(goal.name),
        "state": goal.state.value,
        "priority": goal.get("priority"),
        "dimensions": [say(DIMENSIONS[one]) for one in goal.get("dimensions", ()) if one in DIMENSIONS],
        "sdgTargets": [
            {"code": one, "title": say(titles.get(one, one))} for one in goal.get("sdgTargets", ())
        ],
        "urbanPlan": [_link(visit, one) for one in goal.get("urbanPlan", ())],
        "initiatives": len(state.tasks),
        "indicators": len(goal.get("indicators", ())),
        "partCount": len(state.parts),
        "parts": [_goal(visit, one, space) for one in state.parts if space.is_left()],
    }


def _link(visit: Visit, record_id: str) -> dict[str, str]:
    found = visit.rooms.records.find(visit.actor, record_id)
    if found is None:
        return {"id": record_id, "href": "", "name": record_id}
    return {"id": found.id, "href": record_href(found), "name": visit.wording.said(found.name)}


def _coverage(visit: Visit) -> list[dict[str, Any]]:
    goals = visit.rooms.records.list(visit.actor, "Goal")
    of_goal = {one.id: one.get("dimensions", ()) for one in goals}
    initiatives = [
        {found for goal in goals_of(one) for found in of_goal.get(goal, ())}
        for one in visit.rooms.initiatives.list(visit.actor)
    ]
    measured = [
        dimension_of(one.framework, one.groups[-1].path if one.groups else ())
        for report in visit.rooms.indicators.reports(visit.actor)
        for one in report.indicators
        if one.is_reported and one.answered_by is None
    ]
    return [
        {
            "dimension": one.key,
            "title": visit.language.say(one.title),
            "goals": one.goals,
            "initiatives": one.initiatives,
            "indicators": one.indicators,
            "covered": one.is_covered,
        }
        for one in coverage(of_goal.values(), initiatives, measured)
    ]


# What is not published


async def show_unpublished(visit: Visit) -> Response:
    """What nobody outside sees yet."""
    visit.require(EDIT, ADOPT)
    return _unpublished(visit, Form(visit.language))


def _unpublished(visit: Visit, form: Form, *, status: int = 200) -> Response:
    found = visit.rooms.plan.versions.unpublished(visit.actor)
    offset = visit.whole("offset", 0)
    data = {
        "total": len(found),
        "records": [
            {
                "id": one.id,
                "href": record_href(one),
                "kind": visit.language.say(one.kind.singular),
                "name": visit.wording.said(one.name),
                "isNew": one.published_at is None,
                "mayPublish": visit.actor.may(one.kind.permission),
            }
            for one in found[offset : offset + PAGE]
        ],
    }
    return visit.render("plan-unpublished.html", data, status=status, form=form, offset=offset, limit=PAGE)


async def publish_all(visit: Visit) -> Response:
    """Publish what is ticked."""
    form = await visit.form(most_fields=2000)
    visit.require(EDIT, ADOPT)
    ticked = set(form.values("record"))
    wanted = [one for one in visit.rooms.plan.versions.unpublished(visit.actor) if one.id in ticked]
    if not wanted:
        form.wrong("record", visit.gettext("Tick what is to be published."))
        return _unpublished(visit, form, status=400)
    for one in wanted:
        await visit.rooms.records.publish(visit.actor, one.id)
    told = visit.ngettext("%(num)s record is published.", "%(num)s records are published.", len(wanted))
    return visit.redirect("/plan/unpublished", told)


# Versions


async def browse_versions(visit: Visit) -> Response:
    """The versions that were adopted, the newest first."""
    return _versions(visit, Form(visit.language))


def _versions(visit: Visit, form: Form, *, status: int = 200) -> Response:
    versions = visit.rooms.plan.versions
    data = {"versions": [frozen_row(visit, one, "versions") for one in versions.list(visit.actor)]}
    may_adopt = visit.actor.may(ADOPT)
    return visit.render(
        "plan-versions.html",
        data,
        status=status,
        form=form,
        may_adopt=may_adopt,
        decisions=[(one.id, visit.wording.said(one.name)) for one in _adoptions(visit)] if may_adopt else [],
        unpublished=len(versions.unpublished(visit.actor)) if may_adopt else 0,
    )


def _adoptions(visit: Visit) -> list[Record]:
    found = visit.rooms.records.list(visit.actor, "CommitteeDecision")
    return [one for one in found if one.get("kind") == "adoption" and one.published_at is not None]


async def adopt(visit: Visit) -> Response:
    """Freeze what is published as the version that a decision adopts."""
    form = await visit.form()
    visit.require(ADOPT)
    decision = form.text("decision", required=visit.gettext("Choose the decision."), longest=500)
    try:
        form.raise_if_wrong()
        made = await visit.rooms.plan.versions.adopt(visit.actor, decision)
    except WrongForm:
        return _versions(visit, form, status=400)
    except (BadInput, Conflict) as error:
        form.take(error, "decision")
        return _versions(visit, form, status=400)
    return visit.redirect(
        address("plan", "versions", made.id),
        visit.gettext("The version is frozen and public. Everybody can verify it."),
    )


def _version(visit: Visit, version_id: str) -> Frozen:
    return visit.rooms.plan.versions.get(visit.actor, version_id.removesuffix(".json"))


async def show_version(visit: Visit) -> Response:
    """A version: by which decision, with which digest, what is in it."""
    version = _version(visit, visit.part("id"))
    told = await visit.rooms.plan.versions.told(version)
    others = [one for one in visit.rooms.plan.versions.list(visit.actor) if one.id != version.id]
    data = {
        **frozen_row(visit, version, "versions"),
        "intact": told is not None,
        "adoptedOn": told.adopted_on if told else "",
        "decision": told.decision if told else {},
        "previous": told.previous if told else "",
        "counts": told.counts if told else {},
        "file": address("plan", "versions", version.id) + "/file",
    }
    return visit.render(
        "plan-version.html",
        data,
        version=version,
        by=visit.person(version.by) if visit.actor.sees(InformationClass.INTERNAL) else "",
        others=[(one.id, f"{one.number} · {visit.wording.said(one.name)}") for one in others],
        titles={kind.type: visit.language.say(kind.plural) for kind in visit.rooms.records.kinds.values()},
    )


async def version_file(visit: Visit) -> Response:
    """The version as a file that anybody can verify."""
    version = _version(visit, visit.part("id"))
    said = await visit.rooms.plan.versions.file(version)
    if said is None:
        raise Conflict(
            visit.gettext("What was frozen is gone, or is not what it was"),
            hint=visit.gettext("Bring it back from a backup."),
        )
    return file_to_keep(visit, f"plan-version-{version.number}", "json", said, JSON)


async def show_comparison(visit: Visit) -> Response:
    """What was added, changed and taken out between two versions, or since the newest."""
    before = _version(visit, visit.query("before"))
    after = visit.query("after")
    first = await visit.rooms.plan.versions.frozen(before)
    if after:
        second = await visit.rooms.plan.versions.frozen(_version(visit, after))
    else:
        second = {"records": await visit.rooms.plan.versions.open_records()}
    if first is None or second is None:
        raise NotFound(
            visit.gettext("What was frozen is gone, or is not what it was"),
            hint=visit.gettext("Bring it back from a backup."),
        )
    found = await asyncio.to_thread(compare, first, second)
    offset = visit.whole("offset", 0)
    data = {
        "before": frozen_row(visit, before, "versions"),
        "after": frozen_row(visit, _version(visit, after), "versions") if after else None,
        "total": len(found),
        "counts": dict(Counter(one.did for one in found)),
        "differences": [_difference(visit, one) for one in found[offset : offset + PAGE]],
    }
    query = urlencode({"before": before.id, "after": after})
    return visit.render("plan-compare.html", data, offset=offset, limit=PAGE, query=f"{query}&")


def _difference(visit: Visit, one: Difference) -> dict[str, Any]:
    kind = visit.rooms.records.kinds.get(one.type)
    labels = {field.name: visit.language.say(field.label) for field in kind.fields} if kind else {}
    return {
        "id": one.id,
        "type": one.type,
        "kind": visit.language.say(kind.singular) if kind else visit.wording.type_name(one.type),
        "name": visit.wording.said(one.name),
        "did": one.did,
        "fields": [
            {
                "field": field.name,
                "label": labels.get(field.name) or visit.wording.attribute(field.name),
                "before": _plain(visit, field.before),
                "after": _plain(visit, field.after),
            }
            for field in one.fields
        ],
    }


def _plain(visit: Visit, value: Any) -> str:
    """What stood there, in words."""
    if value is None:
        return ""
    if isinstance(value, dict) and value.keys() <= {"en", "da"}:
        return visit.wording.said(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_plain(visit, one) for one in value)
    return visit.wording.plain(value)
