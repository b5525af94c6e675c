"""A citizen's report: what is asked for, and how it reads from its Entity."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from cityloom.access.credentials import digest
from cityloom.context.editing import version_of
from cityloom.context.ports import Bounds
from cityloom.context.reading import geometry, ids, instant, items, texts, truth, word
from cityloom.context.revision import bounds_of
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.errors import BadInput, Conflict
from cityloom.kernel.texts import check_languages, check_line
from cityloom.kernel.worded import Worded
from cityloom.ngsild.model import Document, Instance, json_value, prop
from cityloom.people.personal import ERASED_AT

TYPE = "CitizenReport"
#: What its author writes later; always internal.
REPLY_TYPE = "CitizenReply"

LONGEST_DESCRIPTION = 2000
LONGEST_ANSWER = 4000

#: What reports are about when the city says nothing else.
CATEGORIES = ("road", "lighting", "waste", "water", "green", "noise", "vandalism", "other")
#: By which way a report came in; those on paper and by telephone are written down by staff.
CHANNELS = ("web", "phone", "paper", "desk")

MEDIA_TYPES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}

#: Whoever sent a report, in Entities and in the feed: never an account. Sees no matter of security.
REPORTER = Actor(
    id="reporter",
    name="Reporter",
    roles=frozenset({"reporter"}),
    clearance=frozenset({InformationClass.OPEN, InformationClass.INTERNAL}),
)

MOST_STEPS = 500
MOST_ANSWERS = 100

#: What an answer is decided on; one given on another state of these is refused.
DECIDED_ON = ("status", "category", "answers", "history", "fixedByReporter")

_EMAIL = re.compile(r"[^\s@<>\"(),:;\[\]\\]{1,64}@[^\s@<>\"(),:;\[\]\\.]+(\.[^\s@<>\"(),:;\[\]\\.]+)+")
_PHONE = re.compile(r"\+?[0-9(][0-9 ()/.-]{3,24}")


class Status(StrEnum):
    """Where a report stands."""

    RECEIVED = "received"
    ANSWERED = "answered"
    CLOSED = "closed"
    REOPENED = "reopened"


class NewReport(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody sends in."""

    category: str
    description: str
    #: Longitude and latitude, WGS 84 degrees.
    location: tuple[float, float]
    #: In words, when they say so.
    place_name: str = ""
    photo: bytes | None = None
    #: The language it is written in.
    language: str = "en"
    #: How to reach its author; kept apart, never shown.
    email: str = ""
    phone: str = ""
    channel: str = "web"


class Answer(msgspec.Struct, frozen=True):
    """What the city answered. Kept on the Entity as one item of `answers`; `by` is an actor's id."""

    at: str
    by: str
    language: str
    text: str


class Step(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One thing that happened to a report. Kept on the Entity as one item of `history`."""

    at: str
    #: An actor's id, or "reporter".
    by: str
    #: received, answered, closed, reopened, published, unpublished, sorted, confirmed, denied.
    did: str


class Report(msgspec.Struct, frozen=True):
    """A report read from its Entity."""

    id: str
    status: str
    category: str
    description: Mapping[str, str]
    location: Mapping[str, Any] | None
    place_name: str
    #: The photo's name in the store, "" for none.
    photo: str
    photo_is_public: bool
    channel: str
    received_at: datetime | None
    closed_at: datetime | None
    #: The public reason for closing it, by language.
    closed_because: Mapping[str, str]
    answers: tuple[Answer, ...]
    history: tuple[Step, ...]
    #: What the body in charge says, and what the reporter says; None while they have not said.
    fixed_by_body: bool | None
    fixed_by_reporter: bool | None
    duplicate_of: str
    #: Since when what its author wrote and left is gone; None: it is not.
    erased_at: datetime | None
    version: str
    document: Document

    @property
    def is_closed(self) -> bool:
        return self.status == Status.CLOSED


def report_of(document: Document) -> Report:
    """The Report that an Entity of the type CitizenReport is."""
    return Report(
        id=document["id"],
        status=word(document, "status"),
        category=word(document, "category"),
        description=texts(document, "description"),
        location=geometry(document, "location"),
        place_name=word(document, "placeName"),
        photo=word(document, "photo"),
        photo_is_public=truth(document, "photoIsPublic") is True,
        channel=word(document, "channel"),
        received_at=instant(document, "dateIssued"),
        closed_at=instant(document, "closedAt"),
        closed_because=texts(document, "closedBecause"),
        answers=items(document, "answers", Answer),
        history=items(document, "history", Step),
        fixed_by_body=truth(document, "fixedByBody"),
        fixed_by_reporter=truth(document, "fixedByReporter"),
        duplicate_of=next(iter(ids(document, "duplicateOf")), ""),
        erased_at=instant(document, ERASED_AT),
        version=version_of(document, DECIDED_ON),
        document=document,
    )


class Row(msgspec.Struct, frozen=True):
    """What lists need of a report to choose and order it."""

    id: str
    status: str
    category: str
    received_at: datetime | None
    bounds: Bounds | None


def row_of(document: Document) -> Row:
    """A report's row, without reading what only its own page shows."""
    return Row(
        id=document["id"],
        status=word(document, "status"),
        category=word(document, "category"),
        received_at=instant(document, "dateIssued"),
        bounds=bounds_of(document),
    )


def with_step(report: Report, step: Step) -> dict[str, Instance | None]:
    """The history with one step more."""
    if len(report.history) >= MOST_STEPS:
        raise Conflict(
            Worded("Too much has happened to this report"), hint=Worded("Ask for a new one."), where="history"
        )
    return {"history": json_value(msgspec.to_builtins([*report.history, step]))}


def with_answer(report: Report, did: str, answer: Answer) -> dict[str, Instance | None]:
    """The history with one step more, and the answers with the words that came with it."""
    if len(report.answers) >= MOST_ANSWERS:
        raise Conflict(
            Worded("There are %(count)s answers already", count=MOST_ANSWERS),
            hint=Worded("Ask for a new report."),
        )
    answers = json_value(msgspec.to_builtins([*report.answers, answer]))
    return with_step(report, Step(answer.at, answer.by, did)) | {"answers": answers}


def reopened(report: Report, step: Step) -> dict[str, Instance | None]:
    """What opening a closed report again changes. Raises Conflict for one that is not closed."""
    if not report.is_closed:
        raise Conflict(Worded("The report is not closed"), hint=Worded("Look at it again."), where="status")
    return with_step(report, step) | {
        "status": prop(Status.REOPENED.value),
        "closedAt": None,
        "closedBecause": None,
        "fixedByBody": None,
    }


def code_digest(code: str) -> str:
    """What is kept of a follow code. Case, hyphens and spaces make no difference to who types it."""
    return digest("".join(character for character in code.casefold() if character.isalnum()))


def check_category(category: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    """Raises BadInput at `category`."""
    if category not in known:
        hint = Worded("Choose one of: %(names)s.", names=", ".join(known))
        raise BadInput(Worded("The category is not one of the list"), hint=hint, where="category")
    return category


def check_channel(channel: str) -> str:
    """Raises BadInput at `channel`."""
    if channel not in CHANNELS:
        hint = Worded("Choose one of: %(names)s.", names=", ".join(CHANNELS))
        raise BadInput(Worded("Reports do not come in that way"), hint=hint, where="channel")
    return channel


def check_words(text: str, language: str, *, where: str, longest: int) -> tuple[str, str]:
    """The language tag and the text. Raises BadInput at `where`."""
    try:
        checked = check_languages({language: text}, where=where, longest=longest)
    except BadInput as error:
        raise BadInput(error.message, hint=error.hint, where=where) from None
    return next(iter(checked.items()))


def check_location(location: tuple[float, float], bounds: tuple[float, ...]) -> tuple[float, float]:
    """Longitude and latitude within the city: west, south, east, north. Raises BadInput at `location`."""
    hint = Worded("Click the place on the map.")
    longitude, latitude = location
    # A comparison with NaN is false, so that NaN is refused too.
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
        raise BadInput(Worded("There is no such place"), hint=hint, where="location")
    if bounds:
        west, south, east, north = bounds
        if not (west <= longitude <= east and south <= latitude <= north):
            raise BadInput(Worded("The place lies outside this city"), hint=hint, where="location")
    return longitude, latitude


def check_email(email: str) -> str:
    """An e-mail address or "". Raises BadInput at `email`."""
    cleaned = check_line(email, where="email", longest=254, optional=True)
    if cleaned and not _EMAIL.fullmatch(cleaned):
        hint = Worded("Write it like name@example.org, or leave it out.")
        raise BadInput(Worded("This is no e-mail address"), hint=hint, where="email")
    return cleaned


def check_phone(phone: str) -> str:
    """A telephone number or "". Raises BadInput at `phone`."""
    cleaned = check_line(phone, where="phone", longest=40, optional=True)
    if cleaned and not _PHONE.fullmatch(cleaned):
        hint = Worded("Use digits, as in +45 12 34 56 78, or leave it out.")
        raise BadInput(Worded("This is no telephone number"), hint=hint, where="phone")
    return cleaned
