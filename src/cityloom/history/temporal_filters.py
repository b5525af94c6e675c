"""Which Entities match by what they were in an interval (ETSI GS CIM 009, 5.7.4.4): q, geoQ, scopeQ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import msgspec
import numpy as np

from cityloom.history.instances import instances_of
from cityloom.history.model import SCOPE, Integers, Readings, Series, ValueKind, Window
from cityloom.history.queries import History
from cityloom.ngsild.errors import TooComplexQuery
from cityloom.ngsild.geo_query import compile_geo
from cityloom.ngsild.model import Document
from cityloom.ngsild.q_language import names_of
from cityloom.ngsild.q_matching import compile_q
from cityloom.ngsild.query import EntityQuery, Predicate
from cityloom.ngsild.scope_query import compile_scopes

#: Instances that are looked at one by one to answer one query.
MOST_EXAMINED = 200_000
_FAR = 2**61

#: Half-open intervals in milliseconds.
Intervals = list[tuple[int, int]]
#: The series of each Entity.
Groups = dict[str, list[Series]]


def matching_values(history: History, query: EntityQuery, window: Window, wanted: Groups) -> Groups:
    """The Entities whose instances in the window meet `q` and the geoquery. Raises TooComplexQuery."""
    tests: list[Predicate] = []
    names: set[str] = set()
    if query.q is not None:
        tests.append(compile_q(query.q))
        names.update(names_of(query.q))
    if query.geo is not None:
        tests.append(compile_geo(query.geo))
        names.add(query.geo.geoproperty)
    if not tests or not wanted:
        return wanted
    series = {one.id: one for group in wanted.values() for one in group if one.key.attribute in names}
    found = _read(history, window, series)
    documents: dict[str, Document] = {
        entity_id: {"id": entity_id, "type": list(group[-1].types), "attrs": {}}
        for entity_id, group in wanted.items()
    }
    for number, instance in instances_of(series, found):
        if "deletedAt" not in instance:
            key = series[number].key
            documents[key.entity_id]["attrs"].setdefault(key.attribute, []).append(instance)
    return {
        entity_id: group
        for entity_id, group in wanted.items()
        if all(test(documents[entity_id]) for test in tests)
    }


def matching_scopes(
    history: History, query: EntityQuery, window: Window, wanted: Groups
) -> tuple[Groups, dict[str, Intervals]]:
    """The Entities that had a matching scope in the window, and when they had it (4.18, 4.19).

    A scope holds from when it was set until it was changed or removed. Without a scope query all match, and
    there are no intervals. Raises TooComplexQuery.
    """
    if query.scope_q is None:
        return wanted, {}
    matches = compile_scopes(query.scope_q)
    series = {one.id: one for group in wanted.values() for one in group if one.key.attribute == SCOPE}
    # What was set before the window may hold in it.
    before = msgspec.structs.replace(window, since=None, marks="with", by_recorded=False, by_created=False)
    found = _read(history, before, series)
    courses: dict[str, list[tuple[int, list[str]]]] = defaultdict(list)
    for row, number in enumerate(found.series.tolist()):
        courses[series[number].key.entity_id].append(_scopes_from(found, row))
    held: dict[str, Intervals] = {}
    first = -_FAR if window.since is None else window.since
    last = _FAR if window.until is None else window.until
    for entity_id, course in courses.items():
        course.sort(key=lambda step: step[0])
        ends = [since for since, _ in course[1:]] + [_FAR]
        intervals = [
            (max(since, first), min(end, last))
            for (since, scopes), end in zip(course, ends, strict=True)
            if matches({"scope": scopes}) and max(since, first) < min(end, last)
        ]
        if intervals:
            held[entity_id] = intervals
    return {entity_id: group for entity_id, group in wanted.items() if entity_id in held}, held


def inside(times: Integers, intervals: Intervals) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which instants lie in one of the intervals."""
    held = np.zeros(len(times), np.bool_)
    for since, until in intervals:
        held |= (times >= since) & (times < until)
    return held


def _scopes_from(found: Readings, row: int) -> tuple[int, list[str]]:
    if found.kind[row] == ValueKind.NOTHING:
        return int(found.created_at[row]), []
    said = found.value(row)
    return int(found.at[row]), [said] if isinstance(said, str) else list(said)


def _read(history: History, window: Window, series: Iterable[int]) -> Readings:
    numbers = np.array(list(series), np.int64)
    found = history.read(msgspec.structs.replace(window, series=numbers, limit=MOST_EXAMINED + 1))
    if len(found.at) > MOST_EXAMINED:
        raise TooComplexQuery(
            f"The query looks at more than {MOST_EXAMINED} instances one by one",
            hint="Narrow it by type, id or time.",
        )
    return found
