"""Laws that hold for any entity: representations lose nothing, merging does what a naive model does."""

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityloom.ngsild import merge, plain_showing
from cityloom.ngsild.contexts import CORE, ContextResolver
from cityloom.ngsild.names import NULL
from cityloom.ngsild.parse import is_deletion, parse_entity, parse_entity_fragment
from cityloom.ngsild.representation import represent

CONTEXT = ContextResolver().resolve(
    {
        "schema": "https://schema.org/",
        "name": "schema:name",
        "speed": "https://x.example/speed",
        "Male": "schema:Male",
    }
)
NOW, LATER = "2026-04-12T20:00:00Z", "2026-04-12T21:00:00Z"

words = st.from_regex(r"[a-z][a-z0-9_]{0,4}", fullmatch=True).filter(
    lambda word: word not in ("id", "type", "scope", "value", "json", "vocab", "q", "object")
)
names = words | st.sampled_from(["name", "speed", "status", "https://x.example/other", "schema:about"])
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
scalars = (
    texts
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
uris = st.builds(lambda word: f"urn:ngsi-ld:X:{word}", words)
instants = (
    st.datetimes()
    .filter(lambda moment: moment.year >= 1000)
    .map(lambda moment: moment.isoformat(timespec="milliseconds") + "Z")
)
positions = st.tuples(st.floats(-180, 180), st.floats(-90, 90)).map(list)
geometries = st.builds(lambda at: {"type": "Point", "coordinates": at}, positions) | st.builds(
    lambda line: {"type": "LineString", "coordinates": line}, st.lists(positions, min_size=2, max_size=4)
)
languages = st.dictionaries(
    st.sampled_from(["en", "da", "fr-CH", "@none"]), texts | st.lists(texts, max_size=2), min_size=1
)

contents = st.one_of(
    values.map(lambda value: {"type": "Property", "value": value}),
    (uris | st.lists(uris, min_size=1, max_size=3)).map(
        lambda value: {"type": "Relationship", "object": value}
    ),
    geometries.map(lambda value: {"type": "GeoProperty", "value": value}),
    languages.map(lambda value: {"type": "LanguageProperty", "languageMap": value}),
    st.sampled_from(["Male", "https://x.example/v", ["Male", "other"]]).map(
        lambda v: {"type": "VocabProperty", "vocab": v}
    ),
    (st.lists(values, max_size=3) | st.dictionaries(words, values, max_size=3)).map(
        lambda value: {"type": "JsonProperty", "json": value}
    ),
    st.lists(values, max_size=3).map(lambda value: {"type": "ListProperty", "valueList": value}),
    st.lists(uris, max_size=3).map(
        lambda v: {"type": "ListRelationship", "objectList": [{"object": one} for one in v]}
    ),
)


@st.composite
def instances(draw, depth=1):
    item = dict(draw(contents))
    if draw(st.booleans()):
        item["observedAt"] = draw(instants)
    if item["type"] == "Property" and draw(st.booleans()):
        item["unitCode"] = "CEL"
    if depth and draw(st.booleans()):
        for name in draw(st.lists(names, max_size=2, unique=True)):
            item[name] = draw(instances(depth=depth - 1))
    return item


@st.composite
def attributes(draw, datasets=True):
    found = [draw(instances())]
    if datasets and draw(st.booleans()):
        found = [
            {**draw(instances()), "datasetId": f"urn:d:{n}"} for n in range(draw(st.integers(1, 2)))
        ] + found
    return found if len(found) > 1 else found[0]


@st.composite
def entities(draw, datasets=True):
    found = {"id": "urn:ngsi-ld:X:1", "type": "Lamp"}
    if draw(st.booleans()):
        found["scope"] = draw(st.sampled_from(["/A", ["/A", "/B/C"]]))
    for name in draw(st.lists(names, max_size=5, unique=True)):
        found[name] = draw(attributes(datasets=datasets))
    return found


def normalized(document: dict[str, Any]) -> dict[str, Any]:
    return represent(document, CONTEXT, format="normalized")


@given(entities())
def test_represent_normalized_gives_back_what_was_parsed(payload):
    document = parse_entity(payload, CONTEXT)
    assert parse_entity(normalized(document), CONTEXT) == document


@given(entities(), st.sampled_from([CORE, CONTEXT]), st.booleans(), st.booleans())
def test_what_is_shown_at_a_glance_is_what_represent_shows(payload, context, is_stamped, inside):
    document = stored(payload) if is_stamped else parse_entity(payload, CONTEXT)
    if inside:
        document["expiresAt"] = LATER
    reference = context.reference() if inside else None
    expected = represent(document, context) | ({"@context": reference} if inside else {})
    assert orjson.loads(plain_showing.normalized(orjson.dumps(document), context, reference)) == expected


@pytest.mark.parametrize(
    "told", [{"deletedAt": NOW}, {"attrs": {"status": [{"type": "Property", "value": 1, "deletedAt": NOW}]}}]
)
def test_what_is_not_known_at_a_glance_is_shown_by_represent(told):
    document = {"id": "urn:ngsi-ld:X:1", "type": ["Lamp"], "attrs": {}} | told
    shown = orjson.loads(plain_showing.normalized(orjson.dumps(document), CORE))
    assert shown == represent(document)


@given(entities())
def test_represent_concise_loses_nothing(payload):
    document = parse_entity(payload, CONTEXT)
    concise = represent(document, CONTEXT, format="concise")
    assert parse_entity(orjson.loads(orjson.dumps(concise)), CONTEXT) == document
    assert len(orjson.dumps(concise)) <= len(orjson.dumps(normalized(document)))


@given(entities())
def test_represent_changes_nothing_in_the_document(payload):
    document = parse_entity(payload, CONTEXT)
    before = copy.deepcopy(document)
    for form in ("normalized", "concise", "simplified"):
        represent(document, CONTEXT, format=form, sys_attrs=True, lang="da", dataset_id=["@none"])
    assert document == before


@given(entities())
def test_represent_simplified_has_each_attribute_once(payload):
    document = parse_entity(payload, CONTEXT)
    shown = represent(document, CONTEXT, format="simplified")
    assert set(shown) - {"id", "type", "scope"} == {CONTEXT.compact(name) for name in document["attrs"]}


# Merging against a model: an entity is a map from (name, dataset) to what is said there

Model = dict[tuple[str, str | None], dict[str, Any]]


def model(document: dict[str, Any]) -> Model:
    return {
        (name, item.get("datasetId")): {k: v for k, v in item.items() if k not in ("createdAt", "modifiedAt")}
        for name, items in document["attrs"].items()
        for item in items
    }


def changed_in(before: Model, after: Model) -> set[str]:
    keys = before.keys() | after.keys()
    return {key[0] for key in keys if before.get(key) != after.get(key)}


def stored(payload: Any) -> dict[str, Any]:
    return merge.stamp(parse_entity(payload, CONTEXT), NOW)


@st.composite
def pairs(draw):
    """An entity, and a fragment that shares some names with it."""
    old = draw(entities())
    fragment = {key: value for key, value in draw(entities()).items() if key not in ("id", "type")}
    for name in [key for key in old if key not in ("id", "type", "scope")]:
        if draw(st.booleans()):
            fragment[name] = draw(attributes() | st.just(NULL))
    return stored(old), parse_entity_fragment(fragment, CONTEXT, purpose="update")


@given(pairs())
def test_update_attributes_replaces_instance_by_instance(pair):
    old, fragment = pair
    before = copy.deepcopy(old)
    new, names_changed = merge.update_attributes(old, fragment, LATER)
    expected = model(old)
    for key, item in model(fragment).items():
        if is_deletion(item):
            expected.pop(key, None)
        else:
            expected[key] = item
    assert model(new) == expected
    assert old == before
    assert changed_in(model(old), expected) <= set(names_changed)
    assert new["createdAt"] == NOW and new["modifiedAt"] == LATER


@given(pairs(), st.booleans())
def test_append_attributes_overwrites_or_leaves(pair, overwrite):
    old, fragment = pair
    fragment["attrs"] = {
        n: [i for i in items if not is_deletion(i)] for n, items in fragment["attrs"].items()
    }
    new, names_changed = merge.append_attributes(old, fragment, LATER, overwrite=overwrite)
    assert model(new) == (model(old) | model(fragment) if overwrite else model(fragment) | model(old))
    assert changed_in(model(old), model(new)) <= set(names_changed)


@given(pairs())
def test_append_attributes_twice_is_as_once(pair):
    old, fragment = pair
    fragment["attrs"] = {
        n: [i for i in items if not is_deletion(i)] for n, items in fragment["attrs"].items()
    }
    once, _ = merge.append_attributes(old, fragment, LATER)
    twice, _ = merge.append_attributes(once, fragment, LATER)
    assert once == twice


@given(entities(), entities())
def test_replace_keeps_nothing_but_the_time_of_creation(old, new):
    before, after = stored(old), parse_entity(new, CONTEXT)
    replaced, names_changed = merge.replace(before, after, LATER)
    assert model(replaced) == model(after)
    assert replaced.get("scope") == after.get("scope")
    assert (replaced["createdAt"], replaced["modifiedAt"]) == (NOW, LATER)
    assert changed_in(model(before), model(after)) <= set(names_changed)
    for name, items in replaced["attrs"].items():
        for item in items:
            known = (name, item.get("datasetId")) in model(before)
            assert item["createdAt"] == (NOW if known else LATER)


@given(entities(), st.data())
def test_delete_attribute_removes_one_instance_or_all(payload, data):
    old = stored(payload)
    if not old["attrs"]:
        return
    name, dataset = data.draw(st.sampled_from(sorted(model(old), key=str)))
    one, names_changed = merge.delete_attribute(old, name, LATER, dataset=dataset)
    assert model(one) == {key: item for key, item in model(old).items() if key != (name, dataset)}
    assert names_changed == (name,)
    every, _ = merge.delete_attribute(old, name, LATER, all_instances=True)
    assert model(every) == {key: item for key, item in model(old).items() if key[0] != name}


def merge_patch_of_rfc_7396(target: Any, patch: Any) -> Any:
    """JSON Merge Patch as its RFC writes it, with the NGSI-LD Null in null's place."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value == NULL:
            result.pop(key, None)
        else:
            result[key] = merge_patch_of_rfc_7396(result.get(key), value)
    return result


simple_values = st.recursive(scalars, lambda inner: st.dictionaries(words, inner, max_size=3), max_leaves=6)
patch_values = st.recursive(
    scalars | st.just(NULL), lambda inner: st.dictionaries(words, inner, max_size=3), max_leaves=6
).filter(lambda value: value != NULL)


@given(
    st.dictionaries(words, simple_values, min_size=1, max_size=4),
    st.data(),
)
def test_merge_patch_is_json_merge_patch_on_normalized_properties(old_values, data):
    patches = {
        name: {
            "type": "Property",
            "value": data.draw(patch_values),
            "unitCode": data.draw(st.sampled_from(["CEL", NULL])),
        }
        for name in data.draw(st.lists(st.sampled_from(sorted(old_values)) | words, max_size=4, unique=True))
    }
    gone = data.draw(st.lists(st.sampled_from(sorted(old_values)), max_size=2, unique=True))
    patches |= dict.fromkeys(gone, NULL)
    old = {name: {"type": "Property", "value": value, "unitCode": "P1"} for name, value in old_values.items()}
    identity = {"id": "urn:ngsi-ld:X:1", "type": "Lamp"}
    fragment = parse_entity_fragment(patches, purpose="merge")
    new, _ = merge.merge_patch(stored(identity | old), fragment, LATER)
    assert represent(new) == identity | merge_patch_of_rfc_7396(old, patches)


@given(pairs())
def test_merge_patch_of_what_is_there_changes_no_content(pair):
    old, _ = pair
    again = parse_entity_fragment(normalized(old), CONTEXT, purpose="merge")
    new, _ = merge.merge_patch(old, again, LATER)
    assert model(new) == model(old)
