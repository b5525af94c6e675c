"""Commands that wait for their device, and what becomes of them."""

from __future__ import annotations

from datetime import timedelta

import orjson
import pytest

from cityloom.kernel.actor import CITY
from cityloom.kernel.time import format_instant
from cityloom.ngsild.model import entity, prop, rel, value_of
from cityloom.sensing.commands import CommandDesk, payload_of

DEVICE = "urn:ngsi-ld:Device:lamp-1"


def command(number=1, status="wished", **more):
    return entity(
        "Command",
        f"urn:ngsi-ld:Command:{number}",
        {
            "command": prop("switch"),
            "refDevice": rel(DEVICE),
            "status": prop(status),
            "commandValue": prop("on"),
            "dateIssued": prop("2014-08-01T12:00:00Z"),
            **more,
        },
    )


@pytest.fixture
async def desk(broker, clock):
    made = CommandDesk(broker, clock)
    made.start()

    async def see(changes):
        made.see(changes)

    broker.follow("sensing", see, durable=False)
    return made


async def test_waiting_knows_a_command_once_it_is_written(desk, broker):
    told = []
    desk.on_wish(told.append)
    await broker.create(CITY, command())
    await broker.caught_up()
    (wish,) = desk.waiting("lamp-1")
    assert told == ["lamp-1"]
    assert orjson.loads(payload_of(wish)) == {
        "id": "urn:ngsi-ld:Command:1",
        "command": "switch",
        "value": "on",
        "issued": "2014-08-01T12:00:00Z",
    }
    assert desk.waiting("lamp-2") == []


async def test_start_finds_the_commands_of_the_last_time(desk, broker, clock):
    await broker.create(CITY, command())
    await broker.create(CITY, command(2, "delivered"))
    again = CommandDesk(broker, clock)
    again.start()
    assert [wish.id for wish in again.waiting("lamp-1")] == ["urn:ngsi-ld:Command:1"]


async def test_delivered_is_written_and_the_command_waits_no_longer(desk, broker):
    withdrawn = []
    desk.on_withdrawn(lambda device, command_id: withdrawn.append((device, command_id)))
    await broker.create(CITY, command())
    await broker.caught_up()
    await desk.delivered(["urn:ngsi-ld:Command:1", "urn:ngsi-ld:Command:unknown"])
    assert value_of(broker.retrieve(CITY, "urn:ngsi-ld:Command:1"), "status") == "delivered"
    assert broker.find(CITY, "urn:ngsi-ld:Command:unknown") is None
    assert desk.waiting("lamp-1") == []
    assert withdrawn == [("lamp-1", "urn:ngsi-ld:Command:1")]


async def test_refused_says_why(desk, broker):
    await broker.create(CITY, command())
    await broker.caught_up()
    await desk.refused("urn:ngsi-ld:Command:1", "The message is too large for it")
    stands = broker.retrieve(CITY, "urn:ngsi-ld:Command:1")
    assert (value_of(stands, "status"), value_of(stands, "statusReason")) == (
        "refused",
        "The message is too large for it",
    )


async def test_lapse_settles_what_nobody_fetched_in_time(desk, broker, clock):
    until = format_instant(clock.now() + timedelta(minutes=5))
    await broker.create(CITY, command(validTo=prop(until)))
    await broker.create(CITY, command(2))
    await broker.caught_up()
    await desk.lapse()
    assert len(desk.waiting("lamp-1")) == 2
    clock.go(minutes=5)
    assert [wish.id for wish in desk.waiting("lamp-1")] == ["urn:ngsi-ld:Command:2"]
    await desk.lapse()
    assert value_of(broker.retrieve(CITY, "urn:ngsi-ld:Command:1"), "status") == "lapsed"
    assert value_of(broker.retrieve(CITY, "urn:ngsi-ld:Command:2"), "status") == "wished"


@pytest.mark.parametrize("how", ["delete", "withdraw"])
async def test_see_forgets_a_command_that_was_taken_back(desk, broker, how):
    await broker.create(CITY, command())
    await broker.caught_up()
    if how == "delete":
        await broker.delete(CITY, "urn:ngsi-ld:Command:1")
    else:
        await broker.upsert(CITY, command(status="withdrawn"))
    await broker.caught_up()
    assert desk.waiting("lamp-1") == []


async def test_see_passes_over_what_is_no_command_to_a_device(desk, broker):
    await broker.create(CITY, command(1, refDevice=rel("urn:ngsi-ld:Streetlight:1")))
    await broker.create(CITY, command(2, refDevice=prop(7)))
    await broker.create(CITY, command(3, command=prop(7)))
    await broker.create(CITY, entity("Note", "urn:ngsi-ld:Note:1", {"status": prop("wished")}))
    await broker.create(CITY, command(4, validTo=prop("soon")))
    await broker.caught_up()
    assert [wish.id for wish in desk.waiting("lamp-1")] == ["urn:ngsi-ld:Command:4"]
