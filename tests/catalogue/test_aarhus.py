"""Aarhus: what its tables become. The real pack is used where it is; the rules are tried on a small one."""

import itertools
import os
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from cityloom.kernel.errors import BadInput
from cityloom.kernel.time import parse_instant, to_millis
from cityloom.ngsild.model import content, instance_of, value_of
from cityloom.sensing.models import read_models
from cityloom_catalogue.cities.aarhus import layout, readings
from cityloom_catalogue.cities.aarhus.pack import Garage, Happening, Link, Pack, Parked, Weather, is_whole
from cityloom_catalogue.cities.aarhus.seeds import seeds
from cityloom_catalogue.cities.aarhus.source import BEGINS, AarhusSource, open_city

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("CITYLOOM_DATA", ROOT.parent / "shared" / "data")) / "aarhus"
MODELS = read_models([ROOT / "src/cityloom_catalogue/models"])

needs_pack = pytest.mark.skipif(not is_whole(SHARED), reason="the Aarhus data pack is not on this machine")


def link(number, first="Ringgade", second="Ringgade"):
    return Link(
        report_id=number,
        report_name=f"AAR {number}",
        distance_in_meters=900,
        ndt_in_kmh=54,
        road_type="ROAD",
        organisation="COWI",
        point_1_name="1",
        point_1_lat=56.1,
        point_1_lng=10.2,
        point_1_street=first,
        point_1_city="Aarhus",
        point_2_name="2",
        point_2_lat=56.2,
        point_2_lng=10.1,
        point_2_street=second,
        point_2_city="Aarhus",
    )


def at(*parts):
    return to_millis(datetime(2014, *parts, tzinfo=UTC))


@pytest.fixture
def pack():
    """Two links with a few records, a garage that fits, one that overflows, three weather reports."""
    counts = np.full((layout.STEPS, 2), layout.MISSING, np.int16)
    speeds = counts.copy()
    counts[0], speeds[0] = (4, 0), (50, 60)
    counts[2], speeds[2] = (0, 3), (51, 61)
    counts[3], speeds[3] = (5, layout.MISSING), (52, layout.MISSING)
    times = np.array([at(7, 31, 23, 40), at(8, 1, 0, 7), at(8, 1, 0, 37)])
    nan = np.nan
    weather = Weather(
        times=np.array([at(8, 1, 0, 0), at(8, 1, 0, 20), at(8, 1, 0, 50)]),
        temperature=np.array([18.0, nan, 17.0]),
        humidity=np.array([60.0, 61.0, 62.0]),
        wind_speed=np.array([7.2, 0.0, nan]),
        wind_direction=np.array([360.0, 0.0, 90.0]),
        pressure=np.array([1012.0, 1012.0, 1013.0]),
    )
    return Pack(
        links=[link(1), link(2, "Ringgade", None)],
        counts=counts,
        speeds=speeds,
        garages=[
            Garage("FITS", "Gade 1", "8000", "Aarhus", 10.2, 56.1, 100),
            Garage("OVER", "Gade 2", "8000", "Aarhus", 10.2, 56.1, 100),
        ],
        parked={
            "FITS": Parked(times, np.array([500, 40, 101])),
            "OVER": Parked(times, np.array([10, 250, 270])),
        },
        weather=weather,
        events=[
            Happening(
                "Past",
                "Hall",
                "1",
                datetime(2014, 7, 1, 20, tzinfo=layout.LOCAL),
                "",
                "",
                "http://x/1",
                10.2,
                56.1,
            ),
            Happening(
                "Night",
                "Hall",
                "1",
                datetime(2014, 9, 20, 20, tzinfo=layout.LOCAL),
                "Gratis",
                "Musik",
                "http://x/2",
                10.2,
                56.1,
            ),
        ],
    )


def played(pack, since, until):
    """Every reading that the batches bring: (id, attribute) -> [(instant, value)]."""
    found = defaultdict(list)
    for instant, documents in AarhusSource(pack).batches(since):
        if instant >= until:
            break
        for document in documents:
            for name, (item,) in document["attrs"].items():
                found[document["id"], name].append(
                    (to_millis(parse_instant(item["observedAt"], where="")), item["value"])
                )
    return dict(found)


def loaded(pack, until):
    """The same from the past that is loaded at once and the Entities to begin with."""
    found = defaultdict(list)
    for column in AarhusSource(pack).backfill(until):
        found[column.entity_id, column.attribute] += zip(
            column.times.tolist(), column.values.tolist(), strict=True
        )
    for document in seeds(pack, until):
        for name, (item, *_) in document["attrs"].items():
            if "observedAt" in item:
                found[document["id"], name].append(
                    (to_millis(parse_instant(item["observedAt"], where="")), item["value"])
                )
    return dict(found)


LINK_1, LINK_2 = ("urn:ngsi-ld:TrafficFlowObserved:aarhus:1", "urn:ngsi-ld:TrafficFlowObserved:aarhus:2")


def test_batches_say_no_speed_where_no_vehicle_was_counted(pack):
    got = played(pack, layout.START, layout.END)
    assert [value for _, value in got[LINK_1, "intensity"]] == [4, 0, 5]
    assert [value for _, value in got[LINK_1, "averageVehicleSpeed"]] == [50, 52]
    assert [value for _, value in got[LINK_2, "intensity"]] == [0, 3]
    assert [value for _, value in got[LINK_2, "averageVehicleSpeed"]] == [61]


def test_batches_never_clip_a_garage_that_overflows(pack):
    got = played(pack, layout.START, layout.END)
    over, fits = ("urn:ngsi-ld:OffStreetParking:aarhus:over", "urn:ngsi-ld:OffStreetParking:aarhus:fits")
    assert [value for _, value in got[over, "occupiedSpotNumber"]] == [250, 270]
    assert (over, "availableSpotNumber") not in got
    assert [value for _, value in got[fits, "occupiedSpotNumber"]] == [40, 101]
    assert (fits, "availableSpotNumber") not in got, "one record in two exceeds here too"
    garage = next(document for document in seeds(pack, layout.END) if document["id"] == over)
    assert "cannot be told" in value_of(garage, "quality")["en"]
    assert value_of(garage, "occupiedSpotNumber") == 270
    assert instance_of(garage, "availableSpotNumber") is None


def test_batches_leave_out_a_free_number_that_would_be_negative(pack):
    times = pack.parked["FITS"].times[1] + np.arange(100) * 1_800_000
    counts = np.full(100, 40)
    counts[7] = 101
    pack.parked["FITS"] = Parked(times, counts)
    got = played(pack, layout.START, layout.END)
    fits = "urn:ngsi-ld:OffStreetParking:aarhus:fits"
    assert len(got[fits, "occupiedSpotNumber"]) == 100
    assert [value for _, value in got[fits, "availableSpotNumber"]] == [60] * 99


def test_batches_give_weather_in_the_units_of_the_model_and_no_direction_of_a_calm(pack):
    got = played(pack, layout.START, layout.END)
    values = {
        name: [value for _, value in series]
        for (identifier, name), series in got.items()
        if identifier == readings.WEATHER_ID
    }
    assert values == {
        "temperature": [18.0, 17.0],
        "relativeHumidity": [60.0, 61.0, 62.0],
        "windSpeed": [2.0, 0.0],
        "windDirection": [360.0, 90.0],
        "atmosphericPressure": [1012.0, 1012.0, 1013.0],
    }


def test_batches_begin_where_they_are_asked_to(pack):
    whole = played(pack, layout.START, layout.END)
    for minutes in (5, 7, 10, 36, 37):
        since = layout.START + timedelta(minutes=minutes)
        later = played(pack, since, layout.END)
        wanted = {
            key: kept
            for key, series in whole.items()
            if (kept := [one for one in series if one[0] >= to_millis(since)])
        }
        assert later == wanted, minutes


@pytest.mark.parametrize("minutes", [0, 5, 12, 20, 38, 60])
def test_backfill_and_seeds_together_are_what_the_batches_would_have_brought(pack, minutes):
    until = layout.START + timedelta(minutes=minutes)
    wanted = {
        key: kept
        for key, series in played(pack, layout.START, layout.END).items()
        if (kept := [one for one in series if one[0] < to_millis(until)])
    }
    assert loaded(pack, until) == wanted


def test_seeds_place_links_longitude_first_and_weather_nowhere(pack):
    documents = {document["id"]: document for document in seeds(pack, BEGINS)}
    assert value_of(documents[LINK_1], "location")["coordinates"] == [[10.2, 56.1], [10.1, 56.2]]
    assert instance_of(documents[readings.WEATHER_ID], "location") is None
    assert (value_of(documents[LINK_1], "name"), value_of(documents[LINK_2], "name")) == (
        "Ringgade",
        "Ringgade – point 2",
    )
    assert value_of(documents[LINK_1], "refDevice") == [
        f"urn:ngsi-ld:Device:aarhus:point-{n}" for n in (1, 2)
    ]
    assert "urn:ngsi-ld:Device:aarhus:point-1" in documents


def test_seeds_tell_events_from_the_first_week_on_in_utc(pack):
    events = [document for document in seeds(pack, BEGINS) if document["type"] == ["Event"]]
    assert [(value_of(one, "name"), value_of(one, "startDate")) for one in events] == [
        ("Night", "2014-09-20T18:00:00Z")
    ]


def test_seeds_call_everything_replayed_or_an_example(pack):
    for document in seeds(pack, BEGINS):
        assert value_of(document, "dataOrigin") == "replayed" or value_of(document, "example") is True, (
            document["id"]
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"begins": datetime(2014, 10, 1, tzinfo=UTC)},
        {"begins": datetime(2014, 7, 31, tzinfo=UTC)},
        {"season": "winter"},
    ],
)
def test_open_city_refuses_weeks_it_does_not_have(tmp_path, wrong):
    with pytest.raises(BadInput, match="measure"):
        open_city(tmp_path, lambda *_: None, **wrong)


@pytest.fixture(scope="module")
def aarhus():
    return open_city(SHARED, lambda *_: None)


@needs_pack
def test_open_city_has_what_the_pack_has(aarhus):
    documents = aarhus.seeds(aarhus.begins)
    kinds = defaultdict(int)
    for document in documents:
        kinds[document["type"][0]] += 1
    assert kinds["TrafficFlowObserved"] == 449
    assert kinds["OffStreetParking"] == 8
    assert (kinds["WeatherObserved"], kinds["Device"], kinds["AirQualityObserved"]) == (1, 136, 0)
    assert len({document["id"] for document in documents}) == len(documents)
    stale = timedelta(hours=3)
    for document in documents:
        for item in document["attrs"].get("intensity", ()):
            assert parse_instant(item["observedAt"], where="") > aarhus.begins - stale, (
                "a filled city at once"
            )


@needs_pack
def test_open_city_opens_on_a_full_map(aarhus):
    links = [
        document for document in aarhus.seeds(aarhus.begins) if document["type"] == ["TrafficFlowObserved"]
    ]
    for one in links:
        for longitude, latitude in value_of(one, "location")["coordinates"]:
            assert 10.06 < longitude < 10.31
            assert 55.98 < latitude < 56.26
    assert sum(instance_of(one, "intensity") is not None for one in links) == 449


@needs_pack
def test_backfill_loads_six_weeks_in_columns_that_ascend(aarhus):
    total = 0
    for column in aarhus.source.backfill(aarhus.begins):
        assert len(column.times) == len(column.values)
        assert (np.diff(column.times) > 0).all()
        assert np.isfinite(column.values).all()
        assert column.times[0] >= to_millis(aarhus.source.start)
        assert column.times[-1] < to_millis(aarhus.begins)
        total += len(column.times)
    assert total > 8_000_000


@needs_pack
def test_batches_fit_the_data_models_and_never_go_back(aarhus):
    latest, count = aarhus.begins - timedelta(seconds=1), 0
    for instant, documents in itertools.islice(aarhus.source.batches(aarhus.begins), 36):
        assert instant > latest
        latest = instant
        for document in documents:
            before = {name: content(item) for name, (item,) in document["attrs"].items()}
            MODELS.fit(document, instant)
            assert {name: content(item) for name, (item,) in document["attrs"].items()} == before
            count += 1
    assert count > 10_000


@needs_pack
def test_seeds_fit_the_data_models(aarhus):
    for document in aarhus.seeds(aarhus.begins):
        MODELS.check(document)


@needs_pack
def test_batches_show_the_morning_peak_at_the_hours_of_denmark(aarhus):
    hours = np.zeros(24)
    since = datetime(2014, 9, 16, tzinfo=UTC)
    for instant, documents in itertools.islice(aarhus.source.batches(since), 288):
        hours[instant.astimezone(layout.LOCAL).hour] += sum(
            value_of(one, "intensity", 0) for one in documents
        )
    assert 7 <= int(np.argmax(hours[:12])) <= 8
    assert hours[3] < hours[8] / 10


@needs_pack
def test_batches_show_busgadehuset_as_it_was_counted(aarhus):
    over = "urn:ngsi-ld:OffStreetParking:aarhus:busgadehuset"
    counts = []
    for _, documents in itertools.islice(aarhus.source.batches(datetime(2014, 9, 16, tzinfo=UTC)), 288):
        for document in documents:
            if document["id"] == over:
                assert set(document["attrs"]) == {"occupiedSpotNumber"}
                counts.append(value_of(document, "occupiedSpotNumber"))
    assert max(counts) > 130
    quality = [
        one["id"].rsplit(":", 1)[-1]
        for one in aarhus.seeds(aarhus.begins)
        if one["type"] == ["OffStreetParking"] and instance_of(one, "quality")
    ]
    assert quality == ["busgadehuset", "skolebakken"]
