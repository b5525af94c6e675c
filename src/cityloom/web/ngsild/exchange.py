"""One request and its answer: headers, body, @context and tenant (ETSI GS CIM 009, 6.3.3 to 6.3.14)."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from starlette.types import Receive, Scope

from cityloom.access.authority import require
from cityloom.kernel.actor import ANONYMOUS, Actor
from cityloom.kernel.change import DEFAULT_TENANT
from cityloom.kernel.media_types import GEO_JSON, JSON, JSON_LD, MERGE_PATCH
from cityloom.ngsild.context_link import link_to_context
from cityloom.ngsild.contexts import CORE, Context
from cityloom.ngsild.errors import BadRequestData, OperationNotSupported
from cityloom.ngsild.fallbacks import Version, preferred_version
from cityloom.ngsild.json_text import decode_json
from cityloom.web.head import head_of
from cityloom.web.limits import TooLarge
from cityloom.web.ngsild.negotiation import choose_media, context_link, media_type
from cityloom.web.ngsild.parameters import Parameters
from cityloom.web.tenants import tenant_named

if TYPE_CHECKING:
    from cityloom.context.consumption import Consumption
    from cityloom.snapshots.model import Snapshot
    from cityloom.web.ngsild.operations import Operation
    from cityloom.web.ngsild.services import Services

ROOT = "/ngsi-ld/v1"

Headers = list[tuple[bytes, bytes]]

_UNREAD: Any = object()


class StatusAlone(Exception):
    """An answer that is a status without words, where the standard wants it so (6.3.4)."""

    def __init__(self, status: int, headers: Headers | None = None, body: bytes = b"") -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers or []
        self.body = body


@dataclass(slots=True)
class Reply:
    """An answer. `media` is the type of the body, "" where there is none."""

    status: int
    body: bytes = b""
    media: str = ""
    headers: Headers | None = None


class Exchange:
    """What a handler sees of a request."""

    __slots__ = (
        "_headers",
        "_prepared",
        "_receive",
        "_sight",
        "actor",
        "context",
        "media",
        "operation",
        "parameters",
        "scope",
        "services",
        "snapshot",
        "tenant",
        "variables",
    )

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        services: Services,
        operation: Operation,
        variables: Mapping[str, str],
    ) -> None:
        self.scope = scope
        self.services = services
        self.operation = operation
        #: The variables in the path, decoded.
        self.variables = variables
        self._receive = receive
        self._prepared: Any = _UNREAD
        self._sight: Consumption | None = None
        self._headers = head_of(scope)
        self.actor: Actor = scope.get("state", {}).get("actor") or ANONYMOUS
        self.tenant = DEFAULT_TENANT
        #: The snapshot that is asked, and not the city.
        self.snapshot: Snapshot | None = None
        self.context: Context = CORE
        #: The media type of the answer.
        self.media = JSON
        self.parameters = Parameters({})

    async def begin(self) -> None:
        """Check everything that needs no body: format, parameters, permission, tenant, @context."""
        if self.operation.writes:
            require(self.actor, "entities:write")
        self.media = self._negotiated()
        self.parameters = Parameters.read(self.scope.get("query_string", b""), self.operation.parameters)
        self.tenant = self._tenant()
        await self._look_at_snapshot()
        if not self.operation.body:
            link = context_link(self._headers.get(b"link", ()))
            if link is not None:
                self.context = await self._use(link)

    def header(self, name: bytes) -> str:
        """The value of a header, "" when it is not there."""
        found = self._headers.get(name)
        return found[0] if found else ""

    @property
    def base(self) -> str:
        """The address of the API as the asker sees it."""
        host = self.header(b"host") or "localhost"
        return f"{self.scope.get('scheme', 'http')}://{host}{ROOT}"

    @property
    def prefers_plain_geojson(self) -> bool:
        """Whether GeoJSON is wanted without an @context in it (6.3.6)."""
        return "body=json" in self.header(b"prefer").replace(" ", "").split(",")

    @property
    def sight(self) -> Consumption:
        """What is asked about Entities: the city itself, or the city together with its sources (4.3.6)."""
        return self._sight or self.services.broker

    @property
    def place(self) -> str:
        """Where what is kept for later requests stands: the tenant, or the snapshot in it (5.5.15)."""
        return self.tenant if self.snapshot is None else self.snapshot.place

    @property
    def is_local(self) -> bool:
        """Whether what is here alone is meant (6.3.18)."""
        if self._sight is not None:
            return True
        return self.parameters.text("local") == "true" if "local" in self.parameters else False

    def headers(self) -> dict[str, str]:
        """The request's headers by name in lower case, values of the same name joined."""
        return {name.decode("latin-1"): ", ".join(values) for name, values in self._headers.items()}

    def seeing(self, sight: Consumption) -> Exchange:
        """The same request, asking about other Entities."""
        other = copy(self)
        other._sight = sight
        return other

    def paged(self, limit: int) -> Exchange:
        """The same request for the first so many."""
        page = {"limit": str(limit), "offset": "0"}
        return self.with_parameters({**dict(self.parameters.items()), **page})

    def with_parameters(self, by_name: Mapping[str, str]) -> Exchange:
        """The same request with other parameters."""
        other = copy(self)
        other.parameters = Parameters(by_name)
        return other

    def carrying(self, payload: Any) -> Exchange:
        """The same request with another body, once its own is read."""
        other = copy(self)
        other._prepared = payload
        return other

    @property
    def preferred_version(self) -> Version | None:
        """The version of the standard that an answer in JSON shall conform to (4.3.6.8); None: any."""
        preference = self.header(b"prefer")
        return preferred_version(preference) if preference and self.media != GEO_JSON else None

    # The body

    async def payload(self) -> Any:
        """The JSON of the body; `context` is set from where the Content-Type says (6.3.5)."""
        if self._prepared is not _UNREAD:
            return self._prepared
        media = self._content_type()
        decoded = decode_json(await self._body())
        link = context_link(self._headers.get(b"link", ()))
        if media == JSON_LD:
            if link is not None:
                raise BadRequestData(
                    "A JSON-LD body brings its own @context, and a Link header names another",
                    hint="Leave the Link header out, or send application/json.",
                    where="Link",
                )
            if isinstance(decoded, dict):
                self.context = await self.own_context(decoded)
            return decoded
        refuse_own_context(decoded)
        self.context = await self._use(link)
        return decoded

    async def payload_as_it_is(self) -> Any:
        """The JSON of a body that is no NGSI-LD, such as one that is an @context."""
        self._content_type()
        return decode_json(await self._body())

    async def own_context(self, item: Any) -> Context:
        """The Context that an object of a JSON-LD body brings. Raises BadRequestData when it brings none."""
        if not isinstance(item, dict) or "@context" not in item:
            raise BadRequestData(
                "A JSON-LD body needs an @context",
                hint="Add the member @context, or send application/json.",
                where="@context",
            )
        return await self._use(item["@context"])

    async def _use(self, source: Any) -> Context:
        return await self.services.contexts.use(source, self.tenant)

    @property
    def is_json_ld(self) -> bool:
        """Whether the body is JSON-LD."""
        return media_type(self.header(b"content-type"))[0] == JSON_LD

    def _content_type(self) -> str:
        media, charset = media_type(self.header(b"content-type"))
        accepted = (JSON, JSON_LD, MERGE_PATCH) if self.scope["method"] == "PATCH" else (JSON, JSON_LD)
        encoded = self.header(b"content-encoding").lower() not in ("", "identity")
        if media not in accepted or charset not in ("", "utf-8") or encoded:
            name = b"accept-patch" if self.scope["method"] == "PATCH" else b"accept-post"
            raise StatusAlone(415, [(name, ", ".join(accepted).encode())])
        return media

    async def _body(self) -> bytes:
        largest = self.operation.largest_body
        announced = self.header(b"content-length")
        if not announced:
            raise StatusAlone(411)
        if announced.isdigit() and int(announced[:18]) > largest:
            raise _too_large(largest)
        parts: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await self._receive()
            part = message.get("body", b"")
            size += len(part)
            if size > largest:
                raise _too_large(largest)
            parts.append(part)
            more = message.get("more_body", False) and message["type"] == "http.request"
        return parts[0] if len(parts) == 1 else b"".join(parts)

    # What is checked at the beginning

    def _negotiated(self) -> str:
        offered = (JSON, JSON_LD, GEO_JSON) if self.operation.geojson else (JSON, JSON_LD)
        if not self.operation.answers:
            return JSON
        media = choose_media(",".join(self._headers.get(b"accept", ())), offered)
        if media is None:
            raise StatusAlone(406, [(b"content-type", JSON.encode())], orjson.dumps(offered))
        return media

    async def _look_at_snapshot(self) -> None:
        """Work in the snapshot that a header names, and nowhere else (5.5.15, 6.3.22).

        Raises ResourceNotFound; NotAllowed for writing into somebody else's.
        """
        name = self.header(b"ngsild-snapshot")
        if not name:
            return
        snapshots = self.services.snapshots
        found = snapshots.get(self.tenant, name)
        if not self.operation.in_snapshots:
            raise OperationNotSupported(
                "This is not done in snapshots",
                hint="Leave out the header NGSILD-Snapshot.",
                where="NGSILD-Snapshot",
            )
        if self.operation.writes:
            snapshots.check_writable(self.actor, found)
        world = await snapshots.look(self.tenant, name)
        self.snapshot = found
        self.services = self.services.within(world)
        self._sight = world.broker

    def _tenant(self) -> str:
        name = self.header(b"ngsild-tenant")
        if not name:
            return DEFAULT_TENANT

        def is_there(tenant: str) -> bool:
            return self.services.has_tenant(self.actor, tenant)

        return tenant_named(name, is_there, may_be_new=self.operation.makes_tenants)

    # The answer

    def reply(self, data: Any, *, status: int = 200, headers: Headers | None = None) -> Reply:
        """An answer with data, in the negotiated format and with the @context where it belongs (6.3.6)."""
        made = list(headers or [])
        if self.media == JSON or (self.media == GEO_JSON and self.prefers_plain_geojson):
            made.append((b"link", self.context_header()))
        else:
            reference = self.context.reference()
            if isinstance(data, list):
                data = [{**item, "@context": reference} for item in data]
            else:
                data = {**data, "@context": reference}
        return Reply(status, orjson.dumps(data), self.media, made)

    def reply_shown(self, body: bytes, *, status: int = 200, headers: Headers | None = None) -> Reply:
        """An answer whose body is made, with `context_inside` where it belongs."""
        made = list(headers or [])
        if self.media == JSON:
            made.append((b"link", self.context_header()))
        return Reply(status, body, self.media, made)

    @property
    def context_inside(self) -> Any:
        """The @context that stands in each entity of the answer (6.3.6); None: in a header."""
        return None if self.media == JSON else self.context.reference()

    def context_header(self) -> bytes:
        """The value of a Link header that names the @context."""
        address = self.services.contexts.address(self.context, self.base, self.tenant)
        return link_to_context(address).encode("ascii", "ignore")


def refuse_own_context(item: Any, where: str = "") -> None:
    """Raises BadRequestData when plain JSON carries an @context (6.3.5)."""
    if isinstance(item, dict) and "@context" in item:
        raise BadRequestData(
            "application/json carries no @context in its body",
            hint="Send it as application/ld+json, or name the @context in a Link header.",
            where=f"{where}.@context" if where else "@context",
        )


def plain_reply(data: Any, *, status: int = 200, headers: Headers | None = None) -> Reply:
    """An answer that is JSON without an @context: results of batches, problems (6.3.6)."""
    return Reply(status, orjson.dumps(data), JSON, headers)


def _too_large(largest: int) -> TooLarge:
    return TooLarge(
        f"The request's body is larger than {largest // 1_000_000} MB",
        hint="Send fewer entities at once, or smaller ones.",
    )
