"""The directory of series tells the same as a plain dictionary of them would."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cityloom.history.directory import SeriesDirectory
from cityloom.history.model import (
    EntityNews,
    Erasure,
    Integers,
    NewReading,
    Readings,
    Series,
    ValueKind,
    no_readings,
)
from cityloom.history.newest import NEVER, said
from cityloom.history.planning import Plan
from cityloom.history.shapes import SeriesColumns
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import ChangeKind

TENANTS = ("", "north")
ENTITIES = ("urn:a", "urn:b", "urn:c")
ATTRIBUTES = ("temperature", "status", "wind")
DATASETS = ("", "urn:d")
TYPES = (("Weather",), ("Weather", "Station"), ("Lamp",))


@st.composite
def _readings(draw):
    if draw(st.booleans()):
        kind, number, text = ValueKind.NUMBER, float(draw(st.integers(-2, 2))), None
    else:
        kind, number, text = ValueKind.TEXT, None, draw(st.sampled_from(["on", "off"]))
    return NewReading(
        draw(st.sampled_from(ATTRIBUTES)),
        draw(st.sampled_from(DATASETS)),
        "Property",
        draw(st.sampled_from(["", "CEL"])),
        draw(st.integers(0, 5)),
        kind,
        number,
        text,
        details=draw(st.sampled_from([None, None, '{"a":1}'])),
    )


@st.composite
def _news(draw):
    readings = tuple(draw(st.lists(_readings(), max_size=4)))
    standing = {one.attribute: ("",) for one in readings} if draw(st.booleans()) else {}
    every = tuple(map(int, InformationClass))
    erasures = st.builds(Erasure, st.just(every), st.sampled_from([None, *ATTRIBUTES]))
    return EntityNews(
        0,
        draw(st.sampled_from(TENANTS)),
        draw(st.sampled_from(ENTITIES)),
        draw(st.sampled_from(TYPES)),
        draw(st.sampled_from([ChangeKind.CREATED, ChangeKind.UPDATED, ChangeKind.DELETED])),
        draw(st.sampled_from([InformationClass.OPEN, InformationClass.SECURITY])),
        9,
        readings,
        standing,
        (draw(erasures),) if draw(st.integers(0, 5)) == 0 else (),
    )


_steps = st.lists(
    st.one_of(st.lists(_news(), min_size=1, max_size=4), st.integers(1, 20), st.just("load")), max_size=8
)


@settings(max_examples=100, deadline=None)
@given(_steps)
def test_the_directory_tells_what_a_dictionary_of_its_series_tells(steps):
    directory, known = SeriesDirectory(lambda _series, _ahead: no_readings()), {}
    for step in steps:
        if isinstance(step, list):
            plan = directory.plan(step)
            assert not known.keys() & plan.created.keys()
            directory.apply(plan)
            known = {
                number: one
                for number, one in sorted({**known, **plan.created, **plan.changed}.items())
                if number not in plan.forgotten
            }
        elif isinstance(step, int):
            directory.forget([step])
            known.pop(step, None)
        else:
            directory = _loaded(list(known.values()))
        _assert_same(directory, known)


def _loaded(series: list[Series]) -> SeriesDirectory:
    """A directory that is read from columns, in two parts."""
    directory = SeriesDirectory(lambda _series, _ahead: no_readings())
    kinds = sorted({(one.key.tenant, *one.key[2:]) for one in series})
    standings = sorted({(one.types, one.information_class) for one in series})
    half = len(series) // 2
    for part in (series[:half], series[half:]):
        directory.load(
            SeriesColumns(
                np.array([one.id for one in part], np.int64),
                np.array([one.key.entity_id for one in part], object),
                np.array([kinds.index((one.key.tenant, *one.key[2:])) for one in part], np.int64),
                np.array([standings.index((one.types, one.information_class)) for one in part], np.int64),
                np.array([one.retired for one in part], np.bool_),
                kinds,
                standings,
            )
        )
    return directory


def _assert_same(directory: SeriesDirectory, known: dict[int, Series]) -> None:
    for number, one in known.items():
        assert directory.get(number) == one
        assert number < directory.next_id
        together = [other.id for other in known.values() if other.key[:4] == one.key[:4]]
        assert sorted(directory.of_instance(one.key)) == together
        assert len(together) == 1 or number in directory.siblings
        live = [other.id for other in known.values() if other.key == one.key and not other.retired]
        assert directory.live(one.key) == (live[-1] if live else None)
    for tenant in TENANTS:
        here = [one for one in known.values() if one.key.tenant == tenant]
        assert directory.select(tenant) == here
        assert directory.select(tenant, types=["Station", "Lamp"]) == [
            one for one in here if not {"Station", "Lamp"}.isdisjoint(one.types)
        ]
        assert directory.select(tenant, attributes=["wind"], datasets=["urn:d"]) == [
            one for one in here if one.key[2:4] == ("wind", "urn:d")
        ]
        assert directory.select(tenant, entity_ids=["urn:a", "urn:b"], types=["Weather"]) == [
            one for one in here if one.key.entity_id != "urn:c" and "Weather" in one.types
        ]
        for entity_id in ENTITIES:
            its = [one for one in here if one.key.entity_id == entity_id]
            assert directory.of_entity(tenant, entity_id) == [one.id for one in its]
            assert directory.knows(tenant, entity_id) == bool(its)
            told = directory.standing(tenant, entity_id)
            live = {directory.code_of((one.types, one.information_class)) for one in its if not one.retired}
            assert told is None or live <= {told}


def test_a_failed_commit_leaves_nothing_behind():
    directory = SeriesDirectory(lambda _series, _ahead: no_readings())
    reading = NewReading("wind", "", "Property", "", 1, ValueKind.NUMBER, 1.0, None)
    news = EntityNews(1, "", "urn:a", ("Weather",), ChangeKind.CREATED, InformationClass.OPEN, 1, (reading,))
    directory.plan([news])
    _assert_same(directory, {})
    assert directory.next_id == 1


def test_what_is_kept_of_a_value_tells_it_from_another():
    texts = [said(ValueKind.TEXT, None, text, None) for text in ("on", "off", "")]
    numbers = [said(ValueKind.NUMBER, number, None, None) for number in (-1.0, -2.0, 0.0)]
    more = [said(ValueKind.NUMBER, number, None, '{"a":1}') for number in (-1.0, -2.0)]
    nothing = said(ValueKind.NOTHING, None, None, None)
    every = [*texts, *numbers, *more, nothing, NEVER[1:]]
    assert len(set(every)) == len(every)
    assert said(ValueKind.TEXT, None, "on", None) == texts[0]


def _of_one(instants: dict[int, int]) -> Readings:
    """Readings of the number 1 at an instant of each series."""
    series = np.array(sorted(instants), np.int64)
    at = np.array([instants[number] for number in sorted(instants)], np.int64)
    count = len(at)
    nothing, kind = np.full(count, None, object), np.full(count, ValueKind.NUMBER, np.uint8)
    return Readings(
        series=series,
        at=at,
        kind=kind,
        number=np.ones(count),
        text=nothing,
        sequence=at,
        recorded_at=at,
        observed=np.ones(count, np.bool_),
        details=nothing,
        instance=nothing,
        created_at=at,
    )


def test_whoever_is_looked_for_brings_others_with_them_and_nobody_is_taken_for_silent():
    """The store reads as much for one series as for many; what it does not come upon is asked for again."""
    told = {1: 1, 2: 2}
    asked: list[tuple[list[int], list[int]]] = []

    def newest_of(series: list[int], ahead: Integers) -> Readings:
        asked.append((series, ahead.tolist()))
        return _of_one({number: told[number] for number in (*series, *ahead.tolist()) if number in told})

    directory = SeriesDirectory(newest_of)
    directory.load(
        SeriesColumns(
            np.array([1, 2, 3], np.int64),
            np.array(["urn:a", "urn:b", "urn:c"], object),
            np.zeros(3, np.int64),
            np.zeros(3, np.int64),
            np.zeros(3, np.bool_),
            [("", "wind", "", "Property", "")],
            [(("Weather",), InformationClass.OPEN)],
        )
    )

    def comes(entity_id: str, at: int) -> Plan:
        reading = NewReading("wind", "", "Property", "", at, ValueKind.NUMBER, 1.0, None)
        kind = ChangeKind.UPDATED
        news = EntityNews(9, "", entity_id, ("Weather",), kind, InformationClass.OPEN, 1, (reading,))
        return directory.plan([news])

    assert not comes("urn:a", 1).numbers  # it is there already
    assert asked == [([1], [2, 3])]
    assert not comes("urn:b", 2).numbers
    assert comes("urn:b", 1).late == [(2, 1, 9)]
    assert len(asked) == 1
    told[3] = 7
    assert comes("urn:c", 6).late == [(3, 6, 9)]
    assert asked[1:] == [([3], [])]
    directory.unmeet([1, 2, 3])
    assert not comes("urn:c", 7).numbers
    assert asked[2:] == [([3], [1, 2])]
