"""The @contexts that requests use: bundled, loaded through an allow-list, or sent in a body."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any

import orjson

from cityloom.ngsild.contexts import CORE, CORE_CONTEXT_URI, MAX_INCLUDED, Context, ContextResolver, is_core
from cityloom.ngsild.errors import LdContextNotAvailable

#: Loads the JSON document behind a URI. Raises LdContextNotAvailable for one it may not or cannot load,
#: BadRequestData for one that is no JSON.
Loader = Callable[[str], Awaitable[Any]]

#: @contexts from bodies that are kept so that answers can refer to them, and the bytes of all of them.
MAX_KEPT = 500
MAX_KEPT_BYTES = 8_000_000


class ContextsInUse:
    """Resolves what requests give as @context. Lives on the event loop."""

    def __init__(self, resolver: ContextResolver | None = None, load: Loader | None = None) -> None:
        self.resolver = resolver or ContextResolver()
        self._load = load
        self._kept: dict[str, Any] = {}
        self._sizes: dict[str, int] = {}

    async def use(self, source: Any) -> Context:
        """The Context of a request. Raises BadRequestData, LdContextNotAvailable."""
        if source is None:
            return CORE
        try:
            return self.resolver.resolve(source)
        except LdContextNotAvailable:
            if self._load is None:
                raise
            await self._load_missing(source, self._load)
            return self.resolver.resolve(source)

    async def _load_missing(self, source: Any, load: Loader) -> None:
        for _ in range(MAX_INCLUDED):
            missing = self.resolver.missing(source)
            if not missing:
                return
            for uri in missing:
                self.resolver.add(uri, await load(uri))

    def address(self, context: Context, base: str) -> str:
        """A URL for the @context of an answer (6.3.6). One that came in a body is kept and gets one here."""
        source = context.source
        if isinstance(source, list):
            parts = [part for part in source if not (isinstance(part, str) and is_core(part))]
            source = parts[0] if len(parts) == 1 else parts
        if not source:
            return CORE_CONTEXT_URI
        if isinstance(source, str):
            return source
        return f"{base}/jsonldContexts/{self._keep(source)}"

    def kept(self, local_id: str) -> Any | None:
        """The @context document kept under an id, or None."""
        return self._kept.get(local_id)

    def kept_ids(self) -> list[str]:
        return list(self._kept)

    def _keep(self, source: Any) -> str:
        written = orjson.dumps(source, option=orjson.OPT_SORT_KEYS)
        local_id = sha256(written).hexdigest()[:24]
        if local_id not in self._kept:
            self._sizes[local_id] = len(written)
            while self._kept and (len(self._kept) >= MAX_KEPT or sum(self._sizes.values()) > MAX_KEPT_BYTES):
                oldest = next(iter(self._kept))
                del self._kept[oldest], self._sizes[oldest]
            self._kept[local_id] = {"@context": source}
        return local_id
