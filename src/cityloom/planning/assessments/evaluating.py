"""From answers to scores, a category and the reasons for it. Pure.

What is not answered is left out and counted, never taken for no.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

import msgspec

from cityloom.kernel.errors import BadInput
from cityloom.kernel.numbers import is_number
from cityloom.kernel.texts import check_text
from cityloom.kernel.worded import Worded
from cityloom.planning.assessments.formulas import evaluate, names_in
from cityloom.planning.assessments.questionnaire import (
    CHECKS,
    Category,
    Kind,
    Question,
    Questionnaire,
)

LONGEST_TEXT = 2000


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """An answer, and what it rests on in the words of whoever gave it."""

    value: str | float
    evidence: str = ""


class DimensionScore(msgspec.Struct, frozen=True, rename="camel"):
    """A dimension's weighted mean, None where nothing of it has a score."""

    id: str
    score: float | None
    answered: int
    asked: int


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a category: an answer with its points, or a formula that holds."""

    category: str
    question: str = ""
    answer: str | float = ""
    points: float = 0.0
    formula: str = ""


class Result(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the answers come to. Ids stand for texts, so that it can be told in any language."""

    score: float | None
    dimensions: tuple[DimensionScore, ...]
    values: dict[str, float | None]
    #: "" where too little is answered, or nothing speaks for any.
    category: str = ""
    #: Categories with as many points as the first: then none of them is certain.
    tied: tuple[str, ...] = ()
    points: dict[str, float] = {}
    reasons: tuple[Reason, ...] = ()
    #: Ids of the ways that are advised, by case; a case of which too little is known is left out.
    advised: dict[str, str] = {}
    answered: int
    asked: int
    unanswered: tuple[str, ...] = ()
    #: Checks that are not or only partly met, the most weighty first; those a gate waits for.
    open_actions: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def check_answers(questionnaire: Questionnaire, answers: Mapping[str, Answer]) -> dict[str, Answer]:
    """The answers as they are kept. Raises BadInput naming the question."""
    checked = {}
    for name, answer in answers.items():
        question = questionnaire.question(name)
        if question is None:
            raise BadInput(
                Worded("There is no such question"), hint=Worded("Load the questionnaire again."), where=name
            )
        evidence = check_text(answer.evidence, where=name, longest=LONGEST_TEXT, optional=True)
        checked[name] = Answer(_checked(question, answer.value), evidence)
    return checked


def evaluated(questionnaire: Questionnaire, answers: Mapping[str, Answer]) -> Result:
    """What checked answers come to."""
    scores = {
        one.id: _score(one, answers[one.id].value) for one in questionnaire.questions if one.id in answers
    }
    dimensions = tuple(_dimension(questionnaire, one.id, scores) for one in questionnaire.dimensions)
    values = _values(questionnaire, answers, scores, dimensions)
    unanswered = tuple(one.id for one in questionnaire.questions if one.id not in answers)
    asked = len(questionnaire.questions)
    score = _whole(questionnaire, scores) if questionnaire.scored else None
    enough = 100.0 * (asked - len(unanswered)) >= questionnaire.least_answered * asked
    points, reasons = _points(questionnaire, answers)
    category, tied = _category(questionnaire, points, {**values, "score": score}) if enough else ("", ())
    weak = [
        one for one in questionnaire.questions if one.kind is Kind.CHECK and scores.get(one.id) in (0.0, 50.0)
    ]
    met = {one for one, answer in answers.items() if answer.value in ("yes", "notApplicable")}
    return Result(
        score=score,
        dimensions=dimensions,
        values=values,
        category=category,
        tied=tied,
        points=points,
        reasons=tuple(reasons) or _held(questionnaire, category),
        advised=_advised(questionnaire, {**scores, **values, "score": score}) if enough else {},
        answered=asked - len(unanswered),
        asked=asked,
        unanswered=unanswered,
        open_actions=tuple(
            one.id for one in sorted(weak, key=lambda one: (scores[one.id] or 0.0, -one.weight))
        ),
        missing=tuple(one.id for one in questionnaire.questions if one.required and one.id not in met),
    )


def _checked(question: Question, value: str | float) -> str | float:
    if question.kind is Kind.EVIDENCE:
        return check_text(str(value), where=question.id, longest=LONGEST_TEXT)
    if question.kind is Kind.CHOICE and question.option(str(value)) is not None:
        return str(value)
    if question.kind is Kind.CHECK and value in CHECKS:
        return str(value)
    if question.kind is Kind.NUMBER and is_number(value) and isfinite(value):
        return float(value)
    if question.kind is Kind.SCALE and is_number(value):
        least, most = question.ends
        if least <= float(value) <= most and float(value).is_integer():
            return float(value)
    raise BadInput(
        Worded("This is no answer to the question"),
        hint=Worded("Choose one of those offered."),
        where=question.id,
    )


def _score(question: Question, value: str | float) -> float | None:
    if question.kind is Kind.CHECK:
        return CHECKS[str(value)]
    if question.kind is Kind.CHOICE:
        option = question.option(str(value))
        return option.score if option else None
    if question.kind is Kind.EVIDENCE:
        return None
    worst, best = question.ends
    return min(100.0, max(0.0, 100.0 * (float(value) - worst) / (best - worst)))


def _mean(weighed: list[tuple[float, float]]) -> float | None:
    total = sum(weight for weight, _ in weighed)
    return sum(weight * score for weight, score in weighed) / total if total else None


def _dimension(questionnaire: Questionnaire, name: str, scores: Mapping[str, float | None]) -> DimensionScore:
    asked = [one for one in questionnaire.questions if one.dimension == name]
    known = [(one.weight, score) for one in asked if (score := scores.get(one.id)) is not None]
    return DimensionScore(name, _mean(known), sum(one.id in scores for one in asked), len(asked))


def _whole(questionnaire: Questionnaire, scores: Mapping[str, float | None]) -> float | None:
    """The mean of the dimensions by their weights, or of all questions where there are no dimensions."""
    if questionnaire.dimensions:
        parts = [
            (one.weight, _dimension(questionnaire, one.id, scores).score) for one in questionnaire.dimensions
        ]
    else:
        parts = [(one.weight, scores.get(one.id)) for one in questionnaire.questions]
    return _mean([(weight, score) for weight, score in parts if score is not None])


def _values(
    questionnaire: Questionnaire,
    answers: Mapping[str, Answer],
    scores: Mapping[str, float | None],
    dimensions: tuple[DimensionScore, ...],
) -> dict[str, float | None]:
    """Dimensions and formulas by name."""
    told: dict[str, float | None] = {one.id: one.score for one in dimensions}
    known = {**scores, **told}
    for one in questionnaire.questions:
        if one.kind is Kind.NUMBER and one.id in answers:
            known[one.id] = float(answers[one.id].value)
    for name, formula in questionnaire.formulas.items():
        found = evaluate(formula, known)
        told[name] = known[name] = None if found is None else float(found)
    return told


def _points(
    questionnaire: Questionnaire, answers: Mapping[str, Answer]
) -> tuple[dict[str, float], list[Reason]]:
    points: dict[str, float] = {}
    reasons: list[Reason] = []
    for question in questionnaire.questions:
        option = question.option(str(answers[question.id].value)) if question.id in answers else None
        for category, count in option.points.items() if option else ():
            points[category] = points.get(category, 0.0) + count * question.weight
            reasons.append(
                Reason(category, question.id, option.id if option else "", count * question.weight)
            )
    return points, reasons


def _category(
    questionnaire: Questionnaire, points: Mapping[str, float], values: Mapping[str, float | None]
) -> tuple[str, tuple[str, ...]]:
    by_formula = next(
        (one.id for one in questionnaire.categories if one.when and evaluate(one.when, values)), ""
    )
    if by_formula or not points:
        return by_formula, ()
    most = max(points.values())
    first = [one.id for one in questionnaire.categories if points.get(one.id, 0.0) == most]
    if most <= 0 or not first:
        return "", ()
    return (first[0], ()) if len(first) == 1 else ("", tuple(first))


def _held(questionnaire: Questionnaire, category: str) -> tuple[Reason, ...]:
    found: list[Category] = [one for one in questionnaire.categories if one.id == category and one.when]
    return tuple(Reason(one.id, formula=one.when) for one in found)


def _advised(questionnaire: Questionnaire, values: Mapping[str, float | None]) -> dict[str, str]:
    """The way of each case: none where a formula before the first that holds cannot be told."""
    found = {}
    for case in questionnaire.cases:
        for way in case.ways:
            held = evaluate(way.when, values) if way.when else True
            if held is None:
                break
            if held:
                found[case.id] = way.id
                break
    return found


def names_used(questionnaire: Questionnaire) -> set[str]:
    """The names that formulas and categories of a questionnaire need. Raises BadInput."""
    several = [*questionnaire.formulas.values(), *(one.when for one in questionnaire.categories if one.when)]
    several += [way.when for case in questionnaire.cases for way in case.ways if way.when]
    return set().union(*(names_in(one) for one in several)) if several else set()
