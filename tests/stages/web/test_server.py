"""The HTTP server against strangers who hold on to connections. Real sockets on loopback."""

from __future__ import annotations

import asyncio
import gc
import socket

import pytest

from cityloom.web import guarded_protocol
from cityloom.web import server as server_module
from cityloom.web.connection_limits import ConnectionLimits
from cityloom.web.limits import BodyLimits
from cityloom.web.site import build
from cityloom.web.turn import Turn
from served import WHOLE, Served


async def test_a_whole_request_is_answered():
    async with Served(ConnectionLimits()) as served:
        assert (await served.talk(WHOLE)).endswith(b"hi")


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: "])
async def test_a_head_that_does_not_come_ends_the_connection(begun):
    async with Served(ConnectionLimits(head_seconds=0.05)) as served:
        assert (await served.talk(begun)).startswith(b"HTTP/1.1 408 ")


async def test_a_head_that_stops_after_an_answer_ends_the_connection_too():
    async with Served(ConnectionLimits(head_seconds=0.05)) as served:
        first = WHOLE.replace(b"connection: close\r\n", b"")
        reader, writer = await asyncio.open_connection(*served.listener.getsockname())
        writer.write(first)
        assert b"hi" in await reader.readuntil(b"hi")
        writer.write(b"GET /again HTT")
        async with asyncio.timeout(10):
            assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
        writer.close()


async def test_an_answered_request_leaves_no_work_for_the_garbage_collector():
    request = WHOLE.replace(b"connection: close\r\n", b"")
    async with Served(ConnectionLimits()) as served:
        reader, writer = await asyncio.open_connection(*served.listener.getsockname())
        gc.collect()
        gc.disable()
        try:
            for _ in range(10):
                writer.write(request)
                await reader.readuntil(b"hi")
            assert sum(isinstance(one, Turn) for one in gc.get_objects()) <= 2
        finally:
            gc.enable()
        writer.close()


async def test_a_head_that_does_not_end_is_refused_by_its_size():
    async with Served(ConnectionLimits(head_bytes=2_000)) as served:
        line = b"x-long: " + b"a" * 900 + b"\r\n"
        answer = await served.talk(b"GET / HTTP/1.1\r\n", line, line, line)
        assert answer.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("begun", [b"content-length: 9\r\n\r\na", b"content-length: 99\r\n\r\n"])
async def test_a_body_that_does_not_come_or_is_too_large_ends_the_connection(city, begun):
    limits = BodyLimits(bytes_by_path={"": 10}, pause_seconds=0.05)
    async with Served(ConnectionLimits(idle_seconds=3600), app=build(city.rooms, limits=limits)) as served:
        answer = await served.talk(b"POST /language HTTP/1.1\r\nhost: x\r\n" + FORM + begun)
        assert answer.startswith((b"HTTP/1.1 408 ", b"HTTP/1.1 413 ")) and b"connection: close" in answer


FORM = b"content-type: application/x-www-form-urlencoded\r\n"


async def long_answer(scope, receive, send):
    """More than fits into a line that nobody reads from."""
    size = int(scope["path"][1:])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
    for _ in range(0, size, 65_536):
        await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def test_who_does_not_take_the_answer_is_cut_off():
    size = 100 * 65_536
    limits = ConnectionLimits(answer_seconds=0.05, idle_seconds=0.05)
    async with Served(limits, app=long_answer) as served:
        line = socket.socket()
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        line.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(line, served.listener.getsockname())
        await loop.sock_sendall(line, b"GET /%d HTTP/1.1\r\nhost: x\r\n\r\n" % size)
        async with asyncio.timeout(10):
            while not served.server.server_state.connections:
                await asyncio.sleep(0.001)
            while served.server.server_state.connections:
                await asyncio.sleep(0.01)
        line.close()


async def test_connections_of_one_address_are_counted(monkeypatch):
    monkeypatch.setattr(guarded_protocol, "_LOOPBACK", ("unix",))
    async with Served(ConnectionLimits(per_address=2)) as served:
        held = [await asyncio.open_connection(*served.listener.getsockname()) for _ in range(2)]
        assert (await served.talk(WHOLE)).startswith(b"HTTP/1.1 429 ")
        for _, writer in held:
            writer.close()
            await writer.wait_closed()
        async with asyncio.timeout(10):
            while not (await served.talk(WHOLE)).endswith(b"hi"):
                await asyncio.sleep(0.01)


async def test_connections_from_this_machine_are_not_counted():
    async with Served(ConnectionLimits(per_address=1)) as served:
        held = [await asyncio.open_connection(*served.listener.getsockname()) for _ in range(4)]
        assert (await served.talk(WHOLE)).endswith(b"hi")
        for _, writer in held:
            writer.close()


async def test_connections_of_a_proxy_are_not_counted(monkeypatch):
    monkeypatch.setattr(guarded_protocol, "_LOOPBACK", ("unix",))
    async with Served(ConnectionLimits(per_address=1), proxies=["127.0.0.0/8"]) as served:
        held = [await asyncio.open_connection(*served.listener.getsockname()) for _ in range(4)]
        assert (await served.talk(WHOLE)).endswith(b"hi")
        for _, writer in held:
            writer.close()


async def tell_scheme(scope, receive, send):
    body = scope["scheme"].encode() + b" for " + scope["client"][0].encode()
    head = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})


@pytest.mark.parametrize(
    ("this_machine", "proxies", "believed"),
    [("127.0.0.1", [], True), ("192.0.2.1", ["127.0.0.0/8"], True), ("192.0.2.1", ["10.0.0.0/8"], False)],
)
async def test_what_is_forwarded_is_believed_of_proxies_alone(monkeypatch, this_machine, proxies, believed):
    monkeypatch.setattr(server_module, "_THIS_MACHINE", this_machine)
    forwarded = b"x-forwarded-proto: https\r\nx-forwarded-for: 198.51.100.7\r\nconnection:"
    async with Served(ConnectionLimits(), app=tell_scheme, proxies=proxies) as served:
        answer = await served.talk(WHOLE.replace(b"connection:", forwarded))
    assert answer.endswith(b"https for 198.51.100.7" if believed else b"http for 127.0.0.1")


async def test_stop_ends_what_never_ends_by_itself():
    asked = []
    limits = ConnectionLimits(stop_seconds=1)
    async with Served(limits, before_stop=lambda: asked.append(True)) as served:
        _, writer = await asyncio.open_connection(*served.listener.getsockname())
        writer.write(b"GET /never HTTP/1.1\r\nhost: x\r\n\r\n")
        await writer.drain()
        while not served.server.server_state.tasks:
            await asyncio.sleep(0.005)
    assert asked
    writer.close()


async def test_the_city_s_stream_ends_when_the_server_stops(city):
    async with Served(ConnectionLimits(), app=city.site, before_stop=city.site.close) as served:
        reader, writer = await asyncio.open_connection(*served.listener.getsockname())
        writer.write(b"GET /live HTTP/1.1\r\nhost: x\r\n\r\n")
        async with asyncio.timeout(10):
            await reader.readuntil(b"event: clock")
    async with asyncio.timeout(10):
        await reader.read()
    writer.close()


async def _headers(scope, receive, send):
    """Answers with the headers it was asked with."""
    while (await receive()).get("more_body"):
        pass
    told = b"".join(name + b"=" + value + b"," for name, value in scope["headers"])
    length = [(b"content-length", b"%d" % len(told))]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    await send({"type": "http.response.body", "body": told})


async def test_a_head_that_comes_whole_is_refused_by_its_size_too():
    async with Served(ConnectionLimits(head_bytes=2_000), app=_headers) as served:
        answer = await served.talk(b"GET / HTTP/1.1\r\nx-long: " + b"a" * 9_000 + b"\r\n\r\n" + WHOLE)
        assert answer.startswith(b"HTTP/1.1 431 ") and answer.count(b"HTTP/1.1") == 1
        assert not served.server.server_state.total_requests


async def test_what_is_sent_ahead_of_a_small_head_does_not_count():
    async with Served(ConnectionLimits(head_bytes=200)) as served:
        several = WHOLE.replace(b"connection: close\r\n", b"") * 20 + WHOLE
        answer = await served.talk(several[:-10], several[-10:])
        assert answer.count(b"HTTP/1.1 200 ") == 21


async def test_trailers_are_no_headers():
    async with Served(ConnectionLimits(), app=_headers) as served:
        asked = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
        trailers = b"x-forwarded-for: 10.0.0.1\r\nauthorization: Bearer x\r\nx-last: 1\r\n\r\n"
        answer = await served.talk(asked + b"1\r\na\r\n0\r\n" + trailers)
        assert answer.startswith(b"HTTP/1.1 200 ") and b"transfer-encoding=chunked" in answer
        assert b"forwarded" not in answer and b"Bearer" not in answer


async def _never(scope, receive, send):
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("app", "begun"),
    [
        pytest.param(
            _headers,
            b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-trailer: ",
            id="a trailer",
        ),
        pytest.param(
            _headers,
            b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1;",
            id="what is said of a piece",
        ),
        pytest.param(_never, b"GET / HTTP/1.1\r\nhost: x\r\n\r\nGET /", id="a head behind a request"),
    ],
)
async def test_what_does_not_end_beside_bodies_ends_the_connection(app, begun):
    async with Served(ConnectionLimits(head_bytes=20_000), app=app) as served:
        _, writer = await asyncio.open_connection(*served.listener.getsockname())
        writer.write(begun)
        async with asyncio.timeout(20):
            with pytest.raises(ConnectionError):
                while True:
                    writer.write(b"a" * 10_000)
                    await writer.drain()
                    await asyncio.sleep(0)
        assert served.server.server_state.connections == set()
        writer.close()


async def test_who_sends_too_many_requests_ahead_is_hung_up_on():
    async with Served(ConnectionLimits(ahead=10), app=_never) as served:
        reader, writer = await asyncio.open_connection(*served.listener.getsockname())
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 12)
        async with asyncio.timeout(20):
            with pytest.raises(ConnectionError):
                assert await reader.read() == b""
                raise ConnectionResetError
        writer.close()
