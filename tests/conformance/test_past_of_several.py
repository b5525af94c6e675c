"""Aggregates over what the city and its sources remember of the same attributes (4.5.19, 5.7.3, 5.7.4)."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from cityloom.web.ngsild import distributed_aggregates, evolutions_elsewhere
from loopback_servers import serving

ROAD = "urn:ngsi-ld:Road:1"
PATH = f"/temporal/entities/{ROAD}"
MAY = {"timerel": "between", "timeAt": "2026-05-01T00:00:00Z", "endTimeAt": "2026-06-01T00:00:00Z"}


def on(day, value, **more):
    return {"type": "Property", "value": value, "observedAt": f"2026-05-{day:02}T00:00:00Z", **more}


def road(*speeds, **attributes):
    return {"id": ROAD, "type": "Road", "speed": list(speeds), **attributes}


class Source:
    """A broker that remembers one road: it tells instances, or else aggregates that it has worked out."""

    def __init__(self):
        self.remembers = road()
        self.aggregates = None
        #: Instances in one answer.
        self.at_once = 1_000
        self.status = 200
        self.address = ""
        self.asked = []

    async def answer(self, asked, writer):
        url = urlsplit(asked.path)
        query = {name: said[0] for name, said in parse_qs(url.query).items()}
        self.asked.append(query)
        status, body = self._said(query)
        if not url.path.endswith(ROAD):
            body = [body] if query.get("offset", "0") == "0" else []
        content = json.dumps(body).encode()
        writer.write(b"HTTP/1.1 %d Some\r\ncontent-length: %d\r\n\r\n%s" % (status, len(content), content))
        await writer.drain()
        return True

    def _said(self, query):
        if query.get("format") == "aggregatedValues":
            return 200, {"id": ROAD, "type": "Road", **self.aggregates}
        since = query["timeAt"].replace("Z", "")
        speeds = [one for one in self.remembers["speed"] if one["observedAt"] >= since]
        status = 206 if self.status == 200 and len(speeds) > self.at_once else self.status
        return status, {**self.remembers, "speed": speeds[: self.at_once]}


@pytest.fixture
async def source(api):
    made = Source()
    async with serving(made.answer) as (made.address, _):
        await registered(api, made.address)
        yield made


async def registered(api, address, name="source"):
    reply = await api.post(
        "/csourceRegistrations",
        json={
            "id": f"urn:x:{name}",
            "type": "ContextSourceRegistration",
            "endpoint": address,
            "information": [{"entities": [{"type": "Road"}]}],
            "operations": ["retrieveTemporal", "queryTemporal"],
        },
    )
    assert reply.status_code == 201, reply.text


async def remember(api, *speeds, **attributes):
    reply = await api.post("/temporal/entities?local=true", json=road(*speeds, **attributes))
    assert reply.status_code == 201, reply.text


async def aggregated(api, methods, path=PATH, **asked):
    parameters = {**MAY, "format": "aggregatedValues", "aggrMethods": methods, **asked}
    return await api.get(path, params=parameters)


def first(entity, name="speed"):
    return {key: said[0][0] for key, said in entity[name].items() if isinstance(said, list)}


async def test_aggregates_are_of_the_instances_of_all(api, source):
    await remember(api, on(1, 100), on(2, 50))
    # Of the second of May what is here counts.
    source.remembers = road(on(2, 999), on(3, 300), on(4, 50))
    everything = "avg,sum,min,max,stddev,sumsq,totalCount,distinctCount"
    reply = await aggregated(api, everything)
    assert reply.status_code == 200, reply.text
    assert "ngsild-warning" not in reply.headers
    told = first(reply.json())
    assert told.pop("stddev") == pytest.approx(103.0776406)
    assert told == {
        "avg": 125,
        "sum": 500,
        "min": 50,
        "max": 300,
        "sumsq": 105_000,
        "totalCount": 4,
        "distinctCount": 3,
    }
    (asked,) = source.asked
    assert "aggrMethods" not in asked and "format" not in asked


async def test_periods_datasets_texts_and_the_last_are_as_they_are_here(api, source):
    await remember(api, on(1, 10), on(2, 20, datasetId="urn:x:d"), name=[on(1, "b")])
    source.remembers = road(on(1, 30, datasetId="urn:x:d"), on(8, 50), name=[on(2, "a"), on(9, "c")])
    entity = (await aggregated(api, "max,min", aggrPeriodDuration="P7D")).json()
    default, named = entity["speed"]
    assert [one[0] for one in default["max"]] == [10, 50]
    assert [one[1:] for one in default["max"]] == [
        ["2026-05-01T00:00:00Z", "2026-05-08T00:00:00Z"],
        ["2026-05-08T00:00:00Z", "2026-05-15T00:00:00Z"],
    ]
    assert (named["datasetId"], [one[0] for one in named["min"]]) == ("urn:x:d", [20])
    assert [one[0] for one in entity["name"]["min"]] == ["a", "c"]
    entity = (await aggregated(api, "sum", lastN="1", attrs="speed")).json()
    assert [one["sum"][0][0] for one in entity["speed"]] == [50, 20]


async def test_queries_aggregate_the_instances_of_all_too(api, source, problem):
    await remember(api, on(1, 100))
    source.remembers = road(on(2, 300))
    reply = await aggregated(api, "avg", "/temporal/entities", type="Road")
    assert [first(one) for one in reply.json()] == [{"avg": 200}]
    body = {
        "type": "Query",
        "entities": [{"type": "Road"}],
        "temporalQ": MAY,
        "aggrParams": {"aggrMethods": ["avg"], "aggrPeriodDuration": "P0D"},
    }
    reply = await api.post("/temporal/entityOperations/query", json=body)
    assert [first(one) for one in reply.json()] == [{"avg": 200}]
    problem(await aggregated(api, "median"), 400, "BadRequestData", "aggrMethods")


async def test_by_another_time_its_instants_are_asked_for(api, source):
    source.remembers = road({**on(2, 300), "modifiedAt": "2026-05-20T00:00:00Z"}, on(3, 7))
    entity = (await aggregated(api, "sum", aggrPeriodDuration="P1D", timeproperty="modifiedAt")).json()
    (period,) = entity["speed"]["sum"]
    assert period == [300, "2026-05-20T00:00:00Z", "2026-05-21T00:00:00Z"]
    assert source.asked[0]["options"] == "sysAttrs"


async def test_what_a_source_has_cut_is_asked_for_further(api, source, monkeypatch):
    source.remembers, source.at_once = road(*(on(day, day) for day in range(1, 8))), 3
    assert first((await aggregated(api, "sum,totalCount")).json()) == {"sum": 28, "totalCount": 7}
    assert len(source.asked) > 2
    # A source that never comes to an end counts as one that does not tell.
    monkeypatch.setattr(evolutions_elsewhere, "MOST_ROUNDS", 2)
    source.aggregates = {"speed": {"type": "Property", "sum": [[1, "x", "y"]]}}
    reply = await aggregated(api, "sum")
    assert first(reply.json()) == {"sum": 1}
    assert reply.headers["ngsild-warning"].startswith("299 ")


async def test_a_source_that_refuses_is_asked_for_its_own_aggregates(api, source):
    await remember(api, on(1, 100))
    source.status = 403
    source.aggregates = {name: {"type": "Property", "avg": [[7, "x", "y"]]} for name in ("speed", "lanes")}
    reply = await aggregated(api, "avg")
    assert (first(reply.json()), first(reply.json(), "lanes")) == ({"avg": 100}, {"avg": 7})
    assert reply.headers["ngsild-warning"].startswith("299 ")
    assert [one.get("format") for one in source.asked] == [None, "aggregatedValues"]


async def test_too_much_stays_apart(api, source, monkeypatch):
    monkeypatch.setattr(distributed_aggregates, "MOST_TAKEN", 2)
    await remember(api, on(1, 100), on(2, 100), on(3, 100))
    source.remembers = road(on(4, 300), lanes=[on(4, 2)])
    reply = await aggregated(api, "avg")
    assert (first(reply.json()), first(reply.json(), "lanes")) == ({"avg": 100}, {"avg": 2})
    assert reply.headers["ngsild-warning"].startswith("299 ")
    # And what comes from elsewhere is bounded as well.
    monkeypatch.setattr(evolutions_elsewhere, "MOST_TAKEN", 1)
    source.aggregates = {"lanes": {"type": "Property", "avg": [[9, "x", "y"]]}}
    assert first((await aggregated(api, "avg")).json(), "lanes") == {"avg": 9}


async def test_of_an_answer_only_what_is_registered_counts(api, source):
    camera = {"id": "urn:x:camera", "type": "Camera", "speed": [on(1, 5)]}
    source.remembers = {**camera}
    reply = await aggregated(api, "avg", "/temporal/entities", type="Road")
    assert reply.json() == []
    assert "ngsild-warning" not in reply.headers


async def test_what_is_no_past_is_left_out(api, source):
    await remember(api, on(1, 100))
    source.remembers = road({"type": "Property", "observedAt": "2026-05-01T00:00:00Z"})
    reply = await aggregated(api, "avg")
    assert first(reply.json()) == {"avg": 100}
    assert reply.headers["ngsild-warning"].startswith("111 ")


async def taken(api, **temporal):
    query = {"type": "Query", "entities": [{"type": "Road"}], "temporalQ": {**MAY, **temporal}}
    reply = await api.post("/snapshots", json={"type": "Snapshot", "snapshotTemporalQueries": [query]})
    assert reply.status_code == 201, reply.text
    path = reply.headers["location"].removeprefix("/ngsi-ld/v1")
    async with asyncio.timeout(20):
        while (found := (await api.get(path)).json())["snapshotStatus"] == "preparing":
            await asyncio.sleep(0)
    return found


async def test_a_snapshot_has_what_sources_remember_too(api, source):
    await remember(api, on(1, 10), on(2, 20))
    source.remembers = road(on(2, 999), on(3, 30), lanes=[on(4, 2)])
    made = await taken(api)
    assert made["snapshotTemporalQueriesDetails"] == [{"resultStatus": "success"}]
    source.remembers = road(on(3, 31))
    here = {"ngsild-snapshot": made["id"]}
    told = (await api.get(PATH, headers=here)).json()
    assert [one["value"] for one in told["speed"]] == [10, 20, 30]
    assert [one["value"] for one in told["lanes"]] == [2]
    newest = (await api.get(PATH, headers={"ngsild-snapshot": (await taken(api, lastN=2))["id"]})).json()
    assert [one["value"] for one in newest["speed"]] == [20, 31]
    # What is in it is as secret as what sources tell.
    visitor = {**here, "x-test-actor": "anonymous"}
    assert (await api.get(PATH, headers=visitor)).status_code == 404


async def test_a_snapshot_says_which_sources_were_silent(api, source):
    await remember(api, on(1, 10))
    source.status = 503
    (details,) = (await taken(api))["snapshotTemporalQueriesDetails"]
    assert details["resultStatus"] == "success"
    assert "urn:x:source" in details["problemDetails"]["detail"]


async def test_that_an_attribute_ended_is_no_value_of_it(api, source):
    await remember(api, {"type": "Property", "value": 5})
    assert (await api.delete(f"/entities/{ROAD}/attrs/speed?local=true")).status_code == 204
    source.remembers = road({**on(2, 300), "modifiedAt": "2026-05-20T00:00:00Z"})
    window = {"timeproperty": "modifiedAt", "endTimeAt": "2100-01-01T00:00:00Z"}
    told = first((await aggregated(api, "totalCount,distinctCount", **window)).json())
    assert told == {"totalCount": 2, "distinctCount": 2}
