"""Consultations: what everybody is asked, and who was heard."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import msgspec
from starlette.responses import Response

from cityloom.kernel.actor import InformationClass
from cityloom.kernel.errors import BadInput, Conflict, NotFound
from cityloom.people.contribution import (
    AGES,
    CHANNELS,
    LONGEST_TEXT,
    Contribution,
    Kind,
    NewContribution,
    heard,
)
from cityloom.people.contributions import Consulted
from cityloom.planning.records.model import Record
from cityloom.planning.stakeholders import words
from cityloom.planning.stakeholders.kinds import CONSULTATION, PERMISSION
from cityloom.planning.stakeholders.principles import Stage
from cityloom.web.addresses import address
from cityloom.web.forms import Form, WrongForm
from cityloom.web.pages.planning.links import is_there_for, link_to
from cityloom.web.pages.planning.stakeholder_words import all_said
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit

#: Contributions on one page of a list.
PAGE = 50


def add(pages: Pages) -> None:
    pages.get("/consultations", browse)
    pages.get("/consultations/{id}", show)
    pages.post("/consultations/{id}", send)


async def browse(visit: Visit) -> Response:
    """What the city asks everybody, and what came of it."""
    found, offset = visit.rooms.contributions.consultations(visit.actor), visit.whole("offset", 0)
    rows = [_row(visit, *one) for one in found[offset : offset + PAGE]]
    return visit.render(
        "consultations.html",
        {"total": len(found), "consultations": rows},
        stages=_stages(visit),
        offset=offset,
        limit=PAGE,
        may_edit=visit.actor.may(PERMISSION),
    )


def open_consultations(visit: Visit, most: int) -> list[dict[str, Any]]:
    """Those that everybody can take part in now; `most` of them at the most."""
    found = visit.rooms.contributions.consultations(visit.actor)
    chosen = (one for one in found if one[1].stage is Stage.OPEN)
    return [_row(visit, *one) for one in islice(chosen, most)]


def _row(visit: Visit, record: Record, where: Consulted) -> dict[str, Any]:
    return {
        "id": record.id,
        "href": address("consultations", record.id),
        "name": visit.wording.said(record.name),
        "stage": where.stage.value,
        "opens": as_text(record.get("opens")),
        "closes": as_text(record.get("closes")),
        "origin": visit.origin(record.origin),
    }


def _stages(visit: Visit) -> dict[str, str]:
    return {stage.value: visit.language.say(name) for stage, name in words.STAGES.items()}


async def show(visit: Visit) -> Response:
    """A consultation: its documents and questions, the form while it is open, and what came of it."""
    record = consultation_of(visit)
    form = Form.filled(visit.language, {"question": "0", "speaksFor": "citizens", "kind": "contribution"})
    return _page(visit, record, form)


def consultation_of(visit: Visit) -> Record:
    record = visit.rooms.records.find(visit.actor, visit.part("id"))
    if record is None or record.kind is not CONSULTATION or record.state == "discarded":
        raise NotFound("There is no such consultation", hint="See the list of them.")
    return record


def _page(visit: Visit, record: Record, form: Form, *, status: int = 200) -> Response:
    where = visit.rooms.contributions.stage_of(record)
    staff = visit.actor.sees(InformationClass.INTERNAL)
    every = _all_of(visit, record)
    numbers = heard(every, in_the_open=not staff)
    public = [_public(visit, one) for one in every if one.public_text]
    data = _row(visit, record, where) | {
        "about": visit.wording.said(record.get("about", {})),
        "documents": [
            {**one, "title": visit.wording.said(one.get("title", {}))} for one in record.get("documents", ())
        ],
        "questions": [visit.wording.said(one.get("question", {})) for one in record.get("questions", ())],
        "principles": [
            {
                "principle": one.principle.value,
                "holds": one.holds,
                "missing": [visit.language.say(text) for text in one.missing],
            }
            for one in where.checks
        ],
        "heard": msgspec.to_builtins(numbers),
        "contributions": public[:PAGE],
    }
    links = [[link_to(visit, name) for name in one["what"]] for one in public[:PAGE]]
    return visit.render(
        "consultation.html",
        data,
        status=status,
        record=record,
        form=form,
        stages=_stages(visit),
        principle_names={one.value: visit.language.say(name) for one, name in words.PRINCIPLES.items()},
        concerns=[link_to(visit, one) for one in record.get("concerns", ())],
        groups=all_said(visit, words.CATEGORIES),
        ages=ages(visit),
        channels=channels(visit),
        grievances=where.stage.value != "prepared" and record.get("grievanceSince") is not None,
        staff=staff,
        links=links,
        more=max(0, len(public) - PAGE),
    )


def _all_of(visit: Visit, record: Record) -> Sequence[Contribution]:
    """All of a consultation's, to be counted and for what of them is public, whoever asks."""
    return visit.rooms.contributions.counted(record.id)


def _public(visit: Visit, one: Contribution) -> dict[str, Any]:
    """What everybody may read of a contribution: what was looked through, and what it changed."""
    last = one.responses[-1] if one.responses else None
    return {
        "text": visit.wording.said(one.public_text),
        "speaksFor": one.speaks_for,
        "question": one.question,
        "changed": one.changed,
        "what": [name for name in last.what if is_there_for(visit, name)] if last else [],
    }


async def send(visit: Visit) -> Response:
    """Take a contribution or a grievance in; its author gets a code."""
    record = consultation_of(visit)
    form = await visit.form()
    try:
        new = typed(visit, record, form, kinds=list(Kind))
        receipt = await visit.rooms.contributions.submit(visit.actor, new, address=visit.address)
    except WrongForm:
        return _page(visit, record, form, status=400)
    except (BadInput, Conflict) as error:
        form.take(error, "text", "email", "phone", "question", "speaksFor")
        return _page(visit, record, form, status=400)
    return visit.redirect(f"/contribution/{receipt.code}?new=1")


def typed(
    visit: Visit, record: Record, form: Form, *, kinds: list[str], channel: str = "web"
) -> NewContribution:
    questions = [str(number) for number in range(len(record.get("questions", ())) + 1)]
    text = form.text("text", required=visit.gettext("Write something."), longest=LONGEST_TEXT)
    kind = form.choice("kind", kinds) or Kind.CONTRIBUTION.value
    question = form.choice("question", questions) or "0"
    group = form.choice("speaksFor", dict(words.CATEGORIES)) or "citizens"
    age = form.choice("age", list(AGES))
    email, phone = form.text("email", longest=254), form.text("phone", longest=40)
    form.raise_if_wrong()
    return NewContribution(
        consultation=record.id,
        text=text,
        kind=kind,
        question=int(question),
        speaks_for=group,
        age=age,
        language=visit.language.code,
        email=email,
        phone=phone,
        channel=channel,
        stakeholder=form.text("stakeholder", longest=500) if channel != "web" else "",
    )


def ages(visit: Visit) -> dict[str, str]:
    names = (
        visit.gettext("under 25"),
        visit.gettext("25 to 44"),
        visit.gettext("45 to 64"),
        visit.gettext("65 and over"),
    )
    return dict(zip(AGES, names, strict=True))


def channels(visit: Visit) -> dict[str, str]:
    names = (
        visit.gettext("on these pages"),
        visit.gettext("on paper"),
        visit.gettext("by telephone"),
        visit.gettext("at a meeting"),
    )
    return dict(zip(CHANNELS, names, strict=True))


def as_text(value: object) -> str:
    return "" if value is None else str(value)
