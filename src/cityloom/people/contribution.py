"""A contribution to a consultation: what is asked for, how it reads, what may be told of many.

Pure. Who sent it and how to reach them is kept apart, as with reports.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum

import msgspec

from cityloom.context.editing import version_of
from cityloom.context.reading import ids, instant, instant_in, items, texts, word
from cityloom.kernel.errors import BadInput, Conflict
from cityloom.kernel.worded import Worded
from cityloom.ngsild.model import Document, Instance, json_value, value_of
from cityloom.people.personal import ERASED_AT
from cityloom.people.report import MOST_ANSWERS, MOST_STEPS, Step
from cityloom.planning.stakeholders.participation import CITIZENS, Act

TYPE = "ConsultationContribution"
PREFIX = f"urn:ngsi-ld:{TYPE}:"
LONGEST_TEXT = 8000
LONGEST_RESPONSE = 8000
#: By which way one came in; those on paper and by telephone are written down by staff.
CHANNELS = ("web", "paper", "phone", "meeting")
#: How old somebody is, when they say so.
AGES = ("under_25", "25_44", "45_64", "65_over")
#: Fewer than these are not counted in the open: they could be somebody.
FEWEST_TOLD = 5
#: What a response is decided on; one given on another state of these is refused.
DECIDED_ON = ("status", "responses", "publicText", "text")

_EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@]+\.[^\s@]{2,}")
_PHONE = re.compile(r"(?<![\d.,-])\+?\d(?:[ ()/-]?\d){7,14}(?![\d-])")
#: A day of birth and four digits, as in civil registers of the north.
_CIVIL = re.compile(r"(?<!\d)[0-3]\d[01]\d\d\d-?\d{4}(?!\d)")


class Kind(StrEnum):
    """What somebody sends."""

    CONTRIBUTION = "contribution"
    #: Something is wrong with the consultation itself.
    GRIEVANCE = "grievance"


class Status(StrEnum):
    """Where a contribution stands."""

    RECEIVED = "received"
    ANSWERED = "answered"


class NewContribution(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody sends in."""

    consultation: str
    text: str
    kind: str = Kind.CONTRIBUTION.value
    #: Which question it answers, from 1; 0 for all of it.
    question: int = 0
    #: The category they speak for.
    speaks_for: str = CITIZENS
    #: The stakeholder they speak for; staff alone says so.
    stakeholder: str = ""
    #: One of AGES, "" where they did not say.
    age: str = ""
    language: str = "en"
    email: str = ""
    phone: str = ""
    channel: str = "web"


class Response(msgspec.Struct, frozen=True, gc=False):
    """What the city answered, and what the contribution changed. `by` is an actor's id."""

    at: str
    by: str
    language: str
    text: str
    changed: bool
    #: Ids of the goals and initiatives that were changed.
    what: tuple[str, ...] = ()


class Contribution(msgspec.Struct, frozen=True, gc=False):
    """A contribution read from its Entity. Texts are by language."""

    id: str
    consultation: str
    kind: str
    status: str
    question: int
    text: Mapping[str, str]
    speaks_for: str
    stakeholder: str
    age: str
    channel: str
    received_at: datetime | None
    responses: tuple[Response, ...]
    #: What everybody may read of it, as the staff has looked it through; empty: nothing.
    public_text: Mapping[str, str]
    history: tuple[Step, ...]
    erased_at: datetime | None
    version: str

    @property
    def changed(self) -> bool | None:
        """Whether it changed something, as was answered last; None while it was not answered."""
        return self.responses[-1].changed if self.responses else None

    @property
    def days(self) -> float | None:
        """Days until it was first answered."""
        if not self.responses or self.received_at is None:
            return None
        answered = instant_in(self.responses[0].at)
        return None if answered is None else (answered - self.received_at).total_seconds() / 86400


def contribution_of(document: Document) -> Contribution:
    """The Contribution that an Entity is."""
    return Contribution(
        id=document["id"],
        consultation=next(iter(ids(document, "consultation")), ""),
        kind=word(document, "kind"),
        status=word(document, "status"),
        question=_question(value_of(document, "question")),
        text=texts(document, "text"),
        speaks_for=word(document, "speaksFor"),
        stakeholder=next(iter(ids(document, "stakeholder")), ""),
        age=word(document, "age"),
        channel=word(document, "channel"),
        received_at=instant(document, "dateIssued"),
        responses=items(document, "responses", Response),
        public_text=texts(document, "publicText"),
        history=items(document, "history", Step),
        erased_at=instant(document, ERASED_AT),
        version=version_of(document, DECIDED_ON),
    )


def _question(said: object) -> int:
    return int(said) if isinstance(said, int | float) and 0 <= said < 1000 else 0


def with_step(found: Contribution, step: Step) -> dict[str, Instance | None]:
    """The history with one step more."""
    if len(found.history) >= MOST_STEPS:
        raise Conflict(
            Worded("Too much has happened to it"), hint=Worded("Leave it as it is."), where="history"
        )
    return {"history": json_value(msgspec.to_builtins([*found.history, step]))}


def with_response(found: Contribution, response: Response) -> dict[str, Instance | None]:
    """The history with one step more, and the responses with one more."""
    if len(found.responses) >= MOST_ANSWERS:
        raise Conflict(
            Worded("There are %(count)s answers already", count=MOST_ANSWERS),
            hint=Worded("Leave it as it is."),
            where="text",
        )
    said = json_value(msgspec.to_builtins([*found.responses, response]))
    return with_step(found, Step(response.at, response.by, "answered")) | {"responses": said}


def one_of(value: str, known: Iterable[str], where: str) -> str:
    """Raises BadInput at `where` for what is none of the known values."""
    choices = list(known)
    if value not in choices:
        raise BadInput(
            Worded("%(value)s is none of the choices", value=repr(value[:40])),
            hint=Worded("Choose one of: %(choices)s.", choices=", ".join(choices)),
            where=where,
        )
    return value


def seems_personal(text: str) -> tuple[str, ...]:
    """What of a text looks as if it were somebody's: for who looks it through, not to be relied on."""
    found = {"email": _EMAIL, "civil": _CIVIL, "phone": _PHONE}
    return tuple(name for name, pattern in found.items() if pattern.search(text))


def act_of(found: Contribution) -> Act:
    """What a contribution counts as, where participation is judged."""
    return Act(found.stakeholder, found.speaks_for, found.changed, found.days)


class Heard(msgspec.Struct, frozen=True, rename="camel"):
    """Who was heard: counts. -1 stands for fewer than are told."""

    total: int
    answered: int
    changed: int
    by_group: Mapping[str, int]
    by_age: Mapping[str, int]
    by_channel: Mapping[str, int]


def heard(found: Iterable[Contribution], *, in_the_open: bool) -> Heard:
    """Who was heard, as counts. In the open those that are too few are not told, nor can they be reckoned."""
    several = [one for one in found if one.kind == Kind.CONTRIBUTION]

    def counted(values: Iterable[str]) -> dict[str, int]:
        counts = Counter(value for value in values if value)
        untold = _untold(counts) if in_the_open else frozenset[str]()
        told = {value: -1 if value in untold else count for value, count in counts.items()}
        # By what is told alone: among those that are not, the order would tell which is the larger.
        return dict(sorted(told.items(), key=lambda one: (-one[1], one[0])))

    return Heard(
        len(several),
        sum(one.status == Status.ANSWERED for one in several),
        sum(one.changed is True for one in several),
        counted(one.speaks_for for one in several),
        counted(one.age for one in several),
        counted(one.channel for one in several),
    )


def _untold(counts: Mapping[str, int]) -> frozenset[str]:
    """What is not told: all that are too few. The rest and the total tell what these are together, so the
    next smallest stay untold as well, until that is several and enough."""
    smallest_first = sorted(counts, key=lambda value: (counts[value], value))
    untold = [value for value in smallest_first if counts[value] < FEWEST_TOLD]
    for value in smallest_first[len(untold) :]:
        if not untold or (len(untold) > 1 and sum(counts[one] for one in untold) > FEWEST_TOLD):
            break
        untold.append(value)
    return frozenset(untold)
