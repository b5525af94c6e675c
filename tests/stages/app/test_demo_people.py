"""The people of a simulated city confirm as persons do, are told from persons, and some stay silent."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.adapters.memory.state_table import MemoryStateTable
from cityloom.app.demo_people import DemoPeople
from cityloom.context.broker import Broker
from cityloom.kernel.actor import CITY
from cityloom.ngsild.model import entity, json_value, prop, text, value_of
from cityloom.operations.alerts import Alerts
from cityloom.people.deliveries import Deliveries

EVENING = datetime(2026, 4, 12, 16, 0, tzinfo=UTC)
ALERT = "urn:ngsi-ld:Alert:frost"
ACCOUNTS = {"soon": "simulated:soon", "silent": "simulated:silent", "person": "person:anna"}


class SetClock:
    at = EVENING

    def now(self) -> datetime:
        return self.at


def confirms_after(recipient: str, sent_at: datetime) -> timedelta | None:
    assert sent_at == EVENING
    return None if recipient.endswith("silent") else timedelta(minutes=7)


@pytest.fixture
def clock():
    return SetClock()


@pytest.fixture
async def broker(clock):
    broker = Broker(MemoryFeed(), MemoryStateTable(), clock)
    await broker.start()
    yield broker
    await broker.stop()


@pytest.fixture
async def deliveries(broker, clock):
    deliveries = Deliveries(broker, clock, Alerts(broker, clock), tick_s=3600)
    await deliveries.start()
    for key, account in ACCOUNTS.items():
        attributes = {
            "name": prop(key),
            "audience": prop(["growers"]),
            "channels": json_value([{"kind": "page"}]),
            "account": prop(account),
        }
        await broker.upsert(
            CITY, entity("WarningRecipient", f"urn:ngsi-ld:WarningRecipient:{key}", attributes)
        )
    yield deliveries
    await deliveries.stop()


@pytest.fixture
async def people(broker, deliveries, clock):
    people = DemoPeople(broker, deliveries, clock, confirms_after)
    running = asyncio.create_task(people.run())
    await asyncio.sleep(0)
    yield people
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def warn(broker) -> None:
    attributes = {
        "severity": prop("medium"),
        "description": text(en="Frost tonight"),
        "status": prop("open"),
        "audience": prop(["growers"]),
        "escalateTo": prop(["operators"]),
        "confirmWithin": prop("PT45M"),
        "validTo": prop("2026-04-13T06:00:00Z"),
    }
    await broker.upsert(CITY, entity("Alert", ALERT, attributes))
    await broker.caught_up()


def status(deliveries) -> dict[str, str]:
    return {one.recipient.rpartition(":")[2]: one.status for one in deliveries.ledger.pointing_at(ALERT)}


async def test_simulated_people_confirm_when_it_is_time_and_nobody_else_does(
    broker, deliveries, people, clock
):
    await warn(broker)
    clock.at = EVENING + timedelta(minutes=6)
    await people.confirm()
    assert set(status(deliveries).values()) == {"sent"}
    clock.at = EVENING + timedelta(minutes=7)
    await people.confirm()
    assert status(deliveries) == {"soon": "confirmed", "silent": "sent", "person": "sent"}
    told = {one.recipient.rpartition(":")[2]: one.confirmed_by for one in deliveries.ledger.deliveries(CITY)}
    assert told["soon"] == "simulated:soon"
    assert value_of(broker.find(CITY, ALERT), "confirmedAt") == "2026-04-12T16:07:00Z"
    clock.at = EVENING + timedelta(minutes=45)
    await deliveries.escalate(clock.at)
    assert status(deliveries) == {"soon": "confirmed", "silent": "unconfirmed", "person": "unconfirmed"}


async def test_what_was_sent_before_a_restart_is_confirmed_after_it(broker, deliveries, clock):
    await warn(broker)
    people = DemoPeople(broker, deliveries, clock, confirms_after)
    clock.at = EVENING + timedelta(minutes=7)
    running = asyncio.create_task(people.run())
    confirmed = asyncio.Event()

    async def watch(changes):
        if status(deliveries)["soon"] == "confirmed":
            confirmed.set()

    broker.follow("watch", watch, durable=False)
    await asyncio.wait_for(confirmed.wait(), 10)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
