"""Merging by the examples of the standard (ETSI GS CIM 009, 5.5.8, 5.5.12, 5.6)."""

import pytest

from cityloom.ngsild import merge
from cityloom.ngsild.errors import BadRequestData, ResourceNotFound
from cityloom.ngsild.names import NULL
from cityloom.ngsild.parse import parse_attribute, parse_entity, parse_entity_fragment
from cityloom.ngsild.representation import represent

NOW, LATER = "2026-04-12T20:00:00Z", "2026-04-12T21:00:00Z"
TEMPERATURE = {"type": "Property", "value": 25, "unitCode": "CEL", "observedAt": "2022-03-14T01:59:26Z"}


def stored(**members):
    return merge.stamp(parse_entity({"id": "urn:x:1", "type": "Room", **members}), NOW)


def attribute(document, name="temperature"):
    shown = represent(document)
    return shown.get(name)


def fragment(purpose, **members):
    return parse_entity_fragment(members, purpose=purpose)


def test_stamp_sets_the_times_of_entity_and_attributes():
    document = stored(temperature=TEMPERATURE)
    assert (document["createdAt"], document["modifiedAt"]) == (NOW, NOW)
    assert document["attrs"]["temperature"][0]["createdAt"] == NOW


def test_update_attribute_leaves_members_that_are_not_given():
    part = parse_attribute(
        {"type": "Property", "value": 100, "observedAt": "2022-03-14T13:00:00Z"}, partial=True
    )
    new, changed = merge.update_attribute(stored(temperature=TEMPERATURE), "temperature", part, LATER)
    assert attribute(new) == {**TEMPERATURE, "value": 100, "observedAt": "2022-03-14T13:00:00Z"}
    assert changed == ("temperature",)
    assert new["attrs"]["temperature"][0]["createdAt"] == NOW
    assert new["attrs"]["temperature"][0]["modifiedAt"] == LATER


def test_update_attribute_deletes_members_and_sub_attributes_that_are_null():
    old = stored(temperature={**TEMPERATURE, "accuracy": 1, "note": "x"})
    part = parse_attribute({"unitCode": NULL, "accuracy": NULL, "source": "y"}, partial=True)
    new, _ = merge.update_attribute(old, "temperature", part, LATER)
    assert attribute(new) == {
        "type": "Property",
        "value": 25,
        "observedAt": TEMPERATURE["observedAt"],
        "note": {"type": "Property", "value": "x"},
        "source": {"type": "Property", "value": "y"},
    }


def test_update_attribute_replaces_objects_whole():
    old = stored(address={"value": {"city": "Aarhus", "street": "Åboulevarden"}})
    part = parse_attribute({"value": {"city": "Odense"}}, partial=True)
    new, _ = merge.update_attribute(old, "address", part, LATER)
    assert attribute(new, "address")["value"] == {"city": "Odense"}


def test_update_attribute_deletes_the_instance_that_is_null():
    part = parse_attribute({"value": NULL}, partial=True)
    new, changed = merge.update_attribute(stored(temperature=TEMPERATURE), "temperature", part, LATER)
    assert new["attrs"] == {} and changed == ("temperature",)


def test_update_attribute_does_not_change_the_type():
    part = parse_attribute({"object": "urn:x:2"}, partial=True)
    with pytest.raises(BadRequestData, match="cannot become a Relationship"):
        merge.update_attribute(stored(temperature=TEMPERATURE), "temperature", part, LATER)


@pytest.mark.parametrize("operation", [merge.update_attribute, merge.replace_attribute])
def test_update_attribute_needs_the_instance(operation):
    old = stored(temperature=TEMPERATURE)
    with pytest.raises(ResourceNotFound, match="humidity"):
        operation(old, "humidity", parse_attribute({"value": 1}), LATER)
    with pytest.raises(ResourceNotFound, match="urn:d:1"):
        operation(old, "temperature", parse_attribute({"value": 1, "datasetId": "urn:d:1"}), LATER)


def test_replace_attribute_keeps_nothing_of_the_old_one():
    new, _ = merge.replace_attribute(
        stored(temperature=TEMPERATURE), "temperature", parse_attribute({"value": 1}), LATER
    )
    assert attribute(new) == {"type": "Property", "value": 1}
    assert new["attrs"]["temperature"][0]["createdAt"] == NOW


def test_update_attributes_overwrites_the_whole_attribute():
    given = fragment("update", temperature={"value": 100, "observedAt": "2022-03-14T13:00:00Z"})
    new, _ = merge.update_attributes(stored(temperature=TEMPERATURE), given, LATER)
    assert attribute(new) == {"type": "Property", "value": 100, "observedAt": "2022-03-14T13:00:00Z"}


def test_merge_patch_leaves_members_that_are_not_given():
    given = fragment(
        "merge", temperature={"type": "Property", "value": 100, "observedAt": "2022-03-14T13:00:00Z"}
    )
    new, _ = merge.merge_patch(stored(temperature=TEMPERATURE), given, LATER)
    assert attribute(new) == {**TEMPERATURE, "value": 100, "observedAt": "2022-03-14T13:00:00Z"}


def test_merge_patch_goes_into_objects():
    old = stored(address={"value": {"street": "Straße des 17. Juni", "city": "Berlin", "country": "Germany"}})
    given = fragment(
        "merge", address={"type": "Property", "value": {"street": "Pariser Platz", "country": NULL}}
    )
    new, _ = merge.merge_patch(old, given, LATER)
    assert attribute(new, "address")["value"] == {"street": "Pariser Platz", "city": "Berlin"}


def test_merge_patch_goes_into_languages_and_sub_attributes():
    old = stored(name={"languageMap": {"en": "Frost", "da": "Frost"}, "by": {"value": {"a": 1}}})
    given = fragment("merge", name={"languageMap": {"da": "Is"}, "by": {"value": {"b": 2}}})
    new, _ = merge.merge_patch(old, given, LATER)
    assert attribute(new, "name") == {
        "type": "LanguageProperty",
        "languageMap": {"en": "Frost", "da": "Is"},
        "by": {"type": "Property", "value": {"a": 1, "b": 2}},
    }


def test_merge_patch_may_change_the_type_with_its_content():
    new, _ = merge.merge_patch(stored(x={"value": 1}), fragment("merge", x={"object": "urn:x:2"}), LATER)
    assert attribute(new, "x") == {"type": "Relationship", "object": "urn:x:2"}


def test_merge_patch_refuses_part_of_an_attribute_that_is_not_there():
    given = fragment("merge", humidity={"observedAt": "2022-03-14T13:00:00Z"})
    with pytest.raises(BadRequestData, match="needs a value") as caught:
        merge.merge_patch(stored(temperature=TEMPERATURE), given, LATER)
    assert caught.value.where == "humidity"


def test_merge_patch_stores_no_null_in_a_new_attribute():
    given = fragment("merge", x={"value": {"a": {"b": NULL}, "c": 1}, "unitCode": NULL}, gone=NULL)
    new, changed = merge.merge_patch(stored(), given, LATER)
    assert attribute(new, "x") == {"type": "Property", "value": {"a": {}, "c": 1}}
    assert changed == ("x",)


def test_merge_patch_renews_the_common_time():
    old = stored(temperature=TEMPERATURE, flag=True, own=TEMPERATURE)
    given = fragment(
        "merge", temperature={"value": 1}, flag={"value": False}, own={"value": 2, "observedAt": NOW}
    )
    new, _ = merge.merge_patch(old, given, LATER, observed_at="2026-01-01T00:00:00Z")
    assert attribute(new)["observedAt"] == "2026-01-01T00:00:00Z"
    assert "observedAt" not in attribute(new, "flag")
    assert attribute(new, "own")["observedAt"] == NOW


def test_types_are_added_and_never_removed():
    for operation in (merge.append_attributes, merge.update_attributes, merge.merge_patch):
        new, changed = operation(stored(), parse_entity_fragment({"type": ["Hall", "Room"]}), LATER)
        assert new["type"] == ["Room", "Hall"]
        assert changed == ("type",)


def test_scope_is_set_as_each_operation_says():
    given = parse_entity_fragment({"scope": "/B"})
    with_scope, without = stored(scope="/A"), stored()
    assert merge.append_attributes(with_scope, given, LATER)[0]["scope"] == ["/B"]
    assert merge.append_attributes(with_scope, given, LATER, overwrite=False)[0]["scope"] == ["/A", "/B"]
    assert merge.update_attributes(with_scope, given, LATER)[0]["scope"] == ["/B"]
    assert "scope" not in merge.update_attributes(without, given, LATER)[0]
    assert merge.merge_patch(without, given, LATER)[0]["scope"] == ["/B"]
    gone = parse_entity_fragment({"scope": NULL}, purpose="merge")
    assert "scope" not in merge.merge_patch(with_scope, gone, LATER)[0]
    assert "scope" not in merge.delete_attribute(with_scope, "scope", LATER)[0]


def test_expiry_is_set_and_deleted():
    soon = parse_entity_fragment({"expiresAt": "2027-01-01T00:00:00Z"})
    new, changed = merge.update_attributes(stored(), soon, LATER)
    assert new["expiresAt"] == "2027-01-01T00:00:00Z" and changed == ("expiresAt",)
    never = parse_entity_fragment({"expiresAt": NULL}, purpose="merge")
    assert "expiresAt" not in merge.merge_patch(new, never, LATER)[0]


def test_delete_attribute_says_what_is_not_there():
    old = stored(temperature=TEMPERATURE)
    for options in ({}, {"all_instances": True}):
        with pytest.raises(ResourceNotFound, match="humidity"):
            merge.delete_attribute(old, "humidity", LATER, **options)
    with pytest.raises(ResourceNotFound, match="urn:d:1"):
        merge.delete_attribute(old, "temperature", LATER, dataset="urn:d:1")
    with pytest.raises(ResourceNotFound):
        merge.delete_attribute(old, "scope", LATER)


def test_append_attributes_bounds_the_types_of_an_entity():
    old = merge.stamp(
        {"id": "urn:x:1", "type": [f"T{n}" for n in range(60)], "attrs": {}}, "2026-01-01T00:00:00Z"
    )
    more = {"id": "urn:x:1", "type": [f"T{n}" for n in range(40, 100)], "attrs": {}}
    full, _ = merge.append_attributes(old, more, "2026-01-02T00:00:00Z")
    assert len(full["type"]) == 100
    with pytest.raises(BadRequestData) as caught:
        merge.append_attributes(full, {**more, "type": ["T100"]}, "2026-01-03T00:00:00Z")
    assert caught.value.where == "type"
