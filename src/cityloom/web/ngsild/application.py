"""The API as an ASGI application: finds the operation, tells its errors (ETSI GS CIM 009, 6.3.2, 6.3.3)."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable
from urllib.parse import quote, unquote

from starlette.types import Receive, Scope, Send

from cityloom.kernel.errors import CityError
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.web.errors import error_headers, problem, told
from cityloom.web.head import head_of
from cityloom.web.identity import refusal_of
from cityloom.web.ngsild.exchange import ROOT, Exchange, Headers, Reply, StatusAlone, plain_reply
from cityloom.web.ngsild.operations import Operation
from cityloom.web.ngsild.services import Services

_log = logging.getLogger(__name__)
#: Headers that come back with the answer (6.3.14, 6.3.22).
_SAID_BACK = (b"ngsild-tenant", b"ngsild-snapshot")
#: With a slash at the end this is the list, and no registration whose id was forgotten (6.8).
_LISTS_ALONE = (("csourceRegistrations",), ("subscriptions",))


class NgsiLd:
    """The operations at /ngsi-ld/v1. The asker is `state.actor` of the scope, or else a visitor."""

    def __init__(self, operations: Iterable[Operation], services: Services) -> None:
        self._services = services
        #: By how many segments a path has, and the first of them.
        self._resources: dict[tuple[int, str], list[Resource]] = defaultdict(list)
        for operation in operations:
            self._resource_of(operation).methods[operation.method] = operation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        reply = await self.reply_to(scope, receive)
        await send(
            {"type": "http.response.start", "status": reply.status, "headers": headers_of(reply, scope)}
        )
        await send({"type": "http.response.body", "body": reply.body})

    async def reply_to(self, scope: Scope, receive: Receive) -> Reply:
        """The answer to a request, errors told."""
        try:
            return await self._answer(scope, receive)
        except StatusAlone as alone:
            return Reply(alone.status, alone.body, headers=alone.headers)
        except CityError as error:
            return refused(error, scope)
        except Exception as error:  # noqa: BLE001 - a defect: the asker gets an answer, the log the rest
            _log.exception("%s %s failed", scope["method"], scope["path"])
            return plain_reply(problem(error, instance=_request_id(scope)), status=500)

    async def _answer(self, scope: Scope, receive: Receive) -> Reply:
        refusal = refusal_of(scope)
        if refusal is not None:
            raise refusal
        found = self._find(_segments(scope))
        if found is None:
            raise ResourceNotFound(
                "There is no such resource", hint="See /openapi.json for what there is.", where=scope["path"]
            )
        resource, variables = found
        operation = resource.methods.get(scope["method"])
        if operation is None and _ends_as_a_list(scope, resource):
            # /entities/ is also the path of an entity whose id was forgotten.
            resource, variables = self._find([*resource.segments, ""]) or found
            operation = resource.methods.get(scope["method"])
        if operation is None:
            allow = (b"allow", ", ".join([*resource.methods, "OPTIONS"]).encode())
            raise StatusAlone(204 if scope["method"] == "OPTIONS" else 405, [allow])
        scope["state"]["operation"] = operation
        exchange = Exchange(scope, receive, self._services, operation, variables)
        await exchange.begin()
        if self._services.federation.any(exchange.tenant) and operation.spread and not exchange.is_local:
            return await operation.spread(exchange)
        return await operation.handler(exchange)

    def _resource_of(self, operation: Operation) -> Resource:
        segments = operation.segments
        known = self._resources[len(segments), segments[0]]
        found = next((one for one in known if one.segments == segments), None)
        if found is None:
            found = Resource(segments)
            known.append(found)
        return found

    def _find(self, segments: list[str]) -> tuple[Resource, dict[str, str]] | None:
        for resource in self._resources.get((len(segments), segments[0]), ()):
            variables = resource.match(segments)
            if variables is not None:
                return resource, variables
        return None


def _ends_as_a_list(scope: Scope, resource: Resource) -> bool:
    """Whether a path may be that of something whose id was forgotten."""
    is_list = len(resource.segments) == 1 and resource.segments not in _LISTS_ALONE
    path: str = scope["path"]
    return is_list and path.endswith("/")


class Resource:
    """One path, and the operations on it by method."""

    def __init__(self, segments: tuple[str, ...]) -> None:
        self.segments = segments
        self.methods: dict[str, Operation] = {}
        self._pairs = [(part, part[1:-1] if part.startswith("{") else None) for part in segments]

    def match(self, segments: list[str]) -> dict[str, str] | None:
        """The variables of a path that is this one, else None."""
        variables: dict[str, str] = {}
        for (part, variable), given in zip(self._pairs, segments, strict=True):
            if variable is not None:
                variables[variable] = given
            elif part != given:
                return None
        return variables


def _segments(scope: Scope) -> list[str]:
    """The parts of the path below the root, decoded one by one: an id may hold an encoded slash."""
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    path = raw.partition(b"?")[0].decode("latin-1")
    path = path.partition(ROOT)[2].strip("/")
    if "%" not in path:
        return path.split("/")
    return [unquote(part, errors="surrogateescape") for part in path.split("/")]


def refused(error: CityError, scope: Scope) -> Reply:
    """The answer that tells an error."""
    how = told(error)
    found = problem(error, instance=_request_id(scope))
    return plain_reply(found, status=how.status, headers=error_headers(error))


def _request_id(scope: Scope) -> str:
    found = scope.get("state", {}).get("request_id", "")
    return f"urn:request:{found}" if found else ""


def headers_of(reply: Reply, scope: Scope) -> Headers:
    """The headers of an answer, its length among them where it has a body."""
    headers = list(reply.headers or ())
    if reply.media:
        headers.append((b"content-type", reply.media.encode()))
    if reply.status != 204:
        headers.append((b"content-length", b"%d" % len(reply.body)))
    head = head_of(scope)
    for name in _SAID_BACK:
        headers += [(name, value.encode("latin-1")) for value in head.get(name, ())]
    return headers
