"""The machinery: stages, figures of the process, and the newest entries of the audit log."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from cityloom import __version__
from cityloom.web.acts import ACTS
from cityloom.web.languages import noted as n
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit

SEE = ("connectors:manage", "services:manage", "audit:read")
ENTRIES = 30
#: The figures of the process that are told, and what they are.
FIGURES = {
    "folder": n("Folder of the city"),
    "uptime_s": n("Runs for"),
    "memory_bytes": n("Memory in use"),
    "folder_bytes": n("Size of the folder"),
    "disk_free_bytes": n("Free on the disk"),
    "disk_total_bytes": n("Size of the disk"),
}
#: Who follows the feed, in words.
STAGES = {
    "history": n("History"),
    "services": n("City services"),
    "live": n("Live pages"),
    "deliveries": n("Warnings to people"),
    "sensing": n("Devices and their commands"),
    "subscriptions": n("Notifications to other systems"),
}


def add(pages: Pages) -> None:
    pages.get("/system", show)
    pages.post("/system/verify", verify)


async def show(visit: Visit) -> Response:
    """How the city runs inside."""
    visit.require(*SEE)
    audit = []
    if visit.actor.may("audit:read"):
        audit = await visit.rooms.audit.newest(visit.actor, limit=ENTRIES)
    figures = visit.rooms.health.figures()
    data = {
        "version": __version__,
        "troubles": visit.rooms.health.troubles(),
        "warnings": visit.rooms.health.warnings(),
        "figures": dict(figures),
        "stages": visit.rooms.broker.stages(),
        "lastSequence": visit.rooms.broker.last_sequence,
        "backlog": visit.rooms.broker.backlog,
        "readers": visit.desk.live.readers,
        "notified": len(visit.rooms.subscriptions.health()),
        "asked": len(visit.rooms.federation.health()),
        "types": visit.rooms.broker.types(visit.actor),
        "audit": audit,
    }
    return visit.render("system.html", data, rows=_rows(visit, figures), names=STAGES, acts=ACTS)


def _rows(visit: Visit, figures: Mapping[str, str | int | float]) -> list[tuple[str, str]]:
    """The figures of the process in words, with units that can be read."""
    return [
        (visit.gettext(title), _told(visit, name, figures[name]))
        for name, title in FIGURES.items()
        if name in figures
    ]


def _told(visit: Visit, name: str, figure: str | int | float) -> str:
    if isinstance(figure, str):
        return figure
    return visit.wording.size(int(figure)) if name.endswith("_bytes") else visit.seconds(figure)


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
