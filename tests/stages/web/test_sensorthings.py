"""OGC SensorThings: Entities read as Things, Datastreams and Observations, and created as such."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

import pytest

from cityloom.kernel.actor import CITY, InformationClass
from cityloom.kernel.time import format_instant
from cityloom.ngsild.model import entity, point, prop, rel
from cityloom.web.sensorthings.model import LINKS, SETS

ROOT = "/sta/v1.1"
MAST = "urn:ngsi-ld:WeatherObserved:mast"
AIR = f"{MAST};temperature"


@pytest.fixture
async def mast(city):
    """A mast with six readings, an hour apart, the last at the city's now; a Building beside it."""
    device = entity("Device", "urn:ngsi-ld:Device:d1", {"name": prop("Pt100")})
    await city.write(device, secrecy=InformationClass.OPEN)
    await city.write(
        entity(
            "WeatherObserved",
            MAST,
            {
                "name": prop("Mast"),
                "location": point(10.2, 56.2),
                "refDevice": rel("urn:ngsi-ld:Device:d1"),
                "height": prop(12),
                "status": prop("on", at=city.clock.now()),
            },
        ),
        entity("Building", "urn:x:b", {"name": prop("Town hall")}),
    )
    city.clock.pass_by(hours=-5)
    for number in range(6):
        await city.reading("WeatherObserved", MAST, temperature=(number / 2, "CEL"), snowing=(number > 3, ""))
        if number < 5:
            city.clock.pass_by(hours=1)
    return city


@pytest.fixture
def sta(visitor):
    async def ask(path: str, status: int = 200, reader=visitor):
        answer = await reader.client.get(ROOT + path)
        assert answer.status_code == status, answer.text
        return answer.json()

    return ask


def results(page):
    return [one["result"] for one in page["value"]]


async def test_the_root_names_the_sets_and_each_is_there(mast, sta):
    found = await sta("")
    assert [one["name"] for one in found["value"]] == list(SETS)
    for one in found["value"]:
        page = await sta(one["url"].partition(ROOT)[2])
        assert page["value"], one


async def test_every_link_of_every_row_leads_somewhere(mast, sta):
    for kind in SETS:
        for row in (await sta(f"/{kind}"))["value"]:
            here = row["@iot.selfLink"].partition(ROOT)[2]
            assert (await sta(here))["@iot.id"] == row["@iot.id"]
            for link, (_, several) in LINKS[kind].items():
                to = row[f"{link}@iot.navigationLink"].partition(ROOT)[2]
                if row["@iot.id"] == "urn:x:b" and kind != "Things":
                    continue
                found = await sta(to)
                assert ("value" in found) is several
                expanded = await sta(f"{here}?$expand={link}")
                assert expanded[link] == (found["value"] if several else found)


async def test_a_thing_has_what_it_does_not_observe_as_properties(mast, sta):
    found = await sta(f"/Things('{MAST}')")
    assert (found["name"], found["description"]) == ("Mast", "WeatherObserved")
    said = found["properties"]
    assert (said["height"], said["refDevice"], said["type"]) == (
        12,
        "urn:ngsi-ld:Device:d1",
        "WeatherObserved",
    )
    assert not {"temperature", "temperature_unit", "snowing", "name"} & said.keys()


async def test_a_datastream_is_an_observed_number_or_truth_with_its_unit(mast, sta):
    page = await sta(f"/Things('{MAST}')/Datastreams?$orderby=name&$expand=Sensor,ObservedProperty,Thing")
    snow, air = page["value"]
    assert (air["@iot.id"], air["name"]) == (AIR, "Mast: temperature")
    assert air["unitOfMeasurement"] == {"name": "degree Celsius", "symbol": "°C", "definition": "ucum:Cel"}
    assert air["observationType"].endswith("OM_Measurement")
    assert snow["observationType"].endswith("OM_TruthObservation")
    assert snow["unitOfMeasurement"] == {"name": None, "symbol": None, "definition": None}
    assert air["Sensor"]["name"] == "Pt100"
    assert air["ObservedProperty"]["@iot.id"] == "temperature"
    assert air["ObservedProperty"]["description"] == "Temperature of the air"
    assert air["Thing"]["@iot.id"] == MAST
    assert (await sta("/Sensors('urn:ngsi-ld:Device:d1')/Datastreams?$count=true"))["@iot.count"] == 2
    assert [
        one["@iot.id"] for one in (await sta("/ObservedProperties('temperature')/Datastreams"))["value"]
    ] == [AIR]


async def test_what_a_service_estimates_is_no_observation(mast, sta):
    dataset = "urn:ngsi-ld:Dataset:forecast:PT1H"
    forecast = prop(99, at=mast.clock.now() + timedelta(hours=1), unit="CEL", dataset=dataset)
    await mast.write(entity("WeatherObserved", MAST, {"temperature": forecast}))
    page = await sta(f"/Things('{MAST}')/Datastreams?$expand=Observations")
    assert len(page["value"]) == 2
    assert 99 not in [one["result"] for stream in page["value"] for one in stream["Observations"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [0, 0.5, 1, 1.5, 2, 2.5]),
        ("?$orderby=phenomenonTime desc&$top=2", [2.5, 2]),
        ("?$orderby=phenomenonTime desc&$top=1", [2.5]),
        ("?$orderby=phenomenonTime desc&$top=2&$skip=3", [1, 0.5]),
        ("?$top=2&$skip=4", [2, 2.5]),
        ("?$filter=result gt 1 and result lt 2.5", [1.5, 2]),
        ("?$filter=result gt 1&$orderby=result desc&$top=1", [2.5]),
        ("?$filter=phenomenonTime gt 2026-04-10T08:00:00Z", [2, 2.5]),
        ("?$filter=phenomenonTime le 2026-04-10T06:00:00Z&$orderby=phenomenonTime desc", [0.5, 0]),
        ("?$filter=resultTime ge 2026-04-10T09:00:00Z and result ne 2", [2.5]),
        ("?$filter=Datastream/Thing/name eq 'Nobody'", []),
        ("?$top=0", []),
    ],
)
async def test_observations_are_found_ordered_and_cut(mast, sta, query, found):
    assert results(await sta(f"/Datastreams('{AIR}')/Observations{query}")) == found


async def test_observations_are_counted_and_paged(mast, sta):
    page = await sta(f"/Datastreams('{AIR}')/Observations?$count=true&$top=4")
    assert (page["@iot.count"], results(page)) == (6, [0, 0.5, 1, 1.5])
    page = await sta(page["@iot.nextLink"].partition(ROOT)[2])
    assert (results(page), "@iot.nextLink" in page) == ([2, 2.5], False)
    counted = "?$count=true&$top=1&$filter=phenomenonTime gt 2026-04-10T06:00:00Z and phenomenonTime lt {}"
    page = await sta(f"/Datastreams('{AIR}')/Observations{counted.format('2026-04-10T09:00:00Z')}")
    assert page["@iot.count"] == 2
    page = await sta(f"/Datastreams('{AIR}')/Observations?$count=true&$filter=result lt 1&$top=1")
    assert page["@iot.count"] == 2
    assert (await sta("/Observations?$count=true"))["@iot.count"] == 12
    assert results(await sta(f"/Observations?$filter=Datastream/@iot.id eq '{AIR}' and result gt 2")) == [2.5]


async def test_older_readings_in_another_unit_come_in_that_of_today(mast, sta):
    mast.clock.pass_by(hours=1)
    await mast.reading("WeatherObserved", MAST, temperature=(50.0, "FAH"))
    shown = results(await sta(f"/Datastreams('{AIR}')/Observations"))
    assert shown == pytest.approx([32, 32.9, 33.8, 34.7, 35.6, 36.5, 50])


async def test_a_place_of_the_past_stays_what_it_was(mast, sta):
    mast.clock.pass_by(hours=1)
    moved = point(10.3, 56.3) | {"observedAt": format_instant(mast.clock.now())}
    await mast.write(entity("WeatherObserved", MAST, {"location": moved}))
    page = await sta(f"/Things('{MAST}')/HistoricalLocations?$expand=Locations&$orderby=time desc")
    places = [one["Locations"][0]["location"]["coordinates"] for one in page["value"]]
    assert [10.3, 56.3] in places and [10.2, 56.2] in places
    (now,) = (await sta(f"/Things('{MAST}')/Locations"))["value"]
    assert now["location"]["coordinates"] == [10.3, 56.3]


async def test_things_are_filtered_over_their_links(mast, sta):
    for wanted, found in {
        "name eq 'Town hall'": ["urn:x:b"],
        "properties/height gt 10": [MAST],
        "Datastreams/ObservedProperty/name eq 'temperature'": [MAST],
        "Datastreams/unitOfMeasurement/symbol eq '°C'": [MAST],
        "st_within(Locations/location, geography'POLYGON((10 56,11 56,11 57,10 57,10 56))')": [MAST],
        f"@iot.id eq '{MAST}'": [MAST],
        "id eq 'urn:x:none'": [],
        "startswith(name, 'M') or name eq 'Town hall'": [MAST, "urn:x:b"],
    }.items():
        page = await sta(f"/Things?$count=true&$select=id&$filter={wanted}")
        assert page["value"] == [{"@iot.id": one} for one in found], wanted
        assert page["@iot.count"] == len(found)


async def test_members_values_and_references_are_read_alone(mast, sta, visitor):
    assert await sta(f"/Things('{MAST}')/name") == {"name": "Mast"}
    assert (await visitor.get(f"{ROOT}/Things('{MAST}')/properties/height/$value")).text == "12"
    assert (await visitor.get(f"{ROOT}/Things('{MAST}')/name/$value")).text == "Mast"
    assert list((await sta("/Things/$ref"))["value"][0]) == ["@iot.selfLink"]
    page = await sta(f"/Things('{MAST}')/Datastreams('{AIR}')/Observations?$top=1&$select=result")
    assert page["value"] == [{"result": 0}]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/Nothing", 404),
        ("/Things('urn:x:none')", 404),
        (f"/Things('{AIR}')", 404),
        ("/Things(1)", 404),
        (f"/Datastreams('{MAST}')", 404),
        (f"/Datastreams('{MAST};height')", 404),
        (f"/Observations('{AIR};5')", 404),
        (f"/Things('urn:x:b')/Datastreams('{AIR}')", 404),
        (f"/Things('{MAST}')/Nothing", 404),
        ("/Things/name", 404),
        ("/Things?$filter=nothing eq 5", 400),
        ("/Things?$filter=Datastreams/Observations/result gt 5", 400),
        ("/Things?$select=nothing", 400),
        ("/Things?$expand=Nothing", 400),
        ("/Things?$orderby=nothing", 400),
        ("/Things?$top=x", 400),
        ("/Things('x", 400),
    ],
)
async def test_what_is_wrong_is_told_so_that_clients_find_it(mast, sta, path, status):
    found = await sta(path, status)
    assert (found["code"], found["status"]) == (status, status)
    assert found["message"] and found["hint"]


async def test_nobody_learns_of_what_is_not_for_them(mast, sta, reader_of):
    hidden = entity(
        "WeatherObserved",
        "urn:x:secret",
        {
            "temperature": prop(77, at=mast.clock.now(), unit="CEL"),
            "secretLevel": prop(7, at=mast.clock.now()),
            "location": point(1.0, 1.0),
            "refDevice": rel("urn:ngsi-ld:Device:d1"),
        },
    )
    await mast.write(hidden, secrecy=InformationClass.SECURITY)
    for kind in SETS:
        page = await sta(f"/{kind}?$count=true")
        assert "secret" not in str(page), kind
    assert (await sta("/Sensors('urn:ngsi-ld:Device:d1')/Datastreams?$count=true"))["@iot.count"] == 2
    guard = await reader_of("security_operator")
    for path in (
        "/Things('urn:x:secret')",
        "/Datastreams('urn:x:secret;temperature')",
        "/Datastreams('urn:x:secret;temperature')/Observations",
        "/ObservedProperties('secretLevel')",
        "/Sensors('urn:x:secret')",
        "/Locations('urn:x:secret;location')",
        "/FeaturesOfInterest('urn:x:secret')",
    ):
        await sta(path, 404)
        await sta(path, 200, guard)
    await mast.write(
        entity(
            "Spot", "urn:x:spot", {"level": prop(1, at=mast.clock.now()), "refDevice": rel("urn:x:secret")}
        )
    )
    assert (await sta("/Datastreams('urn:x:spot;level')/Sensor"))["@iot.id"] == "urn:x:spot"


async def test_acts_of_the_city_are_no_things(mast, sta):
    await mast.write(entity("Alert", "urn:x:alert", {"name": prop("Frost")}), secrecy=InformationClass.OPEN)
    assert "urn:x:alert" not in str(await sta("/Things"))
    await sta("/Things('urn:x:alert')", 404)


async def test_what_would_look_at_a_whole_city_is_bounded(mast, sta, monkeypatch):
    from cityloom.web.sensorthings import answers, sets

    monkeypatch.setattr(sets, "MOST_AT_ONCE", 1)
    await sta("/Observations", 403)
    assert results(await sta(f"/Observations?$top=1&$filter=Datastream/id eq '{AIR}'")) == [0]
    # Those of many Things are kept for some seconds.
    before = await sta("/ObservedProperties")
    await mast.write(entity("WeatherObserved", MAST, {"dewPoint": prop(1, at=mast.clock.now())}))
    assert await sta("/ObservedProperties") == before
    monkeypatch.setattr(answers, "MAX_SORTED", 1)
    assert (await sta("/Things?$orderby=name", 403))["where"] == "$orderby"
    monkeypatch.setattr(answers, "MAX_ROWS", 3)
    assert (await sta("/Things?$expand=Datastreams", 403))["where"] == "$expand"


async def test_an_id_with_marks_of_its_own_is_taken_apart_rightly(city, sta):
    for thing in ("urn:x:a;b", "urn:x:a%3Bb", "urn:x:it's"):
        await city.write(entity("Spot", thing, {"level": prop(1, at=city.clock.now())}))
        said = quote(thing.replace("'", "''"))
        page = await sta(f"/Things?$filter=id eq '{said}'&$expand=Datastreams")
        (stream,) = page["value"][0]["Datastreams"]
        here = stream["@iot.selfLink"].partition(ROOT)[2]
        assert (await sta(here + "/Thing"))["@iot.id"] == thing
        (reading,) = (await sta(here + "/Observations"))["value"]
        again = await sta(reading["@iot.selfLink"].partition(ROOT)[2] + "/Datastream/Thing")
        assert again["@iot.id"] == thing


# Creating

THING = {
    "name": "Pump house",
    "description": "by the brook",
    "properties": {"owner": "water works", "depth": 4, "id": "x", "plan": {"a": [1]}},
    "Locations": [
        {
            "name": "h",
            "encodingType": "application/geo+json",
            "location": {"type": "Point", "coordinates": [9, 56]},
        }
    ],
    "Datastreams": [
        {
            "name": "Level upstream",
            "description": "of the brook",
            "observationType": "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement",
            "unitOfMeasurement": {"name": "Meter", "symbol": "m", "definition": "ucum:m"},
            "Sensor": {
                "name": "Radar",
                "description": "r",
                "encodingType": "text/html",
                "metadata": "https://x.y/z",
            },
            "ObservedProperty": {
                "name": "Water level",
                "definition": "https://x.y/level",
                "description": "l",
            },
            "Observations": [
                {"phenomenonTime": "2026-04-10T09:00:00Z", "result": 1.5},
                {"phenomenonTime": "2026-04-10T08:00:00Z", "result": 1.25},
            ],
        }
    ],
}


@pytest.fixture
async def engineer(city, reader_of):
    """Posts as somebody who may write."""
    client = (await reader_of("engineer")).client

    async def post(path: str, body, status: int = 201):
        answer = await client.post(ROOT + path, json=body)
        assert answer.status_code == status, answer.text
        await city.broker.caught_up()
        return answer

    return post


async def test_a_thing_is_created_with_all_that_belongs_to_it(city, engineer, sta):
    answer = await engineer("/Things", THING)
    made = answer.json()
    assert answer.headers["location"] == made["@iot.selfLink"]
    thing = made["@iot.id"]
    stored = city.broker.retrieve(CITY, thing)
    assert stored["type"] == ["Thing"]
    (level,) = stored["attrs"]["waterLevel"]
    assert (level["value"], level["unitCode"], level["observedAt"]) == (1.5, "MTR", "2026-04-10T09:00:00Z")
    assert stored["attrs"]["location"][0]["value"] == {"type": "Point", "coordinates": [9, 56]}
    assert stored["attrs"]["plan"][0]["value"] == {"a": [1]}
    page = await sta(f"/Things('{thing}')/Datastreams?$expand=Sensor,ObservedProperty,Observations")
    (stream,) = page["value"]
    assert (stream["@iot.id"], stream["name"]) == (f"{thing};waterLevel", "Level upstream")
    assert (stream["Sensor"]["name"], stream["Sensor"]["metadata"]) == ("Radar", "https://x.y/z")
    assert stream["ObservedProperty"] == stream["ObservedProperty"] | {
        "@iot.id": "waterLevel",
        "name": "Water level",
        "definition": "https://x.y/level",
    }
    assert [one["result"] for one in stream["Observations"]] == [1.25, 1.5]


async def test_a_datastream_stands_before_anything_is_observed(city, engineer, sta):
    made = (await engineer("/Things", {"name": "Bare", "properties": {"type": "Pump"}})).json()
    thing = made["@iot.id"]
    assert thing.startswith("urn:ngsi-ld:Pump:")
    sensor = (await engineer("/Sensors", {"name": "S", "encodingType": "text/html", "metadata": "m"})).json()
    observed = (await engineer("/ObservedProperties", {"name": "Flow", "definition": "d"})).json()
    body = {
        "name": "Flow out",
        "unitOfMeasurement": {"name": "furlong per fortnight", "symbol": "fur", "definition": "none"},
        "Sensor": {"@iot.id": sensor["@iot.id"]},
        "ObservedProperty": {"@iot.id": observed["@iot.id"]},
    }
    stream = (await engineer(f"/Things('{thing}')/Datastreams", body)).json()
    assert stream["@iot.id"] == f"{thing};flow"
    assert stream["unitOfMeasurement"] == body["unitOfMeasurement"]
    assert (await sta(f"/Datastreams('{thing};flow')/Observations"))["value"] == []
    second = (await engineer("/Datastreams", {**body, "name": "Flow in", "Thing": {"@iot.id": thing}})).json()
    assert second["@iot.id"] == f"{thing};flow;urn:ngsi-ld:Dataset:Flow-in"
    await engineer(f"/Things('{thing}')/Datastreams", {**body, "name": "Flow in"}, 409)
    await engineer(f"/Datastreams('{thing};flow')/Observations", {"result": 5})
    await engineer("/Observations", {"result": 6, "Datastream": {"@iot.id": second["@iot.id"]}})
    by_sensor = await sta(f"/Sensors('{sensor['@iot.id']}')/Datastreams?$expand=Observations")
    assert [[one["result"] for one in each["Observations"]] for each in by_sensor["value"]] == [[5], [6]]


async def test_a_late_observation_is_remembered_and_not_the_present(city, engineer, sta):
    thing = (await engineer("/Things", THING)).json()["@iot.id"]
    late = {"phenomenonTime": "2026-04-10T07:00:00Z", "result": 9}
    made = (await engineer(f"/Datastreams('{thing};waterLevel')/Observations", late)).json()
    assert (await sta(f"/Observations('{made['@iot.id']}')"))["result"] == 9
    assert city.broker.retrieve(CITY, thing)["attrs"]["waterLevel"][0]["value"] == 1.5
    assert results(await sta(f"/Datastreams('{thing};waterLevel')/Observations")) == [9, 1.25, 1.5]


async def test_a_data_array_creates_each_and_tells_which_were_refused(city, engineer, sta):
    thing = (await engineer("/Things", THING)).json()["@iot.id"]
    body = [
        {
            "Datastream": {"@iot.id": f"{thing};waterLevel"},
            "components": ["phenomenonTime", "result", "FeatureOfInterest/id"],
            "dataArray": [
                ["2026-04-10T05:00:00Z", 5, 1],
                ["not a time", 6, 1],
                ["2099-04-10T06:00:00Z", 7, 1],
                ["2026-04-10T07:00:00Z", 8, 1],
            ],
        },
        {"Datastream": {"@iot.id": "urn:x:none;x"}, "components": ["result"], "dataArray": [[1]]},
    ]
    links = (await engineer("/CreateObservations", body)).json()
    assert [link == "error" for link in links] == [False, True, True, False, True]
    assert (await sta(links[0].partition(ROOT)[2]))["result"] == 5
    assert results(await sta(f"/Datastreams('{thing};waterLevel')/Observations")) == [5, 8, 1.25, 1.5]
    await engineer("/CreateObservations", [{**body[0], "dataArray": [[1]]}], 400)
    await engineer("/CreateObservations", {}, 400)


async def test_data_models_and_clocks_bind_as_elsewhere(mast, engineer):
    await engineer(f"/Datastreams('{AIR}')/Observations", {"result": 5000}, 400)
    await engineer(
        f"/Datastreams('{AIR}')/Observations", {"result": 5, "phenomenonTime": "2099-01-01T00:00:00Z"}, 400
    )
    assert mast.broker.retrieve(CITY, MAST)["attrs"]["temperature"][0]["value"] == 2.5


async def test_a_place_is_given_to_a_thing(city, engineer, sta):
    thing = (await engineer("/Things", {"name": "Bare"})).json()["@iot.id"]
    place = {
        "name": "p",
        "encodingType": "application/geo+json",
        "location": {"type": "Point", "coordinates": [9, 55]},
    }
    made = (await engineer(f"/Things('{thing}')/Locations", place)).json()
    assert made["@iot.id"] == f"{thing};location"
    other = (await engineer("/Things", {"name": "Other", "Locations": [{"@iot.id": made["@iot.id"]}]})).json()
    assert (await sta(f"/Things('{other['@iot.id']}')/Locations"))["value"][0]["location"]["coordinates"] == [
        9,
        55,
    ]


@pytest.mark.parametrize(
    ("path", "body", "status", "where"),
    [
        ("/Things", {"name": ""}, 400, "name"),
        ("/Things", {"name": "a", "properties": {"type": "a b"}}, 400, "properties.type"),
        ("/Things", {"name": "a", "Datastreams": [{"name": "d"}]}, 400, "Datastreams[0].Sensor"),
        ("/Things", {"name": "a", "Locations": [{"location": {"type": "Point"}}]}, 400, "location"),
        ("/Things", {"name": "a", "properties": {"type": "Alert"}}, 403, "type"),
        ("/Things", [], 400, "body"),
        ("/Datastreams", {"name": "a"}, 400, "Thing"),
        ("/Observations", {"result": 5}, 400, "Datastream"),
        (f"/Datastreams('{AIR}')/Observations", {"result": "high"}, 400, "result"),
        (f"/Datastreams('{AIR}')/Observations", {"result": 1, "phenomenonTime": "x"}, 400, "phenomenonTime"),
        (
            f"/Datastreams('{AIR}')/Observations",
            {"result": 1, "FeatureOfInterest": {}},
            422,
            "FeatureOfInterest",
        ),
        ("/Locations", {"location": {"type": "Point", "coordinates": [1, 1]}}, 400, "Things"),
        ("/FeaturesOfInterest", {"name": "a"}, 422, "path"),
        ("/ObservedProperties", {"name": "?"}, 400, "ObservedProperty.name"),
    ],
)
async def test_what_cannot_be_created_is_refused_and_nothing_is_left(
    mast, engineer, path, body, status, where
):
    before = mast.broker.types(CITY)
    found = (await engineer(path, body, status)).json()
    assert found["where"] == where
    assert mast.broker.types(CITY) == before


async def test_only_who_may_write_creates(mast, visitor, reader_of):
    body = {"result": 5}
    answer = await visitor.client.post(f"{ROOT}/Datastreams('{AIR}')/Observations", json=body)
    assert answer.status_code == 401
    planner = await reader_of("planner")
    for path in ("/Things", "/CreateObservations", f"/Datastreams('{AIR}')/Observations", "/Nothing"):
        answer = await planner.client.post(ROOT + path, json=body)
        assert answer.status_code == 403, path
    foreign = await planner.client.post(
        f"{ROOT}/Things", json=body, headers={"origin": "https://map.example"}
    )
    assert foreign.status_code == 403
    for method in ("PUT", "PATCH", "DELETE"):
        assert (await visitor.client.request(method, f"{ROOT}/Things('{MAST}')")).status_code == 405
