from __future__ import annotations

import asyncio

import pytest

from cityloom.context.editing import Editing, check_version, version_of
from cityloom.kernel.actor import CITY
from cityloom.kernel.errors import Conflict, NotFound
from cityloom.ngsild.model import entity, prop, value_of

LAMP = "urn:ngsi-ld:Streetlight:1"


async def a_lamp(broker) -> None:
    attributes = {"powerState": prop("on"), "count": prop(0)}
    await broker.create(CITY, entity("Streetlight", LAMP, attributes))


async def test_edit_writes_what_was_decided_on_the_entity_as_it_stands(broker):
    await a_lamp(broker)
    after = await Editing(broker).edit(
        CITY, LAMP, lambda lamp: {"count": prop(value_of(lamp, "count") + 1)}, trace="test:edit"
    )
    assert after == broker.retrieve(CITY, LAMP)
    assert value_of(after, "count") == 1
    assert value_of(after, "powerState") == "on"


async def test_edit_removes_an_attribute_that_is_given_as_none(broker):
    await a_lamp(broker)
    after = await Editing(broker).edit(CITY, LAMP, lambda _: {"powerState": None, "gone": None}, trace="t")
    assert set(after["attrs"]) == {"count"}


async def test_edits_at_once_see_each_other(broker):
    await a_lamp(broker)
    editing = Editing(broker)

    def count(lamp):
        return {"count": prop(value_of(lamp, "count") + 1)}

    await asyncio.gather(*(editing.edit(CITY, LAMP, count, trace="t") for _ in range(50)))
    assert value_of(broker.retrieve(CITY, LAMP), "count") == 50


async def test_edit_writes_nothing_when_there_is_nothing_to_write_or_the_decision_fails(broker):
    await a_lamp(broker)
    editing, before = Editing(broker), broker.last_sequence
    await editing.edit(CITY, LAMP, lambda _: {}, trace="t")

    def refuse(lamp):
        raise Conflict("no", hint="")

    with pytest.raises(Conflict):
        await editing.edit(CITY, LAMP, refuse, trace="t")
    with pytest.raises(NotFound):
        await editing.edit(CITY, "urn:ngsi-ld:Streetlight:9", refuse, trace="t")
    assert broker.last_sequence == before


async def test_turns_of_different_names_do_not_wait_for_each_other(broker):
    editing = Editing(broker)
    async with editing.turn("a"):
        await asyncio.wait_for(_take(editing, "b"), 5)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(_take(editing, "a"), 0.01)
    await asyncio.wait_for(_take(editing, "a"), 5)


async def _take(editing: Editing, name: str) -> None:
    async with editing.turn(name):
        return


async def test_version_changes_with_what_the_named_attributes_say_and_with_nothing_else(broker):
    await a_lamp(broker)
    names = ("count", "absent")
    first = broker.retrieve(CITY, LAMP)
    await broker.append(CITY, LAMP, entity("Streetlight", LAMP, {"powerState": prop("off")}))
    await broker.append(CITY, LAMP, entity("Streetlight", LAMP, {"count": prop(0)}))
    second = broker.retrieve(CITY, LAMP)
    assert version_of(first, names) == version_of(second, names)
    await broker.append(CITY, LAMP, entity("Streetlight", LAMP, {"absent": prop(0)}))
    third = broker.retrieve(CITY, LAMP)
    assert version_of(third, names) != version_of(second, names)
    assert version_of(third, reversed(names)) == version_of(third, names)


async def test_check_version_refuses_what_was_seen_before_a_change(broker):
    await a_lamp(broker)
    lamp = broker.retrieve(CITY, LAMP)
    check_version(version_of(lamp, ["count"]), lamp, ["count"])
    check_version("", lamp, ["count"])
    with pytest.raises(Conflict, match="meanwhile") as caught:
        check_version("0" * 16, lamp, ["count"])
    assert caught.value.where == "version"
