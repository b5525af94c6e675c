"""Who is told what changes here, and who is asked for what is not here: how that goes, and how to end it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlencode

import orjson
from starlette.responses import Response

from cityloom.access.ownership import tends
from cityloom.edge.forwarding import Forwarding
from cityloom.edge.model import Standing
from cityloom.federation.model import Health as Source
from cityloom.kernel.actor import Actor
from cityloom.kernel.errors import BadInput
from cityloom.kernel.time import format_instant, from_millis
from cityloom.ngsild.contexts import CORE
from cityloom.ngsild.model import Document, content, value_of
from cityloom.subscriptions.delivery import GIVEN_UP
from cityloom.subscriptions.model import Health as Subscriber
from cityloom.subscriptions.owners import EDIT
from cityloom.web.languages import noted as n
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit

#: Why something failed, as the rooms say it.
_ANSWERED = re.compile(r"It answers (\d{3})")
_LATE = re.compile(r"it does not answer in time \(([\d.]+) s\)")
_System = TypeVar("_System", Subscriber, Source)

PATH = "/other-systems"
REGISTER = "sources:register"
#: One of these shows what is sent to anybody; who may only subscribe sees their own.
SEE_ALL = ("connectors:manage", "services:manage", "audit:read", "accounts:manage")
SEE = (EDIT, REGISTER, *SEE_ALL)
#: Rows of one table on a page.
PAGE = 50
#: How they stand, in words, and the colour of that.
STATES = {
    "active": (n("active"), "good"),
    "failing": (n("does not get through"), "bad"),
    "paused": (n("paused"), "info"),
    "expired": (n("expired"), ""),
    "answering": (n("answers"), "good"),
    "silent": (n("does not answer"), "bad"),
    "unasked": (n("not asked yet"), ""),
}
#: Who holds what a source is asked for (4.3.6).
MODES = {
    "inclusive": n("beside this city"),
    "auxiliary": n("where this city knows nothing"),
    "redirect": n("instead of this city"),
    "exclusive": n("alone"),
}


def add(pages: Pages) -> None:
    pages.get(PATH, browse)
    pages.post(f"{PATH}/subscriptions", handle_subscription)
    pages.post(f"{PATH}/sources", handle_source)


async def browse(visit: Visit) -> Response:
    """Both lists, those in trouble first."""
    visit.require(*SEE)
    words = visit.query("q").strip()
    of_sources = visit.rooms.federation.watching.health()
    known = [*visit.rooms.subscriptions.health(), *of_sources]
    everybody = [one for one in known if _may_see(visit.actor, one)]
    notified = _found(everybody, words, lambda one: one.id, lambda one: one.failing)
    about_sources = {(one.tenant, one.id) for one in of_sources}
    sources = visit.rooms.federation.health()
    asked = _found(sources, words, lambda one: one.registration.id, lambda one: one.status == "failing")
    notified_from, asked_from = visit.whole("notified", 0), visit.whole("asked", 0)
    data = {
        "q": words,
        "notifiedTotal": len(notified),
        "notified": [
            _notified(visit, one, is_of_sources=(one.tenant, one.id) in about_sources)
            for one in notified[notified_from : notified_from + PAGE]
        ],
        "askedTotal": len(asked),
        "asked": [_asked(visit, one) for one in asked[asked_from : asked_from + PAGE]],
    }
    edges = any(visit.actor.may(permission) for permission in SEE_ALL)
    data["edges"] = [_edge(one) for one in visit.rooms.receiving.standings()] if edges else []
    data["conflicts"] = (
        [_conflict(one) for one in visit.rooms.receiving.conflicts(visit.actor)[:PAGE]] if edges else []
    )
    data["line"] = _line(visit.rooms.line) if edges and visit.rooms.line else None
    return visit.render(
        "other-systems.html",
        data,
        notified_from=notified_from,
        asked_from=asked_from,
        limit=PAGE,
        notified_query=_query(words, "asked", asked_from),
        asked_query=_query(words, "notified", notified_from),
        states=STATES,
        modes=MODES,
        may_register=visit.actor.may(REGISTER),
    )


def _edge(one: Standing) -> dict[str, Any]:
    return {
        "name": one.name,
        "lastContact": _at(one.last_contact),
        "waiting": one.waiting,
        "oldest": _at(one.oldest) if one.waiting else None,
        "received": one.received,
        "parked": one.parked,
        "conflicts": one.conflicts,
        "givenUp": one.given_up,
    }


def _conflict(one: Document) -> dict[str, Any]:
    return {
        "entity": value_of(one, "entity"),
        "attribute": value_of(one, "attribute", ""),
        "edge": value_of(one, "edge"),
        "kept": _said(value_of(one, "kept")),
        "givenUp": _said(value_of(one, "givenUp")),
        "at": one["modifiedAt"],
    }


def _said(told: Any) -> str:
    """What one side said, in one short line; a word where it said nothing."""
    if not isinstance(told, dict):
        return str(told)
    said = orjson.dumps(content(told)).decode()
    when = told.get("observedAt") or told.get("modifiedAt", "")
    return f"{said[:200]} ({when})"


def _line(line: Forwarding) -> dict[str, Any]:
    told = line.line()
    return {
        "address": told.address,
        "waiting": told.waiting,
        "oldest": told.oldest_s,
        "lastContact": _at(told.last_contact),
        "trouble": told.trouble,
        "refused": told.refused,
        "givenUp": told.given_up,
        "parked": told.parked,
        "notTaken": [{"id": one.id, "why": one.why} for one in reversed(told.not_taken)],
        "tokenEnds": _at(told.token_ends),
    }


def _at(millis: int) -> str | None:
    return format_instant(from_millis(millis)) if millis else None


def _query(words: str, other: str, offset: int) -> str:
    """What the links of one table keep of the search and of the other table."""
    kept = [(name, value) for name, value in (("q", words), (other, offset)) if value]
    return urlencode(kept) + "&" if kept else ""


def _found(
    systems: list[_System],
    words: str,
    id_of: Callable[[_System], str],
    in_trouble: Callable[[_System], bool],
) -> list[_System]:
    """Those that have the words, those in trouble first, else oldest first."""
    wanted = words.casefold()
    fits = [one for one in systems if wanted in f"{id_of(one)} {one.name} {one.endpoint}".casefold()]
    return sorted(fits, key=lambda one: not in_trouble(one))


def _may_see(actor: Actor, one: Subscriber) -> bool:
    return one.owner == actor.id or any(actor.may(permission) for permission in SEE_ALL)


def _notified(visit: Visit, one: Subscriber, *, is_of_sources: bool) -> dict[str, Any]:
    actor, tally, handed_on = visit.actor, one.tally, visit.rooms.handed_on
    kind = "subscription to registrations" if is_of_sources else "subscription"
    row: dict[str, Any] = {
        "id": one.id,
        "tenant": one.tenant,
        "name": one.name,
        "endpoint": one.endpoint,
        "owner": visit.person(one.owner),
        "state": "failing" if one.failing else one.status,
        "sent": tally.times_sent,
        "failed": tally.times_failed,
        "waiting": one.waiting,
        "missed": tally.missed,
        "lastSuccess": tally.last_success,
        "lastFailure": tally.last_failure,
        "lastError": _why(visit, tally.last_error),
        "mayChange": actor.may(EDIT) and tends(actor, kind, one.owner),
        "about": "sources" if is_of_sources else "entities",
        "atSources": 0 if is_of_sources else handed_on.count(one.tenant, one.id),
        "sourcesMissing": 0 if is_of_sources else len(handed_on.troubles(one.tenant, one.id)),
    }
    if one.owner == actor.id or actor.clearance.issuperset(one.clearance):
        row |= {"types": _names(one.types), "attributes": _names(one.attributes)}
    return row


def _asked(visit: Visit, one: Source) -> dict[str, Any]:
    standing = one.standing
    return {
        "id": one.registration.id,
        "tenant": one.tenant,
        "name": one.name,
        "endpoint": one.endpoint,
        "state": "silent" if one.status == "failing" else one.status,
        "mode": one.registration.mode,
        "about": "entities",
        "types": _names(one.types),
        "attributes": _names(one.attributes),
        "expiresAt": one.registration.expires_at,
        "sent": standing.times_sent,
        "failed": standing.times_failed,
        "lastSuccess": standing.last_success or None,
        "lastFailure": standing.last_failure or None,
        "lastError": _why(visit, standing.last_error),
        "mayChange": visit.actor.may(REGISTER) and tends(visit.actor, "registration", one.owner),
    }


def _why(visit: Visit, error: str) -> str:
    """Why something failed, in the reader's words where it is one of the common reasons."""
    answered = _ANSWERED.fullmatch(error)
    if answered:
        return visit.gettext("It answers %(status)s", status=answered[1])
    if error == GIVEN_UP:
        return visit.gettext("Too much waited, or too long: the oldest was given up")
    late = _LATE.search(error)
    if late:
        return visit.gettext("It does not answer in time (%(seconds)s s)", seconds=late[1])
    return error


def _names(names: tuple[str, ...]) -> list[str]:
    return [CORE.compact(name) for name in names]


async def handle_subscription(visit: Visit) -> Response:
    """Pause a subscription, let it go on, or remove it: one's own, or anybody's for who oversees them."""
    form = await visit.form()
    visit.require(EDIT)
    choose = visit.gettext("Choose what to do.")
    act = form.choice("act", ["pause", "resume", "remove"], required=choose)
    form.raise_if_wrong()
    subscriptions, identifier, tenant = visit.rooms.subscriptions, form.value("id"), form.value("tenant")
    if form.value("about") == "sources":
        return await _end_of_sources(visit, identifier, tenant, act)
    subscriptions.retrieve(visit.actor, identifier, tenant=tenant)
    await visit.rooms.audit.record(visit.actor, f"subscription.{act}", identifier, _where(tenant))
    if act == "remove":
        await subscriptions.delete(visit.actor, identifier, tenant=tenant)
        return visit.redirect(PATH, visit.gettext("The subscription is removed."))
    await subscriptions.pause(visit.actor, identifier, tenant=tenant, paused=act == "pause")
    back = {"act": "resume" if act == "pause" else "pause", "id": identifier, "tenant": tenant}
    return visit.redirect(PATH, visit.gettext("Done."), undo=(f"{PATH}/subscriptions", back))


async def _end_of_sources(visit: Visit, identifier: str, tenant: str, act: str) -> Response:
    """Remove a subscription to registrations."""
    if act != "remove":
        raise BadInput("It can be removed, and nothing else", hint="Choose Remove.", where="act")
    watching = visit.rooms.federation.watching
    watching.get(visit.actor, identifier, tenant=tenant)
    await visit.rooms.audit.record(visit.actor, "source.unsubscribe", identifier, _where(tenant))
    await watching.remove(visit.actor, identifier, tenant=tenant)
    return visit.redirect(PATH, visit.gettext("The subscription is removed."))


async def handle_source(visit: Visit) -> Response:
    """Remove the registration of a source: it is not asked any more."""
    form = await visit.form()
    visit.require(REGISTER)
    form.choice("act", ["remove"], required=visit.gettext("Choose what to do."))
    form.raise_if_wrong()
    sources, identifier, tenant = visit.rooms.federation.sources, form.value("id"), form.value("tenant")
    sources.check_tends(visit.actor, identifier, tenant=tenant)
    await visit.rooms.audit.record(visit.actor, "source.remove", identifier, _where(tenant))
    await sources.remove(visit.actor, identifier, tenant=tenant)
    return visit.redirect(PATH, visit.gettext("The registration is removed."))


def _where(tenant: str) -> dict[str, str]:
    return {"tenant": tenant} if tenant else {}
