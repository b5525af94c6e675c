"""Where web hooks deliver: POST /hooks/{connector} with a device's token."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cityloom.kernel.errors import CityError, NotAllowed
from cityloom.kernel.media_types import JSON, PROBLEM
from cityloom.web.desk import Desk
from cityloom.web.errors import problem, told


def hook_route(desk: Desk) -> Route:
    """The route. It answers when the readings are durable."""

    async def deliver(request: Request) -> Response:
        """Readings for a connector, by a device's token."""
        try:
            outcome = await desk.rooms.connectors.push(
                request.path_params["connector"],
                _token(request),
                await request.body(),
                request.headers.get("content-type", JSON),
                address=f"http:{request.path_params['connector']}",
            )
        except CityError as error:
            return JSONResponse(
                problem(error, instance=request.state.request_id),
                status_code=told(error).status,
                media_type=PROBLEM,
            )
        return JSONResponse({"stored": not outcome.parked}, status_code=202)

    return Route("/hooks/{connector}", deliver, methods=["POST"])


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotAllowed(
            "The request shows no token",
            hint="Send the device's token: Authorization: Bearer <token>.",
            where="Authorization",
        )
    return token.strip()
