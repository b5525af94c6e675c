"""Asks one source one question: in bounded time and size, and not again at once where it failed (5.2.34)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from urllib.parse import quote, urlencode

import msgspec

from cityloom.federation.model import Origin, Question, Reply, Standing, Wire
from cityloom.kernel.backoff import pause_after
from cityloom.kernel.errors import CityError
from cityloom.kernel.media_types import JSON, JSON_LD
from cityloom.kernel.outbound import Outbound, Unusable
from cityloom.kernel.time import Clock, format_instant
from cityloom.ngsild.context_link import link_to_context
from cityloom.ngsild.registrations import Registration

#: Seconds that a source has for its answer, when its registration asks for nothing else, and at most.
USUAL_TIMEOUT_S = 5.0
LONGEST_TIMEOUT_S = 30.0
#: Bytes of an answer.
LARGEST_ANSWER = 16_000_000
#: Bytes of all answers to one request; what comes later counts as one that cannot be read.
LARGEST_TOGETHER = 64_000_000
#: Questions on their way to one endpoint; who comes then is answered as if it had not answered in time.
MOST_WAITING = 64
#: Failures in a row after which an endpoint is left alone, for seconds that double up to a minute.
FAILURES = 3
SHORTEST_REST_S = 1.0
LONGEST_REST_S = 60.0
#: Answers that are kept, and their bytes in all.
MOST_KEPT = 1_000
MOST_KEPT_BYTES = 32_000_000

_ROOT = "/ngsi-ld/v1"
_FROM_REQUEST = "urn:ngsi-ld:request"
#: What contextSourceInfo never sets: it belongs to the connection, to the tenant or to this broker (4.3.6.5).
_NOT_CONVEYED = frozenset(
    {
        "accept",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "contenttype",
        "host",
        "jsonldcontext",
        "keep-alive",
        "link",
        "ngsildconformance",
        "ngsild-tenant",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
    }
)
#: What the asker shows this city alone is carried to no other.
_NOT_COPIED = frozenset({"authorization", "cookie", "proxy-authorization"})


#: Answers that speak of the source's own failure, not of what it was asked.
_BROKEN = frozenset({500, 502, 503, 504})


class _Endpoint(msgspec.Struct):
    """How the endpoint of a registration fares."""

    waiting: int = 0
    failures: int = 0
    #: On the loop's clock: it is left alone until then.
    resting_until: float = 0.0


class _Kept(msgspec.Struct, frozen=True):
    until: float
    reply: Reply


class Peers:
    """Lives on the event loop."""

    def __init__(self, outbound: Outbound, clock: Clock) -> None:
        self._outbound = outbound
        self._clock = clock
        self._endpoints: dict[tuple[str, str], _Endpoint] = {}
        self._standing: dict[tuple[str, str], Standing] = {}
        self._kept: dict[tuple[str, str, str], _Kept] = {}
        self._kept_bytes = 0

    def standing(self, tenant: str, registration_id: str) -> Standing:
        """How a registration has fared."""
        return self._standing.get((tenant, registration_id)) or Standing()

    def forget(self, tenant: str, registration_id: str, *, for_good: bool) -> None:
        """A registration has changed, or has gone for good: answers and failures of before count no more."""
        if for_good:
            self._standing.pop((tenant, registration_id), None)
        self._endpoints.pop((tenant, registration_id), None)
        for key in [key for key in self._kept if key[:2] == (tenant, registration_id)]:
            self._drop(key)

    async def ask(
        self, registration: Registration, question: Question, origin: Origin, wire: Wire, alias: str
    ) -> Reply:
        """The source's answer. Never raises for what lies with the source: that is told by the status."""
        headers = _headers(registration, question, origin, wire, alias)
        url = _url(registration, question)
        key = (origin.tenant, registration.id, f"{url} {sorted(headers.items())}")
        kept = self._kept_reply(registration, question, key)
        if kept is not None:
            return kept
        endpoint = self._endpoints.setdefault((origin.tenant, registration.id), _Endpoint())
        loop = asyncio.get_running_loop()
        if loop.time() < endpoint.resting_until or endpoint.waiting >= MOST_WAITING:
            return Reply(registration, 504, warning="199")
        standing = self._standing.setdefault((origin.tenant, registration.id), Standing())
        standing.times_sent += 1
        endpoint.waiting += 1
        try:
            answer = await self._outbound.send(
                question.method,
                url,
                headers,
                question.body,
                deadline=min(registration.management.timeout or USUAL_TIMEOUT_S, LONGEST_TIMEOUT_S),
                largest=LARGEST_ANSWER,
            )
        except Unusable as error:
            self._failed(registration, endpoint, standing, error)
            return Reply(registration, 502, warning="111")
        except CityError as error:
            self._failed(registration, endpoint, standing, error)
            return Reply(registration, 504, warning="199")
        finally:
            endpoint.waiting -= 1
        reply = Reply(registration, answer.status, answer.headers, answer.body)
        self._answered(reply, endpoint, standing)
        if reply.good:
            self._keep(registration, question, key, reply)
            return reply
        # A source that has nothing is no trouble (6.3.17).
        return reply if reply.status == 404 else msgspec.structs.replace(reply, warning="299")

    async def ask_all(
        self, asked: Iterable[tuple[Registration, Question, Wire]], origin: Origin, alias: str
    ) -> list[Reply]:
        """The answers of several sources, asked at the same time, in the order given."""
        room = LARGEST_TOGETHER

        async def bounded(registration: Registration, question: Question, wire: Wire) -> Reply:
            nonlocal room
            reply = await self.ask(registration, question, origin, wire, alias)
            room -= len(reply.body)
            return reply if room >= 0 else msgspec.structs.replace(reply, body=b"")

        return list(await asyncio.gather(*(bounded(*one) for one in asked)))

    def _failed(
        self, registration: Registration, endpoint: _Endpoint, standing: Standing, error: CityError
    ) -> None:
        endpoint.failures += 1
        rest = registration.management.cooldown
        if rest is None and endpoint.failures >= FAILURES:
            beyond = endpoint.failures - FAILURES + 1
            rest = pause_after(beyond, first=SHORTEST_REST_S, longest=LONGEST_REST_S)
        _rest(endpoint, rest)
        self._note(standing, error.message)

    def _answered(self, reply: Reply, endpoint: _Endpoint, standing: Standing) -> None:
        # Who answers is there: it rests only where its registration asks for that.
        endpoint.failures = 0
        _rest(endpoint, reply.registration.management.cooldown if reply.status in _BROKEN else None)
        fine = reply.good or reply.status == 404
        self._note(standing, "" if fine else f"It answers {reply.status}")

    def _note(self, standing: Standing, error: str) -> None:
        """`error`: why it failed, "" where all went well."""
        now = format_instant(self._clock.now())
        standing.failed, standing.last_error = bool(error), error
        if error:
            standing.times_failed += 1
            standing.last_failure = now
        else:
            standing.last_success = now

    # Answers that may be given again

    def _kept_reply(
        self, registration: Registration, question: Question, key: tuple[str, str, str]
    ) -> Reply | None:
        if not question.may_be_kept or registration.management.cache_duration is None:
            return None
        kept = self._kept.get(key)
        if kept is None:
            return None
        if asyncio.get_running_loop().time() >= kept.until:
            self._drop(key)
            return None
        return msgspec.structs.replace(kept.reply, warning="110")

    def _keep(
        self, registration: Registration, question: Question, key: tuple[str, str, str], reply: Reply
    ) -> None:
        duration = registration.management.cache_duration
        if not question.may_be_kept or duration is None or len(reply.body) > MOST_KEPT_BYTES // 8:
            return
        if key in self._kept:
            self._drop(key)
        self._kept[key] = _Kept(asyncio.get_running_loop().time() + duration, reply)
        self._kept_bytes += len(reply.body)
        while len(self._kept) > MOST_KEPT or self._kept_bytes > MOST_KEPT_BYTES:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: tuple[str, str, str]) -> None:
        self._kept_bytes -= len(self._kept.pop(key).reply.body)


def _rest(endpoint: _Endpoint, seconds: float | None) -> None:
    endpoint.resting_until = 0.0 if seconds is None else asyncio.get_running_loop().time() + seconds


def via_of(header: str) -> tuple[str, ...]:
    """The pseudonyms in a Via header (RFC 7230, 5.7.1)."""
    found = []
    for entry in header.split(","):
        words = entry.split()
        if len(words) >= 2:
            found.append(words[1])
    return tuple(found)


def _url(registration: Registration, question: Question) -> str:
    parameters = list(question.parameters)
    if question.is_of_entities and registration.to_stay:
        parameters = [*((name, value) for name, value in parameters if name != "local"), ("local", "true")]
    query = urlencode(parameters, safe=":,;*/", quote_via=quote)
    return f"{registration.endpoint}{_ROOT}{question.path}{'?' if query else ''}{query}"


def _headers(
    registration: Registration, question: Question, origin: Origin, wire: Wire, alias: str
) -> dict[str, str]:
    headers: dict[str, str] = {}
    for key, value in registration.info:
        name = key.lower()
        if name in _NOT_CONVEYED:
            continue
        if value == _FROM_REQUEST:
            copied = None if name in _NOT_COPIED else origin.headers.get(name)
            if copied is not None:
                headers[key] = copied
        else:
            headers[key] = value
    headers["Accept"] = registration.told("accept") or JSON
    headers["Via"] = ", ".join(f"1.1 {one}" for one in (*origin.via, alias))
    if registration.tenant:
        headers["NGSILD-Tenant"] = registration.tenant
    if question.body:
        headers["Content-Type"] = question.content_type
    if wire.address is not None and question.content_type != JSON_LD:
        headers["Link"] = link_to_context(wire.address)
    return headers
