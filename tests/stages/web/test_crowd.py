"""More than a city can do: a bounded number is worked on, the rest is told when to come back."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import pytest

from cityloom.web.connection_limits import ConnectionLimits
from cityloom.web.crowd import Crowd
from cityloom.web.guarded_protocol import GuardedProtocol
from served import WHOLE, Served


class Request:
    def __init__(self) -> None:
        self.response_started = self.disconnected = False


def test_crowd_is_full_of_what_has_not_been_answered_yet():
    crowd = Crowd(2)
    first, second = Request(), Request()
    crowd.enter(first)
    assert not crowd.is_full()
    crowd.enter(second)
    assert crowd.is_full()
    first.response_started = True  # a stream: answered once it has begun
    assert not crowd.is_full()


def test_protocol_counts_by_the_usual_limit_where_none_is_set():
    assert not GuardedProtocol.crowd.is_full()


def test_crowd_forgets_who_left():
    crowd = Crowd(1)
    request = Request()
    crowd.enter(request)
    crowd.leave(request)
    assert not crowd.is_full()


class Slow:
    """Answers what is asked for at /slow only when it is told to."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.working = 0

    async def __call__(self, scope, receive, send) -> None:
        if scope["path"] == "/slow":
            self.working += 1
            await self.go_on.wait()
        head = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        if scope["path"] == "/stream":
            await send({"type": "http.response.body", "body": b"h", "more_body": True})
            self.working += 1
            await self.go_on.wait()
            await send({"type": "http.response.body", "body": b"i"})
        else:
            await send({"type": "http.response.body", "body": b"hi"})


SLOW = b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n"
STREAM = SLOW.replace(b"/slow", b"/stream")
KEPT = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


async def hold(served: Served, app: Slow, requests: int, asked: bytes = SLOW) -> list[asyncio.StreamWriter]:
    """So many requests that are under way."""
    writers = []
    for number in range(1, requests + 1):
        _, writer = await asyncio.open_connection(*served.listener.getsockname())
        writer.write(asked)
        writers.append(writer)
        async with asyncio.timeout(10):
            while app.working < number:
                await asyncio.sleep(0.001)
    return writers


async def test_what_comes_beyond_what_can_be_done_is_told_when_to_come_back():
    app = Slow()
    async with Served(ConnectionLimits(requests=3), app=app) as served:
        writers = await hold(served, app, 3)
        answer = await served.talk(WHOLE)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ") and b"retry-after: 2" in head
        told = json.loads(body)
        assert told["status"] == 503 and told["detail"] and told["hint"]
        # With a body, which nobody reads.
        post = WHOLE.replace(b"GET / ", b"POST / ").replace(b"host: x", b"host: x\r\ncontent-length: 4")
        assert (await served.talk(post, b"abcd")).startswith(b"HTTP/1.1 503 ")
        # Whoever watches the process is let in.
        assert (await served.talk(WHOLE.replace(b"GET / ", b"GET /healthz "))).endswith(b"hi")
        app.go_on.set()
        async with asyncio.timeout(10):
            while not (await served.talk(WHOLE)).endswith(b"hi"):
                await asyncio.sleep(0.01)
        for writer in writers:
            writer.close()


@pytest.mark.parametrize("begun", [b"", b"ab"])
async def test_whoever_is_turned_away_and_never_ends_their_body_is_hung_up_on(begun):
    app = Slow()
    refused = Counter()
    async with Served(ConnectionLimits(requests=1, head_seconds=0.1), app=app, refused=refused) as served:
        (held,) = await hold(served, app, 1)
        post = WHOLE.replace(b"GET / ", b"POST / ").replace(b"host: x", b"host: x\r\ncontent-length: 4")
        assert (await served.talk(post + begun)).startswith(b"HTTP/1.1 408 ")
        assert refused == {"slow head": 1}
        held.close()


async def test_a_connection_that_was_turned_away_is_served_again_by_and_by():
    app = Slow()
    limits = ConnectionLimits(requests=1, penance_seconds=0.05, idle_seconds=3600)
    async with Served(limits, app=app) as served:
        (held,) = await hold(served, app, 1)
        reader, writer = await asyncio.open_connection(*served.listener.getsockname())
        async with asyncio.timeout(10):
            for _ in range(3):
                writer.write(KEPT)
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 503 ")
                await reader.readuntil(b"}")
            app.go_on.set()
            served_again = False
            while not served_again:
                writer.write(KEPT)
                served_again = (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
                await reader.readuntil(b"hi" if served_again else b"}")
        writer.close()
        held.close()


async def test_a_connection_that_was_turned_away_and_is_idle_is_closed():
    app = Slow()
    limits = ConnectionLimits(requests=1, penance_seconds=0.01, idle_seconds=1)
    async with Served(limits, app=app) as served:
        (held,) = await hold(served, app, 1)
        reader, writer = await asyncio.open_connection(*served.listener.getsockname())
        writer.write(KEPT)
        async with asyncio.timeout(10):
            assert (await reader.read()).startswith(b"HTTP/1.1 503 ")  # and then the end
        writer.close()
        held.close()
        app.go_on.set()


async def test_a_refused_body_that_does_not_come_ends_the_connection():
    app = Slow()
    async with Served(ConnectionLimits(requests=1, head_seconds=0.1), app=app) as served:
        (held,) = await hold(served, app, 1)
        post = KEPT.replace(b"GET", b"POST").replace(b"host: x", b"host: x\r\ncontent-length: 4")
        assert (await served.talk(post, b"ab")).startswith(b"HTTP/1.1 408 ")
        held.close()
        app.go_on.set()


async def test_streams_take_no_room_once_they_have_begun():
    app = Slow()
    async with Served(ConnectionLimits(requests=2), app=app) as served:
        writers = await hold(served, app, 4, STREAM)
        assert (await served.talk(WHOLE)).endswith(b"hi")
        app.go_on.set()
        for writer in writers:
            writer.close()


async def test_work_for_those_who_hung_up_is_bounded_too():
    app = Slow()
    async with Served(ConnectionLimits(requests=100, tasks=3), app=app) as served:
        for writer in await hold(served, app, 3):
            writer.transport.abort()
        async with asyncio.timeout(10):
            while served.server.server_state.connections:
                await asyncio.sleep(0.01)
        assert (await served.talk(WHOLE)).startswith(b"HTTP/1.1 503 ")
        app.go_on.set()


async def test_connections_in_all_are_bounded():
    async with Served(ConnectionLimits(in_all=2)) as served:
        held = [await asyncio.open_connection(*served.listener.getsockname()) for _ in range(2)]
        answer = await served.talk(WHOLE)
        assert answer.startswith(b"HTTP/1.1 503 ") and b"retry-after: " in answer
        for _, writer in held:
            writer.close()
