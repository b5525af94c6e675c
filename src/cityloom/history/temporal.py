"""The temporal evolution of Entities (ETSI GS CIM 009, 4.5.6 to 4.5.9, 4.5.19, 5.7.3, 5.7.4)."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from hashlib import sha256
from typing import Protocol

import msgspec
import numpy as np

from cityloom.history.model import Floats, Integers, Readings, Series, Window
from cityloom.history.periods import Step, edges_of
from cityloom.history.ports import COUNTS
from cityloom.history.queries import History, check_methods
from cityloom.kernel.actor import Actor
from cityloom.kernel.change import DEFAULT_TENANT
from cityloom.kernel.time import format_instant, from_millis, to_millis
from cityloom.ngsild.errors import OperationNotSupported, TooComplexQuery
from cityloom.ngsild.model import CONTENT_MEMBER, Document, Instance
from cityloom.ngsild.query import EntityQuery, Predicate, compile
from cityloom.ngsild.temporal_query import TemporalWindow

#: Instances in one answer; a longer evolution is cut in time, and the rest asked for with the next interval.
MOST_INSTANCES = 10_000
#: Aggregates in one answer: attributes times methods times periods.
MOST_AGGREGATES = 1_000_000


class TemporalQuery(msgspec.Struct, frozen=True):
    """What is asked. `entities` says of whom; its `q`, `geo` and `scope_q` look at how they are now."""

    entities: EntityQuery = EntityQuery()
    window: TemporalWindow = TemporalWindow()
    last_n: int | None = None
    #: Methods of 4.5.19; empty for the instances themselves.
    aggregates: tuple[str, ...] = ()
    #: The length of a period; None or no length takes the whole interval.
    period: Step | None = None
    most_instances: int = MOST_INSTANCES


class AttributeAggregates(msgspec.Struct, frozen=True):
    """Aggregates of one attribute instance: for each method (value, since, until) of each period with any."""

    name: str
    attribute_type: str
    dataset: str
    methods: dict[str, list[tuple[float, datetime, datetime]]]


class TemporalEntity(msgspec.Struct, frozen=True):
    """One Entity over time.

    `document` is in the internal form, with an attribute's instances in the order of time, each with an
    "instanceId"; it has no attributes when aggregates were asked for.
    """

    document: Document
    aggregates: tuple[AttributeAggregates, ...] = ()


class TemporalPage(msgspec.Struct, frozen=True):
    """An answer. When `cut`, it holds the instances from `since` until `until` alone (206, 6.3.10)."""

    entities: list[TemporalEntity]
    #: How many Entities there are on all pages.
    total: int
    cut: bool = False
    since: datetime | None = None
    until: datetime | None = None


class CurrentEntities(Protocol):
    """The broker, as far as the temporal evolution needs it. Called from any thread: single look-ups."""

    def find(self, actor: Actor, entity_id: str, *, tenant: str = ...) -> Document | None: ...


class TemporalHistory:
    """Answers the temporal API. Methods block: call them in a thread when on the event loop."""

    def __init__(self, history: History, broker: CurrentEntities) -> None:
        self._history = history
        self._broker = broker

    def temporal_entities(
        self, actor: Actor, query: TemporalQuery, *, tenant: str = DEFAULT_TENANT
    ) -> TemporalPage:
        """Entities that have instances in the interval, by id (5.7.4).

        Raises OperationNotSupported for timeproperty=deletedAt, BadInput for methods and steps that there
        are not.
        """
        if query.window.time_property == "deletedAt":
            raise OperationNotSupported(
                "History keeps no time of deletion of attributes",
                hint="Ask by observedAt, createdAt or modifiedAt.",
                where="timeproperty",
            )
        check_methods(query.aggregates)
        wanted = self._matching(actor, query.entities, tenant)
        ids = self._with_instances(query, wanted)
        page = ids[query.entities.offset :][: query.entities.limit]
        series = {entity_id: wanted[entity_id] for entity_id in page}
        if not page:
            return TemporalPage([], len(ids))
        if query.aggregates:
            return TemporalPage(self._aggregated(query, series), len(ids))
        return self._evolved(query, series, len(ids))

    def ids(self, actor: Actor, query: TemporalQuery, *, tenant: str = DEFAULT_TENANT) -> list[str]:
        """The ids of all Entities of which something falls into the interval (5.14.5)."""
        return self._with_instances(query, self._matching(actor, query.entities, tenant))

    def temporal_entity(
        self, actor: Actor, entity_id: str, query: TemporalQuery, *, tenant: str = DEFAULT_TENANT
    ) -> TemporalPage:
        """One Entity (5.7.3), without attributes when nothing falls into the interval. Raises NotFound."""
        self._history.raw(actor, entity_id, limit=0, tenant=tenant)
        one = msgspec.structs.replace(query.entities, ids=(entity_id,), limit=1, offset=0)
        page = self.temporal_entities(actor, msgspec.structs.replace(query, entities=one), tenant=tenant)
        if page.entities:
            return page
        types = [one.types for one in self._history.series(actor, entity_id, tenant=tenant)]
        document = self._broker.find(actor, entity_id, tenant=tenant)
        names = document["type"] if document is not None else list(types[-1])
        return TemporalPage([TemporalEntity({"id": entity_id, "type": names, "attrs": {}})], 1)

    def _matching(self, actor: Actor, query: EntityQuery, tenant: str) -> dict[str, list[Series]]:
        """The series of the Entities that match, by id in alphabetical order."""
        types = None if query.type_expression is None else query.type_expression.candidates()
        found = self._history.series(
            actor, query.ids or None, query.attrs or None, types=types, tenant=tenant
        )
        known = msgspec.structs.replace(query, q=None, geo=None, scope_q=None, attrs=())
        by_name, by_state = compile(known), compile(query)
        looks_at_state = bool(query.q or query.geo or query.scope_q)
        groups: dict[str, list[Series]] = defaultdict(list)
        for one in found:
            if not query.dataset_id or (one.key.dataset or "@none") in query.dataset_id:
                groups[one.key.entity_id].append(one)
        return {
            entity_id: groups[entity_id]
            for entity_id in sorted(groups)
            if by_name(_head(entity_id, groups[entity_id]))
            and (not looks_at_state or self._holds(actor, by_state, entity_id, tenant))
        }

    def _holds(self, actor: Actor, predicate: Predicate, entity_id: str, tenant: str) -> bool:
        document = self._broker.find(actor, entity_id, tenant=tenant)
        return document is not None and predicate(document)

    def _with_instances(self, query: TemporalQuery, wanted: dict[str, list[Series]]) -> list[str]:
        """The ids of those with an instance in the interval."""
        series = [one for group in wanted.values() for one in group]
        if not series:
            return []
        edges = np.array([_bound(query.window.since, -_FAR), _bound(query.window.until, _FAR)], np.int64)
        counts = self._history.aggregate_series(_window(query, series), edges, ["totalCount"])["totalCount"]
        there = {one.key.entity_id for one, count in zip(series, counts[:, 0], strict=True) if count}
        return [entity_id for entity_id in wanted if entity_id in there]

    def _evolved(self, query: TemporalQuery, wanted: dict[str, list[Series]], total: int) -> TemporalPage:
        series = [one for group in wanted.values() for one in group]
        window = msgspec.structs.replace(
            _window(query, series), last_n=query.last_n, by_time=True, limit=query.most_instances + 1
        )
        found = self._history.read(window)
        times = found.recorded_at if window.by_recorded else found.at
        rows, until = np.arange(len(times)), None
        if len(times) > query.most_instances:
            # What is shown ends before the last instant that was not read whole.
            until = int(times[-1])
            rows = rows[times < until] if int(times[0]) < until else rows[:-1]
        by_series = {one.id: one for one in series}
        instances: dict[int, list[Instance]] = defaultdict(list)
        for row in rows.tolist():
            number = int(found.series[row])
            instances[number].append(_instance(by_series[number], found, row))
        entities = [
            TemporalEntity(_document(entity_id, group, instances)) for entity_id, group in wanted.items()
        ]
        if until is None:
            return TemporalPage(entities, total)
        return TemporalPage(
            entities, total, cut=True, since=from_millis(int(times[0])), until=from_millis(until)
        )

    def _aggregated(self, query: TemporalQuery, wanted: dict[str, list[Series]]) -> list[TemporalEntity]:
        series = [one for group in wanted.values() for one in group]
        window = _window(query, series)
        since, until = query.window.since, query.window.until
        if since is None or until is None:
            first, last = self._extent(window)
            since, until = since or first, until or last
        edges = edges_of(since, until, query.period)
        _check_size(len(series) * len(query.aggregates) * (len(edges) - 1))
        values = self._history.aggregate_series(window, edges, query.aggregates)
        rows = {one.id: row for row, one in enumerate(series)}
        ends = [min(edge, to_millis(until)) for edge in edges[1:].tolist()]
        return [
            TemporalEntity(
                _head(entity_id, group),
                tuple(
                    _aggregates(one, {name: values[name][rows[one.id]] for name in values}, edges, ends)
                    for one in group
                ),
            )
            for entity_id, group in wanted.items()
        ]

    def _extent(self, window: Window) -> tuple[datetime, datetime]:
        """From the first reading of a window until just after its last."""
        found = self._history.read(msgspec.structs.replace(window, by_time=True))
        times = found.recorded_at if window.by_recorded else found.at
        return from_millis(int(times[0])), from_millis(int(times[-1]) + 1)


def _check_size(values: int) -> None:
    if values > MOST_AGGREGATES:
        raise TooComplexQuery(
            f"The aggregates would be more than {MOST_AGGREGATES} values",
            hint="Ask for fewer entities, a longer step, a shorter time or fewer methods.",
            where="step",
        )


_FAR = 2**61


def _bound(instant: datetime | None, far: int) -> int:
    return far if instant is None else to_millis(instant)


def _window(query: TemporalQuery, series: list[Series]) -> Window:
    asked = query.window
    observed = asked.time_property == "observedAt"
    return Window(
        np.array([one.id for one in series], np.int64),
        since=None if asked.since is None else to_millis(asked.since),
        until=None if asked.until is None else to_millis(asked.until),
        by_recorded=not observed,
        observed=observed,
    )


def _head(entity_id: str, group: list[Series]) -> Document:
    return {"id": entity_id, "type": list(group[-1].types), "attrs": {}}


def _document(entity_id: str, group: list[Series], instances: dict[int, list[Instance]]) -> Document:
    document = _head(entity_id, group)
    for one in group:
        if found := instances.get(one.id):
            document["attrs"].setdefault(one.key.attribute, []).extend(found)
    return document


def _instance_id(one: Series, found: Readings, row: int) -> str:
    """Made of what stands beside it alone: the numbers of series and changes count what is secret too."""
    said = (*one.key[1:], int(found.at[row]), int(found.recorded_at[row]), found.value(row))
    return f"urn:ngsi-ld:Instance:{sha256(repr(said).encode()).hexdigest()[:32]}"


def _instance(one: Series, found: Readings, row: int) -> Instance:
    """One instance of 4.5.7, with an instanceId that stays the same."""
    recorded = format_instant(from_millis(int(found.recorded_at[row])))
    instance: Instance = {
        "type": one.key.attribute_type,
        CONTENT_MEMBER[one.key.attribute_type]: found.value(row),
        "instanceId": _instance_id(one, found, row),
        "createdAt": recorded,
        "modifiedAt": recorded,
    }
    if found.observed[row]:
        instance["observedAt"] = format_instant(from_millis(int(found.at[row])))
    if one.key.unit_code:
        instance["unitCode"] = one.key.unit_code
    if one.key.dataset:
        instance["datasetId"] = one.key.dataset
    return instance


def _aggregates(
    one: Series, values: dict[str, Floats], edges: Integers, ends: list[int]
) -> AttributeAggregates:
    """Periods in which there is something to say: a count above 0, or a number."""
    starts = edges[:-1].tolist()
    methods = {
        name: [
            (value, from_millis(start), from_millis(end))
            for value, start, end in zip(row.tolist(), starts, ends, strict=True)
            if not np.isnan(value) and (value or name not in COUNTS)
        ]
        for name, row in values.items()
    }
    return AttributeAggregates(one.key.attribute, one.key.attribute_type, one.key.dataset, methods)
