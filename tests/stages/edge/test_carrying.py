"""From the feed of an edge to the Entities of its centre: what goes up, once, and what is parked."""

from __future__ import annotations

import asyncio
import threading
import zlib

import msgspec
import orjson
import pytest

from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.adapters.memory.parked_readings import MemoryParkedStore
from cityloom.adapters.memory.register import MemoryRegister
from cityloom.adapters.memory.state_table import MemoryStateTable
from cityloom.context.broker import Broker
from cityloom.context.classes import ClassPolicy
from cityloom.edge import forwarding as forwarding_module
from cityloom.edge.forwarding import Forwarding, Upward
from cityloom.edge.model import MOST_BYTES_OF_ONE, Batch, Brought, Grant, goes_up, node_id, standing_of
from cityloom.edge.packing import incoming_of, pack, unpack
from cityloom.edge.ports import LineDown
from cityloom.edge.receiving import Receiving
from cityloom.edge.remembered import PastAlone
from cityloom.history.model import Series, SeriesKey
from cityloom.kernel.actor import CITY, Actor, InformationClass
from cityloom.kernel.change import DEFAULT_TENANT, ChangeKind
from cityloom.kernel.errors import BadInput, NotAllowed, NotReady
from cityloom.kernel.time import WallClock, now_millis
from cityloom.ngsild.model import entity, prop
from cityloom.ngsild.parse import parse_entity
from cityloom.sensing.parked import ParkedReadings

OPEN, INTERNAL, SECURITY = InformationClass
SHIP = Actor("ship", "Ship", permissions=frozenset({"edge:bring"}), clearance=frozenset({OPEN, INTERNAL}))


class Centre:
    """A centre in memory, and the line to it. While `down`, nothing arrives; `swallows` answers."""

    address = "https://centre.example"

    def __init__(self, grant: Grant | None = None, classes: ClassPolicy | None = None) -> None:
        self.feed, self.table = MemoryFeed(), MemoryStateTable()
        self.broker = Broker(self.feed, self.table, WallClock(), classes)
        self.parked = ParkedReadings(MemoryParkedStore())
        #: What history knows of, where a test has any.
        self.past: list[Series] = []
        self.receiving = Receiving(
            self.broker,
            self.parked,
            {"ship": grant or Grant()},
            WallClock(),
            name_of=str,
            past=PastAlone(self, self.caught_up),
        )
        self.down = False
        self.swallows = 0
        #: All that ever came over the line, unpacked.
        self.heard = b""

    def series(self, actor, target, *, whole=False):
        return [one for one in self.past if one.key.entity_id in target]

    async def caught_up(self) -> None:
        pass

    async def bring(self, batch: Batch):
        if self.down:
            raise LineDown("it is cut", hint="")
        packed = pack(batch)
        self.heard += zlib.decompress(packed)
        answer = await self.receiving.receive(SHIP, unpack(packed))
        if self.swallows:
            self.swallows -= 1
            raise LineDown("no answer", hint="")
        return answer

    def standing(self):
        return standing_of(self.broker.find(CITY, node_id("ship")), "ship")


class Edge:
    def __init__(self, centre: Centre, most_waiting: int = 10_000) -> None:
        self.feed, self.register = MemoryFeed(), MemoryRegister()
        self.broker = Broker(self.feed, MemoryStateTable(), WallClock())
        upward = Upward(frozenset(), frozenset({OPEN, INTERNAL}), most_waiting)
        self.forwarding = Forwarding(centre, upward, self.broker, self.feed, self.register)

    async def start(self):
        await self.broker.start()
        await self.forwarding.start()

    async def write(self, number: int, value: float, secrecy: InformationClass = OPEN):
        buoy = entity("Buoy", f"urn:ngsi-ld:Buoy:{number}", {"level": prop(value)})
        await self.broker.upsert(CITY, buoy, information_class=secrecy)

    async def arrived(self):
        async with asyncio.timeout(20):
            await self.broker.caught_up()

    async def stop(self):
        await self.forwarding.stop()
        await self.broker.stop()


@pytest.fixture
async def pair(monkeypatch):
    monkeypatch.setattr(forwarding_module, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(forwarding_module, "LAST_PAUSE", 0.01)
    centre = Centre()
    edge = Edge(centre, most_waiting=1_000)
    await centre.broker.start()
    await edge.start()
    yield centre, edge
    await edge.stop()
    await centre.broker.stop()


def level(broker: Broker, number: int):
    found = broker.find(CITY, f"urn:ngsi-ld:Buoy:{number}")
    return found and found["attrs"]["level"][0]["value"]


async def test_an_answer_that_is_lost_brings_nothing_twice(pair):
    centre, edge = pair
    centre.swallows = 3
    for value in range(5):
        await edge.write(1, value)
    await edge.arrived()
    written = [one for one in centre.feed.read(0, 1000) if one.entity_id == "urn:ngsi-ld:Buoy:1"]
    assert [orjson.loads(one.document)["attrs"]["level"][0]["value"] for one in written] == [0, 1, 2, 3, 4]
    assert {one.by for one in written} == {"ship"}
    assert written[0].trace == "edge:ship:1 city"
    here = edge.broker.raw(CITY, "urn:ngsi-ld:Buoy:1")
    assert centre.broker.raw(CITY, "urn:ngsi-ld:Buoy:1") == here


async def test_what_the_centre_has_deleted_since_is_not_brought_back_by_a_repetition(pair):
    centre, _ = pair
    batch = Batch("a life", 0, 1, now_millis(), (change(1, buoy()),))
    await centre.bring(batch)
    await centre.broker.delete(CITY, "urn:ngsi-ld:Buoy:1")
    assert (await centre.bring(batch)).received == 1
    assert centre.broker.find(CITY, "urn:ngsi-ld:Buoy:1") is None


@pytest.mark.parametrize(
    "grant",
    [
        Grant(types=frozenset({"Bell"})),
        Grant(ids=("urn:ngsi-ld:Buoy:2",)),
        Grant(classes=frozenset({SECURITY})),
    ],
)
async def test_what_is_not_granted_is_parked(grant):
    centre = Centre(grant)
    await centre.broker.start()
    await centre.bring(Batch("a life", 0, 1, now_millis(), (change(1, buoy()),)))
    assert centre.broker.find(CITY, "urn:ngsi-ld:Buoy:1") is None
    assert (centre.standing().parked, await centre.parked.count(CITY)) == (1, 1)
    await centre.broker.stop()


async def test_how_far_an_edge_has_come_stands_with_what_it_brought(pair):
    centre, edge = pair
    await edge.write(1, 1.0)
    await edge.arrived()
    # Whatever part of the feed survives: the mark is never ahead of what it counts.
    for last in range(centre.feed.last_sequence() + 1):
        kept = [one for one in centre.feed.read(0, 1000) if one.sequence <= last]
        marks = [one for one in kept if one.entity_id == node_id("ship")]
        received = orjson.loads(marks[-1].document)["attrs"]["received"][0]["value"] if marks else 0
        assert received <= sum(one.entity_id == "urn:ngsi-ld:Buoy:1" for one in kept)


async def test_what_is_secret_never_goes_over_the_line(pair):
    centre, edge = pair
    await edge.write(7, 41.25, SECURITY)
    await edge.write(1, 1.0)
    await edge.arrived()
    assert b"Buoy:1" in centre.heard
    assert b"Buoy:7" not in centre.heard
    # What becomes secret is no longer told, and what the centre has of it is secret too.
    await edge.broker.classify(CITY, "urn:ngsi-ld:Buoy:1", SECURITY)
    await edge.write(1, 97.5, SECURITY)
    await edge.arrived()
    assert b"97.5" not in centre.heard
    assert centre.broker.class_of(CITY, "urn:ngsi-ld:Buoy:1") is SECURITY


async def test_what_waits_is_bounded_and_the_newest_state_arrives_all_the_same(pair):
    centre, edge = pair
    await edge.write(1, 0.0)
    await edge.arrived()
    centre.down = True
    await edge.write(2, 5.0)
    for value in range(1_500):
        await edge.write(1, float(value))
    async with asyncio.timeout(20):
        # It is bounded at each attempt, and these come while it is written to.
        while not edge.forwarding.line().given_up or edge.forwarding.line().waiting > 1_000:
            await asyncio.sleep(0.01)
    centre.down = False
    await edge.arrived()
    assert (level(centre.broker, 1), level(centre.broker, 2)) == (1_499.0, 5.0)
    assert centre.standing().given_up == edge.forwarding.line().given_up > 400


async def test_a_centre_that_was_set_back_gets_again_what_it_lost(pair):
    centre, edge = pair
    await edge.write(1, 1.0)
    await edge.arrived()
    await centre.broker.stop()
    restored = Centre()
    await restored.broker.start()
    centre.broker, centre.receiving, centre.feed = restored.broker, restored.receiving, restored.feed
    await edge.write(2, 2.0)
    await edge.arrived()
    assert (level(centre.broker, 1), level(centre.broker, 2)) == (1.0, 2.0)


async def test_an_edge_that_was_set_back_begins_a_new_life(pair):
    centre, edge = pair
    for value in range(3):
        await edge.write(1, float(value))
    await edge.arrived()
    life = centre.standing().life
    other = Edge(centre)
    other.register = edge.register
    other.forwarding = Forwarding(centre, other.forwarding._upward, other.broker, other.feed, edge.register)
    await other.start()
    for value in range(5):
        await other.write(2, float(value))
    await other.arrived()
    await other.stop()
    assert (level(centre.broker, 1), level(centre.broker, 2)) == (2.0, 4.0)
    assert centre.standing().life != life


async def test_what_is_too_large_keeps_nothing_else(pair):
    centre, edge = pair
    large = entity("Buoy", "urn:ngsi-ld:Buoy:8", {"note": prop("x" * MOST_BYTES_OF_ONE)})
    await edge.broker.create(CITY, large)
    await edge.write(1, 1.0)
    await edge.arrived()
    assert level(centre.broker, 1) == 1.0
    assert centre.broker.find(CITY, "urn:ngsi-ld:Buoy:8") is None


def change(sequence: int, document, **more) -> Brought:
    told = {"kind": 0, "information_class": OPEN, "at": now_millis(), "by": "city"} | more
    return Brought(
        sequence,
        "urn:ngsi-ld:Buoy:1",
        ("Buoy",),
        attributes=("level",),
        document=msgspec.Raw(orjson.dumps(document)),
        **told,
    )


def buoy(**instance):
    now = "2026-03-01T10:00:00Z"
    times = {"createdAt": now, "modifiedAt": now}
    item = {"type": "Property", "value": 1.0, **times, **instance}
    return {"id": "urn:ngsi-ld:Buoy:1", "type": ["Buoy"], **times, "attrs": {"level": [item]}}


@pytest.mark.parametrize(
    "document",
    [
        {},
        {**buoy(), "id": "urn:ngsi-ld:Buoy:2"},
        {**buoy(), "type": ["Alert"]},
        {**buoy(), "secret": 1},
        {**buoy(), "modifiedAt": "yesterday"},
        {**buoy(), "expiresAt": "never"},
        buoy(modifiedAt="2999-01-01T00:00:00Z"),
        buoy(type="Wish"),
        buoy(observedAt="yesterday"),
        buoy(type="Relationship"),
        buoy(attrs={"because": "me"}),
    ],
)
async def test_what_is_no_entity_is_parked_and_the_rest_goes_on(pair, document):
    centre, _ = pair
    fine = {**buoy(), "id": "urn:ngsi-ld:Buoy:5"}
    good = msgspec.structs.replace(change(2, fine), id="urn:ngsi-ld:Buoy:5")
    await centre.bring(Batch("a life", 0, 2, now_millis(), (change(1, document), good)))
    assert level(centre.broker, 5) == 1.0
    assert centre.broker.find(CITY, "urn:ngsi-ld:Buoy:1") is None
    assert (centre.standing().parked, centre.standing().received) == (1, 2)
    assert await centre.parked.count(CITY) == 1


async def test_what_was_written_in_the_future_waits_at_the_edge(pair):
    centre, _ = pair
    early = change(1, buoy(), at=now_millis() + 3_600_000)
    with pytest.raises(NotReady, match="ahead"):
        await centre.bring(Batch("a life", 0, 1, now_millis(), (early,)))
    assert centre.standing().received == 0


async def test_who_has_no_grant_or_no_permission_brings_nothing(pair):
    centre, _ = pair
    batch = Batch("a life", 0, 1, now_millis(), (change(1, buoy()),))
    stranger = msgspec.structs.replace(SHIP, id="stranger")
    for actor in (stranger, msgspec.structs.replace(SHIP, permissions=frozenset({"entities:write"}))):
        with pytest.raises(NotAllowed):
            await centre.receiving.receive(actor, batch)
    assert centre.broker.find(CITY, "urn:ngsi-ld:Buoy:1") is None


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"nothing packed",
        pack(Batch("life", 0, 0, 1))[:-4],
        zlib.compress(b"[]"),
        zlib.compress(b" " * 100_000_000),
        zlib.compress(b'{"life":"a","after":3,"through":1,"at":1}'),
    ],
)
def test_what_cannot_be_unpacked_within_bounds_is_refused(packed):
    with pytest.raises(BadInput):
        unpack(packed)


def test_what_belongs_to_a_room_goes_up_only_by_name():
    assert goes_up(["Buoy"], frozenset())
    assert not goes_up(["Alert"], frozenset())
    assert goes_up(["Device"], frozenset({"Device"}))
    assert not goes_up(["EdgeNode"], frozenset({"EdgeNode"}))


async def test_everything_that_an_entity_can_say_arrives_as_it_was_said(pair):
    centre, edge = pair
    said = parse_entity(
        {
            "id": "urn:ngsi-ld:Buoy:4",
            "type": ["Buoy", "https://example.org/Mark"],
            "scope": ["/sea/north"],
            "expiresAt": "2999-01-01T00:00:00Z",
            "level": [
                {
                    "type": "Property",
                    "value": 1.5,
                    "unitCode": "MTR",
                    "observedAt": "2026-03-01T10:00:00.250Z",
                    "accuracy": {"type": "Property", "value": 0.1, "by": {"object": "urn:ngsi-ld:Hand:1"}},
                },
                {"type": "Property", "value": 2, "datasetId": "urn:ngsi-ld:Dataset:b"},
            ],
            "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [9.0, 56.0]}},
            "near": {
                "type": "Relationship",
                "object": ["urn:ngsi-ld:A:1", "urn:ngsi-ld:A:2"],
                "objectType": "A",
            },
            "name": {"type": "LanguageProperty", "languageMap": {"en": "Buoy", "da": "Bøje"}},
            "kind": {"type": "VocabProperty", "vocab": "https://example.org/lit"},
            "raw": {"type": "JsonProperty", "json": {"a": [1, {"b": None}]}},
            "list": {"type": "ListProperty", "valueList": [1, "two"]},
            "lists": {"type": "ListRelationship", "objectList": ["urn:ngsi-ld:A:1"]},
            "brief": {"type": "Property", "value": 1, "expiresAt": "2999-01-01T00:00:00Z"},
            "https://example.org/far": {"type": "Property", "value": {"@type": "x", "deep": [[]]}},
        }
    )
    await edge.broker.create(CITY, said)
    await edge.broker.append(CITY, said["id"], parse_entity({**_head(said), "level": 3}, fragment=True))
    await edge.broker.delete_attribute(CITY, said["id"], "raw")
    await edge.arrived()
    parked = await centre.parked.newest(msgspec.structs.replace(CITY, permissions=frozenset({"parked:read"})))
    assert [(one.reason, one.where) for one in parked] == []
    there, here = (orjson.loads(one.broker.raw(CITY, said["id"])) for one in (centre, edge))
    for document in (there, here):
        for items in document["attrs"].values():
            items.sort(key=lambda item: item.get("datasetId", ""))
    assert there == here


def _head(document):
    return {"id": document["id"], "type": document["type"]}


def _named(change_: Brought, **said) -> Brought:
    return msgspec.structs.replace(change_, **said)


@pytest.mark.parametrize(
    ("kind", "types", "told"),
    [
        (ChangeKind.UPDATED, ("Buoy",), True),
        (ChangeKind.DELETED, ("Buoy",), True),
        # Told by its class alone: it would become too secret for everybody.
        (ChangeKind.UPDATED, ("Buoy",), False),
        (ChangeKind.UPDATED, (), False),
        (ChangeKind.PAST, ("Buoy",), True),
        (ChangeKind.PAST, (), True),
    ],
)
async def test_what_stands_here_is_of_its_own_types_whatever_a_change_says(kind, types, told):
    centre = Centre(Grant(types=frozenset({"Buoy"})))
    await centre.broker.start()
    await centre.broker.create(CITY, entity("Lighthouse", "urn:ngsi-ld:Buoy:1", {"level": prop(5)}))
    before = centre.broker.raw(CITY, "urn:ngsi-ld:Buoy:1")
    document = {"attrs": buoy()["attrs"], "erase": []} if kind is ChangeKind.PAST else buoy(value=9.0)
    brought = _named(change(1, document), kind=int(kind), types=types)
    if not told:
        brought = _named(brought, document=msgspec.Raw(b"null"), information_class=SECURITY)
    await centre.bring(Batch("a life", 0, 1, now_millis(), (brought,)))
    assert centre.broker.raw(CITY, "urn:ngsi-ld:Buoy:1") == before
    assert centre.broker.class_of(CITY, "urn:ngsi-ld:Buoy:1") is OPEN
    written = [one.kind for one in centre.feed.read(0, 1000) if one.entity_id == "urn:ngsi-ld:Buoy:1"]
    assert written == [ChangeKind.CREATED]
    assert (centre.standing().parked, centre.standing().received) == (1, 1)
    await centre.broker.stop()


@pytest.mark.parametrize("kind", [ChangeKind.PAST, ChangeKind.UPDATED, ChangeKind.DELETED])
async def test_what_the_past_alone_has_is_of_its_own_types_and_class(kind):
    centre = Centre(Grant(types=frozenset({"Buoy"})))
    await centre.broker.start()
    gone = "urn:ngsi-ld:Buoy:1"
    past = {"attrs": buoy()["attrs"], "erase": []}
    if kind is ChangeKind.UPDATED:
        # Buried here after it was written there: what comes of it goes into the past.
        await centre.bring(Batch("a life", 0, 1, now_millis(), (change(1, buoy()),)))
        later = _named(change(2, buoy(), at=now_millis()), kind=int(ChangeKind.DELETED))
        await centre.bring(Batch("a life", 1, 2, now_millis(), (later,)))
        assert centre.broker.find(CITY, gone) is None
    before = centre.broker.last_sequence
    said = change(3, past if kind is ChangeKind.PAST else buoy(value=9.0))
    brought = _named(said, kind=int(kind))

    async def written(information_class, *types):
        key = SeriesKey(DEFAULT_TENANT, gone, "level", "", "Property", "")
        centre.past = [Series(1, key, types, information_class)]
        await centre.bring(Batch(str((*types, information_class)), 0, 3, now_millis(), (brought,)))
        told = centre.feed.read(before, 1000)
        return [one for one in told if one.entity_id == gone]

    assert await written(OPEN, "Notice") == []
    assert await written(SECURITY, "Buoy") == []
    assert centre.standing().parked == 2
    if kind is ChangeKind.PAST:
        (told,) = await written(INTERNAL, "Buoy")
        assert (told.types, told.information_class) == (("Buoy",), INTERNAL)
    await centre.broker.stop()


async def test_an_edge_does_not_say_how_another_one_stands():
    centre = Centre(Grant(types=frozenset({"Command"})))
    await centre.broker.start()
    await centre.bring(Batch("a life", 0, 7, now_millis()))
    forged = {**buoy(value=0), "id": node_id("ship"), "type": ["Command"]}
    forged["attrs"]["received"] = forged["attrs"].pop("level")
    brought = _named(
        change(8, forged), id=node_id("ship"), types=("Command",), attributes=("received",), kind=1
    )
    await centre.bring(Batch("a life", 7, 8, now_millis(), (brought,)))
    found = centre.broker.find(CITY, node_id("ship"))
    assert (found["type"], centre.standing().received, centre.standing().parked) == (["EdgeNode"], 8, 1)
    await centre.broker.stop()


@pytest.mark.parametrize(
    "said",
    [
        {"life": "x" * 1_000},
        {"life": ""},
        {"at": 10**17},
        {"at": -1},
        {"waiting": 2**70},
        {"given_up": -1},
        {"through_at": 2**70},
        {"through": 2**70},
        {"changes": (Brought(2**70, "urn:ngsi-ld:Buoy:1", ("Buoy",), 0, OPEN, 1, "city"),)},
        {"changes": (Brought(1, "urn:ngsi-ld:Buoy:1", ("Buoy",), 0, OPEN, -(10**17), "city"),)},
    ],
)
def test_figures_out_of_all_bounds_are_refused(said):
    with pytest.raises(BadInput):
        unpack(pack(msgspec.structs.replace(Batch("life", 0, 1, 1), **said)))


@pytest.mark.parametrize(
    ("member", "text"),
    [
        ('"value":1.0', b'"value":"\xff"'),
        ('"value":1.0', b'"value":1e999'),
        ('"type":"Property","value":1.0', b'"type":"VocabProperty","vocab":{"a":1}'),
        ('"type":"Property","value":1.0', b'"type":"ListRelationship","objectList":5'),
        ('"value":1.0', b'"value":1.0,"valueType":{"a":1}'),
    ],
)
async def test_what_no_document_can_hold_is_parked_and_the_rest_goes_on(pair, member, text):
    centre, _ = pair
    wrong = orjson.dumps(buoy()).replace(member.encode(), text)
    assert text in wrong
    fine = _named(change(2, {**buoy(), "id": "urn:ngsi-ld:Buoy:5"}), id="urn:ngsi-ld:Buoy:5")
    batch = Batch(
        "a life", 0, 2, now_millis(), (_named(change(1, buoy()), document=msgspec.Raw(wrong)), fine)
    )
    await centre.receiving.receive(SHIP, batch)
    assert level(centre.broker, 5) == 1.0
    assert (centre.standing().parked, centre.standing().received) == (1, 2)


async def test_what_is_brought_of_the_past_is_no_less_secret_than_the_rules_here_say():
    centre = Centre(classes=ClassPolicy({"Buoy": INTERNAL}))
    await centre.broker.start()
    past = _named(change(1, {"attrs": buoy()["attrs"], "erase": []}), kind=int(ChangeKind.PAST))
    await centre.bring(Batch("a life", 0, 1, now_millis(), (past,)))
    (written,) = (one for one in centre.feed.read(0, 1000) if one.kind is ChangeKind.PAST)
    assert written.information_class is INTERNAL
    await centre.broker.stop()


async def test_what_is_parked_tells_no_secret_to_who_reads_what_is_parked(pair):
    centre, _ = pair
    secret = _named(change(1, buoy(value=41.25)), information_class=SECURITY)
    plain = _named(change(2, buoy(value=97.5)), types=("Bell",))
    await centre.bring(Batch("a life", 0, 2, now_millis(), (secret, plain)))
    reader = msgspec.structs.replace(CITY, permissions=frozenset({"parked:read"}))
    bodies = b"".join(one.body for one in await centre.parked.newest(reader))
    assert b"97.5" in bodies and b"41.25" not in bodies


async def test_what_an_edge_brings_is_read_beside_the_event_loop(pair, monkeypatch):
    centre, edge = pair
    read_by = set()
    monkeypatch.setattr(
        "cityloom.edge.receiving.incoming_of",
        lambda *given, **more: read_by.add(threading.get_ident()) or incoming_of(*given, **more),
    )
    await edge.write(1, 7)
    await edge.arrived()
    assert level(centre.broker, 1) == 7
    assert read_by and threading.get_ident() not in read_by


async def test_an_edge_is_told_what_its_centre_parked_and_nothing_of_what_it_may_not_know(pair):
    centre, edge = pair
    await centre.broker.upsert(
        CITY, entity("Buoy", "urn:ngsi-ld:Buoy:9", {"level": prop(1)}), information_class=SECURITY
    )
    await edge.write(9, 7)
    await edge.write(1, 7)
    await edge.arrived()
    line = edge.forwarding.line()
    assert (line.parked, centre.standing().parked) == (1, 1)
    (told,) = line.not_taken
    assert told.id == "urn:ngsi-ld:Buoy:9" and "security" not in told.why and "operator" in told.why
    assert level(centre.broker, 1) == 7


async def test_an_edge_is_told_why_what_it_brought_is_none(pair):
    centre, _edge = pair
    wrong = Brought(1, "urn:ngsi-ld:Buoy:1", ("Buoy",), 0, OPEN, now_millis(), "x", (), msgspec.Raw(b"{}"))
    answer = await centre.receiving.receive(
        SHIP, Batch("life", 0, 1, now_millis(), (wrong,)), token_ends=1_800_000_000_000
    )
    assert answer.parked == len(answer.not_taken) == 1
    assert "document" in answer.not_taken[0].why
    assert answer.token_ends == centre.standing().token_ends == 1_800_000_000_000
