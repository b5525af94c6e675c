"""The temporal evolution of Entities (ETSI GS CIM 009, 4.5.6 to 4.5.9, 4.5.19, 5.7.3, 5.7.4)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

import msgspec
import numpy as np

from cityloom.history.instances import instances_of
from cityloom.history.model import SCOPE, Integers, Readings, Series, Window
from cityloom.history.periods import Step
from cityloom.history.plain_series import PlainSeries, plain_series
from cityloom.history.queries import History, check_methods
from cityloom.history.temporal_aggregates import AttributeAggregates, aggregates_of
from cityloom.history.temporal_filters import Groups, Intervals, inside, matching_scopes, matching_values
from cityloom.kernel.actor import Actor
from cityloom.kernel.change import DEFAULT_TENANT
from cityloom.kernel.time import from_millis, to_millis
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.model import Document, Instance
from cityloom.ngsild.query import EntityQuery, compile
from cityloom.ngsild.temporal_query import TemporalWindow

#: Instances in one answer; a longer evolution is cut in time, and the rest asked for with the next interval.
MOST_INSTANCES = 10_000
_FAR = 2**61


class TemporalQuery(msgspec.Struct, frozen=True):
    """What is asked. `entities` says of whom; its `q`, `geo` and `scope_q` look into the window."""

    entities: EntityQuery = EntityQuery()
    window: TemporalWindow = TemporalWindow()
    #: Only so many newest instances of each attribute and dataset; an answer is cut at its old end then.
    last_n: int | None = None
    #: Methods of 4.5.19; empty for the instances themselves.
    aggregates: tuple[str, ...] = ()
    #: The length of a period; None or no length takes the whole interval.
    period: Step | None = None
    most_instances: int = MOST_INSTANCES
    #: Entities by id from the last to the first.
    descending: bool = False
    #: Attributes that are observed numbers and nothing more come as columns. They have no system's times.
    by_columns: bool = False


class TemporalEntity(msgspec.Struct, frozen=True):
    """One Entity over time.

    `document` is in the internal form, with an attribute's instances in the order of time, each with an
    "instanceId", and its scopes as an attribute `SCOPE`; it has no attributes when aggregates were asked for.
    """

    document: Document
    aggregates: tuple[AttributeAggregates, ...] = ()
    #: Attributes, with their types, that have instances only beyond where the answer was cut.
    beyond: dict[str, str] = {}
    #: Attributes that are told by columns and are not in `document`.
    plain: dict[str, PlainSeries] = {}


class TemporalPage(msgspec.Struct, frozen=True):
    """An answer. When `cut`, its instances reach from `first` to `last`, and there are more (206, 6.3.10)."""

    entities: list[TemporalEntity]
    #: How many Entities there are on all pages.
    total: int
    cut: bool = False
    first: datetime | None = None
    last: datetime | None = None


class TemporalHistory:
    """Answers the temporal API. Methods block: call them in a thread when on the event loop."""

    def __init__(self, history: History) -> None:
        self._history = history

    def knows_tenant(self, actor: Actor, tenant: str) -> bool:
        """Whether anything is remembered of a tenant that the actor may see."""
        return self._history.knows_tenant(actor, tenant)

    def temporal_entities(
        self, actor: Actor, query: TemporalQuery, *, tenant: str = DEFAULT_TENANT
    ) -> TemporalPage:
        """Entities that have instances in the interval, by id (5.7.4).

        Raises BadInput for methods and steps that there are not, TooComplexQuery.
        """
        check_methods(query.aggregates)
        known = self._known(actor, query.entities, tenant)
        at_once = self._at_once(query, _chosen(query.entities, known))
        if at_once is not None:
            return at_once
        chosen, counts, ids, scopes = self._matching(query, known)
        page = ids[query.entities.offset :][: query.entities.limit]
        if not page:
            return TemporalPage([], len(ids))
        groups = {entity_id: chosen[entity_id] for entity_id in page}
        if query.aggregates:
            return TemporalPage(self._aggregated(query, groups), len(ids))
        return self._evolved(query, groups, len(ids), {one: counts[one] for one in page}, scopes)

    def ids(self, actor: Actor, query: TemporalQuery, *, tenant: str = DEFAULT_TENANT) -> list[str]:
        """The ids of all Entities of which something falls into the interval (5.14.5)."""
        return self._matching(query, self._known(actor, query.entities, tenant))[2]

    def visible_of(self, actor: Actor, ids: Sequence[str], *, tenant: str = DEFAULT_TENANT) -> list[str]:
        """Those of some Entities of which something is remembered that the actor may see."""
        if not ids:
            return []
        found = self._history.series(actor, ids, whole=True, tenant=tenant)
        seen = {one.key.entity_id for one in found}
        return [one for one in ids if one in seen]

    def temporal_entity(
        self, actor: Actor, entity_id: str, query: TemporalQuery, *, tenant: str = DEFAULT_TENANT
    ) -> TemporalPage:
        """One Entity (5.7.3). Raises NotFound, also when nothing falls into the interval."""
        self._history.check_known(actor, entity_id, tenant=tenant)
        one = msgspec.structs.replace(query.entities, ids=(entity_id,), limit=1, offset=0)
        page = self.temporal_entities(actor, msgspec.structs.replace(query, entities=one), tenant=tenant)
        if page.entities:
            return page
        raise ResourceNotFound(
            f"Nothing of this is remembered of {entity_id} in the interval",
            hint="Widen the interval, name other attributes, or ask by timeproperty=modifiedAt.",
            where="entityId",
        )

    def _at_once(self, query: TemporalQuery, chosen: Groups) -> TemporalPage | None:
        """The answer where nothing but the time filters and all fits one page; None where it does not."""
        asked = query.entities
        filters = asked.q is not None or asked.geo is not None or asked.scope_q is not None
        if filters or query.aggregates or asked.offset or len(chosen) > asked.limit:
            return None
        ids = sorted(chosen, reverse=query.descending)
        groups = {entity_id: chosen[entity_id] for entity_id in ids if chosen[entity_id]}
        if not groups:
            return TemporalPage([], 0)
        page = self._evolved(query, groups, len(groups), groups, {})
        if page.cut:
            return None
        entities = [one for one in page.entities if one.document["attrs"] or one.plain]
        return TemporalPage(entities, len(entities))

    def _matching(
        self, query: TemporalQuery, known: Groups
    ) -> tuple[Groups, Groups, list[str], dict[str, Intervals]]:
        """The series asked for, those of them with instances in the interval, the ids of the Entities that
        match in their order, and when these were in a scope that was asked for."""
        chosen = _chosen(query.entities, known)
        counts = self._counts(query, chosen)
        there = {entity_id: known[entity_id] for entity_id in chosen if counts.get(entity_id)}
        there = matching_values(self._history, query.entities, _window(query, []), there)
        there, scopes = matching_scopes(self._history, query.entities, _window(query, []), there)
        return chosen, counts, sorted(there, reverse=query.descending), scopes

    def _known(self, actor: Actor, query: EntityQuery, tenant: str) -> Groups:
        """All series of the Entities that match by id and type."""
        types = None if query.type_expression is None else query.type_expression.candidates()
        found = self._history.series(actor, query.ids or None, types=types, whole=True, tenant=tenant)
        by_name = compile(
            msgspec.structs.replace(query, q=None, geo=None, scope_q=None, attrs=(), order_by=())
        )
        groups: Groups = defaultdict(list)
        for one in found:
            groups[one.key.entity_id].append(one)
        return {entity_id: group for entity_id, group in groups.items() if by_name(_head(entity_id, group))}

    def _counts(self, query: TemporalQuery, wanted: Groups) -> Groups:
        """Of each Entity with instances in the interval the series that have them."""
        series = [one for group in wanted.values() for one in group]
        if not series:
            return {}
        window = _window(query, series)
        edges = np.array(
            [-_FAR if window.since is None else window.since, _FAR if window.until is None else window.until],
            np.int64,
        )
        counts = self._history.aggregate_series(window, edges, ["totalCount"])["totalCount"]
        there: dict[str, list[Series]] = defaultdict(list)
        for one, count in zip(series, counts[:, 0].tolist(), strict=True):
            if count:
                there[one.key.entity_id].append(one)
        return there

    def _evolved(
        self,
        query: TemporalQuery,
        groups: Groups,
        total: int,
        filled: Groups,
        scopes: dict[str, Intervals],
    ) -> TemporalPage:
        series = {one.id: one for group in filled.values() for one in group}
        backwards = query.last_n is not None
        window = msgspec.structs.replace(
            _window(query, list(series.values())),
            last_n=query.last_n,
            by_time=True,
            backwards=backwards,
            limit=query.most_instances + 1,
        )
        found = self._history.read(window)
        times = _times(found, window)
        cut = len(times) > query.most_instances
        rows = _shown_rows(times, cut, backwards)
        if scopes:
            rows = rows[_while_in_scope(found, times, rows, series, scopes)]
        shown = found.taken(rows)
        columns: dict[str, dict[str, PlainSeries]] = defaultdict(dict)
        if query.by_columns and not scopes:
            plain, rest = plain_series(series, shown)
            shown = shown.taken(rest)
            for one in plain.values():
                columns[one.key.entity_id][one.key.attribute] = one
        told: dict[str, dict[str, list[Instance]]] = defaultdict(dict)
        for number, instance in instances_of(series, shown):
            key = series[number].key
            told[key.entity_id].setdefault(key.attribute, []).append(instance)
        if scopes:
            self._carry_scopes(query, groups, scopes, told)
        if query.last_n is not None:
            _keep_last(told, query.last_n)
        entities = [
            TemporalEntity(
                {**_head(entity_id, group), "attrs": _in_order(group, told[entity_id])},
                beyond=_beyond(filled[entity_id], {*told[entity_id], *columns[entity_id]}) if cut else {},
                plain=columns[entity_id],
            )
            for entity_id, group in groups.items()
        ]
        if not cut:
            return TemporalPage(entities, total)
        seen = times[rows]
        first, last = (int(seen.min()), int(seen.max())) if len(seen) else (int(times[0]), int(times[-1]))
        return TemporalPage(entities, total, cut=True, first=from_millis(first), last=from_millis(last))

    def _carry_scopes(
        self,
        query: TemporalQuery,
        groups: Groups,
        scopes: dict[str, Intervals],
        told: dict[str, dict[str, list[Instance]]],
    ) -> None:
        """A scope that was looked for is shown although it was set before the interval (annex C.5.16)."""
        if query.window.since is None:
            return
        series = {one.id: one for group in groups.values() for one in group if one.key.attribute == SCOPE}
        before = Window(np.array(list(series), np.int64), until=to_millis(query.window.since), last_n=1)
        for number, instance in instances_of(series, self._history.read(before)):
            entity_id = series[number].key.entity_id
            if any(since == before.until for since, _ in scopes.get(entity_id, ())):
                told[entity_id].setdefault(SCOPE, []).insert(0, instance)

    def _aggregated(self, query: TemporalQuery, groups: Groups) -> list[TemporalEntity]:
        series = [one for group in groups.values() for one in group if one.key.attribute != SCOPE]
        found = aggregates_of(
            self._history,
            msgspec.structs.replace(_window(query, series), marks="none", last_n=query.last_n),
            series,
            query.aggregates,
            query.period,
            query.entities.attrs,
        )
        return [
            TemporalEntity(
                _head(entity_id, group),
                tuple(
                    found[one.id] for one in group if one.id in found and any(found[one.id].methods.values())
                ),
            )
            for entity_id, group in groups.items()
        ]


def _chosen(query: EntityQuery, known: Groups) -> Groups:
    """The series of the attributes and datasets that are asked for."""
    attributes, datasets = frozenset(query.attrs), frozenset(query.dataset_id)
    if not attributes and not datasets:
        return known
    return {
        entity_id: [
            one
            for one in group
            if (not attributes or one.key.attribute in attributes)
            and (not datasets or (one.key.dataset or "@none") in datasets)
        ]
        for entity_id, group in known.items()
    }


def _window(query: TemporalQuery, series: list[Series]) -> Window:
    asked = query.window
    observed = asked.time_property == "observedAt"
    deleted = asked.time_property == "deletedAt"
    return Window(
        np.array([one.id for one in series], np.int64),
        since=None if asked.since is None else to_millis(asked.since),
        until=None if asked.until is None else to_millis(asked.until),
        by_recorded=asked.time_property == "modifiedAt",
        by_created=deleted or asked.time_property == "createdAt",
        observed=observed,
        marks="only" if deleted else "with",
    )


def _times(found: Readings, window: Window) -> Integers:
    if window.by_created:
        return found.created_at
    return found.recorded_at if window.by_recorded else found.at


def _shown_rows(times: Integers, cut: bool, backwards: bool) -> Integers:
    """The rows that are shown, oldest first. A cut leaves out the last instant that was not read whole."""
    rows = np.arange(len(times))
    if cut:
        end = times[-1]
        whole = rows[times > end] if backwards else rows[times < end]
        rows = whole if len(whole) else rows[:-1]
    return rows[::-1] if backwards else rows


def _while_in_scope(
    found: Readings,
    times: Integers,
    rows: Integers,
    series: dict[int, Series],
    scopes: dict[str, Intervals],
) -> Integers:
    """Places in `rows` of those instances that were while the Entity was in scope."""
    numbers = found.series[rows]
    kept = np.zeros(len(rows), np.bool_)
    for number, one in series.items():
        here = numbers == number
        kept[here] = inside(times[rows[here]], scopes.get(one.key.entity_id, []))
    return np.flatnonzero(kept)


def _keep_last(told: dict[str, dict[str, list[Instance]]], last_n: int) -> None:
    """A changed unit begins a new series: of both together so many are the last."""
    for attributes in told.values():
        for name, instances in attributes.items():
            left: dict[str, int] = defaultdict(lambda: last_n)
            kept = []
            for instance in reversed(instances):
                dataset = instance.get("datasetId", "")
                left[dataset] -= 1
                if left[dataset] >= 0:
                    kept.append(instance)
            attributes[name] = kept[::-1]


def _beyond(filled: list[Series], told: set[str]) -> dict[str, str]:
    """Attributes that have instances in the interval, of which none is shown."""
    return {one.key.attribute: one.key.attribute_type for one in filled if one.key.attribute not in told}


def _in_order(group: list[Series], told: dict[str, list[Instance]]) -> dict[str, list[Instance]]:
    """Attributes in the order in which they were first remembered."""
    names = dict.fromkeys(one.key.attribute for one in group)
    return {name: told[name] for name in names if name in told}


def _head(entity_id: str, group: list[Series]) -> Document:
    # The types of the series that follows the Entity now, where there is one.
    newest = next((one for one in reversed(group) if not one.retired), group[-1])
    return {"id": entity_id, "type": list(newest.types), "attrs": {}}
