"""The client of HTTP against servers that speak it badly: what each may cost, and that no answer of one
request is ever taken for that of another."""

import asyncio
import contextlib
import gzip
import socket
import ssl
import tracemalloc
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cityloom.adapters.http import outbound as outbound_module
from cityloom.adapters.http.outbound import HttpOutbound
from cityloom.adapters.http.request_head import request_head, target_of
from cityloom.adapters.network.reach import Reach
from cityloom.kernel.outbound import Unreachable, Unusable
from loopback_servers import endless, hang, raw, reset, serving, well

#: Longer than any of these takes; what is refused must be refused before.
PATIENCE = 20.0


@contextlib.asynccontextmanager
async def sending(**more):
    outbound = HttpOutbound(Reach(inside=True), **more)
    try:
        yield outbound
    finally:
        await outbound.close()


async def post(outbound, url, body=b"", *, method="POST", deadline=PATIENCE, largest=1_000_000, **headers):
    return await outbound.send(method, url, headers, body, deadline=deadline, largest=largest)


def in_turn(*answers):
    """An answer for each request, whichever connection it comes by; the last for all that follow."""
    waiting = list(answers)

    async def answer(asked, writer):
        return await (waiting.pop(0) if len(waiting) > 1 else waiting[0])(asked, writer)

    return answer


WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-a: b\r\n\r\nhello"


@pytest.mark.parametrize(
    "said",
    [
        (WHOLE,),
        tuple(WHOLE[n : n + 1] for n in range(len(WHOLE))),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3;a=b\r\nllo\r\n"
            b"0\r\nx-b: c\r\n\r\n",
        ),
        (b"HTTP/1.1 200 OK\r\n\r\nhe", b"llo"),
        (b"HTTP/1.0 200 OK\r\n\r\nhello",),
        (b"HTTP/1.1 100 Continue\r\n\r\n", WHOLE),
        (b"HTTP/1.1 103 Early Hints\r\nx-a: no\r\n\r\n" + WHOLE,),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n" + gzip.compress(b"hello"),),
    ],
)
async def test_an_answer_is_read_however_it_comes(said):
    async with serving(raw(*said)) as (address, _), sending() as outbound:
        answer = await post(outbound, address)
    assert (answer.status, answer.body) == (200, b"hello")
    assert answer.headers.get("x-a", "b") == "b"
    assert "x-b" not in answer.headers


@pytest.mark.parametrize(
    "said",
    [
        raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
        raw(b"\x00" * 1000),
        raw(b"HTTP/1.1 abc OK\r\n\r\n"),
        raw(b"HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n"),
        raw(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!"),
        raw(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        raw(b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nhello"),
        raw(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\nhello"),
        raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n"),
        raw(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhello"),
        raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"),
        raw(b"HTTP/1.1 200 OK\r\n"),
        raw(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"),
        raw(b"HTTP/1.1 200 OK\r\n" + b"a:\r\n" * 5_000 + b"content-length: 0\r\n\r\n"),
        raw(),
        reset,
    ],
)
async def test_what_is_no_answer_is_refused(said):
    async with serving(said) as (address, _), sending() as outbound:
        with pytest.raises(Unreachable):
            await post(outbound, address)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (endless(b"HTTP/1.1 200 OK\r\nx-a: ", b"x" * 10_000), "head"),
        (endless(b"HTTP/1.1 200 OK\r\n", b"x-a: b\r\n" * 1_000), "head"),
        (endless(b"HTTP/1.1 ", b"2" * 10_000), "not HTTP|head"),
        (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "without an end"),
        (endless(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;a=", b"x" * 10_000), "head"),
        (
            endless(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", b"x-a: b\r\n" * 1_000),
            "head",
        ),
        (endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 10_000), "larger"),
        (endless(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 1_000), "larger"),
    ],
)
async def test_an_answer_without_an_end_is_broken_off_long_before_its_deadline(said, why):
    async with serving(said) as (address, _), sending() as outbound:
        tracemalloc.start()
        try:
            with pytest.raises(Unreachable, match=why):
                await post(outbound, address, largest=200_000)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 5_000_000


async def test_a_body_that_was_cut_short_by_a_reset_is_not_taken_for_whole():
    async def answer(_asked, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhel")
        await writer.drain()
        # Closed with a reset, not with an end.
        writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00"
        )
        writer.transport.abort()

    async with serving(answer) as (address, _), sending() as outbound:
        with pytest.raises(Unreachable):
            await post(outbound, address)


FORGED = b"HTTP/1.1 201 Created\r\ncontent-length: 6\r\n\r\nforged"


@pytest.mark.parametrize(
    "first",
    [
        raw(WHOLE + FORGED, keep=True),
        raw(b"HTTP/1.1 204 No Content\r\ncontent-length: 6\r\n\r\nforged", keep=True),
        raw(WHOLE + b"x", keep=True),
        raw(WHOLE + b"HTTP/1.1 201 Created\r\ncontent-length: 400\r\n\r\n", keep=True),
        raw(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello" + FORGED, keep=True),
    ],
)
async def test_an_answer_that_nobody_asked_for_is_nobodys(first):
    async with serving(in_turn(first, well("200 OK", b"own"))) as (address, _), sending() as outbound:
        assert (await post(outbound, address)).status in (200, 204)
        assert (await post(outbound, address)).body == b"own"


async def test_an_answer_that_comes_later_unasked_is_nobodys():
    go_on, said = asyncio.Event(), asyncio.Event()

    async def answer(_asked, writer):
        writer.write(WHOLE)
        await go_on.wait()
        writer.write(FORGED)
        await writer.drain()
        said.set()
        return True

    async with serving(in_turn(answer, well("200 OK", b"own"))) as (address, _), sending() as outbound:
        assert (await post(outbound, address)).body == b"hello"
        go_on.set()
        await said.wait()
        assert (await post(outbound, address)).body == b"own"


def by_connection(answer, met):
    async def noting(asked, writer):
        met.append(writer.get_extra_info("peername"))
        return await answer(asked, writer)

    return noting


@pytest.mark.parametrize(
    "first",
    [
        well("200 OK", b"", keep=False),
        well("200 OK", b"", "connection: close", keep=True),
        raw(b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", keep=True),
    ],
)
async def test_a_connection_that_is_over_is_not_used_again(first):
    met = []
    async with serving(by_connection(in_turn(first, well()), met)) as (address, _), sending() as outbound:
        for _ in range(2):
            assert (await post(outbound, address)).status == 200
    assert len(set(met)) == 2


async def test_an_answer_that_comes_before_the_request_is_sent_ends_the_connection():
    """Of what was still to be sent the next request's answer would be made."""

    async def refuse(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n")
        met.append(writer)

    met = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = await asyncio.start_server(refuse, sock=listening)
        async with sending() as outbound:
            address = f"http://127.0.0.1:{listening.getsockname()[1]}"
            for _ in range(2):
                assert (await post(outbound, address, b"x" * 30_000_000)).status == 413
        assert len(met) == 2
        for writer in met:
            writer.transport.abort()
        server.close()


async def test_head_has_no_body_whatever_it_announces():
    announcing = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", keep=True)
    async with serving(announcing) as (address, asked), sending() as outbound:
        for _ in range(2):
            answer = await post(outbound, address, method="HEAD")
            assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "5")
    assert len(asked) == 2


async def test_those_who_hang_leave_their_places_when_their_time_is_over():
    most = outbound_module.CONNECTIONS
    async with serving(in_turn(*[hang] * most, well())) as (address, _), sending() as outbound:
        hanging = [post(outbound, address, deadline=0.2) for _ in range(most)]
        ended = await asyncio.gather(*hanging, return_exceptions=True)
        assert {type(one) for one in ended} == {Unreachable}
        assert (await post(outbound, address)).status == 200


async def test_a_connection_that_rests_is_closed_and_its_host_forgotten(monkeypatch):
    monkeypatch.setattr(outbound_module, "KEPT", 0.05)
    async with serving(well()) as (address, _), sending() as outbound:
        await post(outbound, address)
        assert outbound._hosts
        async with asyncio.timeout(PATIENCE):
            while outbound._hosts:
                await asyncio.sleep(0.01)
        assert (await post(outbound, address)).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"x-a": "b\r\nx-b: c"},
        {"x-a": "b\nx-b: c"},
        {"x-a": "\0"},
        {"x-a\r\nx-b": "c"},
        {"x a": "b"},
        {"": "b"},
        {"host": "inside.example"},
        {"Content-Length": "5"},
        {"Transfer-Encoding": "chunked"},
        {"connection": "upgrade"},
    ],
)
async def test_no_header_says_more_than_one_header(headers):
    async with serving(well()) as (address, asked), sending() as outbound:
        with pytest.raises(Unreachable):
            await post(outbound, address, b"hello", **headers)
    assert asked == []


def test_an_address_that_is_no_ascii_is_written_as_one():
    target = target_of(urlsplit("http://bücher.example/straße?q=ü%20a"))
    assert request_head("GET", target, {}, 0).startswith(
        b"GET /stra%C3%9Fe?q=%C3%BC%20a HTTP/1.1\r\nhost: xn--bcher-kva.example\r\n"
    )
    assert target_of(urlsplit("http://[::1]:8080")).authority == "[::1]:8080"
    assert target_of(urlsplit("https://a.example:443")).authority == "a.example"


# TLS


def certified(folder, *names):
    """A server's context with a certificate of its own for these names, and the context that believes it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver.test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cadata=made.public_bytes(serialization.Encoding.PEM).decode())


async def test_tls_reaches_whoever_shows_a_certificate_of_the_name(tmp_path):
    tls, believing = certified(tmp_path, "localhost")
    met = []
    answer = by_connection(well("200 OK", b"x" * 300_000), met)
    async with serving(answer, tls=tls) as (address, _), sending(authorities=believing) as outbound:
        url = address.replace("127.0.0.1", "localhost")
        for _ in range(2):
            assert (await post(outbound, url, b"y" * 300_000)).body == b"x" * 300_000
        assert len(set(met)) == 1, "the connection is kept"
        with pytest.raises(Unreachable, match="mismatch"):
            await post(outbound, address)


async def test_tls_believes_no_certificate_that_nobody_vouches_for(tmp_path):
    tls, _ = certified(tmp_path, "localhost")
    async with serving(well(), tls=tls) as (address, asked), sending() as outbound:
        with pytest.raises(Unreachable, match="certificate verify failed"):
            await post(outbound, address.replace("127.0.0.1", "localhost"))
    assert asked == []


async def test_tls_that_never_begins_ends_with_the_deadline():
    ended = asyncio.Event()

    async def say_nothing(reader, writer):
        while await reader.read(1000):
            pass
        ended.set()
        writer.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = await asyncio.start_server(say_nothing, sock=listening)
        async with sending() as outbound:
            with pytest.raises(Unreachable, match="in time"):
                await post(outbound, f"https://localhost:{listening.getsockname()[1]}", deadline=0.3)
            async with asyncio.timeout(PATIENCE):
                await ended.wait()
        server.close()


async def test_plain_words_where_tls_is_expected_are_refused():
    async with serving(well()) as (address, _), sending() as outbound:
        with pytest.raises(Unreachable):
            await post(outbound, address.replace("http://127.0.0.1", "https://localhost"), deadline=5)


async def test_a_body_that_cannot_be_used_says_so():
    async with serving(well("200 OK", b"x" * 1001)) as (address, _), sending() as outbound:
        with pytest.raises(Unusable, match="larger than 1000 bytes"):
            await post(outbound, address, largest=1000)
