"""Non-interference: what is secret changes nothing, byte for byte, of what others are shown.

The same open commands run twice, among different secret ones. Everything that somebody without clearance
can ask, and everything that a writer without clearance is told, must be the same both times.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.adapters.memory.state_table import MemoryStateTable
from cityloom.context import provision
from cityloom.context.broker import Broker
from cityloom.kernel.actor import ANONYMOUS, CITY, Actor, InformationClass
from cityloom.kernel.errors import CityError
from cityloom.kernel.time import WallClock
from cityloom.ngsild.geo_query import parse_geo_query
from cityloom.ngsild.model import entity, point, prop, rel
from cityloom.ngsild.ordering import OrderBy
from cityloom.ngsild.q_language import parse_q
from cityloom.ngsild.query import EntityQuery
from cityloom.ngsild.type_selection import parse_type_selection

WRITER = Actor(id="device:1", permissions=frozenset({"entities:write"}))
SECRET = (InformationClass.INTERNAL, InformationClass.SECURITY)
OPEN_IDS = [f"urn:ngsi-ld:Thing:{number}" for number in range(4)]
SECRET_IDS = [f"urn:ngsi-ld:Thing:{number}" for number in range(4, 8)]
ALL_IDS = OPEN_IDS + SECRET_IDS

attributes = st.fixed_dictionaries(
    {},
    optional={
        "speed": st.integers(0, 3).map(prop),
        "next": st.sampled_from(ALL_IDS).map(rel),
        "location": st.integers(0, 3).map(lambda east: point(float(east), 50.0)),
        "because": st.sampled_from([[{"about": one} for one in OPEN_IDS], [{"about": "type:Road"}]]).map(
            lambda pieces: {"type": "JsonProperty", "json": pieces}
        ),
    },
)
kinds = st.sampled_from(["Road", "Park", "Camera"])
verbs = st.sampled_from(["create", "append", "replace", "delete", "upsert"])
open_commands = st.tuples(verbs, st.sampled_from(OPEN_IDS), kinds, attributes)
secret_commands = st.tuples(verbs, st.sampled_from(SECRET_IDS), kinds, attributes, st.sampled_from(SECRET))
#: What a writer without clearance tries on ids that are secret or not there at all.
probes = st.tuples(
    st.sampled_from(["append", "replace", "delete"]), st.sampled_from(SECRET_IDS), kinds, attributes
)


async def command(broker, actor, verb, one, kind, items, information_class=None) -> str:
    """Give a command and put into words what the actor learns of it."""
    document = entity(kind, one, items)
    try:
        match verb:
            case "create":
                change = await broker.create(actor, document, information_class=information_class)
            case "upsert":
                change = await broker.upsert(actor, document, information_class=information_class)
            case "delete":
                change = await broker.delete(actor, one)
            case _:
                change = await getattr(broker, verb)(actor, one, document)
    except CityError as error:
        return f"{type(error).__name__}: {error} {error.hint} {error.where}"
    return f"{change.kind} {change.attributes} {change.document!r}"


def shown(broker, actor) -> bytes:
    """Everything that an actor can ask, as bytes."""
    queries = [
        EntityQuery(count=True),
        EntityQuery(count=True, offset=1, limit=2),
        EntityQuery(type_expression=parse_type_selection("Road|Camera"), count=True),
        EntityQuery(ids=tuple(ALL_IDS), count=True),
        EntityQuery(id_pattern="[2-6]$", count=True, order_by=(OrderBy("speed", "desc"),)),
        EntityQuery(q=parse_q("speed>0"), count=True),
        EntityQuery(q=parse_q("next{speed}>0"), count=True),
        EntityQuery(geo=parse_geo_query("near;maxDistance==100000", "Point", [1.0, 50.0]), count=True),
    ]
    pages = [broker.query(actor, query) for query in queries]
    answers: list[Any] = [
        [(page.total, page.documents) for page in pages],
        broker.types(actor),
        [broker.of_type(actor, kind) for kind in ("Road", "Park", "Camera")],
        [broker.referrers(actor, target) for target in [*ALL_IDS, "type:Road"]],
        [(broker.raw(actor, one) or b"").decode() for one in ALL_IDS],
        [refusal(lambda one=one: broker.retrieve(actor, one)) for one in SECRET_IDS],
        [refusal(lambda one=one: broker.class_of(actor, one)) for one in SECRET_IDS],
        broker.tenants(actor),
    ]
    return orjson.dumps(answers)


def refusal(ask) -> str:
    try:
        return repr(ask())
    except CityError as error:
        return f"{type(error).__name__}: {error} {error.hint} {error.where}"


async def lived(openly, secretly, probing, interleaving) -> tuple[bytes, list[str]]:
    """What is shown, and what the open writer was told, after a life with these secrets."""
    broker = Broker(MemoryFeed(), MemoryStateTable(), WallClock())
    await broker.start()
    told = []
    secrets = list(secretly)
    for number, one in enumerate(openly):
        told.append(await command(broker, WRITER, *one))
        for _ in range(interleaving[number % len(interleaving)]):
            if secrets:
                verb, entity_id, kind, items, information_class = secrets.pop(0)
                await command(broker, CITY, verb, entity_id, kind, items, information_class)
    told += [await command(broker, WRITER, *probe) for probe in probing]
    answers = shown(broker, ANONYMOUS) + shown(broker, WRITER)
    await broker.stop()
    return answers, told


@settings(max_examples=60, deadline=None)
@given(
    openly=st.lists(open_commands, max_size=10),
    secrets=st.lists(secret_commands, min_size=1, max_size=10),
    others=st.lists(secret_commands, max_size=10),
    probing=st.lists(probes, max_size=4),
    interleaving=st.lists(st.integers(0, 3), min_size=1, max_size=4),
)
def test_secrets_change_nothing_that_others_are_shown_or_told(openly, secrets, others, probing, interleaving):

    def stopped():
        return 0, "2026-01-01T00:00:00Z"

    running, provision._instant = provision._instant, stopped
    try:
        with asyncio.Runner() as runner:
            first = runner.run(lived(openly, secrets, probing, interleaving))
            second = runner.run(lived(openly, others, probing, [1]))
    finally:
        provision._instant = running
    assert first == second
