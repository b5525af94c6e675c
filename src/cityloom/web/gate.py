"""The gate of the API: what holds for every request, in one step.

Pages stand behind a row of ASGI middlewares (`site`), which may pass on an answer in pieces. The API's
answers are whole, and are many: here the same checks are made one after the other, by the same functions, and
the answer goes out in one piece.
"""

from __future__ import annotations

from time import perf_counter

from starlette.types import Receive, Scope, Send

from cityloom.access.entrance import Access
from cityloom.web.headers import HTTPS_ALONE, Pairs, RequestIds, said_always
from cityloom.web.identity import identify
from cityloom.web.limits import BodyLimits, BoundedBody, Uploads, bounded
from cityloom.web.loopback import names_loopback, not_by_this_name
from cityloom.web.ngsild.application import NgsiLd, headers_of, refused
from cityloom.web.ngsild.exchange import ROOT, Reply
from cityloom.web.packing import WORTH_PACKING, WRITES, packed, unpacks
from cityloom.web.request_tally import RequestTally
from cityloom.web.turn import turn_of


class ApiGate:
    """An ASGI application: the API with security headers, a request's name, its asker and its bounds."""

    def __init__(
        self,
        api: NgsiLd,
        access: Access,
        limits: BodyLimits,
        uploads: Uploads,
        *,
        tiles: str,
        request_ids: RequestIds,
        tally: RequestTally,
    ) -> None:
        self._api = api
        self._tally = tally
        self._access = access
        self._limits = limits
        self._uploads = uploads
        self._largest = limits.largest_below(f"{ROOT}/")
        self._request_ids = request_ids
        self._said = said_always(tiles)
        self._names = {name for name, _ in self._said} | {HTTPS_ALONE[0]}
        self._head = b"".join(b"%s: %s\r\n" % pair for pair in self._said)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = perf_counter()
        state = scope.setdefault("state", {})
        request_id = state["request_id"] = self._request_ids.of(scope)
        body = bounded(scope, receive, self._limits, self._uploads, self._largest)
        try:
            reply = await self._reply(scope, body)
        finally:
            body.release()
        self._tally.note(scope, reply.status, perf_counter() - began)
        headers = [*headers_of(reply, scope), (b"x-request-id", request_id.encode())]
        if len(reply.body) >= WORTH_PACKING and scope["method"] not in WRITES:
            headers.append((b"vary", b"Accept-Encoding"))
            if unpacks(scope):
                headers, reply.body = await packed(headers, reply.body)
        if scope.get("scheme") == "https":
            headers.append(HTTPS_ALONE)
        if body.is_given_up:
            # Nobody reads the rest of it: whoever still sends is hung up on.
            headers.append((b"connection", b"close"))
        await self._send(scope, send, reply, headers)

    async def _reply(self, scope: Scope, body: BoundedBody) -> Reply:
        if self._access.open_access and not names_loopback(scope):
            return refused(not_by_this_name(), scope)
        await identify(scope, self._access)
        return await self._api.reply_to(scope, body)

    async def _send(self, scope: Scope, send: Send, reply: Reply, headers: Pairs) -> None:
        turn = turn_of(scope)
        own = {name for name, _ in reply.headers or () if name in self._names}
        if turn is not None and turn.takes_answers and not own:
            turn.answer(reply.status, self._head, headers, reply.body)
            return
        # What the API says itself stays as it says it.
        headers += [pair for pair in self._said if pair[0] not in own]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})
