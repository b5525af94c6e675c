"""Entities over time over HTTP (ETSI GS CIM 009, 6.18, 6.19)."""

import pytest

ID = "urn:ngsi-ld:Station:1"


@pytest.fixture
async def station(api):
    """Three temperatures, an hour between them, and a wind."""
    for hour, value in enumerate([10, 12, 17]):
        at = f"2026-04-12T{20 + hour}:00:00Z"
        body = {
            "id": ID,
            "type": "Station",
            "temperature": {"value": value, "observedAt": at, "unitCode": "CEL"},
        }
        if hour == 0:
            body["wind"] = {"value": 5, "observedAt": at}
        await api.post("/entityOperations/upsert", params={"options": "update"}, json=[body])
    await api.broker.caught_up()
    return api


async def test_retrieve_gives_all_instances(station):
    reply = await station.get(f"/temporal/entities/{ID}")
    assert reply.status_code == 200
    shown = reply.json()
    assert (shown["id"], shown["type"]) == (ID, "Station")
    assert [(one["value"], one["observedAt"], one["unitCode"]) for one in shown["temperature"]] == [
        (10, "2026-04-12T20:00:00Z", "CEL"),
        (12, "2026-04-12T21:00:00Z", "CEL"),
        (17, "2026-04-12T22:00:00Z", "CEL"),
    ]
    assert all(one["instanceId"].startswith("urn:") for one in shown["temperature"])
    assert len(shown["wind"]) == 1


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"timerel": "before", "timeAt": "2026-04-12T21:00:00Z"}, [10]),
        ({"timerel": "after", "timeAt": "2026-04-12T21:00:00Z"}, [12, 17]),
        (
            {"timerel": "between", "timeAt": "2026-04-12T20:00:00Z", "endTimeAt": "2026-04-12T22:00:00Z"},
            [10, 12],
        ),
        ({"lastN": "2"}, [12, 17]),
        ({"attrs": "temperature"}, [10, 12, 17]),
        ({"pick": "temperature"}, [10, 12, 17]),
    ],
)
async def test_retrieve_narrows_in_time(station, parameters, expected):
    reply = await station.get(f"/temporal/entities/{ID}", params={**parameters, "format": "temporalValues"})
    assert reply.status_code == 200, reply.text
    values = reply.json()["temperature"]["values"]
    assert sorted(value for value, _ in values) == expected
    wind_is_asked_for = parameters.keys().isdisjoint({"attrs", "pick"})
    assert ("wind" in reply.json()) == (wind_is_asked_for and (10 in expected or "lastN" in parameters))


async def test_retrieve_aggregates(station):
    reply = await station.get(
        f"/temporal/entities/{ID}",
        params={
            "attrs": "temperature",
            "timerel": "between",
            "timeAt": "2026-04-12T20:00:00Z",
            "endTimeAt": "2026-04-13T00:00:00Z",
            "format": "aggregatedValues",
            "aggrMethods": "avg,max",
            "aggrPeriodDuration": "PT2H",
        },
    )
    assert reply.json()["temperature"] == {
        "type": "Property",
        "avg": [
            [11.0, "2026-04-12T20:00:00Z", "2026-04-12T22:00:00Z"],
            [17.0, "2026-04-12T22:00:00Z", "2026-04-13T00:00:00Z"],
        ],
        "max": [
            [12.0, "2026-04-12T20:00:00Z", "2026-04-12T22:00:00Z"],
            [17.0, "2026-04-12T22:00:00Z", "2026-04-13T00:00:00Z"],
        ],
    }


async def test_query_lists_entities_with_instances(station):
    await station.have({"id": "urn:ngsi-ld:Station:2", "type": "Station", "wind": 1})
    reply = await station.get(
        "/temporal/entities",
        params={"type": "Station", "attrs": "temperature", "count": "true", "lastN": "9"},
    )
    assert [one["id"] for one in reply.json()] == [ID]
    assert reply.headers["ngsild-results-count"] == "1"
    reply = await station.get(
        "/temporal/entities", params={"type": "Station", "timeproperty": "modifiedAt", "limit": "1"}
    )
    assert [one["id"] for one in reply.json()] == [ID]
    assert "offset=1" in reply.links["next"]["url"]


async def test_retrieve_cuts_long_evolutions_and_says_so(station):
    points = [
        {
            "id": ID,
            "type": "Station",
            "wind": {
                "value": n,
                "observedAt": f"2026-03-{1 + n // 1440:02}T{n // 60 % 24:02}:{n % 60:02}:00Z",
            },
        }
        for n in range(10_050)
    ]
    for start in range(0, len(points), 5000):
        reply = await station.post(
            "/entityOperations/upsert", params={"options": "update"}, json=points[start : start + 5000]
        )
        assert reply.status_code == 204
    await station.broker.caught_up()
    reply = await station.get(f"/temporal/entities/{ID}", params={"attrs": "wind"})
    assert reply.status_code == 206
    unit, _, rest = reply.headers["content-range"].partition(" ")
    assert unit == "date-time" and rest.endswith("/*")
    assert rest.startswith("2026-03-01T00:00:00Z-2026-03-07T")
    assert len(reply.json()["wind"]) >= 9_999


@pytest.mark.parametrize(
    ("parameters", "name", "where"),
    [
        ({"timerel": "during", "timeAt": "2026-04-12T20:00:00Z"}, "BadRequestData", "timerel"),
        ({"timerel": "before"}, "BadRequestData", "timeAt"),
        ({"timeAt": "2026-04-12T20:00:00Z"}, "BadRequestData", "timeAt"),
        ({"timerel": "before", "timeAt": "yesterday"}, "BadRequestData", "timeAt"),
        ({"timeproperty": "unitCode"}, "BadRequestData", "timeproperty"),
        ({"lastN": "0"}, "BadRequestData", "lastN"),
        ({"lastN": "x"}, "BadRequestData", "lastN"),
        ({"format": "aggregatedValues"}, "BadRequestData", "aggrMethods"),
        ({"format": "aggregatedValues", "aggrMethods": "mode"}, "BadRequestData", "aggrMethods"),
        (
            {"format": "aggregatedValues", "aggrMethods": "avg", "aggrPeriodDuration": "soon"},
            "BadRequestData",
            "aggrPeriodDuration",
        ),
        ({"aggrMethods": "avg"}, "BadRequestData", "format"),
        ({"options": "keyValues"}, "InvalidRequest", "options"),
        ({"limit": "5", "colour": "red"}, "InvalidRequest", None),
    ],
)
async def test_temporal_names_the_parameter_at_fault(station, problem, parameters, name, where):
    problem(await station.get(f"/temporal/entities/{ID}", params=parameters), 400, name, where)
    if "limit" not in parameters:
        reply = await station.get("/temporal/entities", params={"type": "Station", **parameters})
        problem(reply, 400, name, where)


async def test_temporal_says_what_is_not_there(station, problem):
    problem(await station.get("/temporal/entities/urn:x:none"), 404, "ResourceNotFound")
    problem(await station.get("/temporal/entities/no%20uri"), 400, "BadRequestData", "entityId")
    problem(await station.get("/temporal/entities"), 400, "BadRequestData")
    problem(await station.get("/temporal/entities?type=Station"), 400, "BadRequestData", "timerel")
    reply = await station.get(f"/temporal/entities/{ID}", params={"timeproperty": "deletedAt"})
    problem(reply, 404, "ResourceNotFound", "entityId")


async def test_a_period_may_reach_beyond_all_years(station):
    for period in ("P9999Y", "PT9999999H", "P900Y"):
        reply = await station.get(
            f"/temporal/entities/{ID}",
            params={
                **{
                    "timerel": "between",
                    "timeAt": "0001-01-01T00:00:00Z",
                    "endTimeAt": "9999-12-31T23:59:59Z",
                },
                **{"format": "aggregatedValues", "aggrMethods": "totalCount", "aggrPeriodDuration": period},
            },
        )
        assert reply.status_code == 200, reply.text
        assert sum(count for count, _, _ in reply.json()["temperature"]["totalCount"]) == 3


async def test_very_many_periods_are_refused(station, problem):
    parameters = {"timerel": "after", "timeAt": "2026-04-12T19:00:00Z", "format": "aggregatedValues"}
    parameters |= {"aggrMethods": "avg", "aggrPeriodDuration": "PT0.001S"}
    for path in (f"/temporal/entities/{ID}", "/temporal/entities?type=Station"):
        reply = await station.get(
            path, params={**parameters, "type": "Station"} if "?" in path else parameters
        )
        problem(reply, 400, "BadRequestData", "aggrPeriodDuration")


async def test_a_reading_sent_twice_stands_once_and_a_late_one_in_its_place(station):
    late = {"value": 3, "observedAt": "2026-04-12T20:30:00Z", "unitCode": "CEL"}
    for _ in range(2):
        reply = await station.patch(f"/entities/{ID}/attrs", json={"temperature": late})
        assert reply.status_code == 204
    await station.broker.caught_up()
    shown = (await station.get(f"/temporal/entities/{ID}")).json()
    assert [one["value"] for one in shown["temperature"]] == [10, 3, 12, 17]


async def test_very_many_aggregates_are_refused(station, problem):
    reply = await station.get(
        "/temporal/entities",
        params={
            **{"type": "Station", "timerel": "between", "format": "aggregatedValues"},
            **{"timeAt": "2026-04-12T00:00:00Z", "endTimeAt": "2026-04-13T23:00:00Z"},
            **{"aggrMethods": "avg,min,max,sum,stddev,totalCount", "aggrPeriodDuration": "PT1S"},
        },
    )
    problem(reply, 403, "TooComplexQuery", "aggrPeriodDuration")
