"""What may be asked of the past."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from cityloom.history.periods import parse_step
from cityloom.kernel.actor import ANONYMOUS, CITY, InformationClass
from cityloom.kernel.errors import BadInput, NotFound
from cityloom.ngsild.model import entity, geo, point, prop, rel, text

STATION = "urn:ngsi-ld:Weather:1"


async def test_raw_tells_values_with_their_unit_and_time(city, hour):
    for number in range(4):
        await city.measure(STATION, hour(number), temperature=10 + number)
    found = city.history.raw(ANONYMOUS, STATION, ["temperature"], hour(1), hour(3))
    assert [(one.at, one.value, one.unit_code) for one in found] == [
        (hour(1), 11, "CEL"),
        (hour(2), 12, "CEL"),
    ]
    assert [one.value for one in city.history.raw(ANONYMOUS, STATION, last_n=1)] == [13]


async def test_raw_remembers_only_what_a_change_names(city, hour):
    await city.measure(STATION, hour(0), temperature=1, humidity=0.5)
    await city.measure(STATION, hour(1), temperature=2)
    attributes = [one.attribute for one in city.history.raw(ANONYMOUS, STATION)]
    assert attributes == ["temperature", "temperature", "humidity"]


async def test_raw_of_a_value_without_a_time_has_the_time_of_the_change(city):
    change = await city.broker.create(CITY, entity("Alert", "urn:ngsi-ld:Alert:1", {"status": prop("open")}))
    await city.settled()
    (found,) = city.history.raw(CITY, "urn:ngsi-ld:Alert:1")
    assert found.at == found.recorded_at == datetime.fromtimestamp(change.at_millis / 1000, UTC)


async def test_raw_keeps_relationships_and_places_and_leaves_texts_in_languages(city, hour):
    area = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    await city.write(
        entity(
            "Device",
            "urn:d",
            {
                "location": point(10.2, 56.1),
                "area": geo(area),
                "partOf": rel("urn:network"),
                "name": text(en="Sensor"),
                "tags": prop(["a", "b"]),
                "empty": prop(""),
            },
        )
    )
    found = {one.attribute: (one.attribute_type, one.value) for one in city.history.raw(CITY, "urn:d")}
    assert found == {
        "location": ("GeoProperty", {"type": "Point", "coordinates": [10.2, 56.1]}),
        "area": ("GeoProperty", area),
        "partOf": ("Relationship", "urn:network"),
        "tags": ("Property", ["a", "b"]),
        "empty": ("Property", ""),
    }


async def test_raw_of_one_dataset_does_not_repeat_the_others(city, hour):
    await city.measure(STATION, hour(0), temperature=1)
    forecast = prop(3.5, at=hour(6), unit="CEL", dataset="urn:ngsi-ld:Dataset:forecast:PT6H")
    await city.write(entity("Weather", STATION, {"temperature": [forecast]}))
    found = city.history.raw(ANONYMOUS, STATION)
    assert [(one.dataset, one.value) for one in found] == [
        ("", 1),
        ("urn:ngsi-ld:Dataset:forecast:PT6H", 3.5),
    ]
    assert [one.value for one in city.history.raw(ANONYMOUS, STATION, dataset="")] == [1]


async def test_raw_shows_what_was_corrected_when_asked(city, hour):
    await city.measure(STATION, hour(0), temperature=99)
    await city.measure(STATION, hour(0), temperature=9)
    assert [one.value for one in city.history.raw(CITY, STATION)] == [9]
    assert [one.value for one in city.history.raw(CITY, STATION, corrected=True)] == [99, 9]


async def test_raw_is_hidden_with_its_entity(city, hour):
    await city.measure(STATION, hour(0), temperature=1, information_class=InformationClass.SECURITY)
    with pytest.raises(NotFound):
        city.history.raw(ANONYMOUS, STATION)
    assert [one.value for one in city.history.raw(CITY, STATION)] == [1]


async def test_raw_is_hidden_at_once_while_history_lags_behind(city, hour):
    await city.measure(STATION, hour(0), temperature=1)
    await city.broker.leave("history")
    await city.broker.classify(CITY, STATION, InformationClass.SECURITY)
    with pytest.raises(NotFound):
        city.history.raw(ANONYMOUS, STATION)


async def test_raw_opens_with_its_entity(city, hour):
    await city.measure(STATION, hour(0), temperature=1, information_class=InformationClass.SECURITY)
    await city.broker.classify(CITY, STATION, InformationClass.OPEN)
    await city.settled()
    assert [one.value for one in city.history.raw(ANONYMOUS, STATION)] == [1]


async def test_raw_of_a_deleted_entity_keeps_its_class(city, hour):
    await city.measure(STATION, hour(0), temperature=1, information_class=InformationClass.SECURITY)
    await city.broker.delete(CITY, STATION)
    await city.settled()
    with pytest.raises(NotFound):
        city.history.raw(ANONYMOUS, STATION)
    assert [one.value for one in city.history.raw(CITY, STATION)] == [1]


async def test_raw_of_an_entity_that_took_over_a_secret_id_is_its_own(city, hour):
    await city.measure(STATION, hour(0), temperature=1, information_class=InformationClass.SECURITY)
    await city.broker.delete(CITY, STATION)
    await city.measure(STATION, hour(1), temperature=2, information_class=InformationClass.OPEN)
    assert [one.value for one in city.history.raw(ANONYMOUS, STATION)] == [2]
    assert [one.value for one in city.history.raw(CITY, STATION)] == [1, 2]


async def test_raw_of_an_unknown_entity_is_not_found_and_of_a_young_one_empty(city):
    with pytest.raises(NotFound):
        city.history.raw(CITY, "urn:nobody")
    await city.write(entity("Weather", STATION, {}))
    assert city.history.raw(CITY, STATION) == []


async def test_last_finds_the_reading_before_an_instant(city, hour):
    for number in range(3):
        await city.measure(STATION, hour(number), temperature=number)
    assert city.history.last(CITY, STATION, "temperature").value == 2
    assert city.history.last(CITY, STATION, "temperature", before=hour(1)).value == 0
    assert city.history.last(CITY, STATION, "temperature", before=hour(0)) is None


async def test_aggregate_works_by_period_for_one_and_for_a_type(city, hour):
    for number in range(4):
        await city.measure(STATION, hour(number), temperature=number)
        await city.measure("urn:ngsi-ld:Weather:2", hour(number), temperature=10 * number)
    step = timedelta(hours=2)
    one = city.history.aggregate(CITY, STATION, "temperature", hour(0), hour(4), step, ["avg", "max"])
    assert one.values["avg"].tolist() == [[0.5, 2.5]]
    assert one.starts == [hour(0), hour(2)]
    all_of_them = city.history.aggregate(CITY, "type:Weather", "temperature", hour(0), hour(4), step, ["sum"])
    assert all_of_them.values["sum"].tolist() == [[1, 5], [10, 50]]
    pooled = city.history.aggregate(
        CITY, "type:Weather", "temperature", hour(0), hour(4), None, ["avg", "totalCount"], pooled=True
    )
    assert pooled.values["avg"].tolist() == [[8.25]]
    assert pooled.values["totalCount"].tolist() == [[8]]


async def test_aggregate_leaves_out_what_the_actor_may_not_see(city, hour):
    await city.measure(STATION, hour(0), temperature=1)
    await city.measure("urn:s", hour(0), temperature=1000, information_class=InformationClass.SECURITY)
    question = ("type:Weather", "temperature", hour(0), hour(1), None, ["sum"])
    assert city.history.aggregate(ANONYMOUS, *question, pooled=True).values["sum"].tolist() == [[1]]
    assert city.history.aggregate(CITY, *question, pooled=True).values["sum"].tolist() == [[1001]]


async def test_aggregate_ends_where_the_question_ends(city, hour):
    for number in range(4):
        await city.measure(STATION, hour(number), temperature=1)
    found = city.history.aggregate(
        CITY, STATION, "temperature", hour(0), hour(3), timedelta(hours=2), ["totalCount"]
    )
    assert found.values["totalCount"].tolist() == [[2, 1]]


async def test_aggregate_follows_the_calendar_of_the_city(city):
    zone = ZoneInfo("Europe/Copenhagen")
    first = datetime(2014, 10, 25, tzinfo=zone)
    for hours in range(0, 73):
        await city.measure(STATION, first.astimezone(UTC) + timedelta(hours=hours), temperature=1)
    found = city.history.aggregate(
        CITY,
        STATION,
        "temperature",
        first,
        datetime(2014, 10, 28, tzinfo=zone),
        parse_step("P1D"),
        ["totalCount"],
        zone=zone,
    )
    assert found.values["totalCount"].tolist() == [[24, 25, 24]]  # the clock went back on the 26th


async def test_aggregate_weighs_by_time_where_asked(city, hour):
    await city.measure(STATION, hour(-1), temperature=0)
    await city.measure(STATION, hour(3), temperature=8)
    found = city.history.aggregate(
        CITY, STATION, "temperature", hour(0), hour(4), timedelta(hours=4), ["avg"], time_weighted=True
    )
    assert found.values["avg"].tolist() == [[8]]
    assert found.values["timeWeightedAvg"].tolist() == [[2]]
    assert found.values["coveredMilliseconds"].tolist() == [[4 * 3_600_000]]
    cut = city.history.aggregate(
        CITY, STATION, "temperature", hour(0), hour(4), timedelta(hours=3), [], time_weighted=True
    )
    assert cut.values["coveredMilliseconds"].tolist() == [[3 * 3_600_000, 3_600_000]]
    held = city.history.aggregate(
        CITY,
        STATION,
        "temperature",
        hour(0),
        hour(4),
        None,
        [],
        time_weighted=True,
        hold=timedelta(hours=2),
    )
    assert held.values["timeWeightedAvg"].tolist() == [[4]]  # one hour of 0, a hole, one hour of 8
    assert held.values["coveredMilliseconds"].tolist() == [[2 * 3_600_000]]


@pytest.mark.parametrize(
    ("step", "methods", "place"),
    [
        (timedelta(milliseconds=1), ["avg"], "step"),
        (timedelta(hours=1), ["mode"], "aggrMethods"),
    ],
)
async def test_aggregate_refuses_what_cannot_be_answered(city, hour, step, methods, place):
    await city.measure(STATION, hour(0), temperature=1)
    with pytest.raises(BadInput) as refused:
        city.history.aggregate(CITY, STATION, "temperature", hour(0), hour(24), step, methods)
    assert refused.value.where == place


async def test_matrix_has_a_row_for_each_entity_and_nan_for_gaps(city, hour):
    await city.measure("urn:b", hour(0), temperature=1)
    await city.measure("urn:a", hour(1), temperature=2)
    found = city.history.matrix(CITY, "Weather", "temperature", hour(0), hour(2), timedelta(hours=1))
    assert found.entity_ids == ["urn:a", "urn:b"]
    np.testing.assert_array_equal(found.values, [[np.nan, 2], [1, np.nan]])
    assert found.unit_code == "CEL"
    assert len(found.times) == 2
    none = city.history.matrix(CITY, "Nothing", "temperature", hour(0), hour(2), timedelta(hours=1))
    assert none.values.shape == (0, 2)


async def test_coverage_names_the_longest_gaps_first(city, hour):
    for number in (0, 1, 5, 7):
        await city.measure(STATION, hour(number), temperature=1)
    found = city.history.coverage(CITY, STATION, "temperature", hour(0), hour(8), timedelta(hours=1))
    assert (found.count, found.expected, found.missing, found.share) == (4, 8, 4, 0.5)
    assert [(gap.since, gap.until, gap.missing) for gap in found.gaps] == [
        (hour(2), hour(5), 3),
        (hour(6), hour(7), 1),
    ]


async def test_coverage_of_nothing_is_not_a_number(city, hour):
    found = city.history.coverage(CITY, "type:Nothing", "a", hour(0), hour(8), timedelta(hours=1))
    assert (found.entities, found.expected) == (0, 0)
    assert np.isnan(found.share)


async def test_export_writes_what_the_actor_may_see(city, hour):
    await city.measure(STATION, hour(0), temperature=1)
    await city.measure("urn:s", hour(0), temperature=1000, information_class=InformationClass.SECURITY)
    path = city.history.export(ANONYMOUS, "type:Weather", "csv")
    with path.open(encoding="utf-8", newline="") as file:
        assert [(row["entity_id"], row["value"], row["unit_code"]) for row in csv.DictReader(file)] == [
            (STATION, "1.0", "CEL")
        ]
    with pytest.raises(NotFound):
        city.history.export(ANONYMOUS, "urn:s", "csv")


async def test_forget_removes_the_past_of_an_attribute(city, hour):
    await city.measure(STATION, hour(0), temperature=1, humidity=0.5)
    assert city.history.forget(CITY, STATION, ["humidity"]) == 1
    assert [one.attribute for one in city.history.raw(CITY, STATION)] == ["temperature"]


async def test_statistics_count_each_series(city, hour):
    for number in range(3):
        await city.measure(STATION, hour(number), temperature=number)
    ((series, statistics),) = city.history.statistics(CITY, STATION)
    assert (series.key.attribute, statistics.count) == ("temperature", 3)


async def test_a_tenant_is_known_to_whom_sees_what_is_remembered_of_it(city, hour):
    assert not city.history.knows_tenant(CITY, "")
    await city.measure(STATION, hour(0), temperature=1, information_class=InformationClass.INTERNAL)
    assert city.history.knows_tenant(CITY, "")
    assert not city.history.knows_tenant(ANONYMOUS, "")
    assert not city.history.knows_tenant(CITY, "north")
    await city.broker.delete(CITY, STATION)
    await city.settled()
    assert city.history.knows_tenant(CITY, "")
    assert not city.history.knows_tenant(ANONYMOUS, "")
    await city.measure("urn:b", hour(0), temperature=1)
    assert city.history.knows_tenant(ANONYMOUS, "")


async def test_a_pool_has_what_the_actor_may_see(city, hour):
    for name in ("urn:w:1", "urn:w:2", "urn:w:3"):
        await city.measure(name, hour(0), temperature=1)
    await city.broker.classify(CITY, "urn:w:1", InformationClass.SECURITY)
    # Its class of now is looked at, before it is remembered.
    asked = ("type:Weather", "temperature", hour(0), hour(1))
    assert list(city.history.pool(ANONYMOUS, *asked).entity_ids) == ["urn:w:2", "urn:w:3"]
    await city.settled()
    await city.broker.classify(CITY, "urn:w:3", InformationClass.INTERNAL)
    await city.settled()
    await city.broker.delete(CITY, "urn:w:3")
    await city.settled()
    # It is gone; the class that it was remembered with counts.
    found = city.history.pool(ANONYMOUS, *asked)
    assert list(found.entity_ids) == ["urn:w:2"]
    assert found.pool.group.tolist() == [0]
    assert list(city.history.pool(CITY, *asked).entity_ids) == ["urn:w:1", "urn:w:2", "urn:w:3"]
    assert list(city.history.pool(CITY, "urn:w:2", *asked[1:]).entity_ids) == ["urn:w:2"]
    assert list(city.history.pool(ANONYMOUS, "urn:w:1", *asked[1:]).entity_ids) == []
