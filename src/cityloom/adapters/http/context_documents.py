"""Loads @context documents from the web: from addresses that the operator allows, and no others.

Everybody who asks may name an @context, so the address is a stranger's wish: what it may reach, how long it
may take and how much it may send are bounded here (ETSI GS CIM 009, 5.5.5; JSON-LD 1.1, 9.4).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from ipaddress import ip_address
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import httpx2

from cityloom.ngsild.errors import BadRequestData, InvalidRequest, LdContextNotAvailable
from cityloom.ngsild.json_text import decode_json
from cityloom.ngsild.names import is_uri

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

_ACCEPT = "application/ld+json, application/json;q=0.9, */*;q=0.1"


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
        self._allowed = tuple(one if urlsplit(one).path else one + "/" for one in allowed)
        self._inside = inside
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
        if not (is_uri(uri) and uri.startswith(self._allowed)):
            return False
        parts = urlsplit(uri)
        path = parts.path.lower().replace("%2e", ".").replace("%2f", "/").replace("%5c", "/")
        climbs = any(step in ("..", ".") for step in path.split("/"))
        return not (climbs or parts.username or parts.fragment or parts.query)

    async def _document(self, uri: str) -> Any:
        try:
            async with self._turn, asyncio.timeout(DEADLINE):
                body = await self._fetch(uri)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, _Refused) as error:
            why = "it does not answer in time" if isinstance(error, TimeoutError) else str(error)
            _log.warning("The @context %s cannot be loaded: %s", uri, why or type(error).__name__)
            self._rest(uri)
            raise _unavailable(uri, why or "it does not answer") from None
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
        url = httpx2.URL(uri)
        address = await self._address(url)
        # What was looked at is what is reached: the name is not looked up a second time.
        headers = {"accept": _ACCEPT, "host": url.netloc.decode("ascii")}
        extensions = {"sni_hostname": url.raw_host.decode("ascii")}
        async with (
            httpx2.AsyncClient(timeout=DEADLINE, follow_redirects=False, trust_env=False) as client,
            client.stream(
                "GET", url.copy_with(host=address), headers=headers, extensions=extensions
            ) as reply,
        ):
            if reply.status_code != 200:
                # A redirect would lead elsewhere than the operator allowed.
                raise _Refused(f"its server answers {reply.status_code}")
            return await _bounded(reply)

    async def _address(self, url: httpx2.URL) -> str:
        """The number behind the host's name. Raises OSError, or _Refused for one inside."""
        try:
            return str(ip_address(url.host))
        except ValueError:
            pass
        port = url.port or (443 if url.scheme == "https" else 80)
        found = await asyncio.get_running_loop().getaddrinfo(url.host, port)
        numbers = [str(entry[4][0]) for entry in found]
        if not self._inside and not all(ip_address(number).is_global for number in numbers):
            raise _Refused("its name leads to an address inside")
        return numbers[0]

    def _rest(self, uri: str) -> None:
        if len(self._failed) >= MAX_FAILURES:
            del self._failed[next(iter(self._failed))]
        self._failed[uri] = monotonic()


class _Refused(Exception):
    """An answer that is not taken."""


async def _bounded(reply: httpx2.Response) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in reply.aiter_bytes():
        size += len(part)
        if size > MAX_BYTES:
            raise _Refused(f"it is larger than {MAX_BYTES // 1_000_000} MB")
        parts.append(part)
    return b"".join(parts)


def _unavailable(uri: str, why: str) -> LdContextNotAvailable:
    return LdContextNotAvailable(
        f"The @context {uri[:200]!a} cannot be loaded: {why}",
        hint="Try again in a minute, or send the terms in the body.",
        where="@context",
    )
