"""Which snapshots are kept, which make room, and what a restart finds. What a request shows of them:
tests/conformance."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import orjson
import pytest

from cityloom.access.errors import OverQuota, TooLargeToKeep
from cityloom.access.quotas import SNAPSHOTS, OfSnapshots, Quota
from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.adapters.memory.register import MemoryRegister
from cityloom.adapters.memory.snapshot_stores import MemorySnapshotStores
from cityloom.adapters.memory.state_table import MemoryStateTable
from cityloom.adapters.sqlite.snapshot_stores import SqliteSnapshotStores
from cityloom.context.broker import Broker
from cityloom.kernel.actor import CITY, Actor, InformationClass
from cityloom.kernel.errors import NotAllowed, NotReady
from cityloom.kernel.time import WallClock
from cityloom.ngsild.errors import AlreadyExists, ResourceNotFound
from cityloom.ngsild.model import entity, prop, rel
from cityloom.ngsild.q_language import parse_q
from cityloom.ngsild.query import EntityQuery
from cityloom.ngsild.subscription import Endpoint
from cityloom.snapshots import world as world_of_snapshots
from cityloom.snapshots.model import Snapshot, Wish, snapshot_of
from cityloom.snapshots.snapshots import Snapshots
from cityloom.snapshots.telling import Telling
from cityloom.snapshots.world import BoundedFeed, copy_feed
from cityloom.subscriptions.places import Places


class Nobody(Telling):
    """Tells nobody, and notes what would be told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def tell(self, one: Snapshot) -> None:
        self.told.append((one.id, one.status))

    async def stop(self) -> None:
        pass


class Subscribers:
    """Notes which snapshots are open, and which have ended."""

    def __init__(self) -> None:
        self.open: set[str] = set()
        self.over: list[str] = []

    def enter(self, place, _broker, _tenant, _keep_secret):
        self.open.add(place)

    def leave(self, place):
        self.open.discard(place)

    async def ended(self, place):
        self.over.append(place)


class Kept:
    """A register and stores that outlive the snapshots over them."""

    def __init__(self, stores=None) -> None:
        self.register = MemoryRegister()
        self.stores = stores or MemorySnapshotStores()
        self.telling = Nobody()
        self.subscribers = Subscribers()

    @asynccontextmanager
    async def running(self, quota: Quota = SNAPSHOTS):
        city = Broker(MemoryFeed(), MemoryStateTable(), WallClock())
        await city.start()
        found = Snapshots(
            self.register, self.stores, city, WallClock(), self.telling, self.subscribers, quota=quota
        )
        await found.start()
        yield found
        await found.stop()
        await city.stop()


@pytest.fixture
def room():
    """Snapshots with a quota of so many."""

    def running(each: int = 10, whole: int = 20, **bytes_: int):
        return Kept().running(OfSnapshots(each=each, all=whole, **bytes_))

    return running


def ids(kept: Snapshots, tenant: str = "") -> list[str]:
    return [one.id for one in kept.all(tenant)]


ANN, BEN = Actor("ann"), Actor("ben")
CHIEF = Actor("chief", permissions=frozenset({"accounts:manage"}))


async def test_of_equally_important_ones_the_longest_unused_makes_room(room):
    async with room(3) as kept:
        first, second, third = [await kept.make(ANN, "", f"urn:s:{number}", Wish()) for number in (1, 2, 3)]
        second.last_used_at = min(one.last_used_at for one in (first, second, third)) - timedelta(seconds=1)
        await kept.make(ANN, "", "urn:s:4", Wish())
        assert ids(kept) == ["urn:s:1", "urn:s:3", "urn:s:4"]


async def test_a_less_important_one_gets_no_room(room):
    async with room(1) as kept:
        await kept.make(ANN, "", "urn:s:1", Wish(priority=5))
        with pytest.raises(OverQuota):
            await kept.make(ANN, "", "urn:s:2", Wish(priority=4))
        assert ids(kept) == ["urn:s:1"]


async def test_tenants_see_their_own_alone(room):
    async with room() as kept:
        await kept.make(ANN, "a", "urn:s:1", Wish())
        await kept.make(ANN, "b", "urn:s:2", Wish())
        assert (ids(kept, "a"), ids(kept, "b"), ids(kept)) == (["urn:s:1"], ["urn:s:2"], [])
        with pytest.raises(ResourceNotFound):
            kept.get("b", "urn:s:1")


async def test_what_has_expired_is_forgotten_and_its_id_free_again(room):
    async with room() as kept:
        await kept.make(ANN, "", "urn:s:1", Wish())
        with pytest.raises(AlreadyExists):
            await kept.make(ANN, "", "urn:s:1", Wish())
        await kept.change(ANN, "", "urn:s:1", Wish(lifetime=timedelta(0)))
        with pytest.raises(ResourceNotFound):
            kept.get("", "urn:s:1")
        assert ids(kept) == []
        await kept.make(ANN, "", "urn:s:1", Wish())


async def test_nobodys_snapshot_makes_room_for_anothers(room):
    async with room(2, 2) as kept:
        await kept.make(ANN, "", "urn:s:1", Wish(priority=1))
        await kept.make(ANN, "", "urn:s:2", Wish(priority=1))
        with pytest.raises(OverQuota):
            await kept.make(BEN, "", "urn:s:3", Wish(priority=10))
        await kept.make(ANN, "", "urn:s:3", Wish())
        assert ids(kept) == ["urn:s:2", "urn:s:3"]


async def test_only_who_made_one_or_may_administer_changes_and_ends_it(room):
    async with room() as kept:
        for number in (1, 2):
            await kept.make(ANN, "", f"urn:s:{number}", Wish())
        await kept.make(BEN, "", "urn:s:3", Wish())
        with pytest.raises(NotAllowed):
            await kept.change(BEN, "", "urn:s:1", Wish(priority=1))
        with pytest.raises(NotAllowed):
            await kept.remove(BEN, "", "urn:s:1")
        await kept.purge(BEN, "", lambda _: True)
        assert ids(kept) == ["urn:s:1", "urn:s:2"]
        await kept.remove(ANN, "", "urn:s:1")
        await kept.purge(CHIEF, "", lambda _: True)
        assert ids(kept) == []


CAR = entity("Car", "urn:c:1", {"text": prop("x" * 60)})
OPEN = InformationClass.OPEN


def cars(*numbers: int):
    return [({**CAR, "id": f"urn:c:{number}"}, OPEN) for number in numbers]


async def test_the_bytes_of_entities_are_counted_by_owner(room):
    size = len(orjson.dumps(CAR))
    assert 125 < size <= 200
    async with room(each_bytes=250, largest=200) as kept:
        first, second = [await kept.world(await kept.make(ANN, "", f"urn:s:{n}", Wish())) for n in (1, 2)]
        await first.add(cars(1))
        with pytest.raises(TooLargeToKeep):
            await first.add(cars(2))
        with pytest.raises(OverQuota):
            await second.add(cars(1))
        others = await kept.world(await kept.make(BEN, "", "urn:s:3", Wish()))
        await others.add(cars(1))
        await kept.remove(ANN, "", "urn:s:1")
        await second.add(cars(1))
        assert [one for one, _ in second.broker.classes("")] == ["urn:c:1"]


@pytest.fixture(params=[False, True], ids=["memory", "files"])
def lasting(request, tmp_path):
    """Where snapshots outlive a city."""
    return Kept(SqliteSnapshotStores(tmp_path / "snapshots") if request.param else None)


async def test_a_restart_finds_what_was_kept_and_written(lasting):
    async with lasting.running() as kept:
        made = await kept.make(ANN, "", "urn:s:1", Wish(queries=({"type": "Query"},), priority=7))
        world = await kept.world(made)
        await world.add(cars(1, 2))
        made.details.append({"resultStatus": "success"})
        made.settle()
        await kept.settled(made)
        await world.broker.delete(CITY, "urn:c:1")
        await world.broker.create(CITY, {**CAR, "id": "urn:c:3"})
        told = world.broker.retrieve(CITY, "urn:c:3")
    async with lasting.running() as kept:
        assert kept.get("", "urn:s:1") == made
        world = await kept.look("", "urn:s:1")
        assert [one for one, _ in world.broker.classes("")] == ["urn:c:2", "urn:c:3"]
        assert world.broker.retrieve(CITY, "urn:c:3") == told
        assert world.temporal.knows_tenant(CITY, "")
        assert world.temporal.visible_of(CITY, ["urn:c:1", "urn:c:4"]) == ["urn:c:1"]
        await kept.remove(ANN, "", "urn:s:1")
    assert lasting.stores.names() == []
    async with lasting.running() as kept:
        assert ids(kept) == []


async def test_what_was_being_made_when_the_city_ended_is_a_failure_and_says_why(lasting):
    async with lasting.running() as kept:
        made = await kept.make(ANN, "", "urn:s:1", Wish(queries=(1, 2), temporal_queries=(3,)))
        await (await kept.world(made)).add(cars(1))
        made.details.append({"resultStatus": "success"})
    async with lasting.running() as kept:
        found = kept.get("", "urn:s:1")
        assert found.status == "failure"
        failures = [*found.details, *found.temporal_details]
        assert len(failures) == 3
        assert {one["problemDetails"]["hint"] for one in failures} == {"Make it anew."}
        assert lasting.telling.told == [("urn:s:1", "failure")]
        assert list((await kept.look("", "urn:s:1")).broker.classes("")) == []


async def test_a_restart_counts_what_is_kept_and_removes_what_belongs_to_nothing(lasting):
    async with lasting.running() as kept:
        made = await kept.make(ANN, "", "urn:s:1", Wish())
        await (await kept.world(made)).add(cars(1))
        made.settle()
        await kept.settled(made)
    lasting.stores.open("0" * 32).close()
    assert len(lasting.stores.names()) == 2
    async with lasting.running(OfSnapshots(each_bytes=200)) as kept:
        assert lasting.stores.names() == [made.name]
        with pytest.raises(OverQuota):
            await (await kept.look("", "urn:s:1")).add(cars(2))
        other = await kept.world(await kept.make(BEN, "", "urn:s:2", Wish()))
        await other.add(cars(2))


async def test_a_snapshot_that_ends_while_it_is_filled_stays_gone(room):
    async with room() as kept:
        made = await kept.make(ANN, "", "urn:s:1", Wish())
        world = await kept.world(made)
        await kept.remove(ANN, "", "urn:s:1")
        with pytest.raises((ResourceNotFound, NotReady)):
            await world.add(cars(1))
        await kept.settled(made)
        assert ids(kept) == []
        with pytest.raises(ResourceNotFound):
            await kept.world(made)


async def test_a_snapshot_whose_file_is_gone_is_forgotten(lasting):
    async with lasting.running() as kept:
        made = await kept.make(ANN, "", "urn:s:1", Wish())
        await (await kept.world(made)).add(cars(1))
        made.settle()
        await kept.settled(made)
    lasting.stores.remove(made.name)
    async with lasting.running() as kept:
        assert ids(kept) == []
    assert lasting.register.load("snapshot") == []


async def test_a_copy_that_finds_no_room_half_way_is_left_empty(lasting, monkeypatch):
    monkeypatch.setattr(world_of_snapshots, "_PAGE", 1)
    async with lasting.running(OfSnapshots(each_bytes=450)) as kept:
        first = await kept.make(ANN, "", "urn:s:1", Wish())
        await (await kept.world(first)).add(cars(1, 2))
        second = await kept.make(ANN, "", "urn:s:2", Wish())
        with pytest.raises(OverQuota):
            await kept.copy(first, second)
        assert list((await kept.world(second)).broker.classes("")) == []
        await (await kept.world(second)).add(cars(3))


async def test_a_feed_that_a_restart_reads_again_forgets_nothing():
    feed = MemoryFeed()
    async with Kept().running() as kept:
        world = await kept.world(await kept.make(ANN, "", "urn:s:1", Wish()))
        await world.add(cars(1, 2))
        copy_feed(world.feed, BoundedFeed(feed, lambda _: None))
    assert BoundedFeed(feed, lambda _: None).trim(1) == 0
    assert [one.sequence for one in feed.read(0, 10)] == [1, 2]


@pytest.mark.parametrize("owner", [None, ANN, Actor("ann", permissions=frozenset({"subscriptions:edit"}))])
async def test_only_who_may_still_have_something_sent_is_told(owner):
    sent = []

    class Noting:
        async def dispatch(self, kept, body):
            sent.append((kept.owner, orjson.loads(body)["snapshotId"]))
            return 200

    telling = Telling(Noting(), lambda _: owner)
    wish = Wish(endpoint=Endpoint("https://told.example/"))
    telling.tell(snapshot_of("urn:s:1", "", "ann", "name", wish))
    await asyncio.gather(*telling._sending)
    assert sent == ([("ann", "urn:s:1")] if owner and owner.may("subscriptions:edit") else [])


async def test_a_snapshot_ends_when_its_time_is_over_and_what_was_subscribed_to_with_it():
    lasting = Kept()
    async with lasting.running() as kept:
        stays = await kept.make(ANN, "", "urn:s:1", Wish())
        gone = await kept.make(ANN, "", "urn:s:2", Wish(lifetime=timedelta(milliseconds=20)))
        async with asyncio.timeout(20):
            while not lasting.subscribers.over:
                await asyncio.sleep(0.01)
        assert lasting.subscribers.over == [gone.place]
        assert ids(kept) == [stays.id]
        # Who wishes for another end is heard.
        await kept.change(ANN, "", stays.id, Wish(lifetime=timedelta(milliseconds=20)))
        async with asyncio.timeout(20):
            while len(lasting.subscribers.over) < 2:
                await asyncio.sleep(0.01)
    assert not lasting.subscribers.open


async def test_what_became_secret_in_the_city_tells_nothing_by_what_is_linked_to_it():
    """A subscription at intervals asks what matches, without anybody looking into the snapshot."""
    camera, road = "urn:ngsi-ld:Camera:1", "urn:ngsi-ld:Road:1"
    made = Kept()
    asking = Actor("ann", clearance=frozenset({InformationClass.OPEN}))
    by_link = EntityQuery(q=parse_q("watchedBy{mode}==7"))
    async with made.running() as kept:
        city = kept._city
        made.subscribers.enter = (places := Places(city)).enter
        await city.create(CITY, entity("Camera", camera, {"mode": prop(7)}))
        await city.create(CITY, entity("Road", road, {"watchedBy": rel(camera)}))
        snapshot = await kept.make(ANN, "", "urn:s:1", Wish())
        world = await kept.world(snapshot)
        whole = [(city.find(CITY, one), InformationClass.OPEN) for one in (camera, road)]
        await world.add(whole)
        found = await places.search(asking, by_link, tenant=snapshot.place)
        assert [one["id"] for one in found.documents] == [road]
        await city.classify(CITY, camera, InformationClass.SECURITY)
        assert (await places.search(asking, by_link, tenant=snapshot.place)).documents == []
