"""What a process answers that may not speak for the city: it stands by, or its lease has run out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

#: Answered as long as the process lives, whoever runs the city.
ALIVE = "/healthz"
READY = "/readyz"
METRICS = "/metrics"
#: Seconds after which a client may ask again.
_AGAIN_S = "1"
#: For how long a city with no other process goes on telling what it remembers while its database is away, as
#: in a restart of it. Then that may be another process' city after all, one that this one is cut off from.
LONGEST_FROM_MEMORY_S = 30.0
_NEVER_KEPT = {"cache-control": "no-store"}


def may_speak(unheld_s: float, *, alone: bool) -> bool:
    """Whether a process may tell what it remembers, so many seconds after its lease ran out; `alone`: it
    knows of no process that stands by."""
    return unheld_s < LONGEST_FROM_MEMORY_S if alone else unheld_s == 0


class WhileHeld:
    """ASGI middleware: nothing is answered out of a memory that another process may have gone past."""

    def __init__(self, app: ASGIApp, held: Callable[[], bool]) -> None:
        self._app = app
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._held() or scope["path"] == ALIVE:
            await self._app(scope, receive, send)
            return
        trouble = "The database does not answer, so what is remembered here may be out of date by now."
        answer = not_here(scope["path"], "waiting", [trouble])
        await answer(scope, receive, send)


class Standby:
    """ASGI application of a process that waits until it is its turn to run the city."""

    def __init__(
        self, troubles: Callable[[], list[str]], metrics: Callable[[str], tuple[bytes, str]]
    ) -> None:
        """`metrics` makes its figures out of what the asker accepts."""
        self._troubles = troubles
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._answer(Request(scope))
        await answer(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        path = request.url.path
        if path == ALIVE:
            return JSONResponse({"status": "alive"}, headers=_NEVER_KEPT)
        if path == METRICS:
            body, media = self._metrics(request.headers.get("accept", ""))
            return Response(body, headers={"content-type": media, **_NEVER_KEPT})
        return not_here(path, "standing by", self._troubles())


def not_here(path: str, status: str, troubles: list[str]) -> Response:
    """503: this process has nothing to say for the city now."""
    headers = {**_NEVER_KEPT, "retry-after": _AGAIN_S}
    if path == READY:
        return JSONResponse({"status": status, "troubles": troubles}, status_code=503, headers=headers)
    problem: dict[str, Any] = {
        "type": "about:blank",
        "title": "This process does not run the city at the moment",
        "status": 503,
        "detail": " ".join([*troubles, "Nothing of this request was done. Ask the other one, or again."]),
    }
    return JSONResponse(problem, status_code=503, headers=headers, media_type="application/problem+json")
