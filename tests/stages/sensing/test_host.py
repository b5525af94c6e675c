"""The host of the connectors, with a connector of its own making."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import ModuleType

import msgspec
import orjson
import pytest

from cityloom.adapters.memory.parked_readings import MemoryParkedStore
from cityloom.context.classes import ClassPolicy
from cityloom.kernel.actor import CITY, InformationClass
from cityloom.kernel.errors import BadConfig, BadInput, NotAllowed, NotFound, NotReady, StorageFull
from cityloom.ngsild.model import entity, prop, value_of
from cityloom.sensing.connector_making import ConnectorPlugin
from cityloom.sensing.host import ConnectorHost
from cityloom.sensing.model import STORED, Device, Measure, Message, Profile
from cityloom.sensing.models import DataModels
from cityloom.sensing.parked import ParkedReadings

SPOT = "urn:ngsi-ld:Spot:1"
FARM = Device("farm-7", profile=Profile("Spot", SPOT, {"t": Measure("temperature", "CEL")}))
MODEL = {
    "$id": "urn:cityloom:model:Spot",
    "properties": {
        "type": {"const": "Spot"},
        "temperature": {"type": "number", "x-unitCode": "CEL", "minimum": -90, "maximum": 60},
    },
}
MANIFEST = {
    "id": "spots",
    "title": "Spots",
    "owner": "@test",
    "sends": ["Spot"],
    "settings": {"unit": {"type": "text", "default": "CEL", "help": {"en": "The unit."}}},
}


class Spots:
    """Decodes {"t": 1.5}; breaks at {"break": …}."""

    def __init__(self, settings):
        self.unit = settings["unit"]
        if self.unit == "boom":
            raise ZeroDivisionError("boom")

    def decode(self, message):
        said = orjson.loads(message.body)
        if "break" in said:
            raise KeyError("broken")
        if "other" in said:
            raise NotAllowed("not yours", hint="Ask.")
        if "t" not in said:
            raise BadInput("no t", hint="Send t.", where="t")
        at = message.received_at + timedelta(minutes=said.get("late", 0))
        return [entity("Spot", said.get("id", SPOT), {"temperature": prop(said["t"], at=at, unit=self.unit)})]


class ByHand:
    """A transport that tests push through."""

    def __init__(self):
        self.inlets = {}
        self.started = 0
        self.fail_with = None

    async def run(self, connector, inlet, settings):
        self.started += 1
        if self.fail_with is not None:
            raise self.fail_with
        self.inlets[connector] = inlet
        inlet.listening("by hand")
        await asyncio.Event().wait()


def plugin(connector=Spots, transport="by-hand", settings=None, **manifest):
    module = ModuleType("connector")
    if connector is not None:
        module.Connector = connector
    return ConnectorPlugin({**MANIFEST, "transport": transport, **manifest}, module, settings or {})


@pytest.fixture
def parked():
    return ParkedReadings(MemoryParkedStore())


@pytest.fixture
def hand():
    return ByHand()


@pytest.fixture
async def open_host(broker, registry, parked, clock, hand):
    hosts = []

    async def start(*plugins):
        host = ConnectorHost(
            broker, registry, parked, DataModels([MODEL]), clock, plugins, transports={"by-hand": hand}
        )
        await host.start()
        hosts.append(host)
        await asyncio.sleep(0)
        return host

    yield start
    for host in hosts:
        await host.stop()


@pytest.fixture
async def host(open_host):
    return await open_host(plugin())


def message(clock, device=None, **said):
    return Message("spots", "by/hand", orjson.dumps(said), clock.now(), device)


async def test_deliver_returns_when_the_reading_is_durable(host, hand, clock, broker, feed):
    assert await hand.inlets["spots"].deliver(message(clock, t=1.5)) == STORED
    assert feed.last_sequence() == broker.last_sequence == 1
    stands = broker.retrieve(CITY, SPOT)
    assert value_of(stands, "temperature") == 1.5
    (change,) = feed.read(0, 9)
    assert (change.by, change.trace) == ("connector:spots", "connector:spots")


async def test_deliver_many_stores_the_good_and_parks_the_wrong_with_reasons(
    host, hand, clock, broker, parked, engineer
):
    outcomes = await hand.inlets["spots"].deliver_many(
        [
            message(clock, t=1.5),
            message(clock, x=1),
            message(clock, t=99),
            message(clock, other=1),
            message(clock, t=2.5, id="urn:ngsi-ld:Spot:2"),
        ]
    )
    assert [(outcome.parked, outcome.refused) for outcome in outcomes] == [
        (False, False),
        (True, False),
        (True, False),
        (True, True),
        (False, False),
    ]
    kept = await parked.newest(engineer)
    assert [(reading.reason, reading.where) for reading in kept] == [
        ("not yours", ""),
        ("99 is greater than the maximum of 60", "temperature"),
        ("no t", "t"),
    ]
    assert orjson.loads(kept[2].body) == {"x": 1}
    (status,) = host.statuses()
    assert (status.received, status.stored, status.parked, status.state) == (5, 2, 3, "running")
    assert "not yours" in status.last_error
    assert sorted(document["id"] for document in broker.of_type(CITY, "Spot")) == [SPOT, "urn:ngsi-ld:Spot:2"]


async def test_deliver_parks_the_message_that_breaks_the_plugin_and_goes_on(
    host, hand, clock, parked, engineer
):
    inlet = hand.inlets["spots"]
    assert (await inlet.deliver(message(clock, **{"break": 1}))).parked
    (reading,) = await parked.newest(engineer)
    assert reading.reason == "The connector spots failed: KeyError: 'broken'"
    (status,) = host.statuses()
    assert status.state == "broken"
    assert await inlet.deliver(message(clock, t=1)) == STORED


async def test_deliver_keeps_a_late_reading_from_becoming_the_present(host, hand, clock, broker, feed):
    inlet = hand.inlets["spots"]
    await inlet.deliver_many([message(clock, t=5), message(clock, t=1, late=-60)])
    assert value_of(broker.retrieve(CITY, SPOT), "temperature") == 5
    values = [value_of(orjson.loads(change.document), "temperature") for change in feed.read(0, 9)]
    assert values == [5, 1, 5]


async def test_deliver_knows_an_entity_that_was_deleted_and_came_back(host, hand, clock, broker):
    inlet = hand.inlets["spots"]
    await inlet.deliver(message(clock, t=5))
    await broker.delete(CITY, SPOT)
    await broker.caught_up()
    await inlet.deliver(message(clock, t=1, late=-60))
    assert value_of(broker.retrieve(CITY, SPOT), "temperature") == 1


async def test_deliver_gives_the_class_that_the_device_reports_in(host, hand, clock, broker):
    secret = Device("pump", information_class=InformationClass.SECURITY)
    await hand.inlets["spots"].deliver_many(
        [message(clock, t=1, id="urn:x:open"), message(clock, secret, t=1, id="urn:x:secret")]
    )
    assert broker.class_of(CITY, "urn:x:open") is InformationClass.OPEN
    assert broker.class_of(CITY, "urn:x:secret") is InformationClass.SECURITY


async def test_deliver_raises_and_parks_nothing_when_nothing_can_be_stored(
    host, hand, clock, feed, parked, monkeypatch
):
    def full(_changes):
        raise StorageFull("The disk is full", hint="Make room.")

    inlet = hand.inlets["spots"]
    with monkeypatch.context() as patch:
        patch.setattr(host._broker._committer, "_append", full)
        with pytest.raises(StorageFull):
            await inlet.deliver(message(clock, t=1))
        (status,) = host.statuses()
        assert (status.state, status.stored) == ("troubled", 0)
        assert "disk is full" in status.last_error
    assert await parked.count(CITY) == 0
    assert await inlet.deliver(message(clock, t=1)) == STORED
    assert host.statuses()[0].state == "running"


async def test_deliver_raises_when_a_wrong_message_cannot_be_parked(host, hand, clock, parked, monkeypatch):
    def full(_readings, _room):
        raise StorageFull("The disk is full", hint="Make room.")

    monkeypatch.setattr(parked._store, "add", full)
    with pytest.raises(NotReady):
        await hand.inlets["spots"].deliver(message(clock, x=1))


async def test_deliver_documents_writes_what_needs_no_decoding_and_parks_what_is_wrong(
    host, hand, clock, broker, parked, engineer
):
    await hand.inlets["spots"].deliver_documents(
        [
            entity("Spot", SPOT, {"temperature": prop(50, at=clock.now(), unit="FAH")}),
            entity("Spot", "urn:x:hot", {"temperature": prop(500, at=clock.now(), unit="CEL")}),
        ]
    )
    stands = broker.retrieve(CITY, SPOT)["attrs"]["temperature"][0]
    assert (stands["value"], stands["unitCode"]) == (50, "FAH")
    (reading,) = await parked.newest(engineer)
    assert (reading.address, reading.where) == ("urn:x:hot", "temperature")


async def test_start_shows_connectors_that_cannot_start_and_runs_the_others(open_host, hand):
    host = await open_host(
        plugin(),
        plugin(id="loose", transport="nowhere"),
        plugin(id="mute", transport=""),
        plugin(connector=None, id="empty"),
        plugin(id="boom", settings={"unit": "boom"}),
        plugin(id="typo", settings={"unti": "CEL"}),
        plugin(id="wrong", colour="blue"),
        ConnectorPlugin({**MANIFEST, "id": "gone"}, None, failure="no module"),
    )
    await asyncio.sleep(0)
    statuses = {status.id: status for status in host.statuses()}
    assert statuses["spots"].state == "running"
    words = {
        "loose": "no transport 'nowhere'",
        "mute": "hears nothing",
        "empty": "no class Connector",
        "boom": "ZeroDivisionError: boom",
        "typo": "Did you mean 'unit'?",
        "wrong": "colour",
        "gone": "no module",
    }
    for name, said in words.items():
        assert statuses[name].state == "broken", name
        assert said in statuses[name].last_error


async def test_restart_starts_a_connector_again_and_keeps_its_counts(host, hand, clock, engineer, citizen):
    await hand.inlets["spots"].deliver(message(clock, t=1))
    await host.stop_one(engineer, "spots")
    assert host.statuses()[0].state == "stopped"
    await host.start_one(engineer, "spots")
    await asyncio.sleep(0)
    assert (hand.started, host.statuses()[0].state, host.statuses()[0].received) == (2, "running", 1)
    with pytest.raises(NotAllowed):
        await host.restart(citizen, "spots")
    with pytest.raises(NotFound):
        await host.restart(engineer, "nothing")


@pytest.mark.parametrize("error", [OSError("no route"), NotReady("asleep", hint=""), ValueError("odd")])
async def test_run_starts_a_connector_again_after_a_failure(open_host, hand, monkeypatch, error):
    pauses = []
    monkeypatch.setattr("cityloom.sensing.host._FIRST_PAUSE", 0.0)
    hand.fail_with = error
    host = await open_host(plugin())
    while hand.started < 3:
        pauses.append(host.statuses()[0].last_error)
        await asyncio.sleep(0)
    hand.fail_with = None
    while "spots" not in hand.inlets:
        await asyncio.sleep(0)
    assert str(error.args[0]) in pauses[-1]
    assert host.statuses()[0].state == "running"


async def test_stop_leaves_the_city_so_that_another_host_can_start(open_host, hand):
    first = await open_host(plugin())
    await first.stop()
    assert [status.state for status in first.statuses()] == ["stopped"]
    second = await open_host(plugin())
    assert [status.state for status in second.statuses()] == ["running"]


async def test_run_does_not_start_again_what_is_configured_wrongly(open_host, hand):
    hand.fail_with = BadConfig("no such file", hint="")
    host = await open_host(plugin())
    for _ in range(20):
        await asyncio.sleep(0)
    assert (hand.started, host.statuses()[0].state) == (1, "broken")


async def test_listen_is_called_where_there_is_no_transport(open_host, clock):
    heard = asyncio.Event()

    class Listens(Spots):
        async def listen(self, inlet):
            inlet.listening("itself")
            await inlet.deliver(message(clock, t=1))
            heard.set()
            await asyncio.Event().wait()

    host = await open_host(plugin(Listens, transport=""))
    await heard.wait()
    assert (host.statuses()[0].place, host.statuses()[0].stored) == ("itself", 1)


async def test_push_stores_what_a_device_with_a_token_sends(open_host, registry, engineer, broker, clock):
    token = await registry.admit(engineer, FARM)
    host = await open_host(plugin(transport="http-push"))
    assert await host.push("spots", token, b'{"t": 3}') == STORED
    assert value_of(broker.retrieve(CITY, SPOT), "temperature") == 3


async def test_push_tells_what_is_wrong(open_host, registry, engineer, parked, hand):
    token = await registry.admit(engineer, FARM)
    host = await open_host(plugin(transport="http-push"), plugin(id="by-hand"))
    with pytest.raises(NotAllowed):
        await host.push("spots", "clt_guess", b'{"t": 3}')
    for name in ("nothing", "by-hand"):
        with pytest.raises(NotFound):
            await host.push(name, token, b'{"t": 3}')
    assert await parked.count(CITY) == 0
    with pytest.raises(BadInput, match="no t") as caught:
        await host.push("spots", token, b'{"x": 3}')
    assert "kept among the parked" in caught.value.hint
    with pytest.raises(NotAllowed, match="not yours"):
        await host.push("spots", token, b'{"other": 3}')
    assert await parked.count(CITY) == 2
    with pytest.raises(BadInput, match="bytes"):
        await host.push("spots", token, b" " * 1_048_577)


async def test_retry_stores_a_parked_reading_once_the_cause_is_gone(
    host, hand, clock, parked, engineer, citizen
):
    Spots.decode, decode = (lambda self, message: 1 / 0), Spots.decode
    try:
        await hand.inlets["spots"].deliver(message(clock, t=7))
    finally:
        Spots.decode = decode
    (reading,) = await parked.newest(engineer)
    with pytest.raises(NotAllowed):
        await host.retry(citizen, reading.id)
    assert await host.retry(engineer, reading.id) == STORED
    assert await parked.count(CITY) == 0
    with pytest.raises(NotFound):
        await host.retry(engineer, reading.id)


async def test_retry_parks_again_what_is_still_wrong(host, hand, clock, parked, engineer):
    await hand.inlets["spots"].deliver(message(clock, x=7))
    (reading,) = await parked.newest(engineer)
    assert (await host.retry(engineer, reading.id)).parked
    (again,) = await parked.newest(engineer)
    assert again.id != reading.id


async def test_retry_refuses_a_message_that_is_not_whole_or_of_a_device_shut_out(
    host, hand, clock, parked, engineer
):
    await hand.inlets["spots"].deliver(message(clock, x="y" * 70_000))
    await hand.inlets["spots"].deliver(message(clock, FARM, x=1))
    from_farm, too_long = await parked.newest(engineer)
    assert (too_long.truncated, len(too_long.body)) == (True, 65_536)
    with pytest.raises(BadInput, match="too long"):
        await host.retry(engineer, too_long.id)
    with pytest.raises(NotAllowed, match="not admitted"):
        await host.retry(engineer, from_farm.id)


async def test_parked_readings_are_for_those_who_may_read_them(parked, citizen, engineer):
    for asked in (parked.newest(citizen), parked.find(citizen, 1), parked.discard(citizen, [1])):
        with pytest.raises(NotAllowed):
            await asked
    assert await parked.discard(engineer, [1]) == 0


async def test_what_is_parked_has_the_class_of_its_reading_and_is_for_those_cleared(
    open_host, registry, hand, clock, broker, engineer
):
    policy = ClassPolicy({"Camera": InformationClass.SECURITY})
    store = ParkedReadings(MemoryParkedStore(), classes=policy)
    host = ConnectorHost(
        broker, registry, store, DataModels([MODEL]), clock, [plugin()], transports={"by-hand": hand}
    )
    await host.start()
    await asyncio.sleep(0)
    inlet = hand.inlets["spots"]
    told = msgspec.structs.replace(FARM, id="cell-1", information_class=InformationClass.SECURITY)
    typed = Device("gate-1", profile=Profile("Camera", "urn:ngsi-ld:Camera:1"))
    for device in (FARM, told, typed, None):
        await inlet.deliver(message(clock, device, x="who is at the door"))
    staff = msgspec.structs.replace(
        engineer, clearance=frozenset({InformationClass.OPEN, InformationClass.INTERNAL})
    )
    everybody = msgspec.structs.replace(engineer, clearance=frozenset({InformationClass.OPEN}))
    kept = {one.device: one.information_class for one in await store.newest(engineer)}
    assert kept == {
        "farm-7": InformationClass.OPEN,
        "cell-1": InformationClass.SECURITY,
        "gate-1": InformationClass.SECURITY,
        "": InformationClass.INTERNAL,
    }
    assert [one.device for one in await store.newest(staff)] == ["", "farm-7"]
    assert [one.device for one in await store.newest(everybody)] == ["farm-7"]
    assert [await store.count(one) for one in (engineer, staff, everybody)] == [4, 2, 1]
    (hidden,) = [one.id for one in await store.newest(engineer) if one.device == "cell-1"]
    for refused in (store.find(staff, hidden), host.retry(staff, hidden)):
        with pytest.raises(NotFound):
            await refused
    assert await store.discard(staff, [hidden]) == 0
    await inlet.deliver(message(clock, told, x="secret"))
    (status,) = host.statuses()
    assert status.last_error == "A message of the security class was parked"
    await host.stop()
