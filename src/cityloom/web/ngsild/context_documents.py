"""The @contexts that are known here: added, listed, served, deleted, reloaded (ETSI GS CIM 009, 5.13)."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from cityloom.kernel.time import format_instant
from cityloom.ngsild.contexts import CORE_CONTEXT_URI, is_core
from cityloom.ngsild.errors import BadRequestData, InvalidRequest, OperationNotSupported, ResourceNotFound
from cityloom.web.ngsild.context_store import StoredContext
from cityloom.web.ngsild.contexts_in_use import PATH, Cached, ContextsInUse
from cityloom.web.ngsild.exchange import Exchange, Reply, plain_reply

_KINDS = ("Hosted", "Cached", "ImplicitlyCreated")
_ADDRESS_HERE = re.compile(r"https?://[^/?#]+" + PATH)


class _Known(msgspec.Struct, frozen=True):
    """What is told of an @context. `copy_of` is the address of one that is published elsewhere."""

    url: str
    local_id: str
    kind: str
    created_at: str
    expires_at: str | None = None
    copy_of: str | None = None

    @property
    def key(self) -> str:
        """What its use is counted under."""
        return self.copy_of or self.local_id


async def add_context(exchange: Exchange) -> Reply:
    """POST /jsonldContexts (5.13.2)."""
    payload = await exchange.payload_as_it_is()
    if not isinstance(payload, dict) or "@context" not in payload:
        raise InvalidRequest(
            "The body holds no @context",
            hint='Send a JSON object with the member "@context".',
            where="@context",
        )
    # What stands beside the @context is discarded (5.13.2.3).
    source = payload["@context"]
    _check_shape(source)
    made = await exchange.services.contexts.host(exchange.actor, source, exchange.tenant)
    return Reply(201, headers=[(b"location", f"{PATH}{made.local_id}".encode())])


async def list_contexts(exchange: Exchange) -> Reply:
    """GET /jsonldContexts (5.13.3)."""
    kind = exchange.parameters.text("kind")
    if kind is not None and kind not in _KINDS:
        raise BadRequestData(
            f"{kind[:40]!a} is not a kind of @context", hint=f"Kinds are {', '.join(_KINDS)}.", where="kind"
        )
    details = exchange.parameters.flag("details")
    found = [one for one in _all_known(exchange) if kind is None or one.kind == kind]
    if details:
        return plain_reply([_detailed(exchange.services.contexts, one) for one in found])
    return plain_reply([one.url for one in found])


async def serve_context(exchange: Exchange) -> Reply:
    """GET /jsonldContexts/{contextId}: by its local id; a copy by its URL too (5.13.4)."""
    details = exchange.parameters.flag("details")
    found = _wanted(exchange)
    contexts = exchange.services.contexts
    if details:
        shown = _detailed(contexts, found)
        if found.kind != "Hosted":
            # All that is served of a copy is this; one that is hosted is used when it is read or named.
            contexts.note_use(found.key)
        return plain_reply(shown)
    if found.copy_of is not None:
        raise OperationNotSupported(
            "This @context is a copy of one elsewhere", hint=f"Fetch it from {found.copy_of}."
        )
    contexts.note_use(found.key)
    stored = contexts.find_stored(exchange.tenant, found.local_id)
    assert stored is not None, "what is known and is no copy is stored"
    return plain_reply({"@context": _with_addresses(stored.source, exchange.base)})


async def delete_context(exchange: Exchange) -> Reply:
    """DELETE /jsonldContexts/{contextId}; reload=true fetches a copy again instead (5.13.5)."""
    if not exchange.variables["contextId"]:
        raise BadRequestData(
            "The @context is not named", hint="Give its local id in the path.", where="contextId"
        )
    reload = exchange.parameters.flag("reload")
    found = _wanted(exchange)
    contexts = exchange.services.contexts
    if found.copy_of is None:
        if reload:
            raise BadRequestData(
                f"This @context is {found.kind} and has nowhere to be fetched from",
                hint="Leave reload out to delete it.",
                where="reload",
            )
        await contexts.remove_stored(exchange.actor, exchange.tenant, found.local_id)
    elif reload:
        await contexts.reload(found.copy_of)
    elif is_core(found.copy_of):
        raise BadRequestData("The core @context stays", hint="Every request needs it.", where="contextId")
    else:
        contexts.remove_cached(found.copy_of)
    return Reply(204)


def _check_shape(source: Any) -> None:
    """Raises BadRequestData for what can be no @context (5.5.4)."""
    for one in source if isinstance(source, list) else [source]:
        if not isinstance(one, str | dict):
            raise BadRequestData(
                "An @context is a URI, an object, or an array of these",
                hint='Write {"@context": {"term": "https://example.org/term"}}.',
                where="@context",
            )


def _wanted(exchange: Exchange) -> _Known:
    """The @context that the path names. Raises ResourceNotFound."""
    wanted = exchange.variables["contextId"]
    local_id = _ADDRESS_HERE.sub("", wanted)
    if is_core(wanted):
        wanted = CORE_CONTEXT_URI
    for one in _all_known(exchange):
        if one.local_id in (wanted, local_id) or one.copy_of == wanted:
            return one
    raise ResourceNotFound(
        f"There is no @context {wanted[:200]!a}", hint="GET /jsonldContexts lists what there is."
    )


def _all_known(exchange: Exchange) -> list[_Known]:
    """Copies are everybody's; what was stored is its tenant's (5.5.10)."""
    contexts = exchange.services.contexts
    copies = [_of_copy(one) for one in contexts.cached()]
    return copies + [_of_stored(one, exchange.base) for one in contexts.stored_of(exchange.tenant)]


def _of_copy(one: Cached) -> _Known:
    expires = None if is_core(one.uri) else format_instant(one.expires)
    return _Known(one.uri, one.local_id, "Cached", format_instant(one.created), expires, one.uri)


def _of_stored(one: StoredContext, base: str) -> _Known:
    return _Known(f"{base}/jsonldContexts/{one.local_id}", one.local_id, one.kind, one.created_at)


def _detailed(contexts: ContextsInUse, one: _Known) -> dict[str, Any]:
    used = contexts.usage(one.key)
    found = {
        "URL": one.url,
        "localId": one.local_id,
        "kind": one.kind,
        "createdAt": one.created_at,
        "expiresAt": one.expires_at,
        "lastUsage": None if used.last is None else format_instant(used.last),
        "numberOfHits": used.hits,
    }
    return {member: value for member, value in found.items() if value is not None}


def _with_addresses(source: Any, base: str) -> Any:
    """The source with addresses of others that are stored here, for readers elsewhere."""
    if isinstance(source, list):
        return [_with_addresses(one, base) for one in source]
    if isinstance(source, str) and source.startswith(PATH):
        return f"{base}/jsonldContexts/{source.removeprefix(PATH)}"
    return source
