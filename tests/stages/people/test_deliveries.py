"""Warnings reach those who must act, a receipt comes back, and others are told when none does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from cityloom.access.errors import TooManyAttempts
from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.adapters.memory.state_table import MemoryStateTable
from cityloom.context.broker import Broker
from cityloom.kernel.actor import ANONYMOUS, CITY, Actor, InformationClass
from cityloom.kernel.errors import BadInput, NotAllowed, NotFound
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.model import entity, prop, rel, text, value_of
from cityloom.operations.alerts import Alerts
from cityloom.people.deliveries import Deliveries
from cityloom.people.delivery import Channel, Recipient
from cityloom.sensing.commands import CommandDesk

EVENING = datetime(2026, 4, 12, 16, 0, tzinfo=UTC)
STATION = "urn:ngsi-ld:WeatherObserved:farm-7"
ALERT = "urn:ngsi-ld:Alert:frost:farm-7"
DEVICE = "urn:ngsi-ld:Device:siren-7"
STAFF = Actor(
    id="person:staff",
    permissions=frozenset({"alerts:handle", "entities:read", "entities:write"}),
    clearance=frozenset({InformationClass.OPEN, InformationClass.INTERNAL}),
)
GROWER = Actor(id="person:grower", permissions=frozenset({"entities:read"}))
ANNA = Recipient(
    id="urn:ngsi-ld:WarningRecipient:anna",
    name="Farm 7",
    audience=("growers",),
    channels=(Channel("page"), Channel("device", DEVICE)),
    language="da",
    watches=(STATION,),
    account=GROWER.id,
    phone="+45 12 34 56 78",
)
DESK = Recipient(
    id="urn:ngsi-ld:WarningRecipient:desk", name="Desk", audience=("operators",), channels=(Channel("page"),)
)


class SetClock:
    def __init__(self) -> None:
        self.at = EVENING

    def now(self) -> datetime:
        return self.at


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
def alerts(broker, clock):
    return Alerts(broker, clock)


@pytest.fixture
async def deliveries(broker, clock, alerts):
    deliveries = Deliveries(broker, clock, alerts, tick_s=3600)
    await deliveries.start()
    await deliveries.register(STAFF, ANNA)
    yield deliveries
    await deliveries.stop()


def frost(severity="medium", status="open", alert_id=ALERT, about=STATION, **attributes):
    return entity(
        "Alert",
        alert_id,
        {
            "category": prop("weather"),
            "subCategory": prop("frost"),
            "severity": prop(severity),
            "description": text(en="Frost tonight", da="Frost i nat"),
            "alertSource": rel(about),
            "raisedBy": prop("service:frost"),
            "alertKey": prop(alert_id),
            "status": prop(status),
            "audience": prop(["growers"]),
            "escalateTo": prop(["operators"]),
            "confirmWithin": prop("PT45M"),
            "validFrom": prop("2026-04-12T19:00:00Z"),
            "validTo": prop("2026-04-13T06:00:00Z"),
            **attributes,
        },
    )


async def raise_frost(broker, secrecy=InformationClass.INTERNAL, **changes):
    await broker.upsert(CITY, frost(**changes), information_class=secrecy)
    await broker.caught_up()


def code_to_device(broker) -> str:
    (command,) = [item for item in broker.of_type(CITY, "Command") if value_of(item, "refDevice") == DEVICE]
    return value_of(command, "commandValue")["confirm"]


async def test_an_alert_is_delivered_by_each_channel_in_the_recipients_language(broker, deliveries):
    await raise_frost(broker)
    sent = {item.channel: item for item in deliveries.ledger.pointing_at(ALERT)}
    assert sorted(sent) == ["device:siren-7", "page"]
    page = sent["page"]
    assert (page.status, page.text, page.sent_at) == ("sent", {"da": "Frost i nat"}, EVENING)
    assert page.confirm_until == EVENING + timedelta(minutes=45)
    assert value_of(broker.retrieve(CITY, page.id), "leadTime") == 3.0
    command = broker.retrieve(CITY, sent["device:siren-7"].command)
    assert value_of(command, "command") == "warn"
    assert value_of(command, "commandValue")["text"] == "Frost i nat"
    assert value_of(command, "validTo") == "2026-04-13T06:00:00Z"


async def test_the_command_to_a_device_is_one_that_sensing_carries(broker, clock, deliveries):
    desk = CommandDesk(broker, clock)
    await raise_frost(broker)
    desk.start()
    (wish,) = desk.waiting("siren-7")
    assert wish.command == "warn"
    await desk.delivered([wish.id])
    await broker.caught_up()
    sent = {item.channel: item for item in deliveries.ledger.pointing_at(ALERT)}
    assert (sent["device:siren-7"].status, sent["device:siren-7"].delivered_at) == ("delivered", EVENING)
    assert sent["page"].status == "sent"


async def test_ledger_and_recipients_are_internal(broker, deliveries):
    await raise_frost(broker)
    everything = {*broker.types(CITY)}
    assert {"WarningDelivery", "WarningRecipient", "Command"} <= everything
    assert not broker.types(ANONYMOUS)


async def test_the_delivery_of_a_secret_alert_is_as_secret(broker, deliveries):
    await raise_frost(broker, secrecy=InformationClass.SECURITY)
    assert deliveries.ledger.deliveries(STAFF) == []
    assert len(deliveries.ledger.deliveries(CITY)) == 2


async def test_an_alert_seen_twice_is_sent_once(broker, clock, alerts, deliveries):
    await raise_frost(broker)
    before = broker.last_sequence
    await deliveries.deliver(ALERT)
    again = Deliveries(broker, clock, alerts)
    await again.deliver(ALERT)
    assert broker.last_sequence == before


async def test_an_alert_is_sent_again_when_it_has_become_worse(broker, deliveries):
    await raise_frost(broker)
    await raise_frost(broker, severity="high")
    await raise_frost(broker, severity="low")
    pages = [item.severity for item in deliveries.ledger.pointing_at(ALERT) if item.channel == "page"]
    assert sorted(pages) == ["high", "medium"]


@pytest.mark.parametrize(
    ("recipient", "told"),
    [
        ({"watches": ("urn:ngsi-ld:WeatherObserved:farm-8",)}, False),
        ({"watches": ()}, True),
        ({"audience": ("drivers",)}, False),
        ({"watches": ("urn:ngsi-ld:AgriFarm:7",)}, True),
        ({"watches": ("urn:ngsi-ld:Orchard:7",)}, True),
    ],
)
async def test_whom_an_alert_concerns(broker, deliveries, recipient, told):
    """A recipient watches the station itself, what it stands on, or what points at it."""
    await broker.create(CITY, entity("WeatherObserved", STATION, {"refFarm": rel("urn:ngsi-ld:AgriFarm:7")}))
    await broker.create(CITY, entity("Orchard", "urn:ngsi-ld:Orchard:7", {"station": rel(STATION)}))
    changes = {"id": "urn:ngsi-ld:WarningRecipient:bo", "name": "Bo", "audience": ("growers",)} | recipient
    bo = Recipient(channels=(Channel("page"),), **changes)
    await deliveries.register(STAFF, bo)
    await raise_frost(broker)
    found = [item for item in deliveries.ledger.pointing_at(ALERT) if item.recipient == bo.id]
    assert bool(found) is told


async def test_confirm_with_the_code_counts_for_every_channel(broker, clock, deliveries):
    await raise_frost(broker)
    clock.at += timedelta(minutes=10)
    confirmed = await deliveries.confirm(f" {code_to_device(broker).upper()} ")
    assert confirmed.confirmed_at == clock.at
    assert {item.status for item in deliveries.ledger.pointing_at(ALERT)} == {"confirmed"}
    clock.at += timedelta(hours=1)
    assert await deliveries.escalate(clock.at) == []
    again = await deliveries.confirm(code_to_device(broker))
    assert again.confirmed_at == confirmed.confirmed_at
    assert value_of(broker.retrieve(CITY, ALERT), "confirmedAt") == "2026-04-12T16:10:00Z"


async def test_who_tries_many_codes_waits_and_nobody_else(broker, deliveries):
    await raise_frost(broker)
    code = code_to_device(broker)
    with pytest.raises(TooManyAttempts):
        for number in range(100):
            with pytest.raises(ResourceNotFound):
                await deliveries.confirm(f"aaaaa-{number}", address="192.0.2.7")
    with pytest.raises(TooManyAttempts):
        await deliveries.confirm(code, address="192.0.2.7")
    assert (await deliveries.confirm(code, address="192.0.2.8")).status == "confirmed"


async def test_a_receipt_for_the_milder_warning_is_none_for_the_worse(broker, deliveries):
    await raise_frost(broker)
    code = code_to_device(broker)
    await raise_frost(broker, severity="high")
    await deliveries.confirm(code)
    found = {(item.severity, item.status) for item in deliveries.ledger.pointing_at(ALERT)}
    assert found == {("medium", "confirmed"), ("high", "sent")}


@pytest.mark.parametrize("code", ["", "aaaaa-aaaaa", "x" * 10_000])
async def test_confirm_refuses_a_code_that_is_none(broker, deliveries, code):
    await raise_frost(broker)
    with pytest.raises(NotFound, match="confirms nothing"):
        await deliveries.confirm(code)


async def test_no_entity_holds_the_code_but_the_command(broker, deliveries):
    await raise_frost(broker)
    code = code_to_device(broker).encode()
    holding = [
        item["type"]
        for name in broker.types(CITY)
        for item in broker.of_type(CITY, name)
        if code in orjson.dumps(item)
    ]
    assert holding == [["Command"]]


async def test_confirm_as_is_for_the_recipients_account_and_for_staff(broker, deliveries):
    await raise_frost(broker)
    (page,) = deliveries.ledger.inbox(GROWER)
    with pytest.raises(NotAllowed):
        await deliveries.confirm_as(Actor(id="person:else"), page.id)
    with pytest.raises(NotFound):
        await deliveries.confirm_as(STAFF, ALERT)
    assert (await deliveries.confirm_as(GROWER, page.id)).confirmed_by == GROWER.id
    assert deliveries.ledger.inbox(Actor(id="person:else")) == []


async def test_nobody_without_an_account_has_an_inbox(broker, deliveries):
    await deliveries.register(STAFF, DESK)
    await raise_frost(broker, audience=prop(["operators"]))
    (sent,) = deliveries.ledger.pointing_at(ALERT)
    assert deliveries.ledger.inbox(Actor(id="")) == []
    with pytest.raises(NotAllowed):
        await deliveries.confirm_as(Actor(id=""), sent.id)


async def test_escalate_names_those_who_did_not_confirm_and_tells_the_others(
    broker, clock, alerts, deliveries
):
    await deliveries.register(STAFF, DESK)
    await raise_frost(broker)
    clock.at += timedelta(minutes=44)
    assert await deliveries.escalate(clock.at) == []
    clock.at += timedelta(minutes=1)
    assert len(await deliveries.escalate(clock.at)) == 2
    (chase,) = [alert for alert in alerts.list(STAFF).alerts if alert.category == "warning"]
    assert chase.description["en"].startswith(
        "A warning was not confirmed in time by 1: Farm 7 (+45 12 34 56 78)."
    )
    assert chase.about == (ANNA.id,)
    by_recipient = {item.recipient: item for item in deliveries.ledger.pointing_at(ALERT)}
    assert by_recipient[ANNA.id].status == "unconfirmed"
    assert by_recipient[DESK.id].confirm_until is None
    assert await deliveries.escalate(clock.at) == []


@pytest.mark.parametrize(
    ("said", "told"), [({"dataOrigin": prop("simulated")}, "simulated"), ({}, "measured")]
)
async def test_a_missing_receipt_is_as_real_as_its_warning(broker, clock, alerts, deliveries, said, told):
    await raise_frost(broker, **said)
    clock.at += timedelta(minutes=45)
    await deliveries.escalate(clock.at)
    (chase,) = [alert for alert in alerts.list(STAFF).alerts if alert.category == "warning"]
    assert value_of(broker.retrieve(CITY, chase.id), "dataOrigin") == told


async def test_one_alert_chases_a_whole_night_and_ends_with_the_last_receipt(
    broker, clock, alerts, deliveries
):
    bo = Recipient(
        id="urn:ngsi-ld:WarningRecipient:bo",
        name="Farm 8",
        audience=("growers",),
        channels=(Channel("page"),),
        watches=("urn:ngsi-ld:WeatherObserved:farm-8",),
    )
    await deliveries.register(STAFF, bo)
    await raise_frost(broker)
    await raise_frost(
        broker, alert_id="urn:ngsi-ld:Alert:frost:farm-8", about="urn:ngsi-ld:WeatherObserved:farm-8"
    )
    clock.at += timedelta(hours=1)
    await deliveries.escalate(clock.at)

    def chases():
        return [alert for alert in alerts.list(STAFF).alerts if alert.category == "warning"]

    assert [alert.description["da"][:47] for alert in chases()] == [
        "Et varsel er ikke bekræftet i tide af 2: Farm 7"
    ]
    for number, item in enumerate(deliveries.ledger.deliveries(STAFF)):
        await deliveries.confirm_as(STAFF, item.id)
        assert len(chases()) == 1, number
    assert chases()[0].is_cleared


async def test_a_warning_that_ends_is_chased_no_more(broker, clock, alerts, deliveries):
    await raise_frost(broker)
    await raise_frost(broker, status="cleared")
    assert {item.status for item in deliveries.ledger.pointing_at(ALERT)} == {"ended"}
    clock.at += timedelta(hours=1)
    assert await deliveries.escalate(clock.at) == []
    assert [alert.category for alert in alerts.list(STAFF).alerts] == ["weather"]


async def test_a_warning_that_ends_takes_the_chase_along(broker, clock, alerts, deliveries):
    await raise_frost(broker)
    clock.at += timedelta(hours=1)
    await deliveries.escalate(clock.at)
    await raise_frost(broker, status="cleared")
    assert all(alert.is_cleared for alert in alerts.list(STAFF).alerts)


async def test_a_warning_whose_time_has_passed_is_not_sent(broker, clock, deliveries):
    clock.at += timedelta(days=2)
    await raise_frost(broker)
    assert deliveries.ledger.deliveries(CITY) == []


async def test_receipts_are_awaited_after_a_restart(broker, clock, alerts, deliveries):
    await raise_frost(broker)
    code = code_to_device(broker)
    await deliveries.stop()
    await broker.leave("deliveries")
    again = Deliveries(broker, clock, alerts, tick_s=3600)
    await again.start()
    clock.at += timedelta(hours=1)
    assert len(await again.escalate(clock.at)) == 2
    assert (await again.confirm(code)).status == "confirmed"
    await again.stop()


async def test_a_delivery_that_was_deleted_is_not_chased(broker, clock, deliveries):
    await raise_frost(broker)
    for item in deliveries.ledger.deliveries(CITY):
        await broker.delete(CITY, item.id)
    clock.at += timedelta(hours=1)
    assert await deliveries.escalate(clock.at) == []


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"audience": ()}, "audience"),
        ({"channels": ()}, "channels"),
        ({"channels": (Channel("device"),)}, "channels"),
        ({"channels": (Channel("page", DEVICE),)}, "channels"),
        ({"name": " "}, "name"),
    ],
)
async def test_register_refuses_a_recipient_who_cannot_be_reached(deliveries, changes, where):
    whole = {
        "id": "urn:ngsi-ld:WarningRecipient:x",
        "name": "X",
        "audience": ("growers",),
        "channels": (Channel("page"),),
    }
    with pytest.raises(BadInput) as caught:
        await deliveries.register(STAFF, Recipient(**(whole | changes)))
    assert caught.value.where == where


async def test_register_needs_leave(deliveries):
    with pytest.raises(NotAllowed):
        await deliveries.register(GROWER, ANNA)


async def test_recipients_are_read_as_they_were_registered(broker, deliveries):
    assert deliveries.ledger.recipients(STAFF) == [ANNA]
    assert deliveries.ledger.recipients(GROWER) == []
