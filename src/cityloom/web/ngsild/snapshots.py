"""Snapshots over HTTP (ETSI GS CIM 009, 5.16, 6.36 to 6.38)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import msgspec

from cityloom.access.authority import require
from cityloom.access.ownership import tends
from cityloom.history.periods import parse_step
from cityloom.kernel.errors import CityError, Conflict
from cityloom.kernel.time import format_instant
from cityloom.ngsild.contexts import CORE
from cityloom.ngsild.errors import BadRequestData
from cityloom.ngsild.model import Document, prop
from cityloom.ngsild.names import check_uri
from cityloom.ngsild.notification_params import parse_endpoint
from cityloom.ngsild.q_language import names_of, parse_q
from cityloom.ngsild.q_matching import compile_q
from cityloom.ngsild.subscription import Endpoint
from cityloom.snapshots.model import Snapshot, Wish, snapshot_of
from cityloom.snapshots.telling import EDIT
from cityloom.snapshots.world import World
from cityloom.web.errors import problem
from cityloom.web.ngsild.exchange import ROOT, Exchange, Reply
from cityloom.web.ngsild.query_body import asked_in
from cityloom.web.ngsild.snapshot_filling import Taken, take_entities, take_evolutions

#: What the system says of a snapshot; passed over where it is sent (5.2.41).
_OUTPUT = frozenset(
    {
        "snapshotStatus",
        "snapshotQueriesDetails",
        "snapshotTemporalQueriesDetails",
        "createdAt",
        "modifiedAt",
        "expiresAt",
        "lastUsedAt",
    }
)
_MEMBERS = frozenset(
    {"id", "type", "snapshotLifetime", "snapshotPriority", "endpoint", "receiverInfo", "@context"}
)
_QUERIES = ("snapshotQueries", "snapshotTemporalQueries")
MAX_QUERIES = 20
#: Carries out one query, and says how it went.
_Take = Callable[[Exchange, Any, World], Awaitable[Taken]]

#: Snapshots in the making: a task that nobody holds may be forgotten half way.
_log = logging.getLogger(__name__)
_filling: set[asyncio.Task[None]] = set()


async def create_snapshot(exchange: Exchange) -> Reply:
    """POST /snapshots (5.16.1)."""
    wish = _wish(exchange, await exchange.payload(), with_queries=True)
    made = await _made(exchange, wish)
    _in_background(exchange, _fill(exchange, made), made)
    return _created(made)


async def clone_snapshot(exchange: Exchange) -> Reply:
    """POST /snapshots/{snapshotId}/clone (5.16.2)."""
    found = _found(exchange)
    if found.status == "preparing":
        raise Conflict(
            "The snapshot is still being made", hint="Wait until its snapshotStatus says so.", where="id"
        )
    wish = _wish(exchange, await exchange.payload())
    queries, temporal = tuple(found.queries), tuple(found.temporal_queries)
    made = await _made(exchange, msgspec.structs.replace(wish, queries=queries, temporal_queries=temporal))
    _in_background(exchange, _copy(exchange, found, made), made)
    return _created(made)


async def retrieve_snapshot(exchange: Exchange) -> Reply:
    """GET /snapshots/{snapshotId} (5.16.3)."""
    return exchange.reply(_shown(exchange, _found(exchange)))


async def update_snapshot(exchange: Exchange) -> Reply:
    """PATCH /snapshots/{snapshotId} (5.16.4)."""
    found = _found(exchange)
    wish = _wish(exchange, await exchange.payload())
    async with _recorded(exchange, "snapshot.change", found.id, wish):
        changed = await exchange.services.snapshots.change(exchange.actor, exchange.tenant, found.id, wish)
    return exchange.reply(_shown(exchange, changed))


async def delete_snapshot(exchange: Exchange) -> Reply:
    """DELETE /snapshots/{snapshotId} (5.16.5)."""
    await exchange.services.snapshots.remove(exchange.actor, exchange.tenant, _found(exchange).id)
    return Reply(204)


async def purge_snapshots(exchange: Exchange) -> Reply:
    """DELETE /snapshots?q=… (5.16.7)."""
    text = exchange.parameters.text("q")
    if text is None:
        raise BadRequestData("q is missing", hint="Say which snapshots: q=snapshotPriority<5.", where="q")
    term = parse_q(text, CORE)
    known = {"id", *_members(snapshot_of("urn:x:1", "", "", "", Wish()))}
    if not known.issuperset(names_of(term)):
        raise BadRequestData(
            "q asks for what snapshots do not have", hint=f"They have {', '.join(sorted(known))}.", where="q"
        )
    matches = compile_q(term)
    await exchange.services.snapshots.purge(
        exchange.actor, exchange.tenant, lambda one: matches(_as_entity(one))
    )
    return Reply(204)


async def _made(exchange: Exchange, wish: Wish) -> Snapshot:
    identifier = wish.id or f"urn:ngsi-ld:Snapshot:{uuid4()}"
    async with _recorded(exchange, "snapshot.create", identifier, wish):
        return await exchange.services.snapshots.make(exchange.actor, exchange.tenant, identifier, wish)


@asynccontextmanager
async def _recorded(exchange: Exchange, action: str, identifier: str, wish: Wish) -> AsyncIterator[None]:
    """Write down who has the city tell others of a snapshot."""
    if wish.endpoint is None:
        yield
        return
    async with exchange.services.recorded(
        exchange.actor, action, identifier, tenant=exchange.tenant, endpoint=wish.endpoint.uri
    ):
        yield


async def _fill(exchange: Exchange, made: Snapshot) -> None:
    """Carry out the queries, and tell how it went (5.16.1.4)."""
    world = await exchange.services.snapshots.world(made)
    takes: tuple[tuple[list[Any], list[dict[str, Any]], _Take], ...] = (
        (made.queries, made.details, take_entities),
        (made.temporal_queries, made.temporal_details, take_evolutions),
    )
    for queries, details, take in takes:
        for query in queries:
            try:
                details.append(_details(await take(exchange, query, world)))
            except CityError as error:
                details.append({"resultStatus": "failure", "problemDetails": problem(error)})
    made.settle()


def _details(taken: Taken) -> dict[str, Any]:
    """How a query went (5.2.42)."""
    found: dict[str, Any] = {"resultStatus": "success" if taken.entities else "empty"}
    if taken.silent:
        found["problemDetails"] = {
            "type": "about:blank",
            "title": "Not all sources have told what they know",
            "detail": f"Nothing, or not all, was told by {', '.join(sorted(taken.silent))}",
            "hint": "Make another snapshot once they answer.",
        }
    return found


async def _copy(exchange: Exchange, found: Snapshot, made: Snapshot) -> None:
    await exchange.services.snapshots.copy(found, made)
    made.status = "success"


def _in_background(exchange: Exchange, work: Coroutine[Any, Any, None], made: Snapshot) -> None:
    task = asyncio.ensure_future(_to_a_status(exchange, work, made))
    _filling.add(task)
    task.add_done_callback(_filling.discard)


async def _to_a_status(exchange: Exchange, work: Coroutine[Any, Any, None], made: Snapshot) -> None:
    """Fill a snapshot; whatever becomes of that, its status tells (5.16.1.4)."""
    try:
        await work
    except CityError as error:
        made.fail(problem(error))
    except Exception as defect:  # noqa: BLE001 - nobody waits for it: whoever asks for the status is told
        _log.exception("The snapshot %s could not be made", made.id)
        made.fail(problem(defect))
    await exchange.services.snapshots.settled(made)


def _wish(exchange: Exchange, payload: Any, *, with_queries: bool = False) -> Wish:
    """Raises BadRequestData naming the member; NotAllowed for an endpoint where nothing may be sent."""
    if not isinstance(payload, dict) or payload.get("type", "Snapshot") != "Snapshot":
        raise BadRequestData("The body is no Snapshot", hint='Send {"type": "Snapshot", …}.', where="type")
    known = _MEMBERS | _OUTPUT | (set(_QUERIES) if with_queries else set())
    for member in payload:
        if member not in known:
            raise BadRequestData(
                f"{member[:60]!a} cannot be said here", hint="Leave it out.", where=member[:60]
            )
    queries, temporal = (_queries(payload, member) for member in _QUERIES)
    if with_queries and not (queries or temporal):
        raise BadRequestData(
            "A snapshot is of queries", hint="Give snapshotQueries.", where="snapshotQueries"
        )
    return Wish(
        id=check_uri(payload["id"], "id") if "id" in payload else None,
        queries=queries,
        temporal_queries=temporal,
        lifetime=_lifetime(payload.get("snapshotLifetime")),
        priority=_priority(payload.get("snapshotPriority")),
        endpoint=_endpoint(exchange, payload),
    )


def _endpoint(exchange: Exchange, payload: dict[str, Any]) -> Endpoint | None:
    if "endpoint" not in payload:
        if "receiverInfo" in payload:
            raise BadRequestData("There is no receiver", hint="Give the endpoint too.", where="endpoint")
        return None
    require(exchange.actor, EDIT)
    try:
        return parse_endpoint(payload["endpoint"], payload.get("receiverInfo"))
    except BadRequestData as error:
        error.where = "endpoint" if error.where == "uri" else error.where
        raise


def _queries(payload: dict[str, Any], member: str) -> tuple[Any, ...]:
    value = payload.get(member, [])
    if not isinstance(value, list) or len(value) > MAX_QUERIES or (member in payload and not value):
        raise BadRequestData(
            f"{member} is an array of 1 to {MAX_QUERIES} queries", hint="Write [{…}].", where=member
        )
    if member == "snapshotQueries":
        for query in value:
            asked_in(query)
    elif not all(isinstance(query, dict) and "temporalQ" in query for query in value):
        raise BadRequestData(
            f"{member} is of queries with a time", hint='Give each "temporalQ": {…}.', where="temporalQ"
        )
    return tuple(value)


def _lifetime(text: Any) -> timedelta | None:
    if text is None:
        return None
    step = parse_step(str(text), where="snapshotLifetime")
    return step.fixed + timedelta(days=min(step.days + 30 * step.months, 10_000))


def _priority(value: Any) -> int | None:
    if value is not None and (type(value) is not int or not 1 <= value <= 10):
        raise BadRequestData(
            "snapshotPriority is a whole number from 1 to 10", hint="5 is usual.", where="snapshotPriority"
        )
    return value


def _found(exchange: Exchange) -> Snapshot:
    snapshot_id = check_uri(exchange.variables["snapshotId"], "snapshotId")
    return exchange.services.snapshots.get(exchange.tenant, snapshot_id)


def _created(made: Snapshot) -> Reply:
    return Reply(201, headers=[(b"location", f"{ROOT}/snapshots/{made.id}".encode())])


def _shown(exchange: Exchange, one: Snapshot) -> dict[str, Any]:
    """A snapshot for a reader; whom it tells is told to those who tend it."""
    shown = _members(one)
    if one.endpoint is not None and tends(exchange.actor, "snapshot", one.owner):
        shown["endpoint"] = one.endpoint.uri
        if one.endpoint.receiver_info:
            shown["receiverInfo"] = [{"key": x.key, "value": x.value} for x in one.endpoint.receiver_info]
    return shown


def _members(one: Snapshot) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": one.id,
        "type": "Snapshot",
        "snapshotPriority": one.priority,
        "snapshotStatus": one.status,
        "createdAt": format_instant(one.created_at),
        "modifiedAt": format_instant(one.modified_at),
        "expiresAt": format_instant(one.expires_at),
        "lastUsedAt": format_instant(one.last_used_at),
    }
    lists = {
        "snapshotQueries": one.queries,
        "snapshotTemporalQueries": one.temporal_queries,
        "snapshotQueriesDetails": one.details,
        "snapshotTemporalQueriesDetails": one.temporal_details,
    }
    return shown | {member: value for member, value in lists.items() if value}


def _as_entity(one: Snapshot) -> Document:
    """The members of a snapshot as attributes, for a query to look at."""
    members = {name: value for name, value in _members(one).items() if isinstance(value, str | int)}
    times = {name: members[name] for name in ("createdAt", "modifiedAt", "expiresAt")}
    return {"id": one.id, "type": ["Snapshot"], **times, "attrs": {n: [prop(v)] for n, v in members.items()}}
