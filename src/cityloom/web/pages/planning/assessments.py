"""Questionnaires, checklists and classifications: what they ask, what was answered, what it comes to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from cityloom.kernel.errors import BadInput, Conflict
from cityloom.ngsild.model import value_of
from cityloom.planning.assessments.assessments import EDIT
from cityloom.planning.assessments.evaluating import Answer
from cityloom.planning.assessments.model import Assessment, Given
from cityloom.planning.assessments.questionnaire import (
    Kind,
    Questionnaire,
)
from cityloom.web.addresses import address
from cityloom.web.forms import Form, WrongForm
from cityloom.web.languages import noted as n
from cityloom.web.looks import name_of
from cityloom.web.pages.planning.assessment_rows import (
    action_row,
    advice_rows,
    answer_rows,
    case_rows,
    category_row,
    compared_rows,
    others_like,
    question_row,
    reason_row,
    reference_rows,
    scatter_of,
    subject_name,
)
from cityloom.web.pages.routing import Pages
from cityloom.web.taken_along import csv_of
from cityloom.web.visit import Visit

HERE = "/plan/assessments"
GROUPS: Mapping[str, str] = {
    "city": n("The city"),
    "programme": n("The programme"),
    "initiative": n("An initiative"),
    "service": n("A service"),
    "indicator": n("An indicator"),
    "security": n("Security"),
}
#: Entities of a type that are offered as what a questionnaire is about.
_MOST_SUBJECTS = 500
#: Fields that a questionnaire's form may send.
_MOST_FIELDS = 500


def add(pages: Pages) -> None:
    pages.data(f"{HERE}.csv", as_csv)
    pages.get(HERE, browse)
    pages.get(f"{HERE}/answers/{{id}}/edit", show_edit, json=False)
    pages.post(f"{HERE}/answers/{{id}}/edit", answer_again)
    pages.get(f"{HERE}/answers/{{id}}", show_result, pdf=True)
    pages.post(f"{HERE}/answers/{{id}}", handle)
    pages.get(f"{HERE}/{{questionnaire}}/answer", show_form, json=False)
    pages.post(f"{HERE}/{{questionnaire}}/answer", answer)
    pages.get(f"{HERE}/{{questionnaire}}", show)


async def browse(visit: Visit) -> Response:
    """All questionnaires by what they are about, with what was answered last."""
    found = visit.rooms.assessments.library.questionnaires.values()
    data = {
        "questionnaires": [_listed(visit, one) for one in found],
        "answers": [_row(visit, one) for one in visit.rooms.assessments.list(visit.actor)],
    }
    groups = [(name, visit.gettext(words)) for name, words in GROUPS.items()]
    return visit.render("plan-assessments.html", data, groups=groups, may_edit=visit.actor.may(EDIT))


def _listed(visit: Visit, one: Questionnaire) -> dict[str, Any]:
    return {
        "id": one.id,
        "href": address("plan", "assessments", one.id),
        "group": one.group,
        "title": visit.wording.said(one.title),
        "about": visit.wording.said(one.about),
        "questions": len(one.questions),
    }


def _row(visit: Visit, one: Assessment) -> dict[str, Any]:
    """An assessment as it is listed."""
    asked = visit.rooms.assessments.questionnaire(one.questionnaire)
    result = one.newest.result
    category = next((each for each in asked.categories if each.id == result.category), None)
    return {
        "id": one.id,
        "href": address("plan", "assessments", "answers", one.id),
        "questionnaire": one.questionnaire,
        "title": visit.wording.said(asked.title),
        "subject": one.subject,
        "subjectName": subject_name(visit, one.subject),
        "at": one.newest.at,
        "versions": len(one.versions),
        "score": result.score,
        "category": visit.wording.said(category.title) if category else "",
        "answered": result.answered,
        "asked": result.asked,
        "isPublic": bool(one.published_at),
        "origin": visit.origin(value_of(one.document, "dataOrigin")),
    }


async def as_csv(visit: Visit) -> Response:
    """What was answered last, one row an assessment."""
    rows = [_row(visit, one) for one in visit.rooms.assessments.list(visit.actor)]
    columns = ["id", "questionnaire", "subject", "at", "versions", "score", "category", "answered", "asked"]
    return csv_of(visit, "assessments", columns, rows)


async def show(visit: Visit) -> Response:
    """What a questionnaire asks, where it comes from, and what was answered to it."""
    asked = visit.rooms.assessments.questionnaire(visit.part("questionnaire"))
    answers = visit.rooms.assessments.list(visit.actor, questionnaire=asked.id)
    data = {
        **_listed(visit, asked),
        "source": asked.source,
        "edition": asked.edition,
        "provenance": visit.wording.said(asked.provenance),
        "asked": [question_row(visit, one) for one in asked.questions],
        "categories": [category_row(visit, asked, one.id) for one in asked.categories],
        "cases": case_rows(visit, asked),
        "references": reference_rows(visit, asked),
        "answers": [_row(visit, one) for one in answers],
    }
    return visit.render("plan-assessment.html", data, may_edit=visit.actor.may(EDIT))


# Results


async def show_result(visit: Visit) -> Response:
    """What was answered and what it comes to, with the reasons; an earlier version by ?version=."""
    found = visit.rooms.assessments.get(visit.actor, visit.part("id"))
    return _result_page(visit, found, Form(visit.language))


def _result_page(visit: Visit, found: Assessment, form: Form, *, status: int = 200) -> Response:
    asked = visit.rooms.assessments.questionnaire(found.questionnaire)
    last = len(found.versions)
    number = visit.whole("version", last, least=1, most=last)
    given = found.versions[number - 1]
    others = others_like(visit, found)
    data = {
        **_row(visit, found),
        "shownVersion": number,
        "givenAt": given.at,
        "sameEdition": given.digest == asked.digest(),
        "result": given.result,
        "category": category_row(visit, asked, given.result.category),
        "tied": [category_row(visit, asked, one) for one in given.result.tied],
        "reasons": [reason_row(visit, asked, one) for one in given.result.reasons],
        "given": answer_rows(visit, asked, given),
        "actions": [action_row(visit, asked, one) for one in given.result.open_actions],
        "missing": [action_row(visit, asked, one) for one in given.result.missing],
        "references": reference_rows(visit, asked),
        "advised": advice_rows(visit, asked, given),
        "compared": compared_rows(visit, asked, given, others),
        "others": [{"name": name, "values": values} for name, values in others],
    }
    may_edit = visit.actor.may(EDIT) and not found.is_published_copy
    return visit.render(
        "plan-assessment-result.html",
        data,
        status=status,
        form=form,
        found=found,
        may_edit=may_edit,
        scatter=scatter_of(visit, asked, found, given, others),
        past=[(place, one.at, _who(visit, one)) for place, one in enumerate(found.versions, 1)],
        note=given.note,
    )


def _who(visit: Visit, given: Given) -> str:
    return visit.person(given.by) if given.by else ""


# Answering


async def show_form(visit: Visit) -> Response:
    """The form of a questionnaire."""
    visit.require(EDIT)
    asked = visit.rooms.assessments.questionnaire(visit.part("questionnaire"))
    return _form_page(visit, asked, Form.filled(visit.language, {"subject": visit.query("subject")}), None)


async def show_edit(visit: Visit) -> Response:
    """The form with the newest answers in it."""
    visit.require(EDIT)
    found = visit.rooms.assessments.get(visit.actor, visit.part("id"))
    asked = visit.rooms.assessments.questionnaire(found.questionnaire)
    values: dict[str, object] = {"version": found.version}
    for name, one in found.newest.answers.items():
        whole = isinstance(one.value, float) and one.value.is_integer()
        values[f"q_{name}"] = int(one.value) if whole else one.value
        values[f"e_{name}"] = one.evidence
    return _form_page(visit, asked, Form.filled(visit.language, values), found)


def _form_page(
    visit: Visit, asked: Questionnaire, form: Form, found: Assessment | None, *, status: int = 200
) -> Response:
    titles = {one.id: visit.wording.said(one.title) for one in asked.dimensions}
    return visit.render(
        "plan-assessment-form.html",
        status=status,
        form=form,
        found=found,
        asked=asked,
        title=visit.wording.said(asked.title),
        about=visit.wording.said(asked.about),
        questions=[question_row(visit, one) for one in asked.questions],
        dimensions=titles,
        subjects=_subjects(visit, asked),
    )


def _subjects(visit: Visit, asked: Questionnaire) -> list[tuple[str, str]]:
    """What the questionnaire may be about."""
    found = [
        (one["id"], name_of(one, visit.wording))
        for kind in asked.subjects
        for one in visit.rooms.broker.of_type(visit.actor, kind)
    ]
    return sorted(found, key=lambda pair: pair[1])[:_MOST_SUBJECTS]


async def answer(visit: Visit) -> Response:
    """Keep the answers to a questionnaire."""
    form = await visit.form(most_fields=_MOST_FIELDS)
    visit.require(EDIT)
    rooms = visit.rooms.assessments
    asked = rooms.questionnaire(visit.part("questionnaire"))
    try:
        given = _typed(visit, asked, form)
        subject, note = form.text("subject", longest=500), form.text("note", longest=2000)
        form.raise_if_wrong()
        made = await rooms.answer(visit.actor, asked.id, given, subject=subject, note=note)
    except (WrongForm, BadInput) as error:
        return _wrong(visit, asked, form, None, error)
    return visit.redirect(address("plan", "assessments", "answers", made.id), visit.gettext("Saved."))


async def answer_again(visit: Visit) -> Response:
    """Keep a new version of the answers."""
    form = await visit.form(most_fields=_MOST_FIELDS)
    visit.require(EDIT)
    rooms = visit.rooms.assessments
    found = rooms.get(visit.actor, visit.part("id"))
    asked = rooms.questionnaire(found.questionnaire)
    try:
        given = _typed(visit, asked, form)
        note = form.text("note", longest=2000)
        form.raise_if_wrong()
        made = await rooms.answer_again(
            visit.actor, found.id, given, note=note, version=form.value("version")
        )
    except (WrongForm, BadInput, Conflict) as error:
        return _wrong(visit, asked, form, found, error)
    told = visit.gettext("Saved as a new version; the ones before stay.")
    return visit.redirect(address("plan", "assessments", "answers", made.id), told)


def _wrong(
    visit: Visit, asked: Questionnaire, form: Form, found: Assessment | None, error: BadInput | Conflict
) -> Response:
    if not isinstance(error, WrongForm):
        place = error.where or ""
        if asked.question(place):
            form.wrong(f"q_{place}", form.words_of(error))
        else:
            form.take(error, "subject", "note")
    return _form_page(visit, asked, form, found, status=400)


def _typed(visit: Visit, asked: Questionnaire, form: Form) -> dict[str, Answer]:
    """What was answered; questions that were left out are left out."""
    given: dict[str, Answer] = {}
    for one in asked.questions:
        name = f"q_{one.id}"
        evidence = form.text(f"e_{one.id}", longest=2000)
        value: str | float | None
        if one.kind in (Kind.SCALE, Kind.NUMBER):
            value = form.number(name)
        else:
            value = form.text(name, longest=2000) or None
        if value is not None:
            given[one.id] = Answer(value, evidence)
        elif evidence:
            form.wrong(name, visit.gettext("Answer it too, or leave out the evidence."))
    return given


async def handle(visit: Visit) -> Response:
    """Publish what was answered, or take it back."""
    form = await visit.form()
    visit.require(EDIT)
    rooms = visit.rooms.assessments
    found = rooms.get(visit.actor, visit.part("id"))
    act = form.choice("act", ["publish", "withdraw"], required=visit.gettext("Choose what to do."))
    try:
        form.raise_if_wrong()
        if act == "publish":
            await rooms.publish(visit.actor, found.id, version=form.value("version"))
            told = visit.gettext(
                "Published: everybody sees the answers and the result, without the evidence."
            )
        else:
            await rooms.withdraw(visit.actor, found.id)
            told = visit.gettext("Taken back.")
    except WrongForm:
        return _result_page(visit, found, form, status=400)
    except (BadInput, Conflict) as error:
        form.take(error)
        return _result_page(visit, found, form, status=400)
    return visit.redirect(address("plan", "assessments", "answers", found.id), told)
