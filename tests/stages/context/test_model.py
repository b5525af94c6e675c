"""The broker on files against a model: plain dicts that do the same without indices, threads or files.

Random commands, some at the same moment, restarts and crashes in between. At every step the broker must
know what the model knows; at the end the feed must tell the same story from the first change to the last.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cityloom.adapters.sqlite.feed import SqliteFeed
from cityloom.adapters.sqlite.state_table import SqliteStateTable
from cityloom.context.broker import Broker
from cityloom.context.keeping import unpack
from cityloom.kernel.actor import ANONYMOUS, CITY, InformationClass
from cityloom.kernel.change import ChangeKind
from cityloom.kernel.errors import CityError
from cityloom.kernel.time import WallClock
from cityloom.ngsild.model import content, entity, point, prop, rel

IDS = [f"urn:ngsi-ld:Thing:{number}" for number in range(5)]
TYPES = ["Road", "Park"]
TIMES = {"createdAt", "modifiedAt"}

ids = st.sampled_from(IDS)
attributes = st.fixed_dictionaries(
    {},
    optional={
        "speed": st.integers(0, 3).map(prop),
        "name": st.sampled_from(["a", "b"]).map(prop),
        "next": ids.map(rel),
        "location": st.integers(0, 3).map(lambda east: point(float(east), 50.0)),
    },
)
classes = st.sampled_from(list(InformationClass))


class Known:
    """What the model knows of one Entity: type, class, and what each attribute says."""

    def __init__(self, kind: str, information_class: InformationClass, said: dict[str, Any]):
        self.kind = kind
        self.information_class = information_class
        self.said = said


def said_by(items: dict[str, Any]) -> dict[str, Any]:
    return {name: content(item) for name, item in items.items()}


def bare(document: dict[str, Any]) -> dict[str, Any]:
    return {name: content(items[0]) for name, items in document["attrs"].items()}


class BrokerAgainstModel(RuleBasedStateMachine):
    #: Where each run has a folder of its own.
    below: ClassVar[Path]

    def __init__(self):
        super().__init__()
        self.folder = self.new_folder()
        self.loop = asyncio.new_event_loop()
        self.known: dict[str, Known] = {}
        self.changes = 0
        self.open()

    # Life

    def new_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.below))

    def open(self):
        self.feed = SqliteFeed(self.folder / "feed.db")
        self.table = SqliteStateTable(self.folder / "state.db")
        self.broker = Broker(self.feed, self.table, WallClock())
        self.run(self.broker.start())

    def run(self, awaitable):
        return self.loop.run_until_complete(awaitable)

    @rule()
    def restart(self):
        self.run(self.broker.stop())
        self.feed.close()
        self.table.close()
        self.open()

    @rule()
    def crash(self):
        """The files as they are while the city runs, as a process killed now would leave them."""
        left = self.new_folder()
        for name in ("feed.db", "feed.db-wal", "state.db", "state.db-wal"):
            if (self.folder / name).exists():
                shutil.copy(self.folder / name, left / name)
        self.run(self.broker.stop())
        self.feed.close()
        self.table.close()
        shutil.rmtree(self.folder)
        self.folder = left
        self.open()

    @rule()
    def fold(self):
        self.run(self.broker._folding._round())

    def teardown(self):
        self.run(self.broker.stop())
        self.tell_the_same_story()
        self.feed.close()
        self.table.close()
        self.loop.close()
        shutil.rmtree(self.folder)

    # Commands

    def attempt(self, command, expected: bool):
        """Run a command that must succeed or be refused, as the model says."""
        try:
            change = self.run(command)
        except CityError:
            assert not expected
            return
        assert expected
        self.changes += 1
        assert change.sequence == self.changes

    @rule(one=ids, kind=st.sampled_from(TYPES), items=attributes, information_class=classes)
    def create(self, one, kind, items, information_class):
        new = one not in self.known
        self.attempt(
            self.broker.create(CITY, entity(kind, one, items), information_class=information_class), new
        )
        if new:
            self.known[one] = Known(kind, information_class, said_by(items))

    @rule(one=ids, items=attributes, overwrite=st.booleans())
    def append(self, one, items, overwrite):
        fragment = {"attrs": {name: [item] for name, item in items.items()}}
        self.attempt(self.broker.append(CITY, one, fragment, overwrite=overwrite), one in self.known)
        if one in self.known:
            old = self.known[one].said
            self.known[one].said = old | said_by(items) if overwrite else said_by(items) | old

    @rule(one=ids, kind=st.sampled_from(TYPES), items=attributes)
    def replace(self, one, kind, items):
        self.attempt(self.broker.replace(CITY, one, entity(kind, one, items)), one in self.known)
        if one in self.known:
            self.known[one] = Known(kind, self.known[one].information_class, said_by(items))

    @rule(one=ids)
    def delete(self, one):
        self.attempt(self.broker.delete(CITY, one), one in self.known)
        self.known.pop(one, None)

    @rule(one=ids, name=st.sampled_from(["speed", "location", "next"]))
    def delete_attribute(self, one, name):
        there = one in self.known and name in self.known[one].said
        self.attempt(self.broker.delete_attribute(CITY, one, name), there)
        if there:
            del self.known[one].said[name]

    @rule(one=ids, information_class=classes)
    def classify(self, one, information_class):
        self.attempt(self.broker.classify(CITY, one, information_class), one in self.known)
        if one in self.known:
            self.known[one].information_class = information_class

    @rule(batch=st.lists(st.tuples(ids, attributes), max_size=6), update=st.booleans())
    def upsert_many(self, batch, update):
        documents = [entity("Road", one, items) for one, items in batch]
        outcome = self.run(self.broker.upsert_many(CITY, documents, update=update))
        assert outcome.errors == []
        created, updated = [], []
        for one, items in batch:
            before = self.known.get(one)
            (created if before is None else updated).append(one)
            if before is None:
                self.known[one] = Known("Road", InformationClass.OPEN, said_by(items))
            elif update:
                kinds = {*before.kind.split("+"), "Road"}
                before.kind = "+".join(sorted(kinds))
                before.said = before.said | said_by(items)
            else:
                self.known[one] = Known("Road", before.information_class, said_by(items))
        assert (outcome.created, outcome.updated) == (created, updated)
        self.changes += len(batch)

    @rule(one=ids, speeds=st.lists(st.integers(0, 9), min_size=2, max_size=5))
    def update_at_once(self, one, speeds):
        """Several writers at the same moment: the last one called wins."""
        if one not in self.known:
            return

        async def together():
            await asyncio.gather(
                *(self.broker.append(CITY, one, {"attrs": {"speed": [prop(speed)]}}) for speed in speeds)
            )

        self.run(together())
        self.known[one].said["speed"] = speeds[-1]
        self.changes += len(speeds)

    # What must hold

    @invariant()
    def knows_what_the_model_knows(self):
        for actor in (CITY, ANONYMOUS):
            seen = {one: known for one, known in self.known.items() if actor.sees(known.information_class)}
            for one in IDS:
                found = self.broker.find(actor, one)
                assert (found is not None) == (one in seen)
                if found is not None:
                    assert bare(found) == seen[one].said
                    assert set(found["type"]) == set(seen[one].kind.split("+"))
            counts = dict.fromkeys(TYPES, 0)
            for known in seen.values():
                for kind in known.kind.split("+"):
                    counts[kind] += 1
            assert self.broker.types(actor) == {kind: count for kind, count in counts.items() if count}
            for target in IDS:
                pointing = {one for one, known in seen.items() if known.said.get("next") == target}
                assert set(self.broker.referrers(actor, target)) == pointing
            box = (0.5, 49.0, 2.5, 51.0)
            near = {held.entity_id for held in self.broker._state.within("", box, actor.clearance)}
            assert near == {
                one
                for one, known in seen.items()
                if "location" in known.said and 1 <= known.said["location"]["coordinates"][0] <= 2
            }

    @invariant()
    def has_counted_every_change(self):
        assert self.broker.last_sequence == self.changes

    def tell_the_same_story(self):
        """What a stage that follows the feed from its beginning would believe in the end."""
        believed: dict[str, Any] = {}
        changes = self.feed.read(0, 100_000)
        assert [change.sequence for change in changes] == list(range(1, self.changes + 1))
        for change in changes:
            if change.kind is ChangeKind.DELETED:
                del believed[change.entity_id]
            else:
                assert (change.kind is ChangeKind.CREATED) == (change.entity_id not in believed)
                believed[change.entity_id] = (change.information_class, bare(orjson.loads(change.document)))
        assert believed == {one: (known.information_class, known.said) for one, known in self.known.items()}
        rows = {row.entity_id: bare(orjson.loads(unpack(row.document))) for row in self.table.load()}
        assert rows == {one: known.said for one, known in self.known.items()}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(BrokerAgainstModel, "below", tmp_path, raising=False)


BrokerAgainstModel.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestTheBrokerKnowsWhatTheModelKnows = BrokerAgainstModel.TestCase
