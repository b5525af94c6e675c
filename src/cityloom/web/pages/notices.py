"""Notices: what the city tells everybody, and the desk where they are written."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from markupsafe import Markup
from starlette.responses import Response

from cityloom.kernel.errors import BadInput, Conflict, NotFound
from cityloom.operations.model import Alert
from cityloom.people.notices import LONGEST_BODY, LONGEST_TITLE, SEVERITIES, Message, Notice, Status
from cityloom.web.addresses import address
from cityloom.web.forms import Form, WrongForm
from cityloom.web.looks import item_of
from cityloom.web.pages.map_page import place_drawing
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit

PUBLISH = "notices:publish"
_LEVELS = {"informational": "info", "low": "fair", "medium": "poor", "high": "bad", "critical": "bad"}


def add(pages: Pages) -> None:
    pages.get("/notices", browse)
    pages.get("/notices/new", show_new, json=False)
    pages.post("/notices/new", write_new)
    pages.get("/notices/{id:path}/edit", show_edit, json=False)
    pages.post("/notices/{id:path}/edit", edit)
    pages.get("/notices/{id:path}", show)
    pages.post("/notices/{id:path}", handle)


async def browse(visit: Visit) -> Response:
    """What holds now, what is coming, what has passed; drafts for those who write them."""
    now = visit.rooms.clock.now()
    notices = visit.rooms.notices.list(visit.actor)
    current = visit.rooms.notices.current(visit.actor)
    coming = [one for one in notices if one.is_coming(now)]
    drafts = [one for one in notices if one.status == Status.DRAFT]
    listed = {one.id for one in (*current, *coming, *drafts)}
    data = {
        "current": [notice_row(visit, one) for one in current],
        "coming": [notice_row(visit, one) for one in coming],
        "past": [notice_row(visit, one) for one in notices if one.id not in listed],
        "drafts": [notice_row(visit, one) for one in drafts] if visit.actor.may(PUBLISH) else [],
    }
    return visit.render("notices.html", data)


def notice_row(visit: Visit, notice: Notice) -> dict[str, Any]:
    """A notice as it is listed."""
    return {
        "id": notice.id,
        "href": address("notices", notice.id),
        "title": visit.wording.words(notice.title),
        "body": visit.wording.words(notice.body),
        "severity": notice.severity,
        "level": _LEVELS.get(notice.severity, "info"),
        "status": notice.status,
        "placeName": notice.place_name,
        "validFrom": notice.valid_from,
        "validTo": notice.valid_to,
        "publishedAt": notice.published_at,
    }


async def show(visit: Visit) -> Response:
    """One notice."""
    notice = _seen(visit)
    return _page(visit, notice, Form(visit.language))


def _seen(visit: Visit) -> Notice:
    """The notice of the address. A draft is for those who write notices, whoever else is cleared for it."""
    notice = visit.rooms.notices.get(visit.actor, visit.part("id"))
    if notice.status == Status.DRAFT and not visit.actor.may(PUBLISH):
        raise NotFound("There is no such notice", hint="List the notices.")
    return notice


def _page(visit: Visit, notice: Notice, form: Form, *, status: int = 200) -> Response:
    data = {
        **notice_row(visit, notice),
        "withdrawnAt": notice.withdrawn_at,
        "withdrawnBecause": visit.wording.words(notice.withdrawn_because),
        "basedOn": notice.based_on,
    }
    return visit.render(
        "notice.html",
        data,
        status=status,
        notice=notice,
        form=form,
        based_on=_basis(visit, notice.based_on),
        may_publish=visit.actor.may(PUBLISH),
        place=_place(visit, notice),
    )


def _basis(visit: Visit, alert_id: str) -> Alert | None:
    """The alert it rests on, where the reader may see it."""
    if not alert_id:
        return None
    try:
        return visit.rooms.alerts.get(visit.actor, alert_id)
    except NotFound:
        return None


def _place(visit: Visit, notice: Notice) -> Markup | None:
    item = item_of(notice.document, visit.wording, geometry=True)
    return place_drawing(visit, item, visit.gettext("Map of the place concerned"))


async def show_new(visit: Visit) -> Response:
    """The form for a new notice."""
    visit.require(PUBLISH)
    values: dict[str, object] = {"severity": "informational", "basedOn": visit.query("basedOn")}
    if alert := _basis(visit, visit.query("basedOn")):
        values["severity"] = alert.severity
        values |= {f"body_{code}": text for code, text in alert.description.items()}
    return _form_page(visit, Form.filled(visit.language, values), "")


async def write_new(visit: Visit) -> Response:
    """Write a notice; it is a draft until it is published."""
    form = await visit.form()
    visit.require(PUBLISH)
    try:
        notice = await visit.rooms.notices.draft(visit.actor, _message(visit, form))
    except WrongForm:
        return _form_page(visit, form, "", status=400)
    except BadInput as error:
        form.take(error, *_fields(visit))
        return _form_page(visit, form, "", status=400)
    told = visit.gettext("The draft is saved. Read it once more, then publish it.")
    return visit.redirect(address("notices", notice.id), told)


async def show_edit(visit: Visit) -> Response:
    """The form to change a notice."""
    visit.require(PUBLISH)
    notice = _seen(visit)
    values: dict[str, object] = {
        "severity": notice.severity,
        "placeName": notice.place_name,
        "basedOn": notice.based_on,
        "version": notice.version,
        "validFrom": visit.wording.local_field(notice.valid_from),
        "validTo": visit.wording.local_field(notice.valid_to),
        **{f"title_{code}": text for code, text in notice.title.items()},
        **{f"body_{code}": text for code, text in notice.body.items()},
    }
    return _form_page(visit, Form.filled(visit.language, values), notice.id)


async def edit(visit: Visit) -> Response:
    """Change a notice."""
    form = await visit.form()
    visit.require(PUBLISH)
    notice = _seen(visit)
    try:
        message = _message(visit, form, notice)
        changed = await visit.rooms.notices.edit(
            visit.actor, notice.id, message, version=form.value("version")
        )
    except WrongForm:
        return _form_page(visit, form, notice.id, status=400)
    except (BadInput, Conflict) as error:
        form.take(error, *_fields(visit))
        return _form_page(visit, form, notice.id, status=400)
    return visit.redirect(address("notices", changed.id), visit.gettext("Saved."))


async def handle(visit: Visit) -> Response:
    """Publish, withdraw or throw away."""
    form = await visit.form()
    visit.require(PUBLISH)
    notices, notice, version = visit.rooms.notices, _seen(visit), form.value("version")
    act = form.choice("act", ["publish", "withdraw", "discard"], required=visit.gettext("Choose what to do."))
    try:
        form.raise_if_wrong()
        if act == "publish":
            notice = await notices.publish(visit.actor, notice.id, version=version)
            told = visit.gettext("The notice is published.")
        elif act == "withdraw":
            why = form.text("why", required=visit.gettext("Say why."), longest=LONGEST_BODY)
            form.raise_if_wrong()
            said = {visit.language.code: why}
            notice = await notices.withdraw(visit.actor, notice.id, said, version=version)
            told = visit.gettext("The notice is withdrawn.")
        else:
            await notices.discard(visit.actor, notice.id)
            return visit.redirect("/notices", visit.gettext("The draft is thrown away."))
    except WrongForm:
        return _page(visit, notice, form, status=400)
    except (BadInput, Conflict) as error:
        form.take(error, "why")
        return _page(visit, notices.get(visit.actor, notice.id), form, status=400)
    return visit.redirect(address("notices", notice.id), told)


def _fields(visit: Visit) -> list[str]:
    texts = [f"{name}_{code}" for name in ("title", "body") for code in visit.desk.languages]
    return [*texts, "severity", "placeName", "validFrom", "validTo", "basedOn"]


def _message(visit: Visit, form: Form, before: Notice | None = None) -> Message:
    """What was typed. Raises WrongForm."""
    codes = visit.desk.languages
    title = {code: text for code in codes if (text := form.text(f"title_{code}", longest=LONGEST_TITLE))}
    body = {code: text for code in codes if (text := form.text(f"body_{code}", longest=LONGEST_BODY))}
    if not title:
        form.wrong(f"title_{codes[0]}", visit.gettext("Give it a title."))
    if not body:
        form.wrong(f"body_{codes[0]}", visit.gettext("Write what people should know."))
    severity = form.choice("severity", list(SEVERITIES), required=visit.gettext("Choose how severe it is."))
    begins, ends = _local(visit, form, "validFrom"), _local(visit, form, "validTo")
    form.raise_if_wrong()
    return Message(
        title=title,
        body=body,
        severity=severity,
        place_name=form.text("placeName"),
        location=before.location if before else None,
        valid_from=begins,
        valid_to=ends,
        based_on=form.text("basedOn", longest=300),
    )


def _local(visit: Visit, form: Form, name: str) -> datetime | None:
    """A date and time of the city's clocks on the wall."""
    typed = form.value(name).strip()
    if not typed:
        return None
    try:
        return datetime.fromisoformat(typed).replace(tzinfo=visit.city.zone)
    except ValueError:
        form.wrong(name, visit.gettext("Enter a date and time, such as 2026-04-12T18:00."))
        return None


def _form_page(visit: Visit, form: Form, notice_id: str, *, status: int = 200) -> Response:
    return visit.render(
        "notice-form.html",
        status=status,
        form=form,
        notice_id=notice_id,
        languages=visit.desk.languages,
        severities=visit.choices(SEVERITIES),
        tomorrow=visit.wording.local_field(visit.rooms.clock.now() + timedelta(days=1)),
    )
