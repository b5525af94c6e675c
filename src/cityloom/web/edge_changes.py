"""Where edges bring what changed: POST /edge/changes. What is said there: `cityloom.edge.model`."""

from __future__ import annotations

import asyncio

import orjson
from msgspec import to_builtins
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cityloom.edge.line import PATH
from cityloom.edge.model import Received
from cityloom.edge.packing import unpack
from cityloom.kernel.errors import CityError
from cityloom.kernel.media_types import PROBLEM
from cityloom.web.bodies import whole_body
from cityloom.web.desk import Desk
from cityloom.web.errors import problem, told
from cityloom.web.identity import bearer_of, refusal_of


def edge_route(desk: Desk) -> Route:
    """The route."""

    async def bring(request: Request) -> Response:
        """Changes of an edge, taken once."""
        try:
            received = await _take(request)
        except CityError as error:
            return JSONResponse(
                problem(error, instance=request.state.request_id),
                status_code=told(error).status,
                media_type=PROBLEM,
            )
        return Response(orjson.dumps(to_builtins(received)), media_type="application/json")

    async def _take(request: Request) -> Received:
        if (refusal := refusal_of(request.scope)) is not None:
            raise refusal
        actor = request.state.actor
        # Nobody else's body is read.
        desk.rooms.receiving.granted(actor)
        body = await whole_body(request)
        shown = bearer_of({"authorization": request.headers.get("authorization", "")})
        return await desk.rooms.receiving.receive(
            actor,
            await asyncio.to_thread(unpack, body),
            token_ends=await desk.rooms.access.token_ends(shown or ""),
        )

    return Route(PATH, bring, methods=["POST"])
