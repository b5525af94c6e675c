"""What is read at a glance is what the general way reads, and whatever is not sound is left to it."""

import itertools
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cityloom.ngsild import parse
from cityloom.ngsild.errors import BadRequestData
from cityloom.ngsild.fragment_modes import Purpose
from cityloom.ngsild.names import NULL
from cityloom.ngsild.parse import parse_entity_fragment
from cityloom.ngsild.plain import plain_instance

TIME = "2026-04-12T20:00:00Z"
POINT = {"type": "Point", "coordinates": [10.2, 56.1]}

VALUES: list[Any] = (
    [
        1,
        2.5,
        -0.0,
        True,
        None,
        "",
        "a",
        "é",
        "\0",
        "\ud800",
        NULL,
        2**53,
        2**53 - 1,
        float("nan"),
        [1],
        {"a": 1},
    ]
    + [POINT, {**POINT, "x": 1}, {"type": "Point", "coordinates": [181.0, 0.0]}, {"type": "Point"}]
    + [
        {"type": "Point", "coordinates": one}
        for one in ([1, 2], [1.0], [1.0, 91.0], [1.0, "2"], [1.0, 2.0, 3.0])
    ]
    + [{"type": ["Point"], "coordinates": [1.0, 2.0]}, float("inf")]
)
UNITS: list[Any] = ["CEL", "", "é", "\0", NULL, 7, None, "x" * 101]
TIMES: list[Any] = [
    TIME,
    "2026-04-12T20:00:00.5Z",
    "2026-04-12T20:00:00,5Z",
    "2026-13-12T20:00:00Z",
    NULL,
    1,
    None,
]
values = st.sampled_from(VALUES)
members = {
    "type": st.sampled_from(["Property", "GeoProperty", "Relationship", "Text", 1, ["Property"]]),
    "value": values,
    "unitCode": st.sampled_from(UNITS),
    "observedAt": st.sampled_from(TIMES),
    "datasetId": st.just("urn:x:1"),
    "note": st.just("a"),
}


@st.composite
def attributes(draw):
    names = draw(st.permutations(sorted(members, reverse=True)))[: draw(st.integers(0, 6))]
    if draw(st.booleans()):
        names = ["type", "value", *[name for name in names if name in ("unitCode", "observedAt")]]
    return {name: draw(members[name]) for name in names}


def read(payload: Any, purpose: Purpose) -> Any:
    try:
        return orjson.dumps(parse_entity_fragment(payload, purpose=purpose))
    except BadRequestData as error:
        return error.message, error.hint, error.where


@given(
    name=st.sampled_from(["speed", "location", "ngsildproof", "observationSpace"]),
    raw=st.one_of(attributes(), st.lists(attributes(), max_size=2), values),
    purpose=st.sampled_from(["append", "update", "merge"]),
)
@example("speed", {"type": "Property", "value": 1.5, "unitCode": "CEL", "observedAt": TIME}, "update")
@example("location", {"type": "Property", "value": 1.5}, "update")
@example("ngsildproof", {"type": "Property", "value": 1.5}, "update")
def test_what_is_read_at_a_glance_is_what_the_general_way_reads(name, raw, purpose):
    found = read({name: raw}, purpose)
    with pytest.MonkeyPatch.context() as without:
        without.setattr(parse, "plain_instance", lambda raw: None)
        assert read({name: raw}, purpose) == found


@pytest.mark.parametrize("purpose", ["append", "update", "merge"])
@pytest.mark.parametrize("name", ["speed", "location", "ngsildproof"])
def test_every_value_unit_and_time_is_read_at_a_glance_as_in_general(name, purpose):
    plain = [{"type": kind, "value": value} for kind in ("Property", "GeoProperty") for value in VALUES]
    several = [
        {"type": kind, "value": 1.5, **members}
        for kind in ("Property", "GeoProperty")
        for unit, time in itertools.product(UNITS, TIMES)
        for members in ({"unitCode": unit, "observedAt": time}, {"observedAt": time, "unitCode": unit})
    ]
    payloads = [{name: raw} for raw in plain + several]
    found = [read(payload, purpose) for payload in payloads]
    with pytest.MonkeyPatch.context() as without:
        without.setattr(parse, "plain_instance", lambda raw: None)
        assert [read(payload, purpose) for payload in payloads] == found


@pytest.mark.parametrize(
    "raw",
    [
        {"type": "Property", "value": 1.5, "unitCode": "CEL", "observedAt": TIME},
        {"type": "Property", "value": "a"},
        {"type": "GeoProperty", "value": POINT},
    ],
)
def test_what_most_attributes_are_is_read_at_a_glance_and_not_shared(raw):
    assert plain_instance(raw) == raw
    assert plain_instance(raw) is not raw


def test_plain_attributes_count_among_the_attributes_of_an_entity():
    most = {f"a{number}": {"type": "Property", "value": 1} for number in range(parse.MAX_ATTRIBUTES)}
    parse_entity_fragment(most)
    with pytest.raises(BadRequestData):
        parse_entity_fragment({**most, "more": {"type": "Property", "value": 1}})
