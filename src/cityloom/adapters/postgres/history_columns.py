"""Between numpy's columns and PostgreSQL's binary COPY, in which a number costs no object of Python's."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from cityloom.adapters.sql.reading_columns import Columns
from cityloom.history.model import Floats, Integers, Readings, Series, ValueKind, stored_value
from cityloom.history.planning import Row
from cityloom.history.shapes import SeriesColumns, Standing
from cityloom.kernel.actor import InformationClass

#: Rows with fields of numpy's names.
Structured = np.ndarray[Any, np.dtype[np.void]]

_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
#: Three texts that are NULL.
_NO_TEXTS = b"\xff" * 12
_TEXT_FIELDS = 3
_length = struct.Struct(">i").unpack_from

#: What `statements.COPY_NUMBERS` takes.
NUMBERS = {
    "observed_at": ">i8",
    "sequence": ">i8",
    "recorded_at": ">i8",
    "number": ">f8",
    "series": ">i4",
    "kind": ">i2",
    "origin": ">i2",
    "observed": "?",
    "superseded": "?",
}
#: What `statements.raw` gives; then three texts.
READ = {
    "series": ">i4",
    "at": ">i8",
    "kind": ">i2",
    "number": ">f8",
    "sequence": ">i8",
    "recorded_at": ">i8",
    "observed": "?",
    "created_at": ">i8",
}


def layout(fields: Mapping[str, str]) -> np.dtype[Any]:
    """A row of binary COPY, of which no field is NULL: how many fields, and each after its length."""
    parts: list[tuple[str, str]] = [("fields", ">i2")]
    for name, kind in fields.items():
        parts += [(f"{name}_length", ">i4"), (name, kind)]
    return np.dtype(parts)


_NUMBERS_ROW, _READ_ROW = layout(NUMBERS), layout(READ)


def cells_layout(methods: int) -> np.dtype[Any]:
    """What `statements.aggregate` gives."""
    return layout({"row": ">i4", "bucket": ">i4"} | {f"method{number}": ">f8" for number in range(methods)})


# To the server


def number_copy(columns: Columns) -> bytes:
    """Columns as binary COPY, in the order of the index: neighbours in it are written together."""
    total = len(columns["series"])
    rows = np.zeros(total, _NUMBERS_ROW)
    rows["fields"] = len(NUMBERS)
    order = np.lexsort((columns["observed_at"], columns["series"]))
    for name, kind in NUMBERS.items():
        rows[f"{name}_length"] = np.dtype(kind).itemsize
        if name in columns:
            rows[name] = columns[name][order]
    return _SIGNATURE + rows.tobytes() + _TRAILER


def row_values(row: Row) -> tuple[Any, ...]:
    """Any other reading, in the order of `statements.COPY_ROWS`."""
    kind, text = storable(row.kind, row.text)
    return (
        row.at,
        row.sequence,
        row.recorded_at,
        row.number,
        row.series,
        kind,
        int(row.origin),
        row.observed,
        False,
        text,
        row.details,
        without_nul(row.instance),
        row.created_at,
    )


def series_values(one: Series) -> tuple[Any, ...]:
    """A series, in the order of `statements.COPY_SERIES`."""
    return (
        one.id,
        *(without_nul(part) for part in one.key),
        without_nul(" ".join(one.types)),
        int(one.information_class),
        one.retired,
    )


def without_nul(text: str | None) -> str | None:
    """A text as the server can keep it."""
    return text if text is None else text.replace("\0", "␀")


def storable(kind: int, text: str | None) -> tuple[int, str | None]:
    """Kind and text of a value as the server can keep them: as JSON a NUL is told in other characters."""
    if text is not None and "\0" in text:
        return int(ValueKind.JSON), msgspec.json.encode(text).decode()
    return int(kind), text


# From the server


def table(messages: Sequence[bytes], layout: np.dtype[Any]) -> Structured:
    """What a binary COPY sent, where no field is NULL."""
    sent = b"".join(messages)
    return np.frombuffer(sent, layout, offset=len(_SIGNATURE), count=_rows_in(sent, layout.itemsize))


def readings(messages: Sequence[bytes]) -> Readings:
    """What the statement `raw` sent: a message is a row, the first one after the signature."""
    sent = b"".join(messages)
    whole = np.dtype([("row", _READ_ROW), ("texts", f"V{len(_NO_TEXTS)}")])
    total = _rows_in(sent, whole.itemsize)
    fits = len(sent) == len(_SIGNATURE) + total * whole.itemsize + len(_TRAILER)
    found = np.frombuffer(sent, whole, offset=len(_SIGNATURE), count=total)
    if fits and found["texts"].tobytes() == _NO_TEXTS * total:
        return _readings(found["row"], np.full((_TEXT_FIELDS, total), None, object))
    return _readings_with_texts(messages)


def _rows_in(sent: bytes, size: int) -> int:
    return max(0, len(sent) - len(_SIGNATURE) - len(_TRAILER)) // size


def _readings_with_texts(messages: Sequence[bytes]) -> Readings:
    plain = _READ_ROW.itemsize
    rows = [messages[0][len(_SIGNATURE) :], *messages[1:]]
    if rows[-1].endswith(_TRAILER) and len(rows[-1]) < plain:
        rows.pop()
    texts = np.full((_TEXT_FIELDS, len(rows)), None, object)
    for number, row in enumerate(rows):
        if row[plain:] != _NO_TEXTS:
            texts[:, number] = _texts_at(row, plain)
    numbers = np.frombuffer(b"".join(row[:plain] for row in rows), _READ_ROW)
    return _readings(numbers, texts)


def _texts_at(row: bytes, place: int) -> list[str | None]:
    texts: list[str | None] = []
    for _ in range(_TEXT_FIELDS):
        (length,) = _length(row, place)
        place += 4
        texts.append(None if length < 0 else str(row[place : place + length], "utf-8"))
        place += max(0, length)
    return texts


def _readings(rows: Structured, texts: NDArray[np.object_]) -> Readings:
    return Readings(
        series=whole(rows["series"]),
        at=whole(rows["at"]),
        kind=rows["kind"].astype(np.uint8),
        number=numbers(rows["number"]),
        text=texts[0],
        sequence=whole(rows["sequence"]),
        recorded_at=whole(rows["recorded_at"]),
        observed=rows["observed"].astype(np.bool_),
        details=texts[1],
        instance=texts[2],
        created_at=whole(rows["created_at"]),
    )


def whole(column: NDArray[Any]) -> Integers:
    return column.astype(np.int64)


def numbers(column: NDArray[Any]) -> Floats:
    return column.astype(np.float64)


class KnownSeries:
    """Makes columns for the directory of rows of the table of series, a part at a time."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, ...], int] = {}
        self._standings: dict[tuple[str, int], int] = {}

    def columns(self, rows: Sequence[tuple[Any, ...]]) -> SeriesColumns:
        """Rows in the order of `statements.SERIES_COLUMNS`."""
        ids, tenants, entities, *more = zip(*rows, strict=True)
        attributes, datasets, attribute_types, units, types, classes, retired = more
        kinds = self._numbered(
            self._kinds, zip(tenants, attributes, datasets, attribute_types, units, strict=True)
        )
        standings = self._numbered(self._standings, zip(types, classes, strict=True))
        entity_ids = np.empty(len(ids), object)
        entity_ids[:] = entities
        known: list[Any] = list(self._kinds)
        return SeriesColumns(
            id=np.array(ids, np.int64),
            entity_id=entity_ids,
            kind=kinds,
            standing=standings,
            retired=np.array(retired, np.bool_),
            kinds=known,
            standings=[_standing(*one) for one in self._standings],
        )

    def _numbered(self, known: dict[Any, int], keys: Iterable[Any]) -> Integers:
        return np.array([known.setdefault(key, len(known)) for key in keys], np.int64)


def _standing(types: str, secrecy: int) -> Standing:
    return tuple(types.split()), InformationClass(secrecy)


def plain_value(found: Readings, row: int) -> tuple[int, float | None, str | None, str | None]:
    """Kind, number, text and details of a row, as a change would bring them."""
    kind, text = int(found.kind[row]), found.text[row]
    number = float(found.number[row])
    if kind == ValueKind.JSON and text is not None and text.startswith('"'):
        # A text that was kept as JSON.
        kind, text = ValueKind.TEXT, stored_value(kind, number, text)
    return kind, None if text is not None or np.isnan(number) else number, text, found.details[row]
