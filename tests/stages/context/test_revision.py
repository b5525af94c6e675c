"""What the indices take out of a document."""

from __future__ import annotations

import pytest

from cityloom.context.revision import bounds_of, references_of
from cityloom.ngsild.model import entity, geo, point, prop, rel

RING = [[[1.0, 2.0], [5.0, 2.0], [5.0, 7.5], [1.0, 2.0]]]


def located(*instances):
    return entity("Thing", "urn:a", {"location": list(instances)} if instances else {})


@pytest.mark.parametrize(
    ("geometry", "bounds"),
    [
        ({"type": "Point", "coordinates": [10, 56]}, (10.0, 56.0, 10.0, 56.0)),
        ({"type": "Point", "coordinates": [10.5, 56.0, 3.0]}, (10.5, 56.0, 10.5, 56.0)),
        ({"type": "LineString", "coordinates": [[3, 1], [-2, 4]]}, (-2.0, 1.0, 3.0, 4.0)),
        ({"type": "MultiPoint", "coordinates": [[3, 1, 9], [0, 4, 9]]}, (0.0, 1.0, 3.0, 4.0)),
        ({"type": "Polygon", "coordinates": RING}, (1.0, 2.0, 5.0, 7.5)),
        ({"type": "MultiPolygon", "coordinates": [RING, [[[9, 9], [9, 10], [8, 9]]]]}, (1.0, 2.0, 9.0, 10.0)),
        (
            {
                "type": "GeometryCollection",
                "geometries": [
                    {"type": "Point", "coordinates": [-1, -1]},
                    {"type": "Polygon", "coordinates": RING},
                ],
            },
            (-1.0, -1.0, 5.0, 7.5),
        ),
    ],
)
def test_bounds_of_a_geometry_are_its_box(geometry, bounds):
    assert bounds_of(located(geo(geometry))) == bounds


def test_bounds_of_several_instances_are_the_box_around_all():
    second = point(4.0, 8.0) | {"datasetId": "urn:d"}
    assert bounds_of(located(point(5.0, 7.0), second)) == (4.0, 7.0, 5.0, 8.0)


def test_bounds_of_an_entity_without_a_place_are_none():
    assert bounds_of(located()) is None
    assert bounds_of(located(geo({"type": "Polygon", "coordinates": []}))) is None
    assert bounds_of(entity("Thing", "urn:a", {"location": prop("by the bridge")})) is None


def test_references_of_a_document_are_all_that_it_points_at_each_once():
    document = entity(
        "Thing",
        "urn:a",
        {
            "one": rel("urn:1"),
            "several": rel(["urn:2", "urn:1"]),
            "listed": {"type": "ListRelationship", "objectList": ["urn:3", {"object": "urn:4"}]},
            "within": prop(1.0, attributes={"by": rel("urn:5")}),
            "because": {
                "type": "JsonProperty",
                "json": [{"about": "urn:6"}, {"about": "type:Road"}, {"note": "nothing"}, "odd"],
            },
            "other": {"type": "JsonProperty", "json": [{"about": "urn:7"}]},
            "plain": prop("urn:8"),
        },
    )
    assert references_of(document) == (
        "urn:1",
        "urn:2",
        "urn:3",
        "urn:4",
        "urn:5",
        "urn:6",
        "type:Road",
    )
