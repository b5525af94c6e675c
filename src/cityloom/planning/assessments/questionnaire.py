"""What a questionnaire is: questions with weights, dimensions, formulas, categories, reference rows.

Texts are by language. Scores run from 0 to 100.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from cityloom.kernel.canonical import digest_of

Texts = dict[str, str]


class Kind(StrEnum):
    """How a question is answered."""

    #: One of the options.
    CHOICE = "choice"
    #: Yes, partly, no, or does not apply: the steps of a checklist.
    CHECK = "check"
    #: A whole number between two ends.
    SCALE = "scale"
    NUMBER = "number"
    #: Words or a link; counted as answered, never scored.
    EVIDENCE = "evidence"


#: Answers to a CHECK with their scores; None is left out of every mean.
CHECKS: Mapping[str, float | None] = {"yes": 100.0, "partly": 50.0, "no": 0.0, "notApplicable": None}


class Option(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One answer to choose."""

    id: str
    text: Texts
    score: float | None = None
    #: What it speaks for: points by category.
    points: dict[str, float] = {}


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One question."""

    id: str
    text: Texts
    kind: Kind = Kind.CHECK
    hint: Texts = {}
    dimension: str = ""
    weight: float = 1.0
    options: tuple[Option, ...] = ()
    #: Ends of a SCALE; for a NUMBER, the values that score 0 and 100 (the first may be the greater one).
    ends: tuple[float, float] = (0.0, 4.0)
    end_texts: tuple[Texts, Texts] | None = None
    #: UN/CEFACT code of a NUMBER.
    unit: str = ""
    #: What to do where a CHECK is not met.
    action: Texts = {}
    #: Whether a gate waits for it: what misses it is flagged.
    required: bool = False

    def option(self, option_id: str) -> Option | None:
        """One of the options by its id."""
        return next((one for one in self.options if one.id == option_id), None)


class Dimension(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the questionnaire with a score of its own."""

    id: str
    title: Texts
    weight: float = 1.0


class Category(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the whole may turn out to be: the one with most points, or the first whose formula holds."""

    id: str
    title: Texts
    text: Texts
    when: str = ""
    advice: tuple[Texts, ...] = ()


class Way(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of several ways to act in a case, and the formula by which it is the one; "" holds always."""

    id: str
    text: Texts
    when: str = ""


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that may lie before whoever answers: the first of its ways whose formula holds is advised."""

    id: str
    title: Texts
    ways: tuple[Way, ...]

    def way(self, way_id: str) -> Way | None:
        """One of the ways by its id."""
        return next((one for one in self.ways if one.id == way_id), None)


class Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another case to be compared with. A value that is not in hand is left out, never invented."""

    name: str
    values: dict[str, float] = {}
    category: str = ""
    note: Texts = {}
    provenance: str = ""


class Scatter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two values that are drawn against each other."""

    x: str
    y: str


class Questionnaire(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A questionnaire's manifest.toml."""

    id: str
    kind: str = "questionnaire"
    title: Texts
    about: Texts
    #: For the list: city, programme, initiative, service, indicator, security.
    group: str
    #: Types of the Entities that it is answered about; none: the city as a whole.
    subjects: tuple[str, ...] = ()
    owner: str
    edition: str
    source: str
    #: What is a fact of the source, what is ours, what is not in hand.
    provenance: Texts
    questions: tuple[Question, ...]
    dimensions: tuple[Dimension, ...] = ()
    #: By name; each may use dimensions, questions and formulas above it.
    formulas: dict[str, str] = {}
    formula_titles: dict[str, Texts] = {}
    categories: tuple[Category, ...] = ()
    #: What is advised in each of several cases.
    cases: tuple[Case, ...] = ()
    references: tuple[Reference, ...] = ()
    scatter: Scatter | None = None
    #: Share of the questions that must be answered before a category is named, percent.
    least_answered: float = 60.0
    #: Whether one score for all of it says anything.
    scored: bool = True

    def question(self, question_id: str) -> Question | None:
        """One of the questions by its id."""
        return next((one for one in self.questions if one.id == question_id), None)

    def digest(self) -> str:
        """By which an answer tells the edition it was given to: 16 digits of that of its canonical text."""
        return digest_of(self)[:16]
