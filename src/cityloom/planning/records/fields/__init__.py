"""What a record says: kinds of fields. Each checks a value, and carries it into an Entity and out again."""

from __future__ import annotations

from cityloom.planning.records.fields.choices import Choice, Choices, Link, Links, Place
from cityloom.planning.records.fields.field import Field, is_empty
from cityloom.planning.records.fields.quantities import Amount, Day, Flag, Number, Year
from cityloom.planning.records.fields.rows import Rows, checked_values, plain_values, typed_values
from cityloom.planning.records.fields.texts import Line, Prose, Said, Web

__all__ = [
    "Amount",
    "Choice",
    "Choices",
    "Day",
    "Field",
    "Flag",
    "Line",
    "Link",
    "Links",
    "Number",
    "Place",
    "Prose",
    "Rows",
    "Said",
    "Web",
    "Year",
    "checked_values",
    "is_empty",
    "plain_values",
    "typed_values",
]
