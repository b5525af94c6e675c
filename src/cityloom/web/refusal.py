"""The page (or the JSON) that tells what went wrong, and what to do about it."""

from __future__ import annotations

from starlette.responses import Response

from cityloom.access.errors import NotSignedIn, PasswordChangeDue
from cityloom.kernel.errors import CityError
from cityloom.kernel.media_types import PROBLEM
from cityloom.web.errors import error_headers, problem, told
from cityloom.web.forms import WrongForm
from cityloom.web.languages import SOURCE
from cityloom.web.visit import Visit


def refuse(visit: Visit, error: CityError) -> Response:
    """Answer with an error. A visitor who must sign in first is brought to the sign-in page."""
    how = told(error)
    if not visit.as_json and visit.request.method == "GET":
        if isinstance(error, PasswordChangeDue):
            return visit.redirect("/password")
        if isinstance(error, NotSignedIn):
            return visit.to_sign_in()
    data = problem(error, instance=visit.request.state.request_id)
    if visit.as_json:
        response = visit.json(data, status=how.status)
        response.headers["content-type"] = PROBLEM
    elif isinstance(error, WrongForm):
        # What is wrong with a form is said in the reader's language already.
        response = error_page(
            visit,
            how.status,
            how.heading,
            said=" ".join(error.form.errors.values()),
            language=visit.language.code,
        )
    else:
        response = error_page(visit, how.status, how.heading, said=error.message, hint=error.hint)
    response.raw_headers += error_headers(error)
    return response


def error_page(
    visit: Visit, status: int, title: str, *, said: str = "", hint: str = "", language: str = SOURCE
) -> Response:
    """A page of an error, which is never printed. What rooms say is English; it is marked so."""
    visit.has_pdf = False
    return visit.render(
        "error.html",
        status=status,
        title=visit.gettext(title),
        said=f"{said}." if said and said[-1] not in ".!?" else said,
        hint=hint,
        said_language=language,
        sign_in=not visit.signed_in and status in (401, 403, 404),
        request_id=visit.request.state.request_id,
    )
