"""Snapshots over HTTP (ETSI GS CIM 009, 5.16, 6.36 to 6.38)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any
from uuid import uuid4

import msgspec

from cityloom.context.consumption import Consumption, in_turns
from cityloom.context.querying import TURN_SECONDS
from cityloom.context.snapshots import Snapshot, Wish
from cityloom.history.periods import parse_step
from cityloom.kernel.errors import CityError
from cityloom.kernel.time import format_instant
from cityloom.ngsild.contexts import CORE
from cityloom.ngsild.errors import BadRequestData, OperationNotSupported
from cityloom.ngsild.model import Document, prop
from cityloom.ngsild.names import check_uri
from cityloom.ngsild.q_language import names_of, parse_q
from cityloom.ngsild.q_matching import compile_q
from cityloom.ngsild.query import MAX_LIMIT
from cityloom.web.errors import problem
from cityloom.web.ngsild.asking import entity_query
from cityloom.web.ngsild.distributed_consumption import joint_view
from cityloom.web.ngsild.exchange import ROOT, Exchange, Reply
from cityloom.web.ngsild.query_body import asked_in

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
_MEMBERS = frozenset({"id", "type", "snapshotLifetime", "snapshotPriority", "@context"})
_QUERIES = ("snapshotQueries", "snapshotTemporalQueries")
MAX_QUERIES = 20

#: Snapshots in the making: a task that nobody holds may be forgotten half way.
_log = logging.getLogger(__name__)
_filling: set[asyncio.Task[None]] = set()


async def create_snapshot(exchange: Exchange) -> Reply:
    """POST /snapshots (5.16.1)."""
    wish = _wish(await exchange.payload(), with_queries=True)
    made = exchange.services.snapshots.make(exchange.actor, exchange.tenant, _new_id(wish), wish)
    _in_background(_fill(exchange, made), made)
    return _created(made)


async def clone_snapshot(exchange: Exchange) -> Reply:
    """POST /snapshots/{snapshotId}/clone (5.16.2)."""
    found = _found(exchange)
    wish = _wish(await exchange.payload())
    made = exchange.services.snapshots.make(exchange.actor, exchange.tenant, _new_id(wish), wish)
    made.queries, made.temporal_queries = found.queries, found.temporal_queries
    _in_background(_copy(found, made), made)
    return _created(made)


async def retrieve_snapshot(exchange: Exchange) -> Reply:
    """GET /snapshots/{snapshotId} (5.16.3)."""
    return exchange.reply(_shown(_found(exchange)))


async def update_snapshot(exchange: Exchange) -> Reply:
    """PATCH /snapshots/{snapshotId} (5.16.4)."""
    found = _found(exchange)
    wish = _wish(await exchange.payload())
    changed = exchange.services.snapshots.change(exchange.actor, exchange.tenant, found.id, wish)
    return exchange.reply(_shown(changed))


async def delete_snapshot(exchange: Exchange) -> Reply:
    """DELETE /snapshots/{snapshotId} (5.16.5)."""
    exchange.services.snapshots.remove(exchange.actor, exchange.tenant, _found(exchange).id)
    return Reply(204)


async def purge_snapshots(exchange: Exchange) -> Reply:
    """DELETE /snapshots?q=… (5.16.7)."""
    text = exchange.parameters.text("q")
    if text is None:
        raise BadRequestData("q is missing", hint="Say which snapshots: q=snapshotPriority<5.", where="q")
    term = parse_q(text, CORE)
    known = {"id", *_shown(Snapshot("urn:x:1", "", "", Wish()))}
    if not known.issuperset(names_of(term)):
        raise BadRequestData(
            "q asks for what snapshots do not have", hint=f"They have {', '.join(sorted(known))}.", where="q"
        )
    matches = compile_q(term)
    exchange.services.snapshots.purge(exchange.actor, exchange.tenant, lambda one: matches(_as_entity(one)))
    return Reply(204)


async def _fill(exchange: Exchange, made: Snapshot) -> None:
    """Carry out the queries, and tell how it went."""
    local = not exchange.services.federation.any(exchange.tenant)
    for query in made.queries:
        before = len(made)
        try:
            asked = asked_in(query)
            sight = exchange.services.broker if local else joint_view(exchange, asked, split=False)
            await _take(exchange, sight, query, made)
            made.details.append({"resultStatus": "success" if len(made) > before else "empty"})
        except CityError as error:
            made.details.append({"resultStatus": "failure", "problemDetails": problem(error)})
    for _ in made.temporal_queries:
        refusal = OperationNotSupported(
            "History is not put into snapshots", hint="Ask for it over time: it stays as it is."
        )
        made.temporal_details.append({"resultStatus": "failure", "problemDetails": problem(refusal)})
    results = [one["resultStatus"] for one in (*made.details, *made.temporal_details)]
    if all(one == "success" for one in results):
        made.status = "success"
    elif "success" in results:
        made.status = "partial"
    else:
        made.status = "empty" if "empty" in results else "failure"


async def _copy(found: Snapshot, made: Snapshot) -> None:
    await in_turns(made.copy_steps(found), TURN_SECONDS)
    made.status = "success"


async def _take(exchange: Exchange, sight: Consumption, query: Any, made: Snapshot) -> None:
    asked = entity_query(asked_in(query), exchange.context, exchange.parameters, local=False)
    broker, actor, tenant = exchange.services.broker, exchange.actor, exchange.tenant
    offset = 0
    while True:
        page = await sight.search(
            actor, msgspec.structs.replace(asked, limit=MAX_LIMIT, offset=offset), tenant=tenant
        )
        for document in page.documents:
            # What sources have added to an Entity is not of its class.
            here = broker.find(actor, document["id"], tenant=tenant) == document
            kept_as = broker.class_of(actor, document["id"], tenant=tenant) if here else max(actor.clearance)
            made.add(document, kept_as)
        if len(page.texts) < MAX_LIMIT:
            return
        offset += MAX_LIMIT


def _in_background(work: Coroutine[Any, Any, None], made: Snapshot) -> None:
    task = asyncio.ensure_future(_to_a_status(work, made))
    _filling.add(task)
    task.add_done_callback(_filling.discard)


async def _to_a_status(work: Coroutine[Any, Any, None], made: Snapshot) -> None:
    """Fill a snapshot; whatever becomes of that, its status tells (5.16.1.4)."""
    try:
        await work
    except CityError as error:
        made.fail(problem(error))
    except Exception as defect:  # noqa: BLE001 - nobody waits for it: whoever asks for the status is told
        _log.exception("The snapshot %s could not be made", made.id)
        made.fail(problem(defect))


def _wish(payload: Any, *, with_queries: bool = False) -> Wish:
    """Raises BadRequestData naming the member."""
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
    )


def _queries(payload: dict[str, Any], member: str) -> tuple[Any, ...]:
    value = payload.get(member, [])
    if not isinstance(value, list) or len(value) > MAX_QUERIES or (member in payload and not value):
        raise BadRequestData(
            f"{member} is an array of 1 to {MAX_QUERIES} queries", hint="Write [{…}].", where=member
        )
    if member == "snapshotQueries":
        for query in value:
            asked_in(query)
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


def _new_id(wish: Wish) -> str:
    return wish.id or f"urn:ngsi-ld:Snapshot:{uuid4()}"


def _found(exchange: Exchange) -> Snapshot:
    snapshot_id = check_uri(exchange.variables["snapshotId"], "snapshotId")
    return exchange.services.snapshots.get(exchange.tenant, snapshot_id)


def _created(made: Snapshot) -> Reply:
    return Reply(201, headers=[(b"location", f"{ROOT}/snapshots/{made.id}".encode())])


def _shown(one: Snapshot) -> dict[str, Any]:
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
        "snapshotQueries": list(one.queries),
        "snapshotTemporalQueries": list(one.temporal_queries),
        "snapshotQueriesDetails": one.details,
        "snapshotTemporalQueriesDetails": one.temporal_details,
    }
    return shown | {member: value for member, value in lists.items() if value}


def _as_entity(one: Snapshot) -> Document:
    """The members of a snapshot as attributes, for a query to look at."""
    members = {name: value for name, value in _shown(one).items() if isinstance(value, str | int)}
    times = {name: members[name] for name in ("createdAt", "modifiedAt", "expiresAt")}
    return {"id": one.id, "type": ["Snapshot"], **times, "attrs": {n: [prop(v)] for n, v in members.items()}}
