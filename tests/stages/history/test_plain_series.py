"""The short way to an answer over time tells what the long way tells."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from cityloom.adapters.memory.history import MemoryHistory
from cityloom.history.extraction import news_of
from cityloom.history.queries import History
from cityloom.history.temporal import TemporalHistory, TemporalQuery
from cityloom.history.temporal_representation import represent_temporal
from cityloom.kernel.actor import CITY, InformationClass
from cityloom.kernel.change import Change, ChangeKind
from cityloom.kernel.errors import NotFound
from cityloom.kernel.time import to_millis
from cityloom.ngsild.model import entity, prop, rel
from cityloom.ngsild.query import EntityQuery
from cityloom.ngsild.temporal_query import TemporalWindow

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Nothing:
    """A broker in which no Entity is."""

    def class_of(self, *_asked, **_how):
        raise NotFound("gone", hint="none")


class LongWay(TemporalHistory):
    def _at_once(self, *_asked):
        return None


moments = st.integers(0, 40).map(lambda n: NOON + timedelta(seconds=30 * n, milliseconds=7 * (n % 3)))
numbers = st.floats(allow_nan=False, allow_infinity=False)
instances = st.one_of(
    st.builds(
        prop,
        st.one_of(numbers, st.integers(-9, 9), st.booleans(), st.text(max_size=3)),
        at=st.one_of(moments, moments, st.none()),
        unit=st.sampled_from(["", "CEL", "KEL"]).map(lambda unit: unit or None),
        dataset=st.sampled_from([None, None, "urn:d:\u00e6"]),
    ),
    st.builds(rel, st.just("urn:device"), at=moments),
)
documents = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.dictionaries(st.sampled_from(["warmth", "wind"]), instances, min_size=1, max_size=2),
    ),
    min_size=2,
    max_size=12,
)
queries = st.builds(
    TemporalQuery,
    entities=st.builds(
        EntityQuery,
        attrs=st.sampled_from([(), ("warmth",)]),
        limit=st.integers(1, 4),
        offset=st.integers(0, 1),
    ),
    window=st.builds(
        TemporalWindow,
        st.sampled_from([None, NOON + timedelta(minutes=5)]),
        st.sampled_from([None, NOON + timedelta(minutes=15)]),
    ),
    last_n=st.sampled_from([None, None, 1, 2]),
    most_instances=st.sampled_from([2, 5, 100]),
    descending=st.booleans(),
)


def told(temporal, query, form):
    page = temporal.temporal_entities(CITY, query)
    shown = [represent_temporal(one, format=form) for one in page.entities]
    return orjson.loads(orjson.dumps(shown)), page.total, page.cut, page.first, page.last


@settings(max_examples=150, deadline=None)
@given(documents, queries, st.sampled_from(["normalized", "concise", "temporalValues"]))
def test_the_short_way_tells_what_the_long_way_tells(written, query, form):
    with tempfile.TemporaryDirectory() as folder:
        store = MemoryHistory(Path(folder))
        changes = [
            Change(
                *(sequence, "", f"urn:x:{number}", ("Weather",), ChangeKind.UPDATED, InformationClass.OPEN),
                orjson.dumps(entity("Weather", f"urn:x:{number}", attributes)),
                *(tuple(attributes), to_millis(NOON) + sequence, "city", ""),
            )
            for sequence, (number, attributes) in enumerate(written, 1)
        ]
        store.record([news_of(change) for change in changes], len(changes))
        history = History(store, Nothing())
        short = TemporalQuery(
            **{name: getattr(query, name) for name in query.__struct_fields__} | {"by_columns": True}
        )
        assert told(TemporalHistory(history), short, form) == told(LongWay(history), query, form)
