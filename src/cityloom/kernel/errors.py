"""The errors of CityLoom. Each class says who must act; each error carries a hint that says how.

HTTP is unknown here: `cityloom.web.errors` holds the one table from error to status.
"""

from __future__ import annotations

import msgspec


class CityError(Exception):
    """What CityLoom raises on purpose.

    `where` names the place at fault: a field ("temperature.value"), a line ("row 17"), a file.
    """

    def __init__(self, message: str, *, hint: str, where: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
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


def fault_of(error: msgspec.ValidationError) -> tuple[str, str]:
    """What does not fit the declared shape, and where: ("Expected `int`, got `str`", "mqtt.port").

    The place is "" for the whole.
    """
    message, _, place = str(error).partition(" - at ")
    return message, place.strip("`").removeprefix("$").removeprefix(".")
