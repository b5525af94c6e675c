"""OGC API - Features: what a GIS finds, page by page, filtered, and only what is for its user."""

from __future__ import annotations

import re

import pytest

from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import DEFAULT_TENANT
from cityloom.ngsild.model import entity, geo, json_value, point, prop, rel, text
from cityloom.web.ogc.routes import CONFORMS_TO, RESOURCES

STATION = "urn:ngsi-ld:Station:{}"
AT = "2026-04-{:02d}T10:00:00Z"


def station(number: int, **more):
    attributes = {
        "location": point(10 + number / 100, 56.0),
        "temperature": {**prop(number / 2, unit="CEL"), "observedAt": AT.format(number + 1)},
        "name": prop(f"Station {number}"),
        **more,
    }
    return entity("Station", STATION.format(number), attributes)


@pytest.fixture
async def stations(city):
    await city.write(*[station(number) for number in range(25)])
    return city


async def items(reader, query: str = "", collection: str = "Station"):
    answer = await reader.get(f"/ogc/collections/{collection}/items{query}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/geo+json"
    return answer.json()


def numbers(page) -> list[int]:
    return [int(one["id"].rsplit(":")[-1]) for one in page["features"]]


async def test_the_landing_page_leads_to_all_that_there_is(stations, visitor):
    page = (await visitor.get("/ogc")).json()
    assert page == (await visitor.get("/ogc/")).json()
    found = {link["rel"]: link["href"] for link in page["links"]}
    assert {"self", "service-desc", "conformance", "data"} <= found.keys()
    for relation in ("self", "service-desc", "conformance", "data", "service-doc", "alternate"):
        assert (await visitor.get(found[relation])).status_code == 200
    assert tuple((await visitor.data("/ogc/conformance"))["conformsTo"]) == CONFORMS_TO
    described = await visitor.data("/ogc/api")
    assert described["openapi"].startswith("3.0.")
    assert list(described["paths"]) == [one.path for one in RESOURCES]


async def test_a_type_is_a_collection_with_its_extent(stations, visitor):
    found = (await visitor.data("/ogc/collections"))["collections"]
    (one,) = [each for each in found if each["id"] == "Station"]
    assert one == await visitor.data("/ogc/collections/Station")
    assert one["extent"]["spatial"]["bbox"] == [[10.0, 56.0, 10.24, 56.0]]
    for link in one["links"]:
        assert (await visitor.get(link["href"])).status_code == 200, link


async def test_the_schema_tells_types_units_and_roles(stations, visitor):
    schema = (await visitor.data("/ogc/collections/Station/schema"))["properties"]
    assert schema["temperature"] == {"title": "temperature", "type": "number", "x-ogc-unit": "°C"}
    assert schema["temperature_unit"]["type"] == "string"
    assert schema["geometry"] == {"format": "geometry-point", "x-ogc-role": "primary-geometry"}
    assert schema["observedAt"]["x-ogc-role"] == "primary-instant"
    queryables = (await visitor.data("/ogc/collections/Station/queryables"))["properties"]
    assert schema.keys() - queryables.keys() == {"temperature_unit"}


async def test_a_feature_is_flat_and_tells_units_and_time(city, reader_of):
    odd = station(
        3,
        address=prop({"streetAddress": "Main 1", "geo": {"x": 1}}),
        says=text(en="Frost", da="Rimfrost"),
        refDevice=rel("urn:x:device"),
        tags=prop(["a", "b"]),
        deep=prop([{"a": 1}]),
        because=json_value([{"about": "x"}]),
        area=geo({"type": "Point", "coordinates": [1, 1]}),
    )
    forecast = prop(9, unit="CEL", dataset="urn:ngsi-ld:Dataset:forecast:PT1H")
    odd["attrs"]["temperature"].append({**forecast, "observedAt": "2027-01-01T00:00:00Z"})
    await city.write(odd)
    reader = await reader_of("citizen", language="da")
    address = "/ogc/collections/Station/items/" + STATION.format(3)
    answer = await reader.get(address)
    found = answer.json()
    (modified,) = [found["properties"].pop("modifiedAt")]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", modified)
    assert found["properties"] == {
        "temperature": 1.5,
        "temperature_unit": "°C",
        "name": "Station 3",
        "address.streetAddress": "Main 1",
        "says": "Rimfrost",
        "refDevice": "urn:x:device",
        "tags": ["a", "b"],
        "observedAt": AT.format(4),
    }
    assert found["geometry"] == {"type": "Point", "coordinates": [10.03, 56.0]}
    assert answer.headers["content-crs"] == "<http://www.opengis.net/def/crs/OGC/1.3/CRS84>"
    assert "last-modified" in answer.headers


async def test_links_lead_through_all_pages_and_back(stations, visitor):
    page = await items(visitor, "?limit=10")
    assert (page["numberMatched"], page["numberReturned"]) == (25, 10)
    seen = numbers(page)
    while True:
        links = {link["rel"]: link["href"] for link in page["links"]}
        if "next" not in links:
            break
        page = (await visitor.get(links["next"])).json()
        seen += numbers(page)
    assert seen == list(range(25))
    assert numbers((await visitor.get(links["prev"])).json()) == list(range(10, 20))
    assert numbers(await items(visitor, "?offset=24&limit=1000000")) == [24]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("bbox=10.02,55,10.04,57", [2, 3, 4]),
        ("bbox=10.02,55,0,10.04,57,100", [2, 3, 4]),
        ("bbox=10.03,56,10.03,56", [3]),
        ("bbox=170,55,10.015,57", [0, 1]),
        ("bbox=1,1,2,2", []),
        ("datetime=2026-04-03T10:00:00Z", [2]),
        ("datetime=2026-04-03", [2]),
        ("datetime=2026-04-03T00:00:00Z/2026-04-05T00:00:00%2B00:00", [2, 3]),
        ("datetime=../2026-04-02", [0, 1]),
        ("datetime=2026-04-24T11:00:00Z/", [24]),
        ("datetime=../..&limit=1", [0]),
        ("temperature=1.5", [3]),
        ("name=Station 7", [7]),
        ("id=" + STATION.format(5), [5]),
        ("name=Station 7&bbox=1,1,2,2", []),
        ("filter=temperature > 11", [23, 24]),
        ("filter=temperature > 11&filter-lang=cql2-text&bbox=10.23,55,10.23,57", [23]),
        ("filter=id IN ('" + STATION.format(2) + "','urn:x:none') AND temperature > 0", [2]),
        ("filter=S_INTERSECTS(location,BBOX(10,55,10.01,57)) OR name = 'Station 9'", [0, 1, 9]),
        ("filter=observedAt > TIMESTAMP('2026-04-24T00:00:00Z')", [23, 24]),
        ("filter=height IS NULL AND temperature < 0.5", [0]),
    ],
)
async def test_items_finds_what_is_asked_for(stations, visitor, query, found):
    page = await items(visitor, f"?{query}")
    assert numbers(page) == found
    assert page["numberReturned"] == len(found)


async def test_what_was_never_observed_is_in_any_interval(stations, visitor):
    await stations.write(entity("Station", STATION.format(99), {"name": prop("New")}))
    page = await items(visitor, "?datetime=2026-04-01")
    assert numbers(page) == [0, 99]
    assert page["features"][1]["geometry"] is None


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("bbox=1,2,3", "bbox"),
        ("bbox=a,b,c,d", "bbox"),
        ("bbox=nan,1,2,3", "bbox"),
        ("bbox=1,99,2,100", "bbox"),
        ("datetime=yesterday", "datetime"),
        ("datetime=2026-04-02T00:00:00Z/2026-04-01T00:00:00Z", "datetime"),
        ("limit=0", "limit"),
        ("limit=many", "limit"),
        ("offset=-1", "offset"),
        ("filter=temperature >", "filter"),
        ("filter-lang=cql2-json&filter=x", "filter-lang"),
        ("crs=http://www.opengis.net/def/crs/EPSG/0/25832", "crs"),
        ("nonsense=1", "nonsense"),
        ("f=xml", "f"),
        ("limit=1&limit=2", "limit"),
    ],
)
async def test_items_names_the_parameter_at_fault(stations, visitor, query, where):
    answer = await visitor.get(f"/ogc/collections/Station/items?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["where"] == where


@pytest.mark.parametrize(
    "path",
    [
        "nothing",
        "collections/Nothing",
        "collections/Nothing/items",
        "collections/Nothing/queryables",
        "collections/Station/items/urn:ngsi-ld:Station:none",
        "collections/Station/items/urn:ngsi-ld:Other:1",
        "collections/Station/items/1/2",
    ],
)
async def test_what_is_not_there_is_404(stations, visitor, path):
    await stations.write(entity("Other", "urn:ngsi-ld:Other:1", {}))
    assert (await visitor.get(f"/ogc/{path}")).status_code == 404


async def test_a_browser_is_sent_to_the_city_s_own_page(stations, visitor):
    wants = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    pages = {
        "/ogc": "/open-data",
        "/ogc/collections/Station/items": "/entities?type=Station",
        "/ogc/collections/Station/items/" + STATION.format(1): "/entities/" + STATION.format(1),
    }
    for path, page in pages.items():
        answer = await visitor.get(path, **wants)
        assert (answer.status_code, answer.headers["location"]) == (303, page)
        assert (await visitor.get(page)).status_code == 200
        assert (await visitor.get(f"{path}?f=json", **wants)).status_code == 200
    assert (await visitor.get("/ogc/collections", accept="image/png")).status_code == 406


async def test_nobody_learns_of_what_is_not_for_them(stations, visitor, reader_of):
    secret = station(77, **{"secretCode": prop(7)})
    secret["attrs"]["location"] = [point(99.0, 9.0)]
    await stations.write(secret, secrecy=InformationClass.SECURITY)
    await stations.write(entity("Vault", "urn:x:vault", {}), secrecy=InformationClass.SECURITY)
    page = await items(visitor)
    assert (page["numberMatched"], 77 in numbers(page)) == (25, False)
    assert (await visitor.get("/ogc/collections/Station/items/" + STATION.format(77))).status_code == 404
    assert (await visitor.get("/ogc/collections/Vault")).status_code == 404
    for path in ("", "/Station", "/Station/queryables", "/Station/schema"):
        told = (await visitor.get(f"/ogc/collections{path}")).text
        assert "99.0" not in told and "secretCode" not in told and "Vault" not in told
    assert (await items(visitor, "?filter=secretCode = 7"))["numberMatched"] == 0
    guard = await reader_of("security_operator")
    assert numbers(await items(guard, "?secretCode=7")) == [77]
    assert (await guard.data("/ogc/collections/Station"))["extent"]["spatial"]["bbox"][0][2] == 99.0
    assert (await guard.get("/ogc/collections/Vault")).status_code == 200
    # What one asker was told is not what the next is told.
    assert (await visitor.data("/ogc/collections/Station"))["extent"]["spatial"]["bbox"][0][2] == 10.24


async def test_tenants_are_apart(stations, visitor):
    from cityloom.kernel.actor import CITY

    await stations.broker.create(CITY, entity("Dock", "urn:x:dock", {}), tenant="harbour")
    assert (await visitor.get("/ogc/collections/Dock")).status_code == 404
    assert (await visitor.get("/ogc/collections/Dock", **{"ngsild-tenant": "harbour"})).status_code == 200
    assert (await visitor.get("/ogc/collections/Station", **{"ngsild-tenant": "harbour"})).status_code == 404
    assert (await visitor.get("/ogc", **{"ngsild-tenant": "nowhere"})).status_code == 404
    assert DEFAULT_TENANT == ""


async def test_other_sites_pages_may_read_what_is_open_but_not_under_open_access(
    stations, visitor, small_city_class, reader_class
):
    asked = {"origin": "https://map.example", "access-control-request-method": "GET"}
    for method in ("GET", "HEAD", "OPTIONS"):
        answer = await visitor.client.request(method, "/ogc/collections", headers=asked)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
        assert bool(answer.content) is (method == "GET")
    assert "access-control-allow-origin" not in (await visitor.get("/ngsi-ld/v1/types", **asked)).headers
    trial = await small_city_class(frameworks=(), open_access=True).start()
    try:
        answer = await reader_class(trial).client.get("http://localhost/ogc/collections", headers=asked)
        assert answer.status_code == 200
        assert "access-control-allow-origin" not in answer.headers
    finally:
        await trial.stop()


async def test_nothing_is_written_here(stations, visitor):
    answer = await visitor.client.post("/ogc/collections/Station/items", json={})
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]


async def test_the_page_of_open_data_leads_here(stations, visitor):
    page = await visitor.text("/open-data")
    for address in re.findall(r'<a href="([^"]+)"><code>/', page):
        assert (await visitor.get(address, accept="text/html")).status_code == 200
    assert page.count("<code>/ogc</code>") == page.count("<code>/sta/v1.1</code>") == 1
