"""The errors of CityLoom. Each class says who must act; each error carries a hint that says how.

HTTP is unknown here: `cityloom.web.errors` holds the one table from error to status.
"""

from __future__ import annotations

import re

import msgspec


class CityError(Exception):
    """What CityLoom raises on purpose.

    `where` names the place at fault: a field ("temperature.value"), a line ("row 17"), a file.
    """

    def __init__(self, message: str, *, hint: str, where: str | None = None) -> None:
        super().__init__(message)
        self.message, self.hint = str(message), str(hint)
        #: The same as they were given: a `Worded` one can be said in other languages.
        self.said, self.advice = message, hint
        self.where = where

    def __str__(self) -> str:
        place = f" (at {self.where})" if self.where else ""
        return f"{self.message}{place}. {self.hint}" if self.hint else f"{self.message}{place}"


class BadInput(CityError):
    """The sender must correct what was sent."""


class NotFound(CityError):
    """The asker asked for something that is not there, or not there for them."""


class Conflict(CityError):
    """The asker must look again: what is there stands against the request."""


class NotAllowed(CityError):
    """The asker needs a permission or a clearance."""


class NotReady(CityError):
    """Nobody needs to act: it is tried again, or may be tried again later."""


class StorageFull(NotReady):
    """The disk is full: nothing was stored. It recovers by itself once there is room."""


class BadConfig(CityError):
    """The operator must correct the configuration. Raised at start alone."""


class AlreadyRunning(BadConfig):
    """Another process runs this city; who stands by goes on waiting."""


class BrokenPlugin(CityError):
    """The plugin's author must mend it; the city goes on without it."""


class TakenOver(RuntimeError):
    """Another process runs this city now: this one may write nothing more, and ends. No CityError: nothing
    that could be done about a request would help."""


#: Types as whoever writes JSON or TOML knows them.
_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "null": "nothing",
    "datetime": "an instant such as 2026-01-31T10:00:00Z",
    "date": "a date such as 2026-01-31",
    "time": "a time of day such as 10:00:00",
    "bytes": "bytes",
}
_EXPECTED = re.compile(
    r"Expected `(?P<wanted>[^`]+)`(?P<bound>(?: [^,`]+| matching .+)?)(?:, got `(?P<got>\w+)`)?"
)
_FIELD = re.compile(r"Object (?P<what>missing required|contains unknown) field `(?P<name>[^`]*)`")
_VALUE = re.compile(r"Invalid (?:enum )?value (?P<said>.+)")


def fault_of(error: msgspec.ValidationError) -> tuple[str, str]:
    """What does not fit the declared shape, and where: ("This is to be a whole number, and is a text",
    "mqtt.port").

    The place is "" for the whole.
    """
    message, _, place = str(error).partition(" - at ")
    return _in_words(message), place.strip("`").removeprefix("$").removeprefix(".")


def json_fault_of(error: Exception) -> tuple[str, str]:
    """The same of a text that was to be JSON and may be none."""
    if isinstance(error, msgspec.ValidationError):
        return fault_of(error)
    return "This is no JSON", ""


def words_of(error: Exception) -> str:
    """What is told of a file that cannot be read: what `fault_of` says, or the reader's own words."""
    if not isinstance(error, msgspec.ValidationError):
        return str(error)
    message, place = fault_of(error)
    return f"{message} ({place})" if place else message


def _in_words(message: str) -> str:
    """What msgspec says, as somebody would who does not know the program."""
    if found := _FIELD.match(message):
        if found["what"] == "contains unknown":
            return f"There is no field `{found['name']}` here"
        return f"The field `{found['name']}` is missing"
    if message.startswith("Invalid RFC3339"):
        return f"This is to be {_TYPES['datetime']}"
    if found := _VALUE.match(message):
        return f"There is no such choice as {found['said']}"
    if found := _EXPECTED.match(message):
        wanted = " or ".join(_TYPES.get(one.strip(), one.strip()) for one in found["wanted"].split("|"))
        but = f", and is {_TYPES.get(found['got'], found['got'])}" if found["got"] else ""
        return f"This is to be {wanted}{found['bound']}{but}"
    return f"This does not fit here: {message}"
