"""The API of an empty city in memory, over real HTTP on a free port of the loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route

from cityloom.access.audit import AuditLog
from cityloom.access.authority import OPEN_ACCESS
from cityloom.access.errors import NotSignedIn
from cityloom.access.quotas import Quotas
from cityloom.adapters.memory.register import MemoryRegister
from cityloom.adapters.network.reach import Reach
from cityloom.context.broker import Broker
from cityloom.context.classes import ClassPolicy
from cityloom.federation.federation import Federation
from cityloom.federation.handing_on import NOTIFIED_AT, HandedOn
from cityloom.kernel.actor import ANONYMOUS, Actor, InformationClass
from cityloom.ngsild.errors import LdContextNotAvailable
from cityloom.ngsild.published import Published
from cityloom.subscriptions.subscriptions import Subscriptions
from cityloom.web.limits import BodyLimits, LimitBodies
from cityloom.web.ngsild.context_store import ContextStore
from cityloom.web.ngsild.contexts_in_use import ContextsInUse
from cityloom.web.ngsild.exchange import ROOT
from cityloom.web.ngsild.remote_notifications import remote_notifications_interface
from cityloom.web.ngsild.routes import OPERATIONS
from cityloom.web.ngsild.routes import api as api_of
from cityloom.web.openapi import openapi_route
from loopback_servers import NO_CERTIFICATES
from rooms_in_memory import RoomsInMemory

READER = Actor(id="reader", name="Reader", roles=frozenset({"reader"}))
#: What identification refuses before anything is done.
REFUSALS = {"dead token": NotSignedIn("The token opens nothing here", hint="Make a new one.")}
#: May write facts, and nothing that belongs to a room.
WRITER = Actor(id="writer", name="Writer", permissions=frozenset({"entities:read", "entities:write"}))
_SYSTEM = frozenset(
    {"entities:read", "entities:write", "subscriptions:edit", "sources:read", "sources:register"}
)
#: Two systems that may have documents kept, and somebody who may administer.
SOUTH, NORTH, CHIEF = (
    Actor(id=name, name=name, permissions=_SYSTEM | more, clearance=frozenset(InformationClass))
    for name, more in (("south", set()), ("north", set()), ("chief", {"accounts:manage"}))
)
#: Staff who may look and change nothing.
CLERK = Actor(id="clerk", name="Clerk", permissions=frozenset({"entities:read", "sources:read"}))
ACTORS = {
    "": OPEN_ACCESS,
    "anonymous": ANONYMOUS,
    **{one.id: one for one in (READER, WRITER, CLERK, SOUTH, NORTH, CHIEF)},
}

#: What the loader of @contexts may load in these tests.
PUBLISHED = {
    "https://city.example/traffic.jsonld": {
        "@context": {"speed": "https://traffic.example/speed", "Road": "https://traffic.example/Road"}
    },
    "https://city.example/nothing.jsonld": {"no": "context"},
}

#: Of all operations: the same for every test.
DESCRIPTION = openapi_route(OPERATIONS)


class ActAs:
    """Puts the actor that a test's header names into the request's state."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        wanted = dict(scope["headers"]).get(b"x-test-actor", b"").decode()
        refusal = REFUSALS.get(wanted)
        actor = ACTORS.get(wanted, ANONYMOUS)
        scope.setdefault("state", {}).update(actor=actor, refusal=refusal, request_id="test-request")
        await self._app(scope, receive, send)


async def load(uri: str, *, anew: bool = False) -> Published:
    if uri not in PUBLISHED:
        raise LdContextNotAvailable(
            f"The @context {uri} cannot be loaded", hint="Use another one.", where="@context"
        )
    return Published(PUBLISHED[uri])


class Api(httpx2.AsyncClient):
    """A client at /ngsi-ld/v1, and the rooms behind it."""

    broker: Broker
    federation: Federation
    audit: AuditLog
    handed_on: HandedOn
    subscriptions: Subscriptions

    async def have(self, *entities: dict[str, Any]) -> None:
        """Entities that are there before a test begins."""
        reply = await self.post("/entityOperations/create", json=list(entities))
        assert reply.status_code == 201, reply.text
        await self.broker.caught_up()

    async def entity(self, entity_id: str, **parameters: str) -> Any:
        reply = await self.get(f"/entities/{entity_id}", params=parameters)
        assert reply.status_code == 200, reply.text
        return reply.json()


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """The address at which an application is served."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False)
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:
            await asyncio.sleep(0)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


@pytest.fixture
def quotas() -> Quotas:
    """How much is kept for whom; tests that need less say so."""
    return Quotas()


@pytest.fixture
async def api(quotas: Quotas) -> AsyncIterator[Api]:
    classes = ClassPolicy({"Camera": InformationClass.SECURITY})
    rooms: Any = RoomsInMemory(Reach(None, inside=True), classes, quotas)
    await rooms.start()
    contexts = ContextsInUse(load=load, store=ContextStore(MemoryRegister(), quotas.contexts))
    rooms.handed_on.contexts = contexts.use
    notified = remote_notifications_interface(rooms, contexts)
    app = Starlette(
        routes=[
            Mount(ROOT, app=api_of(rooms, contexts)),
            Route(NOTIFIED_AT, notified),
            Route(NOTIFIED_AT + "/{token}", notified),
            DESCRIPTION,
        ],
        middleware=[Middleware(LimitBodies, limits=BodyLimits()), Middleware(ActAs)],
    )
    async with (
        serving(app) as address,
        Api(base_url=f"{address}/ngsi-ld/v1", trust_env=False, verify=NO_CERTIFICATES, timeout=60) as client,
    ):
        client.broker = rooms.broker
        client.federation = rooms.federation
        client.audit = rooms.audit
        client.handed_on = rooms.handed_on
        client.subscriptions = rooms.subscriptions
        client.handed_on.address = address
        yield client
    await rooms.stop()


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the loader of @contexts loads, to be changed for one test."""
    documents = dict(PUBLISHED)
    monkeypatch.setitem(globals(), "PUBLISHED", documents)
    return documents


@pytest.fixture
def problem() -> Callable[..., dict[str, Any]]:
    """Checks that an answer is a problem of this status and type, and returns it."""

    def check(reply: httpx2.Response, status: int, name: str, where: str | None = None) -> dict[str, Any]:
        assert reply.status_code == status, reply.text
        assert reply.headers["content-type"] == "application/json"
        said: dict[str, Any] = reply.json()
        kind = f"https://uri.etsi.org/ngsi-ld/errors/{name}" if name else "about:blank"
        assert said["type"] == kind
        assert said["status"] == status
        assert said["title"] and said["detail"] and said["hint"]
        if where is not None:
            assert said["where"] == where, said
        return said

    return check
