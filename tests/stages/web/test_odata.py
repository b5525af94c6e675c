"""What clients of SensorThings write in addresses: paths, options, $filter; read, refused, bounded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityloom.kernel.errors import BadInput
from cityloom.ngsild.errors import TooComplexQuery
from cityloom.web.sensorthings.evaluation import holds
from cityloom.web.sensorthings.filters import MAX_DEPTH, MAX_FILTER, parse_filter
from cityloom.web.sensorthings.observations import Span, span_of
from cityloom.web.sensorthings.options import Expansion, Options, Order, parse_options
from cityloom.web.sensorthings.resource_path import ResourcePath, Step, address, parse_path

ROW: dict[str, list[Any]] = {
    "name": ["Mast's air"],
    "result": [20.5],
    "count": [3],
    "ok": [True],
    "phenomenonTime": ["2026-04-12T20:00:00Z"],
    "span": ["2026-04-12T00:00:00Z/2026-04-13T00:00:00Z"],
    "Thing/name": ["North", "South"],
    "location": [{"type": "Point", "coordinates": [10.2, 56.2]}],
}


def matches(text: str) -> bool:
    return holds(parse_filter(text), lambda names: iter(ROW.get("/".join(names), [])))


@pytest.mark.parametrize(
    "text",
    [
        "result gt 20",
        "20 lt result and result le 20.5",
        "result ge 20.5 and not result eq 21",
        "not (result lt 20 or result gt 21)",
        "result eq 1 or result ne 1 and ok eq true",
        "(result eq 1 or result ne 1) and ok",
        "name eq 'Mast''s air'",
        "substringof('air', name) and contains(name, 'Mast')",
        "startswith(name,'Mast') and endswith(name,'air')",
        "tolower(name) eq 'mast''s air' and length(name) eq 10 and indexof(name,'air') eq 7",
        "concat(trim(' a '),'b') eq 'ab' and toupper('a') eq 'A'",
        "result add 1 eq 21.5 and result sub 0.5 eq 20 and result mul 2 div 2 eq 20.5 and count mod 2 eq 1",
        "round(result) eq 20 and floor(result) eq 20 and ceiling(result) eq 21",
        "phenomenonTime ge 2026-04-12T22:00:00+02:00",
        "phenomenonTime lt 2026-04-13T00:00:00Z and year(phenomenonTime) eq 2026",
        "month(phenomenonTime) eq 4 and hour(phenomenonTime) eq 20",
        "phenomenonTime lt now()",
        "span gt 2026-04-11T00:00:00Z and span le 2026-04-13T00:00:00Z",
        "Thing/name eq 'South'",
        "nothing eq null",
        "nothing ne 5",
        "geo.distance(location, geography'POINT(10.2 56.201)') lt 200",
        "st_within(location, geography'POLYGON((10 56, 11 56, 11 57, 10 57, 10 56))')",
        "geo.intersects(location, geography'POINT (10.2 56.2)')",
    ],
)
def test_parse_filter_matches_what_it_says(text):
    assert matches(text)
    assert not matches(f"({text}) and result eq 0")


@pytest.mark.parametrize(
    "text",
    [
        "result gt 21",
        "result eq '20.5'",
        "result gt '1'",
        "ok eq 1",
        "nothing gt 0",
        "nothing eq 0",
        "not (nothing eq null)",
        "name gt 5",
        "result div 0 eq 1",
        "phenomenonTime gt 2026-04-12T20:00:00Z",
        "span gt 2026-04-12T12:00:00Z",
        "name eq 2026-04-12T20:00:00Z",
        "st_disjoint(location, geography'POINT(10.2 56.2)')",
        "st_within(name, geography'POINT(10.2 56.2)')",
    ],
)
def test_parse_filter_does_not_match_what_is_otherwise(text):
    assert not matches(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "result",
        "result gt",
        "gt 5",
        "result gt 5 result",
        "(result gt 5",
        "result = 5",
        "name eq 'open",
        "result eq 1e999",
        "nofunction(name)",
        "length(name, name)",
        "length(",
        "phenomenonTime gt 2026-13-99T00:00:00Z",
        "st_within(location, geography'POINT(10')",
        "st_within(location, geography'POINT EMPTY')",
        "st_within(location, geography'POINT(500 500)')",
        "result gt 5; drop",
    ],
)
def test_parse_filter_names_the_place_of_a_fault(text):
    if text == "result":
        assert not matches(text)
        return
    with pytest.raises(BadInput) as caught:
        matches(text)
    assert caught.value.where == "$filter"


@pytest.mark.parametrize(
    "text",
    [
        "a eq 1 or " * 2_000 + "a eq 1",
        "(" * (MAX_DEPTH + 1) + "a eq 1" + ")" * (MAX_DEPTH + 1),
        "not " * (MAX_FILTER // 4 - 2) + "a eq 1",
        "trim(" * (MAX_DEPTH + 1) + "a" + ")" * (MAX_DEPTH + 1),
        " or ".join(["a eq 1"] * 150),
        "1 add " * 300 + "1 eq 1",
    ],
)
def test_parse_filter_is_bounded(text):
    with pytest.raises(TooComplexQuery):
        parse_filter(text)


_WORDS = (
    "result name eq gt and or not ( ) , 5 'a' null true now() length( substringof( add div location "
    "geo.distance( geography'POINT(1" + " 1)' 2026-04-12T20:00:00Z @iot.id Thing/name mod -1"
)
_PIECES = st.sampled_from(_WORDS.split())


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(_PIECES, max_size=30).map(" ".join)))
def test_any_text_is_a_filter_or_is_refused(text):
    try:
        found = matches(text)
    except BadInput as error:
        assert error.hint
    else:
        assert isinstance(found, bool)


# Options


def test_parse_options_reads_what_is_nested():
    text = (
        "Datastreams($select=name,id;$top=5;$expand=Observations($top=1;$orderby=phenomenonTime desc)),"
        "Locations"
    )
    assert parse_options([("$expand", text), ("$count", "true"), ("$skip", "2")]) == Options(
        skip=2,
        count=True,
        expand=(
            Expansion(
                "Datastreams",
                Options(
                    top=5,
                    select=("name", "id"),
                    expand=(
                        Expansion("Observations", Options(top=1, order=(Order(("phenomenonTime",), True),))),
                    ),
                ),
            ),
            Expansion("Locations", Options()),
        ),
    )


def test_parse_options_joins_links_within_the_same_link():
    found = parse_options([("$expand", "Datastreams/Sensor,Datastreams/Thing($select=name)")])
    assert found.expand == (
        Expansion(
            "Datastreams",
            Options(expand=(Expansion("Sensor", Options()), Expansion("Thing", Options(select=("name",))))),
        ),
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("$top", "-1"),
        ("$top", "x"),
        ("$skip", ""),
        ("$count", "yes"),
        ("$orderby", "name down"),
        ("$orderby", "name,,id"),
        ("$select", "name,"),
        ("$expand", "Datastreams("),
        ("$expand", "Datastreams/"),
        ("$expand", "Data streams"),
        ("$filter", "x"),
        ("$apply", "x"),
        ("$resultFormat", "CSV"),
        ("top", "5"),
    ],
)
def test_parse_options_names_the_option_at_fault(name, value):
    if (name, value) == ("$filter", "x"):
        assert parse_options([(name, value)]).filter is not None
        return
    with pytest.raises(BadInput) as caught:
        parse_options([(name, value)])
    assert caught.value.where == name


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["$top", "$skip", "$orderby", "$select", "$expand"]),
    st.text(alphabet="Datastreams($;=,/)' 0", max_size=300),
)
def test_any_option_is_read_or_refused(name, text):
    try:
        parse_options([(name, text)])
    except BadInput as error:
        assert error.hint


@pytest.mark.parametrize(
    "text", ["A(" * 20 + ")" * 20, "A($expand=" * 10 + "B" + ")" * 10, "/".join("A" * 30)]
)
def test_expand_is_bounded(text):
    with pytest.raises(BadInput):
        parse_options([("$expand", text)])


# Paths


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", ResourcePath(())),
        ("Things", ResourcePath((Step("Things"),))),
        ("Things(1)/Datastreams", ResourcePath((Step("Things", "1"), Step("Datastreams")))),
        ("Things('a''b%2Fc')/name/$value", ResourcePath((Step("Things", "a'b/c"), Step("name")), value=True)),
        ("Things('x')/Locations/$ref", ResourcePath((Step("Things", "x"), Step("Locations")), ref=True)),
    ],
)
def test_parse_path_reads_the_steps(text, path):
    assert parse_path(text) == path


@pytest.mark.parametrize(
    "text", ["Things('a", "Things(a)", "Things()x", "a/" * 20, "%ff", "x" * 9_000, "T('a')b"]
)
def test_parse_path_refuses_the_rest(text):
    with pytest.raises(BadInput):
        parse_path(text)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=100))
def test_an_address_is_read_as_the_id_it_was_made_of(identifier):
    assert parse_path(address("Things", identifier)).steps == (Step("Things", identifier),)


@pytest.mark.parametrize(
    ("text", "span", "alone"),
    [
        ("phenomenonTime ge 1970-01-01T00:00:01Z", Span(1000, None), True),
        ("phenomenonTime gt 1970-01-01T00:00:01Z", Span(1001, None), True),
        ("1970-01-01T00:00:01Z gt resultTime", Span(None, 1000), True),
        ("phenomenonTime le 1970-01-01T00:00:01.0005Z", Span(None, 1001), True),
        ("phenomenonTime eq 1970-01-01T00:00:01Z and result gt 5", Span(1000, 1001), False),
        ("phenomenonTime ge 1970-01-01T00:00:01Z or result gt 5", Span(), False),
        ("phenomenonTime ne 1970-01-01T00:00:01Z", Span(), False),
    ],
)
def test_span_of_finds_the_time_that_bounds_the_readings(text, span, alone):
    assert span_of(parse_filter(text)) == (span, alone)
