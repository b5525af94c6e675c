"""What may be entered as a value of a data point. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from cityloom.indicators.model import DataPoint, Entry
from cityloom.kernel.errors import BadInput
from cityloom.kernel.texts import check_text
from cityloom.kernel.time import format_instant
from cityloom.kernel.worded import Worded

#: How far value and numerator over denominator may lie apart, when both are given.
_AGREE_WITHIN = 0.005
LONGEST_TEXT = 2000


def checked_value(point: DataPoint, entry: Entry) -> float | bool:
    """The value entered, or numerator over denominator."""
    if point.is_yes_or_no:
        if not isinstance(entry.value, bool):
            raise BadInput(
                Worded("This is answered with yes or no"), hint=Worded("Choose one."), where="value"
            )
        return entry.value
    if isinstance(entry.value, bool):
        raise BadInput(
            Worded("This is answered with a number"), hint=Worded("Write a number."), where="value"
        )
    from_parts = _from_parts(point, entry)
    value = entry.value if entry.value is not None else from_parts
    if value is None:
        hint = Worded("Write the value, or numerator and denominator.")
        raise BadInput(Worded("There is no value"), hint=hint, where="value")
    if value != value or abs(value) == float("inf"):
        raise BadInput(
            Worded("This is no number"), hint=Worded("Write a number such as 12.5."), where="value"
        )
    if from_parts is not None and abs(value - from_parts) > _AGREE_WITHIN * max(1.0, abs(from_parts)):
        raise BadInput(
            Worded(
                "Numerator and denominator give %(worked_out)s, not %(value)s",
                worked_out=f"{from_parts:g}",
                value=f"{value:g}",
            ),
            hint=Worded("Correct one of the three, or leave the value out."),
            where="value",
        )
    return float(value)


def _from_parts(point: DataPoint, entry: Entry) -> float | None:
    if entry.numerator is None or entry.denominator is None:
        return None
    if entry.denominator <= 0:
        raise BadInput(
            Worded("The denominator is not above 0"), hint=Worded("Check it."), where="denominator"
        )
    return entry.numerator / entry.denominator * point.multiplier


def check_period(entry: Entry, now: datetime) -> None:
    """Refuse a period that ends before it begins, or is not over."""
    if entry.until <= entry.since:
        raise BadInput(
            Worded("The period ends before it begins"), hint=Worded("Exchange the dates."), where="until"
        )
    if entry.until > now + timedelta(days=1):
        raise BadInput(
            f"The period ends after today ({format_instant(now)})",
            hint=Worded("Enter a value once its period is over."),
            where="until",
        )


def checked_source(entry: Entry) -> Entry:
    """The entry with its texts tidied. Raises BadInput where it says nowhere that it comes from."""
    return msgspec.structs.replace(
        entry,
        source=check_text(entry.source, where="source", longest=LONGEST_TEXT),
        note=check_text(entry.note, where="note", longest=LONGEST_TEXT, optional=True),
    )
