"""The current state's indices."""

from __future__ import annotations

import pytest

from cityloom.context.keeping import pack
from cityloom.context.places import Places
from cityloom.context.ports import Folded
from cityloom.context.state import CurrentState
from cityloom.kernel.actor import InformationClass

OPEN = (InformationClass.OPEN,)
ALL = tuple(InformationClass)
SQUARE = (0.0, 0.0, 1.0, 1.0)


def folded(created: int, **fields) -> Folded:
    return Folded(
        **{
            "created": created,
            "tenant": "",
            "entity_id": f"urn:{created}",
            "types": ("Thing",),
            "information_class": InformationClass.OPEN,
            "document": b"{}",
            "sequence": created,
            "bounds": None,
            "references": (),
            **fields,
        }
    )


@pytest.fixture
def state():
    return CurrentState()


@pytest.mark.parametrize(
    ("bounds", "touches"),
    [
        ((1.0, 1.0, 2.0, 2.0), True),
        ((-1.0, -1.0, 0.0, 0.0), True),
        ((-5.0, -5.0, 5.0, 5.0), True),
        ((0.4, 0.4, 0.6, 0.6), True),
        ((-1.0, 0.5, 3.0, 0.6), True),
        ((1.1, 0.0, 2.0, 1.0), False),
        ((-2.0, 0.0, -0.1, 1.0), False),
        ((0.0, 1.1, 1.0, 2.0), False),
        ((0.0, -2.0, 1.0, -0.1), False),
    ],
)
def test_within_finds_boxes_that_touch(state, bounds, touches):
    state.load(folded(1, bounds=bounds))
    assert bool(state.within("", SQUARE, ALL)) is touches


def test_within_keeps_boxes_while_it_grows(state):
    for number in range(1, 500):
        state.load(folded(number, bounds=(number / 1000,) * 4))
        if number % 7 == 0:
            assert len(state.within("", SQUARE, ALL)) == number
    assert [held.created for held in state.within("", (0.01, 0.0, 0.012, 1.0), ALL)] == [10, 11, 12]


def test_lists_are_in_the_order_of_creation_over_classes_and_late_comers(state):
    for created in (5, 2, 9, 1, 7):
        state.load(
            folded(
                created,
                information_class=ALL[created % 3],
                bounds=(0.5, 0.5, 0.5, 0.5),
                references=("urn:target",),
            )
        )
    wanted = [1, 2, 5, 7, 9]
    assert [held.created for held in state.all("", ALL)] == wanted
    assert [held.created for held in state.of_types("", ["Thing"], ALL)] == wanted
    assert [held.created for held in state.within("", SQUARE, ALL)] == wanted
    assert [held.created for held in state.referrers("", "urn:target", ALL)] == wanted
    assert [held.created for held in state.all("", OPEN)] == [9]


def test_count_and_types_count_what_is_cleared(state):
    state.load(folded(1))
    state.load(folded(2, types=("Thing", "Road"), information_class=InformationClass.SECURITY))
    assert (state.count("", ALL), state.count("", OPEN)) == (2, 1)
    assert (state.count("", ALL, "Road"), state.count("", OPEN, "Road")) == (1, 0)
    assert state.types("", ALL) == {"Road": 1, "Thing": 2}
    assert state.types("", OPEN) == {"Thing": 1}
    assert state.count("elsewhere", ALL) == 0


def test_rows_take_a_new_place_before_and_after_they_were_asked():
    places = Places()
    places.add(0, (9.0, 9.0, 9.0, 9.0))
    places.move(0, (0.5, 0.5, 0.5, 0.5))
    assert places.within(SQUARE).tolist() == [0]
    places.move(0, (9.0, 9.0, 9.0, 9.0))
    assert places.within(SQUARE).tolist() == []
    places.move(0, None)
    assert places.within((8.0, 8.0, 10.0, 10.0)).tolist() == []


def test_rows_of_an_older_city_hold_whole_documents(state):
    times = b'"createdAt":"2026-01-01T00:00:00Z","modifiedAt":"2026-01-02T00:00:00Z"}'
    whole = b'{"id":"urn:1","attrs":{"a":[{"value":1,' + times + b"]}," + times
    state.load(folded(1, document=whole))
    state.load(folded(2, document=pack(whole)))
    first, second = state.all("", OPEN)
    assert first.kept == second.kept == pack(whole) != whole
    assert first.document == second.document == whole
