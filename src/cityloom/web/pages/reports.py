"""Reports as the city sees them: the list, and the page on which one is answered."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from cityloom.kernel.errors import BadInput, Conflict
from cityloom.people.report import LONGEST_ANSWER, Report, Status
from cityloom.people.reports import Contact, ReportQuery
from cityloom.web.addresses import address
from cityloom.web.forms import Form, WrongForm
from cityloom.web.looks import item_of
from cityloom.web.pages.map_page import place_drawing
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit

ANSWER = "reports:answer"
PAGE = 30
_ACTS = ("answer", "close", "reopen", "sort", "publish", "unpublish", "duplicate", "contact")


def add(pages: Pages) -> None:
    pages.get("/reports", browse)
    pages.data("/reports/{id}/photo", photo)
    pages.get("/reports/{id}", show)
    pages.post("/reports/{id}", handle)


async def browse(visit: Visit) -> Response:
    """Reports the reader may see: published ones for everybody, all of them for those who answer."""
    status, category = visit.query("status"), visit.query("category")
    offset = visit.whole("offset", 0)
    page = visit.rooms.reports.list(
        visit.actor,
        ReportQuery(
            statuses=frozenset({status} if status in list(Status) else ()),
            categories=frozenset({category} if category in visit.rooms.reports.categories else ()),
            limit=PAGE,
            offset=offset,
        ),
    )
    data = {
        "reports": [report_row(visit, one) for one in page.reports],
        "total": page.total,
        "counts": visit.rooms.reports.counts(visit.actor),
        "status": status,
        "category": category,
    }
    asked = (("status", status), ("category", category))
    return visit.render(
        "reports.html",
        data,
        offset=offset,
        limit=PAGE,
        query="".join(f"{key}={value}&" for key, value in asked if value),
        statuses=[one.value for one in Status],
        categories=visit.rooms.reports.categories,
    )


def report_row(visit: Visit, report: Report) -> dict[str, Any]:
    """A report as a line of a list."""
    return {
        "id": report.id,
        "href": address("reports", report.id),
        "description": written(visit, report),
        "category": report.category,
        "status": report.status,
        "level": item_of(report.document, visit.wording).level,
        "placeName": report.place_name,
        "receivedAt": report.received_at,
        "hasPhoto": bool(report.photo),
        "answers": len(report.answers),
    }


def written(visit: Visit, report: Report) -> str:
    """What its author wrote; or that it was erased, or cannot be read."""
    if text := visit.wording.said(report.description):
        return text
    if report.erased_at is not None:
        day = visit.wording.day(report.erased_at)
        return visit.gettext("Erased at the person's request on %(day)s") % {"day": day}
    return visit.gettext("These words cannot be read: their key is not here.")


async def show(visit: Visit) -> Response:
    """One report."""
    return _page(visit, visit.rooms.reports.get(visit.actor, visit.part("id")), Form(visit.language))


def _page(
    visit: Visit, report: Report, form: Form, *, status: int = 200, contact: Contact | None = None
) -> Response:
    may_answer = visit.actor.may(ANSWER)
    if not form.value("category"):
        form.fill(category=report.category)
    is_public = visit.rooms.reports.is_public(visit.actor, report.id)
    item = item_of(report.document, visit.wording, geometry=True)
    near = []
    if may_answer and item.geometry and item.geometry["type"] == "Point":
        longitude, latitude = item.geometry["coordinates"][:2]
        found = visit.rooms.reports.nearby(visit.actor, report.category, (longitude, latitude))
        near = [one for one in found if one.report.id != report.id]
    data = {
        **report_row(visit, report),
        "isPublic": is_public,
        "answers": [{"at": one.at, "text": one.text, "language": one.language} for one in report.answers],
        "closedAt": report.closed_at,
        "closedBecause": visit.wording.said(report.closed_because),
        "fixedByBody": report.fixed_by_body,
        "fixedByReporter": report.fixed_by_reporter,
        "duplicateOf": report.duplicate_of,
        "erasedAt": report.erased_at,
    }
    return visit.render(
        "report-staff.html",
        data,
        status=status,
        report=report,
        form=form,
        contact=contact,
        may_answer=may_answer,
        near=[(one, written(visit, one.report)) for one in near],
        outcomes=visit.rooms.initiatives.answering(visit.actor, report.id),
        replies=visit.rooms.reports.following.replies_to(visit.actor, report.id) if may_answer else [],
        sees_photo=bool(report.photo) and (report.photo_is_public or may_answer),
        categories=visit.choices(visit.rooms.reports.categories),
        place=place_drawing(visit, item, visit.gettext("Map of where the report is about")),
        history=[(one, _who(visit, one.by)) for one in reversed(report.history)] if may_answer else [],
    )


def _who(visit: Visit, by: str) -> str:
    return visit.gettext("the reporter") if by == "reporter" else visit.person(by)


async def photo(visit: Visit) -> Response:
    """The photo of a report that the reader may see."""
    content, media_type = await visit.rooms.reports.photo(visit.actor, visit.part("id"))
    return Response(content, media_type=media_type, headers={"cache-control": "private, max-age=300"})


async def handle(visit: Visit) -> Response:
    """What staff does with a report."""
    form = await visit.form()
    visit.require(ANSWER)
    report = visit.rooms.reports.get(visit.actor, visit.part("id"))
    act = form.choice("act", list(_ACTS), required=visit.gettext("Choose what to do."))
    try:
        form.raise_if_wrong()
        if act == "contact":
            contact = await visit.rooms.reports.contact(visit.actor, report.id)
            return _page(visit, report, form, contact=contact)
        told = await _do(visit, act, report.id, form)
    except WrongForm:
        return _page(visit, report, form, status=400)
    except (BadInput, Conflict) as error:
        form.take(error, "answer", "why", "category", "of")
        return _page(visit, visit.rooms.reports.get(visit.actor, report.id), form, status=400)
    undo = {"close": {"act": "reopen"}, "publish": {"act": "unpublish"}}.get(act)
    here = address("reports", report.id)
    return visit.redirect(here, told, undo=(here, undo) if undo else None)


async def _do(visit: Visit, act: str, report_id: str, form: Form) -> str:
    reports, actor, version = visit.rooms.reports, visit.actor, form.value("version")
    language = visit.language.code
    if act == "answer":
        text = form.text("answer", required=visit.gettext("Write an answer."), longest=LONGEST_ANSWER)
        form.raise_if_wrong()
        await reports.answer(actor, report_id, text, language=language, version=version)
        return visit.gettext("The answer is sent.")
    if act == "close":
        why = form.text("why", required=visit.gettext("Say why."), longest=LONGEST_ANSWER)
        form.raise_if_wrong()
        fixed = form.value("fixed") == "yes"
        await reports.close(actor, report_id, why, fixed=fixed, language=language, version=version)
        return visit.gettext("The report is closed.")
    if act == "sort":
        await reports.sort(actor, report_id, form.value("category"), version=version)
        return visit.gettext("Saved.")
    if act == "publish":
        with_photo = form.ticked("withPhoto")
        await reports.publish(actor, report_id, with_photo=with_photo, version=version)
        return visit.gettext("Everybody can read the report now.")
    if act == "duplicate":
        await reports.mark_duplicate(actor, report_id, form.text("of", longest=300), version=version)
        return visit.gettext("Saved.")
    if act == "unpublish":
        await reports.unpublish(actor, report_id)
        return visit.gettext("The report is no longer public.")
    await reports.reopen(actor, report_id)
    return visit.gettext("The report is open again.")
