"""The temporal evolution of Entities, as the temporal API gives it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cityloom.history.periods import parse_step
from cityloom.history.temporal import TemporalHistory, TemporalQuery
from cityloom.history.temporal_representation import represent_temporal
from cityloom.kernel.actor import ANONYMOUS, CITY, InformationClass
from cityloom.kernel.errors import BadInput, NotFound
from cityloom.kernel.time import format_instant
from cityloom.ngsild.contexts import CORE
from cityloom.ngsild.model import entity, prop, rel
from cityloom.ngsild.q_language import parse_q
from cityloom.ngsild.query import EntityQuery
from cityloom.ngsild.temporal_query import TemporalWindow
from cityloom.ngsild.type_selection import parse_type_selection

STATION = "urn:ngsi-ld:Weather:1"


@pytest.fixture
async def evolution(city, hour):
    for number in range(4):
        await city.measure(STATION, hour(number), temperature=number)
    await city.measure("urn:ngsi-ld:Weather:2", hour(9), temperature=20)
    await city.measure("urn:ngsi-ld:Traffic:1", hour(0), type="Traffic", unit=None, count=7)
    return TemporalHistory(city.history)


def of(**members):
    return TemporalQuery(entities=EntityQuery(**members))


def ids(page):
    return [one.document["id"] for one in page.entities]


async def test_temporal_entities_are_those_with_instances_in_the_interval(evolution, hour):
    window = TemporalWindow(hour(1), hour(3))
    page = evolution.temporal_entities(CITY, TemporalQuery(window=window))
    (one,) = page.entities
    assert page.total == 1
    assert [item["value"] for item in one.document["attrs"]["temperature"]] == [1, 2]
    assert [item["observedAt"] for item in one.document["attrs"]["temperature"]] == [
        format_instant(hour(1)),
        format_instant(hour(2)),
    ]


async def test_temporal_entities_match_by_type_id_and_attribute(evolution):
    assert ids(evolution.temporal_entities(CITY, of(type_expression=parse_type_selection("Weather")))) == [
        "urn:ngsi-ld:Weather:1",
        "urn:ngsi-ld:Weather:2",
    ]
    assert ids(evolution.temporal_entities(CITY, of(ids=(STATION,)))) == [STATION]
    assert ids(evolution.temporal_entities(CITY, of(id_pattern="^urn:ngsi-ld:T"))) == [
        "urn:ngsi-ld:Traffic:1"
    ]
    assert ids(evolution.temporal_entities(CITY, of(attrs=("count",)))) == ["urn:ngsi-ld:Traffic:1"]
    page = evolution.temporal_entities(CITY, of(offset=1, limit=1))
    assert (ids(page), page.total) == (["urn:ngsi-ld:Weather:1"], 3)


async def test_temporal_entities_match_by_what_they_were_in_the_interval(evolution, hour):
    warm = EntityQuery(q=parse_q("temperature>=2", CORE))
    assert ids(evolution.temporal_entities(CITY, TemporalQuery(entities=warm))) == [
        "urn:ngsi-ld:Weather:1",
        "urn:ngsi-ld:Weather:2",
    ]
    before = TemporalQuery(entities=warm, window=TemporalWindow(hour(0), hour(2)))
    assert ids(evolution.temporal_entities(CITY, before)) == []
    (one,) = evolution.temporal_entities(
        CITY, TemporalQuery(entities=warm, window=TemporalWindow(hour(0), hour(3)))
    ).entities
    # The others of its instances in the interval are shown too.
    assert [item["value"] for item in one.document["attrs"]["temperature"]] == [0, 1, 2]


async def test_temporal_entities_are_hidden_by_class(evolution, city, hour):
    await city.measure("urn:secret", hour(0), temperature=1, information_class=InformationClass.SECURITY)
    assert "urn:secret" not in ids(evolution.temporal_entities(ANONYMOUS, TemporalQuery()))
    assert "urn:secret" in ids(evolution.temporal_entities(CITY, TemporalQuery()))
    assert evolution.temporal_entities(ANONYMOUS, of(ids=("urn:secret",))).total == 0
    with pytest.raises(NotFound):
        evolution.temporal_entity(ANONYMOUS, "urn:secret", TemporalQuery())


async def test_temporal_entities_take_the_last_n(evolution):
    page = evolution.temporal_entities(CITY, TemporalQuery(entities=EntityQuery(ids=(STATION,)), last_n=2))
    assert [item["value"] for item in page.entities[0].document["attrs"]["temperature"]] == [2, 3]


async def test_temporal_entities_by_observation_leave_what_has_no_time_of_its_own(evolution, city):
    await city.write(entity("Alert", "urn:alert", {"status": prop("open"), "source": rel(STATION)}))
    assert evolution.temporal_entities(CITY, of(ids=("urn:alert",))).total == 0
    window = TemporalWindow(time_property="modifiedAt")
    page = evolution.temporal_entities(
        CITY, TemporalQuery(entities=EntityQuery(ids=("urn:alert",)), window=window)
    )
    attributes = page.entities[0].document["attrs"]
    assert attributes["status"][0]["value"] == "open"
    assert attributes["source"][0]["object"] == STATION
    assert "observedAt" not in attributes["status"][0]


async def test_temporal_entities_cut_a_long_answer_in_time(evolution, hour):
    query = TemporalQuery(most_instances=3)
    page = evolution.temporal_entities(CITY, query)
    assert page.cut
    assert (page.first, page.last) == (hour(0), hour(1))
    shown = [item for one in page.entities for group in one.document["attrs"].values() for item in group]
    assert sorted(item["value"] for item in shown) == [0, 1, 7]
    rest = evolution.temporal_entities(CITY, TemporalQuery(window=TemporalWindow(hour(2), None)))
    assert not rest.cut
    shown = [item for one in rest.entities for group in one.document["attrs"].values() for item in group]
    assert sorted(item["value"] for item in shown) == [2, 3, 20]


async def test_temporal_entities_aggregate_by_period(evolution, hour):
    query = TemporalQuery(
        entities=EntityQuery(ids=(STATION,)),
        window=TemporalWindow(hour(0), hour(6)),
        aggregates=("avg", "totalCount"),
        period=parse_step("PT2H"),
    )
    (one,) = evolution.temporal_entities(CITY, query).entities
    (aggregates,) = one.aggregates
    assert aggregates.methods == {
        "avg": [(0.5, hour(0), hour(2)), (2.5, hour(2), hour(4))],
        "totalCount": [(2, hour(0), hour(2)), (2, hour(2), hour(4))],
    }


async def test_temporal_entities_aggregate_over_everything_without_an_interval(evolution, hour):
    query = TemporalQuery(entities=EntityQuery(ids=(STATION,)), aggregates=("max",))
    (one,) = evolution.temporal_entities(CITY, query).entities
    assert one.aggregates[0].methods == {"max": [(3, hour(0), hour(3) + timedelta(milliseconds=1))]}


async def test_temporal_entities_aggregate_the_last_n_alone(evolution, hour):
    query = TemporalQuery(
        entities=EntityQuery(ids=(STATION,)),
        aggregates=("avg", "totalCount"),
        period=parse_step("PT1H"),
        last_n=2,
    )
    (one,) = evolution.temporal_entities(CITY, query).entities
    assert [value for value, _, _ in one.aggregates[0].methods["avg"]] == [2, 3]
    assert [value for value, _, _ in one.aggregates[0].methods["totalCount"]] == [1, 1]


async def test_temporal_entities_refuse_what_is_not_kept(evolution):
    with pytest.raises(BadInput, match="'mode'"):
        evolution.temporal_entities(CITY, TemporalQuery(aggregates=("mode",)))


async def test_temporal_entity_without_instances_in_the_interval_is_not_found(evolution, hour):
    query = TemporalQuery(window=TemporalWindow(hour(20), hour(21)))
    with pytest.raises(NotFound, match="in the interval"):
        evolution.temporal_entity(CITY, STATION, query)


async def test_represent_temporal_shows_each_form(evolution, city, hour):
    await city.write(
        entity("Weather", STATION, {"temperature": prop(8, at=hour(6), unit="CEL", dataset="urn:forecast")})
    )
    await city.write(entity("Weather", STATION, {"refDevice": rel("urn:device", at=hour(6))}))
    window = TemporalWindow(hour(3), hour(7))
    query = TemporalQuery(entities=EntityQuery(ids=(STATION,)), window=window)
    (one,) = evolution.temporal_entities(CITY, query).entities
    normalized = represent_temporal(one)
    assert isinstance(normalized["refDevice"], list)
    assert [item["value"] for item in normalized["temperature"]] == [3, 8]
    assert set(normalized["temperature"][0]) == {"type", "value", "instanceId", "observedAt", "unitCode"}
    assert "modifiedAt" in represent_temporal(one, sys_attrs=True)["temperature"][0]
    assert represent_temporal(one, format="temporalValues") == {
        "id": STATION,
        "type": "Weather",
        "temperature": [
            {"type": "Property", "values": [[3, format_instant(hour(3))]]},
            {"type": "Property", "datasetId": "urn:forecast", "values": [[8, format_instant(hour(6))]]},
        ],
        "refDevice": {"type": "Relationship", "objects": [["urn:device", format_instant(hour(6))]]},
    }
    summed = TemporalQuery(
        entities=EntityQuery(ids=(STATION,), dataset_id=("@none",), attrs=("temperature",)),
        window=window,
        aggregates=("sum",),
    )
    (one,) = evolution.temporal_entities(CITY, summed).entities
    assert represent_temporal(one, format="aggregatedValues") == {
        "id": STATION,
        "type": "Weather",
        "temperature": {"type": "Property", "sum": [[3, format_instant(hour(3)), format_instant(hour(7))]]},
    }
