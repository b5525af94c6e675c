"""What measures find in a city's data, worked out by hand beside them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from cityloom.indicators import measures as verbs
from cityloom.indicators.measuring import work_out
from cityloom.indicators.view import Documents, View
from cityloom.kernel.actor import ANONYMOUS, CITY, Actor, InformationClass
from cityloom.kernel.errors import BadInput
from cityloom.kernel.time import format_instant
from cityloom.ngsild.model import entity, json_value, prop, rel, value_of

#: In Copenhagen it is two hours later.
MONDAY = datetime(2014, 9, 22, tzinfo=UTC)
HOUR = timedelta(hours=1)
INSIDE = Actor(id="test", clearance=frozenset({InformationClass.OPEN, InformationClass.INTERNAL}))


@pytest.fixture
def look(city):
    """Work a measure out over some days from Monday on."""

    def find(measure, *, hours=24, unit="", actor=ANONYMOUS, figures=None):
        view = View(
            actor=actor,
            since=MONDAY,
            until=MONDAY + hours * HOUR,
            zone=ZoneInfo("Europe/Copenhagen"),
            history=city.history,
            documents={name: Documents(city.broker.kept_of_type(actor, name)) for name in measure.types()},
            open_types=city.broker.types(ANONYMOUS),
            figures=figures or {},
            unit_code=unit,
        )
        return work_out(measure, view)

    return find


def at(hour: float) -> datetime:
    return MONDAY + hour * HOUR


async def test_mean_weighs_hours_and_then_stations_alike(city, look):
    one = await city.thing("Air", "1", origin="simulated")
    other = await city.thing("Air", "2", origin="measured")
    # Many readings in one hour count as much as one in another.
    city.past(one, "pm25", "GQ", [(at(0), 10), (at(0.25), 20), (at(0.5), 30), (at(1), 40)])
    city.past(other, "pm25", "GP", [(at(0), 0.006)])  # milligrams
    found = look(verbs.Mean(code="X", type="Air", attribute="pm25"), hours=4, unit="GQ")
    assert found.value == pytest.approx((30 + 6) / 2)
    assert (found.numerator, found.denominator) == (pytest.approx(36), 2)
    assert found.parts_unit == "GQ"
    assert (found.rows, found.entities, found.origin) == (5, 2, "simulated")
    assert found.coverage == 3 / 8
    (because,) = found.because
    assert (because.about, because.attribute, because.count, because.missing) == ("type:Air", "pm25", 5, 5)
    assert (because.since, because.until) == ("2014-09-22T00:00:00Z", "2014-09-22T04:00:00Z")


async def test_mean_takes_a_changed_unit_as_one_station(city, look):
    one = await city.thing("Air", "1")
    city.past(one, "pm25", "GQ", [(at(0), 10)])
    await city.write(entity("Air", one, {"pm25": prop(0.03, at=at(1), unit="GP")}))
    found = look(verbs.Mean(code="X", type="Air", attribute="pm25"), hours=2, unit="GQ")
    assert (found.value, found.entities, found.coverage) == (pytest.approx(20), 1, 1)


async def test_mean_of_nothing_says_nothing(city, look):
    await city.thing("Air", "1")
    found = look(verbs.Mean(code="X", type="Air", attribute="pm25"))
    assert (found.value, found.rows, found.coverage, found.because) == (None, 0, None, ())


async def test_mean_refuses_units_that_do_not_fit(city, look):
    one = await city.thing("Air", "1")
    city.past(one, "pm25", "CEL", [(at(0), 10)])
    with pytest.raises(BadInput, match="cannot be turned"):
        look(verbs.Mean(code="X", type="Air", attribute="pm25"), unit="GQ")


async def test_mean_does_not_see_what_is_secret(city, look):
    await city.thing("Air", "1", information_class=InformationClass.SECURITY)
    city.past("urn:ngsi-ld:Air:1", "pm25", "GQ", [(at(0), 10)], information_class=InformationClass.SECURITY)
    measure = verbs.Mean(code="X", type="Air", attribute="pm25")
    assert look(measure, actor=INSIDE).value is None


async def test_against_reference_compares_travel_times(city, look):
    slow = await city.thing("Road", "slow", freeFlowSpeed=60, length=1000)
    fast = await city.thing("Road", "fast", freeFlowSpeed=100, length=3000)
    blind = await city.thing("Road", "blind", length=500)
    # 7 to 9 in Copenhagen is 5 to 7 here; noon does not count.
    city.past(slow, "speed", "KMH", [(at(5), 30), (at(6), 60), (at(10), 5)])
    # Where everything stands there is no travel time.
    city.past(fast, "speed", "KMH", [(at(5), 50), (at(6), 0)])
    city.past(blind, "speed", "KMH", [(at(5), 1)])
    measure = verbs.AgainstReference(
        code="X",
        type="Road",
        attribute="speed",
        reference="freeFlowSpeed",
        weight="length",
        inverse=True,
        scale=0.06,
        parts_unit="MIN",
        hours=((7, 9),),
        weekdays=(1,),
    )
    found = look(measure, hours=48)
    # Minutes: 1 km at 45 km/h, the median of 30 and 60, 3 km at 50; free: 1 km at 60, 3 km at 100.
    assert found.numerator == pytest.approx(60 / 45 + 3.6)
    assert found.denominator == pytest.approx(1 + 1.8)
    assert found.value == pytest.approx((60 / 45 + 3.6) / 2.8)
    assert (found.entities, found.coverage) == (2, 3 / 4)


async def test_against_reference_compares_speeds(city, look):
    slow = await city.thing("Road", "slow", freeFlowSpeed=60)
    city.past(slow, "speed", "KMH", [(at(5), 30), (at(6), 60)])
    measure = verbs.AgainstReference(code="X", type="Road", attribute="speed", reference="freeFlowSpeed")
    found = look(measure)
    assert found.value == pytest.approx(45 / 60)
    assert found.coverage == 2 / 24


async def test_share_of_time_weighs_by_how_long_a_value_holds(city, look):
    park = await city.thing("Park", "1", total=100)
    other = await city.thing("Park", "2", total=10)
    city.past(park, "free", "", [(at(0), 50), (at(1), 5), (at(1.5), 9), (at(2), 20), (at(9), 0)])
    city.past(other, "free", "", [(at(3), 2)])
    measure = verbs.ShareOfTime(
        code="X", type="Park", attribute="free", reference="total", below=0.1, hold="PT2H"
    )
    found = look(measure, hours=10)
    # First: 0-1 free, 1-2 full, 2-4 free (held), 9-10 full. Second: 3-5 free.
    assert (found.numerator, found.denominator) == (2, 7)
    assert found.value == pytest.approx(2 / 7)
    assert found.coverage == 7 / 20
    assert found.parts_unit == "HUR"


async def test_share_of_time_leaves_out_whose_share_cannot_be_told(city, look):
    lost = await city.thing("Park", "1")
    city.past(lost, "free", "", [(at(0), 0)])
    measure = verbs.ShareOfTime(code="X", type="Park", attribute="free", reference="total", below=0.1)
    assert look(measure).value is None


async def test_days_above_counts_local_days(city, look):
    one = await city.thing("Air", "1")
    # 22:00 in UTC is the next day in Copenhagen. The first and the last day of the period are not whole.
    readings = [(at(1), 90), (at(22), 40), (at(45), 2), (at(50), 10), (at(95), 90)]
    city.past(one, "pm25", "GQ", readings)
    found = look(verbs.DaysAbove(code="X", type="Air", attribute="pm25", above=15), hours=96)
    assert (found.numerator, found.denominator) == (1, 2)
    assert (found.value, found.coverage) == (0.5, 2 / 3)
    assert found.rows == 3
    assert look(verbs.DaysAbove(code="X", type="Air", attribute="pm25", above=15), hours=20).value is None


async def test_share_of_entities_takes_how_they_are_now(city, look):
    for key, status in (("1", "ok"), ("2", "defectiveLamp"), ("3", "ok")):
        await city.thing("Light", key, status=status)
    await city.thing("Light", "4")
    found = look(verbs.ShareOfEntities(code="X", type="Light", attribute="status", values=("ok",)))
    assert (found.numerator, found.denominator, found.coverage) == (2, 3, 3 / 4)
    assert found.since == found.until


async def test_arrived_counts_slots_with_a_reading(city, look):
    one = await city.thing("Road", "1")
    city.past(one, "count", "", [(at(0), 1), (at(0.1), 1), (at(2), 1)])
    found = look(verbs.Arrived(code="X", type="Road", attribute="count", step="PT1H"), hours=4)
    assert (found.numerator, found.denominator, found.value) == (2, 4, 0.5)


async def test_median_duration_tells_who_still_waits(city, look):
    async def report(key, begun, answered=()):
        steps = [{"at": format_instant(at(hour)), "by": "x", "did": "answered"} for hour in answered]
        document = entity(
            "CitizenReport",
            f"urn:ngsi-ld:CitizenReport:{key}",
            {"dateIssued": prop(format_instant(at(begun))), "history": json_value(steps)},
        )
        await city.write(document, information_class=InformationClass.INTERNAL)

    await report("1", 0, [2, 9])  # the first answer counts
    await report("2", 1, [11])
    await report("3", 2)
    await report("4", 3, [999])  # answered after the period
    await report("5", -5, [1])  # begun before it
    measure = verbs.MedianDuration(
        code="X", type="CitizenReport", begins="dateIssued", ends="history:answered", sees="internal"
    )
    found = look(measure, actor=INSIDE)
    assert (found.value, found.numerator, found.denominator) == (6, 2, 4)
    assert look(measure, actor=ANONYMOUS).value is None


async def test_lead_time_counts_warnings_confirmed_before_the_frost(city, look):
    station = await city.thing("Weather", "1", origin="simulated")
    mild = await city.thing("Weather", "2")
    city.past(station, "temperature", "CEL", [(at(20), 4), (at(24), 1), (at(26), -0.5), (at(28), -2)])
    city.past(mild, "temperature", "CEL", [(at(20), 4), (at(28), 2)])

    async def warn(key, about, confirmed=None, **more):
        steps = [] if confirmed is None else [{"at": format_instant(at(confirmed)), "did": "acknowledged"}]
        attributes = {
            "category": prop("weather"),
            "subCategory": prop("frost"),
            "dateIssued": prop(format_instant(at(18))),
            "validTo": prop(format_instant(at(31))),
            "alertSource": rel(about),
            "history": json_value(steps),
            **more,
        }
        await city.write(entity("Alert", f"urn:ngsi-ld:Alert:{key}", attributes))

    await warn("early", station, 19)
    await warn("late", station, 24)  # two hours before
    await warn("never", station)
    await warn("mild", mild, 19)  # no frost came
    await warn("fire", station, 19, subCategory=prop("fire"))
    measure = verbs.LeadTime(
        code="X",
        type="Alert",
        where={"category": "weather", "subCategory": "frost"},
        issued="dateIssued",
        confirmed="history:acknowledged",
        ends="validTo",
        about="alertSource",
        about_type="Weather",
        attribute="temperature",
        at_most=0.0,
        hours=3.0,
    )
    found = look(measure, hours=48)
    assert (found.numerator, found.denominator) == (1, 3)
    assert [one.about for one in found.because] == ["type:Alert", "type:Weather"]


async def test_open_types_counts_what_everybody_may_read(city, look):
    await city.thing("Road", "1")
    await city.thing("Road", "2")
    await city.thing("Air", "1")
    await city.thing("Camera", "1", information_class=InformationClass.SECURITY)
    found = look(verbs.OpenTypes(code="X"))
    assert (found.value, found.rows, found.origin) == (2, 3, "measured")


async def test_total_over_figure_waits_for_the_figure(city, look):
    one = await city.thing("Road", "1", length=1500)
    await city.thing("Road", "2", length=9000)  # sends nothing
    city.past(one, "count", "", [(at(0), 1)])
    measure = verbs.TotalOverFigure(
        code="X", type="Road", attribute="length", alive="count", divisor=1000, figure="major_streets_km"
    )
    found = look(measure)
    assert (found.value, found.numerator, found.denominator) == (None, 1.5, None)
    found = look(measure, figures={"major_streets_km": 3.0})
    assert (found.value, found.denominator) == (0.5, 3.0)


def test_documents_are_read_when_they_are_looked_at():
    documents = Documents([b'{"id": "urn:a"}', b'{"id": "urn:b"}', b"not read"])
    assert (len(documents), documents[1]["id"], documents[:1][0]["id"]) == (3, "urn:b", "urn:a")
    assert next(iter(documents))["id"] == "urn:a"
    assert documents[0] is not documents[0]


async def test_one_attribute_alone_is_read_as_in_the_whole_document(city):
    written = entity("Air", "urn:ngsi-ld:Air:1", {"no2": prop(1), "dataOrigin": prop("simulated")})
    await city.write(written)
    await city.write(entity("Air", "urn:ngsi-ld:Air:2", {"no2": prop({"dataOrigin": [{"value": 2}]})}))
    documents = Documents(city.broker.kept_of_type(CITY, "Air"))
    read = [(one["id"], value_of(one, "dataOrigin")) for one in documents.only("dataOrigin")]
    assert read == [("urn:ngsi-ld:Air:1", "simulated"), ("urn:ngsi-ld:Air:2", None)]
    assert [value_of(one, "no2") for one in documents.only("no2")] == [1, {"dataOrigin": [{"value": 2}]}]
    assert all(list(one["attrs"]) == ["no2"] for one in documents.only("no2"))


async def test_origin_is_that_of_the_entities_that_were_used(city):
    ids = ["urn:ngsi-ld:Air:1", await city.thing("Air", "2", origin="simulated")]
    await city.write(entity("Air", ids[0], {"no2": prop(1)}))
    ids.append(await city.thing("Air", "3", origin="estimated"))
    documents = Documents(city.broker.kept_of_type(CITY, "Air"))
    assert len(documents.having("dataOrigin")) == 2
    view = View(CITY, MONDAY, at(1), UTC, city.history, {"Air": documents}, {}, {})
    assert view.origin_of("Air", {ids[0]}) == "measured"
    assert view.origin_of("Air", {ids[0], ids[1]}) == "simulated"
    assert view.origin_of("Air", set(ids)) == "estimated"
    assert view.origin_of("Air", {"urn:gone"}) == view.origin_of("Rail", set(ids)) == ""
