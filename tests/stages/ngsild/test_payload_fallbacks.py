"""What is sent to a source of an earlier version of the standard (ETSI GS CIM 009, 4.3.6.6, 4.3.6.8)."""

from __future__ import annotations

import pytest

from cityloom.ngsild.fallbacks import NATIVE, conforming_attribute, conforming_payload

ROAD = {
    "id": "urn:x:1",
    "type": ["Road", "Bridge"],
    "scope": "/Aarhus",
    "expiresAt": "2027-01-01T00:00:00Z",
    "name": {"type": "LanguageProperty", "languageMap": {"en": "Ring"}},
    "plan": {"json": {"type": "free", "unitCode": "kept"}},
    "kind": {"type": "VocabProperty", "vocab": "Motorway", "expiresAt": "2027-01-01T00:00:00Z"},
    "parts": {"type": "ListRelationship", "objectList": ["urn:x:2"]},
    "speed": [
        {"type": "Property", "value": 1, "datasetId": "urn:d:1"},
        {
            "type": "Property",
            "value": 2,
            "unitCode": "KMH",
            "observedAt": "2026-03-01T00:00:00Z",
            "by": {"type": "Relationship", "object": "urn:x:3", "objectType": "Sensor"},
        },
    ],
    "gone": "urn:ngsi-ld:null",
}


def test_the_own_version_changes_nothing():
    assert conforming_payload(ROAD, NATIVE) is ROAD


def test_attributes_that_came_later_are_properties_and_relationships_as_before():
    told = conforming_payload(ROAD, (1, 7))
    assert told["plan"] == {"type": "Property", "value": ROAD["plan"]["json"]}
    assert told["kind"] == {"type": "Property", "value": "Motorway"}
    assert told["parts"] == {"type": "Relationship", "object": ["urn:x:2"]}
    assert told["name"] == ROAD["name"]
    assert told["speed"][1]["by"] == {"type": "Relationship", "object": "urn:x:3"}
    assert told["gone"] == ROAD["gone"] and told["scope"] == "/Aarhus"
    assert "expiresAt" not in told


def test_the_first_version_has_one_type_and_one_instance_with_its_value_alone():
    told = conforming_payload(ROAD, (1, 0))
    assert told["type"] == "Road" and "scope" not in told
    assert told["name"] == {"type": "Property", "value": {"en": "Ring"}}
    (speed,) = told["speed"]
    assert set(speed) == {"type", "value", "by"} and speed["value"] == 2


@pytest.mark.parametrize("value", [5, "text", [1, 2], {"free": "object"}, None, []])
def test_plain_values_stay_as_they_are(value):
    assert conforming_attribute(value, (1, 0)) == value
