"""The stream: everybody hears what they are cleared for, once, and is told when they missed something."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import msgspec
import pytest

from cityloom.access.accounts import actor_of
from cityloom.access.authority import TERMINAL
from cityloom.kernel.actor import ANONYMOUS, CITY, Actor, InformationClass
from cityloom.kernel.errors import NotReady
from cityloom.ngsild.model import entity, point, prop
from cityloom.web import live as live_module
from cityloom.web.live import EventStream, Live, Wanted, wanted_of
from cityloom.web.looks import Item

OPEN, INTERNAL, SECURITY = InformationClass
EVERYBODY = Actor(id="visitor")
STAFF = Actor(id="staff", clearance=frozenset({OPEN, INTERNAL}))
GUARD = Actor(id="guard", clearance=frozenset(InformationClass))


def lamp(number: int, state: str = "on"):
    return entity(
        "Streetlight",
        f"urn:ngsi-ld:Streetlight:{number}",
        {"powerState": prop(state), "location": point(1, 2)},
    )


def told(document, placed: bool) -> Item:
    return Item(
        id=document["id"],
        type=document["type"][0],
        name="",
        level="good",
        state="",
        text=str(document["attrs"]["powerState"][0]["value"]),
        at="",
        icon="lamp",
        href="",
        geometry={} if placed else None,
    )


@pytest.fixture
def hub(city) -> Live:
    return city.site.live


@pytest.fixture(autouse=True)
def swift(monkeypatch):
    monkeypatch.setattr(live_module, "LONGEST_STEP", 0.0)


class Listener:
    """Reads a stream event by event."""

    def __init__(self, hub: Live, actor: Actor, wanted: Wanted | None = None, last: str = "") -> None:
        self.reader = hub.open(actor, wanted or Wanted(), last)
        self._events = hub.events(self.reader, told)

    async def next(self, kind: str = "changes"):
        """The data of the next event of a kind."""
        async with asyncio.timeout(5):
            async for raw in self._events:
                fields = dict(line.split(": ", 1) for line in raw.decode().splitlines() if ": " in line)
                if fields.get("event") == kind:
                    self.last_id = fields.get("id", "")
                    return json.loads(fields["data"])
        raise AssertionError("the stream ended")


async def test_a_change_reaches_those_who_are_cleared_for_it(city, hub):
    everybody, staff = Listener(hub, EVERYBODY), Listener(hub, STAFF)
    await city.write(lamp(1), secrecy=INTERNAL)
    await city.write(lamp(2))
    assert [one["id"] for one in (await everybody.next())["items"]] == ["urn:ngsi-ld:Streetlight:2"]
    heard = {one["id"] for one in (await staff.next())["items"]}
    assert heard == {"urn:ngsi-ld:Streetlight:1", "urn:ngsi-ld:Streetlight:2"}


async def test_many_changes_of_one_entity_are_told_once_as_it_is_now(city, hub):
    listener = Listener(hub, EVERYBODY)
    for state in ("on", "off", "low"):
        await city.write(lamp(1, state))
    (item,) = (await listener.next())["items"]
    assert item["text"] == "low"


async def test_the_place_is_told_when_it_may_be_new(city, hub):
    await city.write(lamp(1))
    listener = Listener(hub, EVERYBODY)
    await city.broker.append(
        CITY, lamp(1)["id"], entity("Streetlight", lamp(1)["id"], {"powerState": prop("off")})
    )
    await city.broker.caught_up()
    assert "geometry" not in (await listener.next())["items"][0]
    await city.write(lamp(2))
    assert "geometry" in (await listener.next())["items"][0]


async def test_wanted_narrows_to_ids_or_types(city, hub):
    one = Listener(hub, EVERYBODY, wanted_of(["urn:ngsi-ld:Streetlight:2"], []))
    kind = Listener(hub, EVERYBODY, wanted_of([], ["Farm"]))
    await city.write(lamp(1), lamp(2), entity("Farm", "urn:ngsi-ld:Farm:1", {"powerState": prop("on")}))
    assert [found["id"] for found in (await one.next())["items"]] == ["urn:ngsi-ld:Streetlight:2"]
    assert [found["id"] for found in (await kind.next())["items"]] == ["urn:ngsi-ld:Farm:1"]


async def test_a_deleted_entity_is_gone(city, hub):
    await city.write(lamp(1))
    listener = Listener(hub, EVERYBODY)
    await city.broker.delete(CITY, lamp(1)["id"])
    await city.broker.caught_up()
    assert (await listener.next())["gone"] == [lamp(1)["id"]]


async def test_an_entity_that_becomes_secret_is_gone_for_those_who_saw_it(city, hub):
    await city.write(lamp(1))
    everybody, guard = Listener(hub, EVERYBODY), Listener(hub, GUARD)
    await city.broker.classify(GUARD_WRITER, lamp(1)["id"], SECURITY)
    await city.broker.caught_up()
    assert (await everybody.next())["gone"] == [lamp(1)["id"]]
    assert [one["id"] for one in (await guard.next())["items"]] == [lamp(1)["id"]]


GUARD_WRITER = Actor(
    id="guard",
    permissions=frozenset({"entities:write", "entities:classify"}),
    clearance=frozenset(InformationClass),
)


async def test_a_move_between_secret_classes_tells_others_nothing(city, hub):
    await city.write(lamp(1), secrecy=INTERNAL)
    before = hub.position(EVERYBODY.clearance)
    listener = Listener(hub, EVERYBODY)
    await city.broker.classify(GUARD_WRITER, lamp(1)["id"], SECURITY)
    await city.broker.caught_up()
    assert hub.position(EVERYBODY.clearance) == before
    assert not listener.reader.waiting


async def test_positions_count_what_a_reader_could_hear_and_nothing_else(city, hub):
    before = int(hub.position(EVERYBODY.clearance))
    await city.write(lamp(1), secrecy=SECURITY)
    await city.write(lamp(2), secrecy=INTERNAL)
    assert int(hub.position(EVERYBODY.clearance)) == before
    await city.write(lamp(3))
    assert int(hub.position(EVERYBODY.clearance)) == before + 1


async def test_somebody_who_was_cut_off_is_brought_up_to_date(city, hub):
    await city.write(lamp(1))
    here = hub.position(EVERYBODY.clearance)
    await city.write(lamp(2), secrecy=INTERNAL)
    await city.write(lamp(3))
    listener = Listener(hub, EVERYBODY, last=here)
    assert [one["id"] for one in (await listener.next())["items"]] == ["urn:ngsi-ld:Streetlight:3"]
    assert listener.last_id == hub.position(EVERYBODY.clearance)


@pytest.mark.parametrize("last", ["999999999", "-1", "nonsense", "9" * 30])
async def test_somebody_whose_place_is_not_known_is_told_to_fetch_everything(city, hub, last):
    await city.write(lamp(1))
    assert await Listener(hub, EVERYBODY, last=last).next("missed") == {}


async def test_somebody_who_was_away_too_long_is_told_to_fetch_everything(city, hub, monkeypatch):
    for name in hub._remembered:
        hub._remembered[name] = type(hub._remembered[name])(maxlen=2)
    monkeypatch.setattr(live_module, "REMEMBERED", 2)
    here = hub.position(EVERYBODY.clearance)
    await city.write(lamp(1), lamp(2), lamp(3))
    assert await Listener(hub, EVERYBODY, last=here).next("missed") == {}


async def test_a_backlog_is_given_up_for_a_fresh_start(city, hub, monkeypatch):
    monkeypatch.setattr(live_module, "MOST_WAITING", 3)
    listener = Listener(hub, EVERYBODY)
    await city.write(*(lamp(number) for number in range(5)))
    assert await listener.next("missed") == {}
    assert len(listener.reader.waiting) <= 3


async def test_step_is_short_for_few_readers_and_grows_so_that_many_cost_no_more(hub, monkeypatch):
    monkeypatch.undo()
    steps = {0: hub.step}
    for number in range(1, 201):
        hub.open(EVERYBODY, Wanted())
        steps[number] = hub.step
    assert (steps[0], steps[1], steps[40]) == (0.2, 0.2, 0.2)
    assert (steps[60], steps[100], steps[200]) == (0.3, 0.5, 0.5)


async def test_too_many_readers_are_turned_away(hub, monkeypatch):
    monkeypatch.setattr(live_module, "MOST_READERS", 1)
    first = hub.open(EVERYBODY, Wanted())
    with pytest.raises(NotReady):
        hub.open(EVERYBODY, Wanted())
    hub.leave(first)
    hub.leave(hub.open(EVERYBODY, Wanted()))


async def test_a_silent_stream_tells_the_city_s_time(hub, monkeypatch):
    monkeypatch.setattr(live_module, "HEARTBEAT", 0.01)
    listener = Listener(hub, EVERYBODY)
    for _ in range(3):
        assert (await listener.next("clock"))["now"] == "2026-04-10T10:00:00Z"


async def test_a_reader_who_does_not_read_is_cut_off(hub, monkeypatch):
    monkeypatch.setattr(live_module, "PATIENCE", 0.01)
    reader = hub.open(EVERYBODY, Wanted())

    async def never(message):
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    await EventStream(hub.events(reader, told), hub, reader).stream_response(never)
    assert hub.readers == 0


async def test_close_ends_every_stream(hub):
    listener = Listener(hub, EVERYBODY)
    await listener.next("clock")
    hub.close()
    with pytest.raises(AssertionError, match="the stream ended"):
        await listener.next()


@pytest.mark.parametrize("end", ["sign out", "close the account", "take the role away"])
async def test_a_stream_ends_with_the_rights_it_was_opened_with(city, reader_of, hub, monkeypatch, end):
    monkeypatch.setattr(live_module, "ASKED_EVERY", 0.0)
    monkeypatch.setattr(live_module, "HEARTBEAT", 0.01)
    operator = await reader_of("operator")
    token = operator.client.cookies["cityloom_session"]
    account = await city.accounts.named(TERMINAL, "operator")
    began, hung_up = asyncio.Event(), asyncio.Event()

    async def receive():
        await hung_up.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        if message.get("body"):
            began.set()

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/live",
        "query_string": b"",
        "headers": [(b"cookie", f"cityloom_session={token}".encode())],
        "client": ("192.0.2.1", 50_000),
    }
    stream = asyncio.create_task(city.site(scope, receive, send))
    async with asyncio.timeout(10):
        await began.wait()
        (reader,) = hub._readers
        assert reader.actor.sees(INTERNAL) and not stream.done()
        if end == "sign out":
            await city.accounts.sessions.sign_out(token)
        elif end == "close the account":
            await city.accounts.disable(TERMINAL, account.id)
        else:
            await city.accounts.change_roles(TERMINAL, account.id, ["citizen"])
        await stream
    assert hub.readers == 0


async def test_a_stream_that_is_left_open_keeps_no_session_from_ending(city, reader_of):
    operator = await reader_of("operator")
    token = operator.client.cookies["cityloom_session"]
    actor = await city.accounts.actor_for_session(token)
    touched = []
    monkey = city.accounts.sessions._store.touch_session
    city.accounts.sessions._store.touch_session = lambda *given: touched.append(given) or monkey(*given)
    city.accounts.sessions._rules = msgspec.structs.replace(
        city.accounts.sessions._rules, seen_every=timedelta(0)
    )
    assert await city.rooms.access.is_still(actor, session=token)
    assert not touched
    assert await city.accounts.actor_for_session(token)
    assert touched


async def test_is_still_knows_dead_keys_and_visitors(city, reader_of):
    access, visitor = city.rooms.access, ANONYMOUS
    assert await access.is_still(visitor)
    assert await access.is_still(visitor, session="gone")
    assert not await access.is_still(visitor, bearer="cityloom_dead")
    await city.person("clerk", "operator")
    assert not await access.is_still(actor_of(await city.accounts.named(TERMINAL, "clerk")), session="gone")
