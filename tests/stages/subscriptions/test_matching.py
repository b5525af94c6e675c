"""Which subscriptions a change concerns, against a model that compares each with each."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import orjson
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import Change, ChangeKind
from cityloom.ngsild.query import compile
from cityloom.ngsild.subscription import TRIGGERS
from cityloom.ngsild.subscription_reading import parse_subscription
from cityloom.subscriptions.matching import Happened, Matcher, query_of
from cityloom.subscriptions.model import Kept
from one_draw import together

NOW = "2026-03-01T12:00:00Z"
NAMES = ("speed", "name", "open")
QUERIES = (
    None,
    "speed>10",
    "speed>=20",
    "speed<10;name",
    "speed<=20|speed>30",
    'name=="a"',
    'name=="a"|name=="b"',
    "open==true",
    "open==false;speed>0",
    "speed==20",
    'name~="^a"',
    "!speed",
    "speed!=10",
    "speed==10..30",
)
VALUES = {
    "speed": [0, 10, 10.5, 20, 30, 40, True, "20", [10, 40]],
    "name": ["a", "b", "ab", ["a", "z"], 1],
    "open": [False, True, 1, 0],
}
#: A value of one of them; and of each, as often nothing.
WRITTEN = [(name, value) for name, values in VALUES.items() for value in values]
FIRST = [[None] * len(values) + [(name, value) for value in values] for name, values in VALUES.items()]
DATASETS = [None, "urn:ngsi-ld:Dataset:a"]
SELECTORS = [
    {"type": "Road"},
    {"type": "Street|Road"},
    {"type": "(Road;Bridge)"},
    {"type": "*"},
    {"type": "Bridge"},
    {"type": "Road", "id": "urn:x:1"},
    {"type": "Road", "idPattern": "^urn:x:[23]$"},
]


def some_of(names):
    """Nothing said, as often as something is; else some of the names, at least one."""
    said = [list(one) for many in range(len(names)) for one in combinations(sorted(names), many + 1)]
    return [None] * len(said) + said


WATCHED, ASKED_FOR = some_of(NAMES), some_of(TRIGGERS)


def instance(value, dataset, at):
    made = {"type": "Property", "value": value, "modifiedAt": at}
    return made if dataset is None else {**made, "datasetId": dataset}


def without_times(item):
    return {key: value for key, value in item.items() if key != "modifiedAt"}


def naive(kept: Kept, asks: Callable[[Any], bool], change: Change) -> bool:
    """5.8.6, read aloud; `asks` is what the subscription asks of an Entity."""
    wanted = kept.wanted
    triggers = set(wanted.triggers or ("attributeCreated", "attributeUpdated"))
    if "entityUpdated" in triggers:
        triggers |= {"attributeCreated", "attributeUpdated", "attributeDeleted"}
    after = orjson.loads(change.document)
    before = orjson.loads(change.before) if change.before else {}
    happened: set[tuple[str, str]] = set()
    for name in change.attributes:
        if change.kind is not ChangeKind.UPDATED:
            kind = "attributeCreated" if change.kind is ChangeKind.CREATED else "attributeDeleted"
            happened.add((kind, name))
            continue
        old = {one.get("datasetId"): without_times(one) for one in before.get(name, [])}
        new = {one.get("datasetId"): without_times(one) for one in after["attrs"].get(name, [])}
        for dataset in {*old, *new}:
            if dataset not in old:
                happened.add(("attributeCreated", name))
            elif dataset not in new:
                happened.add(("attributeDeleted", name))
            elif old[dataset] != new[dataset]:
                happened.add(("attributeUpdated", name))
    if change.kind is ChangeKind.CREATED:
        happened |= {("entityCreated", name) for name in (*change.attributes, "")}
    if change.kind is ChangeKind.DELETED:
        happened |= {("entityDeleted", name) for name in (*change.attributes, "")}
    watched = wanted.watched
    fires = any(kind in triggers and (watched is None or name in watched) for kind, name in happened)
    return fires and asks(after)


class Subscribing(RuleBasedStateMachine):
    """Subscriptions come and go while Entities change."""

    def __init__(self) -> None:
        super().__init__()
        self.matcher = Matcher(lambda _: lambda _id: None)
        self.kept: dict[str, tuple[Kept, Callable[[Any], bool]]] = {}
        self.entities: dict[str, dict] = {}
        self.sequence = 0

    @rule(said=together(range(10), SELECTORS, QUERIES, WATCHED, ASKED_FOR))
    def subscribe(self, said):
        id, selector, q, watched, triggers = said
        payload = {
            "type": "Subscription",
            "entities": [selector],
            "notification": {"endpoint": {"uri": "https://receiver.example/"}},
        }
        if q is not None:
            payload["q"] = q
        if watched is not None:
            payload["watchedAttributes"] = watched
        if triggers is not None:
            payload["notificationTrigger"] = triggers
        wanted = parse_subscription(payload, id=f"urn:s:{id}", now=NOW)
        kept = Kept("", "owner", (InformationClass.OPEN,), wanted, None, "", 0, NOW, NOW)
        self.kept[wanted.id] = kept, compile(query_of(wanted))
        self.matcher.add(kept)

    @rule(id=st.integers(0, 9))
    def unsubscribe(self, id):
        self.kept.pop(f"urn:s:{id}", None)
        self.matcher.remove(f"urn:s:{id}")

    @rule(said=together(range(1, 5), [["Road"], ["Street"], ["Road", "Bridge"], ["Lamp"]], *FIRST))
    def create(self, said):
        id, types, *values = said
        entity_id = f"urn:x:{id}"
        if entity_id in self.entities:
            return
        self.sequence += 1
        attrs = {one[0]: [instance(one[1], None, self.sequence)] for one in values if one is not None}
        self.entities[entity_id] = {"id": entity_id, "type": types, "attrs": attrs}
        self.happens(entity_id, ChangeKind.CREATED, tuple(attrs), {})

    @rule(said=together(range(1, 5), WRITTEN, DATASETS))
    def write(self, said):
        id, (name, value), dataset = said
        document = self.entities.get(f"urn:x:{id}")
        if document is None:
            return
        self.sequence += 1
        new = instance(value, dataset, self.sequence)
        old = document["attrs"].get(name, [])
        document["attrs"][name] = [one for one in old if one.get("datasetId") != dataset] + [new]
        self.happens(document["id"], ChangeKind.UPDATED, (name,), {name: old} if old else {})

    @rule(said=together(range(1, 5), NAMES, DATASETS))
    def remove(self, said):
        id, name, dataset = said
        document = self.entities.get(f"urn:x:{id}")
        if document is None or name not in document["attrs"]:
            return
        old = document["attrs"].pop(name)
        left = [one for one in old if one.get("datasetId") != dataset]
        if left:
            document["attrs"][name] = left
        self.happens(document["id"], ChangeKind.UPDATED, (name,), {name: old})

    @rule(id=st.integers(1, 4))
    def delete(self, id):
        document = self.entities.get(f"urn:x:{id}")
        if document is not None:
            self.happens(document["id"], ChangeKind.DELETED, tuple(document["attrs"]), {})
            del self.entities[document["id"]]

    def happens(self, entity_id, kind, attributes, before):
        document = self.entities[entity_id]
        self.sequence += 1
        change = Change(
            self.sequence,
            "",
            entity_id,
            tuple(document["type"]),
            kind,
            InformationClass.OPEN,
            orjson.dumps(document),
            attributes,
            0,
            "",
            "",
            orjson.dumps(before) if before else b"",
        )
        found = [id for one in self.matcher.concerned(Happened(change)) for id in one.asked_by]
        assert len(found) == len(set(found)), "each once"
        assert set(found) == {id for id, kept in self.kept.items() if naive(*kept, change)}

    @invariant()
    def knows_all(self):
        assert len(self.matcher) == len(self.kept)


TestSubscribing = Subscribing.TestCase
TestSubscribing.settings = settings(max_examples=500, stateful_step_count=40, deadline=None)


def test_equal_questions_are_one_rule():
    """A thousand who ask the same cost what one costs."""
    matcher = Matcher(lambda _: lambda _id: None)
    for number in range(1000):
        payload = {
            "type": "Subscription",
            "entities": [{"type": "Road"}],
            "q": f"speed>{number % 2}",
            "notification": {"endpoint": {"uri": f"https://receiver.example/{number}"}},
        }
        wanted = parse_subscription(payload, id=f"urn:s:{number}", now=NOW)
        matcher.add(Kept("", "", (InformationClass.OPEN,), wanted, None, "", 0, NOW, NOW))
    assert len(matcher._rules) == 2
