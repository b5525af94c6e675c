"""What a notification says is read as it was meant (ETSI GS CIM 009, 5.8.6)."""

from __future__ import annotations

import pytest

from cityloom.ngsild.contexts import CORE
from cityloom.ngsild.errors import BadRequestData
from cityloom.ngsild.notified import Telling, told_of_change, told_of_deletion
from cityloom.ngsild.notified_reading import read_notified
from cityloom.ngsild.parse import parse_entity
from cityloom.ngsild.representation import View, show

AT = "2026-03-01T10:00:00Z"
ROAD = parse_entity(
    {
        "id": "urn:x:1",
        "type": "Road",
        "speed": {"type": "Property", "value": 50, "unitCode": "KMH"},
        "name": {"type": "LanguageProperty", "languageMap": {"en": "Ring"}},
        "kind": {"type": "VocabProperty", "vocab": "Motorway"},
        "by": {"type": "Relationship", "object": "urn:x:2"},
        "parts": {"type": "ListRelationship", "objectList": ["urn:x:3"]},
        "counts": [
            {"type": "Property", "value": 1},
            {"type": "Property", "value": 2, "datasetId": "urn:d:1"},
        ],
    }
)
NAMES = list(ROAD["attrs"])


@pytest.mark.parametrize("show_changes", [False, True])
@pytest.mark.parametrize("gone", NAMES)
def test_what_is_gone_is_read_as_it_was_told(gone, show_changes):
    telling = Telling("normalized", show_changes, sys_attrs=True)
    left = {name: items for name, items in ROAD["attrs"].items() if name != gone}
    told = told_of_change({**ROAD, "attrs": left}, ROAD["attrs"], [gone], AT, telling)
    assert read_notified(show(told, CORE, View(sys_attrs=True))) == told


def test_a_changed_value_comes_with_what_was_before():
    new = {**ROAD["attrs"], "speed": [{"type": "Property", "value": 60}]}
    telling = Telling("normalized", show_changes=True)
    told = told_of_change({**ROAD, "attrs": new}, ROAD["attrs"], ["speed"], AT, telling)
    read = read_notified(show(told, CORE, View()))
    assert read["attrs"]["speed"] == [{"type": "Property", "value": 60, "previousValue": 50}]


def test_an_entity_that_is_gone_is_read_so():
    told = told_of_deletion(ROAD, [], AT, Telling())
    assert read_notified(show(told, CORE, View())) == told


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        {"id": "urn:x:1"},
        {"type": "Road"},
        {"id": 5, "type": "Road"},
        {"id": "urn:x:1", "type": "Road", "deletedAt": "never"},
        {"id": "urn:x:1", "type": "Road", "by": {"type": "Relationship", "object": 5, "previousObject": 5}},
    ],
)
def test_what_is_no_entity_is_refused(payload):
    with pytest.raises(BadRequestData):
        read_notified(payload)
