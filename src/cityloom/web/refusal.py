"""The page (or the JSON) that tells what went wrong, and what to do about it."""

from __future__ import annotations

from starlette.responses import Response

from cityloom.access.errors import NotSignedIn, PasswordChangeDue, TooManyAttempts
from cityloom.kernel.errors import BadInput, CityError, Conflict, NotAllowed, NotFound, NotReady, StorageFull
from cityloom.web.languages import noted as n
from cityloom.web.limits import TooLarge, TooSlow
from cityloom.web.visit import Visit

#: Most special first: (class, status, what the page is headed with).
_TABLE: tuple[tuple[type[CityError], int, str], ...] = (
    (TooLarge, 413, n("That is too large")),
    (TooSlow, 408, n("That took too long")),
    (TooManyAttempts, 429, n("Too many attempts")),
    (NotSignedIn, 401, n("Please sign in")),
    (NotAllowed, 403, n("This is not yours to do")),
    (NotFound, 404, n("This is not here")),
    (Conflict, 409, n("Somebody was here before you")),
    (StorageFull, 507, n("The city's disk is full")),
    (NotReady, 503, n("Please try again in a moment")),
    (BadInput, 400, n("Something in the request is not right")),
)


def refuse(visit: Visit, error: CityError) -> Response:
    """Answer with an error. A visitor who must sign in first is brought to the sign-in page."""
    status, title = next(
        ((status, title) for kind, status, title in _TABLE if isinstance(error, kind)),
        (500, n("Something went wrong here")),
    )
    if not visit.as_json and visit.request.method == "GET":
        if isinstance(error, PasswordChangeDue):
            return visit.redirect("/password")
        if isinstance(error, NotSignedIn):
            return visit.to_sign_in()
    data = {
        "type": "about:blank",
        "title": error.message,
        "status": status,
        "detail": error.hint,
        "where": error.where,
        "requestId": visit.request.state.request_id,
    }
    if visit.as_json:
        response = visit.json(data, status=status)
        response.headers["content-type"] = "application/problem+json"
    else:
        response = error_page(visit, status, title, said=error.message, hint=error.hint)
    if isinstance(error, TooManyAttempts):
        response.headers["retry-after"] = str(error.retry_after)
    return response


def error_page(visit: Visit, status: int, title: str, *, said: str = "", hint: str = "") -> Response:
    """A page of an error. What rooms say is English; it is marked so."""
    return visit.render(
        "error.html",
        status=status,
        title=visit.gettext(title),
        said=f"{said}." if said and said[-1] not in ".!?" else said,
        hint=hint,
        said_language="en",
        sign_in=not visit.signed_in and status in (401, 403, 404),
        request_id=visit.request.state.request_id,
    )
