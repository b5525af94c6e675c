"""Readings that were wrong: why, and trying them again."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from cityloom.kernel.errors import CityError
from cityloom.sensing.model import ParkedReading
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit

READ = "parked:read"
PAGE = 50
#: Characters of a message that the list shows.
_SHOWN = 400


def add(pages: Pages) -> None:
    pages.get("/parked", browse)
    pages.post("/parked", handle)


async def browse(visit: Visit) -> Response:
    """The newest first."""
    visit.require(READ)
    parked = visit.rooms.parked
    before, connector = visit.whole("before", 0, most=2**53), visit.query("connector")
    found = await parked.newest(visit.actor, limit=PAGE, before=before, connector=connector)
    data = {
        "parked": [_row(one) for one in found],
        "total": await parked.count(visit.actor),
        "forgotten": await parked.forgotten(),
        "connector": connector,
    }
    return visit.render(
        "parked.html",
        data,
        next_before=found[-1].id if len(found) == PAGE else 0,
        connectors=[one.id for one in visit.rooms.connectors.statuses()],
    )


def _row(one: ParkedReading) -> dict[str, Any]:
    body = one.body[:_SHOWN].decode("utf-8", "backslashreplace")
    return {
        "id": one.id,
        "at": one.at,
        "connector": one.connector,
        "address": one.address,
        "device": one.device,
        "reason": one.reason,
        "hint": one.hint,
        "where": one.where,
        "body": body + ("…" if len(one.body) > _SHOWN or one.truncated else ""),
        "canRetry": not one.truncated,
    }


async def handle(visit: Visit) -> Response:
    """Try again, or forget."""
    form = await visit.form()
    visit.require(READ)
    act = form.choice("act", ["retry", "discard"], required=visit.gettext("Choose what to do."))
    form.raise_if_wrong()
    ids = [int(one) for one in form.values("id") if one.isdecimal() and len(one) < 18]
    if act == "discard":
        await visit.rooms.audit.record(visit.actor, "parked.discard", "", {"ids": ids})
        count = await visit.rooms.parked.discard(visit.actor, ids)
        told = visit.ngettext("%(num)s message is forgotten.", "%(num)s messages are forgotten.", count)
        return visit.redirect("/parked", told)
    await visit.rooms.audit.record(visit.actor, "parked.retry", "", {"ids": ids})
    stored, again = 0, 0
    for one in ids:
        try:
            outcome = await visit.rooms.connectors.retry(visit.actor, one)
        except CityError:
            again += 1
        else:
            stored, again = stored + (not outcome.parked), again + outcome.parked
    told = visit.gettext("Stored: %(stored)s. Parked again: %(again)s.", stored=stored, again=again)
    return visit.redirect("/parked", told)
