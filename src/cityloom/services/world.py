"""The world as one service may see it: a snapshot of what its manifest declares, and nothing else.

It notes what was looked at, so that every decision carries its reasons.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from numpy.typing import NDArray

from cityloom.kernel.change import Because
from cityloom.kernel.errors import BrokenPlugin
from cityloom.kernel.numbers import is_number
from cityloom.kernel.time import format_instant, parse_instant
from cityloom.ngsild.model import Document, content
from cityloom.services.manifest import Manifest, SettingValue, Window
from cityloom.services.words import Messages

Values = NDArray[np.float64]
Times = NDArray[np.datetime64]


class Reading(NamedTuple):
    """A current value. `at` is its observedAt where it has one."""

    value: Any
    at: datetime | None
    unit: str | None


class Matrix(NamedTuple):
    """A series of an attribute for all Entities of a window.

    `values` has the shape (len(ids), len(times)); NaN where nothing was read. `times` (datetime64[ms], UTC)
    are the steps' begins; the last step holds the instant of the decision.
    """

    ids: tuple[str, ...]
    times: Times
    values: Values


class View(msgspec.Struct, frozen=True):
    """What a window shows: the declared attributes of its Entities, and their series."""

    documents: Mapping[str, Document]
    #: By attribute and datasetId (None: the default instance). Rows follow `documents`' order.
    matrices: Mapping[tuple[str, str | None], Matrix] = {}


class World:
    """Made anew for each decision. Reading what is not declared raises BrokenPlugin."""

    def __init__(
        self,
        manifest: Manifest,
        views: Mapping[str, View],
        *,
        settings: Mapping[str, SettingValue],
        zone: ZoneInfo,
        messages: Messages,
        parameters: Mapping[str, NDArray[Any]] | None = None,
        provenance: Mapping[str, str] | None = None,
        woken_by: str = "",
        changed: frozenset[str] = frozenset(),
        open_alerts: frozenset[str] = frozenset(),
    ) -> None:
        self._manifest = manifest
        self._views = views
        self._settings = settings
        self._messages = messages
        self._parameters = parameters
        self._provenance = provenance or {}
        #: (window, attribute, dataset) of matrices looked at.
        self._seen_series: dict[tuple[str, str, str | None], None] = {}
        #: By Entity, (window, attribute) of single values looked at.
        self._seen_values: dict[str, dict[tuple[str, str], None]] = {}
        #: (window, attribute) of columns looked at.
        self._seen_columns: dict[tuple[str, str], None] = {}
        self._counted: dict[tuple[str, str, str | None], dict[str, int]] = {}
        self._seen_parameters = False
        #: The city's time zone.
        self.zone = zone
        #: "every", "at:18:00", "changes", "training", "hand" or, in a case, what the case says.
        self.woken_by = woken_by
        #: The Entities whose change woke the service.
        self.changed = changed
        #: Keys of this service's Alerts that are not cleared.
        self.open_alerts = open_alerts

    # What there is

    def ids(self, window: str) -> tuple[str, ...]:
        """The ids of a window's Entities, in the order of every matrix's and column's rows."""
        return tuple(self._view(window)[1].documents)

    def value(self, window: str, entity_id: str, attribute: str) -> Any:
        """The current content of an attribute (value, object, language map, geometry), None without one."""
        reading = self.reading(window, entity_id, attribute)
        return None if reading is None else reading.value

    def reading(self, window: str, entity_id: str, attribute: str) -> Reading | None:
        """The current default instance of an attribute, with its time and unit."""
        need, view = self._view(window)
        self._declared(need, attribute, need.attributes)
        document = view.documents.get(entity_id)
        if document is None:
            return None
        self._seen_values.setdefault(entity_id, {})[(window, attribute)] = None
        return _reading(document, attribute)

    def column(self, window: str, attribute: str) -> Values:
        """The current numbers of an attribute, shape (len(ids),); NaN where there is none."""
        need, view = self._view(window)
        self._declared(need, attribute, need.attributes)
        self._seen_columns[(window, attribute)] = None
        return np.array([_number(document, attribute) for document in view.documents.values()], dtype=float)

    def matrix(self, window: str, attribute: str, dataset: str | None = None) -> Matrix:
        """The series of an attribute for all Entities of the window."""
        need, view = self._view(window)
        self._declared(need, attribute, need.series)
        if dataset is not None:
            self._declared(need, dataset, need.datasets)
        self._seen_series[(window, attribute, dataset)] = None
        found = view.matrices.get((attribute, dataset))
        if found is None:
            nothing = np.empty((len(view.documents), 0))
            return Matrix(tuple(view.documents), np.empty(0, dtype="datetime64[ms]"), nothing)
        return found

    @property
    def parameters(self) -> Mapping[str, NDArray[Any]] | None:
        """What `train` learned last, else what the service ships, else None."""
        self._seen_parameters = True
        return self._parameters

    def setting(self, name: str) -> SettingValue:
        """A declared setting, as in force on the day of the decision."""
        if name not in self._settings:
            raise self._undeclared(name, "settings", self._settings)
        return self._settings[name]

    def number(self, name: str) -> float:
        """A declared setting that is a number."""
        return float(self.setting(name))

    def say(self, key: str, **facts: object) -> dict[str, str]:
        """A text of `messages/` in every language, its {facts} written as each language writes them."""
        return self._messages.say(key, facts, self.zone)

    # What was looked at

    def because(self, *entities: str) -> tuple[Because, ...]:
        """The reasons: what has been looked at so far, of these Entities; without any, of all.

        With Entities named, looks at a whole window are told for their rows alone. What was looked at of
        other Entities is left out, unless nothing was looked at of those named.
        """
        wanted = set(entities)
        reasons = [*self._series_reasons(wanted), *self._value_reasons(wanted)]
        if wanted and not reasons:
            return self.because()
        if self._seen_parameters and self._provenance:
            note = "; ".join(f"{key}: {value}" for key, value in self._provenance.items())
            reasons.append(Because(about=f"service:{self._manifest.id}", attribute="parameters", note=note))
        return tuple(reasons)

    @property
    def looked_at(self) -> frozenset[tuple[str, str]]:
        """The (window, attribute) pairs that were looked at."""
        values = {place for seen in self._seen_values.values() for place in seen}
        series = {(window, attribute) for window, attribute, _ in self._seen_series}
        return frozenset(values | series | self._seen_columns.keys())

    @property
    def looks(self) -> int:
        """How many things were looked at."""
        values = sum(map(len, self._seen_values.values()))
        return len(self._seen_series) + values + len(self._seen_columns)

    def type_of(self, entity_id: str) -> str | None:
        """The type of an Entity in any window, None when it is in none."""
        return next(
            (need.type for need in self._manifest.needs if entity_id in self._views[need.name].documents),
            None,
        )

    def _series_reasons(self, wanted: set[str]) -> Iterable[Because]:
        for window, attribute, dataset in self._seen_series:
            need, view = self._view(window)
            matrix = view.matrices.get((attribute, dataset))
            if matrix is None or not matrix.times.size:
                continue
            counts = self._counts(window, attribute, dataset, matrix)
            steps = matrix.times.size
            shown = [(entity_id, counts[entity_id], steps) for entity_id in sorted(wanted & counts.keys())]
            if not wanted:
                shown = [(f"type:{need.type}", sum(counts.values()), steps * len(counts))]
            since, until = _span(matrix, need)
            note = f"steps of {need.step}" + (f"; {dataset}" if dataset else "")
            for about, count, expected in shown:
                yield Because(
                    about=about,
                    attribute=attribute,
                    since=since,
                    until=until,
                    count=count,
                    missing=0 if need.sparse else expected - count,
                    note=note,
                )

    def _counts(self, window: str, attribute: str, dataset: str | None, matrix: Matrix) -> dict[str, int]:
        """The steps with a reading, by Entity; worked out once, since a decision asks for each Entity."""
        key = (window, attribute, dataset)
        if key not in self._counted:
            present = np.isfinite(matrix.values).sum(axis=1).tolist()
            self._counted[key] = dict(zip(matrix.ids, present, strict=True))
        return self._counted[key]

    def _value_reasons(self, wanted: set[str]) -> Iterable[Because]:
        seen = {entity_id: dict(self._seen_values.get(entity_id, {})) for entity_id in sorted(wanted)}
        if not wanted:
            seen = self._seen_values
        for window, attribute in self._seen_columns:
            need, view = self._view(window)
            if not wanted:
                count = sum(attribute in item["attrs"] for item in view.documents.values())
                yield Because(
                    about=f"type:{need.type}",
                    attribute=attribute,
                    count=count,
                    missing=len(view.documents) - count,
                )
            for entity_id in wanted & view.documents.keys():
                seen[entity_id][(window, attribute)] = None
        for entity_id, places in seen.items():
            for window, attribute in places:
                found = _reading(self._views[window].documents[entity_id], attribute)
                if found is not None:
                    yield _value_reason(entity_id, attribute, found)

    # What is declared

    def _view(self, window: str) -> tuple[Window, View]:
        need = self._manifest.window(window)
        return need, self._views[window]

    def _declared(self, need: Window, name: str, declared: Iterable[str]) -> None:
        if name not in declared:
            raise self._undeclared(name, f"needs.{need.name}", declared)

    def _undeclared(self, name: str, place: str, declared: Iterable[str]) -> BrokenPlugin:
        return BrokenPlugin(
            f"services/{self._manifest.id} looked at {name!r}, which it does not declare",
            hint=f"Declared there are: {', '.join(declared) or 'none'}.",
            where=f"manifest.toml: {place}",
        )


def align(ids: tuple[str, ...], matrix: Matrix) -> Matrix:
    """The same series with one row for each of `ids`, in that order; NaN rows for those it lacks."""
    if matrix.ids == ids:
        return matrix
    values = np.full((len(ids), matrix.times.size), np.nan)
    place = {entity_id: row for row, entity_id in enumerate(ids)}
    pairs = [(place[entity_id], row) for row, entity_id in enumerate(matrix.ids) if entity_id in place]
    if pairs:
        to, of = map(list, zip(*pairs, strict=True))
        values[to] = matrix.values[of]
    return Matrix(ids, matrix.times, values)


def _reading(document: Document, attribute: str) -> Reading | None:
    for item in document["attrs"].get(attribute, ()):
        if item.get("datasetId") is None:
            at = item.get("observedAt")
            observed = None if at is None else parse_instant(at, where=attribute)
            return Reading(content(item), observed, item.get("unitCode"))
    return None


def _number(document: Document, attribute: str) -> float:
    found = _reading(document, attribute)
    if found is None or not is_number(found.value):
        return float("nan")
    return float(found.value)


def _value_reason(entity_id: str, attribute: str, found: Reading) -> Because:
    plain = found.value if isinstance(found.value, int | float | str) else None
    return Because(
        about=entity_id,
        attribute=attribute,
        since=format_instant(found.at) if found.at else "",
        value=float(plain) if isinstance(plain, int | float) else plain,
        unit_code=found.unit or "",
        count=1,
    )


def _span(matrix: Matrix, need: Window) -> tuple[str, str]:
    first, last = (
        datetime.fromtimestamp(int(item.astype("datetime64[ms]").astype(np.int64)) / 1000, tz=UTC)
        for item in (matrix.times[0], matrix.times[-1])
    )
    return format_instant(first), format_instant(last + need.step_length)
