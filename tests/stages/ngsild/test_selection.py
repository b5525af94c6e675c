"""Types, scopes, time, order, and the query as a whole (ETSI GS CIM 009, 4.11, 4.17 to 4.19, 4.23)."""

import pytest

from cityloom.kernel.errors import BadInput
from cityloom.kernel.time import parse_instant
from cityloom.ngsild.contexts import ContextResolver
from cityloom.ngsild.errors import BadRequestData, OperationNotSupported, TooComplexQuery
from cityloom.ngsild.geo_query import parse_geo_query
from cityloom.ngsild.ordering import in_order, parse_order_by
from cityloom.ngsild.parse import parse_entity
from cityloom.ngsild.q_language import parse_q
from cityloom.ngsild.query import EntityQuery, EntitySelector, compile
from cityloom.ngsild.scope_query import compile_scopes, parse_scope_query
from cityloom.ngsild.temporal_query import TemporalWindow, parse_temporal_window
from cityloom.ngsild.type_selection import compile_types, parse_type_selection


def entity(identifier="urn:x:1", types=("Home", "Vehicle"), **members):
    return parse_entity({"id": identifier, "type": list(types), **members})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Home", True),
        ("Building|Home", True),
        ("Building,Vehicle", True),
        ("(Home;Vehicle)", True),
        ("(Home;Building)", False),
        ("Home;Vehicle", True),
        ("Home;Building", False),
        ("(Home;Building)|Vehicle", True),
        ("Building", False),
        ("https://uri.etsi.org/ngsi-ld/default-context/Home", True),
    ],
)
def test_parse_type_selection_selects(text, expected):
    assert compile_types(parse_type_selection(text))(entity()) is expected


def test_parse_type_selection_names_one_type_of_each_alternative():
    assert parse_type_selection("(A;B)|C,A").candidates() == ("A", "C")
    assert parse_type_selection("*") is None


def test_parse_type_selection_expands_types():
    context = ContextResolver().resolve({"Home": "https://x.example/Home"})
    assert not compile_types(parse_type_selection("Home", context))(entity())


@pytest.mark.parametrize("text", ["", "|A", "A|", "A;", "(A", "A)", "((A))", "()", "<b>", "A B"])
def test_parse_type_selection_refuses_what_is_none(text):
    with pytest.raises(BadRequestData):
        parse_type_selection(text)


def test_parse_type_selection_is_limited():
    with pytest.raises(TooComplexQuery):
        parse_type_selection("|".join(["A"] * 300))


@pytest.mark.parametrize(
    ("text", "scope", "expected"),
    [
        ("/Madrid", "/Madrid", True),
        ("/Madrid", "/Madrid/Gardens", False),
        ("/Madrid/Gardens/#", "/Madrid/Gardens", True),
        ("/Madrid/Gardens/#", "/Madrid/Gardens/ParqueNorte/P1", True),
        ("/Madrid/Gardens/#", "/Madrid/Districts", False),
        ("/Madrid/+/ParqueNorte", "/Madrid/Sights/ParqueNorte", True),
        ("/Madrid/+/ParqueNorte", "/Madrid/ParqueNorte", False),
        ("/Madrid/+/#", "/Madrid", False),
        ("/#", "/Madrid", True),
        ("/#", None, False),
        ("(/A;/B)", ["/A", "/B"], True),
        ("(/A;/B)", ["/A"], False),
        ("(/A;/B)|/C", ["/C"], True),
        ("/A,/C", ["/C"], True),
        ("Madrid", "/Madrid", True),
    ],
)
def test_parse_scope_query_selects(text, scope, expected):
    document = entity(**({} if scope is None else {"scope": scope}))
    assert compile_scopes(parse_scope_query(text))(document) is expected


@pytest.mark.parametrize("text", ["", "/", "/A//B", "/#/A", "/A/#/B", "/a b", "(/A", "/A;"])
def test_parse_scope_query_refuses_what_is_none(text):
    with pytest.raises(BadRequestData):
        parse_scope_query(text)


T1, T2 = "2026-04-12T20:00:00Z", "2026-04-12T21:00:00Z"


def test_parse_temporal_window_reads_each_relation():
    one, two = (parse_instant(text, where="") for text in (T1, T2))
    assert parse_temporal_window(None, None) == TemporalWindow()
    assert parse_temporal_window("before", T1) == TemporalWindow(None, one)
    assert parse_temporal_window("after", T1) == TemporalWindow(one, None)
    assert parse_temporal_window("between", T1, T2, "modifiedAt") == TemporalWindow(one, two, "modifiedAt")


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (("during", T1), "timerel"),
        ((None, T1), "timeAt"),
        ((None, None, T1), "endTimeAt"),
        (("before", None), "timeAt"),
        (("before", "yesterday"), "timeAt"),
        (("before", T1, T2), "endTimeAt"),
        (("between", T1), "endTimeAt"),
        (("between", T2, T1), "endTimeAt"),
        (("between", T1, T1), "endTimeAt"),
        (("before", T1, None, "unitCode"), "timeproperty"),
    ],
)
def test_parse_temporal_window_names_the_parameter_at_fault(arguments, where):
    with pytest.raises(BadRequestData) as caught:
        parse_temporal_window(*arguments)
    assert caught.value.where == where


def ids(documents):
    return [document["id"][-1] for document in documents]


def test_in_order_sorts_by_values_and_kinds():
    documents = [
        entity("urn:x:a", x="text"),
        entity("urn:x:b", x=2),
        entity("urn:x:c"),
        entity("urn:x:d", x=10),
        entity("urn:x:e", x=True),
        entity("urn:x:f", x=2),
    ]
    assert ids(in_order(documents, parse_order_by("x"))) == ["b", "f", "d", "a", "e", "c"]
    assert ids(in_order(documents, parse_order_by("x;desc"))) == ["e", "a", "d", "b", "f", "c"]
    assert ids(in_order(documents, parse_order_by("x,id;desc"))) == ["f", "b", "d", "a", "e", "c"]


def test_in_order_follows_paths():
    documents = [
        entity("urn:x:a", x={"value": {"n": 2}, "y": 1}),
        entity("urn:x:b", x={"value": {"n": 1}, "y": 2}),
        entity("urn:x:c", x=5),
    ]
    assert ids(in_order(documents, parse_order_by("x.y;desc"))) == ["b", "a", "c"]
    assert ids(in_order(documents, parse_order_by("x[n]"))) == ["b", "a", "c"]


def test_in_order_sorts_by_distance():
    documents = [entity(f"urn:x:{n}", location={"type": "Point", "coordinates": [n, 0]}) for n in (3, 1, 2)]
    documents.append(entity("urn:x:9"))
    home = {"type": "Point", "coordinates": [0, 0]}
    assert ids(in_order(documents, parse_order_by("location;dist-asc", geometry=home))) == [
        "1",
        "2",
        "3",
        "9",
    ]
    assert ids(in_order(documents, parse_order_by("location;dist-desc", geometry=home))) == [
        "3",
        "2",
        "1",
        "9",
    ]


def test_in_order_takes_what_only_looks_like_a_geometry_as_a_value():
    home = {"type": "Point", "coordinates": [10, 56]}
    plain = {"type": "Point", "coordinates": "somewhere"}
    documents = [
        {"id": "plain", "attrs": {"place": [{"type": "JsonProperty", "json": plain}]}},
        {"id": "home", "attrs": {"place": [{"type": "GeoProperty", "value": home}]}},
    ]
    found = in_order(documents, parse_order_by("place;dist-asc", geometry=home))
    assert [document["id"] for document in found] == ["home", "plain"]


@pytest.mark.parametrize("text", ["x;up", "location;dist-asc", "a b", "", ",".join(["x"] * 11)])
def test_parse_order_by_refuses_what_is_none(text):
    with pytest.raises(BadInput):
        parse_order_by(text)


HOME = entity(
    "urn:x:home", ("Home",), temperature=20, scope="/A", location={"type": "Point", "coordinates": [10, 56]}
)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (EntityQuery(), True),
        (EntityQuery(ids=("urn:x:home", "urn:x:other")), True),
        (EntityQuery(ids=("urn:x:other",)), False),
        (EntityQuery(id_pattern="home$"), True),
        (EntityQuery(id_pattern="^home"), False),
        (EntityQuery(ids=("urn:x:home",), id_pattern="nothing"), True),
        (EntityQuery(attrs=("humidity", "temperature")), True),
        (EntityQuery(attrs=("humidity",)), False),
        (EntityQuery(type_expression=parse_type_selection("Home")), True),
        (EntityQuery(scope_q=parse_scope_query("/B")), False),
        (EntityQuery(q=parse_q("temperature>19")), True),
        (EntityQuery(geo=parse_geo_query("within", "Point", "[1,2]")), False),
        (EntityQuery(type_expression=parse_type_selection("Home"), q=parse_q("temperature>20")), False),
        (EntityQuery(selectors=(EntitySelector(id="urn:x:other"), EntitySelector(id_pattern="home"))), True),
        (EntityQuery(selectors=(EntitySelector(parse_type_selection("Car"), id="urn:x:home"),)), False),
        (EntityQuery(selectors=(EntitySelector(parse_type_selection("Home")),), attrs=("humidity",)), False),
    ],
)
def test_compile_wants_every_condition(query, expected):
    assert compile(query)(HOME) is expected


def test_compile_refuses_wrong_patterns_before_any_document():
    with pytest.raises(BadRequestData) as caught:
        compile(EntityQuery(id_pattern="("))
    assert caught.value.where == "idPattern"
    with pytest.raises(OperationNotSupported):
        compile(EntityQuery(q=parse_q("owner{name}")))
