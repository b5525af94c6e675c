"""Columns: others are answered while one is made, and those that were asked for are there after a restart."""

from __future__ import annotations

import asyncio
from itertools import count, repeat

import pytest

from cityloom.adapters.memory.register import MemoryRegister
from cityloom.context import consumption, rows, sifting
from cityloom.context.ports import Entry
from cityloom.context.warming import KIND, Warming
from cityloom.kernel.actor import CITY, InformationClass
from cityloom.ngsild.model import entity, prop
from cityloom.ngsild.q_columns import Column
from cityloom.ngsild.q_language import Path, parse_q
from cityloom.ngsild.query import EntityQuery

SPEED = EntityQuery(q=parse_q("speed>=5"), count=True)


@pytest.fixture(autouse=True)
def columns_for_few(monkeypatch):
    """Columns for the smallest partition."""
    monkeypatch.setattr(sifting, "WORTH_COLUMNS", 0)
    monkeypatch.setattr(consumption, "WORTH_COLUMNS", 0)


async def create(broker, many: int, tenant: str = "") -> None:
    for number in range(many):
        document = entity("Road", f"urn:ngsi-ld:Thing:{number}", {"speed": prop(number)})
        await broker.create(CITY, document, tenant=tenant)


@pytest.mark.parametrize("bound", ["_TURN", "_TURN_SECONDS"])
async def test_others_have_their_turn_while_a_column_is_made(broker, monkeypatch, bound):
    await create(broker, 40)
    # By the number of rows, or by a clock that goes on by a second with each row.
    monkeypatch.setattr(rows, bound, 2)
    ticks = count() if bound == "_TURN_SECONDS" else repeat(0)
    monkeypatch.setattr(rows, "perf_counter", lambda: next(ticks))
    events, put = [], Column.put
    monkeypatch.setattr(Column, "put", lambda *told: (events.append("row"), put(*told)))

    async def asks_others():
        while "page" not in events:
            assert broker.find(CITY, "urn:ngsi-ld:Thing:39") is not None
            events.append("other")
            await asyncio.sleep(0)

    async def asks_by_value():
        page = await broker.search(CITY, SPEED)
        events.append("page")
        return page

    page, _ = await asyncio.gather(asks_by_value(), asks_others())
    assert page.total == 35
    assert events.count("row") == 40
    between = " ".join(events[: events.index("page")]).split("other")
    assert max(part.count("row") for part in between) <= 3


async def test_a_change_while_a_column_is_made_is_seen(broker, monkeypatch):
    await create(broker, 40)
    monkeypatch.setattr(rows, "_TURN", 2)
    searching = asyncio.create_task(broker.search(CITY, SPEED))
    await asyncio.sleep(0)
    for number in range(5):
        changed = entity("Road", f"urn:ngsi-ld:Thing:{number}", {"speed": prop(50)})
        await broker.append(CITY, changed["id"], changed)
    # Each change comes before or after the look at its Entity.
    assert 35 <= (await searching).total <= 40
    assert broker.query(CITY, SPEED).total == 40


async def test_columns_that_were_asked_for_are_there_after_a_restart(city):
    register = MemoryRegister()
    async with city() as broker:
        await create(broker, 20)
        await create(broker, 20, "harbour")
        await broker.search(CITY, SPEED, tenant="harbour")
        warming = Warming(broker, register)
        await warming.note()
    async with city() as broker:
        assert broker.columns() == []
        await Warming(broker, register).warm()
        assert broker.columns() == [("harbour", InformationClass.OPEN, (Path(("speed",)),))]
        # Without a turn for others: nothing had to be read.
        with pytest.raises(StopIteration) as done:
            next(broker._answer(CITY, SPEED, "harbour"))
        assert done.value.value.total == 15


async def test_what_stays_as_it_is_is_noted_once(broker):
    class Counting(MemoryRegister):
        puts = 0

        def put(self, kind: str, entry: Entry) -> None:
            self.puts += 1
            super().put(kind, entry)

    register = Counting()
    await create(broker, 3)
    warming = Warming(broker, register)
    await warming.note()
    assert register.puts == 0
    await broker.search(CITY, SPEED)
    await warming.note()
    await warming.note()
    assert register.puts == 1
    await broker.search(CITY, EntityQuery(q=parse_q("name")))
    await warming.note()
    assert register.puts == 2


async def test_what_was_noted_otherwise_keeps_no_city_from_its_columns(broker):
    register = MemoryRegister()
    register.put(KIND, Entry("", "PURPLE", b"[]"))
    register.put(KIND, Entry("", "INTERNAL", b"not json"))
    register.put(KIND, Entry("", "OPEN", b'[{"names":["speed"]}]'))
    await create(broker, 3)
    await Warming(broker, register).warm()
    assert broker.columns() == [("", InformationClass.OPEN, (Path(("speed",)),))]


async def test_times_of_attributes_are_told_by_columns_too(broker):
    await create(broker, 4)
    first = broker.find(CITY, "urn:ngsi-ld:Thing:0")["attrs"]["speed"][0]["createdAt"]
    at_first = EntityQuery(q=parse_q(f"speed.createdAt>={first}"), count=True)
    assert (await broker.search(CITY, at_first)).total == 4
    assert (await broker.search(CITY, EntityQuery(q=parse_q("!speed.modifiedAt"), count=True))).total == 0
