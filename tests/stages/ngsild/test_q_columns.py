"""Columns tell of a query what looking at the documents tells."""

from __future__ import annotations

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityloom.ngsild import q_columns
from cityloom.ngsild.model import DEFAULT_VOCABULARY, entity, prop, rel, text
from cityloom.ngsild.q_columns import Column, judge, paths_of, reader_of
from cityloom.ngsild.q_language import parse_path, parse_q
from cityloom.ngsild.q_matching import compile_q

NUMBERS = [-1, 0, 1, 2.5, 2**53 - 1]
TEXTS = ["", "a", "b", "æ", "2026-01-02", "10:00:00Z", "2026-01-02T10:00:00Z", "2026-01-02T10:00:00.000001Z"]
SINGLE = st.sampled_from([*NUMBERS, True, False, *TEXTS, {"x": 1}, ["a", 1], [], "a" * 300])
VALUES = st.one_of(
    SINGLE.map(prop),
    SINGLE.map(
        lambda said: {**prop(1), "attrs": {"part": [prop(said)]}, "observedAt": "2026-01-02T10:00:00Z"}
    ),
    st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=2).map(lambda said: text(en=said, da="a")),
    st.just(rel("urn:ngsi-ld:Thing:1")),
    st.sampled_from(["a", "b"]).map(lambda term: {"type": "VocabProperty", "vocab": term}),
    st.just({"type": "JsonProperty", "json": {"x": None}}),
)
LITERALS = st.sampled_from(
    [
        *map(str, NUMBERS),
        "true",
        "false",
        *(f'"{one}"' for one in TEXTS),
        "2026-01-02",
        "10:00:00Z",
        "2026-01-02T10:00:00Z",
        "2026-99-02T10:00:00Z",
        "a",
        "urn:ngsi-ld:Thing:1",
        f'"{DEFAULT_VOCABULARY}a"',
        "1..2",
        '"a".."b"',
        "2026-01-01T00:00:00Z..2026-01-02T10:00:00Z",
        "2026-01-01..2026-01-03",
        "1,true",
        '1,"a"',
        '"a","b"',
        '"a",2026-01-02T10:00:00Z',
    ]
)
PATHS = st.sampled_from(["speed", "speed.part", "speed.observedAt", "speed[x]", "speed[en]", "createdAt"])


@st.composite
def terms(draw):
    path, said = draw(PATHS), draw(LITERALS)
    plain = ".." not in said and "," not in said and said not in ("true", "false", "a", "urn:ngsi-ld:Thing:1")
    how = draw(st.sampled_from(["==", "!=", *([">", ">=", "<", "<="] if plain else [])]))
    term = draw(st.sampled_from([f"{path}{how}{said}", path, f"!{path}", f'{path}~="a"', f'{path}!~="a"']))
    return draw(st.sampled_from([term, f"{term};name", f"({term}|name==1);speed", f"{term}|!name"]))


@st.composite
def documents(draw):
    made = []
    for number in range(draw(st.integers(1, 6))):
        attributes = {name: draw(VALUES) for name in ("speed", "name") if draw(st.integers(0, 3))}
        document = entity("Road", f"urn:ngsi-ld:Road:{number}", attributes)
        if attributes and draw(st.booleans()):
            name = next(iter(attributes))
            document["attrs"][name].append({**prop(draw(SINGLE)), "datasetId": "urn:ngsi-ld:Dataset:2"})
        made.append({**document, "createdAt": "2026-01-02T10:00:00Z"})
    return made


@settings(max_examples=600, deadline=None)
@given(made=documents(), q=terms(), before=documents())
def test_columns_tell_what_documents_tell(made, q, before):
    term = parse_q(q)
    columns = {path: Column(path) for path in paths_of(term)}
    read = reader_of(tuple(columns))
    size = max(len(made), len(before))
    for column in columns.values():
        column.grow(size)
        for row, document in enumerate(before):
            column.put(row, read(orjson.dumps(document)))
        for row in range(size):
            column.put(row, read(orjson.dumps(made[row])) if row < len(made) else None)
    low, high = judge(term, columns.get, slice(0, len(made)), len(made))
    matches = [compile_q(term)(document) for document in made]
    for sure, possible, is_match in zip(low.tolist(), high.tolist(), matches, strict=True):
        assert sure <= is_match <= possible, (q, sure, is_match, possible)
    numbers = np.arange(len(made))
    assert [both.tolist() for both in judge(term, columns.get, numbers, len(made))] == [
        low.tolist(),
        high.tolist(),
    ]


@pytest.mark.parametrize(
    "q", ["speed>1", "speed==2.5", "speed!=1", "speed==0..2", 'speed=="a"', 'speed!="b"']
)
def test_numbers_and_texts_are_told_for_sure(q):
    column = Column(parse_path("speed"))
    made = [
        entity("Road", "urn:ngsi-ld:Road:1", {"speed": prop(value)}) for value in (0, 1, 2.5, "a", "b", True)
    ]
    column.grow(len(made))
    for row, document in enumerate(made):
        column.put(row, document)
    low, high = judge(parse_q(q), lambda _: column, slice(0, len(made)), len(made))
    assert low.tolist() == high.tolist() == [compile_q(parse_q(q))(document) for document in made]


def test_a_query_without_a_column_may_match_anywhere():
    low, high = judge(parse_q("speed>1"), lambda _: None, slice(0, 3), 3)
    assert (low.any(), high.all()) == (False, True)


def test_more_texts_than_are_told_apart_are_looked_at(monkeypatch):
    monkeypatch.setattr(q_columns, "MAX_TEXTS", 1)
    column = Column(parse_path("speed"))
    column.grow(2)
    for row, value in enumerate(("a", "b")):
        column.put(row, entity("Road", "urn:ngsi-ld:Road:1", {"speed": prop(value)}))
    low, high = judge(parse_q('speed=="b"'), lambda _: column, slice(0, 2), 2)
    assert (low.tolist(), high.tolist()) == ([False, False], [False, True])
