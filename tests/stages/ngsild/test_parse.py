"""Parsing (ETSI GS CIM 009, 4.5 and 5.5.4)."""

from typing import Any

import pytest

from cityloom.ngsild.contexts import ContextResolver
from cityloom.ngsild.errors import BadRequestData
from cityloom.ngsild.names import NULL
from cityloom.ngsild.parse import is_deletion, parse_attribute, parse_entity, parse_entity_fragment

IDENTITY = {"id": "urn:ngsi-ld:Lamp:1", "type": "Lamp"}


def attribute(raw: Any, **options: Any) -> Any:
    return parse_entity({**IDENTITY, "x": raw}, **options)["attrs"]["x"]


def refused(payload: Any, at: str | None = None, **options: Any) -> BadRequestData:
    with pytest.raises(BadRequestData) as caught:
        parse_entity(payload, **options)
    assert caught.value.hint
    if at is not None:
        assert caught.value.where == at
    return caught.value


def test_parse_entity_reads_every_type_of_attribute():
    point = {"type": "Point", "coordinates": [10.2, 56.1]}
    raw = {
        "p": {"type": "Property", "value": 1, "observedAt": "2026-04-12T20:00:00Z", "unitCode": "CEL"},
        "r": {"type": "Relationship", "object": "urn:x:1", "objectType": "Lamp"},
        "g": {"type": "GeoProperty", "value": point},
        "l": {"type": "LanguageProperty", "languageMap": {"en": "Frost", "da": ["Frost", "Is"]}},
        "v": {"type": "VocabProperty", "vocab": ["Male", "https://example.org/Other"]},
        "j": {"type": "JsonProperty", "json": {"id": 1, "value": None}},
        "lp": {"type": "ListProperty", "valueList": [1, "a", [2]]},
        "lr": {"type": "ListRelationship", "objectList": [{"object": "urn:x:1"}, "urn:x:2"]},
    }
    read = parse_entity({**IDENTITY, **raw})
    assert read == {
        "id": "urn:ngsi-ld:Lamp:1",
        "type": ["Lamp"],
        "attrs": {
            **{name: [item] for name, item in raw.items()},
            "lr": [{"type": "ListRelationship", "objectList": ["urn:x:1", "urn:x:2"]}],
        },
    }


@pytest.mark.parametrize(
    ("concise", "normalized"),
    [
        (7, {"type": "Property", "value": 7}),
        ("text", {"type": "Property", "value": "text"}),
        (False, {"type": "Property", "value": False}),
        ([1, 2], {"type": "Property", "value": [1, 2]}),
        ([], {"type": "Property", "value": []}),
        ([{"a": 1}], {"type": "Property", "value": [{"a": 1}]}),
        ({"city": "Aarhus"}, {"type": "Property", "value": {"city": "Aarhus"}}),
        ({"value": 7, "unitCode": "P1"}, {"type": "Property", "value": 7, "unitCode": "P1"}),
        ({"object": "urn:x:1"}, {"type": "Relationship", "object": "urn:x:1"}),
        ({"languageMap": {"en": "a"}}, {"type": "LanguageProperty", "languageMap": {"en": "a"}}),
        ({"vocab": "Male"}, {"type": "VocabProperty", "vocab": "Male"}),
        ({"json": [1]}, {"type": "JsonProperty", "json": [1]}),
        ({"valueList": [1]}, {"type": "ListProperty", "valueList": [1]}),
        ({"objectList": ["urn:x:1"]}, {"type": "ListRelationship", "objectList": ["urn:x:1"]}),
        (
            {"type": "Point", "coordinates": [1, 2]},
            {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [1, 2]}},
        ),
        (
            {"value": {"type": "Point", "coordinates": [1, 2]}, "observedAt": "2026-04-12T20:00:00Z"},
            {
                "type": "GeoProperty",
                "value": {"type": "Point", "coordinates": [1, 2]},
                "observedAt": "2026-04-12T20:00:00Z",
            },
        ),
    ],
)
def test_parse_entity_infers_the_type_of_concise_attributes(concise, normalized):
    assert attribute(concise) == [normalized]


def test_parse_entity_reads_attributes_of_attributes():
    raw = {"value": 1, "accuracy": {"value": 0.5, "by": {"object": "urn:x:1"}}, "note": "ok"}
    assert attribute(raw) == [
        {
            "type": "Property",
            "value": 1,
            "attrs": {
                "accuracy": [
                    {
                        "type": "Property",
                        "value": 0.5,
                        "attrs": {"by": [{"type": "Relationship", "object": "urn:x:1"}]},
                    }
                ],
                "note": [{"type": "Property", "value": "ok"}],
            },
        }
    ]


def test_parse_entity_reads_several_instances():
    read = attribute(
        [
            {"value": 1},
            {"value": 2, "datasetId": "urn:d:1"},
            {"type": "Property", "value": 3, "datasetId": "urn:d:2"},
        ]
    )
    assert [item.get("datasetId") for item in read] == [None, "urn:d:1", "urn:d:2"]
    assert attribute({"value": 1, "datasetId": "@none"}) == [{"type": "Property", "value": 1}]


def test_parse_entity_expands_names_types_and_vocabularies():
    context = ContextResolver().resolve({"Lamp": "https://example.org/Lamp", "on": "https://example.org/on"})
    read = parse_entity(
        {**IDENTITY, "on": {"vocab": "on"}, "ref": {"object": "urn:x:1", "objectType": "Lamp"}}, context
    )
    assert read["type"] == ["https://example.org/Lamp"]
    assert read["attrs"]["https://example.org/on"] == [
        {"type": "VocabProperty", "vocab": "https://example.org/on"}
    ]
    assert read["attrs"]["ref"][0]["objectType"] == "https://example.org/Lamp"


def test_parse_entity_reads_geometry_written_as_text():
    read = attribute({"type": "GeoProperty", "value": '{"type":"Point","coordinates":[1,2]}'})
    assert read == [{"type": "GeoProperty", "value": {"type": "Point", "coordinates": [1, 2]}}]


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("2026-04-12T20:00:00Z", "2026-04-12T20:00:00Z"),
        ("2026-04-12T20:00:00.123456Z", "2026-04-12T20:00:00.123456Z"),
        ("2026-04-12T20:00:00,5Z", "2026-04-12T20:00:00.5Z"),
    ],
)
def test_parse_entity_keeps_instants_in_utc(written, kept):
    assert attribute({"value": 1, "observedAt": written})[0]["observedAt"] == kept


@pytest.mark.parametrize(
    "written",
    [
        "2026-04-12",
        "2026-04-12T20:00:00",
        "2026-04-12T22:00:00+02:00",
        "2026-04-12T24:00:00Z",
        "2016-12-31T23:59:60Z",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "2026-W15-7T20:00:00Z",
        "2026-04-12T20:00:00.1234567Z",
        "٢٠٢٦-04-12T20:00:00Z",
        20260412,
        None,
        NULL,
    ],
)
def test_parse_entity_refuses_what_is_no_instant(written):
    refused({**IDENTITY, "x": {"value": 1, "observedAt": written}}, "x.observedAt")


def test_parse_entity_takes_scopes_with_and_without_slash():
    assert parse_entity({**IDENTITY, "scope": "Aarhus/Centre"})["scope"] == ["/Aarhus/Centre"]
    assert parse_entity({**IDENTITY, "scope": ["/A", "/B_1"]})["scope"] == ["/A", "/B_1"]


def test_parse_entity_passes_over_what_the_system_writes():
    read = parse_entity(
        {**IDENTITY, "createdAt": "x", "modifiedAt": "y", "x": {"value": 1, "createdAt": "z"}}
    )
    assert read == {
        "id": IDENTITY["id"],
        "type": ["Lamp"],
        "attrs": {"x": [{"type": "Property", "value": 1}]},
    }


def test_parse_entity_accepts_the_keywords_of_json_ld():
    read = parse_entity({"@id": "urn:x:1", "@type": ["A", "B", "A"], "@context": "https://x.example/"})
    assert (read["id"], read["type"]) == ("urn:x:1", ["A", "B"])


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"id": None}, "id"),
        ({"id": "no uri"}, "id"),
        ({"id": "urn:x:" + "1" * 2000}, "id"),
        ({"id": "urn:x:\u0000"}, "id"),
        ({"id": "urn:x:\ud800"}, "id"),
        ({"id": "urn:x:<script>"}, "id"),
        ({"id": "urn:x:right\u202eleft"}, "id"),
        ({"id": "urn:x:zero\u200bwidth"}, "id"),
        ({"id": "urn:x:variation\ufe0f"}, "id"),
        ({"id": "urn:x:filler\u3164"}, "id"),
        ({"id": "urn:x:private\ue000"}, "id"),
        ({"id": NULL}, "id"),
        ({"type": "type"}, "type"),
        ({"location": "Aarhus"}, "location"),
        ({"location": {"object": "urn:x:1"}}, "location"),
        ({"x": {"json": 5}}, "x.json"),
        ({"x": {"value": 1, "entityIdSealed": "urn:x:1"}}, "x.entityIdSealed"),
        ({"x": {"languageMap": {"en": "a"}, "valueType": "xsd:string"}}, "x.valueType"),
        ({"x": {"value": 1, "ngsildproof": {"value": "signed"}}}, "x.ngsildproof"),
        ({"@id": "urn:x:2"}, "@id"),
        ({"type": []}, "type"),
        ({"type": 5}, "type"),
        ({"type": "<b>"}, "type"),
        ({"scope": []}, "scope"),
        ({"scope": "/a b"}, "scope"),
        ({"scope": NULL}, "scope"),
        ({"expiresAt": "soon"}, "expiresAt"),
        ({"x y": 1}, "x y"),
        ({"x": None}, "x"),
        ({"x": NULL}, "x"),
        ({"x": {"value": NULL}}, "x"),
        ({"x": {"languageMap": {"@none": NULL}}}, "x"),
        ({"x": {"value": {"a": NULL}}}, "x.value.a"),
        ({"x": {"value": {"a": [1, None]}}}, "x.value.a[1]"),
        ({"x": float("nan")}, "x"),
        ({"x": {"value": float("inf")}}, "x.value"),
        ({"x": 2**53}, "x"),
        ({"x": -(2**70)}, "x"),
        ({"x": "half \ud800"}, "x"),
        ({"x": "nul \0"}, "x"),
        ({"x": {"a": {"b": {"\udfff": 1}}}}, "x.a.b"),
        ({"x": {"type": "Prop", "value": 1}}, "x.type"),
        ({"x": {"type": "PostalAddress", "city": "Aarhus"}}, "x.type"),
        ({"x": {"type": "Property"}}, "x"),
        ({"x": {"type": "Property", "object": "urn:x:1"}}, "x"),
        ({"x": {"type": ["Property"], "value": 1}}, "x.type"),
        ({"x": {"observedAt": "2026-04-12T20:00:00Z"}}, "x"),
        ({"x": {"type": "Property", "value": 1, "object": "urn:x:1"}}, "x.object"),
        ({"x": {"value": 1, "unitCode": 5}}, "x.unitCode"),
        ({"x": {"value": 1, "unitCode": ""}}, "x.unitCode"),
        ({"x": {"object": "urn:x:1", "unitCode": "CEL"}}, "x.unitCode"),
        ({"x": {"value": 1, "datasetId": "no uri"}}, "x.datasetId"),
        ({"x": {"value": 1, "objectType": "Lamp"}}, "x.objectType"),
        ({"x": {"value": 1, "previousValue": 0}}, "x.previousValue"),
        ({"x": {"value": 1, "@context": {}}}, "x.@context"),
        ({"x": {"value": 1, "a b": 1}}, "x.a b"),
        ({"x": {"value": 1, "y": {"value": None}}}, "x.y.value"),
        ({"x": {"object": 5}}, "x.object"),
        ({"x": {"object": []}}, "x.object"),
        ({"x": {"object": ["urn:x:1", "no"]}}, "x.object[1]"),
        ({"x": {"objectList": "urn:x:1"}}, "x.objectList"),
        ({"x": {"objectList": [{"object": "urn:x:1", "y": 1}]}}, "x.objectList[0]"),
        ({"x": {"valueList": 1}}, "x.valueList"),
        ({"x": {"vocab": 1}}, "x.vocab"),
        ({"x": {"languageMap": "en"}}, "x.languageMap"),
        ({"x": {"languageMap": {"e n": "a"}}}, "x.languageMap"),
        ({"x": {"languageMap": {"en": 5}}}, "x.languageMap.en"),
        ({"x": [{"value": 1}, {"value": 2}]}, "x[1]"),
        ({"x": [{"value": 1, "datasetId": "urn:d:1"}, {"value": 2, "datasetId": "urn:d:1"}]}, "x[1]"),
        ({"value": 1}, "value"),
        ({"datasetId": "urn:d:1"}, "datasetId"),
        ({"observedAt": "2026-04-12T20:00:00Z"}, "observedAt"),
        ({"https://uri.etsi.org/ngsi-ld/default-context/y": 1, "y": 1}, "y"),
    ],
)
def test_parse_entity_names_the_field_at_fault(change, where):
    refused({**IDENTITY, **change}, where)


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Point", "coordinates": [1]},
        {"type": "Point", "coordinates": [1, 2, 3, 4]},
        {"type": "Point", "coordinates": ["1", "2"]},
        {"type": "Point", "coordinates": [True, False]},
        {"type": "Point", "coordinates": [200, 0]},
        {"type": "Point", "coordinates": [0, 91]},
        {"type": "Point", "coordinates": [float("nan"), 0]},
        {"type": "Point", "coordinates": [[1, 2]]},
        {"type": "LineString", "coordinates": [[1, 2]]},
        {"type": "LineString", "coordinates": []},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1]]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [0, 0]]]},
        {"type": "MultiPolygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]},
        {"type": "LineString", "coordinates": [[n / 100, 0] for n in range(10_001)]},
        {"type": "GeometryCollection", "geometries": []},
        "POINT (1 2)",
        5,
    ],
)
def test_parse_entity_refuses_what_is_no_geometry(geometry):
    error = refused({**IDENTITY, "x": {"type": "GeoProperty", "value": geometry}})
    assert error.where is not None and error.where.startswith("x.value")


def test_parse_entity_needs_id_and_type():
    refused({"type": "Lamp"}, "id")
    refused({"id": "urn:x:1"}, "type")
    refused([], None)
    refused("urn:x:1", None)


def test_parse_entity_puts_where_before_the_path():
    refused({**IDENTITY, "x": {"value": None}}, "[3].x.value", where="[3]")


def test_parse_entity_limits_attributes():
    parse_entity({**IDENTITY, **{f"a{n}": n for n in range(1000)}})
    refused({**IDENTITY, **{f"a{n}": n for n in range(1001)}}, "a1000")
    refused({**IDENTITY, "a": {"value": 1, **{f"a{n}": n for n in range(1000)}}}, "a.a999")
    refused({**IDENTITY, "a": [{"value": n, "datasetId": f"urn:d:{n}"} for n in range(1001)]}, "a[1000]")


def test_parse_entity_limits_depth():
    deep: Any = 1
    for _ in range(33):
        deep = [deep]
    refused({**IDENTITY, "x": {"value": deep}})
    nested: Any = {"value": 1}
    for _ in range(9):
        nested = {"value": 1, "y": nested}
    refused({**IDENTITY, "x": nested})


def test_parse_entity_keeps_what_is_odd_but_allowed():
    said = "‮ right to left, zero​width, emoji 😀, -0.0"
    assert attribute(said) == [{"type": "Property", "value": said}]
    assert str(attribute({"value": -0.0})[0]["value"]) == "-0.0"
    assert attribute({"value": 2**53 - 1})[0]["value"] == 2**53 - 1
    assert attribute({"json": {"urn:ngsi-ld:null": NULL}})[0]["json"] == {"urn:ngsi-ld:null": NULL}


@pytest.mark.parametrize(
    "raw",
    [
        NULL,
        {"value": NULL},
        {"type": "Property", "value": NULL},
        {"object": NULL},
        {"languageMap": {"@none": NULL}},
        {"languageMap": NULL},
        {"vocab": NULL},
        {"json": NULL},
        {"valueList": [NULL]},
        {"objectList": [NULL]},
        {"type": "GeoProperty", "value": NULL},
    ],
)
def test_parse_entity_fragment_reads_every_deletion_alike(raw):
    for purpose in ("update", "merge"):
        read = parse_entity_fragment({"x": raw}, purpose=purpose)["attrs"]["x"]
        assert read == [{"type": "Property", "value": NULL}]
        assert is_deletion(read[0])
    with pytest.raises(BadRequestData):
        parse_entity_fragment({"x": raw}, purpose="append")


def test_parse_entity_fragment_deletes_an_instance_by_its_dataset():
    read = parse_entity_fragment({"x": {"value": NULL, "datasetId": "urn:d:1"}})["attrs"]["x"]
    assert read == [{"type": "Property", "value": NULL, "datasetId": "urn:d:1"}]


def test_parse_entity_fragment_needs_no_identity():
    assert parse_entity_fragment({"x": 1}) == {"attrs": {"x": [{"type": "Property", "value": 1}]}}
    assert parse_entity_fragment({"scope": NULL})["scope"] == [NULL]


def test_parse_entity_fragment_for_a_merge_takes_parts_of_attributes():
    read = parse_entity_fragment({"x": {"observedAt": "2026-04-12T20:00:00Z"}}, purpose="merge")
    assert read["attrs"]["x"] == [{"observedAt": "2026-04-12T20:00:00Z"}]
    read = parse_entity_fragment({"x": {"type": "Property", "unitCode": NULL}}, purpose="merge")
    assert read["attrs"]["x"] == [{"type": "Property", "unitCode": NULL}]
    read = parse_entity_fragment({"x": {"value": {"a": NULL, "b": 1}}}, purpose="merge")
    assert read["attrs"]["x"] == [{"type": "Property", "value": {"a": NULL, "b": 1}}]
    with pytest.raises(BadRequestData):
        parse_entity_fragment({"x": {"value": {"a": NULL}}}, purpose="update")


def test_parse_entity_reads_a_proof_with_what_it_seals():
    proof = {
        "type": "Property",
        "value": {"proofValue": "z"},
        "entityIdSealed": "urn:x:1",
        "entityTypeSealed": "Lamp",
    }
    assert attribute({"value": 1, "ngsildproof": proof})[0]["attrs"]["ngsildproof"] == [proof]
    refused({**IDENTITY, "ngsildproof": {**proof, "entityTypeSealed": 42}}, "ngsildproof.entityTypeSealed")


def test_parse_entity_takes_ids_in_other_scripts():
    assert parse_entity({**IDENTITY, "id": "urn:ngsi-ld:Vej:Søndergade-7"})["id"].endswith("Søndergade-7")


def test_parse_attribute_refuses_null_inside_a_value():
    with pytest.raises(BadRequestData):
        parse_attribute({"value": {"a": NULL}}, partial=True)


@pytest.mark.parametrize("value", [[1, NULL], {"a": [NULL]}, {"a": [{"b": NULL}]}])
def test_parse_entity_fragment_deletes_members_of_objects_and_not_items_of_arrays(value):
    with pytest.raises(BadRequestData):
        parse_entity_fragment({"x": {"value": value}}, purpose="merge")


def test_parse_attribute_reads_one_instance():
    assert parse_attribute({"value": 7, "unitCode": "P1"}) == {
        "type": "Property",
        "value": 7,
        "unitCode": "P1",
    }
    assert parse_attribute({"unitCode": "P1"}, partial=True) == {"unitCode": "P1"}
    assert parse_attribute({"type": "Property", "unitCode": "P1"}, partial=True) == {
        "type": "Property",
        "unitCode": "P1",
    }
    with pytest.raises(BadRequestData):
        parse_attribute([{"value": 1}, {"value": 2, "datasetId": "urn:d:1"}])
    with pytest.raises(BadRequestData) as caught:
        parse_attribute({"value": None}, where="x")
    assert caught.value.where == "x.value"
