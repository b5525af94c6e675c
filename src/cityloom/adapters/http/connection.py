"""One connection to an HTTP server that a stranger named: one request after another, each with its answer.

The parser is httptools, which the city's own server reads requests with. Around it stand the bounds that it
has not: on the head of an answer, on what stands between the pieces of a body and after them, on answers
before the answer, and on the body.
"""

from __future__ import annotations

import asyncio
import select
from typing import Any, cast

import httptools

from cityloom.adapters.http.answer_body import AnswerBody, Spoilt
from cityloom.kernel.outbound import Answer

#: Bytes of an answer's head, and of what comes beside a body: trailers, and what is said of its pieces.
LARGEST_HEAD = 65_536
#: Headers of an answer. Sixty thousand empty ones of one name fit into one piece that arrives.
MOST_HEADERS = 1_000
#: Answers that only say that another one is to come (RFC 9110, 15.2).
MOST_INTERIM = 10
#: Statuses whose answers have no body.
_WITHOUT_BODY = frozenset({204, 304})


class HttpConnection(asyncio.Protocol):
    """Lives on the event loop. Made by `create_connection`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser: Any = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[Answer] | None = None
        self._largest = 0
        self._head_alone = False
        #: The loop's time at which the last answer was complete.
        self._idle_since = self._loop.time()
        self._begin()

    def _begin(self) -> None:
        """Expect an answer."""
        self._status = 0
        self._headers: dict[str, str] = {}
        self._body: AnswerBody | None = None
        self._interim = 0
        self._header_count = 0
        #: Bytes of heads, and bytes since there was something of a body.
        self._head_bytes = 0
        self._beside_body = 0

    async def exchange(self, head: bytes, body: bytes, *, largest: int) -> Answer:
        """Send a request, and wait for its whole answer. Raises Spoilt, OSError; then it cannot be used any
        more, nor when the wait is broken off."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("it closed the connection")
        self._begin()
        self._largest = largest
        self._head_alone = head.startswith(b"HEAD ")
        self._answer = self._loop.create_future()
        # Together where that costs no copy worth mentioning: one packet, one wake-up at the other side.
        if len(body) < LARGEST_HEAD:
            self._transport.write(head + body)
        else:
            self._transport.writelines([head, body])
        try:
            return await self._answer
        except BaseException:
            self.abort()
            raise
        finally:
            self._answer = None

    def is_usable(self, kept: float) -> bool:
        """Whether another request may be sent: it was used within `kept` seconds, nobody has closed it, and
        nothing has come that was not asked for."""
        if self._transport is None or self._transport.is_closing() or self.has_rested(kept):
            return False
        # What has come is known to the loop in its next turn alone.
        looking = select.poll()
        looking.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not looking.poll(0)

    def has_rested(self, kept: float) -> bool:
        """Whether it was not used for so many seconds."""
        return self._loop.time() >= self._idle_since + kept

    def abort(self) -> None:
        """Close it at once."""
        if self._transport is not None:
            self._transport.abort()

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if not self._is_awaited():
            # An answer that nobody asked for would be taken for that of the next request.
            self.abort()
            return
        if self._body is None:
            self._head_bytes += len(data)
        self._beside_body += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(ConnectionError("it speaks another protocol"))
        except httptools.HttpParserError:
            self._fail(ConnectionError("its answer is not HTTP"))
        if self._is_awaited() and self._is_endless():
            self._fail(ConnectionError("the head of its answer is too large"))

    def _is_endless(self) -> bool:
        return (self._head_bytes if self._body is None else self._beside_body) > LARGEST_HEAD

    def connection_lost(self, exc: Exception | None) -> None:
        # It and the parser hold each other.
        self._parser = None
        self._transport = None
        if not self._is_awaited():
            return
        if exc is None and self._body is not None and not self._tells_its_end():
            self._finish()
        else:
            self._fail(ConnectionError("it closed the connection"))

    # What the parser calls

    def on_message_begin(self) -> None:
        if not self._is_awaited():
            self.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_count += 1
        if self._header_count > MOST_HEADERS:
            self._fail(ConnectionError("the head of its answer is too large"))
        elif self._body is None:
            lowered, said = name.decode("latin-1").lower(), value.decode("latin-1")
            before = self._headers.get(lowered)
            self._headers[lowered] = said if before is None else f"{before}, {said}"

    def on_headers_complete(self) -> None:
        status = self._status = self._parser.get_status_code()
        if status < 200:
            self._headers = {}
            self._interim += 1
            if status == 101 or self._interim > MOST_INTERIM:
                self._fail(ConnectionError("it answers without an end"))
            return
        self._beside_body = 0
        self._body = AnswerBody(self._headers.get("content-encoding", ""), self._largest)
        if sum(map(len, self._headers)) + sum(map(len, self._headers.values())) > LARGEST_HEAD:
            self._fail(ConnectionError("the head of its answer is too large"))
        elif self._head_alone:
            # The parser would wait for the body of which it tells.
            self._finish()
            self.abort()

    def on_body(self, data: bytes) -> None:
        self._beside_body = 0
        if self._body is None or not self._is_awaited():
            return
        try:
            self._body.add(data)
        except Spoilt as error:
            self._fail(error)

    def on_message_complete(self) -> None:
        if self._body is None or not self._is_awaited():
            return
        self._finish()
        # What is still being sent was not wanted: the answer came before all of the request was there.
        if self._transport is not None and (
            not self._parser.should_keep_alive() or self._transport.get_write_buffer_size()
        ):
            self.abort()

    # How it ends

    def _is_awaited(self) -> bool:
        return self._answer is not None and not self._answer.done()

    def _tells_its_end(self) -> bool:
        """Whether the end of an answer can be told from its head, so that one that is cut short is known."""
        headers = self._headers
        return "content-length" in headers or "transfer-encoding" in headers or self._status in _WITHOUT_BODY

    def _finish(self) -> None:
        assert self._answer is not None
        assert self._body is not None
        try:
            body = self._body.whole()
        except Spoilt as error:
            self._fail(error)
            return
        self._idle_since = self._loop.time()
        self._answer.set_result(Answer(self._status, self._headers, body))

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self.abort()
