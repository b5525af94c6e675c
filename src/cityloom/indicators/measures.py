"""The measures a framework may bind its indicators to: declared in data, worked out by `measuring`."""

from __future__ import annotations

from datetime import date

import msgspec

from cityloom.history.periods import Step, parse_step
from cityloom.kernel.errors import BadInput, BrokenPlugin, words_of


class Measure(msgspec.Struct, frozen=True, kw_only=True, tag_field="verb", forbid_unknown_fields=True):
    """What all measures have."""

    #: The indicator, and which of its points ("" for the only one).
    code: str
    point: str = ""
    #: The length of time it speaks of, up to now, and how often it is worked out. ISO 8601 durations.
    period: str = "P28D"
    every: str = "P1D"
    #: Below this share of the data to be expected nothing is reported, only what there is so far.
    minimum_coverage: float = 0.0
    #: Entities of which class are looked at: "open", or "internal" as well where only a sum gets out.
    sees: str = "open"
    #: Whether the value may be held against the framework's benchmark.
    comparable: bool = True
    #: What the number tells and what it does not, by language.
    note: dict[str, str] = {}
    #: The last day of the periods that it is for, as 2024-12-31: an earlier way, kept so that the past can be
    #: worked out as it was then. "" for the one that stands.
    until: str = ""

    def types(self) -> tuple[str, ...]:
        """The Entity types looked at."""
        return ()


class _OfType(Measure, frozen=True, kw_only=True):
    type: str
    attribute: str

    def types(self) -> tuple[str, ...]:
        return (self.type,)


class Mean(_OfType, frozen=True, kw_only=True, tag="mean"):
    """The mean over time of each Entity from its hourly means, then the mean over the Entities."""


class AgainstReference(_OfType, frozen=True, kw_only=True, tag="against_reference"):
    """Hourly means of an attribute against a fixed attribute of the same Entity, in some hours of the day.

    The sum of weight x value over the sum of weight x reference, with the median of an Entity's hours, which
    single odd hours do not move. `inverse` takes 1 / value and 1 / reference: with speeds and lengths the
    ratio of travel times.
    """

    reference: str
    weight: str = ""
    inverse: bool = False
    #: Numerator and denominator are multiplied by it, and then are in this unit.
    scale: float = 1.0
    parts_unit: str = ""
    #: Local hours, each [from, to), and ISO weekdays (1 is Monday); empty for all.
    hours: tuple[tuple[int, int], ...] = ()
    weekdays: tuple[int, ...] = ()


class ShareOfTime(_OfType, frozen=True, kw_only=True, tag="share_of_time"):
    """The share of the time in which an attribute is above or below a bound. A value holds until the next.

    With `reference` it is the attribute's share in that attribute of the same Entity.
    """

    above: float | None = None
    below: float | None = None
    reference: str = ""
    #: A value holds at most this long.
    hold: str = "PT1H"


class DaysAbove(_OfType, frozen=True, kw_only=True, tag="days_above"):
    """The share of local days whose mean over time and Entities is above a bound."""

    above: float


class ShareOfEntities(_OfType, frozen=True, kw_only=True, tag="share_of_entities"):
    """The share of Entities whose attribute is one of some values, of those that have it, as they are now."""

    values: tuple[str, ...]


class Arrived(_OfType, frozen=True, kw_only=True, tag="arrived"):
    """The share of the readings to be expected, one in each `step`, that came in."""

    step: str


class MedianDuration(Measure, frozen=True, kw_only=True, tag="median_duration"):
    """The median of the hours from one instant to another, over Entities whose first lies in the period.

    An instant is a date-time attribute ("dateIssued"), or what was first done in a list of steps
    ("history:answered"). The denominator counts those that wait as well.
    """

    type: str
    begins: str
    ends: str

    def types(self) -> tuple[str, ...]:
        return (self.type,)


class LeadTime(Measure, frozen=True, kw_only=True, tag="lead_time"):
    """The share of warnings that somebody had confirmed some hours before what they warned of came.

    A warning counts when, between its issue and `ends`, an attribute of the Entity it is about fell to
    `at_most`: warnings after which it did not come are no part of it.
    """

    type: str
    #: Attributes by name that the warnings have.
    where: dict[str, str]
    issued: str
    confirmed: str
    ends: str
    #: The Relationship to the Entity, whose attribute is looked at.
    about: str
    about_type: str
    attribute: str
    at_most: float
    hours: float

    def types(self) -> tuple[str, ...]:
        return (self.type,)


class OpenTypes(Measure, frozen=True, kw_only=True, tag="open_types"):
    """How many types of Entities everybody may read, each a data set."""


class TotalOverFigure(_OfType, frozen=True, kw_only=True, tag="total_over_figure"):
    """The sum of a fixed attribute over Entities with readings in the period, over a figure of the city."""

    #: The attribute of which there must be readings.
    alive: str
    divisor: float = 1.0
    parts_unit: str = ""
    figure: str


AnyMeasure = (
    Mean
    | AgainstReference
    | ShareOfTime
    | DaysAbove
    | ShareOfEntities
    | Arrived
    | MedianDuration
    | LeadTime
    | OpenTypes
    | TotalOverFigure
)


def read_measures(raw: object, *, where: str) -> tuple[AnyMeasure, ...]:
    """Measures from parsed TOML. Raises BrokenPlugin, naming the place."""
    try:
        measures = msgspec.convert(raw, tuple[AnyMeasure, ...])
    except msgspec.ValidationError as error:
        raise BrokenPlugin(
            f"A measure cannot be read: {words_of(error)}", hint="Correct it.", where=where
        ) from None
    for place, measure in enumerate(measures):
        _check(measure, where=f"{where}: measures[{place}] ({measure.code})")
    return measures


def _check(measure: Measure, *, where: str) -> None:
    for name in ("period", "every", "hold", "step"):
        _check_length(getattr(measure, name, None), where=f"{where}.{name}")
    if measure.sees not in ("open", "internal"):
        raise BrokenPlugin(
            f"`sees` is {measure.sees!r}",
            hint="Write open or internal: what is secret is part of no indicator.",
            where=where,
        )
    if measure.until and not _is_day(measure.until):
        raise BrokenPlugin(f"`until` is {measure.until!r}", hint="Write a day: 2024-12-31.", where=where)
    if isinstance(measure, ShareOfTime) and (measure.above is None) == (measure.below is None):
        raise BrokenPlugin(
            "A share of time needs `above` or `below`, and not both", hint="Write one of them.", where=where
        )


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _check_length(text: str | None, *, where: str) -> None:
    if text is None:
        return
    try:
        step = parse_step(text)
    except BadInput as error:
        raise BrokenPlugin(error.message, hint=error.hint, where=where) from None
    if step == Step():
        raise BrokenPlugin("It has no length", hint="Write PT1H, P1D, P28D or such.", where=where)
