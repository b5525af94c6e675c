"""Reading over HTTP (ETSI GS CIM 009, 6.3.4 to 6.3.15, 6.4.3.2, 6.5.3.1, 6.23)."""

import pytest

CORE = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.9.jsonld"
CONTEXT_LINK = '<{}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'


def road(number, **members):
    return {
        "id": f"urn:ngsi-ld:Road:{number}",
        "type": "Road",
        "speed": {"type": "Property", "value": number * 10, "unitCode": "KMH"},
        "location": {
            "type": "GeoProperty",
            "value": {"type": "Point", "coordinates": [10 + number / 100, 56]},
        },
        **members,
    }


ROADS = [road(number) for number in range(1, 6)]
OTHER = {"id": "urn:ngsi-ld:Park:1", "type": ["Park", "Place"], "scope": "/Aarhus/South", "name": "Green"}


async def ids(api, **parameters):
    reply = await api.get("/entities", params=parameters)
    assert reply.status_code == 200, reply.text
    return [entity["id"].rsplit(":", 1)[1] for entity in reply.json()]


async def test_retrieve_gives_every_format(api):
    await api.have(ROADS[0])
    identifier = ROADS[0]["id"]
    assert await api.entity(identifier) == ROADS[0]
    for parameters in ({"options": "keyValues"}, {"format": "simplified"}, {"format": "keyValues"}):
        assert (await api.entity(identifier, **parameters))["speed"] == 10
    assert (await api.entity(identifier, format="concise"))["speed"] == {"value": 10, "unitCode": "KMH"}
    assert await api.entity(identifier, options="concise", format="normalized") == ROADS[0]


async def test_retrieve_picks_omits_and_filters(api, problem):
    await api.have({**ROADS[0], "name": {"languageMap": {"en": "Road", "da": "Vej"}}})
    identifier = ROADS[0]["id"]
    assert set(await api.entity(identifier, pick="id,speed")) == {"id", "speed"}
    assert set(await api.entity(identifier, pick="id|name")) == {"id", "name"}
    assert set(await api.entity(identifier, omit="id,speed,location")) == {"type", "name"}
    assert set(await api.entity(identifier, attrs="speed,absent")) == {"id", "type", "speed"}
    for parameters in ({"pick": "absent"}, {"omit": "id,type,speed,location,name"}):
        problem(await api.get(f"/entities/{identifier}", params=parameters), 404, "ResourceNotFound", "pick")
    assert (await api.entity(identifier, lang="da", format="simplified"))["name"] == "Vej"
    assert "speed" not in await api.entity(identifier, datasetId="urn:d:1")
    problem(
        await api.get(f"/entities/{identifier}", params={"attrs": "absent"}), 404, "ResourceNotFound", "attrs"
    )
    problem(
        await api.get(f"/entities/{identifier}", params={"type": "Park"}), 404, "ResourceNotFound", "type"
    )


async def test_query_by_type_id_q_scope_and_place(api):
    await api.have(*ROADS, OTHER)
    assert await ids(api, type="Road") == ["1", "2", "3", "4", "5"]
    assert await ids(api, type="(Park;Place)") == ["1"]
    assert await ids(api, id="urn:ngsi-ld:Road:2,urn:ngsi-ld:Road:9,urn:ngsi-ld:Park:1", local="true") == [
        "2",
        "1",
    ]
    assert await ids(api, idPattern="Road:[45]$", type="*") == ["4", "5"]
    assert await ids(api, type="Road", q="speed>20;speed<50") == ["3", "4"]
    assert await ids(api, q='name=="Green"') == ["1"]
    assert await ids(api, attrs="name") == ["1"]
    assert await ids(api, scopeQ="/Aarhus/+", type="Park") == ["1"]
    assert await ids(api, local="true") == ["1", "2", "3", "4", "5", "1"]
    assert await ids(api, type="*") == ["1", "2", "3", "4", "5", "1"]
    near = {"georel": "near;maxDistance==1000", "geometry": "Point", "coordinates": "[10.02,56]"}
    assert await ids(api, **near) == ["1", "2", "3"]
    assert await ids(api, type="Road", orderBy="speed;desc", limit="2") == ["5", "4"]
    assert await ids(api, local="true", pick="name,id") == ["1", "2", "3", "4", "5", "1"]
    reply = await api.get("/entities", params={"local": "true", "pick": "name"})
    assert reply.json() == [{"name": {"type": "Property", "value": "Green"}}]


async def test_query_scope_takes_a_plus_that_was_not_encoded(api):
    await api.have(OTHER)
    reply = await api.get("/entities?type=Park&scopeQ=/Aarhus/+")
    assert [entity["id"] for entity in reply.json()] == [OTHER["id"]]


async def test_query_pages_link_to_each_other(api):
    await api.have(*ROADS)
    reply = await api.get("/entities", params={"type": "Road", "limit": "2"})
    assert (
        '</ngsi-ld/v1/entities?limit=2&offset=2&type=Road>; rel="next"; type="application/json"'
        in reply.headers["link"]
    )
    assert 'rel="prev"' not in reply.headers["link"]
    seen = []
    url = "/entities?type=Road&limit=2&q=speed%3E0"
    while url:
        reply = await api.get(url)
        seen += [entity["id"] for entity in reply.json()]
        url = reply.links["next"]["url"].removeprefix("/ngsi-ld/v1") if "next" in reply.links else None
    assert seen == [one["id"] for one in ROADS]
    assert "offset=2" in reply.links["prev"]["url"]


async def test_query_counts_on_demand(api, problem):
    await api.have(*ROADS)
    reply = await api.get("/entities", params={"type": "Road", "limit": "2", "count": "true"})
    assert reply.headers["ngsild-results-count"] == "5"
    assert len(reply.json()) == 2
    reply = await api.get("/entities", params={"type": "Road", "limit": "0", "count": "true"})
    assert (reply.json(), reply.headers["ngsild-results-count"]) == ([], "5")
    reply = await api.get("/entities", params={"type": "Road"})
    assert "ngsild-results-count" not in reply.headers
    problem(await api.get("/entities", params={"type": "Road", "limit": "0"}), 400, "BadRequestData", "limit")
    problem(
        await api.get("/entities", params={"type": "Road", "limit": "1001"}), 403, "TooManyResults", "limit"
    )


async def test_query_by_post_asks_the_same(api):
    await api.have(*ROADS, OTHER)

    async def post(**query):
        reply = await api.post("/entityOperations/query", json={"type": "Query", **query})
        assert reply.status_code == 200, reply.text
        return [entity["id"].rsplit(":", 1)[1] for entity in reply.json()]

    assert await post(entities=[{"type": "Road"}], q="speed>30") == ["4", "5"]
    assert await post(entities=[{"type": "Road", "id": "urn:ngsi-ld:Road:2"}, {"type": "Park"}]) == ["2", "1"]
    assert await post(entities=[{"type": "*", "id": ["urn:ngsi-ld:Road:2", "urn:ngsi-ld:Road:3"]}]) == [
        "2",
        "3",
    ]
    assert await post(entities=[{"type": "Road", "idPattern": "[15]$"}]) == ["1", "5"]
    geo = {"georel": "near;maxDistance==1000", "geometry": "Point", "coordinates": [10.02, 56]}
    assert await post(geoQ=geo) == ["1", "2", "3"]
    assert await post(attrs=["name"]) == ["1"]
    assert await post(entities=[{"type": "Road"}], ordering={"orderBy": ["speed;desc"]}) == [
        "5",
        "4",
        "3",
        "2",
        "1",
    ]
    reply = await api.post(
        "/entityOperations/query",
        params={"limit": "1", "count": "true", "options": "keyValues"},
        json={"type": "Query", "entities": [{"type": "Road"}], "pick": ["id", "speed"]},
    )
    assert reply.json() == [{"id": "urn:ngsi-ld:Road:1", "speed": 10}]
    assert reply.headers["ngsild-results-count"] == "5"
    assert "/ngsi-ld/v1/entityOperations/query?count=true&limit=1&offset=1" in reply.headers["link"]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ([], None),
        ({}, "type"),
        ({"type": "Subscription"}, "type"),
        ({"type": "Query"}, None),
        ({"type": "Query", "entities": []}, "entities"),
        ({"type": "Query", "entities": [{"id": "urn:x:1"}]}, "entities[0]"),
        ({"type": "Query", "entities": [{"type": "Road", "colour": 1}]}, "entities[0]"),
        ({"type": "Query", "entities": [{"type": "Road", "id": "no uri"}]}, "entities.id"),
        ({"type": "Query", "q": 5}, "q"),
        ({"type": "Query", "attrs": []}, "attrs"),
        ({"type": "Query", "attrs": ["a", 5]}, "attrs[1]"),
        ({"type": "Query", "geoQ": "near"}, "geoQ"),
        ({"type": "Query", "geoQ": {"georel": "within"}}, "geometry"),
        ({"type": "Query", "geoQ": {"georel": "within", "radius": 5}}, "geoQ"),
        ({"type": "Query", "colour": 1}, "colour"),
        ({"type": "Query", "ordering": {"orderBy": "speed"}}, "ordering.orderBy"),
        ({"type": "Query", "ordering": {"orderBy": ["speed"], "geometry": 5}}, "ordering.geometry"),
        ({"type": "Query", "ordering": {"orderBy": ["speed"], "colour": "da"}}, "ordering"),
        ({"type": "Query", "joinLevel": "2"}, "joinLevel"),
        ({"type": "Query", "splitEntities": "no"}, "splitEntities"),
    ],
)
async def test_query_by_post_names_the_member_at_fault(api, problem, body, where):
    problem(await api.post("/entityOperations/query", json=body), 400, "BadRequestData", where)


@pytest.mark.parametrize(
    ("query", "name", "where"),
    [
        ("", "BadRequestData", None),
        ("colour=red", "InvalidRequest", "colour"),
        ("attrs=createdAt", "BadRequestData", None),
        ("q=createdAt%3E2020-01-01T00:00:00Z", "BadRequestData", None),
        ("type=Road&csf=a%3D%3D", "BadRequestData", "csf"),
        ("type=Road&pick=a&omit=a", "BadRequestData", "omit"),
        ("type=Road&pick=a&attrs=a", "BadRequestData", "attrs"),
        ("type=Road&type=Park", "InvalidRequest", "type"),
        ("type=", "BadRequestData", "type"),
        ("type=A;", "BadRequestData", "type"),
        ("type=%3Cb%3E", "BadRequestData", "type"),
        ("type=Road&limit=-1", "BadRequestData", "limit"),
        ("type=Road&limit=ten", "BadRequestData", "limit"),
        ("type=Road&limit=9999999999999999", "BadRequestData", "limit"),
        ("type=Road&offset=-1", "BadRequestData", "offset"),
        ("type=Road&count=yes", "BadRequestData", "count"),
        ("type=Road&q=speed%3E", "BadRequestData", "q"),
        ("type=Road&q=speed~=%22(%3F%3Dx)%22", "BadRequestData", "q"),
        ("type=Road&q=a%7Bb%7D", "BadRequestData", "q"),
        ("type=Road&idPattern=(", "BadRequestData", "idPattern"),
        ("type=Road&id=no%20uri", "BadRequestData", "id"),
        ("type=Road&attrs=a,,b", "BadRequestData", "attrs"),
        ("type=Road&pick=a%7Bb%7D", "BadRequestData", "pick"),
        ("type=Road&options=keyvalues", "InvalidRequest", "options"),
        ("type=Road&options=concise,keyValues", "BadRequestData", "options"),
        ("type=Road&format=xml", "InvalidRequest", "format"),
        ("type=Road&lang=d%20a", "BadRequestData", "lang"),
        ("type=Road&datasetId=one", "BadRequestData", "datasetId"),
        ("type=Road&scopeQ=//", "BadRequestData", "scopeQ"),
        ("type=Road&geometryProperty=location", "BadRequestData", "geometryProperty"),
        ("type=*&local=false", "BadRequestData", "local"),
        ("georel=near", "BadRequestData", "geometry"),
        ("georel=near&geometry=Point&coordinates=%5B1,2%5D", "BadRequestData", "georel"),
        ("georel=within&geometry=Point&coordinates=%5B1,2", "InvalidRequest", "coordinates"),
        ("type=Road&orderBy=location;dist-asc", "BadRequestData", "orderBy"),
        ("type=Road&q=%FF", "InvalidRequest", None),
        ("&".join(f"a{n}=1" for n in range(70)), "InvalidRequest", None),
    ],
)
async def test_query_names_the_parameter_at_fault(api, problem, query, name, where):
    problem(await api.get(f"/entities?{query}"), 400, name, where)


async def test_query_refuses_what_costs_too_much(api, problem):
    terms = ";".join(["a"] * 300)
    problem(await api.get("/entities", params={"q": terms}), 403, "TooComplexQuery", "q")
    problem(
        await api.get("/entities", params={"type": "|".join(["A"] * 300)}), 403, "TooComplexQuery", "type"
    )


# Formats of answers


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("application/json", "application/json"),
        ("application/ld+json", "application/ld+json"),
        ("application/ld+json, application/json", "application/json"),
        ("application/json;q=0.5, application/ld+json", "application/ld+json"),
        ("text/html, application/ld+json;q=0.1", "application/ld+json"),
        ("application/geo+json", "application/geo+json"),
        ("*/*;q=0.1, application/geo+json", "application/geo+json"),
        ("application/json;q=0, */*", "application/ld+json"),
    ],
)
async def test_answers_come_in_the_format_wanted_most(api, accept, media):
    await api.have(ROADS[0])
    for path in (f"/entities/{ROADS[0]['id']}", "/entities?type=Road"):
        request = api.build_request("GET", path)
        del request.headers["accept"]
        if accept is not None:
            request.headers["accept"] = accept
        reply = await api.send(request)
        assert reply.headers["content-type"] == media
        assert ("link" in reply.headers) == (media == "application/json")
        shown = reply.json()
        first = shown[0] if isinstance(shown, list) else shown
        assert ("@context" in first) == (media != "application/json")


async def test_answers_that_cannot_be_had_say_what_can(api):
    await api.have(ROADS[0])
    reply = await api.get(f"/entities/{ROADS[0]['id']}", headers={"accept": "text/html"})
    assert reply.status_code == 406
    assert reply.json() == ["application/json", "application/ld+json", "application/geo+json"]
    reply = await api.get("/types", headers={"accept": "application/geo+json"})
    assert (reply.status_code, reply.json()) == (406, ["application/json", "application/ld+json"])


async def test_geojson_has_features(api):
    await api.have(*ROADS[:2], OTHER)
    geojson = {"accept": "application/geo+json"}
    reply = await api.get(f"/entities/{ROADS[0]['id']}", headers=geojson)
    feature = reply.json()
    assert feature["type"] == "Feature" and feature["@context"] == CORE
    assert feature["geometry"] == ROADS[0]["location"]["value"]
    assert feature["properties"]["speed"] == ROADS[0]["speed"]
    reply = await api.get("/entities", params={"local": "true", "options": "keyValues"}, headers=geojson)
    collection = reply.json()
    assert [one["geometry"] is None for one in collection["features"]] == [False, False, True]
    assert collection["features"][0]["properties"]["speed"] == 10
    reply = await api.get("/entities?type=Road", headers={**geojson, "prefer": "body=json"})
    assert "@context" not in reply.json()
    assert reply.headers["link"] == CONTEXT_LINK.format(CORE)
    reply = await api.get("/entities?type=Road&geometryProperty=absent", headers=geojson)
    assert reply.json()["features"][0]["geometry"] is None


# @contexts

TRAFFIC = "https://city.example/traffic.jsonld"


async def test_link_header_names_the_context_of_json(api):
    headers = {"link": CONTEXT_LINK.format(TRAFFIC)}
    reply = await api.post("/entities", json=ROADS[0], headers=headers)
    assert reply.status_code == 201
    path = f"/entities/{ROADS[0]['id']}"
    reply = await api.get(path, headers=headers)
    assert reply.json() == ROADS[0]
    assert reply.headers["link"] == CONTEXT_LINK.format(TRAFFIC)
    assert set((await api.get(path)).json()) == {"id", "type", "location", "https://traffic.example/speed"}
    assert len((await api.get("/entities?type=Road", headers=headers)).json()) == 1
    assert (await api.get("/entities?type=Road")).json() == []
    reply = await api.get(f"{path}?options=keyValues", headers={**headers, "accept": "application/ld+json"})
    assert reply.json()["@context"] == [TRAFFIC, CORE]  # the core is not in there
    assert (await api.patch(f"{path}/attrs/speed", json={"value": 1}, headers=headers)).status_code == 204
    assert (await api.patch(f"{path}/attrs/speed", json={"value": 1})).status_code == 404
    assert (await api.get(f"{path}?pick=speed", headers=headers)).json() == {
        "speed": {**ROADS[0]["speed"], "value": 1}
    }


async def test_json_ld_body_brings_its_context(api):
    body = {**ROADS[0], "@context": [{"speed": "https://a.example/speed"}, CORE]}
    reply = await api.post("/entities", json=body, headers={"content-type": "application/ld+json"})
    assert reply.status_code == 201
    assert "https://a.example/speed" in await api.entity(ROADS[0]["id"])
    assert "@context" not in await api.entity(ROADS[0]["id"])


async def test_context_of_a_body_is_kept_for_the_answer(api):
    await api.have(ROADS[0])
    body = {
        "type": "Query",
        "entities": [{"type": "Straße"}],
        "@context": {"Straße": "https://uri.etsi.org/ngsi-ld/default-context/Road"},
    }
    reply = await api.post(
        "/entityOperations/query", json=body, headers={"content-type": "application/ld+json"}
    )
    assert reply.json()[0]["type"] == "Straße"
    url = reply.links["http://www.w3.org/ns/json-ld#context"]["url"]
    assert (await api.get(url)).json() == {"@context": body["@context"]}
    assert url in (await api.get("/jsonldContexts", params={"kind": "ImplicitlyCreated"})).json()


@pytest.mark.parametrize(
    ("headers", "context", "status", "name"),
    [
        ({"content-type": "application/json"}, {"a": "https://a.example/"}, 400, "BadRequestData"),
        ({"content-type": "application/ld+json"}, None, 400, "BadRequestData"),
        (
            {"content-type": "application/ld+json", "link": CONTEXT_LINK.format(TRAFFIC)},
            {},
            400,
            "BadRequestData",
        ),
        ({"content-type": "application/ld+json"}, 5, 400, "BadRequestData"),
        (
            {"content-type": "application/ld+json"},
            {"a": {"@id": "https://a.example/", "@context": {}}},
            400,
            "BadRequestData",
        ),
        (
            {"content-type": "application/ld+json"},
            "https://elsewhere.example/x",
            504,
            "LdContextNotAvailable",
        ),
        (
            {"content-type": "application/ld+json"},
            "https://city.example/nothing.jsonld",
            400,
            "BadRequestData",
        ),
        (
            {"content-type": "application/json", "link": CONTEXT_LINK.format("https://elsewhere.example/x")},
            None,
            504,
            "LdContextNotAvailable",
        ),
        (
            {"content-type": "application/json", "link": ", ".join([CONTEXT_LINK.format(TRAFFIC)] * 2)},
            None,
            400,
            "BadRequestData",
        ),
    ],
)
async def test_contexts_are_not_mixed_or_missing(api, problem, headers, context, status, name):
    body = dict(ROADS[0]) if context is None else {**ROADS[0], "@context": context}
    problem(await api.post("/entities", json=body, headers=headers), status, name)
    assert (await api.get(f"/entities/{ROADS[0]['id']}")).status_code == 404


async def test_other_links_are_passed_over(api):
    headers = {"link": '<https://x.example/>; rel="profile", <y>; rel=next'}
    assert (await api.post("/entities", json=ROADS[0], headers=headers)).status_code == 201


# Tenants


async def test_tenants_are_apart(api, problem):
    tenant = {"ngsild-tenant": "harbour"}
    problem(await api.get("/entities?type=Road", headers=tenant), 404, "NonexistentTenant", "NGSILD-Tenant")
    reply = await api.post("/entities", json=ROADS[0], headers=tenant)
    assert (reply.status_code, reply.headers["ngsild-tenant"]) == (201, "harbour")
    assert (await api.get("/entities?type=Road")).json() == []
    reply = await api.get("/entities?type=Road", headers=tenant)
    assert len(reply.json()) == 1 and reply.headers["ngsild-tenant"] == "harbour"
    for path in ("/entities/urn:x:1/attrs", "/entityOperations/update"):
        reply = await api.post(path, json=[], headers={"ngsild-tenant": "nowhere"})
        problem(reply, 404, "NonexistentTenant")
    problem(await api.get("/types", headers={"ngsild-tenant": "a b"}), 400, "BadRequestData", "NGSILD-Tenant")


async def test_a_source_may_be_registered_in_a_tenant_before_there_are_entities(api, problem):
    """As IoT agents do: first they register what a device can be told, and then it measures (5.5.10)."""
    tenant = {"ngsild-tenant": "pumps"}
    source = {
        "type": "ContextSourceRegistration",
        "information": [{"entities": [{"type": "Pump"}], "propertyNames": ["start"]}],
        "endpoint": "https://agent.example/",
    }
    problem(await api.get("/csourceRegistrations?type=Pump", headers=tenant), 404, "NonexistentTenant")
    registered = await api.post("/csourceRegistrations", json=source, headers=tenant)
    assert registered.status_code == 201
    assert len((await api.get("/csourceRegistrations?type=Pump", headers=tenant)).json()) == 1
    assert (await api.get("/types", headers=tenant)).status_code == 200
    path = registered.headers["location"].removeprefix("/ngsi-ld/v1")
    assert (await api.delete(path, headers=tenant)).status_code == 204
    problem(await api.get("/types", headers=tenant), 404, "NonexistentTenant")


# Who asks


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/entities"),
        ("PUT", "/entities/urn:x:1"),
        ("PATCH", "/entities/urn:x:1"),
        ("DELETE", "/entities/urn:x:1"),
        ("POST", "/entities/urn:x:1/attrs"),
        ("PATCH", "/entities/urn:x:1/attrs"),
        ("PATCH", "/entities/urn:x:1/attrs/a"),
        ("PUT", "/entities/urn:x:1/attrs/a"),
        ("DELETE", "/entities/urn:x:1/attrs/a"),
        *(
            ("POST", f"/entityOperations/{name}")
            for name in ("create", "upsert", "update", "merge", "delete")
        ),
    ],
)
async def test_writing_needs_leave(api, problem, method, path):
    reply = await api.request(method, path, json=ROADS[0], headers={"x-test-actor": "anonymous"})
    problem(reply, 401, "")
    assert reply.headers["www-authenticate"].startswith("Bearer")
    reply = await api.request(method, path, json=ROADS[0], headers={"x-test-actor": "reader"})
    problem(reply, 403, "")
    assert await ids(api, local="true") == []


async def test_a_token_that_opens_nothing_is_refused_before_anything_is_done(api, problem):
    dead = {"x-test-actor": "dead token"}
    for reply in (
        await api.get("/entities?local=true", headers=dead),
        await api.post("/entities", json=ROADS[0], headers=dead),
    ):
        problem(reply, 401, "")
        assert reply.headers["www-authenticate"].startswith("Bearer")
    assert await ids(api, local="true") == []


async def test_ids_alone_do_not_narrow_a_query_except_of_what_is_here(api, problem):
    await api.have(*ROADS)
    for asked in ({"id": ROADS[1]["id"]}, {"idPattern": ".*[12]"}):
        problem(await api.get("/entities", params=asked), 400, "BadRequestData")
    assert await ids(api, id=ROADS[1]["id"], local="true") == ["2"]
    assert await ids(api, idPattern=".*[12]", local="true") == ["1", "2"]


async def test_visitors_see_what_is_open_alone(api, problem):
    await api.have(ROADS[0], {"id": "urn:x:cam", "type": "Camera", "refRoad": {"object": ROADS[0]["id"]}})
    visitor = {"x-test-actor": "anonymous"}
    assert (await api.get("/entities?local=true")).json()[1]["id"] == "urn:x:cam"
    reply = await api.get("/entities?local=true&count=true", headers=visitor)
    assert len(reply.json()) == 1 and reply.headers["ngsild-results-count"] == "1"
    secret = await api.get("/entities/urn:x:cam", headers=visitor)
    absent = await api.get("/entities/urn:x:can", headers=visitor)
    assert problem(secret, 404, "ResourceNotFound") == {
        **problem(absent, 404, "ResourceNotFound"),
        "detail": absent.json()["detail"].replace("urn:x:can", "urn:x:cam"),
    }
    assert (await api.get("/types", headers=visitor)).json()["typeList"] == ["Road"]
    assert "refRoad" not in (await api.get("/attributes", headers=visitor)).json()["attributeList"]
    problem(await api.get("/types/Camera", headers=visitor), 404, "ResourceNotFound")
    problem(await api.get("/attributes/refRoad", headers=visitor), 404, "ResourceNotFound")
    then = "timerel=after&timeAt=2020-01-01T00:00:00Z"
    assert (await api.get(f"/temporal/entities?type=Camera&{then}", headers=visitor)).json() == []


# Earlier versions of the standard (4.3.6.8)


async def test_answers_conform_to_the_version_that_is_preferred(api):
    modern = {
        "id": "urn:ngsi-ld:Road:1",
        "type": "Road",
        "scope": "/north",
        "surface": {"type": "VocabProperty", "vocab": "asphalt"},
        "name": {"type": "LanguageProperty", "languageMap": {"en": "High Street"}},
        "route": {"type": "ListRelationship", "objectList": ["urn:x:1", "urn:x:2"]},
        "speed": {"type": "Property", "value": 50, "unitCode": "KMH"},
    }
    await api.have(modern)

    async def answer(version, path="/entities/urn:ngsi-ld:Road:1"):
        return await api.get(path, headers={"prefer": f"respond-async, ngsi-ld={version}"})

    reply = await answer("1.5")
    assert (reply.status_code, reply.headers["preference-applied"]) == (203, "ngsi-ld=1.5")
    shown = reply.json()
    assert shown["surface"] == {"type": "Property", "value": "asphalt"}
    assert shown["route"] == {"type": "Relationship", "object": ["urn:x:1", "urn:x:2"]}
    assert (shown["name"], shown["scope"]) == (modern["name"], "/north")
    shown = (await answer("1.0", "/entities?type=Road")).json()[0]
    assert shown["name"] == {"type": "Property", "value": {"en": "High Street"}}
    assert shown["speed"] == {"type": "Property", "value": 50}
    assert "scope" not in shown
    for version, applied in (("1.9", "1.9"), ("2.4", "1.9")):
        reply = await answer(version)
        assert (reply.status_code, reply.headers["preference-applied"]) == (200, f"ngsi-ld={applied}")
        assert reply.json()["surface"]["type"] == "VocabProperty"
    reply = await answer("newest")
    assert reply.status_code == 200 and "preference-applied" not in reply.headers


async def test_several_instances_become_one_for_the_oldest_version(api):
    readings = [
        {"type": "Property", "value": 2, "datasetId": "urn:d:1"},
        {"type": "Property", "value": 1},
    ]
    await api.have({"id": "urn:x:1", "type": ["Road", "Street"], "speed": readings})
    reply = await api.get("/entities/urn:x:1", headers={"prefer": "ngsi-ld=1.0"})
    assert reply.json() == {"id": "urn:x:1", "type": "Road", "speed": {"type": "Property", "value": 1}}
