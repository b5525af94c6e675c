"""The query language (ETSI GS CIM 009, 4.9)."""

import gc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityloom.kernel.errors import BadInput
from cityloom.ngsild.contexts import CORE, ContextResolver
from cityloom.ngsild.errors import BadRequestData, OperationNotSupported, TooComplexQuery
from cityloom.ngsild.parse import parse_entity
from cityloom.ngsild.q_language import names_of, parse_q
from cityloom.ngsild.q_matching import compile_q

DOCUMENT = parse_entity(
    {
        "id": "urn:x:1",
        "type": "Room",
        "temperature": {
            "value": 20,
            "observedAt": "2026-04-12T20:00:00Z",
            "unitCode": "CEL",
            "accuracy": 0.5,
        },
        "humidity": 88.5,
        "name": "Eiffel Tower",
        "tags": ["blue", "red"],
        "mixed": [1, "a", True],
        "on": True,
        "address": {"value": {"city": "Berlin", "geo": {"x": 1}}},
        "sensor": {"value": 40, "rawdata": {"value": {"airquality": {"particulate": 40}}}},
        "tickets": {"json": {"value": "late", "id": 5}},
        "says": {"languageMap": {"en": ["red", "cat"], "fr": "rouge"}},
        "gender": {"vocab": "Male"},
        "owner": {"object": "urn:x:2"},
        "parts": {"object": ["urn:x:3", "urn:x:4"]},
        "route": {"objectList": ["urn:x:5"]},
        "opens": {"value": {"@type": "DateTime", "@value": "2026-04-12T08:00:00Z"}},
        "day": "2026-04-12",
        "at": "08:30:00Z",
        "speed": [{"value": 10}, {"value": 60, "datasetId": "urn:d:gps"}],
        "steps": {"valueList": [1, 2]},
        "location": {"type": "Point", "coordinates": [1, 2]},
    }
)


def matches(text: str, context: Any = CORE, lookup: Any = None, **options: Any) -> bool:
    return compile_q(parse_q(text, context, **options), lookup)(DOCUMENT)


@pytest.mark.parametrize(
    "text",
    [
        "temperature",
        "temperature==20",
        "temperature==20.0",
        "temperature==2e1",
        "temperature!=21",
        "temperature>19;temperature<21",
        "temperature>=20;temperature<=20",
        "temperature==10..20",
        "temperature!=21..30",
        "temperature==19,20,21",
        "temperature!=18,19",
        'temperature!="20"',
        "temperature.accuracy<1",
        "temperature.observedAt>=2026-04-12T19:59:59Z",
        "temperature.observedAt==2026-04-12T20:00:00.000Z",
        'temperature.observedAt<"2026-04-12T20:00:00.5Z"',
        'temperature.unitCode=="CEL"',
        'name=="Eiffel Tower"',
        'name~="^Eiffel"',
        'name~="Tower"',
        "name~=Tow.r",
        'name!~="^Tower"',
        'name>"Eiffel";name<"F"',
        'name=="Arc","Eiffel Tower"',
        'tags=="red"',
        'tags=="green","red"',
        'tags!="green"',
        "mixed==1",
        "mixed==true",
        "on",
        "on==true",
        "on!=false",
        'address[city]=="Berlin"',
        "address[geo.x]==1",
        "sensor.rawdata[airquality.particulate]==40",
        'tickets[value]=="late"',
        "tickets[id]==5",
        'says[en]=="red"',
        'says[*]=="rouge"',
        'says=="cat"',
        'says[fr]!="red"',
        'says~="ou"',
        'owner=="urn:x:2"',
        "owner==urn:x:2",
        "owner!=urn:x:3",
        "parts==urn:x:9,urn:x:4",
        "route==urn:x:5",
        "opens>2026-04-12T07:00:00Z",
        "day==2026-04-12",
        "day>2026-04-11",
        "at==08:30:00Z",
        "at==08:00:00Z..09:00:00Z",
        "speed==60",
        "speed==10",
        "speed!=10",
        "steps==2",
        "location",
        "!absent",
        "absent|temperature",
        "(absent|temperature);name",
        "absent;name|temperature",
        "((temperature>50|humidity>80);on==true)",
    ],
)
def test_parse_q_matches(text):
    assert matches(text)


@pytest.mark.parametrize(
    "text",
    [
        "absent",
        "!temperature",
        "temperature==21",
        "temperature!=20",
        "temperature>20",
        "temperature==21..30",
        "temperature!=10..20",
        'temperature=="20"',
        'temperature>"1"',
        "temperature==true",
        "on==1",
        "temperature!=19,20",
        "absent!=1",
        "temperature.absent",
        "temperature.observedAt.more",
        "temperature.observedAt<2026-04-12T20:00:00Z",
        'name~="^Tower"',
        'name!~="Eiffel"',
        "temperature~=20",
        'temperature!~="x"',
        'tags!="red"',
        'tags!="green","red"',
        'tags>"a"',
        'tags~="red"',
        "address[town]",
        "address[city.name]",
        "address[geo.x]==2",
        'says[en]=="rouge"',
        'says[de]=="red"',
        'says[*]!="rouge"',
        'owner>"a"',
        'owner~="urn"',
        'owner!~="nothing"',
        "owner[x]",
        "day==2026-04-13",
        "temperature;absent",
        "(temperature|absent);absent",
        "createdAt",
    ],
)
def test_parse_q_does_not_match(text):
    assert not matches(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ";",
        "a;",
        "a|",
        "(a",
        "a)",
        "()",
        "a==",
        "a==1,",
        "a==1..",
        "a==..1",
        "a==1..true",
        'a==1.."x"',
        "a>true",
        "a>urn:x:1",
        "a>1,2",
        "a>1..2",
        'a=="open',
        r'a=="\x"',
        r'a=="\ud800"',
        "a[b",
        "a[]",
        "a[b]c",
        "a{b",
        "a{}",
        "a.b{c}==1",
        "a..b",
        "a b",
        "1a==1",
        "a===1",
        "a=1",
        "a~=(?=x)",
        'a~="(?<=x)"',
        'a~="("',
        'a~="' + "x" * 1001 + '"',
        "\0",
        "a\0",
        "a==\ud800",
        "<script>",
    ],
)
def test_parse_q_names_the_place_at_fault(text):
    with pytest.raises(BadRequestData) as caught:
        compile_q(parse_q(text))
    assert caught.value.where == "q"
    assert caught.value.hint


@given(st.text(alphabet='ab1.;|()[]{}"~=!<>,-:TZé \\', max_size=25))
def test_parse_q_fails_in_one_way_alone(text):
    try:
        predicate = compile_q(parse_q(text), lambda _: DOCUMENT)
    except BadInput:
        return
    assert predicate(DOCUMENT) in (True, False)


def test_parse_q_limits_length_terms_and_depth():
    for text in ("a" * 9000, ";".join(["a"] * 201), "(" * 30 + "a" + ")" * 30):
        with pytest.raises(TooComplexQuery):
            parse_q(text)
    assert parse_q(";".join(["a"] * 199))


def test_parse_q_expands_names():
    context = ContextResolver().resolve({"t": "https://x.example/temperature", "T": "https://x.example/T"})
    document = parse_entity({"id": "urn:x:1", "type": "Room", "t": {"value": 1, "T": 2}}, context)
    assert compile_q(parse_q("t.T==2", context))(document)
    assert not compile_q(parse_q("t.T==2"))(document)
    assert list(names_of(parse_q("t==1;(a|b.c)", context))) == ["https://x.example/temperature", "a", "b"]


def test_parse_q_expands_values_on_demand():
    context = ContextResolver().resolve({"Male": "https://x.example/Male"})
    document = parse_entity({"id": "urn:x:1", "type": "Person", "gender": {"vocab": "Male"}}, context)
    assert compile_q(parse_q("gender==Male", context, expand_values=["gender"]))(document)
    assert compile_q(parse_q('gender=="https://x.example/Male"', context))(document)
    assert not compile_q(parse_q("gender==Male", context))(document)


def test_compile_q_follows_relationships():
    linked = {
        "urn:x:2": parse_entity(
            {"id": "urn:x:2", "type": "Person", "age": 40, "boss": {"object": "urn:x:9"}}
        ),
        "urn:x:9": parse_entity({"id": "urn:x:9", "type": "Person", "age": 60}),
    }
    assert matches("owner{age}==40", lookup=linked.get)
    assert matches("owner{Person:age}==40", lookup=linked.get)
    assert matches("owner{Robot,Person:boss{age}}>50", lookup=linked.get)
    assert not matches("owner{Robot:age}==40", lookup=linked.get)
    assert not matches("owner{age}==41", lookup=linked.get)
    assert not matches("parts{age}", lookup=linked.get)
    with pytest.raises(OperationNotSupported):
        matches("owner{age}==40")


def test_compile_q_answers_a_regex_bomb_in_no_time():
    bomb = parse_entity({"id": "urn:x:1", "type": "Room", "name": "a" * 50_000 + "!"})
    assert not compile_q(parse_q('name~="^(a+)+$"'))(bomb)


def test_compile_q_knows_the_systems_times():
    document = {**DOCUMENT, "createdAt": "2026-04-12T20:00:00Z"}
    assert compile_q(parse_q("createdAt>2026-01-01T00:00:00Z"))(document)
    assert compile_q(parse_q("!modifiedAt"))(document)


@pytest.mark.parametrize(
    "q", ["temperature>20", "temperature==20;humidity", "name~=a.*", "temperature==1..30"]
)
def test_a_query_that_is_done_leaves_nothing_to_the_garbage_collector(q):
    compile_q(parse_q(q, CORE))(DOCUMENT)
    gc.collect()
    gc.disable()
    try:
        compile_q(parse_q(q, CORE))(DOCUMENT)
        assert gc.collect() == 0
    finally:
        gc.enable()
