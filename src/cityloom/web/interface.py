"""An interface for other programs beside NGSI-LD: who asks, which tenant, how errors are told, who may read.

Whoever reads as a visitor may do so from a page of another site too (CORS): what is open is open there as
well. No such page reads with somebody's session, since no leave is given to send its credentials, and
none writes but with a token. Under open access no other site's page reads anything.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote, unquote

import orjson
from starlette.types import ASGIApp, Receive, Scope, Send

from cityloom.context.broker import Broker
from cityloom.kernel.actor import ANONYMOUS, Actor
from cityloom.kernel.errors import CityError
from cityloom.kernel.media_types import JSON, PROBLEM
from cityloom.ngsild.errors import BadRequestData, InvalidRequest
from cityloom.ngsild.json_text import decode_json
from cityloom.web.errors import error_headers, problem, told
from cityloom.web.identity import refusal_of
from cityloom.web.ngsild.exchange import Headers, Reply, StatusAlone
from cityloom.web.ngsild.parameters import MAX_PARAMETERS, pairs_in
from cityloom.web.tenants import tenant_named

_log = logging.getLogger(__name__)


Answer = Callable[["Call"], Awaitable[Reply]]
#: Adds what an interface tells of errors in its own members.
Tell = Callable[[dict[str, Any]], dict[str, Any]]


class Call:
    """One request: who asks, where, with which parameters."""

    def __init__(self, scope: Scope, receive: Receive, root: str, broker: Broker) -> None:
        self.scope = scope
        self.method: str = "GET" if scope["method"] == "HEAD" else scope["method"]
        self.actor: Actor = scope.get("state", {}).get("actor") or ANONYMOUS
        self.root = root
        self._receive = receive
        self._broker = broker
        self.tenant = ""
        self.parameters: list[tuple[str, str]] = []

    def begin(self) -> None:
        """Read tenant and parameters. Raises the error with which the request must be answered."""
        refusal = refusal_of(self.scope)
        if refusal is not None:
            raise refusal
        self.tenant = tenant_named(
            self.header(b"ngsild-tenant"),
            lambda tenant: tenant in self._broker.tenants(self.actor),
            may_be_new=self.method == "POST",
        )
        self.parameters = self._read_parameters()

    def header(self, name: bytes) -> str:
        """The value of a header, "" when it is not there."""
        return next((value.decode("latin-1") for one, value in self.scope["headers"] if one == name), "")

    @property
    def site(self) -> str:
        """The address of the city as the asker sees it."""
        return f"{self.scope.get('scheme', 'http')}://{self.header(b'host') or 'localhost'}"

    @property
    def base(self) -> str:
        """The address of the interface as the asker sees it."""
        return self.site + self.root

    @property
    def segments(self) -> list[str]:
        """The parts of the path below the root, decoded one by one."""
        return [unquote(part, errors="surrogateescape") for part in self.raw_path.split("/") if part]

    @property
    def raw_path(self) -> str:
        """The path below the root as it was sent."""
        raw: bytes = self.scope.get("raw_path") or quote(self.scope["path"]).encode()
        return raw.partition(b"?")[0].decode("latin-1").removeprefix(self.root).strip("/")

    @property
    def trace(self) -> str:
        """What set a change off, for the feed."""
        request_id = self.scope.get("state", {}).get("request_id", "")
        return f"request:{self.method} {self.root} {request_id}".rstrip()

    async def payload(self) -> Any:
        """The JSON of the body. Raises BadInput, TooLarge, TooSlow."""
        parts: list[bytes] = []
        more = True
        while more:
            message = await self._receive()
            parts.append(message.get("body", b""))
            more = message.get("more_body", False) and message["type"] == "http.request"
        return decode_json(b"".join(parts))

    def _read_parameters(self) -> list[tuple[str, str]]:
        query: bytes = self.scope.get("query_string", b"")
        try:
            found = pairs_in(query.decode("ascii"))
        except (UnicodeDecodeError, ValueError):
            raise InvalidRequest(
                "The query string cannot be read",
                hint=f"Percent-encode it as UTF-8; at most {MAX_PARAMETERS} parameters.",
            ) from None
        names = [name for name, _ in found]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise BadRequestData(f"{twice[:40]!a} is given twice", hint="Give it once.", where=twice[:40])
        return found


class Interface:
    """An ASGI application at `root`. `answer` gives the reply to a call, or raises a CityError."""

    def __init__(
        self,
        root: str,
        answer: Answer,
        broker: Broker,
        *,
        methods: tuple[str, ...],
        read_from_elsewhere: bool,
        tell: Tell = lambda found: found,
    ) -> None:
        self._root = root
        self._answer = answer
        self._broker = broker
        self._methods = methods
        self._read_from_elsewhere = read_from_elsewhere
        self._tell = tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            reply = await self._reply(scope, receive)
        except StatusAlone as alone:
            reply = Reply(alone.status, alone.body, headers=alone.headers)
        except CityError as error:
            reply = self._refused(error, scope)
        except Exception as error:  # noqa: BLE001 - a defect: the asker gets an answer, the log the rest
            _log.exception("%s %s failed", scope["method"], scope["path"])
            reply = self._refused(error, scope)
        await self._send(reply, scope, send)

    async def _reply(self, scope: Scope, receive: Receive) -> Reply:
        method = scope["method"]
        if method == "OPTIONS":
            return Reply(204, headers=[(b"allow", ", ".join(self._methods).encode())])
        if method not in self._methods:
            raise StatusAlone(405, [(b"allow", ", ".join(self._methods).encode())])
        call = Call(scope, receive, self._root, self._broker)
        call.begin()
        return await self._answer(call)

    def _refused(self, error: Exception, scope: Scope) -> Reply:
        request_id = scope.get("state", {}).get("request_id", "")
        found = problem(error, instance=f"urn:request:{request_id}" if request_id else "")
        return Reply(told(error).status, orjson.dumps(self._tell(found)), PROBLEM, error_headers(error))

    async def _send(self, reply: Reply, scope: Scope, send: Send) -> None:
        headers = list(reply.headers or ())
        if reply.media:
            headers.append((b"content-type", reply.media.encode()))
        if reply.status != 204:
            headers.append((b"content-length", str(len(reply.body)).encode()))
        if self._read_from_elsewhere and scope["method"] in ("GET", "HEAD", "OPTIONS"):
            headers += _LEAVE
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else reply.body
        await send({"type": "http.response.body", "body": body})


class Beside:
    """An ASGI application: interfaces by their roots, and the pages everywhere else."""

    def __init__(self, interfaces: Mapping[str, ASGIApp], pages: ASGIApp) -> None:
        self._interfaces = tuple((root, f"{root}/", app) for root, app in interfaces.items())
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        found = (app for root, below, app in self._interfaces if path == root or path.startswith(below))
        await next(found, self._pages)(scope, receive, send)


#: Leave for pages of other sites to read, without credentials of the browser.
_LEAVE: Headers = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, HEAD"),
    (b"access-control-allow-headers", b"accept, authorization, content-type, ngsild-tenant"),
    (b"access-control-expose-headers", b"link"),
    (b"access-control-max-age", b"3600"),
]


def json_reply(data: Any, *, status: int = 200, media: str = JSON, headers: Headers | None = None) -> Reply:
    """An answer that is JSON."""
    return Reply(status, orjson.dumps(data), media, headers)
