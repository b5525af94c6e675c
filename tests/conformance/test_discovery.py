"""Types, attributes, @contexts and identity over HTTP (ETSI GS CIM 009, 6.25 to 6.33)."""

VOCABULARY = "https://uri.etsi.org/ngsi-ld/default-context/"
CORE = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.9.jsonld"

ENTITIES = [
    {"id": "urn:x:1", "type": "Road", "speed": [{"value": 1}, {"value": 2, "datasetId": "urn:d:1"}]},
    {"id": "urn:x:2", "type": ["Road", "Bridge"], "speed": {"object": "urn:x:1"}, "name": "B"},
]


async def test_types_are_listed(api):
    await api.have(*ENTITIES)
    shown = (await api.get("/types")).json()
    assert shown.pop("id").startswith("urn:ngsi-ld:EntityTypeList:")
    assert shown == {"type": "EntityTypeList", "typeList": ["Bridge", "Road"]}
    assert (await api.get("/types/", params={"details": "true"})).json() == [
        {
            "id": VOCABULARY + "Bridge",
            "type": "EntityType",
            "typeName": "Bridge",
            "attributeNames": ["name", "speed"],
        },
        {
            "id": VOCABULARY + "Road",
            "type": "EntityType",
            "typeName": "Road",
            "attributeNames": ["name", "speed"],
        },
    ]


async def test_a_type_is_described(api, problem):
    await api.have(*ENTITIES)
    shown = (await api.get("/types/Road")).json()
    assert (shown["id"], shown["type"], shown["entityCount"]) == (VOCABULARY + "Road", "EntityTypeInfo", 2)
    assert shown["attributeDetails"] == [
        {
            "id": VOCABULARY + "name",
            "type": "Attribute",
            "attributeName": "name",
            "attributeTypes": ["Property"],
        },
        {
            "id": VOCABULARY + "speed",
            "type": "Attribute",
            "attributeName": "speed",
            "attributeTypes": ["Property", "Relationship"],
        },
    ]
    problem(await api.get("/types/Tunnel"), 404, "ResourceNotFound")
    problem(await api.get("/types/a%20b"), 400, "BadRequestData", "type")


async def test_attributes_are_listed_and_described(api, problem):
    await api.have(*ENTITIES)
    shown = (await api.get("/attributes")).json()
    assert (shown["type"], shown["attributeList"]) == ("AttributeList", ["name", "speed"])
    detailed = (await api.get("/attributes", params={"details": "true"})).json()
    assert detailed[0] == {
        "id": VOCABULARY + "name",
        "type": "Attribute",
        "attributeName": "name",
        "typeNames": ["Bridge", "Road"],
    }
    assert (await api.get("/attributes/speed")).json() == {
        "id": VOCABULARY + "speed",
        "type": "Attribute",
        "attributeName": "speed",
        "attributeCount": 3,
        "attributeTypes": ["Property", "Relationship"],
        "typeNames": ["Bridge", "Road"],
    }
    for absent in ("colour", "id", "type", "scope"):
        problem(await api.get(f"/attributes/{absent}"), 404, "ResourceNotFound")


async def test_contexts_are_listed_and_described(api, problem):
    assert (await api.get("/jsonldContexts")).json() == [CORE]
    [details] = (await api.get("/jsonldContexts", params={"details": "true"})).json()
    assert (details["URL"], details["kind"], details["numberOfHits"]) == (CORE, "Cached", 0)
    assert details["createdAt"].endswith("Z") and "expiresAt" not in details
    assert (await api.get("/jsonldContexts", params={"kind": "Hosted"})).json() == []
    encoded = CORE.replace("/", "%2F").replace(":", "%3A")
    assert (await api.get(f"/jsonldContexts/{encoded}?details=true")).json() == details
    problem(await api.get(f"/jsonldContexts/{encoded}"), 422, "OperationNotSupported")
    problem(await api.get("/jsonldContexts/none"), 404, "ResourceNotFound")
    problem(await api.get("/jsonldContexts?kind=odd"), 400, "BadRequestData", "kind")


async def test_source_tells_who_it_is(api):
    reply = await api.get("/info/sourceIdentity", headers={"accept": "application/ld+json"})
    shown = reply.json()
    assert shown["type"] == "ContextSourceIdentity" and shown["@context"] == CORE
    assert shown["contextSourceUptime"].startswith("PT")
    assert shown["contextSourceTimeAt"].endswith("Z")


async def test_what_opens_a_source_is_shown_to_who_may_register_alone(api):
    body = {
        "id": "urn:ngsi-ld:ContextSourceRegistration:1",
        "type": "ContextSourceRegistration",
        "endpoint": "http://127.0.0.1:1/",
        "information": [{"entities": [{"type": "Road"}]}],
        "contextSourceInfo": [{"key": "X-Key", "value": "opens-it"}],
    }
    assert (await api.post("/csourceRegistrations", json=body)).status_code == 201
    for path in (f"/csourceRegistrations/{body['id']}", "/csourceRegistrations?type=Road"):
        assert "opens-it" in (await api.get(path)).text
        citizen = await api.get(path, headers={"x-test-actor": "writer"})
        assert citizen.status_code == 403 and "127.0.0.1" not in citizen.text
        told = await api.get(path, headers={"x-test-actor": "clerk"})
        assert (told.status_code, body["id"] in told.text) == (200, True)
        assert "opens-it" not in told.text and "contextSourceInfo" not in told.text
