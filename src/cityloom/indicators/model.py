"""What a framework of indicators is, and what is known of one value."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from enum import IntEnum, StrEnum

import msgspec

from cityloom.kernel.change import Because

TYPE = "KeyPerformanceIndicator"
#: The attribute of the Entity that is its value.
VALUE = "kpiValue"

#: Texts by language.
Texts = Mapping[str, str]


class Rule(StrEnum):
    """How a value is held against its target."""

    RATIO_UP = "ratio_up"
    RATIO_DOWN = "ratio_down"
    GOALPOST = "goalpost"
    PARITY = "parity"
    BOOLEAN = "boolean"
    NONE = "none"


class Quality(IntEnum):
    """How good the data behind a value are: the six levels from which U4SSC lets a city choose."""

    MEASURED = 1
    SURVEY = 2
    HIGHER_LEVEL = 3
    ASSUMPTIONS = 4
    PERSONAL_ESTIMATE = 5
    UNKNOWN = 6


class Benchmark(msgspec.Struct, frozen=True):
    """A target to hold a value against, who set it and why."""

    rule: Rule
    target: float | None = None
    #: For goalposts: the value that counts as 0 percent of the way.
    worst: float | None = None
    basis: str = ""
    provenance: str = ""


class DataPoint(msgspec.Struct, frozen=True):
    """What is reported and scored: an indicator, or one of its several figures."""

    id: str
    code: str
    #: "" for an indicator with one figure.
    key: str
    name: Texts
    unit: str
    #: UN/CEFACT code, "" where there is none for the unit.
    unit_code: str
    #: What numerator over denominator is multiplied by.
    multiplier: float
    benchmark: Benchmark | None

    @property
    def is_yes_or_no(self) -> bool:
        return self.benchmark is not None and self.benchmark.rule is Rule.BOOLEAN


class Indicator(msgspec.Struct, frozen=True):
    """One indicator of a framework: a fact about the framework, in words of our own."""

    code: str
    aliases: tuple[str, ...]
    #: Keys of its groups, from the widest: dimension, sub-dimension, category.
    path: tuple[str, ...]
    name: Texts
    definition: Texts
    #: core or advanced, "" where the framework has no such thing.
    level: str
    kind: str
    unit: str
    numerator: str
    denominator: str
    #: higher, lower, or in words.
    direction: str
    sdg: str
    provenance: str
    confidence: str
    points: tuple[DataPoint, ...]


class Earlier(msgspec.Struct, frozen=True):
    """How a data point was defined until a day: the past is worked out as it was defined then."""

    #: The last day of the periods that it is for.
    until: date
    definition: Texts
    numerator: str
    denominator: str
    unit: str
    unit_code: str
    multiplier: float
    #: What changed, and who says so.
    basis: str
    provenance: str

    @property
    def version(self) -> str:
        """What values that were worked out so say."""
        return f"until {self.until.isoformat()}"


class Group(msgspec.Struct, frozen=True):
    """A dimension, a sub-dimension or a category."""

    path: tuple[str, ...]
    name: Texts
    #: Who usually holds the figures; "" where that differs too much.
    held_by: Texts


class Figure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A denominator that the city's own figures give: `text` as the indicators have it."""

    text: str
    #: inhabitants or households.
    figure: str
    divisor: float = 1.0


class Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What must or should hold among the values of a framework.

    `within`: low <= value <= high. `sum_about`: the points of the code add up to `total`, give or take
    `tolerance`. `falling`: the points do not rise in their order. `not_above`: value <= that of `other`.
    `complete`: all points of the code are there, or none. `same_denominator`: all values that are divided by
    `denominator` were divided by the same number; `own_denominator`: by another one than those of
    `other_denominator`. `has_denominator`: a value of the code comes with its denominator. `months`: its
    period is so many months long.
    """

    id: str
    kind: str
    code: str = ""
    #: For `within`: the unit of the data points that are meant, all codes but `except_codes`.
    unit: str = ""
    except_codes: tuple[str, ...] = ()
    other: str = ""
    #: In the words of indicators.csv.
    denominator: str = ""
    other_denominator: str = ""
    months: float = 12.0
    low: float = 0.0
    high: float = 100.0
    total: float = 100.0
    tolerance: float = 2.0
    #: An error refuses the entry, a warning is shown with it.
    severity: str = "warning"
    message: dict[str, str] = {}


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What a measure found in the city's data for one period."""

    since: datetime
    until: datetime
    #: None when nothing can be said.
    value: float | None = None
    numerator: float | None = None
    denominator: float | None = None
    #: UN/CEFACT code of numerator and denominator, "" where they are plain counts.
    parts_unit: str = ""
    #: Readings or Entities that went in.
    rows: int = 0
    entities: int = 0
    #: Share of what was to be expected that was there, 0 to 1; None where nothing regular is expected.
    coverage: float | None = None
    #: Where the least trustworthy of the data come from.
    origin: str = ""
    because: tuple[Because, ...] = ()


class State(StrEnum):
    """Whether there is a value. "Not verified" and "no benchmark" are told apart from it."""

    REPORTED = "reported"
    NOT_REPORTED = "notReported"


class Evidence(msgspec.Struct, frozen=True, rename="camel"):
    """A file on which an entered value rests."""

    #: SHA-256 of its content in hexadecimal: its name in the store.
    digest: str
    name: str
    media_type: str
    size: int
    #: Whether everybody who sees the value may read it.
    public: bool = False


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A value as somebody enters it. Give the value, or numerator and denominator."""

    since: datetime
    until: datetime
    value: float | bool | None = None
    numerator: float | None = None
    denominator: float | None = None
    quality: Quality = Quality.UNKNOWN
    source: str = ""
    note: str = ""
    #: The Entity of the survey whose result it is, and how many answered; "" and None for others.
    survey: str = ""
    respondents: int | None = None
