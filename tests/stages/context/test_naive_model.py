"""The store against a naive model: a dict an Entity, looked through from its first member to its last.

Every operation of provision, single and in batches, by who may see all and by who may not, in two tenants;
queries over the columns and places, made for the smallest partition, with turns given to others meanwhile.
What survives restarts and crashes is proven by test_model.py. Two machines, so that two cores share them;
together they make 520 runs of 40 steps.
"""

from __future__ import annotations

import itertools
from typing import Any

import orjson
import pytest
import uvloop
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.adapters.memory.state_table import MemoryStateTable
from cityloom.context import places, querying, rows, sifting
from cityloom.context.broker import Broker
from cityloom.kernel.actor import ANONYMOUS, CITY, Actor, InformationClass
from cityloom.kernel.errors import CityError
from cityloom.kernel.time import WallClock
from cityloom.ngsild.geo_query import parse_geo_query
from cityloom.ngsild.model import content, entity, point, prop, rel
from cityloom.ngsild.q_language import parse_q
from cityloom.ngsild.query import EntityQuery
from cityloom.ngsild.type_selection import parse_type_selection
from one_draw import together

RUNS = 260
STEPS = 40
IDS = [f"urn:ngsi-ld:Thing:{number}" for number in range(6)]
TYPES = ["Road", "Park"]
DATASET = "urn:ngsi-ld:Dataset:1"
STAFF = Actor(
    "staff",
    permissions=frozenset({"entities:read", "entities:write"}),
    clearance=frozenset({InformationClass.OPEN, InformationClass.INTERNAL}),
)
ALL = EntityQuery(limit=1000)

#: What is asked in `q`, and what that means for what an Entity says, by name and dataset.
QUESTIONS = {
    "speed>1": lambda said: _number(said) > 1,
    "speed<=1": lambda said: -1 < _number(said) <= 1,
    "speed==1..2": lambda said: 1 <= _number(said) <= 2,
    'name=="a"': lambda said: said.get(("name", None)) == "a",
    "name": lambda said: ("name", None) in said,
    "!name": lambda said: ("name", None) not in said,
    'speed>0;name=="b"': lambda said: _number(said) > 0 and said.get(("name", None)) == "b",
    'speed==3|name=="a"': lambda said: _number(said) == 3 or said.get(("name", None)) == "a",
    f'next=="{IDS[0]}"': lambda said: said.get(("next", None)) == IDS[0],
}
SQUARE = [[[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]]]


def _number(said: dict[Any, Any]) -> float:
    found = said.get(("speed", None))
    return found if isinstance(found, int) else -1


def _east(said: dict[Any, Any]) -> float | None:
    place = said.get(("location", None))
    return None if place is None else place["coordinates"][0]


PLACES = {
    "within": lambda said: (_east(said) or 9) < 4,
    "disjoint": lambda said: (_east(said) or 0) > 4,
}

TENANTS = "ab"
#: Who writes: twice as often somebody who may see all.
WRITERS = [CITY, CITY, STAFF]
BOTH = [False, True]
KINDS = [["Road"], ["Park"], ["Road", "Park"], ["Park", "Road"]]
#: What an Entity may say; each is left out as often as it is said.
SPEEDS = [None] * 5 + [prop(value) for value in (0, 1, 2, 3, "fast")]
NAMED = [None] * 2 + [prop(value) for value in "ab"]
NEXTS = [None] * 6 + [rel(one) for one in IDS]
PLACED = [None] * 3 + [point(east, 1.0) for east in (0.5, 1.5, 4.5)]
LEVELS = [None] * 4 + [
    [prop(7, dataset=dataset) for dataset in datasets]
    for datasets in ([None], [DATASET], [None, DATASET], [DATASET, None])
]


def document_of(one: str, types: list[str], *values: Any) -> dict[str, Any]:
    named = zip(("speed", "name", "next", "location", "level"), values, strict=True)
    made = {**entity("", one, {name: value for name, value in named if value is not None}), "type": types}
    # Its own, whatever becomes of it.
    copy: dict[str, Any] = orjson.loads(orjson.dumps(made))
    return copy


documents = together(IDS, KINDS, SPEEDS, NAMED, NEXTS, PLACED, LEVELS, of=document_of)
batches = st.lists(documents, max_size=4)
CLASSES = list(InformationClass)
#: What may be kept of an Entity's Attributes.
KEPT = [
    frozenset(some)
    for many in range(5)
    for some in itertools.combinations(("speed", "name", "location", "level"), many)
]


class Known:
    """What the model knows of one Entity."""

    def __init__(self, document: dict[str, Any], information_class: InformationClass) -> None:
        self.types = set(document["type"])
        self.information_class = information_class
        self.said = said_by(document)

    def take(self, fragment: dict[str, Any], *, overwrite: bool = True) -> None:
        self.types |= set(fragment.get("type", ()))
        new = said_by(fragment)
        self.said = self.said | new if overwrite else new | self.said

    def become(self, document: dict[str, Any]) -> None:
        self.types, self.said = set(document["type"]), said_by(document)


def said_by(document: dict[str, Any]) -> dict[Any, Any]:
    return {
        (name, item.get("datasetId")): content(item)
        for name, items in document["attrs"].items()
        for item in items
    }


#: One city for all runs, each in tenants of its own.
LOOP = uvloop.new_event_loop()
BROKER = Broker(MemoryFeed(), MemoryStateTable(), WallClock())
NUMBERS = itertools.count()


@pytest.fixture(scope="module", autouse=True)
def running():
    before = {
        (module, name): getattr(module, name)
        for module, name in [
            (sifting, "WORTH_COLUMNS"),
            (sifting, "_FIRST_LOT"),
            (sifting, "_FIRST_NEAR"),
            (sifting, "_MANY_NEAR"),
            (rows, "_TURN"),
            (rows, "_MANY_FREE"),
            (rows, "_MANY_LATE"),
            (places, "FEW"),
            (querying, "TURN"),
        ]
    }
    for (module, name), value in zip(before, (0, 2, 1, 2, 2, 1, 1, 0, 2), strict=True):
        setattr(module, name, value)
    LOOP.run_until_complete(BROKER.start())
    yield
    LOOP.run_until_complete(BROKER.stop())
    LOOP.close()
    for (module, name), value in before.items():
        setattr(module, name, value)


class StoreAgainstModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        number = next(NUMBERS)
        self.names = {tenant: f"run{number}{tenant}" for tenant in "ab"}
        self.known: dict[str, dict[str, Known]] = {"a": {}, "b": {}}
        self.asked = "a"

    def named(self, tenant: str) -> str:
        """What the tenant is called in this run; what is done to it is looked at after the step."""
        self.asked = tenant
        return self.names[tenant]

    def attempt(self, command: Any, expected: bool) -> None:
        """A command that must succeed or be refused, as the model says."""
        try:
            LOOP.run_until_complete(command)
        except CityError:
            assert not expected
        else:
            assert expected

    def seen(self, tenant: str, actor: Actor, one: str) -> Known | None:
        known = self.known[tenant].get(one)
        return known if known is not None and actor.sees(known.information_class) else None

    # Single operations

    @rule(who=together(TENANTS, WRITERS), document=documents)
    def create(self, who, document):
        tenant, actor = who
        new = document["id"] not in self.known[tenant]
        self.attempt(BROKER.create(actor, document, tenant=self.named(tenant)), new)
        if new:
            self.known[tenant][document["id"]] = Known(document, InformationClass.OPEN)

    @rule(said=together(TENANTS, CLASSES), document=documents)
    def create_in_a_class(self, said, document):
        tenant, information_class = said
        new = document["id"] not in self.known[tenant]
        command = BROKER.create(
            CITY, document, information_class=information_class, tenant=self.named(tenant)
        )
        self.attempt(command, new)
        if new:
            self.known[tenant][document["id"]] = Known(document, information_class)

    @rule(
        said=together(TENANTS, WRITERS, ["append", "append what is not there", "update", "merge", "replace"]),
        document=documents,
    )
    def change(self, said, document):
        tenant, actor, how = said
        one, named = document["id"], self.named(tenant)
        known = self.seen(tenant, actor, one)
        fragment = document if how == "replace" else {"attrs": document["attrs"]}
        commands = {
            "append": lambda: BROKER.append(actor, one, fragment, tenant=named),
            "append what is not there": lambda: BROKER.append(
                actor, one, fragment, overwrite=False, tenant=named
            ),
            "update": lambda: BROKER.update(actor, one, fragment, tenant=named),
            "merge": lambda: BROKER.merge(actor, one, fragment, tenant=named),
            "replace": lambda: BROKER.replace(actor, one, fragment, tenant=named),
        }
        self.attempt(commands[how](), known is not None)
        if known is None:
            return
        if how == "replace":
            known.become(fragment)
        else:
            known.take(fragment, overwrite=how != "append what is not there")

    @rule(said=together(TENANTS, WRITERS, BOTH), document=documents)
    def upsert(self, said, document):
        tenant, actor, update = said
        possible = self._upserts(tenant, actor, document, update)
        self.attempt(BROKER.upsert(actor, document, update=update, tenant=self.named(tenant)), possible)

    @rule(said=together(TENANTS, WRITERS, IDS, range(4), BOTH))
    def change_attribute(self, said):
        tenant, actor, one, value, whole = said
        known = self.seen(tenant, actor, one)
        there = known is not None and ("speed", None) in known.said
        change = BROKER.replace_attribute if whole else BROKER.update_attribute
        self.attempt(change(actor, one, "speed", prop(value), tenant=self.named(tenant)), there)
        if there:
            known.said["speed", None] = value

    @rule(
        asked=together(TENANTS, WRITERS, IDS, ["speed", "location", "next", "level"], [None, DATASET], BOTH)
    )
    def delete_attribute(self, asked):
        tenant, actor, one, name, dataset, every = asked
        known = self.seen(tenant, actor, one)
        said = {} if known is None else known.said
        gone = [key for key in said if key[0] == name and (every or key[1] == dataset)]
        command = BROKER.delete_attribute(
            actor, one, name, dataset=dataset, all_instances=every, tenant=self.named(tenant)
        )
        self.attempt(command, bool(gone))
        for key in gone:
            del said[key]

    @rule(said=together(TENANTS, WRITERS, IDS))
    def delete(self, said):
        tenant, actor, one = said
        there = self.seen(tenant, actor, one) is not None
        self.attempt(BROKER.delete(actor, one, tenant=self.named(tenant)), there)
        if there:
            del self.known[tenant][one]

    @rule(said=together(TENANTS, IDS, CLASSES))
    def classify(self, said):
        tenant, one, information_class = said
        known = self.known[tenant].get(one)
        command = BROKER.classify(CITY, one, information_class, tenant=self.named(tenant))
        self.attempt(command, known is not None)
        if known is not None:
            known.information_class = information_class

    # Batches

    @rule(who=together(TENANTS, WRITERS), batch=batches)
    def create_many(self, who, batch):
        tenant, actor = who
        outcome = LOOP.run_until_complete(BROKER.create_many(actor, batch, tenant=self.named(tenant)))
        refused = []
        for document in batch:
            if document["id"] in self.known[tenant]:
                refused.append(document["id"])
            else:
                self.known[tenant][document["id"]] = Known(document, InformationClass.OPEN)
        assert [one for one, _ in outcome.errors] == refused

    @rule(said=together(TENANTS, WRITERS, BOTH), batch=batches)
    def upsert_many(self, said, batch):
        tenant, actor, update = said
        command = BROKER.upsert_many(actor, batch, update=update, tenant=self.named(tenant))
        outcome = LOOP.run_until_complete(command)
        refused = [document["id"] for document in batch if not self._upserts(tenant, actor, document, update)]
        assert [one for one, _ in outcome.errors] == refused

    @rule(
        said=together(TENANTS, WRITERS, ["update", "update what is not there", "merge"]),
        batch=batches,
    )
    def change_many(self, said, batch):
        tenant, actor, how = said
        named = self.named(tenant)
        if how == "merge":
            command = BROKER.merge_many(actor, batch, tenant=named)
        else:
            command = BROKER.update_many(actor, batch, overwrite=how == "update", tenant=named)
        outcome = LOOP.run_until_complete(command)
        refused = []
        for document in batch:
            known = self.seen(tenant, actor, document["id"])
            if known is None:
                refused.append(document["id"])
            else:
                known.take(document, overwrite=how != "update what is not there")
        assert [one for one, _ in outcome.errors] == refused

    @rule(who=together(TENANTS, WRITERS), several=st.lists(st.sampled_from(IDS), max_size=3))
    def delete_many(self, who, several):
        tenant, actor = who
        outcome = LOOP.run_until_complete(BROKER.delete_many(actor, several, tenant=self.named(tenant)))
        deleted = []
        for one in several:
            if self.seen(tenant, actor, one) is not None:
                del self.known[tenant][one]
                deleted.append(one)
        assert outcome.deleted == deleted

    @rule(said=together(TENANTS, WRITERS, list(QUESTIONS), KEPT))
    def purge_attributes(self, said):
        tenant, actor, question, kept = said
        found = self._ids(tenant, actor, EntityQuery(q=parse_q(question), limit=0))
        matching = self._naive(tenant, actor, question)
        assert found == matching
        command = BROKER.keep_attributes_of_many(actor, found, kept.__contains__, tenant=self.named(tenant))
        assert LOOP.run_until_complete(command).errors == []
        for one in matching:
            known = self.known[tenant][one]
            known.said = {key: value for key, value in known.said.items() if key[0] in kept}

    def _upserts(self, tenant: str, actor: Actor, document: dict[str, Any], update: bool) -> bool:
        one = document["id"]
        if one not in self.known[tenant]:
            self.known[tenant][one] = Known(document, InformationClass.OPEN)
            return True
        known = self.seen(tenant, actor, one)
        if known is None:
            return False
        if update:
            known.take(document)
        else:
            known.become(document)
        return True

    # Queries

    @rule(
        said=together(
            TENANTS,
            [CITY, STAFF, ANONYMOUS],
            [None, *QUESTIONS],
            [None, None, *PLACES],
            [None, "Road", "Road|Park", "(Road;Park)"],
            [(), (), ("speed",), ("level", "name")],
            range(1, 5),
            range(4),
        )
    )
    def query(self, said):
        tenant, actor, question, place, types, attrs, limit, offset = said
        asked = EntityQuery(
            q=None if question is None else parse_q(question),
            geo=None if place is None else parse_geo_query(place, "Polygon", SQUARE),
            type_expression=None if types is None else parse_type_selection(types),
            attrs=attrs,
            limit=limit,
            offset=offset,
            count=True,
        )
        page = LOOP.run_until_complete(BROKER.search(actor, asked, tenant=self.named(tenant)))
        expected = self._naive(tenant, actor, question, place, types, attrs)
        assert [one["id"] for one in page.documents] == expected[offset : offset + limit]
        assert page.total == len(expected)
        assert self._ids(tenant, actor, asked) == expected

    def _ids(self, tenant: str, actor: Actor, asked: EntityQuery) -> list[str]:
        return LOOP.run_until_complete(BROKER.search_ids(actor, asked, tenant=self.named(tenant)))

    def _naive(self, tenant, actor, question, place=None, types=None, attrs=()) -> list[str]:
        wanted = {None: set(), "(Road;Park)": {"Road", "Park"}, "Road": {"Road"}}.get(types, set())
        return [
            one
            for one, known in self.known[tenant].items()
            if actor.sees(known.information_class)
            and (question is None or QUESTIONS[question](known.said))
            and (place is None or PLACES[place](known.said))
            and wanted <= known.types
            and (not attrs or any(key[0] in attrs for key in known.said))
        ]

    # What must hold

    @invariant()
    def holds_what_the_model_holds_of_the_tenant_that_was_asked(self):
        self.compare(self.asked)

    def teardown(self):
        # What was done to one is not seen in the other.
        for tenant in self.names:
            self.compare(tenant)

    def compare(self, tenant: str) -> None:
        named = self.names[tenant]
        for actor in (CITY, ANONYMOUS):
            expected = {
                one: (known.types, known.said)
                for one, known in self.known[tenant].items()
                if actor.sees(known.information_class)
            }
            found = BROKER.query(actor, ALL, tenant=named).documents
            assert {one["id"]: (set(one["type"]), said_by(one)) for one in found} == expected
            assert [one["id"] for one in found] == list(expected)
            counts = {kind: sum(kind in types for types, _ in expected.values()) for kind in TYPES}
            assert BROKER.types(actor, tenant=named) == {
                kind: count for kind, count in counts.items() if count
            }
            for target in IDS[:2]:
                pointing = [one for one, (_, said) in expected.items() if said.get(("next", None)) == target]
                assert BROKER.referrers(actor, target, tenant=named) == pointing


LEAN = settings(
    max_examples=RUNS,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


class Again(StoreAgainstModel):
    """The same, for another core."""


TestTheStoreHoldsWhatTheModelHolds = StoreAgainstModel.TestCase
TestTheStoreHoldsWhatTheModelHolds.settings = LEAN
TestTheStoreHoldsItOnAnotherCore = Again.TestCase
TestTheStoreHoldsItOnAnotherCore.settings = LEAN
