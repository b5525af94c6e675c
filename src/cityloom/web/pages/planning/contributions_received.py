"""Contributions as the staff has them: received, entered from paper, answered, looked through."""

from __future__ import annotations

import asyncio
from typing import Any

from markupsafe import Markup
from starlette.responses import Response

from cityloom.kernel.errors import BadInput, CityError, Conflict
from cityloom.people.contribution import (
    CHANNELS,
    LONGEST_RESPONSE,
    LONGEST_TEXT,
    Contribution,
    Kind,
    seems_personal,
)
from cityloom.planning.records.model import Record
from cityloom.planning.stakeholders import words
from cityloom.planning.stakeholders.kinds import PERMISSION
from cityloom.web.addresses import address
from cityloom.web.forms import Form, WrongForm
from cityloom.web.pages.planning.consultations import PAGE, ages, as_text, channels, consultation_of, typed
from cityloom.web.pages.planning.links import link_to
from cityloom.web.pages.planning.naming import named, offered, projects
from cityloom.web.pages.planning.stakeholder_words import all_said, said, staff_only
from cityloom.web.pages.routing import Pages
from cityloom.web.taken_along import csv_file
from cityloom.web.visit import Visit

_ACTS = ("answer", "publish", "contact")


def add(pages: Pages) -> None:
    pages.data("/plan/contributions/{id}/all.csv", table)
    pages.get("/plan/contributions/{id}/all", received)
    pages.get("/plan/contributions/{id}/enter", show_entry, json=False)
    pages.post("/plan/contributions/{id}/enter", enter)
    pages.get("/plan/contributions/{id}", show_one)
    pages.post("/plan/contributions/{id}", handle)


async def received(visit: Visit) -> Response:
    """The contributions to a consultation: what waits for an answer first."""
    staff_only(visit)
    record = consultation_of(visit)
    found = visit.rooms.contributions.of(visit.actor, record.id)
    offset = visit.whole("offset", 0)
    rows = [_line(visit, one) for one in found[offset : offset + PAGE]]
    return visit.render(
        "plan-contributions.html",
        {"total": len(found), "waiting": sum(not one.responses for one in found), "contributions": rows},
        record=record,
        offset=offset,
        limit=PAGE,
        path=address("plan", "contributions", record.id, "all"),
        may_edit=visit.actor.may(PERMISSION),
    )


async def table(visit: Visit) -> Response:
    """All of them as CSV."""
    staff_only(visit)
    record = consultation_of(visit)
    every = visit.rooms.contributions.of(visit.actor, record.id)
    rows = await visit.desk.turns.all([as_text(cell) for cell in _line(visit, one).values()] for one in every)
    columns = [
        "id",
        "href",
        "kind",
        "status",
        "receivedAt",
        "group",
        "channel",
        "text",
        "changed",
        "response",
    ]
    return await asyncio.to_thread(csv_file, visit, "contributions", [columns, *rows])


def _line(visit: Visit, one: Contribution) -> dict[str, Any]:
    return {
        "id": one.id,
        "href": address("plan", "contributions", one.id),
        "kind": one.kind,
        "status": one.status,
        "receivedAt": one.received_at,
        "group": said(visit, words.CATEGORIES, one.speaks_for),
        "channel": channels(visit).get(one.channel, one.channel),
        "text": _written(visit, one),
        "changed": one.changed,
        "response": one.responses[-1].text if one.responses else "",
    }


def _written(visit: Visit, one: Contribution) -> str:
    """What its author wrote; or that it was erased."""
    text = visit.wording.said(one.text)
    if text or one.erased_at is None:
        return text
    return visit.gettext("What was written is erased.")


async def show_one(visit: Visit) -> Response:
    """One contribution, to be answered and looked through."""
    staff_only(visit)
    return _one_page(visit, Form(visit.language))


def _one_page(visit: Visit, form: Form, *, status: int = 200, contact: Any = None) -> Response:
    one = visit.rooms.contributions.get(visit.actor, visit.part("id"))
    record = visit.rooms.records.find(visit.actor, one.consultation)
    text = _written(visit, one)
    near = {*(record.get("concerns", ()) if record is not None else ()), *form.values("what")}
    shown, is_all = offered(projects(visit), near)
    return visit.render(
        "plan-contribution.html",
        _line(visit, one) | {"publicText": visit.wording.said(one.public_text)},
        status=status,
        one=one,
        written=text,
        form=form,
        record=record,
        question=_question(visit, record, one),
        flagged=[_flags(visit)[name] for name in seems_personal(text)],
        projects=shown,
        all_projects=is_all,
        links=_changed_links(visit, one),
        who={response.by: visit.person(response.by) for response in one.responses},
        contact=contact,
        may_edit=visit.actor.may(PERMISSION),
    )


def _changed_links(visit: Visit, one: Contribution) -> list[list[Markup]]:
    """For each response the links to what it changed."""
    return [[link_to(visit, name) for name in response.what] for response in one.responses]


def _question(visit: Visit, record: Record | None, one: Contribution) -> str:
    questions = record.get("questions", ()) if record is not None else ()
    asked = questions[one.question - 1].get("question") if 0 < one.question <= len(questions) else {}
    return visit.wording.said(asked)


def _flags(visit: Visit) -> dict[str, str]:
    return {
        "email": visit.gettext("an e-mail address"),
        "phone": visit.gettext("a telephone number"),
        "civil": visit.gettext("a civil registration number"),
    }


async def handle(visit: Visit) -> Response:
    """Answer a contribution, let everybody read it, or see how to reach its author."""
    form = await visit.form()
    visit.require(PERMISSION)
    act = form.choice("act", list(_ACTS), required=visit.gettext("Choose what to do."))
    try:
        form.raise_if_wrong()
        return await _do(visit, act, form)
    except WrongForm:
        return _one_page(visit, form, status=400)
    except (BadInput, Conflict) as error:
        form.take(error, "text", "what", "publicText")
        return _one_page(visit, form, status=400)


async def _do(visit: Visit, act: str, form: Form) -> Response:
    room, one_id, version = visit.rooms.contributions, visit.part("id"), form.value("version")
    if act == "contact":
        return _one_page(visit, form, contact=await room.contact(visit.actor, one_id))
    language = visit.language.code
    if act == "publish":
        text = form.text("publicText", longest=LONGEST_TEXT)
        await room.publish(visit.actor, one_id, text, language=language, version=version)
        told = (
            visit.gettext("Everybody reads it now.")
            if text
            else visit.gettext("Nobody outside reads it now.")
        )
    else:
        text = form.text("text", required=visit.gettext("Write an answer."), longest=LONGEST_RESPONSE)
        changed = form.choice(
            "changed", ["yes", "no"], required=visit.gettext("Say whether it changed something.")
        )
        what = [*form.values("what"), *named(visit, form, "what_named", projects(visit))]
        form.raise_if_wrong()
        await room.answer(
            visit.actor,
            one_id,
            text,
            changed=changed == "yes",
            what=list(dict.fromkeys(what)),
            language=language,
            version=version,
        )
        told = visit.gettext("Answered. Its author reads it with their code.")
    return visit.redirect(address("plan", "contributions", one_id), told)


async def show_entry(visit: Visit) -> Response:
    """The form for what came on paper, by telephone or at a meeting."""
    visit.require(PERMISSION)
    form = Form.filled(visit.language, {"question": "0", "speaksFor": "citizens", "channel": "paper"})
    return _entry_page(visit, consultation_of(visit), form)


async def enter(visit: Visit) -> Response:
    """Write down what came on paper, by telephone or at a meeting."""
    record = consultation_of(visit)
    form = await visit.form()
    visit.require(PERMISSION)
    try:
        channel = form.choice("channel", [one for one in CHANNELS if one != "web"], required="–")
        new = typed(visit, record, form, kinds=list(Kind), channel=channel or "paper")
        receipt = await visit.rooms.contributions.submit(visit.actor, new)
    except WrongForm:
        return _entry_page(visit, record, form, status=400)
    except CityError as error:
        form.take(error, "text", "email", "phone", "question", "speaksFor", "stakeholder")
        return _entry_page(visit, record, form, status=400)
    told = visit.gettext("Written down. The code for its author: %(code)s", code=receipt.code)
    return visit.redirect(address("plan", "contributions", record.id, "all"), told)


def _entry_page(visit: Visit, record: Record, form: Form, *, status: int = 200) -> Response:
    stakeholders = visit.rooms.records.list(visit.actor, "Stakeholder")
    return visit.render(
        "plan-contribution-entry.html",
        status=status,
        record=record,
        form=form,
        groups=all_said(visit, words.CATEGORIES),
        ages=ages(visit),
        channels={key: name for key, name in channels(visit).items() if key != "web"},
        stakeholders=[(one.id, visit.wording.said(one.name)) for one in stakeholders],
        path=address("plan", "contributions", record.id, "enter"),
        back=address("plan", "contributions", record.id, "all"),
    )
