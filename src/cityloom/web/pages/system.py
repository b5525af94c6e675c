"""The machinery: stages, figures of the process, and the newest entries of the audit log."""

from __future__ import annotations

from starlette.responses import Response

from cityloom import __version__
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit

SEE = ("connectors:manage", "services:manage", "audit:read")
ENTRIES = 30


def add(pages: Pages) -> None:
    pages.get("/system", show)
    pages.post("/system/verify", verify)


async def show(visit: Visit) -> Response:
    """How the city runs inside."""
    visit.require(*SEE)
    audit = []
    if visit.actor.may("audit:read"):
        audit = await visit.rooms.audit.newest(visit.actor, limit=ENTRIES)
    data = {
        "version": __version__,
        "troubles": visit.rooms.health.troubles(),
        "figures": dict(visit.rooms.health.figures()),
        "stages": visit.rooms.broker.stages(),
        "lastSequence": visit.rooms.broker.last_sequence,
        "backlog": visit.rooms.broker.backlog,
        "readers": visit.desk.live.readers,
        "types": visit.rooms.broker.types(visit.actor),
        "audit": audit,
    }
    return visit.render("system.html", data)


async def verify(visit: Visit) -> Response:
    """Follow the chain of the audit log from its first entry."""
    await visit.form()
    verdict = await visit.rooms.audit.verify(visit.actor)
    if verdict.sound:
        told = visit.ngettext(
            "The audit log is whole: %(num)s entry.",
            "The audit log is whole: %(num)s entries.",
            verdict.entries,
        )
        return visit.redirect("/system", told)
    told = visit.gettext(
        "The audit log is broken at entry %(entry)s: %(finding)s",
        entry=verdict.broken_at,
        finding=verdict.finding,
    )
    return visit.redirect("/system", told)
