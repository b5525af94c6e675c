"""What takes long leaves others their turn, and large answers are packed."""

from __future__ import annotations

import asyncio
import itertools
import zlib

from cityloom.web import turns as module
from cityloom.web.packing import WORTH_PACKING, Packed
from cityloom.web.turns import Turns


async def test_of_many_who_work_long_one_alone_goes_on_between_two_turns_of_the_others(monkeypatch):
    monkeypatch.setattr(module, "TURN_SECONDS", -1.0)
    turns, done = Turns(), []

    def long_work():
        for number in range(20):
            done.append(number)
            yield number

    seen = []

    async def a_reading() -> None:
        while len(done) < 60:
            seen.append(len(done))
            await asyncio.sleep(0)

    reading = asyncio.create_task(a_reading())
    works = [asyncio.create_task(turns.all(long_work())) for _ in range(3)]
    assert [len(await work) for work in works] == [20, 20, 20]
    await reading
    # All three began; from then on a reading never waits for more than a part of one of them.
    assert max(later - earlier for earlier, later in itertools.pairwise(seen[3:])) <= 1


async def test_a_text_is_the_same_however_many_turns_it_takes(monkeypatch):
    parts = [str(number) for number in range(100)]
    monkeypatch.setattr(module, "TURN_SECONDS", -1.0)
    assert await Turns().joined(iter(parts)) == "".join(parts)


async def _answered(pieces, *, accepts: bytes = b"gzip", kind: bytes = b"text/html", method: str = "GET"):
    """Head and body of an answer in pieces, as it comes through."""

    async def app(_scope, _receive, send):
        whole = sum(map(len, pieces))
        headers = [(b"content-type", kind), (b"content-length", b"%d" % whole), (b"vary", b"cookie")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for place, piece in enumerate(pieces):
            await send({"type": "http.response.body", "body": piece, "more_body": place < len(pieces) - 1})

    sent = []

    async def send(message):
        sent.append(dict(message))

    scope = {"type": "http", "method": method, "headers": [(b"accept-encoding", accepts)]}
    await Packed(app)(scope, None, send)
    assert [one["type"] for one in sent] == ["http.response.start", *["http.response.body"] * len(pieces)]
    return dict(sent[0]["headers"]), b"".join(one["body"] for one in sent[1:])


async def test_answers_are_packed_whole_and_in_pieces():
    for pieces in ([b"a" * WORTH_PACKING], [b"b" * 500_000], [b"c" * 300, b"d" * 200_000, b""]):
        head, body = await _answered(pieces)
        assert head[b"content-encoding"] == b"gzip" and len(body) < len(b"".join(pieces)) / 10
        assert zlib.decompress(body, 16 + zlib.MAX_WBITS) == b"".join(pieces)
        assert head.get(b"content-length") == (b"%d" % len(body) if len(pieces) == 1 else None)
        assert head[b"vary"] == b"cookie, Accept-Encoding"


async def test_what_is_small_a_stream_of_events_or_asked_for_unpacked_goes_as_it_is():
    large = [b"a" * WORTH_PACKING]
    for pieces, more in (
        ([b"a" * (WORTH_PACKING - 1)], {}),
        (large, {"kind": b"text/event-stream; charset=utf-8"}),
        (large, {"method": "PATCH"}),
        (large, {"accepts": b"br"}),
    ):
        head, body = await _answered(pieces, **more)
        assert body == b"".join(pieces) and b"content-encoding" not in head
        # Whoever keeps an answer for others is told where they might get another one.
        assert (head[b"vary"] == b"cookie, Accept-Encoding") == (more == {"accepts": b"br"})
