"""A document that is kept is the same when it is read again."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityloom.context.keeping import pack, unpack, without_times

FIRST, LATER = "2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z"
times = st.sampled_from([FIRST, LATER, "", '"', "\\", "\x01", "æ"])
json_values = st.recursive(
    times,
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["createdAt", "modifiedAt", "a"]), inner),
)


def instance(created: str, modified: str, value: object = 1) -> dict[str, object]:
    return {"type": "Property", "value": value, "createdAt": created, "modifiedAt": modified}


def document(created: str, modified: str, *attributes: dict[str, object]) -> bytes:
    attrs = {f"a{number}": [one] for number, one in enumerate(attributes)}
    return orjson.dumps({"id": "urn:x:1", "attrs": attrs, "createdAt": created, "modifiedAt": modified})


@settings(max_examples=80, deadline=None)
@given(
    created=times,
    modified=times,
    attributes=st.lists(st.tuples(times, times, json_values)),
    more=st.dictionaries(st.sampled_from(["createdAt", "expiresAt"]), json_values),
)
def test_what_is_read_is_what_was_kept(created, modified, attributes, more):
    for text in (
        document(created, modified, *(instance(*one) for one in attributes)),
        orjson.dumps({"attrs": [instance(*one) for one in attributes]} | more),
        orjson.dumps(more),
    ):
        assert unpack(pack(text)) == text


@pytest.mark.parametrize("modified", [FIRST, LATER])
def test_times_that_are_the_entitys_own_take_no_room(modified):
    attributes = instance(FIRST, FIRST), instance(FIRST, modified)
    text = document(FIRST, modified, *attributes)
    assert len(text) - len(pack(text)) > 2 * len(FIRST + FIRST)
    assert unpack(pack(text)) == text


def test_what_a_value_says_in_the_same_words_stays_as_it_is():
    said = {"a": 1, "createdAt": FIRST, "modifiedAt": FIRST}
    text = document(FIRST, LATER, instance(FIRST, LATER, said))
    assert orjson.loads(unpack(pack(text)))["attrs"]["a0"][0]["value"] == said


@settings(max_examples=200, deadline=None)
@given(created=times, modified=times, attributes=st.lists(st.tuples(times, times, st.floats() | times)))
def test_without_times_everything_else_is_read(created, modified, attributes):
    text = document(created, modified, *(instance(*one) for one in attributes))
    read, whole = orjson.loads(without_times(pack(text))), orjson.loads(text)
    for found, wanted in ((one[0], whole["attrs"][name][0]) for name, one in read["attrs"].items()):
        assert found == wanted or found == {"type": "Property", "value": wanted["value"]}
    assert read | {"attrs": {}} == whole | {"attrs": {}}
    assert list(read["attrs"]) == list(whole["attrs"])
