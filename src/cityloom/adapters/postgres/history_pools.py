"""Questions over many series at once, worked out by the server: one statement each."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cityloom.adapters.postgres import history_columns as columns
from cityloom.adapters.postgres.connection import Connection
from cityloom.adapters.postgres.history_statements import common
from cityloom.adapters.postgres.retention_statements import counted
from cityloom.adapters.sql.long_questions import question
from cityloom.history.model import Floats, Integers, Window
from cityloom.history.pools import (
    CellSummary,
    Held,
    Holding,
    Pool,
    Presence,
    WholePresence,
    WholeSums,
    known_references,
    mean_of,
)
from cityloom.history.slots import Slots, slots_of

_GROUPS = {"grp": "int8", "bucket": "int8"}
_PRESENCE = dict.fromkeys(("grp", "first", "gap", "last", "present", "readings"), "int8")
_NUMPY = {"int8": ">i8", "float8": ">f8"}


class PostgresPools:
    """`cells`, `held`, `presence` and `time_weighted` of HistoryStore."""

    #: Whether there is any roll-up.
    _has_rollups: bool

    @abstractmethod
    def _question(self) -> AbstractContextManager[Connection]: ...

    @abstractmethod
    def _with_archive(self, window: Window) -> AbstractContextManager[tuple[Connection, bool]]: ...

    def cells(
        self,
        pool: Pool,
        edges: Integers,
        *,
        chosen: NDArray[np.bool_] | None = None,
        above: float | None = None,
        medians: bool = False,
    ) -> CellSummary:
        sums = WholeSums(pool.groups, len(edges) - 1)
        median = np.full(pool.groups if medians else 0, np.nan)
        groups = ("single" if pool.is_single else "several") + self._of
        slots = slots_of(edges, chosen=chosen)
        tables = ", ".join((self._between(pool, edges), _wanted(pool), _slots(slots)))
        bounds: dict[str, Any] = {"first": slots.first, "step": slots.step, "above": above}
        with self._question() as connection:
            fields = _GROUPS | {"cells": "int8", "total": "float8", "readings": "int8"}
            found = _asked(connection, f"sums_{groups}", tables, fields, **bounds)
            if medians:
                middle = _asked(
                    connection, f"medians_{groups}", tables, {"grp": "int8", "v": "float8"}, **bounds
                )
                median[middle["grp"]] = middle["v"]
        sums.add(found["grp"], found["bucket"], found["cells"], found["total"], found["readings"])
        return sums.told(median)

    def held(self, pool: Pool, holding: Holding) -> Held:
        result = Held(*(np.zeros(pool.groups, np.int64) for _ in range(3)))
        window, wanted = pool.window, _wanted(pool, known_references(holding)[pool.group])
        with self._with_archive(window) as (connection, archived):
            standing = _standing(window.series, window.since, window.until, archived=archived)
            found = _asked(
                connection,
                "held",
                f"{standing}, {wanted}",
                dict.fromkeys(("grp", *Held._fields), "int8"),
                since=_FIRST,
                before=_LAST,
                until=holding.until,
                hold=holding.hold,
                above=holding.above,
                below=holding.below,
            )
        for name, total in zip(Held._fields, result, strict=True):
            total[found["grp"]] = found[name]
        return result

    def presence(self, pool: Pool, edges: Integers) -> Presence:
        slots = slots_of(edges)
        tables = ", ".join((self._between(pool, edges), _wanted(pool), _slots(slots)))
        name = f"presence{self._of}"
        whole = WholePresence(pool.groups)
        with self._question() as connection:
            whole.add(_asked(connection, name, tables, _PRESENCE, first=slots.first, step=slots.step))
        return whole.told(len(edges) - 1)

    def time_weighted(
        self, series: Integers, edges: Integers, *, since: int, hold: int | None, pooled: bool = False
    ) -> tuple[Floats, Floats]:
        shape = (1 if pooled else len(series), len(edges) - 1)
        area, covered = np.zeros(shape), np.zeros(shape)
        start, end, slots = int(edges[0]), int(edges[-1]), slots_of(edges)
        rows = np.zeros(len(series), np.int64) if pooled else np.arange(len(series))
        wanted = f"wanted AS {_unnested({'series': (series, 'int4'), 'grp': (rows, 'int8')})}"
        with self._with_archive(Window(series, since, end)) as (connection, archived):
            found = _asked(
                connection,
                "time_weighted",
                f"{_standing(series, since, end, archived=archived)}, {wanted}, {_slots(slots)}",
                _GROUPS | {"covered": "int8", "area": "float8"},
                start=start,
                end=end,
                first=slots.first,
                step=slots.step,
                hold=end - since if hold is None else hold,
            )
        at = found["grp"], found["bucket"]
        area[at], covered[at] = found["area"], found["covered"]
        return mean_of(area, covered), covered

    @property
    def _of(self) -> str:
        """What the names of questions end with that may be answered of roll-ups."""
        return "_rolled" if self._has_rollups else ""

    def _between(self, pool: Pool, edges: Integers) -> str:
        """The table that is asked of what is in the window and between the edges."""
        table = counted if self._has_rollups else _standing
        return table(pool.window.series, *common(pool.window, edges))


#: Before and after every reading.
_FIRST, _LAST = -(2**62), 2**62


def _asked(
    connection: Connection, name: str, tables: str, fields: dict[str, str], **bounds: int | float | None
) -> dict[str, Any]:
    """Columns, none of which is NULL anywhere."""
    told = ", ".join(f"{field}::{kind}" for field, kind in fields.items())
    asked = f"WITH {tables} SELECT {told} FROM ({question('postgres', name, **bounds)}) AS answer"
    copying = f"COPY ({asked}) TO STDOUT (FORMAT binary)".encode()
    with connection.cursor() as cursor, cursor.copy(copying) as copy:
        sent = [bytes(message) for message in copy]
    found = columns.table(sent, columns.layout({field: _NUMPY[kind] for field, kind in fields.items()}))
    return {
        field: columns.numbers(found[field]) if kind == "float8" else columns.whole(found[field])
        for field, kind in fields.items()
    }


def _standing(series: Integers, since: int | None, until: int | None, *, archived: bool = False) -> str:
    """The table `standing` of an interval; `archived`: with what `from_archive` has of it."""
    conditions = ["kind < 5", "NOT superseded", f"series = ANY({_array(np.unique(series), 'int4')})"]
    if since is not None:
        conditions.append(f"observed_at >= {int(since)}")
    if until is not None:
        conditions.append(f"observed_at < {int(until)}")
    names = "series, observed_at, sequence, number"
    found = f"SELECT {names} FROM reading WHERE {' AND '.join(conditions)}"
    if archived:
        # What came late corrects what lies in a file already.
        found = (
            f"SELECT DISTINCT ON (series, observed_at) {names}"
            f" FROM ({found} UNION ALL SELECT {names} FROM from_archive) AS both_of"
            " ORDER BY series, observed_at, sequence DESC"
        )
    return f"standing AS ({found})"


def _wanted(pool: Pool, reference: Floats | None = None) -> str:
    given = np.ones(len(pool.group)) if reference is None else reference
    parts: dict[str, tuple[Any, str]] = {
        "series": (pool.window.series, "int4"),
        "grp": (pool.group, "int8"),
        "turn": (np.arange(len(pool.group)), "int8"),
        "factor": (pool.factor, "float8"),
        "shift": (pool.offset, "float8"),
        "reference": (given, "float8"),
    }
    return f"wanted AS {_unnested(parts)}"


def _slots(slots: Slots) -> str:
    names = ("stretch", "bucket", "edge", "ends")
    return f"slots AS {_unnested({name: (getattr(slots, name), 'int8') for name in names})}"


def _unnested(parts: dict[str, tuple[Any, str]]) -> str:
    arrays = ", ".join(_array(values, kind) for values, kind in parts.values())
    return f"(SELECT * FROM unnest({arrays}) AS given ({', '.join(parts)}))"


def _array(values: Iterable[Any], kind: str) -> str:
    """An array of numbers; NaN is NULL."""
    number = float if kind == "float8" else int
    told = ("NULL" if one != one else repr(number(one)) for one in values)
    return f"'{{{','.join(told)}}}'::{kind}[]"
