"""The one table from error to HTTP status, and the problem details that tell of it.

ETSI GS CIM 009, 5.5.2, 5.5.3 and 6.3.2; RFC 7807. What is no error of the house is told without its words:
they may hold what is secret, and stand in the log.
"""

from __future__ import annotations

from typing import Any

import msgspec

from cityloom.access.errors import NotSignedIn, OverQuota, TooLargeToKeep, TooManyAttempts
from cityloom.federation.errors import LoopDetected, SourceFailed, SourceTimedOut
from cityloom.kernel.errors import (
    BadInput,
    CityError,
    Conflict,
    NotAllowed,
    NotFound,
    NotReady,
    StorageFull,
)
from cityloom.ngsild.errors import (
    ERROR_TYPES,
    AlreadyExists,
    BadRequestData,
    InvalidRequest,
    LdContextNotAvailable,
    NoMultiTenantSupport,
    NonexistentTenant,
    OperationNotSupported,
    ResourceNotFound,
    TooComplexQuery,
    TooManyResults,
)
from cityloom.web.languages import noted as n
from cityloom.web.limits import TooLarge, TooSlow
from cityloom.web.printing import CannotPrint, TooLongToPrint
from cityloom.web.turning_away import COME_BACK_AFTER, retry_after


class Told(msgspec.Struct, frozen=True):
    """How a kind of error is told: HTTP status, the URI of its type, a title, and the heading of a page."""

    status: int
    type: str
    title: str
    heading: str


_WRONG = n("Something in the request is not right")
_ABSENT = n("This is not here")
_CONFLICT = n("Somebody was here before you")


def _standard(status: int, name: str, title: str, heading: str = _WRONG) -> Told:
    return Told(status, ERROR_TYPES + name, title, heading)


def _plain(status: int, title: str, heading: str) -> Told:
    return Told(status, "about:blank", title, heading)


#: Most special first.
TABLE: tuple[tuple[type[CityError], Told], ...] = (
    (TooLarge, _plain(413, "Request too large", n("That is too large"))),
    (TooSlow, _plain(408, "Request timeout", n("That took too long"))),
    (TooLargeToKeep, _plain(413, "Request too large", n("That is too large"))),
    (OverQuota, _plain(403, "Quota used up", n("You have as much kept here as the city keeps"))),
    (NotSignedIn, _plain(401, "Not signed in", n("Please sign in"))),
    (NotAllowed, _plain(403, "Not allowed", n("This is not yours to do"))),
    (TooManyAttempts, _plain(429, "Too many attempts", n("Too many attempts"))),
    (CannotPrint, _plain(501, "Not implemented", n("This city makes no PDF"))),
    (TooLongToPrint, _plain(413, "Too long to print", n("That is too large"))),
    (StorageFull, _plain(507, "Disk full", n("The city's disk is full"))),
    (LdContextNotAvailable, _standard(504, "LdContextNotAvailable", "@context not available")),
    (LoopDetected, _plain(508, "Loop detected", n("Please try again in a moment"))),
    (SourceTimedOut, _plain(504, "Gateway timeout", n("Please try again in a moment"))),
    (SourceFailed, _plain(502, "Bad gateway", n("Please try again in a moment"))),
    (NotReady, _plain(503, "Not ready", n("Please try again in a moment"))),
    (NonexistentTenant, _standard(404, "NonexistentTenant", "No such tenant", _ABSENT)),
    (ResourceNotFound, _standard(404, "ResourceNotFound", "Not found", _ABSENT)),
    (NotFound, _standard(404, "ResourceNotFound", "Not found", _ABSENT)),
    (AlreadyExists, _standard(409, "AlreadyExists", "Already exists", _CONFLICT)),
    (Conflict, _standard(409, "Conflict", "Conflict", _CONFLICT)),
    (InvalidRequest, _standard(400, "InvalidRequest", "Invalid request")),
    (OperationNotSupported, _standard(422, "OperationNotSupported", "Operation not supported")),
    (TooComplexQuery, _standard(403, "TooComplexQuery", "Query too complex")),
    (TooManyResults, _standard(403, "TooManyResults", "Too many results")),
    (NoMultiTenantSupport, _standard(501, "NoMultiTenantSupport", "No tenants")),
    (BadRequestData, _standard(400, "BadRequestData", "Bad request data")),
    (BadInput, _standard(400, "BadRequestData", "Bad request data")),
)

#: What is told of a defect.
INTERNAL = _standard(500, "InternalError", "Internal error", n("Something went wrong here"))


def told(error: Exception) -> Told:
    """How an error is told."""
    return next((how for kind, how in TABLE if isinstance(error, kind)), INTERNAL)


def _seconds_to_wait(error: Exception) -> int | None:
    """Seconds after which it makes sense to try again; None: another try would end the same way."""
    if isinstance(error, TooManyAttempts):
        return error.retry_after
    return COME_BACK_AFTER if told(error).status == 503 else None


def error_headers(error: Exception) -> list[tuple[bytes, bytes]]:
    """What the head of an answer says of an error beside its status: how to sign in, when to come again."""
    found = []
    if isinstance(error, NotSignedIn):
        found.append((b"www-authenticate", b'Bearer realm="CityLoom"'))
    if (after := _seconds_to_wait(error)) is not None:
        found.append(retry_after(after))
    return found


def problem(error: Exception, *, instance: str = "") -> dict[str, Any]:
    """Problem details as plain JSON; `instance` names the request or the entity at fault."""
    how = told(error)
    found: dict[str, Any] = {"type": how.type, "title": how.title, "status": how.status}
    if isinstance(error, CityError) and how is not INTERNAL:
        place = f" (at {error.where})" if error.where else ""
        found["detail"] = _storable(f"{error.message}{place}")
        found["hint"] = _storable(error.hint)
        if error.where:
            found["where"] = _storable(error.where)
    else:
        found["detail"] = "The city made a mistake. Nothing is known to have been stored."
        found["hint"] = "Tell the operator the number of this request; the log has the rest."
    if instance:
        found["instance"] = instance
    return found


def _storable(text: str) -> str:
    """Text that can be written as UTF-8, whatever a sender put into it."""
    return text.encode("utf-8", "backslashreplace").decode()
