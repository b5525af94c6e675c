"""Loads @context documents from the web: from addresses that the operator allows, and no others.

Everybody who asks may name an @context, so the address is a stranger's wish: what it may reach, how long it
may take and how much it may send are bounded here (ETSI GS CIM 009, 5.5.5; JSON-LD 1.1, 9.4).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from cityloom.adapters.http.outbound import HttpOutbound
from cityloom.adapters.network.reach import Reach
from cityloom.kernel.outbound import AddressNotAllowed, Unreachable
from cityloom.ngsild.errors import BadRequestData, InvalidRequest, LdContextNotAvailable
from cityloom.ngsild.json_text import decode_json

_log = logging.getLogger(__name__)

#: Bytes of one document, unpacked.
MAX_BYTES = 1_000_000
#: Seconds for one document in all.
DEADLINE = 10.0
#: Seconds for which an address that failed is not tried again.
REST = 60.0
#: Documents loaded at once, those that wait for their turn, and failures remembered.
AT_ONCE = 4
MAX_WAITING = 100
MAX_FAILURES = 1_000

_HEADERS = {"accept": "application/ld+json, application/json;q=0.9, */*;q=0.1"}


class ContextDocuments:
    """Called with a URI it gives the JSON document behind it. Lives on the event loop.

    Raises LdContextNotAvailable for an address that is not allowed or does not answer well, BadRequestData
    for what is no @context document.
    """

    def __init__(self, allowed: Iterable[str], *, inside: bool = False) -> None:
        """`allowed` are beginnings of URLs: https://example.org/ld/. A host alone allows all of that host.

        The name of an allowed host may lead to public addresses; with `inside` to those of the machine and
        its own networks too. An address that is allowed as a number is allowed wherever it is.
        """
        self._outbound = HttpOutbound(Reach(allowed, inside=inside))
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._loading: dict[str, asyncio.Task[Any]] = {}
        self._failed: dict[str, float] = {}

    async def __call__(self, uri: str) -> Any:
        if not self.allows(uri):
            raise LdContextNotAvailable(
                f"The @context {uri[:200]!a} is not among those this city may load",
                hint="Ask the operator to add its address to [contexts] allow in city.toml, "
                "or send the terms in the body.",
                where="@context",
            )
        if monotonic() - self._failed.get(uri, -REST) < REST:
            raise _unavailable(uri, "it failed a moment ago")
        task = self._loading.get(uri)
        if task is None:
            if len(self._loading) >= MAX_WAITING:
                raise _unavailable(uri, "too many others are being loaded")
            task = self._loading[uri] = asyncio.ensure_future(self._document(uri))
            task.add_done_callback(lambda _: self._loading.pop(uri, None))
        return await asyncio.shield(task)

    def allows(self, uri: str) -> bool:
        """Whether an address begins with one that is allowed, and hides nothing on the way."""
        try:
            self._outbound.check(uri)
        except AddressNotAllowed:
            return False
        return not urlsplit(uri).query

    async def _document(self, uri: str) -> Any:
        try:
            async with self._turn:
                body = await self._fetch(uri)
        except (AddressNotAllowed, Unreachable) as error:
            _log.warning("The @context cannot be loaded: %s", error.message)
            self._rest(uri)
            raise _unavailable(uri, error.message) from None
        try:
            document = decode_json(body, where=uri)
        except InvalidRequest as error:
            self._rest(uri)
            raise BadRequestData(error.message, hint=error.hint, where=uri) from None
        if not isinstance(document, dict) or "@context" not in document:
            self._rest(uri)
            raise BadRequestData(
                "The document holds no @context",
                hint="It must be a JSON object with the member @context.",
                where=uri,
            )
        return document

    async def _fetch(self, uri: str) -> bytes:
        answer = await self._outbound.send("GET", uri, _HEADERS, deadline=DEADLINE, largest=MAX_BYTES)
        if answer.status != 200:
            # A redirect would lead elsewhere than the operator allowed.
            raise Unreachable(
                f"{uri[:200]!a} cannot be used: its server answers {answer.status}",
                hint="Check that system.",
                where=uri[:200],
            )
        return answer.body

    def _rest(self, uri: str) -> None:
        if len(self._failed) >= MAX_FAILURES:
            del self._failed[next(iter(self._failed))]
        self._failed[uri] = monotonic()


def _unavailable(uri: str, why: str) -> LdContextNotAvailable:
    return LdContextNotAvailable(
        f"The @context {uri[:200]!a} cannot be loaded: {why}",
        hint="Try again in a minute, or send the terms in the body.",
        where="@context",
    )
