"""What stands on the Entity of a value; what is missing or of another kind reads as nothing. Pure."""

from __future__ import annotations

from datetime import datetime

from cityloom.indicators.model import VALUE, Quality
from cityloom.kernel.errors import BadInput
from cityloom.kernel.numbers import is_number
from cityloom.kernel.time import parse_instant
from cityloom.ngsild.model import Document, instance_of, value_of


def value_in(document: Document | None) -> float | bool | None:
    """The value; None where nothing is reported."""
    said = None if document is None else value_of(document, VALUE)
    return said if isinstance(said, int | float) else None


def number_in(document: Document, name: str) -> float | None:
    """A number; None for what is none."""
    said = value_of(document, name)
    return float(said) if is_number(said) else None


def count_in(document: Document, name: str) -> int | None:
    """A whole number."""
    said = number_in(document, name)
    return None if said is None else int(said)


def unit_in(document: Document, name: str) -> str:
    """The unit's code of an attribute, "" where it has none."""
    item = instance_of(document, name)
    return "" if item is None else str(item.get("unitCode", ""))


def quality_in(document: Document) -> Quality | None:
    """How good the data behind the value are."""
    said = count_in(document, "dataQuality")
    return Quality(said) if said in list(Quality) else None


def period_in(document: Document) -> tuple[datetime | None, datetime | None]:
    """Beginning and end of the period that the value is of."""
    said = value_of(document, "calculationPeriod")
    if not isinstance(said, dict):
        return None, None
    try:
        return parse_instant(said.get("from"), where="from"), parse_instant(said.get("to"), where="to")
    except BadInput:
        return None, None
