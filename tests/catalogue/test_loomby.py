"""Loomby: a town that obeys physics and habits, and is the same town each time."""

import itertools
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from cityloom.indicators.districts.places import inside, read_districts
from cityloom.kernel.errors import BadInput
from cityloom.kernel.time import parse_instant, to_millis
from cityloom.ngsild.model import value_of
from cityloom.sensing.models import read_models
from cityloom_catalogue.cities.loomby import chance, feeds, street, town, traffic, weather
from cityloom_catalogue.cities.loomby.growers import confirms_after as growers_confirm
from cityloom_catalogue.cities.loomby.moments import ZONE, easter, is_holiday, is_vacation, moments
from cityloom_catalogue.cities.loomby.source import BADGE, SEASONS, open_city

ROOT = Path(__file__).parents[2]
MODELS = read_models([ROOT / "src/cityloom_catalogue/models"])
HOUR = 3_600_000
YEARS = range(2020, 2030)


def at(*parts):
    return to_millis(datetime(*parts, tzinfo=UTC))


def feed_of(entity_type):
    return next(feed for feed in feeds.FEEDS if feed.entity_type == entity_type)


def read(entity_type, attribute, since, until):
    """Times and the (times, ids) array of one attribute."""
    feed = feed_of(entity_type)
    table = feeds.table(feed, since, until)
    index = [field.attribute for field in feed.fields].index(attribute)
    return table.times, table.values[index]


def nightly_minima(month):
    """The lowest of each station for every day of a month in ten years: (days, stations)."""
    parts = []
    for year in YEARS:
        last = at(year + month // 12, month % 12 + 1, 1)
        seen = weather.farms(
            moments(np.arange(at(year, month, 1), last, HOUR)), feeds._HEIGHTS, feeds._HOLLOWS
        )
        parts.append(seen.temperature.reshape(-1, 24, 12).min(axis=1))
    return np.concatenate(parts)


# What chance is


@given(st.integers(-(2**40), 2**40), st.integers(0, 500))
def test_uniform_is_the_same_each_time_and_for_each_shape(index, other):
    one = float(chance.uniform("a", index, other))
    many = chance.uniform("a", np.array([index, index + 1])[:, None], np.array([other, other + 1]))
    assert one == many[0, 0]
    assert 0 <= one < 1
    assert one != float(chance.uniform("b", index, other))


def test_normal_and_smooth_and_day_to_day_are_standard_and_remember_as_they_say():
    numbers = chance.normal("test", np.arange(50_000))
    assert abs(numbers.mean()) < 0.02
    assert abs(numbers.std() - 1) < 0.02
    assert abs(np.corrcoef(numbers[1:], numbers[:-1])[0, 1]) < 0.02
    course = chance.smooth("test", np.arange(50_000) / 4.7)
    assert abs(course.std() - 1) < 0.03
    assert abs(chance.day_to_day("test", np.arange(0, 20_000, 0.5), 0.7).std() - 1) < 0.04
    daily = chance.day_to_day("test", np.arange(20_000), 0.7)
    assert abs(np.corrcoef(daily[1:], daily[:-1])[0, 1] - 0.7) < 0.02


def test_day_to_day_can_be_jumped_into():
    whole = chance.day_to_day("test", np.arange(100, 140, 0.25), 0.8)
    for start in (100, 113, 139):
        assert chance.day_to_day("test", np.arange(start, start + 1, 0.25), 0.8) == pytest.approx(
            whole[(start - 100) * 4 : (start - 99) * 4], abs=1e-12
        )


@pytest.mark.parametrize("mean", [0.2, 3.0, 11.0, 40.0])
def test_poisson_has_its_mean_and_its_variance(mean):
    counts = chance.poisson("test", np.full(20_000, mean), np.arange(20_000))
    assert (counts == np.rint(counts)).all()
    assert counts.min() >= 0
    assert counts.mean() == pytest.approx(mean, abs=4 * (mean / 20_000) ** 0.5)
    assert counts.var() == pytest.approx(mean, rel=0.05)


# The sun and the calendar


def test_moments_know_the_sun():
    """Noon heights at 56.05° N: 90 - 56.05 ± 23.44; sunrise and sunset lie at elevation 0."""
    summer = moments(np.arange(at(2026, 6, 21), at(2026, 6, 22), 60_000))
    winter = moments(np.arange(at(2026, 12, 21), at(2026, 12, 22), 60_000))
    assert summer.elevation.max() == pytest.approx(57.39, abs=0.05)
    assert winter.elevation.max() == pytest.approx(10.51, abs=0.05)
    for day in (summer, winter):
        assert float((day.elevation > 0).mean() * 24) == pytest.approx(float(day.day_length[720]), abs=0.05)
    november = moments(np.arange(at(2026, 11, 3), at(2026, 11, 4), 60_000))
    noon = november.millis[int(np.argmax(november.elevation))] - at(2026, 11, 3)
    assert noon / HOUR == pytest.approx(12 - 8.95 / 15 - 16.4 / 60, abs=0.03), "the sun is early in November"


def test_moments_follow_the_clock_of_the_town_through_the_change():
    before, after = moments([at(2026, 3, 29, 0, 30), at(2026, 3, 29, 1, 30)]).hour
    assert (before, after) == (1.5, 3.5)


@pytest.mark.parametrize(
    ("year", "day"),
    [
        (2014, date(2014, 4, 20)),
        (2024, date(2024, 3, 31)),
        (2026, date(2026, 4, 5)),
        (2038, date(2038, 4, 25)),
    ],
)
def test_easter_is_on_its_day(year, day):
    assert easter(year) == day
    assert is_holiday(day - timedelta(2))
    assert is_vacation(day - timedelta(3))


# Weather


def test_farms_have_frost_nights_in_spring_and_autumn_and_none_in_summer():
    assert (nightly_minima(4) < 0).any(axis=1).mean() > 0.08
    assert (nightly_minima(10) < 0).any()
    assert nightly_minima(6).min() > 0
    assert nightly_minima(7).min() > 0
    assert nightly_minima(8).min() > 0


def test_farms_show_a_frost_night_when_the_town_opens_in_spring():
    _, temperature = read("WeatherObserved", "temperature", at(2026, 4, 10, 18), at(2026, 4, 11, 6))
    assert temperature.min() < -2
    assert (temperature.min(axis=0) < 0).all()
    assert temperature[0].min() > 1, "at 20:00 it is still mild: somebody must foresee it"
    coldest = int(np.argmin(temperature.mean(axis=1)))
    assert 24 <= coldest <= 44, "the lowest comes towards sunrise"


def test_farms_follow_the_seasons_and_the_day():
    means = {month: [] for month in range(1, 13)}
    for month in means:
        seen = weather.farms(
            moments(np.arange(at(2024, month, 1), at(2024, month, 28), HOUR)), feeds._HEIGHTS, feeds._HOLLOWS
        )
        means[month] = seen.temperature.mean()
        by_hour = seen.temperature.reshape(-1, 24, 12).mean(axis=(0, 2))
        assert 11 <= int(np.argmax(by_hour)) <= 15
    assert max(means[12], means[1], means[2]) < min(means[4], means[10])
    assert max(means[4], means[10]) < min(means[6], means[7], means[8])


def test_farms_are_coldest_in_hollows_on_clear_calm_nights():
    lowest = nightly_minima(4)
    deep, open_ground = int(np.argmax(feeds._HOLLOWS)), int(np.argmin(feeds._HOLLOWS))
    gap = (lowest[:, open_ground] - feeds._HEIGHTS[open_ground]) - (lowest[:, deep] - feeds._HEIGHTS[deep])
    nights = np.concatenate([np.arange(at(year, 4, 1), at(year, 5, 1), 24 * HOUR) for year in YEARS])
    above = weather.sky(moments(nights).sun_day)
    clear = (above.cloud < 0.3) & (above.wind < 4)
    assert gap[clear].mean() > gap[above.cloud > 0.8].mean() + 0.4


@settings(max_examples=40, deadline=None)
@given(st.integers(at(2001, 1, 1), at(2039, 1, 1)))
def test_farms_obey_physics_at_any_instant(millis):
    seen = weather.farms(
        moments(np.arange(millis, millis + 3 * HOUR, 300_000)), feeds._HEIGHTS, feeds._HOLLOWS
    )
    assert (seen.dew_point < seen.temperature).all()
    assert ((seen.humidity >= 5) & (seen.humidity <= 100)).all()
    assert ((seen.temperature > -35) & (seen.temperature < 38)).all()
    assert ((seen.wind > 0) & (seen.wind < 40)).all()
    assert ((seen.pressure > 960) & (seen.pressure < 1060)).all()
    assert (np.abs(np.diff(seen.temperature, axis=0)) < 0.8).all(), "air does not jump in five minutes"


# Roads, car parks, air, lights, bins


def test_roads_have_two_peaks_on_working_days_and_one_on_sundays():
    working = traffic.roads(moments(np.arange(at(2026, 4, 14), at(2026, 4, 15), 300_000)))["intensity"]
    hours = working.reshape(24, 12, -1).sum(axis=(1, 2))
    local = np.roll(hours, 2)
    assert int(np.argmax(local[:11])) == 7
    assert 15 <= int(np.argmax(local[11:])) + 11 <= 17
    assert local[12] < 0.75 * local[7]
    sunday = np.roll(
        traffic.roads(moments(np.arange(at(2026, 4, 19), at(2026, 4, 20), 300_000)))["intensity"]
        .reshape(24, 12, -1)
        .sum(axis=(1, 2)),
        2,
    )
    assert 12 <= int(np.argmax(sunday)) <= 15
    assert sunday.sum() < 0.75 * hours.sum()


def test_roads_lead_inward_in_the_morning_and_outward_in_the_evening():
    inward = np.array([section.inward for section in town.sections()])
    morning = traffic.demand(moments(np.arange(at(2026, 4, 14, 5), at(2026, 4, 14, 6), 300_000))).mean(axis=0)
    evening = traffic.demand(moments(np.arange(at(2026, 4, 14, 14), at(2026, 4, 14, 15), 300_000))).mean(
        axis=0
    )
    assert morning[inward > 0].mean() > 1.4 * morning[inward < 0].mean()
    assert evening[inward < 0].mean() > 1.4 * evening[inward > 0].mean()


def test_roads_are_quieter_in_vacations():
    def week(start):
        return traffic.demand(moments(np.arange(start, start + 5 * 24 * HOUR, HOUR))).mean()

    assert week(at(2026, 7, 13)) < 0.92 * week(at(2026, 6, 8))


def test_roads_are_now_and_then_blocked_and_then_slow():
    instants = moments(np.arange(at(2026, 4, 1), at(2026, 5, 1), 900_000))
    blocked = traffic._blocked(instants)
    days = blocked.reshape(-1, 96, blocked.shape[1]).max(axis=1) > 0
    assert 5 <= days.sum() <= 60
    seen = traffic.roads(instants)
    free = np.array([section.free_flow for section in town.sections()])
    slow = seen["averageVehicleSpeed"] / free
    assert np.nanmean(slow[blocked > 0]) < 0.6
    assert np.nanmean(slow[blocked == 0]) > 0.85


def test_roads_say_no_speed_when_nobody_passed():
    seen = traffic.roads(moments(np.arange(at(2026, 4, 14), at(2026, 4, 15), 300_000)))
    assert np.isnan(seen["averageVehicleSpeed"][seen["intensity"] == 0]).all()
    assert np.isfinite(seen["averageVehicleSpeed"][seen["intensity"] > 0]).all()
    assert (seen["intensity"] == 0).any()


@settings(max_examples=25, deadline=None)
@given(st.integers(at(2001, 1, 1), at(2039, 1, 1)))
def test_every_feed_stays_within_its_bounds_at_any_instant(millis):
    for feed in feeds.FEEDS:
        model = MODELS.find(feed.entity_type)
        table = feeds.table(feed, millis, millis + 3 * HOUR)
        for field, values in zip(feed.fields, table.values, strict=True):
            known = values[np.isfinite(values)]
            attribute = model.attributes[field.attribute]
            if field.words:
                assert set(np.unique(known)) <= set(range(len(field.words)))
            elif len(known):
                assert attribute.minimum is None or known.min() >= attribute.minimum
                assert attribute.maximum is None or known.max() <= attribute.maximum
            if field.attribute not in ("averageVehicleSpeed", "powerState", "status", "powerConsumption"):
                assert np.isfinite(values).all(), field.attribute


def test_car_parks_never_hold_more_than_their_spaces():
    seen = traffic.car_parks(moments(np.arange(at(2026, 11, 1), at(2027, 1, 5), HOUR)))
    spaces = np.array([spaces for _, _, spaces in town.garages()])
    assert (seen["occupiedSpotNumber"] + seen["availableSpotNumber"] == spaces).all()
    assert (seen["availableSpotNumber"] >= 0).all()
    full = seen["occupiedSpotNumber"] / spaces
    assert (full.max(axis=0) > 0.75).all(), "each gets busy sometimes"
    assert (full.min(axis=0) < 0.3).all(), "and empty at times"


def test_air_is_worse_beside_roads_in_cold_calm_nights_and_has_less_ozone_there():
    _, nitrogen = read("AirQualityObserved", "no2", at(2026, 1, 10), at(2026, 1, 24))
    _, ozone = read("AirQualityObserved", "o3", at(2026, 1, 10), at(2026, 1, 24))
    places = town.air_places()
    kerb, field = 0, len(places) - 1
    assert places[kerb].traffic > places[field].traffic
    assert nitrogen[:, kerb].mean() > 2 * nitrogen[:, field].mean()
    assert ozone[:, kerb].mean() < ozone[:, field].mean()
    _, winter = read("AirQualityObserved", "pm25", at(2026, 1, 1), at(2026, 2, 1))
    _, summer = read("AirQualityObserved", "pm25", at(2026, 7, 1), at(2026, 8, 1))
    assert winter.mean() > summer.mean()


def test_lights_burn_when_it_is_dark_and_dim_in_the_small_hours():
    instants = moments(np.arange(at(2026, 4, 10), at(2026, 4, 11), 300_000))
    seen = street.lights(instants)
    dark, bright = instants.elevation < -4, instants.elevation > -2
    assert (seen["powerState"][bright] == 0).all()
    assert (seen["powerState"][dark] > 0).all()
    assert (seen["powerState"][dark & (instants.hour >= 23.5)] == 1).all()
    assert (seen["powerConsumption"][bright] == 0).all()
    on = (seen["powerState"] > 0) & (seen["status"] == 0)
    assert (seen["powerConsumption"][on] > 15).all()


def test_lights_report_when_they_switch_and_at_full_hours():
    reported = defaultdict(set)
    for instant, documents in feeds.observations(
        datetime(2026, 4, 10, 17, tzinfo=UTC), datetime(2026, 4, 10, 22, tzinfo=UTC)
    ):
        for document in documents:
            if document["type"] == ["Streetlight"]:
                reported[document["id"]].add((instant, value_of(document, "powerState")))
    assert len(reported) == 200
    for said in reported.values():
        states = [state for _, state in sorted(said)]
        assert {instant.hour for instant, _ in said if instant.minute == 0} == {17, 18, 19, 20, 21}
        assert [state for state, _ in itertools.groupby(states)] == ["off", "on", "low"]
        first_on = min(instant for instant, state in said if state == "on")
        assert first_on.hour == 18, "and not only at the next full hour"
        assert first_on.minute > 0


@pytest.mark.parametrize("feed", feeds.FEEDS, ids=lambda feed: feed.entity_type)
def test_table_holds_the_instants_from_since_to_before_until(feed):
    since, until = at(2026, 4, 10, 7, 10), at(2026, 4, 10, 12)
    times = feeds.table(feed, since, until).times
    every = feed.every_minutes * 60_000
    assert times.tolist() == [t for t in range(at(2026, 4, 10), until, every) if t >= since]


def test_lights_break_and_are_mended():
    days = moments(np.arange(at(2026, 1, 1, 12), at(2027, 1, 1, 12), 24 * HOUR))
    broken = street.lights(days)["status"]
    assert 0.003 < broken.mean() < 0.05
    assert (broken.sum(axis=1) < 20).all()
    lamp = int(np.argmax(broken.sum(axis=0)))
    changes = np.abs(np.diff(broken[:, lamp])).sum()
    assert changes >= 2, "it broke and was mended"
    night = street.lights(moments([at(2026, 12, 1, 20)]))
    assert (night["powerConsumption"][night["status"] == 1] == 0).all()


def test_bins_only_fill_until_they_are_emptied_on_their_days():
    instants = moments(np.arange(at(2026, 4, 6), at(2026, 4, 20), HOUR))
    level = street.bins(instants)["fillingLevel"]
    steps = np.diff(level, axis=0)
    emptied = steps < -1e-9
    local = [datetime.fromtimestamp(int(millis) / 1000, ZONE) for millis in instants.millis[1:]]
    for row, number in np.argwhere(emptied):
        assert local[row].weekday() in street._EMPTIED[number]
        assert local[row].hour == 8
    assert (emptied.sum(axis=0) == [2 * len(days) for days in street._EMPTIED]).all()
    assert level.max() == 1.0, "some overflow"
    assert (level.min(axis=0) <= 0.06).all()


# The town as a whole


def test_sections_make_a_connected_town_of_both_directions():
    sections = town.sections()
    assert len(sections) == len({section.key for section in sections}) == 60
    lines = {section.line for section in sections}
    assert all(section.line[::-1] in lines for section in sections)
    assert all(300 < section.length < 4000 for section in sections)
    reached, ends = {sections[0].line[0]}, [(one.line[0], one.line[-1]) for one in sections]
    for _ in range(10):
        reached |= {far for near, far in ends if near in reached}
    assert reached == {place for pair in ends for place in pair}


def collected(since, until):
    found = defaultdict(list)
    for instant, documents in feeds.observations(since, until):
        for document in documents:
            for name, (item,) in document["attrs"].items():
                assert item["observedAt"] == instant.strftime("%Y-%m-%dT%H:%M:%SZ")
                found[document["id"], name].append((to_millis(instant), item["value"]))
    return dict(found)


@pytest.mark.parametrize(
    "start", [datetime(2026, 4, 9, 23, 10, tzinfo=UTC), datetime(2026, 10, 25, 0, 5, tzinfo=UTC)]
)
def test_observations_are_the_same_wherever_they_begin(start):
    until = start + timedelta(hours=14)
    whole = collected(start, until)
    later = start + timedelta(hours=7, minutes=25)
    again = collected(later, until)
    wanted = {
        key: kept
        for key, series in whole.items()
        if (kept := [one for one in series if one[0] >= to_millis(later)])
    }
    assert again == wanted


def test_backfill_and_seeds_together_are_what_the_batches_would_have_brought():
    until = datetime(2026, 4, 10, 10, tzinfo=UTC)
    since = until - timedelta(days=2)
    city = open_city(None, lambda *_: None, begins=until)
    found = defaultdict(list)
    for column in feeds.columns(since, until):
        assert (np.diff(column.times) > 0).all()
        found[column.entity_id, column.attribute] += zip(
            column.times.tolist(), column.values.tolist(), strict=True
        )
    words = {"powerState", "status"}
    for document in city.seeds(until):
        for name, (item, *_) in document["attrs"].items():
            if "observedAt" in item and name not in words:
                found[document["id"], name].append(
                    (to_millis(parse_instant(item["observedAt"], where="")), item["value"])
                )
    wanted = {key: series for key, series in collected(since, until).items() if key[1] not in words}
    assert dict(found) == wanted


def test_backfill_gives_each_series_once_and_more_than_a_year_of_weather_and_air():
    city = open_city(None, lambda *_: None)
    first = {}
    recent = to_millis(city.begins - timedelta(weeks=7))
    for column in city.source.backfill(city.begins):
        key = column.entity_id, column.attribute
        assert key not in first
        first[key] = column.times[0]
        assert (np.diff(column.times) > 0).all()
        assert (np.diff(column.times[column.times < recent]) == HOUR).all(), "the older past is hourly"
        if "WeatherObserved" in column.entity_id:
            assert (np.diff(column.times[column.times >= recent]) == HOUR / 4).all()
    assert len(first) == 12 * 6 + 60 * 2 + 6 * 2 + 10 * 4 + 200 + 40
    begins = to_millis(city.begins)
    for (identifier, _), begin in first.items():
        days = (begins - begin) / (24 * HOUR)
        long = "WeatherObserved" in identifier or "AirQualityObserved" in identifier
        assert days == pytest.approx(420 if long else 49, abs=0.1)


def test_open_city_begins_in_the_season_that_is_asked_for():
    for season, day in SEASONS.items():
        city = open_city(None, lambda *_: None, season=season)
        assert city.begins == day
        instant, documents = next(city.source.batches(city.begins))
        assert instant == day
        assert len(documents) > 60
    for wrong in ({"season": "monsoon"}, {"begins": datetime(1999, 12, 31, tzinfo=UTC)}):
        with pytest.raises(BadInput):
            open_city(None, lambda *_: None, **wrong)


def test_seeds_are_whole_fit_the_models_and_are_all_called_simulated():
    city = open_city(None, lambda *_: None)
    documents = city.seeds(city.begins)
    kinds = Counter(document["type"][0] for document in documents)
    wanted = {
        "TrafficFlowObserved": 60,
        "WeatherObserved": 12,
        "OffStreetParking": 6,
        "AirQualityObserved": 10,
        "Streetlight": 200,
        "WasteContainer": 40,
        "Device": 328,
        "RoadSegment": 54,
        "District": 5,
    }
    assert {kind: kinds[kind] for kind in wanted} == wanted
    identifiers = {document["id"] for document in documents}
    assert len(identifiers) == len(documents)
    for document in documents:
        MODELS.check(document)
        assert value_of(document, "dataOrigin") == "simulated", document["id"]
        device = value_of(document, "refDevice")
        assert device is None or device in identifiers
    assert set(BADGE) == {"en", "da"}


def test_districts_cover_whatever_the_town_measures_each_thing_once():
    city = open_city(None, lambda *_: None)
    documents = city.seeds(city.begins)
    districts = read_districts([one for one in documents if one["type"] == ["District"]])
    assert all(one.area is not None and set(one.name) == {"en", "da"} for one in districts)
    assert all(value_of(one, "example") for one in documents if one["type"] == ["District"])
    areas = [shapely.geometry.shape(one.area) for one in districts]
    assert shapely.union_all(areas).area == pytest.approx(sum(one.area for one in areas), rel=1e-9)
    for kind in ("Streetlight", "WasteContainer", "AirQualityObserved", "TrafficFlowObserved"):
        things = [one for one in documents if one["type"] == [kind]]
        found = inside(districts, things).values()
        assert all(found) and sum(map(len, found)) == len(things), kind
    farms = [one for one in documents if one["type"] == ["WeatherObserved"]]
    assert not any(inside(districts, farms).values()), "farms lie outside the town"


def test_batches_fit_the_models_and_never_go_back():
    city = open_city(None, lambda *_: None, season="winter")
    latest = city.begins - timedelta(seconds=1)
    for instant, documents in itertools.islice(city.source.batches(city.begins), 60):
        assert instant > latest
        latest = instant
        for document in documents:
            MODELS.fit(document, instant)


def test_growers_confirm_in_time_and_a_few_do_not():
    opened = SEASONS["spring"]
    growers = [one for one in open_city(None, None).seeds(opened) if one["type"] == ["WarningRecipient"]]
    assert all(value_of(one, "account").startswith("simulated:") for one in growers)
    evenings = [opened + timedelta(days=day) for day in range(60)]
    after = [growers_confirm(one["id"], evening) for one in growers for evening in evenings]
    told = [one for one in after if one is not None]
    assert timedelta(minutes=3) <= min(told) and max(told) < timedelta(minutes=45)
    assert 0.75 < len(told) / len(after) < 0.85
    assert after[::60].count(None) == 2, "on the evening of the first day two stay silent"
    assert growers_confirm("urn:ngsi-ld:WarningRecipient:somebody", opened) is None
