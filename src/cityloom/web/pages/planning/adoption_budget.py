"""Adoption of technologies: what a scenario needs becomes cost lines of its initiative."""

from __future__ import annotations

import asyncio

from markupsafe import Markup
from starlette.responses import Response

from cityloom.kernel.errors import BadInput, Conflict, NotFound
from cityloom.planning.finance.budget_feed import fed, needs_of
from cityloom.planning.finance.kinds.analyses import ADOPTION
from cityloom.planning.finance.reckoning import reckon
from cityloom.planning.model import Initiative
from cityloom.planning.records.model import Record
from cityloom.web.addresses import address
from cityloom.web.pages.planning import reckoned
from cityloom.web.pages.planning.links import record_href
from cityloom.web.pages.planning.plan import EDIT
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit


def add(pages: Pages) -> None:
    pages.post("/plan/adoption/{id:path}/budget", feed)


async def panel(visit: Visit, record: Record) -> Markup | None:
    """The result, and for whoever may plan the way from it into the initiative's budget."""
    result = await reckoned.panel(visit, record)
    initiative = _initiative(visit, record)
    if result is None or initiative is None or not visit.actor.may(EDIT):
        return result
    template = visit.desk.environment(visit.language).get_template("plan-adoption-budget.html")
    made = template.render(
        visit=visit,
        href=record_href(record),
        version=initiative.version,
        name=visit.wording.said(initiative.plan.name),
        initiative=address("initiatives", initiative.id),
        is_draft=initiative.is_draft,
    )
    return result + Markup(made)  # noqa: S704 - the template escapes


def _initiative(visit: Visit, record: Record) -> Initiative | None:
    if not record.get("initiative"):
        return None
    try:
        return visit.rooms.initiatives.get(visit.actor, record.get("initiative"))
    except NotFound:
        return None


async def feed(visit: Visit) -> Response:
    """Write what the scenario needs into the draft of its initiative, as its capital costs."""
    form = await visit.form()
    visit.require(EDIT)
    record = visit.rooms.records.get(visit.actor, visit.part("id"))
    here, initiative = record_href(record), _initiative(visit, record)
    if record.kind.type != ADOPTION.type or initiative is None:
        raise NotFound("There is no initiative", hint="Say on the record which one it is.")
    try:
        outcome = await asyncio.to_thread(reckon, record.kind.type, record.values)
        plan = fed(initiative.plan, needs_of(outcome, record.get("scenario", "")))
        await visit.rooms.initiatives.edit(visit.actor, initiative.id, plan, version=form.value("version"))
    except (BadInput, Conflict) as error:
        return visit.redirect(here, f"{form.words_of(error)} {visit.gettext('Nothing was changed.')}")
    return visit.redirect(
        here, visit.gettext("The initiative has these costs now. It can be taken back there.")
    )
