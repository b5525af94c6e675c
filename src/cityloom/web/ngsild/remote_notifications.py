"""Where sources notify this city of what its subscribers asked for (ETSI GS CIM 009, 5.8.6).

It is no resource of the standard: each copy of a subscription names an address of its own below `ROOT`, and
whoever knows it is the source that was given it. A receiver is told nothing but whether it was heard.
"""

from __future__ import annotations

from typing import Any

from cityloom.federation.handing_on import NOTIFIED_AT
from cityloom.federation.receiving import Receiving
from cityloom.kernel.media_types import JSON, JSON_LD
from cityloom.ngsild.contexts import Context
from cityloom.ngsild.errors import BadRequestData, ResourceNotFound
from cityloom.web.interface import Call, Interface
from cityloom.web.limits import TooLarge
from cityloom.web.ngsild.contexts_in_use import ContextsInUse
from cityloom.web.ngsild.exchange import Reply, StatusAlone
from cityloom.web.ngsild.negotiation import context_link, media_type
from cityloom.web.rooms import Rooms

ROOT, _, _NAME = NOTIFIED_AT.rpartition("/")
#: Bytes of a notification that must be read before it is known who sends it.
LARGEST_WITHOUT_TOKEN = 100_000


def remote_notifications_interface(rooms: Rooms, contexts: ContextsInUse | None = None) -> Interface:
    """The interface; `contexts` finds the @contexts that sources name."""
    known = contexts or ContextsInUse()
    receiving = Receiving(rooms.handed_on)

    async def answer(call: Call) -> Reply:
        return await _receive(call, receiving, known)

    return Interface(ROOT, answer, rooms.broker, methods=("POST",), read_from_elsewhere=False)


async def _receive(call: Call, receiving: Receiving, contexts: ContextsInUse) -> Reply:
    """POST /remote-notify/{token}."""
    name, token = (*call.segments, "", "")[:2]
    if name != _NAME or len(call.segments) > 2:
        raise ResourceNotFound("There is no such resource", hint="See /openapi.json for what there is.")
    media, _ = media_type(call.header(b"content-type"))
    if media not in (JSON, JSON_LD):
        raise StatusAlone(415, [(b"accept-post", f"{JSON}, {JSON_LD}".encode())])
    # Nobody makes the city work who is not the source.
    if token:
        receiving.check_token(token)
    elif not _is_small(call.header(b"content-length")):
        raise TooLarge(
            f"Without its token in the address a notification has {LARGEST_WITHOUT_TOKEN} bytes at most",
            hint="Notify the whole address that the subscription names.",
        )
    payload = await call.payload()
    if not isinstance(payload, dict) or not isinstance(payload.get("subscriptionId"), str):
        raise BadRequestData(
            "This is no notification", hint="Send subscriptionId and data.", where="subscriptionId"
        )
    leg = receiving.leg_of(token, payload["subscriptionId"])
    items = payload.get("data")
    items = items if isinstance(items, list) else [items]

    async def use(source: Any) -> Context:
        return await contexts.use(source, leg.tenant)

    own = payload.get("@context") if media == JSON_LD else context_link([call.header(b"link")])
    await receiving.receive(leg, items, await use(own), use)
    return Reply(200)


def _is_small(announced: str) -> bool:
    return announced.isascii() and announced.isdigit() and int(announced[:18]) <= LARGEST_WITHOUT_TOKEN
