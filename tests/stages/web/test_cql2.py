"""CQL2 Text becomes terms of the broker's own language: what matches, what is refused, what bounds it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityloom.kernel.errors import BadInput
from cityloom.ngsild.errors import OperationNotSupported, TooComplexQuery
from cityloom.ngsild.model import entity, point, prop, text
from cityloom.ngsild.q_matching import compile_q
from cityloom.web.ogc.cql2_query import term_of
from cityloom.web.ogc.cql2_text import MAX_DEPTH, MAX_FILTER, parse_cql2

ROOM = entity(
    "Room",
    "urn:x:1",
    {
        "temperature": {**prop(20, unit="CEL"), "observedAt": "2026-04-12T20:00:00Z"},
        "name": prop("Eiffel Tower's 50% [a]"),
        "open": prop(True),
        "address": prop({"city": "Berlin"}),
        "opens": prop("2026-04-12T08:00:00Z"),
        "day": prop("2026-04-12"),
        "says": text(en="red", fr="rouge"),
        "location": point(10.2, 56.2),
    },
)


def matches(text: str) -> bool:
    return compile_q(term_of(parse_cql2(text)))(ROOM)


@pytest.mark.parametrize(
    "text",
    [
        "temperature = 20",
        "temperature > 1.5e1 AND temperature < 21",
        "20 <= temperature",
        "19 < temperature",
        "temperature <> 21",
        "NOT temperature = 21",
        "NOT (temperature > 25 OR temperature < 15)",
        "NOT NOT temperature = 20",
        "temperature BETWEEN 20 AND 22",
        "temperature NOT BETWEEN 0 AND 19",
        "temperature IN (1, 20)",
        "temperature not in (1, 2)",
        "name LIKE 'Eiffel%'",
        "name LIKE '%_s 50\\% [a]'",
        "name LIKE '_iffel Tower''s%'",
        "name NOT LIKE 'iffel'",
        "CASEI(name) LIKE casei('EIFFEL%')",
        "CASEI(says) = CASEI('RED')",
        "says = 'rouge' and \"name\" IS NOT NULL",
        "height IS NULL",
        "NOT height IS NOT NULL",
        "open = TRUE",
        "address.city = 'Berlin'",
        "id = 'urn:x:1'",
        "S_INTERSECTS(location, BBOX(10, 56, 10.3, 56.3))",
        "s_intersects(geom, POLYGON((10 56, 11 56, 11 57, 10 57, 10 56)))",
        "S_WITHIN(location, MULTIPOLYGON(((10 56, 11 56, 11 57, 10 57, 10 56))))",
        "S_CONTAINS(POLYGON((10 56, 11 56, 11 57, 10 57, 10 56)), location)",
        "NOT S_INTERSECTS(location, BBOX(170, 56, -170, 57))",
        "S_EQUALS(location, POINT(10.2 56.2))",
        "S_INTERSECTS(location, MULTIPOINT((10.2 56.2), (1 1)))",
        "S_DISJOINT(location, POINT(1 1)) OR temperature = 0",
        "S_INTERSECTS(location, BBOX(10, 56, 11, 57)) AND S_INTERSECTS(location, BBOX(10.1, 56.1, 11, 57))",
        "T_AFTER(observedAt, TIMESTAMP('2026-04-12T21:30:00+02:00'))",
        "T_BEFORE(TIMESTAMP('2026-04-01T00:00:00Z'), observedAt)",
        "T_AFTER(opens, DATE('2026-04-11'))",
        "T_INTERSECTS(observedAt, INTERVAL('2026-04-12', '..'))",
        "T_DURING(observedAt, INTERVAL('2026-04-01T00:00:00Z', '2026-05-01T00:00:00Z'))",
        "T_DURING(observedAt, INTERVAL('..', '..')) AND T_INTERSECTS(opens, INTERVAL('..', '..'))",
        "T_EQUALS(opens, TIMESTAMP('2026-04-12T08:00:00Z'))",
        "T_DISJOINT(observedAt, INTERVAL('..', '2026-04-01'))",
        "NOT T_AFTER(observedAt, DATE('2026-04-12'))",
        "observedAt >= DATE('2026-04-12') AND observedAt = DATE('2026-04-12')",
        "opens > TIMESTAMP('2026-04-12T07:00:00Z')",
        "day = DATE('2026-04-12')",
    ],
)
def test_term_of_matches_what_the_expression_says(text):
    assert matches(text)
    assert not matches(f"({text}) AND temperature = 0")


@pytest.mark.parametrize(
    "text",
    [
        "temperature = 21",
        "NOT temperature = 20",
        "height = 1",
        "height <> 1",
        "NOT height = 1",
        "NOT height LIKE 'a'",
        "name LIKE 'Eiffel'",
        "name LIKE '%.%'",
        "S_DISJOINT(location, BBOX(10, 56, 10.3, 56.3))",
        "NOT S_DISJOINT(nowhere, BBOX(0, 0, 1, 1))",
        "T_AFTER(observedAt, DATE('2026-04-12'))",
        "T_AFTER(observedAt, INTERVAL('2026-04-12', '..'))",
        "NOT T_INTERSECTS(observedAt, INTERVAL('2026-04-12', '..'))",
        "T_INTERSECTS(nothing, INTERVAL('..', '..'))",
        "T_DISJOINT(observedAt, INTERVAL('..', '..'))",
        "NOT T_DURING(observedAt, INTERVAL('..', '..'))",
    ],
)
def test_term_of_does_not_match_what_is_otherwise_or_missing(text):
    assert not matches(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "temperature",
        "temperature >",
        "temperature > 20 temperature",
        "temperature = height",
        "(temperature = 20",
        "temperature + 1 = 21",
        "name LIKE 5",
        "temperature BETWEEN 1 AND 'a'",
        "temperature IN ()",
        "name = 'open end",
        "temperature = 1e999",
        "AND = 5",
        "S_INTERSECTS(location, POINT(10))",
        "S_INTERSECTS(location, POINT(200 0))",
        "S_INTERSECTS(location, POLYGON((10 56, 11 56)))",
        "S_INTERSECTS(location, BBOX(1, 2, 3))",
        "S_CROSSES(location, POINT(1 1))",
        "T_AFTER(observedAt, TIMESTAMP('yesterday'))",
        "T_AFTER(observedAt, TIMESTAMP('2026-04-12T08:00:00'))",
        "T_AFTER(observedAt, opens)",
        "a..b = 5",
        "temperature = 20; DROP",
    ],
)
def test_parse_cql2_names_the_place_of_a_fault(text):
    with pytest.raises(BadInput) as caught:
        matches(text)
    assert caught.value.where == "filter"
    assert caught.value.hint


def test_what_q_cannot_tell_is_refused_as_such():
    with pytest.raises(OperationNotSupported):
        matches("NOT S_WITHIN(location, BBOX(0, 0, 1, 1))")


@pytest.mark.parametrize(
    "text",
    [
        "a = 1 OR " * 2_000 + "a = 1",
        "(" * (MAX_DEPTH + 1) + "a = 1" + ")" * (MAX_DEPTH + 1),
        "NOT " * (MAX_FILTER // 4 - 2) + "a = 1",
        " OR ".join(["a = 1"] * 300),
        "S_INTERSECTS(location, LINESTRING(" + ",".join(f"{n / 100} 1" for n in range(1_001)) + "))",
    ],
)
def test_parse_cql2_is_bounded(text):
    with pytest.raises(TooComplexQuery):
        matches(text)


_PIECES = st.sampled_from(
    [
        "temperature",
        "name",
        "=",
        "<>",
        "<",
        ">=",
        "(",
        ")",
        ",",
        "AND",
        "OR",
        "NOT",
        "LIKE",
        "BETWEEN",
        "IN",
        "IS",
        "NULL",
        "'a'",
        "'%'",
        "5",
        "-1.5",
        "TRUE",
        "location",
        "S_INTERSECTS",
        "T_AFTER",
        "BBOX",
        "POINT",
        "POLYGON",
        "INTERVAL",
        "TIMESTAMP",
        "DATE",
        "CASEI",
        "'2026-04-12'",
        "'..'",
        "observedAt",
        "Z",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(_PIECES, max_size=30).map(" ".join)))
def test_any_text_is_a_filter_or_is_refused(text):
    try:
        found = matches(text)
    except BadInput as error:
        assert error.hint
    else:
        assert isinstance(found, bool)
