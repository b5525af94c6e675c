"""Representations (ETSI GS CIM 009, 4.5)."""

import pytest

from cityloom.ngsild import merge
from cityloom.ngsild.contexts import ContextResolver
from cityloom.ngsild.errors import BadRequestData
from cityloom.ngsild.parse import parse_entity
from cityloom.ngsild.projection import Projection, parse_projection
from cityloom.ngsild.representation import View, geojson_feature, projected, represent

POINT = {"type": "Point", "coordinates": [10.2, 56.1]}
PAYLOAD = {
    "id": "urn:x:1",
    "type": ["Room", "Hall"],
    "scope": "/A",
    "temperature": {"type": "Property", "value": 20, "unitCode": "CEL", "observedAt": "2026-04-12T20:00:00Z"},
    "name": {"type": "Property", "value": "Hall 1"},
    "owner": {"type": "Relationship", "object": "urn:x:2"},
    "location": {"type": "GeoProperty", "value": POINT},
    "title": {"type": "LanguageProperty", "languageMap": {"en": "Hall", "da": "Sal"}},
    "gender": {"type": "VocabProperty", "vocab": "Male"},
    "raw": {"type": "JsonProperty", "json": {"a": None}},
    "steps": {"type": "ListProperty", "valueList": [1, 2]},
    "route": {"type": "ListRelationship", "objectList": [{"object": "urn:x:3"}]},
}
DOCUMENT = merge.stamp(parse_entity(PAYLOAD), "2026-04-12T20:00:00Z")
SEVERAL = parse_entity(
    {"id": "urn:x:1", "type": "Car", "speed": [{"value": 55}, {"value": 60, "datasetId": "urn:d:gps"}]}
)


def test_represent_normalized_hides_the_systems_times_unless_asked():
    assert represent(DOCUMENT) == PAYLOAD
    shown = represent(DOCUMENT, sys_attrs=True)
    assert shown["createdAt"] == shown["name"]["modifiedAt"] == "2026-04-12T20:00:00Z"


def test_represent_concise_leaves_out_what_can_be_inferred():
    assert represent(DOCUMENT, format="concise") == {
        "id": "urn:x:1",
        "type": ["Room", "Hall"],
        "scope": "/A",
        "temperature": {"value": 20, "unitCode": "CEL", "observedAt": "2026-04-12T20:00:00Z"},
        "name": "Hall 1",
        "owner": {"object": "urn:x:2"},
        "location": POINT,
        "title": {"languageMap": {"en": "Hall", "da": "Sal"}},
        "gender": {"vocab": "Male"},
        "raw": {"json": {"a": None}},
        "steps": {"valueList": [1, 2]},
        "route": {"objectList": [{"object": "urn:x:3"}]},
    }


def test_represent_simplified_gives_values_alone():
    assert represent(DOCUMENT, format="simplified") == {
        "id": "urn:x:1",
        "type": ["Room", "Hall"],
        "scope": "/A",
        "temperature": 20,
        "name": "Hall 1",
        "owner": "urn:x:2",
        "location": POINT,
        "title": {"languageMap": {"en": "Hall", "da": "Sal"}},
        "gender": {"vocab": "Male"},
        "raw": {"json": {"a": None}},
        "steps": [1, 2],
        "route": ["urn:x:3"],
    }


def test_represent_simplified_keeps_several_instances_apart():
    shown = represent(SEVERAL, format="simplified")
    assert shown["speed"] == {"dataset": {"@none": 55, "urn:d:gps": 60}}


def test_represent_compacts_names_types_and_vocabularies():
    context = ContextResolver().resolve({"r": "https://x.example/Room", "m": "https://x.example/Male"})
    document = parse_entity({"id": "urn:x:1", "type": "r", "g": {"vocab": ["m"]}, "m": 1}, context)
    assert represent(document, context) == {
        "id": "urn:x:1",
        "type": "r",
        "g": {"type": "VocabProperty", "vocab": ["m"]},
        "m": {"type": "Property", "value": 1},
    }
    assert represent(document)["type"] == "https://x.example/Room"


def test_represent_picks_and_omits_members():
    assert represent(DOCUMENT, format="simplified", pick=["id", "name"]) == {
        "id": "urn:x:1",
        "name": "Hall 1",
    }
    assert set(represent(DOCUMENT, omit=["id", "scope", "name"])) == set(PAYLOAD) - {"id", "scope", "name"}
    assert set(represent(DOCUMENT, attrs=["name", "absent"])) == {"id", "type", "scope", "name"}


def test_projected_keeps_the_relationship_that_leads_to_what_is_omitted():
    view = projected(View(), Projection(), parse_projection("name,owner{title}"))
    # A frozen set, as a View says: what is taken from it must not make another kind of it.
    assert view.omit == {"name"} and isinstance(view.omit, frozenset)
    assert view.linked["owner"].omit == {"title"}


def test_represent_selects_datasets():
    assert represent(SEVERAL, format="simplified", dataset_id=["urn:d:gps"])["speed"] == 60
    assert represent(SEVERAL, format="simplified", dataset_id=["@none"])["speed"] == 55
    assert "speed" not in represent(SEVERAL, dataset_id=["urn:d:other"])


@pytest.mark.parametrize(
    ("wanted", "tag", "said"),
    [
        ("da", "da", "Sal"),
        ("da-DK", "da", "Sal"),
        ("fr,da;q=0.5,en;q=0.8", "en", "Hall"),
        ("fr", "en", "Hall"),
        ("*", "en", "Hall"),
        ("DA", "da", "Sal"),
    ],
)
def test_represent_shows_one_language(wanted, tag, said):
    assert represent(DOCUMENT, lang=wanted)["title"] == {"type": "Property", "value": said, "lang": tag}
    assert represent(DOCUMENT, format="simplified", lang=wanted)["title"] == said


@pytest.mark.parametrize("wanted", ["e n", "en;q=2", ",".join(["en"] * 60)])
def test_represent_refuses_what_is_no_language(wanted):
    with pytest.raises(BadRequestData):
        represent(DOCUMENT, lang=wanted)


def test_geojson_feature_has_geometry_and_properties():
    feature = geojson_feature(DOCUMENT, view=View("simplified"))
    assert (feature["id"], feature["type"], feature["geometry"]) == ("urn:x:1", "Feature", POINT)
    assert feature["properties"]["location"] == POINT
    assert feature["properties"]["type"] == ["Room", "Hall"]
    assert "id" not in feature["properties"]


def test_geojson_feature_without_geometry_has_null():
    assert geojson_feature(SEVERAL)["geometry"] is None
    assert geojson_feature(DOCUMENT, geometry_property="name")["geometry"] is None
