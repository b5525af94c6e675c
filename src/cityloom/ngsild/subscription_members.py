"""Values of a Subscription's members, each read alike wherever it stands (ETSI GS CIM 009, 5.2.12 to 5.2.15).

A `Read` makes a value of what was sent, or raises BadRequestData or TooComplexQuery, `where` being the path
below the member.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from math import isfinite
from typing import Any

from cityloom.ngsild.contexts import Context
from cityloom.ngsild.errors import BadRequestData, TooComplexQuery
from cityloom.ngsild.languages import parse_languages
from cityloom.ngsild.names import check_uri
from cityloom.ngsild.values import check_text, joined

#: Names or ids in one list; characters of a text.
MAX_LISTED = 1_000
MAX_TEXT = 10_000
#: Seconds of a throttling or an interval, and milliseconds of a timeout or a cooldown: some 30 years.
MAX_NUMBER = 1e12
#: Levels of linked entities.
MAX_LEVELS = 10
_VERSION = re.compile(r"\d{1,3}\.\d{1,3}")

Read = Callable[[Any, Context], Any]


def read_at(key: str | int, read: Read, value: Any, context: Context) -> Any:
    """What `read` makes of a member's value; its errors name the member, or the place in a list."""
    try:
        return read(value, context)
    except (BadRequestData, TooComplexQuery) as error:
        error.where = joined(key, error.where)
        raise


def text(value: Any, _context: Context) -> str:
    """A text that says something."""
    if type(value) is not str or not value.strip() or len(value) > MAX_TEXT:
        raise wrong("A text is wanted", f"Give a string of at most {MAX_TEXT} characters.")
    return check_text(value)


def flag(value: Any, _context: Context) -> bool:
    """True or false."""
    if type(value) is not bool:
        raise wrong("It is true or false", "Write true or false.")
    return value


def positive(value: Any, _context: Context) -> float:
    """A number greater than 0."""
    if type(value) not in (int, float) or not isfinite(value) or not 0 < value <= MAX_NUMBER:
        raise wrong("A number greater than 0 is wanted", "Give a number greater than 0.")
    number: float = value
    return number


def level(value: Any, _context: Context) -> int:
    """How many levels of linked entities are told of."""
    if type(value) is not int or not 1 <= value <= MAX_LEVELS:
        raise wrong("A number of levels is wanted", f"Give a whole number from 1 to {MAX_LEVELS}.")
    return value


def uri(value: Any, _context: Context) -> str:
    """A URI."""
    return check_uri(value, "")


def one_of(choices: Collection[str]) -> Read:
    """Reads one of these words."""

    def read(value: Any, _context: Context) -> Any:
        if value not in choices:
            raise wrong(f"{str(value)[:40]!a} is not known here", f"Choose of {', '.join(choices)}.")
        return value

    return read


def several(read: Read, most: int = MAX_LISTED) -> Read:
    """Reads a list of what `read` reads, with one item at least and `most` at the most."""

    def read_all(value: Any, context: Context) -> Any:
        if type(value) is not list or not 1 <= len(value) <= most:
            raise wrong("A list is wanted, and not an empty one", f"Give an array of 1 to {most} items.")
        return tuple(read_at(place, read, item, context) for place, item in enumerate(value))

    return read_all


def attribute(value: Any, context: Context) -> str:
    """The full name of an attribute."""
    if type(value) is not str:
        raise wrong("The name of an attribute is a string", "Write a name or an IRI.")
    return context.expand(value)


def dataset(value: Any, _context: Context) -> str:
    """The URI of a dataset, or "@none" for the default instances."""
    return "@none" if value == "@none" else check_uri(value, "")


def attribute_list(value: Any, context: Context) -> tuple[str, ...]:
    """Full names of attributes, in one text with commas between."""
    parts = [part.strip() for part in text(value, context).split(",")]
    if len(parts) > MAX_LISTED:
        raise wrong("It has too many names", f"Give at most {MAX_LISTED}.")
    return tuple(map(context.expand, parts))


def language(value: Any, context: Context) -> str:
    """Languages by preference, as they were written."""
    parse_languages(text(value, context))
    return str(value)


def version(value: Any, _context: Context) -> str:
    """A version of the standard, major.minor."""
    if type(value) is not str or not _VERSION.fullmatch(value):
        raise wrong("A version is wanted", "Write it such as 1.6.")
    return value


def wrong(message: str, hint: str, where: str | None = None) -> BadRequestData:
    """What is wrong with a value."""
    return BadRequestData(message, hint=hint, where=where)
