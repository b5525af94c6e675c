"""What sources answer, read with suspicion: only what is an Entity and was asked for is taken (6.3.17)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any

import orjson

from cityloom.federation.model import Reply, Wire
from cityloom.kernel.errors import CityError
from cityloom.ngsild.contexts import Context
from cityloom.ngsild.errors import BadRequestData
from cityloom.ngsild.json_text import decode_json
from cityloom.ngsild.model import Document, Instance
from cityloom.ngsild.parse import parse_entity
from cityloom.ngsild.values import check_instant

#: Entities of one answer that are read; the rest is passed over.
MOST_ENTITIES = 1_000
#: Entities that are read before others get their turn on the event loop.
_TURN = 50

#: Different @contexts in one answer or notification: each may have to be fetched.
MOST_CONTEXTS = 20
#: Answers of more bytes are read by few at once: as objects they take many times as much.
LARGE = 1_000_000
LARGE_AT_ONCE = 4

#: Finds the Context behind an @context. Raises BadRequestData, LdContextNotAvailable.
UseContext = Callable[[Any], Awaitable[Context]]

#: Members of an Entity that may be lists or objects, and are no attributes.
_MEMBERS = frozenset({"@context", "@type", "type", "scope"})
#: A warning in the header NGSILD-Warning: its code, who warns, and the text.
_WARNING = re.compile(r'\b(110|111|199|299) [^\s",]+ "')


def relayed(reply: Reply) -> list[str]:
    """The codes of the warnings that a source passes on from sources of its own (6.3.17), each once."""
    return list(dict.fromkeys(_WARNING.findall(reply.headers.get("ngsild-warning", ""))))


class NotEntities(Exception):
    """The answer holds no Entities."""


async def entities_in(reply: Reply, wire: Wire, use: UseContext) -> list[Document]:
    """The Entities of an answer. Raises NotEntities where any of it is none."""
    use = FewContexts(use)
    try:
        if len(reply.body) <= LARGE:
            return await _read(_first(reply.body), wire, use)
        async with _turns(asyncio.get_running_loop()):
            # Odd JSON takes seconds.
            return await _read(await asyncio.to_thread(_first, reply.body), wire, use)
    except CityError as error:
        raise NotEntities(str(error)) from error


@lru_cache(1)
def _turns(_loop: asyncio.AbstractEventLoop) -> asyncio.Semaphore:
    """Taken for as long as a large answer is read."""
    return asyncio.Semaphore(LARGE_AT_ONCE)


class FewContexts:
    """Finds the @contexts that one message of somebody else's names: few, and each of them once."""

    def __init__(self, use: UseContext) -> None:
        self._use = use
        self._found: dict[bytes, Context] = {}

    async def __call__(self, source: Any) -> Context:
        """Raises what `use` raises, and BadRequestData for too many."""
        key = orjson.dumps(source, option=orjson.OPT_SORT_KEYS)
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= MOST_CONTEXTS:
                raise BadRequestData(
                    f"More than {MOST_CONTEXTS} different @contexts are named",
                    hint="Name fewer in one message.",
                    where="@context",
                )
            found = self._found[key] = await self._use(source)
        return found


async def _read(items: list[Any], wire: Wire, use: UseContext) -> list[Document]:
    found = []
    for place, item in enumerate(items):
        if place % _TURN == _TURN - 1:
            await asyncio.sleep(0)
        found.append(await _entity(item, wire, use))
    return found


def _first(body: bytes) -> list[Any]:
    """As many as are read; what is passed over is held no longer. Raises BadRequestData, InvalidRequest."""
    decoded = decode_json(body)
    return decoded[:MOST_ENTITIES] if isinstance(decoded, list) else [decoded]


async def _entity(item: Any, wire: Wire, use: UseContext) -> Document:
    context = wire.context
    if isinstance(item, dict) and "@context" in item:
        context = await use(item["@context"])
    document = parse_entity(item, context)
    _add_times(document, item)
    for key, value in item.items():
        if key in _MEMBERS or not isinstance(value, dict | list):
            continue
        items = document["attrs"].get(context.expand(key))
        if items is not None:
            _add_times_of_instances(items, value)
    return document


def _add_times_of_instances(items: list[Instance], value: Any) -> None:
    raws = value if isinstance(value, list) else [value]
    if len(raws) == len(items):
        for instance, raw in zip(items, raws, strict=True):
            _add_times(instance, raw)


def _add_times(found: dict[str, Any], raw: Any) -> None:
    """System times are the source's own: they decide which of two values is the newer."""
    for name in ("createdAt", "modifiedAt"):
        if isinstance(raw, dict) and name in raw:
            try:
                found[name] = check_instant(raw[name])
            except BadRequestData:
                continue
