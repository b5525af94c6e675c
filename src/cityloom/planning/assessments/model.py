"""An Assessment: what was answered to one questionnaire about one thing, version by version."""

from __future__ import annotations

import msgspec

from cityloom.context.editing import version_of
from cityloom.context.publishing import working_id
from cityloom.context.reading import ids, items, word
from cityloom.ngsild.model import Document
from cityloom.planning.assessments.evaluating import Answer, Result

TYPE = "Assessment"
#: What a decision about an assessment is made on.
DECIDED_ON = ("versions", "status")


class Given(msgspec.Struct, frozen=True):
    """One version: all answers that were given at once, by whom, when, and what they came to."""

    at: str
    by: str
    #: Of the edition of the questionnaire that was answered.
    digest: str
    answers: dict[str, Answer]
    result: Result
    note: str = ""


class Assessment(msgspec.Struct, frozen=True):
    """An assessment read from its Entity; the newest version is the last."""

    id: str
    questionnaire: str
    #: The Entity it is about; "" for the city as a whole.
    subject: str
    versions: tuple[Given, ...]
    published_at: str
    is_published_copy: bool
    version: str
    document: Document

    @property
    def newest(self) -> Given:
        return self.versions[-1]


def assessment_of(document: Document) -> Assessment | None:
    """The Assessment that an Entity is; None for one without answers."""
    versions = items(document, "versions", Given)
    if not versions:
        return None
    return Assessment(
        id=document["id"],
        questionnaire=word(document, "questionnaire"),
        subject=next(iter(ids(document, "subject")), ""),
        versions=versions,
        published_at=word(document, "publishedAt"),
        is_published_copy=document["id"] != working_id(document["id"]),
        version=version_of(document, DECIDED_ON),
        document=document,
    )
