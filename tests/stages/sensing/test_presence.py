"""Whether devices are there."""

from __future__ import annotations

import asyncio

import pytest

from cityloom.kernel.actor import CITY
from cityloom.kernel.errors import NotReady
from cityloom.kernel.time import format_instant
from cityloom.ngsild.model import entity, prop, value_of
from cityloom.sensing.presence import DISCONNECTED, OFFLINE, ONLINE, Presence

LAMP = "urn:ngsi-ld:Device:lamp-1"


def state(broker):
    return value_of(broker.retrieve(CITY, LAMP), "deviceState")


async def test_run_writes_the_last_state_of_a_moment(broker, clock, feed):
    presence = Presence(broker, clock, gather=0)
    task = asyncio.create_task(presence.run())
    for noted in (ONLINE, DISCONNECTED, ONLINE):
        presence.note(LAMP, noted)
    while broker.find(CITY, LAMP) is None:
        await asyncio.sleep(0)
    task.cancel()
    assert state(broker) == ONLINE
    assert feed.last_sequence() == 1


async def test_flush_writes_no_state_twice(broker, clock, feed):
    presence = Presence(broker, clock)
    for noted in (ONLINE, ONLINE, OFFLINE):
        presence.note(LAMP, noted)
        await presence.flush()
    assert state(broker) == OFFLINE
    assert feed.last_sequence() == 2


async def test_flush_tells_when_the_device_last_reported(broker, clock):
    presence = Presence(broker, clock)
    presence.heard(LAMP, clock.now())
    clock.go(hours=1)
    presence.note(LAMP, OFFLINE)
    await presence.flush()
    stands = broker.retrieve(CITY, LAMP)
    assert value_of(stands, "dateLastValueReported") == "2014-08-01T12:00:00Z"
    assert stands["attrs"]["deviceState"][0]["observedAt"] == format_instant(clock.now())


async def test_flush_keeps_what_could_not_be_written(broker, clock, monkeypatch):
    presence = Presence(broker, clock)
    presence.note(LAMP, ONLINE)

    async def busy(*_, **__):
        raise NotReady("busy", hint="")

    with monkeypatch.context() as patch:
        patch.setattr(broker, "upsert_many", busy)
        with pytest.raises(NotReady):
            await presence.flush()
    await presence.flush()
    assert state(broker) == ONLINE


async def test_start_holds_nobody_for_online_who_was_so_before_the_city_stopped(broker, clock):
    await broker.create(CITY, entity("Device", LAMP, {"deviceState": prop(ONLINE)}))
    presence = Presence(broker, clock)
    presence.start()
    await presence.flush()
    assert state(broker) == OFFLINE
