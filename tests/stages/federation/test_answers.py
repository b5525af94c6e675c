"""What sources answer, read with suspicion."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from cityloom.federation import answers, peers
from cityloom.federation.answers import NotEntities, entities_in
from cityloom.federation.model import Origin, Question, Reply, Wire
from cityloom.kernel.actor import ANONYMOUS
from cityloom.kernel.outbound import Answer
from cityloom.kernel.time import WallClock
from cityloom.ngsild.contexts import CORE
from cityloom.ngsild.registrations import compile_registration

_NOBODY: Any = None
WIRE = Wire(CORE)


def reply(*items: Any) -> Reply:
    return Reply(_NOBODY, 200, {}, orjson.dumps(items))


async def _core(_source: Any):
    return CORE


def entity(number: int, **more: Any) -> dict[str, Any]:
    return {"id": f"urn:x:{number}", "type": "Road", **more}


async def test_an_answer_names_few_contexts():
    several = [entity(one, **{"@context": {"a": f"urn:x:{one % 20}"}}) for one in range(40)]
    assert len(await entities_in(reply(*several), WIRE, _core)) == 40
    with pytest.raises(NotEntities, match="20 different"):
        await entities_in(reply(*several, entity(40, **{"@context": {"a": "urn:x:20"}})), WIRE, _core)


async def test_large_answers_are_read_by_few_at_once(monkeypatch):
    under_way, most = 0, 0

    async def use(_source: Any):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(3):
            await asyncio.sleep(0)
        under_way -= 1
        return CORE

    monkeypatch.setattr(answers, "LARGE", 1_000)
    large = reply(entity(1, text="a" * 1_000, **{"@context": {}}))
    found = await asyncio.gather(*(entities_in(large, WIRE, use) for _ in range(20)))
    assert most == answers.LARGE_AT_ONCE and all(len(one) == 1 for one in found)
    assert len(await entities_in(reply(*map(entity, range(1_100))), WIRE, _core)) == answers.MOST_ENTITIES


class Outbound:
    """Answers everything with as many bytes."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def send(self, *_given: Any, **_more: Any) -> Answer:
        return Answer(200, {}, self._body)


async def test_the_answers_to_one_request_are_bounded_together(monkeypatch):
    monkeypatch.setattr(peers, "LARGEST_TOGETHER", 250)
    outbound: Any = Outbound(b"a" * 100)
    documents: list[Any] = [
        {"id": f"urn:x:{one}", "endpoint": "https://a.example", "information": [{}]} for one in range(4)
    ]
    asked = [(compile_registration(one), Question("GET", "/entities"), WIRE) for one in documents]
    found = await peers.Peers(outbound, WallClock()).ask_all(asked, Origin(ANONYMOUS, ""), "here")
    assert [len(one.body) for one in found] == [100, 100, 0, 0]
    with pytest.raises(NotEntities):
        await entities_in(found[3], WIRE, _core)
