"""A questionnaire and what was answered to it, as data for pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from cityloom.planning.assessments.evaluating import Reason
from cityloom.planning.assessments.model import Assessment, Given
from cityloom.planning.assessments.questionnaire import (
    CHECKS,
    Kind,
    Question,
    Questionnaire,
    Texts,
)
from cityloom.web.drawing.scatter import Spot, draw_scatter
from cityloom.web.languages import noted as n
from cityloom.web.looks import name_of
from cityloom.web.visit import Visit

_CHECK_WORDS: Mapping[str, str] = {
    "yes": n("yes"),
    "partly": n("partly"),
    "no": n("no"),
    "notApplicable": n("does not apply"),
}
#: Other assessments by the same questions that one is compared with.
_MOST_OTHERS = 12

#: A name and values by dimension or formula.
Other: TypeAlias = tuple[str, Mapping[str, float | None]]


def subject_name(visit: Visit, subject: str) -> str:
    if not subject:
        return visit.city.name
    document = visit.rooms.broker.find(visit.actor, subject)
    return name_of(document, visit.wording) if document else subject


def question_row(visit: Visit, one: Question) -> dict[str, Any]:
    return {
        "id": one.id,
        "dimension": one.dimension,
        "kind": one.kind.value,
        "text": visit.wording.said(one.text),
        "hint": visit.wording.said(one.hint),
        "weight": one.weight,
        "required": one.required,
        "options": options(visit, one),
        "action": visit.wording.said(one.action),
    }


def options(visit: Visit, one: Question) -> list[tuple[str, str]]:
    """What can be chosen, with its words; none where something is typed."""
    if one.kind is Kind.CHECK:
        return [(value, visit.gettext(_CHECK_WORDS[value])) for value in CHECKS]
    if one.kind is Kind.CHOICE:
        return [(option.id, visit.wording.said(option.text)) for option in one.options]
    if one.kind is Kind.SCALE:
        least, most = (int(end) for end in one.ends)
        words = {value: str(value) for value in range(least, most + 1)}
        if one.end_texts:
            low, high = (visit.wording.said(text) for text in one.end_texts)
            words |= {least: f"{least}: {low}", most: f"{most}: {high}"}
        return [(str(value), text) for value, text in words.items()]
    return []


def category_row(visit: Visit, asked: Questionnaire, name: str) -> dict[str, Any] | None:
    found = next((one for one in asked.categories if one.id == name), None)
    if found is None:
        return None
    return {
        "id": found.id,
        "title": visit.wording.said(found.title),
        "text": visit.wording.said(found.text),
        "advice": [visit.wording.said(one) for one in found.advice],
        "when": found.when,
    }


def case_rows(visit: Visit, asked: Questionnaire) -> list[dict[str, Any]]:
    return [
        {
            "id": case.id,
            "title": visit.wording.said(case.title),
            "ways": [
                {"id": one.id, "text": visit.wording.said(one.text), "when": one.when} for one in case.ways
            ],
        }
        for case in asked.cases
    ]


def advice_rows(visit: Visit, asked: Questionnaire, given: Given) -> list[dict[str, Any]]:
    """What is advised in each case, with the formula that held; `way` is empty where it cannot be told."""
    rows = []
    for case in asked.cases:
        way = case.way(given.result.advised.get(case.id, ""))
        rows.append(
            {
                "case": case.id,
                "title": visit.wording.said(case.title),
                "way": way.id if way else "",
                "text": visit.wording.said(way.text) if way else "",
                "when": way.when if way else "",
            }
        )
    return rows


def reference_rows(visit: Visit, asked: Questionnaire) -> list[dict[str, Any]]:
    return [
        {
            "name": one.name,
            "category": (category_row(visit, asked, one.category) or {}).get("title", ""),
            "values": one.values,
            "note": visit.wording.said(one.note),
            "provenance": one.provenance,
        }
        for one in asked.references
    ]


def reason_row(visit: Visit, asked: Questionnaire, one: Reason) -> dict[str, Any]:
    question = asked.question(one.question)
    words = dict(options(visit, question)) if question else {}
    return {
        "category": (category_row(visit, asked, one.category) or {}).get("title", one.category),
        "question": visit.wording.said(question.text) if question else "",
        "answer": words.get(str(one.answer), str(one.answer)),
        "points": one.points,
        "formula": one.formula,
    }


def answer_rows(visit: Visit, asked: Questionnaire, given: Given) -> list[dict[str, Any]]:
    rows = []
    for question in asked.questions:
        answer = given.answers.get(question.id)
        words = dict(options(visit, question))
        value = None if answer is None else answer.value
        shown = str(int(value)) if question.kind is Kind.SCALE and isinstance(value, float) else str(value)
        rows.append(
            {
                "id": question.id,
                "question": visit.wording.said(question.text),
                "value": value,
                "words": "" if value is None else words.get(shown, shown),
                "evidence": answer.evidence if answer else "",
            }
        )
    return rows


def action_row(visit: Visit, asked: Questionnaire, name: str) -> dict[str, str]:
    question = asked.question(name)
    texts: Texts = question.action if question else {}
    return {
        "id": name,
        "question": visit.wording.said(question.text) if question else name,
        "action": visit.wording.said(texts) if texts else "",
    }


def others_like(visit: Visit, found: Assessment) -> list[Other]:
    """What else was assessed by the same questions: each by its name, with its newest values."""
    same = visit.rooms.assessments.list(visit.actor, questionnaire=found.questionnaire)
    newest: dict[str, Assessment] = {}
    for one in same:
        if one.id != found.id and one.subject != found.subject:
            newest.setdefault(one.subject, one)
    several = list(newest.values())[:_MOST_OTHERS]
    return [(subject_name(visit, one.subject), one.newest.result.values) for one in several]


def compared_rows(
    visit: Visit, asked: Questionnaire, given: Given, others: Sequence[Other]
) -> list[dict[str, Any]]:
    """Dimensions and formulas by name, with the values of what it is compared with, where in hand."""
    titles = {one.id: one.title for one in asked.dimensions} | asked.formula_titles
    counts = {one.id: one for one in given.result.dimensions}
    return [
        {
            "name": visit.wording.said(title),
            "value": given.result.values.get(name),
            "answered": counts[name].answered if name in counts else None,
            "asked": counts[name].asked if name in counts else None,
            "references": [one.values.get(name) for one in asked.references],
            "others": [values.get(name) for _, values in others],
        }
        for name, title in titles.items()
    ]


def scatter_of(
    visit: Visit, asked: Questionnaire, found: Assessment, given: Given, others: Sequence[Other]
) -> Any:
    """The picture of two values, where the questionnaire has one and both are known."""
    if asked.scatter is None:
        return None
    titles = {one.id: visit.wording.said(one.title) for one in asked.dimensions}
    x, y = asked.scatter.x, asked.scatter.y
    cases: list[Other] = [
        (subject_name(visit, found.subject), given.result.values),
        *others,
        *((one.name, one.values) for one in asked.references),
    ]
    spots = []
    for name, values in cases:
        across, up = values.get(x), values.get(y)
        if across is not None and up is not None:
            spots.append(Spot(name, across, up))
    if not spots:
        return None
    title = visit.gettext("%(x)s against %(y)s", x=titles.get(x, x), y=titles.get(y, y))
    return draw_scatter(spots, title=title, x=titles.get(x, x), y=titles.get(y, y)).svg
