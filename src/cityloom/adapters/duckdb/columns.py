"""Between rows and the numpy columns in which DuckDB takes and gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import msgspec
import numpy as np
import orjson

from cityloom.adapters.sql.reading_columns import Columns, plain_columns
from cityloom.history.model import Floats, Integers, Readings, Series, SeriesKey
from cityloom.history.planning import Erased, Row
from cityloom.history.shapes import Run, SeriesColumns, Shape, Standing

#: Columns of texts by name; None is NULL.
Texts = Mapping[str, Sequence[str | None]]


def series_columns(series: list[Series]) -> tuple[Columns, Texts]:
    """Rows of the table of series."""
    texts = {name: [one.key[place] for one in series] for place, name in enumerate(SeriesKey._fields)}
    texts["types"] = [" ".join(one.types) for one in series]
    return {
        "id": np.array([one.id for one in series], np.int32),
        "information_class": np.array([int(one.information_class) for one in series], np.uint8),
        "retired": np.array([one.retired for one in series], np.bool_),
    }, texts


def kind_columns(runs: Sequence[Run]) -> tuple[Columns, Texts]:
    """What the series of runs are: for each kind of run a row for each of its series."""
    kinds = dict.fromkeys((run.shape, run.standing) for run in runs)
    rows = [
        (number, place, shape.tenant, what, standing)
        for number, (shape, standing) in enumerate(kinds)
        for place, what in enumerate(shape.whats)
    ]
    numbers, places, tenants, whats, standings = zip(*rows, strict=True)
    attributes, datasets, attribute_types, units = zip(*whats, strict=True)
    plain: Columns = {
        "kind": np.array(numbers, np.int32),
        "place": np.array(places, np.int32),
        "information_class": np.array([int(secrecy) for _, secrecy in standings], np.uint8),
    }
    return plain, {
        "tenant": tenants,
        "attribute": attributes,
        "dataset": datasets,
        "attribute_type": attribute_types,
        "unit_code": units,
        "types": [" ".join(types) for types, _ in standings],
    }


def run_columns(runs: Sequence[Run]) -> tuple[Columns, Texts]:
    """The first id, the Entity and the kind of each run; kinds are numbered as by `kind_columns`."""
    kinds: dict[tuple[Shape, Standing], int] = {}
    plain: Columns = {
        "first": np.array([run.first for run in runs], np.int32),
        "kind": np.array([kinds.setdefault((run.shape, run.standing), len(kinds)) for run in runs], np.int32),
    }
    return plain, {"entity_id": [run.entity_id for run in runs]}


def known_series(
    found: Columns, kinds: Sequence[tuple[str, str, str, str, str]], standings: Sequence[Standing]
) -> SeriesColumns:
    """What a statement of `known_series` fetched."""
    return SeriesColumns(
        id=whole(found["id"]),
        entity_id=_texts(found["entity_id"]),
        kind=whole(found["kind"]),
        standing=whole(found["standing"]),
        retired=np.asarray(found["retired"]).astype(np.bool_),
        kinds=kinds,
        standings=standings,
    )


def text_columns(rows: list[Row]) -> tuple[Columns, Texts]:
    """Readings that are texts, or numbers with more to them."""
    series, at, kind, number, text, sequence, recorded_at, observed, origin, details, instance, created = zip(
        *map(msgspec.structs.astuple, rows), strict=True
    )
    plain = plain_columns(series, at, kind, sequence, recorded_at, observed, origin) | {
        # None becomes NaN.
        "number": np.array(number, np.float64),
        "created_at": np.array([-1 if one is None else one for one in created], np.int64),
    }
    return plain, {"text": text, "details": details, "instance": instance}


def erased_columns(erased: Sequence[Erased]) -> Columns:
    """Readings that go."""
    table = np.array(erased, np.int64)
    return {"series": table[:, 0], "observed_at": table[:, 1], "sequence": table[:, 2]}


def late_columns(late: list[tuple[int, int, int]]) -> Columns:
    """(series, observed_at, sequence) of readings that others may have to give way to."""
    table = np.array(late, np.int64)
    return {"series": table[:, 0], "observed_at": table[:, 1], "sequence": table[:, 2]}


def lay_out(cursor: duckdb.DuckDBPyConnection, name: str, plain: Columns, texts: Texts) -> None:
    """Make a temporary table of columns of equal length."""
    source, values = beside(cursor, plain, texts)
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM {source}", values)  # noqa: S608 - names of this module alone


def beside(cursor: duckdb.DuckDBPyConnection, plain: Columns, texts: Texts) -> tuple[str, list[str]]:
    """What to write after FROM for columns of equal length, and the values that are bound in it.

    Texts go in as JSON: of an array of Python objects DuckDB looks at each one for what pandas may have made
    of it, and where pandas is missing that costs a millisecond a text. A column without any text is NULL.
    """
    cursor.register("plain", plain)
    said = {column: one for column, one in texts.items() if any(text is not None for text in one)}
    taken = [f"unnest(from_json(?, '[\"VARCHAR\"]')) AS {column}" for column in said]
    missing = "".join(f", NULL::VARCHAR AS {column}" for column in texts if column not in said)
    source = f"(SELECT *{missing} FROM plain"  # noqa: S608 - names of this module alone
    if taken:
        source += f" POSITIONAL JOIN (SELECT {', '.join(taken)})"
    return source + ")", [orjson.dumps(one).decode() for one in said.values()]


def readings(found: Columns) -> Readings:
    """What a statement of `raw` fetched."""
    return Readings(
        series=whole(found["series"]),
        at=whole(found["observed_at"]),
        kind=np.asarray(found["kind"]).astype(np.uint8),
        number=numbers(found["number"]),
        text=_texts(found["text"]),
        sequence=whole(found["sequence"]),
        recorded_at=whole(found["recorded_at"]),
        observed=np.asarray(found["observed"]).astype(np.bool_),
        details=_texts(found["details"]),
        instance=_texts(found["instance"]),
        created_at=whole(found["created"]),
    )


def cells(found: Columns) -> tuple[Integers, Integers]:
    """Row and bucket of what a statement of `aggregate` fetched."""
    return whole(found["row"]), whole(found["bucket"])


def numbers(column: Any) -> Floats:
    """NULL as NaN."""
    return np.ma.filled(np.ma.asarray(column).astype(np.float64, copy=False), np.nan)


def whole(column: Any) -> Integers:
    """A column of whole numbers."""
    return np.asarray(column).astype(np.int64, copy=False)


def _texts(column: Any) -> np.ndarray[Any, np.dtype[np.object_]]:
    values = np.ma.asarray(column)
    texts = np.asarray(values.data, object)
    mask = np.ma.getmaskarray(values)
    if mask.any():
        texts = texts.copy()
        texts[mask] = None
    return texts
