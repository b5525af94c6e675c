"""Alerts: the list that operators work from, and the page of one with everything that can be done."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from cityloom.kernel.errors import BadInput, Conflict
from cityloom.ngsild.model import value_of
from cityloom.operations.alerts import AlertQuery, Occasion
from cityloom.operations.model import SEVERITIES, Alert, Status
from cityloom.web.addresses import address, entity_path
from cityloom.web.forms import Form, WrongForm
from cityloom.web.looks import item_of, name_of
from cityloom.web.pages.evidence import reasons_of
from cityloom.web.pages.planning.touched import resting_on
from cityloom.web.pages.routing import Pages
from cityloom.web.pages.warnings import deliveries_of
from cityloom.web.visit import Visit

HANDLE = "alerts:handle"
#: Alerts on one page.
PAGE = 30
CATEGORIES = ("traffic", "environment", "weather", "health", "safety", "water", "other")
_ACTS = ("acknowledge", "assign", "comment", "clear", "reopen", "undo")


def add(pages: Pages) -> None:
    pages.get("/alerts", browse)
    pages.get("/alerts/new", show_new, json=False)
    pages.post("/alerts/new", raise_new)
    pages.get("/alerts/{id:path}", show)
    pages.post("/alerts/{id:path}", handle)


async def browse(visit: Visit) -> Response:
    """What is to be handled first; filters by status and severity."""
    status, severity = visit.query("status"), visit.query("severity")
    offset = visit.whole("offset", 0)
    wanted = AlertQuery(
        statuses=frozenset({status} if status in [one.value for one in Status] else ()),
        least_severity=severity if severity in SEVERITIES else "",
        limit=PAGE,
        offset=offset,
    )
    page = visit.rooms.alerts.list(visit.actor, wanted)
    data = {
        "alerts": [alert_row(visit, alert) for alert in page.alerts],
        "total": page.total,
        "counts": visit.rooms.alerts.counts(visit.actor),
        "status": status,
        "severity": severity,
    }
    query = "".join(f"{key}={value}&" for key, value in (("status", status), ("severity", severity)) if value)
    return visit.render(
        "alerts.html",
        data,
        offset=offset,
        limit=PAGE,
        query=query,
        statuses=[one.value for one in Status],
        severities=SEVERITIES,
    )


def alert_row(visit: Visit, alert: Alert) -> dict[str, Any]:
    """An alert as a line of a list."""
    item = item_of(alert.document, visit.wording)
    return {
        "id": alert.id,
        "href": address("alerts", alert.id),
        "level": item.level,
        "status": alert.status,
        "severity": alert.severity,
        "category": alert.category,
        "description": visit.wording.said(alert.description),
        "issuedAt": alert.issued_at,
        "about": [link for one in alert.about if (link := _about(visit, one))],
        "origin": visit.origin(alert.origin),
    }


def _about(visit: Visit, entity_id: str) -> dict[str, str] | None:
    document = visit.rooms.broker.find(visit.actor, entity_id)
    if document is None:
        return None
    return {"id": entity_id, "name": name_of(document, visit.wording), "href": entity_path(entity_id)}


async def show(visit: Visit) -> Response:
    """One alert."""
    return _page(visit, visit.rooms.alerts.get(visit.actor, visit.part("id")), Form(visit.language))


def _page(visit: Visit, alert: Alert, form: Form, *, status: int = 200) -> Response:
    may_handle = visit.actor.may(HANDLE)
    by = [one.by for one in alert.history] + [one.by for one in alert.comments]
    names = {*by, alert.assigned_to}
    data = {
        **alert_row(visit, alert),
        "subCategory": alert.sub_category,
        "endedAt": alert.ended_at,
        "validFrom": alert.valid_from,
        "validTo": alert.valid_to,
        "assignedTo": _who(visit, alert.assigned_to) if alert.assigned_to else "",
        "raisedBy": _who(visit, alert.raised_by),
        "outcome": visit.wording.said(value_of(alert.document, "outcome")),
        "comments": alert.comments,
        "history": alert.history,
        "because": reasons_of(alert.document),
        "services": resting_on(visit, *alert.about),
        "informationClass": visit.rooms.broker.class_of(visit.actor, alert.id).label,
    }
    return visit.render(
        "alert.html",
        data,
        status=status,
        alert=alert,
        form=form,
        may_handle=may_handle,
        names={name: _who(visit, name) for name in names if name},
        deliveries=deliveries_of(visit, alert.id),
        can_undo=may_handle and bool(alert.history) and alert.history[-1].did != "raised",
        own=visit.actor.id,
    )


def _who(visit: Visit, actor_id: str) -> str:
    """The name of somebody of the staff, told to the staff alone; that of a city service to everybody."""
    if actor_id.startswith("service:") or visit.actor.may(HANDLE):
        return visit.person(actor_id)
    return visit.gettext("the city")


async def handle(visit: Visit) -> Response:
    """What somebody does with an alert. What was decided on is sent along, so that nobody is overrun."""
    alert_id = visit.part("id")
    form = await visit.form()
    visit.require(HANDLE)
    act = form.choice("act", list(_ACTS), required=visit.gettext("Choose what to do."))
    try:
        form.raise_if_wrong()
        alert = await _do(visit, act, alert_id, form)
    except WrongForm:
        return _page(visit, visit.rooms.alerts.get(visit.actor, alert_id), form, status=400)
    except (BadInput, Conflict) as error:
        form.take(error, "assignedTo", "comment", "why", "note")
        status = 409 if isinstance(error, Conflict) else 400
        return _page(visit, visit.rooms.alerts.get(visit.actor, alert_id), form, status=status)
    here = address("alerts", alert_id)
    undo = (here, {"act": "undo", "version": alert.version})
    can_be_undone = act in ("acknowledge", "assign", "clear")
    return visit.redirect(here, _done(visit, act), undo=undo if can_be_undone else None)


async def _do(visit: Visit, act: str, alert_id: str, form: Form) -> Alert:
    alerts, actor, version = visit.rooms.alerts, visit.actor, form.value("version")
    if act == "acknowledge":
        return await alerts.acknowledge(actor, alert_id, version=version)
    if act == "assign":
        to = form.text("assignedTo", required=visit.gettext("Say whom to give it to."), longest=100)
        form.raise_if_wrong()
        return await alerts.assign(actor, alert_id, to, note=form.text("note"), version=version)
    if act == "comment":
        said = form.text("comment", required=visit.gettext("Write a comment."), longest=2000)
        form.raise_if_wrong()
        return await alerts.comment(actor, alert_id, said)
    if act == "undo":
        return await alerts.undo(actor, alert_id, version=version)
    why = form.text("why", required=visit.gettext("Say why."), longest=2000)
    form.raise_if_wrong()
    if act == "clear":
        return await alerts.clear(actor, alert_id, why, language=visit.language.code, version=version)
    return await alerts.reopen(actor, alert_id, why, version=version)


def _done(visit: Visit, act: str) -> str:
    return {
        "acknowledge": visit.gettext("Acknowledged."),
        "assign": visit.gettext("Assigned."),
        "comment": visit.gettext("Comment added."),
        "clear": visit.gettext("Cleared."),
        "reopen": visit.gettext("Opened again."),
        "undo": visit.gettext("Taken back."),
    }[act]


async def show_new(visit: Visit) -> Response:
    """The form for an alert raised by hand."""
    visit.require(HANDLE)
    form = Form.filled(
        visit.language, {"severity": "medium", "about": visit.query("about"), "category": "other"}
    )
    return _new_page(visit, form)


async def raise_new(visit: Visit) -> Response:
    """An alert raised by hand."""
    form = await visit.form()
    visit.require(HANDLE)
    description = form.text("description", required=visit.gettext("Say what has happened."), longest=2000)
    severity = form.choice("severity", list(SEVERITIES), required=visit.gettext("Choose how severe it is."))
    category = form.choice("category", list(CATEGORIES), required=visit.gettext("Choose what it is about."))
    about = form.text("about", longest=300)
    try:
        form.raise_if_wrong()
        alert = await visit.rooms.alerts.raise_(
            visit.actor,
            Occasion(
                key=f"by-hand:{visit.request.state.request_id}",
                category=category,
                severity=severity,
                description={visit.language.code: description},
                about=(about,) if about else (),
            ),
            trace=visit.trace,
        )
    except WrongForm:
        return _new_page(visit, form, status=400)
    except BadInput as error:
        form.take(error, "description", "severity", "category", "about")
        return _new_page(visit, form, status=400)
    return visit.redirect(address("alerts", alert.id), visit.gettext("The alert is raised."))


def _new_page(visit: Visit, form: Form, *, status: int = 200) -> Response:
    return visit.render(
        "alert-new.html",
        status=status,
        form=form,
        severities=visit.choices(SEVERITIES),
        categories=visit.choices(CATEGORIES),
    )
