"""The host wakes services, writes what they say, and goes on when one breaks."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from cityloom.kernel.actor import CITY, Actor, InformationClass
from cityloom.kernel.errors import NotAllowed, NotFound, NotReady
from cityloom.ngsild.model import entity, instance_of, prop, value_of
from cityloom.operations.alerts import Alerts
from cityloom.services.contract import Trained
from cityloom.services.facts import AlertCleared, AlertRaised, CommandWished, EntityWritten, Estimate

MAST = "urn:ngsi-ld:WeatherObserved:mast"
ROOF = "urn:ngsi-ld:Roof:1"
ALERT = "urn:ngsi-ld:Alert:heat:mast:20260412T120000Z"
STAFF = Actor(
    id="person:2",
    permissions=frozenset({"alerts:handle", "entities:read", "entities:write"}),
    clearance=frozenset({InformationClass.OPEN, InformationClass.INTERNAL}),
)
SOMEBODY = Actor(id="person:1", permissions=frozenset({"services:manage"}))


async def put_mast(broker, temperature=31.0, **attributes):
    await broker.upsert(
        CITY, entity("WeatherObserved", MAST, {"temperature": prop(temperature, unit="CEL"), **attributes})
    )


def say_nothing(world, at):
    return []


def raise_heat(world, at):
    for station in world.ids("stations"):
        degrees = world.value("stations", station, "temperature")
        if degrees >= world.number("limit_c"):
            yield AlertRaised(
                key="mast",
                category="weather",
                sub_category="heat",
                severity="high" if degrees > 35 else "medium",
                description=world.say("hot", degrees=degrees, when=at),
                about=station,
                audience=("growers",),
                confirm_within=timedelta(minutes=30),
                escalate_to=("operators",),
                valid_to=at + timedelta(hours=3),
            )
        elif "mast" in world.open_alerts:
            yield AlertCleared(key="mast", outcome={"en": "It is over."})


async def test_run_due_writes_an_alert_with_its_reasons(broker, host_of, service_of):
    await put_mast(broker)
    await host_of(service_of(raise_heat)).run_due()
    alert = broker.retrieve(CITY, ALERT)
    assert value_of(alert, "status") == "open"
    assert value_of(alert, "severity") == "medium"
    assert value_of(alert, "dateIssued") == "2026-04-12T12:00:00Z"
    assert value_of(alert, "alertSource") == MAST
    assert value_of(alert, "description") == {"en": "31.0 °C at Sun 14:00", "da": "31,0 °C kl. søn. 14.00"}
    assert value_of(alert, "confirmWithin") == "PT30M"
    assert value_of(alert, "escalateTo") == ["operators"]
    assert broker.class_of(CITY, ALERT) is InformationClass.INTERNAL
    assert value_of(alert, "because") == [
        {"about": MAST, "attribute": "temperature", "value": 31.0, "unitCode": "CEL", "count": 1}
    ]
    assert broker.referrers(CITY, MAST) == [ALERT]


async def test_run_due_decides_each_slot_once(broker, host_of, clock, service_of):
    runs = []
    host = host_of(service_of(lambda world, at: runs.append(at) or []))
    for _ in range(3):
        await host.run_due()
    clock.move(minutes=9)
    await host.run_due()
    clock.move(minutes=1)
    await host.run_due()
    assert runs == [datetime(2026, 4, 12, 12, 0, tzinfo=UTC), datetime(2026, 4, 12, 12, 10, tzinfo=UTC)]


async def test_an_alert_raised_again_stays_one_and_is_brought_up_to_date(broker, host_of, clock, service_of):
    await put_mast(broker)
    host = host_of(service_of(raise_heat))
    await host.run_due()
    await broker.update(CITY, ALERT, entity("Alert", ALERT, {"status": prop("acknowledged")}))
    await put_mast(broker, 36.0)
    clock.move(minutes=10)
    await host.run_due()
    alerts = broker.of_type(CITY, "Alert")
    assert [alert["id"] for alert in alerts] == [ALERT]
    assert value_of(alerts[0], "severity") == "high"
    assert value_of(alerts[0], "status") == "acknowledged"
    assert value_of(alerts[0], "dateIssued") == "2026-04-12T12:00:00Z"


async def test_an_alert_that_says_nothing_new_is_not_written_again(broker, host_of, clock, service_of):
    def raise_the_same(world, at):
        yield AlertRaised(
            key="mast",
            category="weather",
            sub_category="heat",
            severity="low",
            description={"en": "Hot"},
            about=world.ids("stations")[0],
        )

    await put_mast(broker)
    host = host_of(service_of(raise_the_same))
    await host.run_due()
    before = broker.last_sequence
    clock.move(minutes=10)
    await host.run_due()
    assert broker.last_sequence == before


async def test_an_alert_is_cleared_by_its_service_and_the_next_one_is_new(broker, host_of, clock, service_of):
    await put_mast(broker)
    host = host_of(service_of(raise_heat))
    await host.run_due()
    await put_mast(broker, 20.0)
    clock.move(minutes=10)
    await host.run_due()
    cleared = broker.retrieve(CITY, ALERT)
    assert value_of(cleared, "status") == "cleared"
    assert value_of(cleared, "endedAt") == "2026-04-12T12:10:00Z"
    assert value_of(cleared, "history") == [
        {"at": "2026-04-12T12:00:00Z", "by": "service:heat", "did": "raised"},
        {"at": "2026-04-12T12:10:00Z", "by": "service:heat", "did": "cleared", "was": "open"},
    ]
    assert value_of(cleared, "outcome") == {"en": "It is over."}
    await put_mast(broker, 33.0)
    clock.move(minutes=10)
    await host.run_due()
    assert [value_of(alert, "status") for alert in broker.of_type(CITY, "Alert")] == ["cleared", "open"]


async def test_an_alert_that_staff_cleared_is_not_raised_again_before_its_occasion_ends(
    broker, host_of, clock, service_of
):
    await put_mast(broker)
    await host_of(service_of(raise_heat)).run_due()
    alerts = Alerts(broker, clock)
    await alerts.clear(STAFF, ALERT, "A broken thermometer.")
    await put_mast(broker, 36.0)
    clock.move(minutes=10)
    host = host_of(service_of(raise_heat))
    await host.prepare()
    await host.run_due()
    found = broker.of_type(CITY, "Alert")
    assert [(value_of(alert, "status"), value_of(alert, "severity")) for alert in found] == [
        ("cleared", "medium")
    ]
    await put_mast(broker, 20.0)
    clock.move(minutes=10)
    await host.run_due()
    assert value_of(broker.retrieve(CITY, ALERT), "outcome") == {"en": "A broken thermometer."}
    await put_mast(broker, 36.0)
    clock.move(minutes=10)
    await host.run_due()
    assert [value_of(alert, "status") for alert in broker.of_type(CITY, "Alert")] == ["cleared", "open"]


async def test_staff_handle_an_alert_that_a_service_raised(broker, host_of, clock, service_of):
    await put_mast(broker)
    host = host_of(service_of(raise_heat))
    await host.run_due()
    alerts = Alerts(broker, clock)
    await alerts.acknowledge(STAFF, ALERT)
    await put_mast(broker, 20.0)
    clock.move(minutes=10)
    await host.run_due()
    alert = alerts.get(STAFF, ALERT)
    assert alert.is_cleared
    assert [(done.did, done.by) for done in alert.history] == [
        ("raised", "service:heat"),
        ("acknowledged", "person:2"),
        ("cleared", "service:heat"),
    ]


async def test_a_restarted_host_knows_its_open_alerts(broker, host_of, clock, service_of):
    await put_mast(broker)
    await host_of(service_of(raise_heat)).run_due()
    await put_mast(broker, 36.0)
    clock.move(minutes=10)
    again = host_of(service_of(raise_heat))
    await again.prepare()
    await again.run_due()
    assert [alert["id"] for alert in broker.of_type(CITY, "Alert")] == [ALERT]


async def test_an_estimate_stands_beside_what_is_measured(broker, host_of, series, clock, service_of):
    def expect(world, at):
        matrix = world.matrix("stations", "temperature")
        for station, row in zip(matrix.ids, matrix.values, strict=True):
            yield Estimate(
                entity=station,
                attribute="temperature",
                value=float(np.nanmean(row)),
                horizon="PT30M",
                for_at=at + timedelta(minutes=30),
                low=20.0,
                high=26.0,
                level=0.9,
                unit="CEL",
            )

    await put_mast(broker, 25.0)
    for minutes, value in ((0, 25.0), (10, 23.0), (30, 21.0)):
        series.add(MAST, "temperature", clock.now() - timedelta(minutes=minutes), value)
    await host_of(service_of(expect)).run_due()
    mast = broker.retrieve(CITY, MAST)
    assert value_of(mast, "temperature") == 25.0
    forecast = instance_of(mast, "temperature", "urn:ngsi-ld:Dataset:forecast:PT30M")
    assert forecast is not None
    assert forecast["value"] == 23.0
    assert forecast["observedAt"] == "2026-04-12T12:00:00Z"
    told = {name: item[0].get("value", item[0].get("json")) for name, item in forecast["attrs"].items()}
    assert told == {
        "dataOrigin": "estimated",
        "low": 20.0,
        "high": 26.0,
        "level": 0.9,
        "validAt": "2026-04-12T12:30:00Z",
    }
    reasons = instance_of(mast, "because", "urn:ngsi-ld:Dataset:service:heat")
    assert reasons["json"] == [
        {
            "about": MAST,
            "attribute": "temperature",
            "since": "2026-04-12T11:10:00Z",
            "until": "2026-04-12T12:10:00Z",
            "count": 3,
            "missing": 3,
            "note": "steps of PT10M",
        }
    ]


async def test_what_is_written_on_a_measured_entity_leaves_its_badge(broker, host_of, clock, service_of):
    def rate(world, at):
        yield EntityWritten(document=entity("WeatherObserved", MAST, {"comfort": prop("mild", at=at)}))

    await put_mast(broker, 25.0, dataOrigin=prop("replayed"))
    writes = [{"type": "WeatherObserved", "attributes": ["comfort"]}]
    await host_of(service_of(rate, writes=writes)).run_due()
    mast = broker.retrieve(CITY, MAST)
    assert value_of(mast, "dataOrigin") == "replayed"
    assert instance_of(mast, "comfort")["attrs"]["dataOrigin"][0]["value"] == "estimated"


async def test_an_entity_is_written_with_reasons_and_badge_and_a_wish_once(
    broker, host_of, clock, service_of
):
    def advise(world, at):
        hot = world.value("stations", MAST, "temperature")
        yield EntityWritten(document=entity("Roof", ROOF, {"advice": prop(f"open at {hot:.0f}")}))
        yield CommandWished(key="roof", device="urn:ngsi-ld:Device:roof", command="open", value=True)

    await put_mast(broker)
    host = host_of(service_of(advise))
    await host.run_due()
    roof = broker.retrieve(CITY, ROOF)
    assert value_of(roof, "dataOrigin") == "estimated"
    assert value_of(roof, "because")[0]["about"] == MAST
    command = "urn:ngsi-ld:Command:heat:roof"
    assert value_of(broker.retrieve(CITY, command), "status") == "wished"
    await broker.update(CITY, command, entity("Command", command, {"status": prop("done")}))
    clock.move(minutes=10)
    await host.run_due()
    assert value_of(broker.retrieve(CITY, command), "status") == "done"


async def test_a_change_wakes_a_service_but_its_own_does_not(broker, host_of, service_of):
    seen = []

    def note(world, at):
        seen.append((world.woken_by, sorted(world.changed)))
        yield Estimate(entity=MAST, attribute="feltAs", value=30.0)

    host = host_of(service_of(note, **{"wakes-on": {"changes": ["WeatherObserved"]}}))
    await host.start()
    await put_mast(broker)
    await broker.caught_up()
    await broker.create(CITY, entity("Roof", ROOF, {}))
    await broker.caught_up()
    await host.stop()
    assert seen == [("changes", [MAST])]


async def test_start_keeps_time_until_stop(broker, host_of, clock, service_of):
    runs: asyncio.Queue[datetime] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def note(world, at):
        loop.call_soon_threadsafe(runs.put_nowait, at)
        return []

    host = host_of(service_of(note), tick_s=0.001)
    await host.start()
    first = await asyncio.wait_for(runs.get(), 10)
    clock.move(minutes=10)
    second = await asyncio.wait_for(runs.get(), 10)
    await host.stop()
    assert second - first == timedelta(minutes=10)
    assert not [task for task in asyncio.all_tasks() if "_keep_time" in repr(task)]
    assert host.status()[0].error == ""


# What may go wrong


async def test_a_service_that_looks_at_what_it_did_not_declare_is_parked(broker, host_of, clock, service_of):
    runs = []

    def peek(world, at):
        runs.append(at)
        return [world.column("stations", "windSpeed")]

    await put_mast(broker)
    host = host_of(service_of(peek), service_of(raise_heat, id="other"))
    await host.run_due()
    clock.move(minutes=10)
    await host.run_due()
    peeking, other = host.status()
    assert peeking.state == "parked"
    assert "'windSpeed', which it does not declare" in peeking.error
    assert len(runs) == 1
    assert other.state == "working"
    assert len(broker.of_type(CITY, "Alert")) == 1


@pytest.mark.parametrize(
    ("fact", "said"),
    [
        (Estimate(entity=MAST, attribute="temperature", value=1.0), "overwrite what is measured"),
        (Estimate(entity=MAST, attribute="humidity", value=1.0, horizon="PT1H"), "WeatherObserved.humidity"),
        (Estimate(entity="urn:ngsi-ld:X:1", attribute="temperature", value=1.0, horizon="PT1H"), "not shown"),
        (EntityWritten(document=entity("Roof", ROOF, {"owner": prop("me")})), "Roof.owner"),
        (EntityWritten(document=entity("WeatherObserved", MAST, {"temperature": prop(1)})), "overwrite"),
        (CommandWished(key="k", device="urn:ngsi-ld:Device:1", command="explode"), "wishes 'explode'"),
        ("hello", "said str, which is no fact"),
        (
            AlertRaised(
                key="k",
                category="traffic",
                sub_category="jam",
                severity="low",
                description={"en": "x"},
                about=MAST,
            ),
            "raises traffic/jam",
        ),
        (
            AlertRaised(
                key="k",
                category="weather",
                sub_category="heat",
                severity="low",
                description={"en": "x"},
                about=MAST,
                escalate_to=("press",),
            ),
            "tells 'press'",
        ),
        (
            AlertRaised(
                key="k",
                category="weather",
                sub_category="heat",
                severity="low",
                description={"en": " "},
                about=MAST,
            ),
            "has no words",
        ),
    ],
)
async def test_what_the_manifest_does_not_allow_is_refused_whole(broker, host_of, fact, said, service_of):
    await put_mast(broker)
    before = broker.last_sequence
    good = EntityWritten(document=entity("Roof", ROOF, {"advice": prop("shade")}))
    host = host_of(service_of(lambda world, at: [good, fact]))
    await host.run_due()
    status = host.status()[0]
    assert status.state == "parked"
    assert said in status.error
    assert broker.last_sequence == before


async def test_a_service_that_fails_is_tried_again_and_parked_the_third_time(
    broker, host_of, clock, service_of
):
    runs = []

    def divide(world, at):
        runs.append(at)
        return [1 / 0]

    host = host_of(service_of(divide))
    states = []
    for _ in range(4):
        await host.run_due()
        states.append(host.status()[0].state)
        clock.move(minutes=10)
    assert states == ["failing", "failing", "parked", "parked"]
    assert len(runs) == 3
    assert host.status()[0].error == "ZeroDivisionError: division by zero"
    assert host.status()[0].next_run is None


async def test_a_service_that_recovers_is_working_again(broker, host_of, clock, service_of):
    failing = [True, True]

    def stumble(world, at):
        if failing and failing.pop():
            raise ValueError("stumbled")
        return []

    host = host_of(service_of(stumble))
    for _ in range(3):
        await host.run_due()
        clock.move(minutes=10)
    assert (host.status()[0].state, host.status()[0].error) == ("working", "")


async def test_not_ready_is_nobodys_fault_and_the_slot_is_decided_once_it_can_be(
    broker, host_of, clock, service_of
):
    waits, runs = [True, True], []

    def wait(world, at):
        runs.append(at)
        if waits and waits.pop():
            raise NotReady("History is being read", hint="It is tried again.")
        return []

    host = host_of(service_of(wait), rest_s=0.0)
    await host.run_due()
    assert host.status()[0].state == "waiting"
    assert "History is being read" in host.status()[0].error
    for _ in range(3):
        clock.move(seconds=10)
        await host.run_due()
    assert runs == [datetime(2026, 4, 12, 12, 0, tzinfo=UTC)] * 3
    assert (host.status()[0].state, host.status()[0].error) == ("working", "")


async def test_not_ready_is_given_a_rest(broker, host_of, clock, service_of):
    runs = []

    def wait(world, at):
        runs.append(at)
        raise NotReady("History is being read", hint="It is tried again.")

    host = host_of(service_of(wait), rest_s=3600.0)
    await host.run_due()
    await host.run_due()
    assert len(runs) == 1


async def test_a_service_that_overruns_its_deadline_is_parked_and_the_city_goes_on(
    broker, host_of, clock, service_of
):
    release = threading.Event()
    host = host_of(
        service_of(lambda world, at: [] if release.wait(60) else [1], **{"deadline-s": 0.05}),
        service_of(raise_heat, id="other"),
    )
    await put_mast(broker)
    await host.run_due()
    release.set()
    slow, other = host.status()
    assert slow.state == "parked"
    assert "longer than its 0.05 s" in slow.error
    assert other.state == "working"


@pytest.mark.parametrize("error", [SystemExit(1), StopIteration(), TimeoutError("socket")])
async def test_no_error_of_a_plugin_ends_the_city(broker, host_of, error, service_of):
    def end(world, at):
        raise error

    host = host_of(service_of(end))
    await host.run_due()
    assert host.status()[0].state == "failing"
    assert type(error).__name__ in host.status()[0].error


async def test_resume_takes_out_of_the_park_whoever_may(broker, host_of, clock, service_of):
    broken = [True]

    def mend(world, at):
        if broken:
            raise KeyError("x")
        return []

    host = host_of(service_of(mend))
    for _ in range(3):
        await host.run_due()
        clock.move(minutes=10)
    assert host.status()[0].state == "parked"
    broken.clear()
    with pytest.raises(NotAllowed):
        await host.resume(Actor(id="citizen"), "heat")
    with pytest.raises(NotFound, match="There are: heat"):
        await host.resume(SOMEBODY, "cold")
    assert (await host.resume(SOMEBODY, "heat")).state == "working"


# Secrets


async def test_a_service_sees_open_entities_alone_unless_its_manifest_says_more(broker, host_of, service_of):
    await broker.create(
        CITY, entity("WeatherObserved", MAST, {}), information_class=InformationClass.INTERNAL
    )
    seen = []
    look = service_of(lambda world, at: seen.append(world.ids("stations")) or [])
    inner = service_of(
        lambda world, at: seen.append(world.ids("stations")) or [], id="inner", sees="internal"
    )
    await host_of(look).run_due()
    await host_of(inner).run_due()
    assert seen == [(), (MAST,)]


async def test_what_is_made_of_secret_things_is_as_secret(broker, host_of, service_of):
    await broker.create(
        CITY,
        entity("WeatherObserved", MAST, {"temperature": prop(31.0)}),
        information_class=InformationClass.INTERNAL,
    )
    await host_of(service_of(raise_heat, sees="security")).run_due()
    assert broker.class_of(CITY, ALERT) is InformationClass.SECURITY


async def test_a_service_that_sees_internal_things_may_not_write_onto_open_ones(broker, host_of, service_of):
    await put_mast(broker)
    fact = Estimate(entity=MAST, attribute="feltAs", value=33.0)
    host = host_of(service_of(lambda world, at: [fact], sees="internal"))
    await host.run_due()
    assert "which more people may see" in host.status()[0].error
    assert value_of(broker.retrieve(CITY, MAST), "feltAs") is None


# Learning

LEARNING = {"training": {"every": "P1D", "wants": "P2D"}}


def learn_mean(world, at):
    return {"mean": np.array([np.nanmean(world.matrix("stations", "temperature").values)])}


async def test_train_due_learns_once_history_reaches_back_and_decide_uses_it(
    broker, host_of, series, clock, store, service_of
):
    told = []

    def tell(world, at):
        told.append(None if world.parameters is None else world.parameters["mean"].tolist())
        return []

    await put_mast(broker)
    host = host_of(service_of(tell, train=learn_mean, **LEARNING))
    series.add(MAST, "temperature", clock.now() - timedelta(days=1), 10.0)
    await host.train_due()
    await host.run_due()
    series.add(MAST, "temperature", clock.now() - timedelta(days=3), 20.0)
    clock.move(hours=6)
    await host.train_due()
    await host.run_due()
    assert told == [None, [15.0]]
    kept = store.load("heat")
    assert kept.provenance == {
        "source": "this city's history",
        "trainedAt": "2026-04-12T18:00:00Z",
        "since": "2026-04-09T12:00:00Z",
        "readings": "2",
    }


async def test_train_due_does_not_read_history_over_and_over(broker, host_of, series, clock, service_of):
    await put_mast(broker)
    host = host_of(service_of(say_nothing, train=learn_mean, **LEARNING))
    await host.train_due()
    await host.train_due()
    assert len(series.asked) == 1
    series.add(MAST, "temperature", clock.now() - timedelta(days=3), 20.0)
    clock.move(hours=6)
    await host.train_due()
    clock.move(hours=23)
    await host.train_due()
    assert len(series.asked) == 2
    clock.move(hours=1)
    await host.train_due()
    assert len(series.asked) == 3


async def test_what_was_learned_later_than_now_is_not_used(broker, host_of, store, clock, service_of):
    """A replay begins again: it must not know the future."""
    store.save("heat", Trained({"mean": np.array([1.0])}, {"trainedAt": "2026-06-01T00:00:00Z"}))
    told = []
    shipped = Trained({"mean": np.array([7.0])}, {"source": "elsewhere"})
    service = service_of(
        lambda world, at: told.append(world.parameters["mean"][0]) or [],
        train=learn_mean,
        shipped=shipped,
        **LEARNING,
    )
    host = host_of(service)
    await host.prepare()
    await host.run_due()
    assert told == [7.0]
    assert host.status()[0].provenance == {"source": "elsewhere"}


async def test_a_training_that_fails_leaves_what_was_learned(
    broker, host_of, series, clock, store, service_of
):
    def fail(world, at):
        raise ValueError("singular matrix")

    store.save("heat", Trained({"mean": np.array([1.0])}, {"trainedAt": "2026-04-01T00:00:00Z"}))
    series.add(MAST, "temperature", clock.now() - timedelta(days=3), 20.0)
    await put_mast(broker)
    host = host_of(service_of(say_nothing, train=fail, **LEARNING))
    await host.prepare()
    await host.train_due()
    assert host.status()[0].error == "Training: ValueError: singular matrix"
    assert host.status()[0].provenance == {"trainedAt": "2026-04-01T00:00:00Z"}
    await host.run_due()
    assert host.status()[0].state == "working"


async def test_a_service_waits_until_history_has_taken_in_the_state(broker, host_of, service_of):
    order = []

    async def remembered():
        order.append("history")

    host = host_of(service_of(lambda world, at: order.append("service") or []), remembered=remembered)
    await host.run_due()
    assert order == ["history", "service"]


async def test_a_history_that_stays_behind_is_nobodys_fault(broker, host_of, service_of, monkeypatch):
    monkeypatch.setattr("cityloom.services.host.HISTORY_PATIENCE_S", 0.01)
    host = host_of(service_of(say_nothing), remembered=asyncio.Event().wait)
    await host.run_due()
    assert host.status()[0].state == "waiting"
    assert "History does not answer" in host.status()[0].error


# Settings


async def test_settings_are_those_in_force_on_the_day(broker, host_of, clock, service_of):
    said = []
    note = service_of(lambda world, at: said.append(world.number("limit_c")) or [])
    own = service_of(
        lambda world, at: said.append(world.number("limit_c")) or [], overrides={"limit_c": 25.0}
    )
    await host_of(note).run_due()
    clock.at = datetime(2024, 12, 31, 22, 59, tzinfo=UTC)
    await host_of(note).run_due()
    # It is 2025 in Copenhagen.
    clock.at = datetime(2024, 12, 31, 23, 0, tzinfo=UTC)
    await host_of(note).run_due()
    await host_of(own).run_due()
    assert said == [28.0, 30.0, 28.0, 25.0]


async def test_status_says_how_a_service_is_doing(broker, host_of, clock, service_of):
    await put_mast(broker)
    host = host_of(service_of(raise_heat))
    waiting = host.status()[0]
    assert (waiting.state, waiting.last_run) == ("waiting", None)
    assert waiting.next_run == datetime(2026, 4, 12, 12, 10, tzinfo=UTC)
    clock.move(minutes=3)
    await host.run_due()
    status = host.status()[0]
    assert status.title == {"en": "Heat", "da": "Varme"}
    assert status.last_run == datetime(2026, 4, 12, 12, 0, tzinfo=UTC)
    assert status.next_run == datetime(2026, 4, 12, 12, 10, tzinfo=UTC)
    assert (status.woken_by, status.facts, status.looked_at) == ("every", 1, 1)
