"""The whole of what is served: pages, API, stream and files, behind one set of limits and headers."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from cityloom.kernel.errors import CityError
from cityloom.kernel.time import format_instant
from cityloom.web.desk import Desk
from cityloom.web.gate import ApiGate
from cityloom.web.headers import RequestIds, SecureHeaders
from cityloom.web.identity import Identify
from cityloom.web.interface import Beside
from cityloom.web.languages import noted as n
from cityloom.web.limits import BodyLimits, LimitBodies, Uploads
from cityloom.web.live import Live
from cityloom.web.loopback import LoopbackNamesAlone
from cityloom.web.ngsild.contexts_in_use import ContextsInUse
from cityloom.web.ngsild.exchange import ROOT
from cityloom.web.ngsild.remote_notifications import ROOT as NOTIFICATIONS
from cityloom.web.ngsild.remote_notifications import remote_notifications_interface
from cityloom.web.ngsild.routes import OPERATIONS, api
from cityloom.web.ogc.routes import ROOT as FEATURES
from cityloom.web.ogc.routes import features_interface
from cityloom.web.openapi import openapi_route
from cityloom.web.packing import Packed
from cityloom.web.pages.every import every_page
from cityloom.web.refusal import error_page, refuse
from cityloom.web.rooms import Rooms
from cityloom.web.sensorthings.routes import ROOT as SENSORTHINGS
from cityloom.web.sensorthings.routes import sensorthings_interface
from cityloom.web.static import StaticFiles
from cityloom.web.visit import Visit

_API = f"{ROOT}/"


class Site:
    """An ASGI application. `start` when the broker runs; `close` ends the streams before the server stops."""

    def __init__(
        self, rooms: Rooms, *, limits: BodyLimits | None = None, contexts: ContextsInUse | None = None
    ) -> None:
        self.rooms = rooms
        self.live = Live(rooms.broker, self._clock_face)
        self._reading: asyncio.Task[None] | None = None
        statics = StaticFiles()
        self.desk = Desk(rooms, statics, self.live)
        self.pages = Starlette(
            routes=[
                Route("/healthz", self._alive),
                Route("/readyz", self._ready),
                Route("/static/{name:path}", statics.serve),
                openapi_route(OPERATIONS),
                *every_page(self.desk),
            ],
            exception_handlers={HTTPException: self._http_error, CityError: self._city_error},
        )
        binding = rooms.models if rooms.checks_writes and not rooms.access.open_access else None
        limits = limits or BodyLimits()
        uploads = Uploads(limits)
        request_ids = RequestIds()
        beside = Beside(
            {
                FEATURES: features_interface(rooms),
                SENSORTHINGS: sensorthings_interface(rooms),
                NOTIFICATIONS: remote_notifications_interface(rooms, contexts),
            },
            self.pages,
        )
        self._app = self._behind_the_gate(beside, limits, uploads, request_ids)
        self._api = ApiGate(
            api(rooms, contexts, binding),
            rooms.access,
            limits,
            uploads,
            tiles=rooms.city.tiles,
            request_ids=request_ids,
            tally=rooms.requests,
        )

    def _behind_the_gate(
        self, app: ASGIApp, limits: BodyLimits, uploads: Uploads, request_ids: RequestIds
    ) -> ASGIApp:
        """What holds for every page; the first to see a request stands last. `ApiGate` holds the same."""
        app = Identify(app, self.rooms.access)
        app = LimitBodies(app, limits, uploads)
        app = Packed(app)
        if self.rooms.access.open_access:
            app = LoopbackNamesAlone(app)
        note = self.rooms.requests.note_beside
        return SecureHeaders(app, tiles=self.rooms.city.tiles, request_ids=request_ids, note=note)

    def start(self) -> None:
        """Begin to follow the city, and read what its pages list."""
        self.live.start()
        self._reading = asyncio.create_task(self.rooms.read(), name="reading ahead")

    def close(self) -> None:
        """End the streams."""
        if self._reading is not None:
            self._reading.cancel()
        self.live.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.rooms.broker.sweep()
        of_api = scope["type"] == "http" and scope["path"].startswith(_API)
        await (self._api if of_api else self._app)(scope, receive, send)

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
        visit = Visit(self.desk, request)
        return await visit.made(error_page(visit, status, title))

    async def _city_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, CityError)
        visit = Visit(self.desk, request)
        return await visit.made(refuse(visit, error))


def build(rooms: Rooms, *, limits: BodyLimits | None = None, contexts: ContextsInUse | None = None) -> Site:
    """The city's application over its rooms. `contexts` loads user @contexts through an allow-list."""
    return Site(rooms, limits=limits, contexts=contexts)
