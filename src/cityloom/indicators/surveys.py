"""Surveys among the people, of which a value may be the result. Pure.

A survey is a participation process of the kind survey, as planning publishes it: an Entity of the type
EngagementActivity whose `citizens` says how many answered.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import msgspec

from cityloom.context.reading import texts, word
from cityloom.indicators.model import Entry, Quality, Texts
from cityloom.indicators.reading import count_in
from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.ngsild.model import Document

#: The type of Entity that a survey is, and what tells it from other processes.
ACTIVITY, SURVEY = "EngagementActivity", "survey"


class Survey(msgspec.Struct, frozen=True):
    """A survey that is over, with what is public of it."""

    id: str
    name: Texts
    day: date
    #: How many answered.
    answered: int


def closed(documents: Iterable[Document], today: date) -> list[Survey]:
    """The surveys among Entities whose day is over and that say how many answered, the newest first."""
    found = [one for document in documents if (one := _survey(document)) is not None and one.day < today]
    return sorted(found, key=lambda one: (one.day, one.id), reverse=True)


def _survey(document: Document) -> Survey | None:
    answered = count_in(document, "citizens")
    if word(document, "activity") != SURVEY or not answered or answered < 1:
        return None
    try:
        day = date.fromisoformat(word(document, "day"))
    except ValueError:
        return None
    return Survey(document["id"], texts(document, "name"), day, answered)


def as_result(entry: Entry, surveys: Iterable[Survey]) -> Entry:
    """The entry as the result of the survey that it names; any other stays as it is.

    A numerator without a denominator is of those who answered. Raises BadInput for a survey that is not among
    them.
    """
    if not entry.survey:
        return entry
    survey = next((one for one in surveys if one.id == entry.survey), None)
    if survey is None:
        raise BadInput(
            Worded("There is no such closed survey"),
            hint=Worded("Publish it with its day and how many answered, once it is over."),
            where="survey",
        )
    denominator = entry.denominator
    if entry.numerator is not None and denominator is None:
        denominator = float(survey.answered)
    return msgspec.structs.replace(
        entry,
        denominator=denominator,
        quality=Quality.SURVEY,
        respondents=survey.answered,
        source=entry.source or survey.name.get("en", next(iter(survey.name.values()), survey.id)),
    )
