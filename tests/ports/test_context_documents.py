"""Loading @contexts from the web, against servers on the loopback that behave and that do not."""

import asyncio
import gzip
import socket

import pytest

from cityloom.adapters.http import context_documents
from cityloom.adapters.http.context_documents import ContextDocuments
from cityloom.ngsild.errors import BadRequestData, LdContextNotAvailable
from loopback_servers import drip, serving, well

DOCUMENT = b'{"@context": {"speed": "https://traffic.example/speed"}}'


def paths(asked):
    return [one.path for one in asked]


async def test_context_documents_loads_what_is_allowed():
    async with serving(well("200 OK", DOCUMENT)) as (address, asked):
        loaded = await ContextDocuments([f"{address}/ld/"])(f"{address}/ld/traffic.jsonld")
    assert loaded.document == {"@context": {"speed": "https://traffic.example/speed"}}
    assert loaded.fresh_s is None
    assert paths(asked) == ["/ld/traffic.jsonld"]


async def test_context_documents_asks_nobody_else():
    async with serving(well("200 OK", DOCUMENT)) as (address, asked):
        load = ContextDocuments([f"{address}/ld/"])
        for uri in (
            f"{address}/secret",
            f"{address}/ld",
            f"{address}/ld/../secret",
            f"{address}/ld/%2e%2e/secret",
            f"{address}/ld/..%2Fsecret",
            f"{address}/ld/ x",
            f"{address}/ld/x?next=http://elsewhere.example",
            f"http://user@{address.removeprefix('http://')}/ld/x",
            "file:///etc/passwd",
            "http://169.254.169.254/latest",
            "",
        ):
            with pytest.raises(LdContextNotAvailable, match="not among"):
                await load(uri)
        with pytest.raises(LdContextNotAvailable, match="not among"):
            await ContextDocuments([])(f"{address}/ld/x")
    assert asked == []


def test_context_documents_takes_a_host_for_that_host():
    load = ContextDocuments(["https://city.example"])
    assert load.allows("https://city.example/x")
    assert not load.allows("https://city.example.evil.example/x")
    assert not load.allows("http://city.example/x")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (well("404 Not Found", b""), "404"),
        (well("302 Found", b"", "location: http://127.0.0.1:1/"), "302"),
        (well("500 Oh", b""), "500"),
        (well("200 OK", b"x" * 1_000_001), "larger"),
        (well("200 OK", gzip.compress(b" " * 50_000_000), "content-encoding: gzip"), "larger"),
    ],
)
async def test_context_documents_takes_good_answers_alone(answer, why):
    async with serving(answer) as (address, asked):
        load = ContextDocuments([address + "/"])
        with pytest.raises(LdContextNotAvailable, match=why):
            await load(f"{address}/x")
        with pytest.raises(LdContextNotAvailable, match="a moment ago"):
            await load(f"{address}/x")
    assert len(asked) == 1


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"speed": "https://x.example"}'])
async def test_context_documents_says_that_what_is_no_context_is_bad_data(body):
    async with serving(well("200 OK", body)) as (address, asked):
        load = ContextDocuments([address + "/"])
        with pytest.raises(BadRequestData) as caught:
            await load(f"{address}/x")
        with pytest.raises(LdContextNotAvailable, match="a moment ago"):
            await load(f"{address}/x")
    assert caught.value.where == f"{address}/x"
    assert len(asked) == 1


async def test_context_documents_follows_names_inside_when_it_may_alone():
    async with serving(well("200 OK", DOCUMENT)) as (address, asked):
        named = address.replace("127.0.0.1", "localhost")
        with pytest.raises(LdContextNotAvailable, match="inside"):
            await ContextDocuments([named])(f"{named}/x")
        assert asked == []
        assert await ContextDocuments([named], inside=True)(f"{named}/x")
    assert paths(asked) == ["/x"]


async def test_context_documents_tells_the_server_the_name_it_was_asked_by():
    async with serving(well("200 OK", DOCUMENT)) as (address, asked):
        named = address.removeprefix("http://").replace("127.0.0.1", "localhost")
        await ContextDocuments([f"http://{named}"], inside=True)(f"http://{named}/x")
    assert asked[0].headers["host"] == named


async def test_context_documents_asks_once_for_all_who_wait():
    async with serving(well("200 OK", DOCUMENT)) as (address, asked):
        load = ContextDocuments([address])
        found = await asyncio.gather(*(load(f"{address}/x") for _ in range(20)))
    assert len(found) == 20
    assert paths(asked) == ["/x"]


async def test_context_documents_waits_for_no_server_that_drips(monkeypatch):
    monkeypatch.setattr(context_documents, "DEADLINE", 0.3)

    async with serving(drip) as (address, _):
        with pytest.raises(LdContextNotAvailable, match="in time"):
            await ContextDocuments([address + "/"])(f"{address}/x")


async def test_context_documents_survives_a_server_that_is_gone():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    with pytest.raises(LdContextNotAvailable, match="cannot be loaded"):
        await ContextDocuments([address + "/"])(f"{address}/x")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"cache-control": "public, max-age=300"}, 300.0),
        ({"cache-control": "max-age=300, s-maxage=600"}, 600.0),
        ({"cache-control": "no-store, max-age=300"}, 0.0),
        ({"date": "Sun, 01 Mar 2026 12:00:00 GMT", "expires": "Sun, 01 Mar 2026 12:05:00 GMT"}, 300.0),
        ({"expires": "0"}, 0.0),
        ({"expires": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}, 0.0),
        ({"cache-control": "max-age=9", "expires": "0"}, 9.0),
    ],
)
def test_freshness_is_what_the_headers_say(headers, seconds):
    assert context_documents.freshness(headers) == seconds
