"""Deleting what matches over HTTP (ETSI GS CIM 009, 5.6.21, 6.4.3.3)."""

import pytest

from cityloom.kernel.actor import CITY
from cityloom.ngsild.model import entity, prop


def lamp(number, **members):
    return {
        "id": f"urn:ngsi-ld:Lamp:{number}",
        "type": "Lamp",
        "watt": number * 10,
        "colour": "white",
        **members,
    }


async def left(api):
    reply = await api.get("/entities", params={"local": "true", "limit": "1000"})
    return {one["id"].rsplit(":", 1)[1]: one for one in reply.json()}


async def purge(api, **parameters):
    return await api.delete("/entities", params=parameters)


async def test_purge_deletes_what_matches_and_nothing_else(api):
    await api.have(*map(lamp, range(1, 6)), {"id": "urn:ngsi-ld:Park:9", "type": "Park"})
    assert (await purge(api, type="Lamp", q="watt>30")).status_code == 204
    assert set(await left(api)) == {"1", "2", "3", "9"}
    assert (await purge(api, type="Lamp", id="urn:ngsi-ld:Lamp:1,urn:ngsi-ld:Park:9")).status_code == 204
    assert set(await left(api)) == {"2", "3", "9"}
    assert (await purge(api, type="*")).status_code == 204
    assert await left(api) == {}
    assert (await purge(api, local="true")).status_code == 204


async def test_purge_drops_attributes_or_keeps_them(api):
    await api.have(*map(lamp, range(1, 4)))
    assert (await purge(api, type="Lamp", q="watt<30", drop="colour,absent")).status_code == 204
    found = await left(api)
    assert [sorted(found[one]) for one in "123"] == [
        ["id", "type", "watt"],
        ["id", "type", "watt"],
        ["colour", "id", "type", "watt"],
    ]
    assert (await purge(api, attrs="colour", keep="colour")).status_code == 204
    found = await left(api)
    assert [sorted(found[one]) for one in "13"] == [["id", "type", "watt"], ["colour", "id", "type"]]


@pytest.mark.parametrize(
    ("parameters", "where"),
    [
        ({}, None),
        ({"id": "urn:ngsi-ld:Lamp:1"}, None),
        ({"idPattern": ".*"}, None),
        ({"attrs": "createdAt"}, None),
        ({"q": 'modifiedAt>"2020-01-01T00:00:00Z"'}, None),
        ({"type": "Lamp", "id": "no uri"}, "id"),
        ({"type": "Lamp", "keep": "watt", "drop": "colour"}, "drop"),
        ({"type": "Lamp", "drop": "fixedTo{watt}"}, "drop"),
        ({"type": "Lamp", "q": 'fixedTo{name}=="x"'}, "q"),
        ({"type": "*", "local": "false"}, "local"),
    ],
)
async def test_purge_refuses_what_is_too_wide_or_wrong(api, problem, parameters, where):
    await api.have(lamp(1))
    problem(await purge(api, **parameters), 400, "BadRequestData", where)
    assert set(await left(api)) == {"1"}


async def test_purge_is_for_those_who_may_write(api):
    await api.have(lamp(1))
    for actor, status in (("anonymous", 401), ("reader", 403)):
        headers = {"x-test-actor": actor}
        reply = await api.delete("/entities", params={"type": "Lamp"}, headers=headers)
        assert reply.status_code == status
    assert set(await left(api)) == {"1"}


async def test_purge_tells_what_it_had_to_leave(api):
    """An alert belongs to its room: whoever may write facts deletes none."""
    await api.have(lamp(1, kind="thing"))
    alert = entity("Alert", "urn:ngsi-ld:Alert:1", {"kind": prop("thing")})
    await api.broker.create(CITY, alert)
    reply = await api.delete("/entities", params={"q": "kind"}, headers={"x-test-actor": "writer"})
    assert reply.status_code == 207, reply.text
    said = reply.json()
    assert said["success"] == ["urn:ngsi-ld:Lamp:1"]
    assert [(one["entityId"], one["error"]["status"]) for one in said["errors"]] == [(alert["id"], 403)]
    assert set(await left(api)) == {"1"}


async def test_what_somebody_else_deleted_meanwhile_is_no_error(api, monkeypatch):
    await api.have(*map(lamp, (1, 2)))
    search = api.broker.search_ids

    async def then_one_goes(*arguments, **members):
        found = await search(*arguments, **members)
        await api.broker.delete(CITY, found[0])
        return found

    monkeypatch.setattr(api.broker, "search_ids", then_one_goes)
    assert (await purge(api, type="Lamp")).status_code == 204
    monkeypatch.undo()
    assert await left(api) == {}
