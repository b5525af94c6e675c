"""Open access answers to this machine's own names alone.

Whoever listens on loopback is reached by the browser of this machine, and that browser also runs pages of
strangers. A stranger's name may be made to lead to 127.0.0.1 (DNS rebinding); then the stranger's page is of
the same origin as the city and reads and writes all of it. Such a request still carries the stranger's name.
"""

from __future__ import annotations

import re

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from cityloom.kernel.errors import NotAllowed
from cityloom.kernel.media_types import PROBLEM
from cityloom.web.errors import problem, told
from cityloom.web.head import head_of

_OWN = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)


class LoopbackNamesAlone:
    """ASGI middleware: refuses requests whose Host is not a name of loopback, whatever they ask for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not names_loopback(scope):
            await _refusal(scope)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def names_loopback(scope: Scope) -> bool:
    """Whether a request's one Host is a name of loopback."""
    hosts = head_of(scope).get(b"host", ())
    return len(hosts) == 1 and _OWN.fullmatch(hosts[0]) is not None


def not_by_this_name() -> NotAllowed:
    """The error for a request that names another host."""
    return NotAllowed(
        "Under open access the city answers to localhost, 127.0.0.1 and [::1] alone",
        hint="Use one of these names, or run the city without --open-access.",
        where="Host",
    )


def _refusal(scope: Scope) -> JSONResponse:
    error = not_by_this_name()
    content = problem(error, instance=scope["state"]["request_id"])
    return JSONResponse(content, status_code=told(error).status, media_type=PROBLEM)
