"""A tender's page: how its bids stand, and the act of awarding it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.responses import Response

from cityloom.kernel.errors import BadInput, Conflict
from cityloom.planning.procurement.awarding import Awarding
from cityloom.planning.procurement.kinds import BID, MANAGE
from cityloom.planning.procurement.ranking import Standing
from cityloom.planning.records.model import Record
from cityloom.web.pages.planning.links import record_href
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit


def add(pages: Pages) -> None:
    pages.post("/plan/tenders/{id:path}/award", award)


def _awarding(visit: Visit) -> Awarding:
    return Awarding(visit.rooms.records, visit.rooms.clock, visit.city.zone)


async def panel(visit: Visit, record: Record) -> Markup | None:
    """The bids by points, for those who see them; the form by which it is awarded."""
    if not visit.actor.may(MANAGE):
        return None
    awarding = _awarding(visit)
    standings = awarding.standings(visit.actor, record)
    closes = record.get("closes")
    template = visit.desk.environment(visit.language).get_template("plan-tender.html")
    made = template.render(
        visit=visit,
        w=visit.wording,
        href=record_href(record),
        version=record.version,
        rows=[_row(visit, one) for one in standings],
        counting=[one for one in standings if not one.left_out],
        is_open=closes is None or awarding.today() <= closes,
        is_awarded=record.get("awardedOn") is not None,
        new_bid=f"/plan/{BID.path}/new?{urlencode({'tender': record.id})}",
    )
    return Markup(made)  # noqa: S704 - the template escapes


def _row(visit: Visit, one: Standing) -> dict[str, Any]:
    return {
        "id": one.bid.id,
        "name": visit.wording.said(one.bid.name),
        "href": record_href(one.bid),
        "price": visit.wording.money(one.price.amount, one.price.currency),
        "points": one.points,
        "leftOut": visit.language.say(one.left_out),
        "lacking": one.lacking,
    }


async def award(visit: Visit) -> Response:
    """Award a tender to a bid, with the reason; what everybody offered is public from then on."""
    form = await visit.form()
    visit.require(MANAGE)
    tender = visit.rooms.records.get(visit.actor, visit.part("id"))
    here = record_href(tender)
    try:
        await _awarding(visit).award(
            visit.actor,
            tender.id,
            form.text("bid", longest=500),
            form.text("reason", longest=4000),
            version=form.value("version"),
        )
    except (BadInput, Conflict) as error:
        return visit.redirect(here, f"{form.words_of(error)} {visit.gettext('Nothing was changed.')}")
    return visit.redirect(here, visit.gettext("It is awarded, and everybody can see it."))
