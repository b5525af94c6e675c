"""How do we know? The trees back to the readings and forward to what rests on them."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from cityloom.history.follow import Lineage
from cityloom.history.links import DEEPEST, WIDEST
from cityloom.kernel.actor import ANONYMOUS, CITY, InformationClass
from cityloom.kernel.change import Because
from cityloom.kernel.errors import NotFound
from cityloom.ngsild.model import entity, json_value, prop, rel, text

STATION = "urn:ngsi-ld:Weather:1"
ALERT = "urn:ngsi-ld:Alert:frost"


def because(*pieces):
    return json_value([msgspec.to_builtins(piece) for piece in pieces])


@pytest.fixture
async def way(city, hour):
    """Device, station with a forecast, alert, notice, indicator and initiative, each resting on another."""
    await city.write(entity("Device", "urn:device", {"name": prop("Post 7")}))
    document = {"refDevice": rel("urn:device"), "name": text(en="Farm 7", da="Gård 7")}
    await city.write(entity("Weather", STATION, document))
    for minute in (0, 10, 20, 30, 80, 90):  # one gap
        await city.measure(STATION, hour(0) + timedelta(minutes=minute), temperature=minute)
    evidence = Because(about=STATION, attribute="temperature", count=6, missing=4)
    forecast = prop(
        -2.5,
        at=hour(8),
        dataset="urn:ngsi-ld:Dataset:forecast:PT6H",
        attributes={"because": because(evidence)},
    )
    await city.write(entity("Weather", STATION, {"temperature": [forecast]}))
    await city.write(
        entity(
            "Alert",
            ALERT,
            {
                "description": text(en="Frost tonight"),
                "alertSource": rel(STATION),
                "because": because(evidence, Because(about=STATION, attribute="humidity")),
                "dataOrigin": prop("estimated"),
            },
        )
    )
    await city.write(entity("Notice", "urn:notice", {"basedOn": rel(ALERT)}))
    await city.write(
        entity(
            "KeyPerformanceIndicator", "urn:kpi", {"because": because(Because(about="type:Alert", count=1))}
        )
    )
    await city.write(entity("Initiative", "urn:initiative", {"targetIndicator": rel("urn:kpi")}))
    return Lineage(city.broker, city.history)


def outline(link):
    return [(depth, one.kind, one.entity_id) for depth, one in link.walk()]


async def test_back_leads_from_a_notice_to_the_device(way):
    tree = await way.back(CITY, "urn:notice")
    assert outline(tree)[:4] == [
        (0, "", "urn:notice"),
        (1, "basedOn", ALERT),
        (2, "alertSource", STATION),
        (3, "refDevice", "urn:device"),
    ]
    alert = tree.children[0]
    assert (alert.label, alert.origin, alert.type) == ("Frost tonight", "estimated", "Alert")
    assert alert.children[0].children[0].label == "Post 7"


async def test_back_shows_the_evidence_by_what_it_is_about(way):
    tree = await way.back(CITY, ALERT)
    source, evidence = tree.children
    assert (source.kind, evidence.kind, evidence.again) == ("alertSource", "because", True)
    assert [(one.attribute, one.count, one.missing) for one in evidence.because] == [
        ("temperature", 6, 4),
        ("humidity", 0, 0),
    ]


async def test_back_counts_readings_and_their_gaps(way, hour):
    tree = await way.back(CITY, STATION)
    measured, forecast = tree.readings
    assert (measured.attribute, measured.dataset, measured.unit_code) == ("temperature", "", "CEL")
    assert (measured.count, measured.usual_step, measured.gaps) == (6, 600, 1)
    assert (measured.first, measured.last) == (hour(0), hour(1.5))
    assert (forecast.dataset, forecast.count) == ("urn:ngsi-ld:Dataset:forecast:PT6H", 1)


async def test_back_of_a_type_counts_all_its_entities(way, city, hour):
    await city.measure("urn:ngsi-ld:Weather:2", hour(0), temperature=1)
    evidence = because(Because(about="type:Weather", attribute="temperature"))
    await city.write(entity("KeyPerformanceIndicator", "urn:frosts", {"because": evidence}))
    tree = await way.back(CITY, "urn:frosts")
    (about,) = tree.children
    line = about.readings[0]
    assert (about.label, line.series, line.count) == ("Weather", 2, 7)


async def test_forward_leads_from_a_reading_to_the_initiative(way):
    tree = await way.forward(CITY, STATION)
    assert outline(tree) == [
        (0, "", STATION),
        (1, "alertSource", ALERT),
        (2, "basedOn", "urn:notice"),
        (2, "because", "urn:kpi"),
        (3, "targetIndicator", "urn:initiative"),
    ]
    alert = tree.children[0]
    assert [one.attribute for one in alert.because] == ["temperature", "humidity"]


async def test_forward_of_a_device_begins_with_what_it_measures(way):
    tree = await way.forward(CITY, "urn:device")
    assert outline(tree)[:3] == [(0, "", "urn:device"), (1, "refDevice", STATION), (2, "alertSource", ALERT)]


async def test_back_speaks_the_language_asked_for(way):
    assert (await way.back(CITY, STATION, language="da")).label == "Gård 7"


async def test_back_and_forward_show_nothing_of_what_the_actor_may_not_see(way, city):
    before = await way.forward(ANONYMOUS, STATION)
    await city.broker.classify(CITY, ALERT, InformationClass.SECURITY)
    await city.settled()
    hidden = await way.forward(ANONYMOUS, STATION)
    assert len(outline(before)) > 1
    assert outline(hidden) == [(0, "", STATION)]
    (alert,) = (await way.back(ANONYMOUS, "urn:notice")).children
    assert (alert.known, alert.label, alert.type, alert.children, alert.readings) == (
        False,
        ALERT,
        "",
        [],
        [],
    )


async def test_back_of_an_unknown_entity_is_not_found(way):
    with pytest.raises(NotFound):
        await way.back(CITY, "urn:nobody")


async def test_back_of_a_deleted_entity_still_tells_its_readings(way, city):
    await city.broker.delete(CITY, STATION)
    await city.settled()
    tree = await way.back(CITY, STATION)
    assert not tree.known
    assert tree.readings[0].count == 6


async def test_back_ends_circles_depth_and_width(city):
    await city.write(entity("A", "urn:a:0", {"next": rel("urn:a:1")}))
    await city.write(entity("A", "urn:a:1", {"next": rel("urn:a:0")}))
    lineage = Lineage(city.broker, city.history)
    circle = await lineage.back(CITY, "urn:a:0")
    assert outline(circle) == [(0, "", "urn:a:0"), (1, "next", "urn:a:1"), (2, "next", "urn:a:0")]
    assert circle.children[0].children[0].again
    for number in range(2, DEEPEST + 4):
        await city.write(entity("A", f"urn:a:{number}", {"next": rel(f"urn:a:{number + 1}")}))
    deep = [link for _, link in (await lineage.back(CITY, "urn:a:2")).walk()]
    assert len(deep) == DEEPEST + 1
    assert deep[-1].more == 1
    await city.write(entity("A", "urn:wide", {"next": rel([f"urn:w:{n}" for n in range(WIDEST + 5)])}))
    wide = await lineage.back(CITY, "urn:wide")
    assert (len(wide.children), wide.more) == (WIDEST, 5)


async def test_back_passes_over_evidence_that_is_none(city):
    nonsense = json_value([{"about": 5}, "words", {"about": "urn:x", "count": 1}])
    await city.write(entity("Alert", "urn:odd", {"because": nonsense}))
    tree = await Lineage(city.broker, city.history).back(CITY, "urn:odd")
    assert [(one.entity_id, one.known) for one in tree.children] == [("urn:x", False)]
