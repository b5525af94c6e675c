"""The whole of what is served: pages, API, stream and files, behind one set of limits and headers."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from cityloom.kernel.errors import CityError
from cityloom.kernel.time import format_instant
from cityloom.web.desk import Desk
from cityloom.web.headers import SecureHeaders
from cityloom.web.identity import Identify
from cityloom.web.languages import noted as n
from cityloom.web.limits import BodyLimits, LimitBodies
from cityloom.web.live import Live
from cityloom.web.loopback import LoopbackNamesAlone
from cityloom.web.ngsild.contexts_in_use import ContextsInUse
from cityloom.web.ngsild.routes import routes as api_routes
from cityloom.web.pages.every import every_page
from cityloom.web.refusal import error_page, refuse
from cityloom.web.rooms import Rooms
from cityloom.web.static import StaticFiles
from cityloom.web.visit import Visit

#: Answers smaller than this are not packed.
_WORTH_PACKING = 1_000


class Site:
    """An ASGI application. `start` when the broker runs; `close` ends the streams before the server stops."""

    def __init__(
        self, rooms: Rooms, *, limits: BodyLimits | None = None, contexts: ContextsInUse | None = None
    ) -> None:
        self.rooms = rooms
        self.live = Live(rooms.broker, self._clock_face)
        statics = StaticFiles()
        self.desk = Desk(rooms, statics, self.live)
        self._app = Starlette(
            routes=[
                Route("/healthz", self._alive),
                Route("/readyz", self._ready),
                Route("/static/{name:path}", statics.serve),
                *api_routes(rooms, contexts),
                *every_page(self.desk),
            ],
            middleware=[
                Middleware(SecureHeaders, tiles=rooms.city.tiles),
                *([Middleware(LoopbackNamesAlone)] if rooms.access.open_access else []),
                Middleware(GZipMiddleware, minimum_size=_WORTH_PACKING, compresslevel=5),
                Middleware(LimitBodies, limits=limits or BodyLimits()),
                Middleware(Identify, access=rooms.access),
            ],
            exception_handlers={HTTPException: self._http_error, CityError: self._city_error},
        )

    def start(self) -> None:
        """Begin to follow the city."""
        self.live.start()

    def close(self) -> None:
        """End the streams."""
        self.live.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.rooms.broker.sweep()
        await self._app(scope, receive, send)

    def _clock_face(self) -> dict[str, Any]:
        pace = self.rooms.pace
        return {
            "now": format_instant(self.rooms.clock.now()),
            "speed": pace.speed if pace else 1.0,
            "paused": pace.paused if pace else False,
        }

    async def _alive(self, _request: Request) -> Response:
        """The process answers."""
        return JSONResponse({"status": "alive"}, headers={"cache-control": "no-store"})

    async def _ready(self, _request: Request) -> Response:
        """The city answers; 503 with the reasons while it does not."""
        troubles = self.rooms.health.troubles()
        return JSONResponse(
            {"status": "waiting" if troubles else "ready", "troubles": troubles},
            status_code=503 if troubles else 200,
            headers={"cache-control": "no-store"},
        )

    async def _http_error(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        title = {404: n("This page is not here"), 405: n("This cannot be done here")}.get(
            status, n("Something in the request is not right")
        )
        if request.url.path.endswith(".json"):
            return JSONResponse({"type": "about:blank", "title": title, "status": status}, status_code=status)
        return error_page(Visit(self.desk, request), status, title)

    async def _city_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, CityError)
        return refuse(Visit(self.desk, request), error)


def build(rooms: Rooms, *, limits: BodyLimits | None = None, contexts: ContextsInUse | None = None) -> Site:
    """The city's application over its rooms. `contexts` loads user @contexts through an allow-list."""
    return Site(rooms, limits=limits, contexts=contexts)
