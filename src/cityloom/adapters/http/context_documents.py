"""Loads @context documents from the web: from addresses that the operator allows, and no others.

Everybody who asks may name an @context, so the address is a stranger's wish: what it may reach, how long it
may take and how much it may send are bounded here (ETSI GS CIM 009, 5.5.5; JSON-LD 1.1, 9.4).
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import monotonic
from urllib.parse import urlsplit

from cityloom.adapters.http.outbound import HttpOutbound
from cityloom.adapters.network.reach import Reach
from cityloom.kernel.outbound import AddressNotAllowed, Answer, Unreachable
from cityloom.ngsild.errors import BadRequestData, InvalidRequest, LdContextNotAvailable
from cityloom.ngsild.json_text import decode_json
from cityloom.ngsild.published import Published

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
    """Called with a URI it gives the JSON document behind it; `anew` also when it failed a moment ago.
    Lives on the event loop.

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
        self._loading: dict[str, asyncio.Task[Published]] = {}
        self._failed: dict[str, float] = {}

    async def __call__(self, uri: str, *, anew: bool = False) -> Published:
        if not self.allows(uri):
            raise LdContextNotAvailable(
                f"The @context {uri[:200]!a} is not among those this city may load",
                hint="Ask the operator to add its address to [contexts] allow in city.toml, "
                "or send the terms in the body.",
                where="@context",
            )
        if not anew and monotonic() - self._failed.get(uri, -REST) < REST:
            raise _unavailable(uri, "it failed a moment ago")
        task = self._loading.get(uri)
        if task is None:
            if len(self._loading) >= MAX_WAITING:
                raise _unavailable(uri, "too many others are being loaded")
            task = self._loading[uri] = asyncio.ensure_future(self._published(uri))
            task.add_done_callback(lambda _: self._loading.pop(uri, None))
        try:
            return await asyncio.shield(task)
        finally:
            if anew:
                # Whoever asks for it anew takes nothing from those who come after.
                self._failed.pop(uri, None)

    def allows(self, uri: str) -> bool:
        """Whether an address begins with one that is allowed, and hides nothing on the way."""
        try:
            self._outbound.check(uri)
        except AddressNotAllowed:
            return False
        return not urlsplit(uri).query

    async def _published(self, uri: str) -> Published:
        try:
            async with self._turn:
                answer = await self._fetch(uri)
        except (AddressNotAllowed, Unreachable) as error:
            _log.warning("The @context cannot be loaded: %s", error.message)
            self._rest(uri)
            raise _unavailable(uri, error.message) from None
        try:
            document = decode_json(answer.body, where=uri)
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
        self._failed.pop(uri, None)
        return Published(document, freshness(answer.headers))

    async def _fetch(self, uri: str) -> Answer:
        answer = await self._outbound.send("GET", uri, _HEADERS, deadline=DEADLINE, largest=MAX_BYTES)
        if answer.status != 200:
            # A redirect would lead elsewhere than the operator allowed.
            raise Unreachable(
                f"{uri[:200]!a} cannot be used: its server answers {answer.status}",
                hint="Check that system.",
                where=uri[:200],
            )
        return answer

    def _rest(self, uri: str) -> None:
        if len(self._failed) >= MAX_FAILURES:
            del self._failed[next(iter(self._failed))]
        self._failed[uri] = monotonic()


def freshness(headers: Mapping[str, str]) -> float | None:
    """Seconds for which an answer stays fresh by its headers (RFC 9111, 4.2.1); None: they do not say."""
    control = headers.get("cache-control", "").lower()
    if re.search(r"\bno-(?:store|cache)\b", control):
        return 0.0
    for directive in ("s-maxage", "max-age"):
        said = re.search(rf'\b{directive}="?(\d{{1,9}})', control)
        if said is not None:
            return float(said[1])
    if "expires" not in headers:
        return None
    try:
        expires = parsedate_to_datetime(headers["expires"])
        sent = parsedate_to_datetime(headers["date"]) if "date" in headers else datetime.now(UTC)
        return max(0.0, (expires - sent).total_seconds())
    except (TypeError, ValueError, OverflowError):
        # What cannot be read as a date means that it is over.
        return 0.0


def _unavailable(uri: str, why: str) -> LdContextNotAvailable:
    return LdContextNotAvailable(
        f"The @context {uri[:200]!a} cannot be loaded: {why}",
        hint="Try again in a minute, or send the terms in the body.",
        where="@context",
    )
