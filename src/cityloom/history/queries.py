"""What may be asked of the past. Everything takes the Actor and sees what the Actor may see."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cityloom.history.answers import Aggregated, Coverage, Matrix
from cityloom.history.gaps import gaps_of
from cityloom.history.links import TYPE_TARGET
from cityloom.history.model import SCOPE, Floats, Integers, Reading, Readings, Series, Statistics, Window
from cityloom.history.periods import Step, edges_of
from cityloom.history.pools import CellSummary, Held, Holding, Pool, PooledSeries, narrowed, pooled
from cityloom.history.ports import AGGREGATE_METHODS, CurrentClasses, HistoryStore
from cityloom.history.retention import RetainingStore
from cityloom.history.visibility import Visibility
from cityloom.history.windows import ids_of, readings_of, window_of
from cityloom.kernel.actor import Actor
from cityloom.kernel.change import DEFAULT_TENANT
from cityloom.kernel.errors import BadInput
from cityloom.kernel.time import from_millis, to_millis

#: Cells of the largest table that is worked out in one query.
MOST_CELLS = 20_000_000
#: For a time-weighted mean: how far back the value at the beginning is looked for.
LOOK_BACK = timedelta(days=7)

#: Types of attributes whose readings are measurements, places and links.
_MEASURABLE = frozenset({"Property", "Relationship", "GeoProperty"})

#: The methods of `aggregate` beside those of NGSI-LD.
TIME_WEIGHTED = "timeWeightedAvg"
COVERED = "coveredMilliseconds"


class History:
    """The past of the city. Methods block while they read: call them in a thread when on the event loop.

    `target` is an Entity's id or "type:Name". Instants are aware; intervals are half-open. Raises NotFound
    when the actor sees no such Entity and no history of it.
    """

    def __init__(self, store: HistoryStore, broker: CurrentClasses) -> None:
        self._store = store
        self._visibility = Visibility(broker)

    def series(
        self,
        actor: Actor,
        target: str | Sequence[str] | None,
        attributes: Sequence[str] | None = None,
        *,
        types: Sequence[str] | None = None,
        dataset: str | None = None,
        whole: bool = False,
        tenant: str = DEFAULT_TENANT,
    ) -> list[Series]:
        """The series of an Entity, of several, of a type or (None) of all that the actor may see.

        `types`: only of Entities that have one of these. `dataset`: None for every instance, "" for the
        default one. Without `whole` only what can be measured: no texts in languages, lists, objects or
        scopes, unless they are named. Empty when nothing is remembered.
        """
        datasets = None if dataset is None else [dataset]
        if isinstance(target, str) and target.startswith(TYPE_TARGET):
            types = [target.removeprefix(TYPE_TARGET)]
            found = self._store.series(tenant, types=types, attributes=attributes, datasets=datasets)
        else:
            ids = [target] if isinstance(target, str) else target
            found = self._store.series(
                tenant, entity_ids=ids, types=types, attributes=attributes, datasets=datasets
            )
        if not whole and attributes is None:
            found = [
                one for one in found if one.key.attribute_type in _MEASURABLE and one.key.attribute != SCOPE
            ]
        return self._visibility.visible(actor, found)

    def check_known(self, actor: Actor, entity_id: str, *, tenant: str = DEFAULT_TENANT) -> None:
        """Raises NotFound when there is neither history nor an Entity that the actor sees."""
        self._visibility.must_see(
            actor, entity_id, self.series(actor, entity_id, whole=True, tenant=tenant), tenant
        )

    def knows_tenant(self, actor: Actor, tenant: str) -> bool:
        """Whether anything is remembered of a tenant that the actor may see."""
        # One Entity after the other: all series of a large tenant would be millions of objects.
        return any(
            self._visibility.sees_now(actor, tenant, entity_id)
            and self._visibility.visible(actor, self._store.series(tenant, entity_ids=[entity_id]))
            for entity_id in self._store.entities(tenant)
        )

    def raw(
        self,
        actor: Actor,
        entity_id: str,
        attributes: Sequence[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        last_n: int | None = None,
        *,
        limit: int = 100_000,
        dataset: str | None = None,
        corrected: bool = False,
        tenant: str = DEFAULT_TENANT,
    ) -> list[Reading]:
        """Readings of an Entity by attribute, dataset and time; `corrected` shows what was replaced too."""
        series = self.series(actor, entity_id, attributes, dataset=dataset, tenant=tenant)
        self._visibility.must_see(actor, entity_id, series, tenant)
        window = window_of(series, since, until, last_n=last_n, limit=limit, corrected=corrected)
        return readings_of(series, self._store.raw(window))

    def rolled_up(
        self, actor: Actor, entity_id: str, attribute: str, since: datetime, until: datetime
    ) -> tuple[datetime, datetime] | None:
        """From when until before when an attribute is known by roll-ups alone; None where by readings."""
        series = self.series(actor, entity_id, [attribute], dataset="")
        found = self._rolled(window_of(series, since, until)) if series else None
        return None if found is None else (from_millis(found[0]), from_millis(found[1]))

    def last(
        self,
        actor: Actor,
        entity_id: str,
        attribute: str,
        *,
        before: datetime | None = None,
        dataset: str = "",
        tenant: str = DEFAULT_TENANT,
    ) -> Reading | None:
        """The newest reading, or the newest one before an instant."""
        found = self.raw(
            actor, entity_id, [attribute], until=before, last_n=1, dataset=dataset, tenant=tenant
        )
        return max(found, key=lambda reading: reading.at, default=None)

    def numbers(
        self,
        actor: Actor,
        target: str,
        attribute: str,
        since: datetime,
        until: datetime,
        *,
        dataset: str = "",
        tenant: str = DEFAULT_TENANT,
    ) -> tuple[list[Series], Readings]:
        """Readings in columns: for arithmetic on many of them."""
        series = self.series(actor, target, [attribute], dataset=dataset, tenant=tenant)
        return series, self._store.raw(window_of(series, since, until))

    def aggregate(
        self,
        actor: Actor,
        target: str,
        attribute: str,
        since: datetime,
        until: datetime,
        step: Step | timedelta | None = None,
        methods: Sequence[str] = ("avg",),
        *,
        pooled: bool = False,
        time_weighted: bool = False,
        hold: timedelta | None = None,
        dataset: str = "",
        zone: tzinfo | None = None,
        tenant: str = DEFAULT_TENANT,
    ) -> Aggregated:
        """Aggregates per period (4.5.19). Without `step` one period; days and months are those of `zone`.

        `pooled` takes the readings of all series together. `time_weighted` adds "timeWeightedAvg", the mean
        over time of a value that holds until the next reading (at most for `hold`), and
        "coveredMilliseconds", how much of the period that mean speaks of.
        """
        check_methods(methods)
        series = self.series(actor, target, [attribute], dataset=dataset, tenant=tenant)
        if not target.startswith(TYPE_TARGET):
            self._visibility.must_see(actor, target, series, tenant)
        edges = edges_of(since, until, step, zone)
        rows = 1 if pooled else len(series)
        _check_cells(rows * (len(edges) - 1) * (len(methods) + 2 * time_weighted))
        # The last period ends where the question ends.
        window = window_of(series, since, until)
        values = _nothing(edges, methods)
        if series and methods:
            values = self._store.aggregate(window, edges, methods, pooled=pooled)
        if time_weighted:
            edges = np.append(edges[:-1], to_millis(until))
            back = to_millis(from_millis(int(edges[0])) - (hold or LOOK_BACK))
            milliseconds = None if hold is None else hold // timedelta(milliseconds=1)
            means, covered = self._store.time_weighted(
                ids_of(series), edges, since=back, hold=milliseconds, pooled=pooled
            )
            values |= {TIME_WEIGHTED: means, COVERED: covered}
        return Aggregated(tuple(series), edges, values, self._rolled(window))

    def matrix(
        self,
        actor: Actor,
        type_name: str,
        attribute: str,
        since: datetime,
        until: datetime,
        step: timedelta,
        dataset: str = "",
        *,
        method: str = "avg",
        tenant: str = DEFAULT_TENANT,
    ) -> Matrix:
        """All Entities of a type over time, one row an Entity in alphabetical order."""
        check_methods([method])
        series = self.series(actor, TYPE_TARGET + type_name, [attribute], dataset=dataset, tenant=tenant)
        series = _one_each(series)
        edges = edges_of(since, until, step)
        _check_cells(len(series) * (len(edges) - 1))
        found = self._store.aggregate(window_of(series, since, until), edges, [method]) if series else None
        values = np.empty((0, len(edges) - 1)) if found is None else found[method]
        unit = series[0].key.unit_code if series else ""
        return Matrix([one.key.entity_id for one in series], edges[:-1], values, unit)

    def pool(
        self,
        actor: Actor,
        target: str,
        attribute: str,
        since: datetime,
        until: datetime,
        *,
        unit_code: str = "",
        dataset: str = "",
        tenant: str = DEFAULT_TENANT,
    ) -> PooledSeries:
        """The series of an attribute by Entity, for `cells`, `held` and `presence`.

        Numbers that have a unit become those of `unit_code`; "" leaves all as they are. Raises BadInput for
        a unit that does not fit.
        """
        is_type = target.startswith(TYPE_TARGET)
        found = self._store.grouped(
            tenant,
            entity_ids=None if is_type else [target],
            types=[target.removeprefix(TYPE_TARGET)] if is_type else None,
            attributes=[attribute],
            datasets=[dataset],
        )
        seen = self._visibility.visible_among(actor, tenant, found)
        return pooled(seen, window_of((), since, until), unit_code)

    def cells(
        self,
        pool: Pool,
        edges: Integers,
        *,
        chosen: NDArray[np.bool_] | None = None,
        above: float | None = None,
        medians: bool = False,
    ) -> CellSummary:
        """Means of each Entity in each period, summed up: of a `pool` of any size."""
        return self._store.cells(pool, edges, chosen=chosen, above=above, medians=medians)

    def held(self, pool: Pool, holding: Holding) -> Held:
        """For how long values of a `pool` held."""
        return self._store.held(pool, holding)

    def coverage(
        self,
        actor: Actor,
        target: str,
        attribute: str,
        since: datetime,
        until: datetime,
        expected_step: timedelta,
        *,
        among: Container[str] | None = None,
        dataset: str = "",
        tenant: str = DEFAULT_TENANT,
    ) -> Coverage:
        """How many readings there are, and where there should be more, one in each `expected_step`.

        `among`: only of these Entities.
        """
        edges = edges_of(since, until, expected_step)
        asked = self.pool(actor, target, attribute, since, until, dataset=dataset, tenant=tenant)
        asked = asked if among is None else narrowed(asked, among)
        found = self._store.presence(asked.pool, edges)
        expected = (len(edges) - 1) * len(asked.entity_ids)
        return Coverage(
            since=since,
            until=until,
            expected_step=expected_step,
            entities=len(asked.entity_ids),
            count=int(found.readings.sum()),
            expected=expected,
            missing=expected - int(found.present.sum()),
            gaps=gaps_of(found.gaps, asked.entity_ids, edges),
        )

    def statistics(
        self,
        actor: Actor,
        target: str | Sequence[str],
        attributes: Sequence[str] | None = None,
        *,
        tenant: str = DEFAULT_TENANT,
    ) -> list[tuple[Series, Statistics]]:
        """Count, first and last reading of each series that has any."""
        series = {one.id: one for one in self.series(actor, target, attributes, tenant=tenant)}
        found = self._store.statistics(np.array(list(series), np.int64)) if series else []
        return [(series[one.series], one) for one in found]

    def export(
        self,
        actor: Actor,
        target: str | Sequence[str],
        format_name: str,
        attributes: Sequence[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        dataset: str | None = None,
        tenant: str = DEFAULT_TENANT,
    ) -> Path:
        """Write readings to a file ("csv", "parquet") with the columns EXPORT_COLUMNS.

        The caller sends the file and removes it. Raises BadInput for an unknown format.
        """
        series = self.series(actor, target, attributes, dataset=dataset, tenant=tenant)
        if isinstance(target, str) and not target.startswith(TYPE_TARGET):
            self._visibility.must_see(actor, target, series, tenant)
        return self._store.export(window_of(series, since, until), format_name)

    def forget(
        self,
        actor: Actor,
        entity_id: str,
        attributes: Sequence[str] | None = None,
        *,
        dataset: str | None = None,
        tenant: str = DEFAULT_TENANT,
    ) -> int:
        """Remove the history of an Entity, or of some of its attributes; returns how many readings went.

        Needs `entities:write`, which the caller checks together with what else is deleted.
        """
        series = self.series(actor, entity_id, attributes, dataset=dataset, tenant=tenant)
        self._visibility.must_see(actor, entity_id, series, tenant)
        return self._store.forget(ids_of(series))

    def read(self, window: Window) -> Readings:
        """Readings of series that `series` has shown to the actor."""
        return self._store.raw(window)

    def extent(self, window: Window) -> tuple[int, int] | None:
        """The first and the last instant of a window, in milliseconds, over all its series."""
        return self._store.extent(window)

    def count(self, series: Integers) -> list[Statistics]:
        """Count, first and last of series that `series` has shown to the actor."""
        return self._store.statistics(series)

    def aggregate_series(self, window: Window, edges: Integers, methods: Sequence[str]) -> dict[str, Floats]:
        """Aggregates of series that `series` has shown to the actor."""
        return self._store.aggregate(window, edges, methods)

    def _rolled(self, window: Window) -> tuple[int, int] | None:
        return self._store.rolled(window) if isinstance(self._store, RetainingStore) else None


def check_methods(methods: Iterable[str]) -> None:
    """Raises BadInput for a method that there is not."""
    for name in methods:
        if name not in AGGREGATE_METHODS:
            raise BadInput(
                f"{name[:40]!r} is not a method of aggregation",
                hint="Take of " + ", ".join(AGGREGATE_METHODS) + ".",
                where="aggrMethods",
            )


def _nothing(edges: Integers, methods: Sequence[str]) -> dict[str, Floats]:
    return {name: np.empty((0, len(edges) - 1)) for name in methods}


def _check_cells(cells: int) -> None:
    if cells > MOST_CELLS:
        raise BadInput(
            f"The answer would have {cells} numbers",
            hint="Take a longer step, a shorter time or fewer Entities.",
            where="step",
        )


def _one_each(series: list[Series]) -> list[Series]:
    """One series an Entity, by id: the newest, where the unit changed or the Entity came back."""
    newest = {one.key.entity_id: one for one in sorted(series, key=lambda one: one.id)}
    return [newest[entity_id] for entity_id in sorted(newest)]
