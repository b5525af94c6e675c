"""@contexts stored, copied and made here, over HTTP (ETSI GS CIM 009, 5.13, 6.29, 6.30)."""

from datetime import UTC, datetime
from urllib.parse import quote

import msgspec
import pytest

from cityloom.access.authority import OPEN_ACCESS
from cityloom.adapters.memory.register import MemoryRegister
from cityloom.ngsild.contexts import CORE_CONTEXT_URI
from cityloom.ngsild.errors import LdContextNotAvailable
from cityloom.ngsild.published import Published
from cityloom.web.ngsild.context_store import ContextStore
from cityloom.web.ngsild.contexts_in_use import ContextsInUse

LIGHTS = {"Lantern": "https://lights.example/Lantern", "glow": "https://lights.example/glow"}
TRAFFIC = "https://city.example/traffic.jsonld"
LINK = '<{}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
LD = {"content-type": "application/ld+json"}


async def add(api, context=LIGHTS, **headers):
    reply = await api.post("/jsonldContexts", json={"@context": context, "beside": 1}, headers=headers)
    assert reply.status_code == 201, reply.text
    assert reply.content == b""
    return reply.headers["location"]


def local_id(location):
    return location.rpartition("/")[2]


async def details(api, location, **headers):
    wanted = quote(location if location.startswith("http") else local_id(location), safe="")
    reply = await api.get(f"/jsonldContexts/{wanted}?details=true", headers=headers)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def lantern(api, context, number=1):
    one = {"id": f"urn:ngsi-ld:Lantern:{number}", "type": "Lantern", "glow": 7, "@context": context}
    return await api.post("/entities", json=one, headers=LD)


async def test_a_context_that_is_added_is_served_and_used(api):
    location = await add(api)
    assert location.startswith("/ngsi-ld/v1/jsonldContexts/")
    assert (await api.get(f"/jsonldContexts/{local_id(location)}")).json() == {"@context": LIGHTS}
    address = str(api.base_url).removesuffix("/ngsi-ld/v1/") + location
    assert (await lantern(api, location)).status_code == 201
    assert (await api.entity("urn:ngsi-ld:Lantern:1"))["type"] == LIGHTS["Lantern"]
    for named in (location, address, address.replace("127.0.0.1", "localhost")):
        found = await api.get("/entities?type=Lantern", headers={"link": LINK.format(named)})
        assert [one["glow"]["value"] for one in found.json()] == [7]
        # The answer names it by an address that leads there.
        assert f"<{address}>" in found.headers["link"]


async def test_use_is_counted_and_dated(api):
    location = await add(api)
    told = await details(api, location)
    assert (told["kind"], told["numberOfHits"]) == ("Hosted", 0)
    assert told["localId"] == local_id(location) and told["URL"].endswith(location)
    assert "lastUsage" not in told and "expiresAt" not in told
    await lantern(api, location)
    told = await details(api, location)
    assert told["numberOfHits"] == 1
    assert told["createdAt"] <= told["lastUsage"]
    await lantern(api, [location, TRAFFIC], 2)
    assert (await details(api, location))["numberOfHits"] == 2
    assert (await details(api, TRAFFIC))["numberOfHits"] == 1


async def test_copies_are_listed_by_their_address_and_not_served(api, problem):
    await lantern(api, TRAFFIC)
    assert TRAFFIC in (await api.get("/jsonldContexts?kind=Cached")).json()
    told = await details(api, TRAFFIC)
    assert (told["URL"], told["kind"]) == (TRAFFIC, "Cached")
    assert told["createdAt"] < told["expiresAt"]
    for name in (quote(TRAFFIC, safe=""), told["localId"]):
        problem(await api.get(f"/jsonldContexts/{name}"), 422, "OperationNotSupported")
    assert (await api.delete(f"/jsonldContexts/{told['localId']}")).status_code == 204
    assert TRAFFIC not in (await api.get("/jsonldContexts")).json()


async def test_a_reload_replaces_a_copy_or_leaves_it(api, problem, published):
    await lantern(api, TRAFFIC)
    name = quote(TRAFFIC, safe="")
    del published[TRAFFIC]
    problem(await api.delete(f"/jsonldContexts/{name}?reload=true"), 504, "LdContextNotAvailable")
    published[TRAFFIC] = {"no": "context"}
    problem(await api.delete(f"/jsonldContexts/{name}?reload=true"), 504, "LdContextNotAvailable")
    assert (await details(api, TRAFFIC))["kind"] == "Cached"
    published[TRAFFIC] = {"@context": {"glow": "https://other.example/glow"}}
    assert (await api.delete(f"/jsonldContexts/{name}?reload=true")).status_code == 204
    await lantern(api, TRAFFIC, 2)
    assert "https://other.example/glow" in await api.entity("urn:ngsi-ld:Lantern:2")


async def test_what_is_deleted_is_gone(api, problem):
    location = await add(api)
    await lantern(api, location)
    assert (await api.delete(f"/jsonldContexts/{local_id(location)}")).status_code == 204
    problem(await api.get(f"/jsonldContexts/{local_id(location)}"), 404, "ResourceNotFound")
    problem(await api.delete(f"/jsonldContexts/{local_id(location)}"), 404, "ResourceNotFound")
    problem(await lantern(api, location, 2), 504, "LdContextNotAvailable")


async def test_the_core_stays(api, problem):
    name = quote(CORE_CONTEXT_URI, safe="")
    problem(await api.delete(f"/jsonldContexts/{name}"), 400, "BadRequestData")
    assert (await api.delete(f"/jsonldContexts/{name}?reload=true")).status_code == 204
    assert (await details(api, CORE_CONTEXT_URI))["kind"] == "Cached"


@pytest.mark.parametrize(
    "source", [5, True, None, ["https://a.example", 5], {"a": {"@id": "b", "@context": {}}}]
)
async def test_what_is_no_context_is_not_added(api, problem, source):
    problem(await api.post("/jsonldContexts", json={"@context": source}), 400, "BadRequestData")


async def test_wrong_requests_are_refused(api, problem):
    problem(await api.post("/jsonldContexts", json={"no": 1}), 400, "InvalidRequest")
    json = {"content-type": "application/json"}
    problem(await api.post("/jsonldContexts", content=b"{", headers=json), 400, "InvalidRequest")
    location = await add(api)
    problem(
        await api.delete(f"/jsonldContexts/{local_id(location)}?reload=true"), 400, "BadRequestData", "reload"
    )
    problem(await api.delete("/jsonldContexts/"), 400, "BadRequestData", "contextId")


async def test_a_tenants_contexts_are_its_own(api, problem):
    location = await add(api, **{"ngsild-tenant": "harbour"})
    name, other = local_id(location), {"ngsild-tenant": "airport"}
    problem(await api.get(f"/jsonldContexts/{name}", headers=other), 404, "ResourceNotFound")
    problem(await api.get(f"/jsonldContexts/{name}?details=true", headers=other), 404, "ResourceNotFound")
    problem(await api.delete(f"/jsonldContexts/{name}", headers=other), 404, "ResourceNotFound")
    assert name not in (await api.get("/jsonldContexts", headers=other)).text
    await api.post("/entities", json={"id": "urn:x:1", "type": "T"}, headers={"ngsild-tenant": "harbour"})
    inside = {"ngsild-tenant": "harbour", "link": LINK.format(location)}
    assert (await api.get("/entities?type=Lantern", headers=inside)).status_code == 200
    # Nor is it there for those who name its address in another tenant, though it is in use in its own.
    outside = await api.get("/entities?type=Lantern", headers={"link": LINK.format(location)})
    problem(outside, 504, "LdContextNotAvailable")


async def test_adding_and_deleting_is_for_those_who_may_write(api):
    location = await add(api)
    for actor, status in (("anonymous", 401), ("reader", 403)):
        headers = {"x-test-actor": actor}
        assert (
            await api.post("/jsonldContexts", json={"@context": {}}, headers=headers)
        ).status_code == status
        assert (
            await api.delete(f"/jsonldContexts/{local_id(location)}", headers=headers)
        ).status_code == status


# What no request shows


async def test_what_is_stored_is_there_after_a_restart():
    register = MemoryRegister()
    contexts = ContextsInUse(store=ContextStore(register))
    await contexts.start()
    hosted = await contexts.host(OPEN_ACCESS, LIGHTS, "")
    listed = await contexts.use([{"a": "https://a.example/a"}, hosted.source])
    address = await contexts.keep(OPEN_ACCESS, listed, "http://here/ngsi-ld/v1")
    assert await contexts.keep(OPEN_ACCESS, listed, "http://here/ngsi-ld/v1") == address
    again = ContextsInUse(store=ContextStore(register))
    await again.start()
    assert [one.kind for one in again.stored_of("")] == ["Hosted", "ImplicitlyCreated"]
    used = await again.use(f"http://there/ngsi-ld/v1/jsonldContexts/{hosted.local_id}")
    assert used.expand("glow") == LIGHTS["glow"]
    assert (await again.use(address)).expand("a") == "https://a.example/a"


async def test_a_copy_is_fetched_again_when_its_time_is_over():
    served = [{"@context": {"a": f"https://a.example/{number}"}} for number in range(2)]

    async def load(uri, *, anew=False):
        if not served:
            raise LdContextNotAvailable("gone", hint="")
        return Published(served.pop(0), 3600.0)

    contexts = ContextsInUse(load=load)

    async def meaning():
        return (await contexts.use("https://a.example/")).expand("a")

    assert [await meaning(), await meaning()] == ["https://a.example/0"] * 2
    _let_time_pass(contexts)
    assert [await meaning(), await meaning()] == ["https://a.example/1"] * 2
    # Its server is gone: what is known goes on being used.
    _let_time_pass(contexts)
    assert await meaning() == "https://a.example/1"


def _let_time_pass(contexts):
    past = datetime(2020, 1, 1, tzinfo=UTC)
    for uri, copy in list(contexts._cached.items()):
        contexts._cached[uri] = msgspec.structs.replace(copy, expires=past)
