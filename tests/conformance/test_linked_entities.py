"""Linked entities in answers over HTTP (ETSI GS CIM 009, 4.5.23, 4.21, 5.7.1, 5.7.2)."""

import pytest

from cityloom.ngsild import linking
from cityloom.ngsild.contexts import CORE
from cityloom.ngsild.linking import Join, join_steps
from cityloom.ngsild.model import entity, rel
from cityloom.ngsild.representation import View


def building(number, city, **members):
    return {
        "id": f"urn:ngsi-ld:Building:{number}",
        "type": "Building",
        "locatedAt": {"type": "Relationship", "object": f"urn:ngsi-ld:City:{city}"},
        **members,
    }


CITY = {
    "id": "urn:ngsi-ld:City:Ribe",
    "type": "City",
    "name": {"type": "Property", "value": "Ribe"},
    "isIn": {"type": "Relationship", "object": "urn:ngsi-ld:Country:DK"},
}
COUNTRY = {
    "id": "urn:ngsi-ld:Country:DK",
    "type": "Country",
    "name": {"type": "Property", "value": "Denmark"},
    "capital": {"type": "Relationship", "object": "urn:ngsi-ld:City:Ribe"},
}
HOUSE = building(1, "Ribe")


async def test_retrieve_puts_linked_entities_into_their_relationships(api):
    await api.have(HOUSE, CITY, COUNTRY)
    whole = await api.entity(HOUSE["id"], join="inline", joinLevel="2")
    assert whole["locatedAt"]["object"] == CITY["id"]
    assert whole["locatedAt"]["entity"]["name"] == CITY["name"]
    # The country is the second level; what it points at was met on the way.
    assert whole["locatedAt"]["entity"]["isIn"]["entity"] == COUNTRY
    assert "entity" not in (await api.entity(HOUSE["id"], join="inline"))["locatedAt"]["entity"]["isIn"]
    assert await api.entity(HOUSE["id"], join="@none") == HOUSE


async def test_retrieve_ends_where_links_go_in_circles(api):
    await api.have(CITY, COUNTRY)
    whole = await api.entity(CITY["id"], join="inline", joinLevel="10")
    assert whole["isIn"]["entity"] == COUNTRY
    several = await api.entity(CITY["id"], join="flat", joinLevel="10")
    assert [one["id"] for one in several] == [CITY["id"], COUNTRY["id"]]


async def test_retrieve_puts_linked_entities_beside_the_one_asked_for(api):
    await api.have(HOUSE, CITY, COUNTRY)
    assert await api.entity(HOUSE["id"], join="flat", joinLevel="2") == [HOUSE, CITY, COUNTRY]
    assert await api.entity(HOUSE["id"], join="flat") == [HOUSE, CITY]
    known = {"join": "flat", "joinLevel": "2", "containedBy": CITY["id"]}
    assert await api.entity(HOUSE["id"], **known) == [HOUSE]
    geo = await api.get(
        f"/entities/{HOUSE['id']}", params={"join": "flat"}, headers={"accept": "application/geo+json"}
    )
    assert [one["id"] for one in geo.json()["features"]] == [HOUSE["id"], CITY["id"]]


async def test_linked_entities_stand_in_place_of_ids_when_simplified(api):
    street = {"type": "ListRelationship", "objectList": [CITY["id"], "urn:ngsi-ld:City:Nowhere"]}
    both = {"type": "Relationship", "object": [COUNTRY["id"], "urn:ngsi-ld:City:Nowhere"]}
    await api.have(building(1, "Ribe", route=street, near=both), CITY, COUNTRY)
    shown = await api.entity(HOUSE["id"], join="inline", format="simplified")
    assert shown["locatedAt"]["name"] == "Ribe"
    assert shown["route"] == [
        {"id": CITY["id"], "type": "City", "name": "Ribe", "isIn": COUNTRY["id"]},
        "urn:ngsi-ld:City:Nowhere",
    ]
    whole = await api.entity(HOUSE["id"], join="inline")
    assert [one["id"] for one in whole["route"]["entityList"]] == [CITY["id"]]
    assert [one["id"] for one in whole["near"]["entity"]] == [COUNTRY["id"]]
    assert whole["near"]["object"] == both["object"]


async def test_query_joins_and_projects_at_each_level(api):
    await api.have(HOUSE, building(2, "Ribe"), CITY, COUNTRY)
    query = {"type": "Building", "join": "inline", "joinLevel": "2"}
    picked = await api.get("/entities", params={**query, "pick": "id,locatedAt{name,isIn{name}}"})
    first, second = picked.json()
    assert first["locatedAt"]["entity"] == {
        "name": CITY["name"],
        "isIn": {**CITY["isIn"], "entity": {"name": COUNTRY["name"]}},
    }
    assert second["locatedAt"]["entity"] == first["locatedAt"]["entity"]
    omitted = await api.get(
        "/entities", params={**query, "join": "flat", "omit": "type,locatedAt{name,isIn{capital}}"}
    )
    assert [sorted(one) for one in omitted.json()] == [
        ["id", "locatedAt"],
        ["id", "locatedAt"],
        ["id", "isIn", "type"],
        ["id", "name", "type"],
    ]


async def test_query_by_post_joins_too(api):
    await api.have(HOUSE, CITY)
    body = {"type": "Query", "entities": [{"type": "Building"}], "join": "flat", "joinLevel": 1}
    reply = await api.post("/entityOperations/query", json=body)
    assert reply.json() == [HOUSE, CITY]
    reply = await api.post("/entityOperations/query", json={**body, "containedBy": [CITY["id"]]})
    assert reply.json() == [HOUSE]


async def test_query_looks_into_linked_entities_as_deep_as_they_are_joined(api, problem):
    await api.have(HOUSE, CITY, COUNTRY)
    query = {"type": "Building", "q": 'locatedAt{isIn{name}}=="Denmark"', "join": "inline"}
    assert len((await api.get("/entities", params={**query, "joinLevel": "2"})).json()) == 1
    problem(await api.get("/entities", params=query), 400, "BadRequestData", "q")
    problem(
        await api.get("/entities", params={"type": "Building", "q": "locatedAt{name}"}),
        400,
        "BadRequestData",
        "q",
    )


@pytest.mark.parametrize(
    ("parameters", "where"),
    [
        ({"join": "sideways"}, "join"),
        ({"join": "flat", "joinLevel": "0"}, "joinLevel"),
        ({"join": "flat", "joinLevel": "11"}, "joinLevel"),
        ({"join": "flat", "containedBy": "no uri"}, "containedBy"),
        ({"pick": "locatedAt{name}"}, "pick"),
        ({"join": "inline", "omit": "locatedAt{isIn{name}}"}, "omit"),
        ({"join": "inline", "pick": "locatedAt{name"}, "pick"),
        ({"join": "inline", "pick": "locatedAt{name}}"}, "pick"),
        ({"join": "inline", "pick": "locatedAt{}"}, "pick"),
        ({"join": "inline", "pick": "a{" * 5_000}, "pick"),
    ],
)
async def test_joins_that_cannot_be_are_refused(api, problem, parameters, where):
    await api.have(HOUSE)
    problem(
        await api.get("/entities", params={"type": "Building", **parameters}), 400, "BadRequestData", where
    )
    problem(await api.get(f"/entities/{HOUSE['id']}", params=parameters), 400, "BadRequestData", where)


async def test_nobody_is_joined_what_they_may_not_see(api):
    camera = {"id": "urn:ngsi-ld:Camera:1", "type": "Camera", "watches": "the vault"}
    watched = {"id": "urn:ngsi-ld:Door:1", "type": "Door", "seenBy": {"object": camera["id"]}}
    await api.have(camera, watched)
    anonymous = {"x-test-actor": "anonymous"}
    for how in ("flat", "inline"):
        reply = await api.get("/entities", params={"type": "Door", "join": how}, headers=anonymous)
        assert reply.status_code == 200
        assert "vault" not in reply.text
        assert "vault" in (await api.get("/entities", params={"type": "Door", "join": how})).text


@pytest.mark.parametrize(("bound", "most"), [("MAX_LINKED", 3), ("MAX_BYTES", 800)])
async def test_answers_with_too_many_linked_entities_are_refused(api, problem, monkeypatch, bound, most):
    monkeypatch.setattr(linking, bound, most)
    await api.have(*[building(number, "Ribe") for number in range(4)], CITY)
    problem(
        await api.get("/entities", params={"type": "Building", "join": "inline"}),
        403,
        "TooManyResults",
        "join",
    )
    flat = await api.get("/entities", params={"type": "Building", "join": "flat"})
    assert [one["id"] for one in flat.json()][4:] == [CITY["id"]]


@pytest.mark.parametrize("how", ["inline", "flat"])
def test_linked_entities_are_looked_up_in_steps_so_that_nobody_waits_for_all_of_them(how):
    """Ten thousand may be linked to one answer: others have their turn between."""
    targets = [f"urn:x:{number}" for number in range(30)]
    hub = entity("Hub", "urn:x:hub", {"to": rel(targets)})
    join = Join(how, 2)
    steps = join_steps([hub], CORE, View(), join, lambda one: entity("Road", one, {"next": rel("urn:x:end")}))
    # Inline each has a look of its own at what it points at; flat the end is looked up once.
    assert sum(1 for _ in steps) == (60 if how == "inline" else 31)
