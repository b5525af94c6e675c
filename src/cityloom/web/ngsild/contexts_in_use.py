"""The @contexts that requests use: bundled, cached from elsewhere, stored here, or sent in a body.

What is stored here is known by its path: whatever host an address names, the local id says which it is.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import msgspec
import orjson

from cityloom.kernel.actor import Actor
from cityloom.kernel.change import DEFAULT_TENANT
from cityloom.ngsild.contexts import CORE, CORE_CONTEXT_URI, MAX_INCLUDED, Context, ContextResolver, is_core
from cityloom.ngsild.errors import BadRequestData, LdContextNotAvailable, OperationNotSupported
from cityloom.ngsild.published import Published
from cityloom.web.ngsild.context_store import ContextStore, StoredContext, local_id_of, stored

_log = logging.getLogger(__name__)

#: @contexts from bodies that are kept so that answers can refer to them, and the bytes of all of them.
MAX_KEPT = 500
MAX_KEPT_BYTES = 8_000_000
#: Copies of documents from elsewhere, and the bytes of all of them.
MAX_CACHED = 500
MAX_CACHED_BYTES = 64_000_000
#: How long a copy counts as fresh: when its server does not say, at least, and at most (6.3.16).
_USUALLY_FRESH_S, _LEAST_FRESH_S, _MOST_FRESH_S = 86_400.0, 60.0, 604_800.0

PATH = "/ngsi-ld/v1/jsonldContexts/"
_OWN = re.compile(r"(?:https?://[^/?#]+)?" + PATH + r"([A-Za-z0-9-]{1,64})")


class Loader(Protocol):
    """Loads the JSON document behind a URI; `anew` also when it failed a moment ago."""

    async def __call__(self, uri: str, *, anew: bool = False) -> Published:
        """Raises LdContextNotAvailable for a URI it may not or cannot load, BadRequestData for no JSON."""
        ...


class Cached(msgspec.Struct, frozen=True):
    """A copy of a document that is published elsewhere."""

    uri: str
    document: Any
    size: int
    created: datetime
    expires: datetime

    @property
    def local_id(self) -> str:
        return local_id_of(self.uri)


class Usage(msgspec.Struct):
    """How often an @context was found here, and when last."""

    hits: int = 0
    last: datetime | None = None


class ContextsInUse:
    """Resolves what requests give as @context. Lives on the event loop."""

    def __init__(
        self,
        resolver: ContextResolver | None = None,
        load: Loader | None = None,
        store: ContextStore | None = None,
    ) -> None:
        """Without `store` nothing can be added here; what bodies bring is kept in memory all the same."""
        self.resolver = resolver or ContextResolver()
        self._load = load
        self._store = store
        self._cached: dict[str, Cached] = {}
        self._passing: dict[tuple[str, str], StoredContext] = {}
        self._sizes: dict[tuple[str, str], int] = {}
        self._usage: dict[str, Usage] = {}
        self._began = datetime.now(UTC)

    async def start(self) -> None:
        """Load what is stored."""
        if self._store is not None:
            await self._store.start()

    async def use(self, source: Any, tenant: str = DEFAULT_TENANT) -> Context:
        """The Context of a request. Raises BadRequestData, LdContextNotAvailable."""
        if source is None:
            return CORE
        source = self._by_path(source, tenant)
        named = list(_named(source))
        for uri in named:
            await self._refresh(uri)
        try:
            found = self.resolver.resolve(source)
        except LdContextNotAvailable:
            await self._load_missing(source, tenant)
            found = self.resolver.resolve(source)
        for uri in named:
            self.note_use(_usage_key(uri))
        return found

    # What is stored here

    async def host(self, actor: Actor, source: Any, tenant: str) -> StoredContext:
        """Store an @context that somebody adds (5.13.2.4). Raises BadRequestData, TooLargeToKeep, OverQuota,
        StorageFull."""
        source = self._by_path(source, tenant)
        self.resolver.resolve([one for one in _flat(source) if isinstance(one, dict)])
        return await self._stores().host(actor, tenant, source)

    async def keep(self, actor: Actor, context: Context, base: str, tenant: str = DEFAULT_TENANT) -> str:
        """A URL for an @context that somebody refers to for as long as they like, such as a subscription."""
        if isinstance(address := _address(context, base), str):
            return address
        made = await self._stores().keep(actor, tenant, address)
        return f"{base}/jsonldContexts/{made.local_id}"

    def address(self, context: Context, base: str, tenant: str = DEFAULT_TENANT) -> str:
        """A URL for the @context of an answer (6.3.6). One that came in a body is kept and gets one here."""
        if isinstance(address := _address(context, base), str):
            return address
        return f"{base}/jsonldContexts/{self._keep_for_now(address, tenant)}"

    def find_stored(self, tenant: str, local_id: str) -> StoredContext | None:
        """What is stored or kept for a tenant under an id."""
        found = self._passing.get((tenant, local_id))
        if found is None and self._store is not None:
            found = self._store.find(tenant, local_id)
        return found

    def stored_of(self, tenant: str) -> list[StoredContext]:
        """What is stored or kept for a tenant, oldest first."""
        durable = [] if self._store is None else self._store.all(tenant)
        known = {one.local_id for one in durable}
        passing = [one for (whose, _), one in self._passing.items() if whose == tenant]
        return durable + [one for one in passing if one.local_id not in known]

    async def remove_stored(self, actor: Actor, tenant: str, local_id: str) -> None:
        """Forget what is stored or kept under an id. Raises NotAllowed for what is somebody else's."""
        if self._store is not None:
            await self._store.remove(actor, tenant, local_id)
        self._forget_passing((tenant, local_id))
        self.resolver.forget(PATH + local_id)
        self._usage.pop(local_id, None)

    # Copies of what is published elsewhere

    def cached(self) -> list[Cached]:
        """The copies, that of the core @context first."""
        core = Cached(CORE_CONTEXT_URI, None, 0, self._began, datetime.max.replace(tzinfo=UTC))
        return [core, *self._cached.values()]

    async def reload(self, uri: str) -> None:
        """Fetch a copy anew (5.13.5.4). Raises LdContextNotAvailable; then the copy stays as it is."""
        if is_core(uri):
            return  # It is part of this program and is what it says.
        try:
            await self._fetch(uri, anew=True)
        except BadRequestData as error:
            raise LdContextNotAvailable(error.message, hint=error.hint, where=uri) from None

    def remove_cached(self, uri: str) -> None:
        """Forget a copy."""
        self._cached.pop(uri, None)
        self._usage.pop(uri, None)
        self.resolver.forget(uri)

    # Use

    def usage(self, key: str) -> Usage:
        """How an @context is used, by its local id or, of copies, by its URI."""
        return self._usage.get(key) or Usage()

    def note_use(self, key: str) -> None:
        """Count that an @context was found here."""
        used = self._usage.setdefault(key, Usage())
        used.hits += 1
        used.last = datetime.now(UTC)

    def _by_path(self, source: Any, tenant: str) -> Any:
        """The source with addresses of what is stored here as paths."""
        if isinstance(source, list):
            return [self._by_path(one, tenant) for one in source]
        own = _OWN.fullmatch(source) if isinstance(source, str) else None
        if own is None:
            return source
        if self.find_stored(tenant, own[1]) is not None:
            return PATH + own[1]
        if source.startswith("/"):
            raise LdContextNotAvailable(
                f"The @context {source} is not stored here", hint="GET /jsonldContexts lists what there is."
            )
        return source

    async def _refresh(self, uri: str) -> None:
        """Fetch a copy again whose time is over; it goes on being used where that fails."""
        copy = self._cached.get(uri)
        now = datetime.now(UTC)
        if copy is None or copy.expires > now:
            return
        try:
            await self._fetch(uri)
        except (LdContextNotAvailable, BadRequestData) as error:
            _log.warning("A copy of the @context %s stays in use: %s", uri, error.message)
            later = now + timedelta(seconds=_LEAST_FRESH_S)
            self._cached[uri] = msgspec.structs.replace(copy, expires=later)

    async def _load_missing(self, source: Any, tenant: str) -> None:
        for _ in range(MAX_INCLUDED):
            missing = self.resolver.missing(source)
            if not missing:
                return
            for uri in missing:
                self.resolver.add(uri, await self._document(uri, tenant))

    async def _document(self, uri: str, tenant: str) -> Any:
        if uri.startswith(PATH):
            found = self.find_stored(tenant, uri.removeprefix(PATH))
            if found is not None:
                return {"@context": found.source}
        copy = self._cached.get(uri)
        return (copy or await self._fetch(uri)).document

    async def _fetch(self, uri: str, *, anew: bool = False) -> Cached:
        if self._load is None:
            raise LdContextNotAvailable(
                f"The @context {uri[:200]!a} is not available",
                hint="Send the terms in the body.",
                where="@context",
            )
        published = await self._load(uri, anew=anew)
        now = datetime.now(UTC)
        wished = _USUALLY_FRESH_S if published.fresh_s is None else published.fresh_s
        fresh = min(max(wished, _LEAST_FRESH_S), _MOST_FRESH_S)
        self.resolver.add(uri, published.document)
        size = len(orjson.dumps(published.document))
        copy = Cached(uri, published.document, size, now, now + timedelta(seconds=fresh))
        self._cached.pop(uri, None)
        self._cached[uri] = copy
        while len(self._cached) > MAX_CACHED or self._cached_bytes() > MAX_CACHED_BYTES:
            self.remove_cached(next(iter(self._cached)))
        return copy

    def _cached_bytes(self) -> int:
        return sum(one.size for one in self._cached.values())

    def _keep_for_now(self, source: Any, tenant: str) -> str:
        local_id = local_id_of(source)
        if self.find_stored(tenant, local_id) is None:
            written = len(orjson.dumps(source))
            while self._passing and (
                len(self._passing) >= MAX_KEPT or sum(self._sizes.values()) + written > MAX_KEPT_BYTES
            ):
                self._forget_passing(next(iter(self._passing)))
            self._passing[tenant, local_id] = stored(source, "ImplicitlyCreated", local_id)
            self._sizes[tenant, local_id] = written
        return local_id

    def _forget_passing(self, key: tuple[str, str]) -> None:
        if self._passing.pop(key, None) is not None:
            del self._sizes[key]

    def _stores(self) -> ContextStore:
        if self._store is None:
            raise OperationNotSupported(
                "@contexts are not stored here", hint="Publish it elsewhere and name its address."
            )
        return self._store


def _address(context: Context, base: str) -> Any:
    """The URL of an @context that has one; else its source."""
    source = context.source
    if isinstance(source, list):
        parts = [part for part in source if not (isinstance(part, str) and is_core(part))]
        source = parts[0] if len(parts) == 1 else parts
    if not source:
        return CORE_CONTEXT_URI
    if isinstance(source, str) and source.startswith(PATH):
        return f"{base}/jsonldContexts/{source.removeprefix(PATH)}"
    return source


def _flat(source: Any) -> Iterator[Any]:
    if isinstance(source, list):
        for one in source:
            yield from _flat(one)
    else:
        yield source


def _named(source: Any) -> Iterator[str]:
    return (one for one in _flat(source) if isinstance(one, str))


def _usage_key(uri: str) -> str:
    if is_core(uri):
        return CORE_CONTEXT_URI
    return uri.removeprefix(PATH)
