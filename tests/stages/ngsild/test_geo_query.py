"""The geoquery language (ETSI GS CIM 009, 4.10), judged by another way to compute."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st

from cityloom.ngsild.errors import BadRequestData, TooComplexQuery
from cityloom.ngsild.geo_query import (
    EARTH_RADIUS,
    GeoQuery,
    compile_geo,
    distance_to,
    great_circle,
    nearness_of_points,
    parse_geo_query,
)
from cityloom.ngsild.parse import parse_entity

AARHUS, COPENHAGEN = [10.2039, 56.1629], [12.5683, 55.6761]
SQUARE = [[[10, 56], [11, 56], [11, 57], [10, 57], [10, 56]]]


def entity(geometry: Any, name: str = "location") -> Any:
    return parse_entity({"id": "urn:x:1", "type": "Place", name: {"type": "GeoProperty", "value": geometry}})


def point(position: list[float]) -> dict[str, Any]:
    return {"type": "Point", "coordinates": position}


def matches(
    target: Any, georel: str, geometry: str, coordinates: Any, geoproperty: str | None = None
) -> bool:
    return compile_geo(parse_geo_query(georel, geometry, coordinates, geoproperty))(entity(target))


def test_great_circle_knows_the_way_from_aarhus_to_copenhagen():
    assert great_circle(*AARHUS, *COPENHAGEN) == pytest.approx(157_000, rel=0.01)
    assert great_circle(0, 0, 180, 0) == pytest.approx(math.pi * EARTH_RADIUS)


def angle_between(a: tuple[float, float], b: tuple[float, float]) -> float:
    """The angle between two unit vectors: another way than the haversine."""

    def vector(position: tuple[float, float]) -> tuple[float, float, float]:
        longitude, latitude = map(math.radians, position)
        return (
            math.cos(latitude) * math.cos(longitude),
            math.cos(latitude) * math.sin(longitude),
            math.sin(latitude),
        )

    u, v = vector(a), vector(b)
    cross = (u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0])
    return math.atan2(math.hypot(*cross), sum(x * y for x, y in zip(u, v, strict=True)))


positions = st.tuples(st.floats(-180, 180), st.floats(-90, 90))
city = st.tuples(st.floats(9.5, 10.5), st.floats(55.5, 56.5))


@given(positions, positions)
def test_great_circle_agrees_with_vectors(a, b):
    assert great_circle(*a, *b) == pytest.approx(angle_between(a, b) * EARTH_RADIUS, abs=5)


@pytest.mark.parametrize(
    ("georel", "geometry", "coordinates", "expected"),
    [
        ("near;maxDistance==158000", "Point", "[12.5683, 55.6761]", True),
        ("near;maxDistance==150000", "Point", "[12.5683, 55.6761]", False),
        ("near;minDistance==150000", "Point", "[12.5683, 55.6761]", True),
        ("near;minDistance==158000", "Point", "[12.5683, 55.6761]", False),
        ("near;maxDistance==1", "Point", AARHUS, True),
        ("near;maxDistance==12000", "LineString", "[[10, 56.0629], [11, 56.0629]]", True),
        ("near;maxDistance==10000", "LineString", "[[10, 56.0629], [11, 56.0629]]", False),
        ("near;maxDistance==1", "Polygon", SQUARE, True),
        ("near;minDistance==1", "Polygon", SQUARE, False),
        ("within", "Polygon", SQUARE, True),
        ("within", "MultiPolygon", [SQUARE], True),
        ("within", "Polygon", "[[[0,0],[1,0],[1,1],[0,1],[0,0]]]", False),
        ("intersects", "Polygon", SQUARE, True),
        ("disjoint", "Polygon", SQUARE, False),
        ("disjoint", "Point", COPENHAGEN, True),
        ("equals", "Point", AARHUS, True),
        ("equals", "Point", COPENHAGEN, False),
        ("contains", "Point", AARHUS, True),
        ("contains", "Polygon", SQUARE, False),
        ("overlaps", "Polygon", SQUARE, False),
    ],
)
def test_compile_geo_on_a_point(georel, geometry, coordinates, expected):
    assert matches(point(AARHUS), georel, geometry, coordinates) is expected


@pytest.mark.parametrize(
    ("georel", "geometry", "coordinates", "expected"),
    [
        ("contains", "Point", [10.5, 56.5], True),
        ("contains", "Point", [12, 56.5], False),
        ("within", "Polygon", "[[[9,55],[12,55],[12,58],[9,58],[9,55]]]", True),
        ("overlaps", "Polygon", "[[[10.5,56],[12,56],[12,57],[10.5,57],[10.5,56]]]", True),
        ("overlaps", "Polygon", SQUARE, False),
        ("equals", "Polygon", "[[[11,56],[11,57],[10,57],[10,56],[11,56]]]", True),
        ("intersects", "LineString", "[[9,56.5],[12,56.5]]", True),
        ("near;maxDistance==70000", "Point", [12, 56.5], True),
        ("near;maxDistance==60000", "Point", [12, 56.5], False),
    ],
)
def test_compile_geo_on_a_polygon(georel, geometry, coordinates, expected):
    assert matches({"type": "Polygon", "coordinates": SQUARE}, georel, geometry, coordinates) is expected


def test_compile_geo_sees_across_the_180th_meridian():
    assert matches(point([179.99, 10]), "near;maxDistance==3000", "Point", [-179.99, 10])
    assert matches(point([179.99, 10]), "near;maxDistance==3000", "LineString", [[-179.99, 9], [-179.99, 11]])


def test_compile_geo_takes_a_polygon_that_crosses_itself_as_its_area():
    bow = [[[10, 56], [11, 57], [11, 56], [10, 57], [10, 56]]]
    assert matches(point([10.1, 56.5]), "within", "Polygon", bow)
    assert not matches(point([10.5, 56.9]), "within", "Polygon", bow)


def star(points):
    """Positions of a star each of whose lines crosses nearly all others; `points` is odd."""
    turns = [2 * math.pi * number * (points // 2) / points for number in (*range(points), 0)]
    return [[10 + math.cos(turn), 56 + math.sin(turn)] for turn in turns]


def comb(teeth, *, upright=False):
    """Positions of a line that goes to and fro."""
    line = [[10 + number / teeth, 56 + number % 2] for number in range(teeth)]
    return [[y - 46, x + 46] for x, y in line] if upright else line


def hatching(strokes):
    """Positions of a line that goes to and fro aslant: the boxes around its strokes all meet."""
    return [[10 + number / strokes + number % 2 * 5, 50 + number % 2 * 5] for number in range(strokes)]


def ring(positions):
    return [[*positions, positions[0]]]


RELATIONS = ("within", "contains", "overlaps", "intersects", "equals", "disjoint", "near;maxDistance==10")


@pytest.mark.parametrize("drawn", [star(999), hatching(900)], ids=["star", "hatching"])
@pytest.mark.parametrize("kind", ["Polygon", "LineString"])
@pytest.mark.parametrize("georel", RELATIONS)
def test_parse_geo_query_refuses_what_crosses_itself_very_often(georel, kind, drawn, no_hang):
    with no_hang(), pytest.raises(TooComplexQuery) as caught:
        parse_geo_query(georel, kind, ring(drawn) if kind == "Polygon" else drawn)
    assert caught.value.where == "coordinates"
    assert parse_geo_query(georel, kind, ring(drawn[:50]) if kind == "Polygon" else drawn[:50])


def test_parse_geo_query_refuses_a_reference_with_very_many_positions():
    with pytest.raises(TooComplexQuery):
        parse_geo_query("intersects", "LineString", comb(1_001))


#: What the hostile may store, for they may not ask with it.
STORED = {
    "small star": {"type": "Polygon", "coordinates": [star(101)]},
    "star": {"type": "Polygon", "coordinates": [star(9_999)]},
    "star of lines": {"type": "LineString", "coordinates": star(9_999)},
    "comb": {"type": "LineString", "coordinates": comb(9_000, upright=True)},
    "hatching": {"type": "LineString", "coordinates": hatching(9_000)},
    "hatched area": {"type": "Polygon", "coordinates": ring(hatching(9_000))},
    "one line": {"type": "LineString", "coordinates": [[10, 56], [11, 57]] * 5_000},
    "one square": {"type": "MultiPolygon", "coordinates": [SQUARE] * 2_000},
    "one point": {"type": "Polygon", "coordinates": [[[10, 56]] * 4]},
    "one point often": {"type": "MultiPoint", "coordinates": [[10, 56]] * 10_000},
}
REFERENCES = {
    "Point": [10.5, 56.5],
    "LineString": comb(900),
    "Polygon": ring(comb(900)),
    "MultiPoint": comb(900),
}


@pytest.mark.parametrize("stored", STORED.values(), ids=STORED)
@pytest.mark.parametrize("georel", RELATIONS)
def test_compile_geo_is_quick_whatever_is_stored(georel, stored, no_hang):
    """One Entity's hostile outline must not stop the queries of everybody."""
    with no_hang():
        for kind, reference in REFERENCES.items():
            assert matches(stored, georel, kind, reference) in (True, False)


def test_compile_geo_takes_what_crosses_itself_very_often_as_the_box_around_it():
    drawn = STORED["star"]
    assert matches(drawn, "intersects", "Point", [10.9, 56.9])
    assert not matches(drawn, "intersects", "Point", [11.1, 56.9])
    # A star that can be resolved counts as what it covers.
    assert not matches(STORED["small star"], "intersects", "Point", [10.9, 56.9])


def test_compile_geo_takes_altitudes_on_some_positions_alone():
    line = {"type": "LineString", "coordinates": [[10, 56, 3], [11, 57]]}
    assert matches(line, "intersects", "Point", [10.5, 56.5, 1e308])
    assert matches(point([10.5, 56.5]), "near;maxDistance==1000", "LineString", line["coordinates"])


def test_compile_geo_looks_at_the_geoproperty_asked_for():
    document = entity(point(AARHUS), "place")
    assert not compile_geo(parse_geo_query("equals", "Point", AARHUS))(document)
    assert compile_geo(parse_geo_query("equals", "Point", AARHUS, "place"))(document)
    assert not compile_geo(parse_geo_query("disjoint", "Point", AARHUS, "absent"))(document)


@given(st.lists(city, min_size=2, max_size=4), city)
def test_distance_agrees_with_sampling_the_line(line, at):
    found = distance_to({"type": "LineString", "coordinates": [list(one) for one in line]})(point(list(at)))
    sampled = min(
        great_circle(*at, a[0] + (b[0] - a[0]) * t / 500, a[1] + (b[1] - a[1]) * t / 500)
        for a, b in pairwise(line)
        for t in range(501)
    )
    assert found == pytest.approx(sampled, rel=0.01, abs=300)


geometries = (
    city.map(lambda at: point(list(at)))
    | st.lists(city, min_size=2, max_size=4).map(
        lambda line: {"type": "LineString", "coordinates": [list(one) for one in line]}
    )
    | st.tuples(city, st.floats(0.001, 0.3)).map(
        lambda box: {
            "type": "Polygon",
            "coordinates": [
                [
                    list(p)
                    for p in shapely.box(
                        box[0][0], box[0][1], box[0][0] + box[1], box[0][1] + box[1]
                    ).exterior.coords
                ]
            ],
        }
    )
)


@given(
    geometries,
    geometries,
    st.sampled_from(["near", "within", "contains", "overlaps", "intersects", "equals"]),
    st.floats(1, 1e5),
)
def test_bounds_touch_the_box_of_every_match(target, reference, relation, metres):
    query = GeoQuery(relation, reference, max_distance=metres if relation == "near" else None)
    if not compile_geo(query)(entity(target)):
        return
    bounds = query.bounds()
    assert bounds is not None
    west, south, east, north = shapely.geometry.shape(target).bounds
    assert west <= bounds[2] and east >= bounds[0] and south <= bounds[3] and north >= bounds[1]


def test_bounds_are_none_where_no_box_holds_every_match():
    for query in (
        GeoQuery("disjoint", point(AARHUS)),
        GeoQuery("near", point(AARHUS), min_distance=5.0),
        GeoQuery("near", point([179.9, 0]), max_distance=50_000.0),
        GeoQuery("near", point([0, 89.9]), max_distance=50_000.0),
    ):
        assert query.bounds() is None


@pytest.mark.parametrize(
    ("georel", "geometry", "coordinates", "where"),
    [
        ("near", "Point", "[1,2]", "georel"),
        ("near;maxDistance==0", "Point", "[1,2]", "georel"),
        ("near;maxDistance==-1", "Point", "[1,2]", "georel"),
        ("near;maxDistance=5", "Point", "[1,2]", "georel"),
        ("near;maxDistance==1e999", "Point", "[1,2]", "georel"),
        ("beside", "Point", "[1,2]", "georel"),
        ("within", "Circle", "[1,2]", "geometry"),
        ("within", "GeometryCollection", "[]", "geometry"),
        ("within", "Polygon", "[[[0,0],[1,0],[1,1]]]", "coordinates"),
        ("within", "Polygon", "[1,2]", "coordinates"),
        ("near;maxDistance==5", "Point", "[500,2]", "coordinates"),
        ("within", "LineString", [[n / 1e4, 0] for n in range(10_001)], None),
    ],
)
def test_parse_geo_query_names_the_parameter_at_fault(georel, geometry, coordinates, where):
    with pytest.raises(BadRequestData) as caught:
        parse_geo_query(georel, geometry, coordinates)
    assert where is None or caught.value.where == where


@pytest.mark.parametrize(
    ("relation", "rings", "expected"),
    [
        ("intersects", [[[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]]], True),
        ("intersects", [[[0, 4], [4, 4], [4, 0], [0, 0], [0, 4]]], True),
        ("within", [[[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]]], False),
        ("intersects", [[[0, 2], [2, 0], [4, 2], [2, 4], [0, 2]]], False),
        ("intersects", [[[0, 0], [4, 0], [4, 4], [0, 0]]], False),
        ("intersects", [[[0, 0], [4, 0], [4, 4], [1, 4], [0, 0]]], False),
        ("intersects", [[[0, 0], [4, 0], [4, 4], [0, 4], [0, 2], [0, 0]]], False),
        (
            "intersects",
            [[[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]], [[1, 1], [2, 1], [2, 2], [1, 2], [1, 1]]],
            False,
        ),
    ],
)
def test_is_box_knows_a_box_along_the_axes(relation, rings, expected):
    assert parse_geo_query(relation, "Polygon", rings).is_box() is expected


positions = st.tuples(st.floats(-180, 180), st.floats(-88, 88)).map(list)


@given(reference=positions, others=st.lists(positions, min_size=1, max_size=5), share=st.floats(0.5, 1.5))
def test_points_are_near_together_when_each_is_alone(reference, others, share):
    """Distances around that of the first, so that some lie at the very edge."""
    edge = max(1.0, great_circle(*reference, *others[0]) * share)
    query = parse_geo_query(f"near;maxDistance=={edge!r}", "Point", reference)
    told = nearness_of_points(query)
    assume(edge < 19_000_000)
    assert told is not None
    surely, maybe = told(np.array([x for x, _ in others]), np.array([y for _, y in others]))
    alone = [compile_geo(query)(entity(point(other))) for other in others]
    assert all(not sure or near for sure, near in zip(surely.tolist(), alone, strict=True))
    assert all(may or not near for may, near in zip(maybe.tolist(), alone, strict=True))


@pytest.mark.parametrize(
    ("georel", "geometry", "coordinates"),
    [
        ("near;minDistance==1000", "Point", AARHUS),
        ("near;maxDistance==1000", "LineString", [AARHUS, COPENHAGEN]),
        ("near;maxDistance==19500000", "Point", AARHUS),
        ("within", "Polygon", SQUARE),
    ],
)
def test_what_is_no_circle_around_a_point_is_told_one_by_one(georel, geometry, coordinates):
    assert nearness_of_points(parse_geo_query(georel, geometry, coordinates)) is None


def _within(metres: float, reference, place) -> bool:
    query = parse_geo_query(f"near;maxDistance=={metres}", *reference)
    return compile_geo(query)({"attrs": {"location": [{"type": "GeoProperty", "value": place}]}})


LINE = ("LineString", "[[179.99,0],[179.999,0]]")


@pytest.mark.parametrize("reference", [("Point", "[179.999,0]"), LINE])
def test_near_is_exact_to_a_thousandth_and_goes_on_beyond_the_180th_meridian(reference):
    """0.002 degrees of the equator are 222.39 m, on a sphere of the earth's mean radius."""
    beyond = {"type": "Point", "coordinates": [-179.999, 0]}
    assert _within(222.6, reference, beyond) and not _within(222.2, reference, beyond)
