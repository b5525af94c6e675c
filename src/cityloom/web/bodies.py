"""Bodies of requests, read to their end."""

from __future__ import annotations

from starlette.requests import ClientDisconnect, Request

from cityloom.kernel.errors import BadInput


async def whole_body(request: Request) -> bytes:
    """The body. Raises BadInput when the sender is gone before its end: nothing is done then."""
    try:
        return await request.body()
    except ClientDisconnect:
        raise BadInput("The line was cut", hint="Send it again.", where="body") from None
