"""Queries: the indices must give what looking at every document gives."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cityloom.context import consumption, querying
from cityloom.context.querying import TURN, _needles
from cityloom.kernel.actor import ANONYMOUS, CITY, InformationClass
from cityloom.ngsild.geo_query import parse_geo_query
from cityloom.ngsild.model import DEFAULT_VOCABULARY, entity, geo, point, prop, rel, text
from cityloom.ngsild.ordering import OrderBy, in_order
from cityloom.ngsild.q_language import parse_q
from cityloom.ngsild.query import EntityQuery, EntitySelector, compile
from cityloom.ngsild.type_selection import parse_type_selection

SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]]]}


def types(expression: str) -> EntityQuery:
    return EntityQuery(type_expression=parse_type_selection(expression), limit=1000, count=True)


def ids(page) -> list[str]:
    return [document["id"] for document in page.documents]


async def fill(broker, count: int = 6):
    for number in range(count):
        await broker.create(
            CITY,
            entity(
                "Road" if number % 2 else "Park",
                f"urn:ngsi-ld:Thing:{number}",
                {"speed": prop(float(number)), "location": point(float(number), 1.0)},
            ),
            information_class=InformationClass.SECURITY if number == 3 else InformationClass.OPEN,
        )


async def test_query_by_type_pages_in_the_order_of_creation(broker):
    await fill(broker)
    query = EntityQuery(type_expression=parse_type_selection("Road|Park"), limit=2, offset=1, count=True)
    page = broker.query(CITY, query)
    assert ids(page) == ["urn:ngsi-ld:Thing:1", "urn:ngsi-ld:Thing:2"]
    assert page.total == 6


async def test_query_counts_only_what_the_actor_may_see(broker):
    await fill(broker)
    assert broker.query(CITY, types("Road")).total == 3
    assert broker.query(ANONYMOUS, types("Road")).total == 2
    assert broker.query(ANONYMOUS, EntityQuery(count=True)).total == 5
    assert broker.query(ANONYMOUS, EntityQuery(ids=("urn:ngsi-ld:Thing:3",), count=True)).total == 0
    near = EntityQuery(geo=parse_geo_query("within", "Polygon", SQUARE["coordinates"]), count=True)
    assert broker.query(ANONYMOUS, near).total == broker.query(CITY, near).total - 1


async def test_query_without_count_tells_no_total(broker):
    await fill(broker)
    assert broker.query(CITY, EntityQuery(q=parse_q("speed>1"))).total is None


async def test_query_with_limit_zero_only_counts(broker):
    await fill(broker)
    page = broker.query(CITY, EntityQuery(q=parse_q("speed>1"), limit=0, count=True))
    assert (page.documents, page.total) == ([], 4)


async def test_query_by_several_types_names_an_entity_of_both_once(broker):
    document = entity("Road", "urn:ngsi-ld:Thing:1", {})
    document["type"] = ["Road", "Park"]
    await broker.create(CITY, document)
    page = broker.query(CITY, types("Road|Park"))
    assert (ids(page), page.total) == (["urn:ngsi-ld:Thing:1"], 1)


async def test_query_follows_relationships_only_to_what_the_actor_may_see(broker):
    await broker.create(CITY, entity("Gate", "urn:ngsi-ld:Gate:1", {"owner": prop("x")}))
    await broker.create(CITY, entity("Road", "urn:ngsi-ld:Road:1", {"gate": rel("urn:ngsi-ld:Gate:1")}))
    query = EntityQuery(q=parse_q('gate{owner}=="x"'), count=True)
    assert broker.query(ANONYMOUS, query).total == 1
    await broker.classify(CITY, "urn:ngsi-ld:Gate:1", InformationClass.SECURITY)
    assert broker.query(ANONYMOUS, query).total == 0
    assert broker.query(CITY, query).total == 1


async def test_query_by_order_sorts_before_it_pages(broker):
    await fill(broker)
    query = EntityQuery(order_by=(OrderBy("speed", "desc"),), limit=2, offset=1, count=True)
    page = broker.query(CITY, query)
    assert ids(page) == ["urn:ngsi-ld:Thing:4", "urn:ngsi-ld:Thing:3"]
    assert page.total == 6


async def test_query_sees_where_an_entity_has_moved_to(broker):
    await fill(broker, 1)
    here = EntityQuery(geo=parse_geo_query("near;maxDistance==1000", "Point", [0.0, 1.0]), count=True)
    there = EntityQuery(geo=parse_geo_query("near;maxDistance==1000", "Point", [50.0, 1.0]), count=True)
    assert (broker.query(CITY, here).total, broker.query(CITY, there).total) == (1, 0)
    await broker.update(CITY, "urn:ngsi-ld:Thing:0", {"attrs": {"location": [point(50.0, 1.0)]}})
    assert (broker.query(CITY, here).total, broker.query(CITY, there).total) == (0, 1)
    await broker.delete_attribute(CITY, "urn:ngsi-ld:Thing:0", "location")
    assert broker.query(CITY, there).total == 0


@pytest.mark.parametrize("again", [False, True])
async def test_query_forgets_where_a_deleted_entity_was(broker, again):
    await fill(broker, 2)
    here = EntityQuery(geo=parse_geo_query("within", "Polygon", SQUARE["coordinates"]), count=True)
    await broker.delete(CITY, "urn:ngsi-ld:Thing:1")
    if again:
        await broker.create(CITY, entity("Road", "urn:ngsi-ld:Thing:9", {"location": point(2.0, 2.0)}))
    assert broker.query(CITY, here).total == (1 if again else 0)


async def roads(broker, count: int, speed: float):
    await broker.upsert_many(
        CITY,
        [entity("Road", f"urn:ngsi-ld:Road:{number}", {"speed": prop(speed)}) for number in range(count)],
        update=True,
    )


async def test_search_gives_others_their_turn(broker):
    await roads(broker, 3 * TURN, 1.0)
    searching = asyncio.ensure_future(
        broker.search(CITY, EntityQuery(q=parse_q("speed==1"), limit=1, count=True))
    )
    await asyncio.sleep(0)
    assert not searching.done()
    assert (await searching).total == 3 * TURN


async def test_search_gives_others_their_turn_when_few_documents_take_long(broker, monkeypatch):
    await fill(broker, 5)
    monkeypatch.setattr(querying, "TURN_SECONDS", 0.0)
    searching = asyncio.ensure_future(broker.search(CITY, EntityQuery(q=parse_q("speed>=0"), count=True)))
    turns = 0
    while not searching.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns >= 5
    assert (await searching).total == 5


async def test_each_gives_others_their_turn_and_tells_the_moment_it_began(broker):
    await roads(broker, 3 * TURN, 1.0)
    seen = []

    async def look() -> None:
        seen.extend([document async for document in broker.each(CITY)])

    looking = asyncio.ensure_future(look())
    await asyncio.sleep(0)
    assert not looking.done()
    await roads(broker, 3 * TURN + 5, 2.0)
    await looking
    assert len(seen) == 3 * TURN


async def test_each_gives_others_their_turn_when_few_documents_take_long(broker, monkeypatch):
    await fill(broker, 5)
    monkeypatch.setattr(consumption, "TURN_SECONDS", 0.0)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.ensure_future(tick())
    assert len([document async for document in broker.each(CITY)]) == 5
    ticking.cancel()
    assert ticks >= 5


async def test_each_tells_what_the_actor_may_see_of_a_type_or_with_an_attribute(broker):
    await fill(broker)
    await broker.create(CITY, entity("Road", "urn:ngsi-ld:Road:1", {"width": prop(3.0)}))

    async def found(actor=CITY, **wanted) -> list[str]:
        return [document["id"].rpartition(":")[2] async for document in broker.each(actor, **wanted)]

    assert await found() == ["0", "1", "2", "3", "4", "5", "1"]
    assert await found(type_name="Road") == ["1", "3", "5", "1"]
    assert await found(ANONYMOUS, type_name="Road") == ["1", "5", "1"]
    assert await found(attribute="width") == ["1"]
    assert await found(tenant="elsewhere") == []


async def test_a_scan_answers_from_the_moment_it_began(broker):
    await roads(broker, 3 * TURN, 1.0)
    # Columns tell of no pattern of ids: each document is looked at.
    query = EntityQuery(q=parse_q("speed==1"), id_pattern="Road", limit=1, count=True)
    broker.query(CITY, query)
    steps = broker._answer(CITY, query, "")
    next(steps)
    await roads(broker, 3 * TURN + 5, 2.0)
    with pytest.raises(StopIteration) as done:
        while True:
            next(steps)
    assert done.value.value.total == 3 * TURN
    assert broker.query(CITY, query).total == 0


async def test_query_by_ids_names_each_once_oldest_first(broker):
    await fill(broker, 4)
    wanted = ("urn:ngsi-ld:Thing:2", "urn:ngsi-ld:Thing:1", "urn:ngsi-ld:Thing:2")
    page = broker.query(CITY, EntityQuery(ids=wanted, count=True))
    assert (ids(page), page.total) == (["urn:ngsi-ld:Thing:1", "urn:ngsi-ld:Thing:2"], 2)


async def test_query_by_types_together_wants_them_all(broker):
    await fill(broker, 2)
    assert broker.query(CITY, types("(Road;Gate)|(Park;Gate)")).total == 0


async def test_query_by_a_selector_of_any_type_looks_at_every_type(broker):
    await fill(broker, 4)
    selectors = (
        EntitySelector(type_expression=parse_type_selection("Road")),
        EntitySelector(id_pattern=":2$"),
    )
    assert broker.query(CITY, EntityQuery(selectors=selectors, count=True)).total == 3


@pytest.mark.parametrize(
    ("q", "needles"),
    [
        ("speed>1", [b'"speed":']),
        ("speed>1;name", [b'"speed":', b'"name":']),
        ("speed>1|name", []),
        ("!name", []),
        ('name=="a"', [b'"name":', b'"a"']),
        ('name!="a"', [b'"name":']),
        ('name=="a","b"', [b'"name":']),
        ('name=="a\\"b"', [b'"name":', b'"a\\"b"']),
        (f'name=="{DEFAULT_VOCABULARY}a"', [b'"name":']),
        ("name~=a", [b'"name":']),
        ('gate{owner}=="x"', [b'"gate":']),
        ("speed==1..2", [b'"speed":']),
    ],
)
def test_needles_are_what_every_match_must_contain(q, needles):
    assert _needles(EntityQuery(q=parse_q(q))) == needles


# The indices against a look at every document

EXAMPLES = itertools.count()
NAMES = ["speed", "name", "status", "location", "https://example.org/ns#odd"]
VALUES = st.one_of(
    st.integers(-2, 2).map(prop),
    st.sampled_from(["a", "b", 'with "quotes"', "æ"]).map(prop),
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=2).map(prop),
    st.sampled_from(["a", "b"]).map(lambda said: text(en=said)),
    st.sampled_from(["urn:ngsi-ld:Thing:1", "urn:ngsi-ld:Thing:2"]).map(rel),
    st.sampled_from(["a", "b"]).map(lambda term: {"type": "VocabProperty", "vocab": term}),
)
PLACES = st.one_of(
    st.tuples(st.integers(-5, 5), st.integers(-5, 5)).map(lambda at: point(float(at[0]), float(at[1]))),
    st.just(geo({"type": "LineString", "coordinates": [[-4, -4], [4.5, 4]]})),
    st.just(geo(SQUARE)),
)
ATTRIBUTES = st.dictionaries(
    st.sampled_from([name for name in NAMES if name != "location"]), VALUES, max_size=3
)
QS = [
    "speed>0",
    "speed==1;status",
    '(name=="a"|status=="b");speed',
    "!name",
    'name=="with \\"quotes\\""',
    'name=="æ"',
    'status!="a"',
    "name~=^a",
    f'status=="{DEFAULT_VOCABULARY}a"',
    "speed==-1..1",
    "createdAt>1990-01-01T00:00:00Z",
    'name=="urn:ngsi-ld:Thing:1"',
    'name[en]=="a"',
]
SELECTORS = [
    (),
    (
        EntitySelector(type_expression=parse_type_selection("Road")),
        EntitySelector(id_pattern=":1$"),
    ),
    (
        EntitySelector(type_expression=parse_type_selection("Road|Gate"), id_pattern="[02]$"),
        EntitySelector(type_expression=parse_type_selection("(Gate;Park)")),
    ),
]
GEOS = [
    ("within", "Polygon", SQUARE["coordinates"]),
    ("near;maxDistance==300000", "Point", [0.0, 0.0]),
    ("near;minDistance==300000", "Point", [0.0, 0.0]),
    ("disjoint", "Polygon", SQUARE["coordinates"]),
    ("intersects", "Polygon", SQUARE["coordinates"]),
    ("intersects", "Point", [2.0, 2.0]),
]


@st.composite
def documents(draw):
    made = []
    for number in range(draw(st.integers(0, 8))):
        attributes = draw(ATTRIBUTES)
        if draw(st.booleans()):
            attributes["location"] = draw(PLACES)
        document = entity("Thing", f"urn:ngsi-ld:Thing:{number}", attributes)
        document["type"] = draw(
            st.lists(st.sampled_from(["Road", "Park", "Gate"]), min_size=1, max_size=3, unique=True)
        )
        made.append((document, draw(st.sampled_from(list(InformationClass)))))
    return made


@st.composite
def queries(draw):
    order = draw(st.sampled_from([(), (OrderBy("speed"),), (OrderBy("id", "desc"),)]))
    return EntityQuery(
        ids=draw(st.sampled_from([(), ("urn:ngsi-ld:Thing:2", "urn:ngsi-ld:Thing:0", "urn:x")])),
        id_pattern=draw(st.sampled_from([None, None, "[13]$"])),
        type_expression=draw(
            st.sampled_from([None, *map(parse_type_selection, ["Road", "Road|Park", "(Road;Gate)|Park"])])
        ),
        selectors=draw(st.sampled_from(SELECTORS)),
        q=draw(st.sampled_from([None, *map(parse_q, QS)])),
        geo=draw(st.sampled_from([None, *(parse_geo_query(*one) for one in GEOS)])),
        attrs=draw(st.sampled_from([(), ("speed",), ("speed", "name")])),
        limit=draw(st.integers(0, 4)),
        offset=draw(st.integers(0, 3)),
        count=draw(st.booleans()),
        order_by=order,
    )


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=documents(), asked=st.lists(queries(), min_size=1, max_size=4))
async def test_query_gives_what_looking_at_every_document_gives(broker, made, asked):
    tenant = f"example{next(EXAMPLES)}"
    for document, information_class in made:
        await broker.create(CITY, document, information_class=information_class, tenant=tenant)
    for query in asked:
        for actor in (CITY, ANONYMOUS):
            seen = [
                broker.retrieve(actor, document["id"], tenant=tenant)
                for document, information_class in made
                if actor.sees(information_class)
            ]
            matches = in_order(filter(compile(query), seen), query.order_by)
            page = broker.query(actor, query, tenant=tenant)
            assert page.documents == matches[query.offset : query.offset + query.limit]
            assert page.total == (len(matches) if query.count else None)


@pytest.mark.parametrize("q", QS)
def test_every_q_of_the_property_above_can_be_read(q):
    assert parse_q(q) is not None


async def test_a_turn_is_not_used_up_by_waiting_for_the_processor(broker, monkeypatch):
    await fill(broker, 5)
    monkeypatch.setattr(querying, "perf_counter", itertools.count().__next__)

    def turns() -> int:
        return sum(1 for _ in broker._answer(CITY, EntityQuery(q=parse_q("speed>=0"), limit=5), ""))

    monkeypatch.setattr(querying, "thread_time", lambda: 0.0)
    assert turns() == 0
    monkeypatch.setattr(querying, "thread_time", itertools.count().__next__)
    assert turns() == 4
