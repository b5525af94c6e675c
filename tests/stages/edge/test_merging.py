"""What edges bring is merged: in whatever order they come back, and however often they say it."""

from __future__ import annotations

import copy

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityloom.edge.merging import (
    WHOLE,
    Incoming,
    Outcome,
    instant_of,
    merged,
    order_of,
    written_at,
)
from cityloom.kernel.change import ChangeKind

ID = "urn:ngsi-ld:Buoy:1"
CREATED, UPDATED, DELETED = ChangeKind.CREATED, ChangeKind.UPDATED, ChangeKind.DELETED


def value(said, mod, observed=None, dataset=None):
    item = {"type": "Property", "value": said, "createdAt": written_at(mod), "modifiedAt": written_at(mod)}
    if observed is not None:
        item["observedAt"] = written_at(observed)
    if dataset is not None:
        item["datasetId"] = dataset
    return item


def document(at, **attributes):
    times = {"createdAt": written_at(at), "modifiedAt": written_at(at)}
    return {"id": ID, "type": ["Buoy"], **times, "attrs": attributes}


class Edge:
    """One edge, with its own Entity, as the broker of an edge writes it."""

    def __init__(self) -> None:
        self.at = 0
        self.document = None
        self.said: list[Incoming] = []

    def write(self, pause, name, dataset, said, observed):
        self.at += pause
        new = value(said, self.at, observed, dataset)
        if self.document is None:
            self.document = document(self.at, **{name: [new]})
            self._say(CREATED, (name,), {})
            return
        before = self.document["attrs"].get(name, [])
        kept = [one for one in before if one.get("datasetId") != dataset]
        self._become({**self.document["attrs"], name: [*kept, new]})
        self._say(UPDATED, (name,), {name: before} if before else {})

    def remove(self, pause, name):
        self.at += pause
        if self.document is None or name not in self.document["attrs"]:
            return
        before = self.document["attrs"][name]
        self._become({key: items for key, items in self.document["attrs"].items() if key != name})
        self._say(UPDATED, (name,), {name: before})

    def delete(self, pause):
        self.at += pause
        if self.document is not None:
            self._say(DELETED, tuple(self.document["attrs"]), {})
            self.document = None

    def _become(self, attributes):
        self.document = {**self.document, "modifiedAt": written_at(self.at), "attrs": attributes}

    def _say(self, kind, names, before):
        self.said.append(Incoming(kind, copy.deepcopy(self.document), names, before, self.at))


class Centre:
    """What stands at the centre, what it remembers, what it was told of as deleted."""

    def __init__(self, standing=None) -> None:
        self.document = standing
        self.graves = {}
        self.readings = set()
        self.clashes = []

    def take(self, incoming: Incoming) -> Outcome:
        outcome = merged(copy.deepcopy(self.document), incoming, self.graves)
        self.document = outcome.document
        self.graves = {**self.graves, **outcome.graves}
        self.clashes += outcome.clashes
        if outcome.document is not None:
            for name in outcome.names:
                self._remember(name, outcome.document["attrs"].get(name, ()))
        for name, items in outcome.past.items():
            self._remember(name, items)
        return outcome

    def _remember(self, name, items):
        for item in items:
            self.readings.add((name, item.get("datasetId"), instant_of(item)))

    def present(self):
        """All that stands, in one order."""
        if self.document is None:
            return None
        return {
            (name, item.get("datasetId")): (item["value"], order_of(item))
            for name, items in self.document["attrs"].items()
            for item in items
        }


INSTANTS = st.none() | st.integers(1, 12)
PAUSES = st.integers(1, 3)
NAMES = st.sampled_from(["level", "salt"])
ACTS = st.one_of(
    st.tuples(st.just("write"), PAUSES, NAMES, st.sampled_from([None, "urn:d"]), st.integers(0, 2), INSTANTS),
    st.tuples(st.just("remove"), PAUSES, NAMES),
    st.tuples(st.just("delete"), PAUSES),
)


def edge_of(acts) -> list[Incoming]:
    edge = Edge()
    for act, *said in acts:
        getattr(edge, act)(*said)
    return edge.said


def interleaved(data, said):
    """The changes of all edges in some order; those of one edge stay in theirs."""
    waiting = [list(one) for one in said if one]
    while waiting:
        chosen = data.draw(st.integers(0, len(waiting) - 1))
        yield waiting[chosen].pop(0)
        waiting = [one for one in waiting if one]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.lists(ACTS, max_size=6), min_size=2, max_size=3), st.data())
def test_the_order_in_which_edges_come_back_makes_no_difference(acts, data):
    said = [edge_of(one) for one in acts]
    one, other = Centre(), Centre()
    for incoming in interleaved(data, said):
        one.take(incoming)
    for incoming in interleaved(data, said):
        other.take(incoming)
    assert one.present() == other.present()


@settings(max_examples=200, deadline=None)
@given(st.lists(ACTS, max_size=8), st.lists(ACTS, max_size=4), st.data())
def test_hearing_something_twice_changes_nothing(acts, others, data):
    centre = Centre()
    for incoming in interleaved(data, [edge_of(acts), edge_of(others)]):
        centre.take(incoming)
        before = centre.present(), set(centre.readings)
        centre.take(incoming)
        assert (centre.present(), centre.readings) == before


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(ACTS, max_size=6), min_size=1, max_size=3), st.data())
def test_every_reading_stands_in_the_past_or_in_the_present(acts, data):
    said = [edge_of(one) for one in acts]
    centre = Centre()
    for incoming in interleaved(data, said):
        centre.take(incoming)
    for one in said:
        for incoming in one:
            if incoming.kind is DELETED:
                continue
            for name in incoming.attributes:
                for item in incoming.document["attrs"].get(name, ()):
                    assert (name, item.get("datasetId"), instant_of(item)) in centre.readings


def changed(old, new, at, **more):
    before = {name: items for name, items in old["attrs"].items() if name in new["attrs"]}
    return Incoming(UPDATED, new, tuple(new["attrs"]), before, at, **more)


def test_the_newer_observation_stands_and_the_older_is_remembered():
    centre = Centre(document(50, level=[value(1, 50, observed=40)]))
    outcome = centre.take(changed(document(10), document(60, level=[value(2, 60, observed=30)]), 60))
    assert centre.present()["level", None][0] == 1
    assert [one["value"] for one in outcome.past["level"]] == [2]
    assert not outcome.clashes


@pytest.mark.parametrize(("written", "stands"), [(60, 2), (40, 1)])
def test_two_values_of_one_instant_are_a_conflict_and_the_one_written_later_stands(written, stands):
    centre = Centre(document(50, level=[value(1, 50, observed=30)]))
    new = document(written, level=[value(2, written, observed=30)])
    (clash,) = centre.take(changed(document(10), new, written)).clashes
    assert centre.present()["level", None][0] == stands
    assert {clash.kept["value"], clash.given_up["value"]} == {1, 2}
    assert clash.kept["value"] == stands


def test_what_both_sides_wrote_without_observing_it_is_a_conflict():
    centre = Centre(document(50, name=[value("here", 50)]))
    old = document(10, name=[value("before", 10)])
    (clash,) = centre.take(changed(old, document(60, name=[value("there", 60)]), 60)).clashes
    assert (clash.kept["value"], clash.given_up["value"]) == ("there", "here")


def test_who_corrects_what_stands_is_in_no_conflict():
    old = document(50, level=[value(1, 50, observed=30)])
    centre = Centre(copy.deepcopy(old))
    outcome = centre.take(changed(old, document(60, level=[value(2, 60, observed=30)]), 60))
    assert centre.present()["level", None][0] == 2
    assert not outcome.clashes


def test_a_deletion_takes_what_is_older_and_leaves_what_was_written_later():
    centre = Centre(document(50, level=[value(1, 50)], salt=[value(2, 20)]))
    gone = Incoming(DELETED, document(10, salt=[value(2, 20)]), ("salt",), {}, 30)
    outcome = centre.take(gone)
    assert centre.present().keys() == {("level", None)}
    assert [clash.place for clash in outcome.clashes] == [("level", "")]
    assert centre.graves == {WHOLE: 30}


def test_what_the_centre_has_deleted_comes_back_with_what_is_written_and_is_reported():
    centre = Centre()
    old = document(10, level=[value(1, 10)], salt=[value(2, 10)])
    new = {**document(60, level=[value(3, 60)]), "attrs": {**old["attrs"], "level": [value(3, 60)]}}
    outcome = centre.take(Incoming(UPDATED, new, ("level",), {"level": old["attrs"]["level"]}, 60))
    assert centre.present().keys() == {("level", None), ("salt", None)}
    assert [clash.place for clash in outcome.clashes] == [WHOLE]


def test_what_is_said_of_datasets_beside_it_stays():
    centre = Centre(document(50, level=[value(1, 50), value(9, 50, dataset="urn:d")]))
    old = document(10, level=[value(0, 10)])
    centre.take(changed(old, document(60, level=[value(2, 60)]), 60))
    assert {key: said for key, (said, _) in centre.present().items()} == {
        ("level", None): 2,
        ("level", "urn:d"): 9,
    }
    assert orjson.dumps(centre.document)


@pytest.mark.parametrize("first", [0, 1])
def test_two_values_of_one_moment_end_alike_whichever_came_first(first):
    new = [
        Incoming(CREATED, document(5, level=[value(said, 5, observed=3)]), ("level",), {}, 5)
        for said in (1, 2)
    ]
    centre = Centre()
    centre.take(new[first])
    centre.take(new[1 - first])
    assert centre.present()["level", None][0] == 2
    assert len(centre.clashes) == 1
