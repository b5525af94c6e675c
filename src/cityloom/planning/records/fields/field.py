"""A field of a record: what every kind of field can do.

A value is what stands in `Record.values`; `plain` is the same as JSON; `text` is the same in a cell of a
table.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.ngsild.model import Document, Instance, content, instance_of, prop

#: Between several values in one cell.
SEPARATOR = ";"


class _Named(msgspec.Struct, frozen=True):
    #: The attribute's name: camelCase.
    name: str
    #: What stands beside it on a page.
    label: str


class Field(_Named, frozen=True, kw_only=True):
    """A field of a record. `internal` fields are shown to the staff alone, and never published."""

    hint: str = ""
    required: bool = False
    internal: bool = False

    def check(self, value: Any, where: str) -> Any:
        """The value in its normal form. Raises BadInput naming `where`."""
        raise NotImplementedError

    def plain(self, value: Any) -> Any:
        """As JSON."""
        return value

    def typed(self, plain: Any) -> Any:
        """From JSON that anybody may have written; None for what this field cannot be."""
        raise NotImplementedError

    def text(self, value: Any) -> str:
        """As the cell of a table."""
        return str(self.plain(value))

    def parsed(self, text: str, where: str) -> Any:
        """From the cell of a table; checked. Raises BadInput naming `where`."""
        return self.check(text, where)

    def instance(self, value: Any) -> Instance:
        """As an attribute of an Entity."""
        return prop(self.plain(value))

    def read(self, document: Document) -> Any:
        """From an Entity's attribute; None where it says nothing that this field could."""
        item = instance_of(document, self.name)
        return None if item is None else self.typed(content(item))


def is_empty(value: Any) -> bool:
    """Whether a value says nothing. False and 0 say something."""
    return value is None or (isinstance(value, str | tuple | list | dict) and not value)


def not_one(wanted: Worded, where: str) -> BadInput:
    """What is said of a value of another kind. `wanted` is a noun."""
    return BadInput(
        Worded("This is no %(wanted)s", wanted=wanted),
        hint=Worded("Give a %(wanted)s.", wanted=wanted),
        where=where,
    )


def too_many(count: int, most: int, where: str) -> BadInput:
    return BadInput(
        Worded("There are %(count)s of them", count=count),
        hint=Worded("Keep to %(most)s.", most=most),
        where=where,
    )


def a_text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise not_one(Worded("text"), where)
    return value


def several(value: Any, where: str) -> list[str]:
    several = [value] if isinstance(value, str) else value
    if not isinstance(several, Sequence) or not all(isinstance(one, str) for one in several):
        raise not_one(Worded("list"), where)
    return list(several)


def texts(plain: Any) -> tuple[str, ...] | None:
    several = plain if isinstance(plain, list | tuple) else [plain]
    return tuple(several) if all(isinstance(one, str) for one in several) else None


def parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(SEPARATOR) if part.strip()]


def parsed_json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        hint = Worded("Leave the cell as it was exported, or empty it.")
        raise BadInput(Worded("This is no JSON"), hint=hint, where=where) from None
