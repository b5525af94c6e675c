"""The machinery: stages, figures of the process, and the newest entries of the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from math import inf

from starlette.responses import Response

from cityloom import __version__
from cityloom.kernel.errors import NotReady
from cityloom.kernel.measures import Growth
from cityloom.web.acts import ACTS
from cityloom.web.languages import noted as n
from cityloom.web.pages.routing import Pages
from cityloom.web.request_tally import Slow
from cityloom.web.rooms import Inside
from cityloom.web.visit import Visit

SEE = ("system:read", "connectors:manage", "services:manage", "audit:read")
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
    "forward": n("Changes for the centre"),
    "relay": n("Changes for other processes"),
    "demo-people": n("The people of the demo city"),
}


#: What is counted, and what its rate is called.
RATES = {
    "changes": n("Changes written a second"),
    "requests": n("Requests answered a second"),
    "refused": n("Requests turned away a second"),
    "notifications": n("Notifications delivered a second"),
    "messages": n("Messages from devices a second"),
}
_DAY_S = 86_400
#: Longer than this is not told in days: it would pretend to know.
_FAR_S = 3 * 365 * _DAY_S


def add(pages: Pages) -> None:
    pages.data("/metrics", metrics)
    pages.get("/system", show)
    pages.post("/system/verify", verify)


async def show(visit: Visit) -> Response:
    """How the city runs inside."""
    visit.require(*SEE)
    audit = []
    if visit.actor.may("audit:read"):
        # The page is wanted most while the store of records does not answer; it says so among its findings.
        with suppress(NotReady):
            audit = await visit.rooms.audit.newest(visit.actor, limit=ENTRIES)
    figures = visit.rooms.health.figures()
    inside = await visit.rooms.health.inside(visit.actor)
    types = visit.rooms.broker.types(visit.actor)
    data = {
        "version": __version__,
        "troubles": visit.rooms.health.troubles(),
        "findings": visit.rooms.health.findings(inside),
        "figures": dict(figures),
        "stages": visit.rooms.broker.stages(),
        "lastSequence": visit.rooms.broker.last_sequence,
        "backlog": visit.rooms.broker.backlog,
        "readers": visit.desk.live.readers,
        "notified": len(visit.rooms.subscriptions),
        "asked": len(visit.rooms.federation.sources),
        "types": types,
        "inside": inside,
        "slow": [_told_of(one, types) for one in visit.rooms.requests.slowest()],
        "audit": audit,
    }
    return visit.render(
        "system.html",
        data,
        rows=[*_rows(visit, figures), *_inner_rows(visit, inside)],
        names=STAGES,
        acts=ACTS,
        behind={one.name: one.behind_s for one in inside.stages},
        rates=[
            (visit.gettext(title), inside.rates[name])
            for name, title in RATES.items()
            if name in inside.rates
        ],
        full=_full(visit, inside.growth),
    )


async def metrics(visit: Visit) -> Response:
    """All figures for Prometheus, in its text format; a token with system:read opens it."""
    visit.require(*SEE)
    body, media = await visit.rooms.health.metrics(
        visit.actor, visit.request.headers.get("accept", ""), readers=visit.desk.live.readers
    )
    return Response(body, headers={"content-type": media, "cache-control": "no-store"})


def _told_of(slow: Slow, types: Mapping[str, int]) -> dict[str, object]:
    """A slow request for a reader; a type that they see nothing of is not named."""
    return {
        "seconds": round(slow.seconds, 3),
        "status": slow.status,
        "asked": f"{slow.method} {slow.address}".strip(),
        "parameters": slow.asked,
        "types": tuple(name if name in types else "…" for name in slow.types),
    }


def _full(visit: Visit, growth: Growth) -> str:
    """When the disk will be full, in words."""
    if growth.bytes_a_day is None:
        return visit.gettext("That cannot be told yet: it takes a day of watching.")
    if growth.full_in_s is None:
        return visit.gettext("It does not fill up.")
    if growth.full_in_s > _FAR_S:
        return visit.gettext("In more than three years.")
    days = round(growth.full_in_s / _DAY_S)
    return visit.ngettext("In about %(num)s day.", "In about %(num)s days.", days)


def _inner_rows(visit: Visit, inside: Inside) -> list[tuple[str, str]]:
    """More figures of the process in words."""
    told = [
        (n("Writing takes"), _at_most(visit, inside.commit_s)),
        (n("The event loop came late by"), _seconds(visit, inside.loop_lag_s)),
        (n("Collecting garbage took"), _seconds(visit, inside.collecting_s)),
        (n("Threads"), visit.wording.number(inside.threads)),
        (n("Child processes"), visit.wording.number(inside.children)),
        (n("Open files and connections"), visit.wording.number(inside.descriptors)),
        *((file.name, visit.wording.size(file.bytes)) for file in inside.files),
    ]
    return [(visit.gettext(title), said) for title, said in told]


def _at_most(visit: Visit, seconds: float | None) -> str:
    if seconds is None:
        return visit.gettext("nothing was written yet")
    if seconds == inf:
        return visit.gettext("more than 10 s")
    return visit.gettext("at most %(time)s, 19 times of 20", time=_seconds(visit, seconds))


def _seconds(visit: Visit, seconds: float) -> str:
    if seconds < 1:
        return f"{visit.wording.number(seconds * 1000)}\u202fms"
    return f"{visit.wording.number(seconds)}\u202fs"


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
