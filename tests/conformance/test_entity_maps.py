"""Entity maps over HTTP (ETSI GS CIM 009, 5.5.9.3, 5.5.14, 5.14, 6.32, 6.34, 6.35)."""

from datetime import UTC, datetime, timedelta

import pytest

from cityloom.access.quotas import OfEntityMaps, Quotas
from cityloom.context.entity_maps import LONGEST_LIFETIME
from cityloom.kernel.time import parse_instant


def car(number, speed=50):
    return {"id": f"urn:ngsi-ld:Car:{number}", "type": "Car", "speed": {"type": "Property", "value": speed}}


def names(entities):
    return [one["id"].rpartition(":")[2] for one in entities]


async def query(api, location="", **parameters):
    headers = {"ngsild-entitymap": location} if location else {}
    return await api.get("/entities", params={"type": "Car", **parameters}, headers=headers)


async def mapped(api, location, **headers):
    reply = await api.get(f"/entityMaps/{location.rpartition('/')[2]}", headers=headers)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def test_a_query_goes_on_among_the_entities_of_its_map(api):
    await api.have(*map(car, range(5)))
    first = await query(api, entityMap="true", limit="2")
    assert (first.status_code, names(first.json())) == (201, ["0", "1"])
    location = first.headers["ngsild-entitymap"]
    await api.have(car(5))
    await api.delete("/entities/urn:ngsi-ld:Car:1")
    rest = await query(api, location, limit="3", count="true")
    assert (rest.status_code, names(rest.json())) == (200, ["0", "2", "3"])
    assert rest.headers["ngsild-entitymap"] == location
    assert rest.headers["ngsild-results-count"] == "4"
    assert 'rel="next"' in rest.headers["link"]
    told = await mapped(api, location)
    assert told["entityMap"] == {f"urn:ngsi-ld:Car:{number}": ["@none"] for number in (0, 2, 3, 4)}


async def test_a_map_whose_query_matches_nothing_stays_empty(api):
    await api.have(car(1))
    made = await query(api, entityMap="true", q="speed>100")
    assert (made.status_code, made.json()) == (201, [])
    again = await query(api, made.headers["ngsild-entitymap"])
    assert again.json() == []


async def test_a_map_that_is_gone_is_made_anew(api):
    await api.have(car(1))
    reply = await query(api, "/ngsi-ld/v1/entityMaps/urn:ngsi-ld:EntityMap:gone")
    assert (reply.status_code, names(reply.json())) == (201, ["1"])
    assert "gone" not in reply.headers["ngsild-entitymap"]
    one = await api.get("/entities/urn:ngsi-ld:Car:1", params={"entityMap": "true"})
    assert one.status_code == 200
    assert list((await mapped(api, one.headers["ngsild-entitymap"]))["entityMap"]) == ["urn:ngsi-ld:Car:1"]


async def test_a_map_is_made_on_its_own_by_get_and_by_post(api, problem):
    await api.have(car(1, 30), car(2, 90))
    made = await api.get("/entityMaps", params={"type": "Car", "q": "speed>50"})
    assert made.status_code == 201
    assert list(made.json()["entityMap"]) == ["urn:ngsi-ld:Car:2"]
    assert made.headers["ngsild-entitymap"].endswith(made.json()["id"])
    body = {"type": "Query", "entities": [{"type": "Car"}], "entityMapLifetime": "PT1M"}
    made = await api.post("/entityMaps", json=body)
    assert len(made.json()["entityMap"]) == 2
    assert parse_instant(made.json()["expiresAt"], where="") < datetime.now(UTC) + timedelta(minutes=2)
    problem(await api.get("/entityMaps", params={"id": "urn:x:1"}), 400, "BadRequestData")
    problem(
        await api.get("/entityMaps", params={"type": "Car", "entityMapLifetime": "1hour"}),
        400,
        "BadRequestData",
        "entityMapLifetime",
    )


async def test_a_map_of_entities_over_time(api, problem):
    await api.have(car(1))
    await api.broker.caught_up()
    times = {"timerel": "before", "timeproperty": "createdAt"}
    for at, listed in (("2999-01-01T00:00:00Z", ["urn:ngsi-ld:Car:1"]), ("2000-01-01T00:00:00Z", [])):
        made = await api.get("/temporal/entityMaps", params={"type": "Car", "timeAt": at, **times})
        assert (made.status_code, list(made.json()["entityMap"])) == (201, listed)
    problem(await api.get("/temporal/entityMaps", params={"type": "Car"}), 400, "BadRequestData", "timerel")


async def test_a_map_of_entities_over_time_is_none_of_entities_now(api):
    await api.have(car(1), car(2))
    times = {"timerel": "before", "timeproperty": "createdAt", "timeAt": "2999-01-01T00:00:00Z"}
    made = await api.get("/temporal/entityMaps", params={"type": "Car", "id": car(1)["id"], **times})
    assert list(made.json()["entityMap"]) == [car(1)["id"]]
    reply = await query(api, made.headers["ngsild-entitymap"])
    assert (reply.status_code, names(reply.json())) == (201, ["1", "2"])


async def test_a_map_of_entities_over_time_lists_nothing_that_its_maker_may_not_see(api):
    await api.have({"id": "urn:ngsi-ld:Camera:1", "type": "Camera", "speed": 1}, car(1))
    times = {"timerel": "before", "timeproperty": "createdAt", "timeAt": "2999-01-01T00:00:00Z"}
    visitor = {"x-test-actor": "anonymous"}
    made = await api.get("/temporal/entityMaps", params={"attrs": "speed", **times}, headers=visitor)
    assert made.status_code == 201, made.text
    # Who may see more finds no more in it.
    assert list((await mapped(api, made.headers["ngsild-entitymap"]))["entityMap"]) == [car(1)["id"]]


async def test_what_no_longer_matches_leaves_its_map_for_good(api):
    await api.have(car(1), car(2))
    location = (await query(api, q="speed>40", entityMap="true")).headers["ngsild-entitymap"]
    for speed in (10, 50):
        await api.patch("/entities/urn:ngsi-ld:Car:1", json={"speed": {"value": speed}})
        assert names((await query(api, location, q="speed>40")).json()) == ["2"]
    assert list((await mapped(api, location))["entityMap"]) == [car(2)["id"]]


async def test_a_maps_time_is_bounded_and_can_be_ended(api, problem):
    await api.have(car(1))
    made = await api.get("/entityMaps", params={"type": "Car", "entityMapLifetime": "P3650D"})
    longest = datetime.now(UTC) + LONGEST_LIFETIME
    assert parse_instant(made.json()["expiresAt"], where="") <= longest
    path = f"/entityMaps/{made.json()['id']}"
    change = {"expiresAt": "2099-01-01T00:00:00Z", "entityMap": {"urn:x:injected": ["@none"]}}
    assert (await api.patch(path, json=change)).status_code == 204
    told = (await api.get(path)).json()
    assert list(told["entityMap"]) == ["urn:ngsi-ld:Car:1"] and told["expiresAt"] < "2099"
    problem(await api.patch(path, json={"expiresAt": "tomorrow"}), 400, "BadRequestData", "expiresAt")
    assert (await api.patch(path, json={"expiresAt": "2000-01-01T00:00:00Z"})).status_code == 204
    problem(await api.get(path), 404, "ResourceNotFound")


async def test_maps_are_deleted_and_named_by_uris(api, problem):
    await api.have(car(1))
    path = f"/entityMaps/{(await api.get('/entityMaps', params={'type': 'Car'})).json()['id']}"
    assert (await api.delete(path)).status_code == 204
    for method in ("GET", "DELETE"):
        problem(await api.request(method, path), 404, "ResourceNotFound")
        problem(await api.request(method, "/entityMaps/no%20uri"), 400, "BadRequestData", "entityMapId")


async def test_a_tenants_maps_are_its_own(api, problem):
    await api.have(car(1))
    await api.post("/entities", json=car(1), headers={"ngsild-tenant": "other"})
    path = f"/entityMaps/{(await api.get('/entityMaps', params={'type': 'Car'})).json()['id']}"
    for method in ("GET", "DELETE"):
        reply = await api.request(method, path, headers={"ngsild-tenant": "other"})
        problem(reply, 404, "ResourceNotFound")


async def test_nobody_learns_from_a_map_what_they_may_not_see(api):
    await api.have({"id": "urn:ngsi-ld:Camera:1", "type": "Camera", "speed": 1}, car(1))
    made = await api.get("/entities", params={"q": "speed>0", "entityMap": "true"})
    location = made.headers["ngsild-entitymap"]
    assert "Camera" in (await api.get(f"/entityMaps/{location.rpartition('/')[2]}")).text
    visitor = {"x-test-actor": "anonymous"}
    assert list((await mapped(api, location, **visitor))["entityMap"]) == ["urn:ngsi-ld:Car:1"]
    page = await api.get(
        "/entities", params={"q": "speed>0"}, headers={"ngsild-entitymap": location, **visitor}
    )
    assert names(page.json()) == ["1"]
    # Nor by its pages, nor by their number.
    for limit in ("0", "1"):
        page = await api.get(
            "/entities",
            params={"q": "speed>0", "count": "true", "limit": limit},
            headers={"ngsild-entitymap": location, **visitor},
        )
        assert page.headers["ngsild-results-count"] == "1"
        assert 'rel="next"' not in page.headers.get("link", "")
    # Who may see less has taken nothing out of it.
    assert len((await mapped(api, location))["entityMap"]) == 2


async def test_a_purge_keeps_to_its_map(api, problem):
    await api.have(car(1))
    made = await query(api, entityMap="true")
    await api.have(car(2))
    headers = {"ngsild-entitymap": made.headers["ngsild-entitymap"]}
    assert (await api.delete("/entities", params={"type": "Car"}, headers=headers)).status_code == 204
    assert names((await query(api)).json()) == ["2"]
    gone = {"ngsild-entitymap": "/ngsi-ld/v1/entityMaps/urn:ngsi-ld:EntityMap:gone"}
    problem(await api.delete("/entities", params={"type": "Car"}, headers=gone), 404, "ResourceNotFound")
    assert names((await query(api)).json()) == ["2"]


@pytest.mark.parametrize("quotas", [Quotas(entity_maps=OfEntityMaps(each=2))])
async def test_the_oldest_maps_of_the_same_owner_make_room(api, problem, quotas):
    await api.have(car(1), car(2))
    asked = {"params": {"type": "Car"}}
    other = (await api.get("/entityMaps", **asked, headers={"x-test-actor": "north"})).json()["id"]
    ids = [(await api.get("/entityMaps", **asked)).json()["id"] for _ in range(3)]
    problem(await api.get(f"/entityMaps/{ids[0]}"), 404, "ResourceNotFound")
    for kept in (other, *ids[1:]):
        assert (await api.get(f"/entityMaps/{kept}")).status_code == 200


@pytest.mark.parametrize("quotas", [Quotas(entity_maps=OfEntityMaps(each_bytes=400))])
async def test_the_maps_of_an_owner_have_so_many_bytes(api, problem, quotas):
    await api.have(car(1), car(2))
    ids = [(await api.get("/entityMaps", params={"type": "Car"})).json()["id"] for _ in range(3)]
    problem(await api.get(f"/entityMaps/{ids[0]}"), 404, "ResourceNotFound")
    assert (await api.get(f"/entityMaps/{ids[2]}")).status_code == 200


AFTER = {"timerel": "after", "timeAt": "2000-01-01T00:00:00Z", "timeproperty": "createdAt"}


async def test_a_query_over_time_goes_on_among_the_entities_of_its_map(api):
    past = {"id": "urn:ngsi-ld:Car:2", "type": "Car", "speed": {"type": "Property", "value": 5}}
    await api.have(car(0), car(1))
    assert (await api.post("/temporal/entities", json=past)).status_code == 201
    asked = {"type": "Car", **AFTER}
    first = await api.get("/temporal/entities", params={**asked, "entityMap": "true", "limit": "2"})
    assert (first.status_code, names(first.json())) == (201, ["0", "1"])
    location = first.headers["ngsild-entitymap"]
    await api.have(car(3))
    await api.delete("/temporal/entities/urn:ngsi-ld:Car:1")
    headers = {"ngsild-entitymap": location}
    for rest in (
        await api.get("/temporal/entities", params=asked, headers=headers),
        await api.post(
            "/temporal/entityOperations/query",
            json={"type": "Query", "entities": [{"type": "Car"}], "temporalQ": AFTER},
            headers=headers,
        ),
    ):
        assert (rest.status_code, names(rest.json())) == (200, ["0", "2"])
        assert rest.headers["ngsild-entitymap"] == location
    # Also what the past alone has is listed, and what is gone from it is not.
    assert list((await mapped(api, location))["entityMap"]) == ["urn:ngsi-ld:Car:0", "urn:ngsi-ld:Car:2"]


async def test_a_map_over_time_is_made_anew_where_the_one_named_does_not_fit(api):
    await api.have(car(1))
    present = (await query(api, entityMap="true")).headers["ngsild-entitymap"]
    for named in (present, "/ngsi-ld/v1/entityMaps/urn:ngsi-ld:EntityMap:gone"):
        reply = await api.get(
            "/temporal/entities", params={"type": "Car", **AFTER}, headers={"ngsild-entitymap": named}
        )
        assert (reply.status_code, names(reply.json())) == (201, ["1"])
        assert reply.headers["ngsild-entitymap"] != named
    one = await api.get("/temporal/entities/urn:ngsi-ld:Car:1", params={"entityMap": "true", **AFTER})
    assert one.status_code == 200
    assert list((await mapped(api, one.headers["ngsild-entitymap"]))["entityMap"]) == ["urn:ngsi-ld:Car:1"]


async def test_a_map_over_time_is_made_by_post(api, problem):
    await api.have(car(1, 30), car(2, 90))
    await api.broker.caught_up()
    body = {"type": "Query", "entities": [{"type": "Car"}], "q": "speed>50"}
    problem(await api.post("/temporal/entityMaps", json=body), 400, "BadRequestData", "timerel")
    made = await api.post("/temporal/entityMaps", json={**body, "temporalQ": AFTER})
    assert (made.status_code, list(made.json()["entityMap"])) == (201, ["urn:ngsi-ld:Car:2"])
    assert made.headers["ngsild-entitymap"].endswith(made.json()["id"])


@pytest.mark.parametrize("has_sources", [False, True])
async def test_nobody_learns_from_a_map_over_time_what_they_may_not_see(api, has_sources):
    if has_sources:
        source = {
            "id": "urn:x:source",
            "type": "ContextSourceRegistration",
            "endpoint": "http://127.0.0.1:9",
            "information": [{"entities": [{"type": "Boat"}]}],
            "operations": ["createEntity"],
        }
        assert (await api.post("/csourceRegistrations", json=source)).status_code == 201
    await api.have({"id": "urn:ngsi-ld:Camera:1", "type": "Camera", "speed": 1}, car(1))
    asked = {"attrs": "speed", **AFTER}
    made = await api.get("/temporal/entities", params={**asked, "entityMap": "true"})
    location = made.headers["ngsild-entitymap"]
    assert len((await mapped(api, location))["entityMap"]) == 2
    visitor = {"x-test-actor": "anonymous"}
    assert list((await mapped(api, location, **visitor))["entityMap"]) == ["urn:ngsi-ld:Car:1"]
    page = await api.get(
        "/temporal/entities", params=asked, headers={"ngsild-entitymap": location, **visitor}
    )
    assert names(page.json()) == ["1"]
    # Nor by its pages, nor by their number.
    for limit in ("0", "1"):
        page = await api.get(
            "/temporal/entities",
            params={**asked, "count": "true", "limit": limit},
            headers={"ngsild-entitymap": location, **visitor},
        )
        assert page.headers["ngsild-results-count"] == "1"
        assert 'rel="next"' not in page.headers.get("link", "")
    # Who may see less has taken nothing out of it.
    assert len((await mapped(api, location))["entityMap"]) == 2
