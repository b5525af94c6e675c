"""Whoever acts in whatever order: no answer holds a byte of what its reader is not cleared for.

Values that are secret are canaries, words that nobody else writes. Each answer of each interface (NGSI-LD,
OGC API - Features, SensorThings, pages) is searched for those of classes above its reader's.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cityloom.access.roles import clearance_of
from cityloom.kernel.actor import CITY, InformationClass
from cityloom.kernel.errors import CityError
from cityloom.ngsild.model import entity, point, prop, rel

OPEN, INTERNAL, SECURITY = InformationClass
READERS = ("visitor", "citizen", "engineer", "operator", "security_operator", "administrator")
IDS = [f"urn:ngsi-ld:Vault:{number}" for number in range(6)]
#: The first two stay open.
CLASSES = dict(zip(IDS, [OPEN, OPEN, INTERNAL, INTERNAL, SECURITY, SECURITY], strict=True))
CANARY = re.compile(r"canary-(\w+?)-\d+")
SINCE = "timerel=after&timeAt=1971-01-01T00:00:00Z"
V1 = "/ngsi-ld/v1"
READS = [
    f"{V1}/entities?type=Vault",
    f"{V1}/entities?type=Vault&count=true&options=keyValues&orderBy=note",
    f"{V1}/entities?local=true&q=note~=canary",
    f"{V1}/entities?type=Vault&join=inline&joinLevel=3",
    f"{V1}/entities?type=Vault&georel=near;maxDistance==100000&geometry=Point&coordinates=[9,56]",
    f"{V1}/entities/{{id}}",
    f"{V1}/entities/{{id}}?join=flat&joinLevel=2",
    f"{V1}/entities/{{id}}?options=sysAttrs&pick=note,near",
    f"{V1}/temporal/entities?type=Vault&{SINCE}",
    f"{V1}/temporal/entities/{{id}}?{SINCE}&options=temporalValues",
    f"{V1}/temporal/entities/{{id}}?{SINCE}&options=aggregatedValues&aggrMethods=max&aggrPeriodDuration=PT0S",
    f"{V1}/types?details=true",
    f"{V1}/types/Vault",
    f"{V1}/attributes?details=true",
    f"{V1}/csourceRegistrations?type=Vault",
    f"{V1}/subscriptions",
    "/ogc/collections",
    "/ogc/collections/Vault",
    "/ogc/collections/Vault/items",
    "/ogc/collections/Vault/items/{id}",
    "/ogc/collections/Vault/queryables",
    "/sta/v1.1/Things?$expand=Datastreams($expand=Observations),Locations",
    "/sta/v1.1/Observations",
    "/sta/v1.1/Locations",
    "/sta/v1.1/ObservedProperties",
    "/",
    "/home.json",
    "/map.json",
    "/entities",
    "/entities?type=Vault",
    "/entities/{id}",
    "/other-systems",
    "/system",
    "/about",
]
reads = st.tuples(st.just("read"), st.sampled_from(READERS), st.sampled_from(READS), st.sampled_from(IDS))
#: Somebody writes over the API, cleared or not.
writes = st.tuples(
    st.sampled_from(["patch", "append", "delete", "upsert", "query"]),
    st.sampled_from(READERS),
    st.just(""),
    st.sampled_from(IDS),
)
#: The platform writes what others are not to see.
secrets = st.tuples(st.just("secret"), st.just(""), st.just(""), st.sampled_from(IDS))
steps = st.lists(st.one_of(reads, reads, writes, secrets), min_size=8, max_size=30)


class Town:
    """A small city, those who ask it, and the canaries that are about."""

    def __init__(self, runner: asyncio.Runner, city_class: Any, reader_class: Any) -> None:
        self._run = runner.run
        self.city = runner.run(city_class(frameworks=()).start())
        self._readers = {"visitor": reader_class(self.city)}
        for role in READERS[1:]:
            self._readers[role] = runner.run(reader_class(self.city).sign_in(role))
        self._number = 0
        #: Answers in which somebody saw a canary of their own: the test would see one.
        self.sightings = 0

    def canary(self, one: str) -> str:
        self._number += 1
        return f"canary-{CLASSES[one].name}-{self._number}"

    def take(self, step: tuple[str, str, str, str]) -> None:
        verb, who, path, one = step
        if verb == "secret":
            self._run(self._write_secret(one))
            return
        reply = self._run(self._ask(verb, who, path.replace("{id}", one), one))
        cleared = clearance_of(() if who == "visitor" else (who,)) | {OPEN}
        told = reply.text + str(reply.headers)
        for found in CANARY.finditer(told):
            assert InformationClass[found[1]] in cleared, (step, reply.status_code, told[:2000])
            self.sightings += 1
        assert reply.status_code < 500, (step, told[:2000])
        if verb in ("patch", "append", "delete") and CLASSES[one] not in cleared:
            assert reply.status_code in (401, 403, 404), (step, told[:500])

    async def _write_secret(self, one: str) -> None:
        number = IDS.index(one)
        document = entity(
            "Vault",
            one,
            {
                "note": prop(self.canary(one)),
                "near": rel(IDS[(number + 1) % len(IDS)]),
                "location": point(9.0 + number / 100, 56.0),
            },
        )
        try:
            await self.city.broker.create(CITY, document, information_class=CLASSES[one])
        except CityError:
            await self.city.broker.append(CITY, one, {"attrs": document["attrs"]})
        await self.city.broker.caught_up()

    async def _ask(self, verb: str, who: str, path: str, one: str) -> Any:
        web = self._readers[who].client
        cleared = CLASSES[one] in clearance_of(() if who == "visitor" else (who,)) | {OPEN}
        # Whoever may not see a thing does not know the words that are secret of it either.
        note = self.canary(one) if cleared else "a guess"
        value = {"type": "Property", "value": note}
        if verb == "read":
            return await web.get(path)
        if verb == "query":
            body = {"type": "Query", "entities": [{"type": "Vault"}], "attrs": ["note", "near"]}
            return await web.post(f"{V1}/entityOperations/query", content=json.dumps(body), headers=_JSON)
        if verb == "delete":
            return await web.delete(f"{V1}/entities/{one}")
        if verb == "upsert":
            # A thing that is gone may be made anew by whoever may write, as an open one.
            document = {"id": IDS[0], "type": "Vault", "note": {"type": "Property", "value": "a guess"}}
            return await web.post(
                f"{V1}/entityOperations/upsert", content=json.dumps([document]), headers=_JSON
            )
        method = "PATCH" if verb == "patch" else "POST"
        return await web.request(
            method, f"{V1}/entities/{one}/attrs", content=json.dumps({"note": value}), headers=_JSON
        )

    def close(self) -> None:
        for reader in self._readers.values():
            self._run(reader.client.aclose())
        self._run(self.city.stop())


_JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def runner():
    with asyncio.Runner() as made:
        yield made


def test_no_answer_holds_what_its_reader_is_not_cleared_for(runner, small_city_class, reader_class):
    town = Town(runner, small_city_class, reader_class)
    try:
        for one in IDS:
            town.take(("secret", "", "", one))

        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        @given(steps)
        def act(taken: list[tuple[str, str, str, str]]) -> None:
            for step in taken:
                town.take(step)

        act()
        # Each address once by each reader, too, with everything there.
        for one in IDS:
            town.take(("secret", "", "", one))
            for who in READERS:
                for path in READS:
                    town.take(("read", who, path, one))
        assert town.sightings > 1_000
    finally:
        town.close()
