"""Requests to addresses that strangers named, against servers on the loopback that behave and that do not."""

import asyncio
import gzip
import socket
import threading
import tracemalloc
import zlib
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityloom.adapters.http import outbound as outbound_module
from cityloom.adapters.http.outbound import HttpOutbound
from cityloom.adapters.network.reach import Reach, is_public
from cityloom.kernel.outbound import AddressNotAllowed, Unreachable
from loopback_servers import bomb, drip, hang, redirect, reset, serving, well


def anywhere() -> HttpOutbound:
    return HttpOutbound(Reach(inside=True))


async def send(outbound, url, body=b"", *, deadline=5.0, largest=100_000, **headers):
    return await outbound.send("POST", url, headers, body, deadline=deadline, largest=largest)


async def test_outbound_sends_what_it_is_given_and_brings_the_answer():
    async with serving(well("201 Created", b"thanks", "x-a: 1", "x-a: 2")) as (address, asked):
        answer = await send(anywhere(), f"{address}/here?a=b", b"hello", **{"content-type": "text/x"})
    assert (answer.status, answer.body, answer.headers["x-a"]) == (201, b"thanks", "1, 2")
    (request,) = asked
    assert (request.method, request.path, request.body) == ("POST", "/here?a=b", b"hello")
    assert request.headers["content-type"] == "text/x"
    assert request.headers["host"] == address.removeprefix("http://")


async def test_outbound_speaks_of_a_body_only_where_one_is_expected():
    """Express, on which agents stand, takes a length of 0 for a body of no known type, and refuses it."""
    async with serving(well()) as (address, asked):
        outbound = anywhere()
        for method in ("GET", "DELETE", "POST"):
            await outbound.send(method, address, {}, deadline=5.0, largest=1000)
    lengths = [(request.method, request.headers.get("content-length")) for request in asked]
    assert lengths == [("GET", None), ("DELETE", None), ("POST", "0")]
    assert not any("transfer-encoding" in request.headers for request in asked)


async def test_outbound_keeps_a_connection_for_the_next_request():
    connections = []

    async def answer(asked, writer):
        connections.append(writer.get_extra_info("peername"))
        return await well()(asked, writer)

    async with serving(answer) as (address, _):
        outbound = anywhere()
        for _ in range(3):
            await send(outbound, address)
        await outbound.close()
    assert len(connections) == 3
    assert len(set(connections)) == 1


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
async def test_outbound_unpacks(pack):
    kind = "gzip" if pack is gzip.compress else "deflate"
    async with serving(well("200 OK", pack(b"x" * 100_000), f"content-encoding: {kind}")) as (address, _):
        answer = await send(anywhere(), address, largest=100_000)
        assert answer.body == b"x" * 100_000
        with pytest.raises(Unreachable, match="larger than 99999 bytes"):
            await send(anywhere(), address, largest=99_999)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (hang, "in time"),
        (drip, "in time"),
        (reset, "cannot be used"),
        (well("200 OK", b"x" * 100_001), "larger"),
        (well("200 OK", b"x", "content-encoding: br"), "packed"),
        (well("200 OK", b"x", "content-encoding: gzip"), "cannot be used"),
        (well("200 OK", gzip.compress(b"hello")[:-6], "content-encoding: gzip"), "cut short"),
        (
            well("200 OK", gzip.compress(b"hello") + b"x" * 1_000_000, "content-encoding: gzip"),
            "after its end",
        ),
    ],
)
async def test_outbound_is_bounded(answer, why):
    async with serving(answer) as (address, _):
        with pytest.raises(Unreachable, match=why):
            await send(anywhere(), address, deadline=0.3)


async def test_outbound_is_not_filled_by_a_bomb():
    async with serving(bomb()) as (address, _):
        tracemalloc.start()
        try:
            with pytest.raises(Unreachable, match="larger"):
                await send(anywhere(), address, largest=1_000_000)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 10_000_000


async def test_outbound_follows_no_redirect():
    async with serving(well()) as (inner, inside), serving(redirect(inner)) as (address, _):
        answer = await send(anywhere(), address)
    assert answer.status == 302
    assert inside == []


async def test_outbound_survives_a_server_that_is_gone():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    with pytest.raises(Unreachable):
        await send(anywhere(), address)


async def test_outbound_gives_each_host_connections_of_its_own(monkeypatch):
    """As many hang as one host may have: another is not kept waiting."""
    async with serving(hang) as (slow, asked), serving(well()) as (quick, _):
        outbound = anywhere()
        hanging = [asyncio.create_task(send(outbound, slow, deadline=60)) for _ in range(20)]
        while len(asked) < outbound_module.CONNECTIONS:
            await asyncio.sleep(0)
        assert (await send(outbound, quick)).status == 200
        assert len(asked) == outbound_module.CONNECTIONS
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)


async def test_outbound_forgets_hosts_that_were_used_longest_ago(monkeypatch):
    monkeypatch.setattr(outbound_module, "MAX_HOSTS", 2)
    outbound = anywhere()
    for _ in range(4):
        async with serving(well()) as (address, _):
            await send(outbound, address)
    assert len(outbound._hosts) == 2


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://127.8.8.8:9000/",
        "http://10.1.2.3/",
        "http://192.168.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://0.0.0.0/",
        "http://224.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://[fe80::1]/",
        "http://[fd00::1]/",
        "http://100.64.0.1/",
    ],
)
async def test_outbound_reaches_nothing_inside_by_its_number(url):
    outbound = HttpOutbound(Reach())
    with pytest.raises(AddressNotAllowed, match="inside"):
        outbound.check(url)
    with pytest.raises(AddressNotAllowed, match="inside"):
        await send(outbound, url)


@pytest.mark.parametrize(
    "name",
    ["localhost", "2130706433", "0x7f.1", "127.1", "\uff11\uff12\uff17.0.0.1", "127\u30020\u30020\u30021"],
)
async def test_outbound_reaches_nothing_inside_by_a_name(name):
    async with serving(well()) as (address, asked):
        port = address.rpartition(":")[2]
        with pytest.raises((AddressNotAllowed, Unreachable)):
            await send(HttpOutbound(Reach()), f"http://{name}:{port}/")
        assert asked == []
        if name == "localhost":
            assert (await send(anywhere(), f"http://{name}:{port}/")).status == 200


async def test_outbound_looks_at_the_name_again_at_each_connection(monkeypatch):
    """A name that led outside when it was kept leads inside when it is used."""
    async with serving(well()) as (address, asked):
        port = int(address.rpartition(":")[2])

        def lookup(host, port, *_, **__):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        monkeypatch.setattr(socket, "getaddrinfo", lookup)
        outbound = HttpOutbound(Reach())
        outbound.check(f"http://turncoat.example:{port}/")
        with pytest.raises(AddressNotAllowed, match="inside"):
            await send(outbound, f"http://turncoat.example:{port}/")
        assert asked == []


async def test_names_that_take_long_keep_no_other_work_from_its_thread(monkeypatch):
    """Whoever names many hosts whose name servers say nothing stops nothing of the city's own."""
    go_on = threading.Event()

    begun = []

    def lookup(*_, **__):
        begun.append(1)
        go_on.wait(30)
        raise OSError("nobody says")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    outbound = HttpOutbound(Reach())
    waiting = [asyncio.create_task(send(outbound, f"http://host{n}.example/")) for n in range(100)]
    try:
        while len(begun) < 3:
            await asyncio.sleep(0)
        assert await asyncio.wait_for(asyncio.to_thread(lambda: "done"), 10) == "done"
    finally:
        go_on.set()
    refused = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(one) for one in refused} == {Unreachable}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://example.org/",
        "mqtt://example.org/a",
        "file:///etc/passwd",
        "http:///x",
        "http://example.org:0/",
        "http://example.org:99999/",
        "http://example.org/a b",
        "http://example.org/#part",
        "http://user:secret@example.org/",
        "http://example.org/a/../b",
        "http://example.org/a/%2E%2e/b",
        "http://[::1/",
        "http://example.org/\r\nx: y",
    ],
)
def test_outbound_takes_plain_addresses_alone(url):
    with pytest.raises(AddressNotAllowed):
        anywhere().check(url)


def test_outbound_takes_what_the_operator_allows_and_no_more():
    reach = Reach(["https://city.example", "http://127.0.0.1:9000/in/", "mqtts://broker.example/"])
    for url in ("https://city.example/a?b=c", "http://127.0.0.1:9000/in/x"):
        reach.check(url)
    reach.check("mqtts://broker.example/a/b", ("mqtts",))
    for url in (
        "https://city.example.evil.example/",
        "http://city.example/",
        "http://127.0.0.1:9000/other",
        "http://127.0.0.1:9001/in/x",
        "https://example.org/",
    ):
        with pytest.raises(AddressNotAllowed):
            reach.check(url)


def test_outbound_takes_a_scheme_for_all_that_is_public_by_it():
    reach = Reach(["https://"])
    reach.check("https://example.org/")
    for url in ("http://example.org/", "https://127.0.0.1/"):
        with pytest.raises(AddressNotAllowed):
            reach.check(url)


@given(st.ip_addresses())
def test_what_is_private_is_never_public(address):
    if address.is_private or address.is_loopback or address.is_link_local or address.is_multicast:
        assert not is_public(address)


@given(st.ip_addresses(v=4))
def test_an_address_that_carries_another_is_judged_by_it(address):
    for carrying in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert not is_public(ip_address(carrying)) or is_public(address)
