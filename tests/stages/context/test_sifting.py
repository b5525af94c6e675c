"""Columns and places of the current state: under every change they tell what the documents tell."""

from __future__ import annotations

import itertools
from threading import Event, current_thread, main_thread

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cityloom.context import places, rows, sifting
from cityloom.context.places import Places
from cityloom.kernel.actor import ANONYMOUS, CITY, InformationClass
from cityloom.ngsild.geo_query import parse_geo_query
from cityloom.ngsild.model import entity, geo, point, prop
from cityloom.ngsild.ordering import OrderBy, in_order
from cityloom.ngsild.q_language import parse_q
from cityloom.ngsild.query import EntityQuery, compile
from cityloom.ngsild.type_selection import parse_type_selection

EXAMPLES = itertools.count()
SQUARE = [[[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]]]
WIDE = geo({"type": "LineString", "coordinates": [[-4, -4], [4.5, 4]]})


@pytest.fixture
def always_columns(monkeypatch):
    """Columns for the smallest partition, read row by row, and places sorted at every question."""
    monkeypatch.setattr(sifting, "WORTH_COLUMNS", 0)
    monkeypatch.setattr(sifting, "_FIRST_LOT", 2)
    monkeypatch.setattr(sifting, "_FIRST_NEAR", 1)
    monkeypatch.setattr(sifting, "_MANY_NEAR", 2)
    monkeypatch.setattr(rows, "_TURN", 2)
    monkeypatch.setattr(rows, "_MANY_FREE", 1)
    monkeypatch.setattr(places, "FEW", 0)


ids = st.integers(0, 7).map(lambda number: f"urn:ngsi-ld:Thing:{number}")
values = st.sampled_from([0, 1, 2.5, -3, "a", "b", True, ["a", 1], {"x": 1}])
spots = st.one_of(
    st.just(WIDE),
    st.tuples(st.floats(-5, 5), st.floats(-5, 5)).map(lambda at: point(round(at[0], 3), round(at[1], 3))),
)
kinds = st.lists(st.sampled_from(["Road", "Park"]), min_size=1, max_size=2, unique=True)


@st.composite
def changes(draw):
    what = draw(st.sampled_from(["write", "write", "write", "delete", "classify", "replace"]))
    attributes = {name: prop(draw(values)) for name in ("speed", "name") if draw(st.booleans())}
    if draw(st.booleans()):
        attributes["location"] = draw(spots)
    document = entity("Road", draw(ids), attributes)
    document["type"] = draw(kinds)
    return what, document, draw(st.sampled_from(list(InformationClass)))


@st.composite
def queries(draw):
    q = draw(st.sampled_from([None, "speed>0", "speed==1;name", 'name=="a"|speed<1', "!name", 'name!="b"']))
    georel = draw(
        st.sampled_from(
            [
                None,
                None,
                ("within", "Polygon", SQUARE),
                ("near;maxDistance==200000", "Point", [1.0, 1.0]),
                ("near;maxDistance==5000000", "Point", [1.0, 1.0]),
                ("intersects", "LineString", [[-5, -5], [5, 5]]),
                ("disjoint", "Polygon", SQUARE),
                ("intersects", "Polygon", SQUARE),
            ]
        )
    )
    return EntityQuery(
        type_expression=draw(
            st.sampled_from([None, *map(parse_type_selection, ["Road", "Road|Park", "(Road;Park)"])])
        ),
        q=None if q is None else parse_q(q),
        geo=None if georel is None else parse_geo_query(*georel),
        attrs=draw(st.sampled_from([(), (), ("speed",), ("speed", "name")])),
        limit=draw(st.integers(0, 4)),
        offset=draw(st.integers(0, 4)),
        count=draw(st.booleans()),
        order_by=draw(st.sampled_from([(), (), (OrderBy("speed"),)])),
    )


async def change(broker, tenant, what, document, information_class):
    standing = broker.find(CITY, document["id"], tenant=tenant)
    if standing is None:
        if what == "write":
            await broker.create(CITY, document, information_class=information_class, tenant=tenant)
    elif what == "delete":
        await broker.delete(CITY, document["id"], tenant=tenant)
    elif what == "classify":
        await broker.classify(CITY, document["id"], information_class, tenant=tenant)
    elif what == "replace":
        await broker.replace(CITY, document["id"], document, tenant=tenant)
    else:
        await broker.append(CITY, document["id"], document, tenant=tenant)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.one_of(changes(), queries()), min_size=4, max_size=40),
    last=st.lists(queries(), min_size=1, max_size=3),
)
async def test_columns_and_places_follow_every_change(always_columns, broker, steps, last):
    tenant, known = f"example{next(EXAMPLES)}", {}
    for step in [*steps, *last]:
        if not isinstance(step, EntityQuery):
            await change(broker, tenant, *step)
            known.setdefault(step[1]["id"], None)
            continue
        for actor in (CITY, ANONYMOUS):
            seen = [
                one for one in (broker.find(actor, one, tenant=tenant) for one in known) if one is not None
            ]
            seen.sort(key=lambda one: broker._state.find(tenant, one["id"], CITY.clearance).created)
            matches = in_order(filter(compile(step), seen), step.order_by)
            page = broker.query(actor, step, tenant=tenant)
            assert page.documents == matches[step.offset : step.offset + step.limit]
            assert page.total == (len(matches) if step.count else None)


boxes = st.one_of(
    st.none(),
    st.tuples(st.floats(-180, 180), st.floats(-90, 90)).map(lambda at: (*at, *at)),
    st.tuples(st.floats(-1, 1), st.floats(-1, 1)).map(lambda at: (*at, *at)),
    st.tuples(*[st.floats(-1, 1)] * 4).map(
        lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
    ),
)


@settings(max_examples=120, deadline=None)
@given(
    added=st.lists(boxes, max_size=30),
    moves=st.lists(st.tuples(st.integers(0, 29), boxes), max_size=20),
    asked=st.lists(st.tuples(boxes.filter(bool), st.integers(0, 5)), min_size=1, max_size=6),
    few=st.sampled_from([0, 3, 1000]),
    at_once=st.sampled_from([0, 1000]),
)
def test_places_find_what_looking_at_every_box_finds(added, moves, asked, few, at_once):
    before = places.FEW, places.SORTED_AT_ONCE
    places.FEW, places.SORTED_AT_ONCE = few, at_once
    try:
        found, naive = Places(), list(added)
        for row, box in enumerate(added):
            found.add(row, box)
        for bounds, several in asked:
            for row, box in moves[:several]:
                if row < len(naive):
                    found.move(row, box)
                    naive[row] = box
            moves = moves[several:]
            west, south, east, north = bounds
            assert found.within(bounds).tolist() == [
                row
                for row, box in enumerate(naive)
                if box and box[0] <= east and box[2] >= west and box[1] <= north and box[3] >= south
            ]
    finally:
        places.FEW, places.SORTED_AT_ONCE = before


def test_places_know_whether_all_of_them_are_points():
    found, point, wide = Places(), (9.0, 56.0, 9.0, 56.0), (9.0, 56.0, 9.1, 56.0)
    for row, box in enumerate((None, point)):
        found.add(row, box)
    assert found.are_points
    found.add(2, wide)
    assert not found.are_points
    for box, are_points in ((point, True), (wide, False), (wide, False), (None, True), (wide, False)):
        found.move(2, box)
        assert found.are_points is are_points


def test_many_places_are_sorted_in_a_thread_and_found_meanwhile(monkeypatch):
    monkeypatch.setattr(places, "FEW", 0)
    monkeypatch.setattr(places, "SORTED_AT_ONCE", 10)
    goes_on, sort = Event(), places._sorted

    def sort_slowly(boxes):
        assert current_thread() is not main_thread()
        assert goes_on.wait(10)
        return sort(boxes)

    monkeypatch.setattr(places, "_sorted", sort_slowly)
    found = Places()
    for row in range(100):
        found.add(row, (row / 10, 0.0, row / 10, 0.0))
    box = (0.0, 0.0, 0.15, 0.0)
    assert found.within(box).tolist() == [0, 1]
    found.move(50, (0.05, 0.0, 0.05, 0.0))
    assert found.candidates(box) is None
    assert found.within(box).tolist() == [0, 1, 50]
    goes_on.set()
    found._coming.result(10)
    found.move(60, (0.05, 0.0, 0.05, 0.0))
    assert found.candidates(box).tolist() == [0, 1, 50, 60]
    assert found.within(box).tolist() == [0, 1, 50, 60]


async def test_a_column_that_another_query_makes_is_not_taken_for_made(always_columns, broker):
    for number in range(9):
        await broker.create(CITY, entity("Road", f"urn:ngsi-ld:Thing:{number}", {"speed": prop(number)}))
    query = EntityQuery(q=parse_q("speed>=0"), count=True)
    making = broker._answer(CITY, query, "")
    next(making)
    assert broker.query(CITY, query).total == 9
    await broker.create(CITY, entity("Road", "urn:ngsi-ld:Thing:9", {"speed": prop(1)}))
    with pytest.raises(StopIteration) as done:
        while True:
            next(making)
    assert done.value.value.total == 10
    abandoned = broker._answer(CITY, EntityQuery(q=parse_q("speed.part>=0"), count=True), "")
    next(abandoned)
    abandoned.close()
    assert broker.query(CITY, EntityQuery(q=parse_q("!speed.part"), count=True)).total == 10


async def test_rows_follow_a_type_that_is_added(always_columns, broker):
    document = entity("Road", "urn:ngsi-ld:Thing:1", {})
    await broker.create(CITY, document)
    await broker.append(CITY, document["id"], {**document, "type": ["Park"]})
    both = EntityQuery(type_expression=parse_type_selection("(Road;Park)"), count=True)
    assert broker.query(CITY, both).total == 1


async def test_a_column_is_made_anew_when_rows_are_numbered_anew_meanwhile(always_columns, broker):
    for number in range(12):
        await broker.create(CITY, entity("Road", f"urn:ngsi-ld:Thing:{number}", {"speed": prop(number)}))
    making = broker._answer(CITY, EntityQuery(q=parse_q("speed>=10"), count=True), "")
    next(making)
    await broker.delete_many(CITY, [f"urn:ngsi-ld:Thing:{number}" for number in range(9)])
    # Most rows are free now: the next query moves the others up.
    assert broker.query(CITY, EntityQuery(q=parse_q("speed.part"), count=True)).total == 0
    with pytest.raises(StopIteration) as done:
        while True:
            next(making)
    assert done.value.value.total == 2


async def test_an_entity_from_another_class_stands_where_its_age_says(always_columns, broker):
    for number, held in enumerate((InformationClass.INTERNAL, *[InformationClass.OPEN] * 4)):
        document = entity("Road", f"urn:ngsi-ld:Thing:{number}", {"speed": prop(number)})
        await broker.create(CITY, document, information_class=held)
    await broker.classify(CITY, "urn:ngsi-ld:Thing:0", InformationClass.OPEN)
    for q, id_pattern in (("speed>=0", None), ("speed<4", "Thing")):
        query = EntityQuery(q=parse_q(q), id_pattern=id_pattern, limit=2, offset=1)
        page = broker.query(ANONYMOUS, query)
        assert [one["id"][-1] for one in page.documents] == ["1", "2"]


@pytest.mark.parametrize(
    "line",
    [
        [[3.5, -3], [7, 3.9]],
        [[0.5, 7], [-3, 0.1]],
        [[-3, 3.9], [0.5, -3]],
        [[7, 0.1], [3.5, 7]],
    ],
)
async def test_what_touches_a_box_with_its_own_box_alone_does_not_match(always_columns, broker, line):
    beside = entity("Road", "urn:x:beside", {"location": geo({"type": "LineString", "coordinates": line})})
    inside = entity("Road", "urn:x:inside", {"location": point(4.0, 0.0)})
    for document in (beside, inside):
        await broker.create(CITY, document, information_class=InformationClass.OPEN)
    asked = EntityQuery(geo=parse_geo_query("intersects", "Polygon", SQUARE), count=True)
    page = broker.query(ANONYMOUS, asked)
    assert ([one["id"] for one in page.documents], page.total) == (["urn:x:inside"], 1)


async def test_points_near_enough_are_counted_without_being_read(always_columns, broker, monkeypatch):
    for number in range(4):
        document = entity("Road", f"urn:x:{number}", {"location": point(number / 100, 0.0)})
        await broker.create(CITY, document, information_class=InformationClass.OPEN)
    lots = []
    monkeypatch.setattr(sifting.Lot, "document", lambda lot, place: lots.append(place))
    asked = EntityQuery(
        geo=parse_geo_query("near;maxDistance==2500", "Point", [0.0, 0.0]), limit=0, count=True
    )
    assert (broker.query(ANONYMOUS, asked).total, lots) == (3, [])


@pytest.mark.parametrize("many", [0, 1, 256, 257, 2048, 2049, 70_000])
def test_what_lies_near_is_looked_at_in_the_order_of_rows(many):
    near = np.random.default_rng(many).permutation(many)
    lots = [near[one].tolist() for one in sifting._in_order(near)]
    assert list(itertools.chain(*lots)) == list(range(many))
    assert all(lots)
