"""How things look: their state, told by a word, a share or bounds, and never from stale values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from cityloom.ngsild.model import entity, point, prop, text
from cityloom.web.desk import TEMPLATES
from cityloom.web.languages import language
from cityloom.web.looks import LEVELS, item_of, looks, name_of, state_words
from cityloom.web.wording import Wording

NOW = datetime(2026, 4, 12, 12, 0, tzinfo=UTC)


class Noon:
    def now(self) -> datetime:
        return NOW


WORDS = Wording(language("en"), ZoneInfo("UTC"), Noon())


def park(free: object, total: object = 100, *, age: int = 1):
    at = NOW - timedelta(minutes=age)
    return entity(
        "OffStreetParking",
        "urn:ngsi-ld:OffStreetParking:p",
        {"availableSpotNumber": prop(free, at=at), "totalSpotNumber": prop(total)},
    )


@pytest.mark.parametrize(
    ("free", "level", "state"),
    [
        (60, "good", "plenty of room"),
        (25, "good", "plenty of room"),
        (12, "fair", "filling up"),
        (5, "poor", "nearly full"),
        (0, "bad", "full"),
        (120, "none", "no current data"),
        ("many", "none", "no current data"),
    ],
)
def test_share_rates_what_is_free_and_refuses_what_cannot_be(free, level, state):
    item = item_of(park(free), WORDS)
    assert (item.level, item.state) == (level, state)


def test_a_stale_value_rates_nothing():
    assert item_of(park(60, age=179), WORDS).level == "good"
    assert item_of(park(60, age=181), WORDS).level == "none"


def test_a_counter_that_stands_still_is_not_full():
    stuck = park(0)
    assert item_of(stuck, WORDS).level == "bad"
    stuck["attrs"]["forecastStatus"] = [prop("frozen")]
    assert (item_of(stuck, WORDS).level, item_of(stuck, WORDS).state) == ("none", "counter stands still")
    danish = Wording(language("da"), ZoneInfo("UTC"), Noon())
    assert item_of(stuck, danish).state == "tælleren står stille"


def test_a_value_is_told_with_its_own_age_and_one_that_is_stale_after_those_that_are_not():
    def section(speed_age: int, count_age: int):
        return entity(
            "TrafficFlowObserved",
            "urn:ngsi-ld:T:1",
            {
                "averageVehicleSpeed": prop(5, at=NOW - timedelta(minutes=speed_age), unit="KMH"),
                "intensity": prop(0, at=NOW - timedelta(minutes=count_age)),
                "trafficState": prop("noVehicles"),
            },
        )

    a_while_ago = item_of(section(40, 1), WORDS)
    assert (a_while_ago.text, a_while_ago.at) == ("5\u202fkm/h", "2026-04-12T11:20:00Z")
    long_ago = item_of(section(300, 1), WORDS)
    assert (long_ago.text, long_ago.at) == ("0 vehicles", "2026-04-12T11:59:00Z")
    assert item_of(section(300, 90), WORDS).state == "no current data"


def test_bounds_take_the_worst_of_several():
    at = NOW - timedelta(minutes=5)
    air = entity(
        "AirQualityObserved", "urn:ngsi-ld:A:1", {"pm25": prop(4, at=at, unit="GQ"), "no2": prop(95, at=at)}
    )
    assert item_of(air, WORDS).level == "poor"
    assert item_of(air, WORDS).text == "4\u202fµg/m³"


def test_a_word_rates_and_is_told():
    section = entity("TrafficFlowObserved", "urn:ngsi-ld:T:1", {"trafficState": prop("congested")})
    assert (item_of(section, WORDS).level, item_of(section, WORDS).state) == ("bad", "congested")
    section["attrs"]["trafficState"] = [prop("rerouted")]
    assert (item_of(section, WORDS).level, item_of(section, WORDS).state) == ("none", "Rerouted")


def test_the_state_of_a_road_is_told_against_its_normal_week_too():
    at = NOW - timedelta(minutes=5)
    section = entity(
        "TrafficFlowObserved",
        "urn:ngsi-ld:T:1",
        {"trafficState": prop("congested", at=at), "shareOfUsualSpeed": prop(60.2, at=at, unit="P1")},
    )
    assert item_of(section, WORDS).state == "congested · 60\u00a0% of the usual speed at this hour"
    danish = Wording(language("da"), ZoneInfo("UTC"), Noon())
    assert item_of(section, danish).state.endswith("60\u00a0% af den sædvanlige fart på denne tid")
    section["attrs"]["trafficState"] = [prop("noVehicles", at=NOW)]
    assert item_of(section, WORDS).state == "no vehicles", "a share of earlier says nothing of now"


def test_an_alert_that_is_cleared_is_rated_no_more():
    attributes = {"severity": prop("critical"), "status": prop("open")}
    alert = entity("Alert", "urn:ngsi-ld:Alert:1", attributes)
    assert item_of(alert, WORDS).level == "bad"
    alert["attrs"]["status"] = [prop("cleared")]
    assert (item_of(alert, WORDS).level, item_of(alert, WORDS).state) == ("none", "cleared")


def test_a_type_without_a_look_is_shown_all_the_same():
    item = item_of(
        entity("Beehive", "urn:ngsi-ld:Beehive:roof:7", {"location": point(1, 2)}), WORDS, geometry=True
    )
    assert (item.name, item.level, item.icon) == ("roof:7", "info", "dot")
    assert item.geometry == {"type": "Point", "coordinates": [1, 2]}
    assert item.href == "/entities/urn:ngsi-ld:Beehive:roof:7"


def test_name_is_in_the_reader_s_language():
    named = entity("Farm", "urn:ngsi-ld:Farm:1", {"name": text(en="Elm farm", da="Elmegård")})
    danish = Wording(language("da"), ZoneInfo("UTC"), Noon())
    assert (name_of(named, WORDS), name_of(named, danish)) == ("Elm farm", "Elmegård")


def test_name_is_a_description_cut_between_words_where_there_is_no_other():
    alert = entity("Alert", "urn:ngsi-ld:Alert:frost:1", {"description": text(en="Frost tonight " * 20)})
    assert name_of(alert, WORDS).startswith("Frost tonight") and len(name_of(alert, WORDS)) <= 120
    assert name_of(alert, WORDS).endswith(("Frost …", "tonight …"))


def test_values_tell_numbers_for_charts_and_words_for_people():
    at = NOW - timedelta(minutes=1)
    station = entity("WeatherObserved", "urn:ngsi-ld:W:1", {"temperature": prop(7.5, at=at, unit="CEL")})
    value = item_of(station, WORDS, values=True).values["temperature"]
    assert (value.number, value.text) == (7.5, "7.5\u202f°C")


def test_looks_name_levels_and_icons_that_there_are():
    icons = (TEMPLATES.parent / "static" / "icons.svg").read_text()
    for name, look in looks().items():
        assert f'id="{look.icon}"' in icons, name
        assert set(look.levels.values()) | set(look.least) | set(look.states) <= set(LEVELS), name
        assert all(bounds == tuple(sorted(bounds)) for bounds in look.bounds.values()), name


def test_state_words_of_a_type_stand_for_its_levels():
    assert state_words("OffStreetParking", "bad", WORDS) == "full"
    assert state_words("TrafficFlowObserved", "bad", WORDS) == "congested"
    assert state_words("Beehive", "bad", WORDS) == "bad"
