"""Whole histories as files, with all that there is of each reading, and read back from them.

Columns of such a file: those of a series (entity_id, types, attribute, dataset, attribute_type, unit_code,
class, retired) and of a reading (observed_at, observed, recorded_at, created_at, kind, number, text, details,
instance, origin, superseded).
"""
# ruff: noqa: S608 - statements are put together of this module's words; paths are quoted

from __future__ import annotations

import re
from pathlib import Path

from cityloom.adapters.duckdb.table_source import quoted
from cityloom.history.model import ORIGINS, ValueKind
from cityloom.history.ports import FORMULA_BEGINS
from cityloom.kernel.actor import InformationClass

_CLASSES = ", ".join(quoted(one.label) for one in InformationClass)
_KINDS = ", ".join(quoted(one.name.lower()) for one in ValueKind)
_ORIGINS = ", ".join(quoted(name) for name in ORIGINS)
_SIGNS = "".join(f"\\x{ord(sign):02x}" for sign in FORMULA_BEGINS)
#: A text that a spreadsheet would run gets an apostrophe before it, and so does one that begins like that.
_RISKY = f"'*[{_SIGNS}]"
RISKY = re.compile(_RISKY)

#: The columns of a file, all as texts: how CSV is read.
COLUMNS = (
    "entity_id",
    "types",
    "attribute",
    "dataset",
    "attribute_type",
    "unit_code",
    "class",
    "retired",
    "observed_at",
    "observed",
    "recorded_at",
    "created_at",
    "kind",
    "number",
    "text",
    "details",
    "instance",
    "origin",
    "superseded",
)


def export(path: Path, format_name: str) -> str:
    """Write the readings of `wanted(series)` to a file; bound: from which instant on, and before which."""
    csv = format_name == "csv"

    def instant(column: str) -> str:
        stamp = f"make_timestamp({column} * 1000)"
        return f"strftime({stamp}, '%Y-%m-%dT%H:%M:%S.%gZ')" if csv else f"timezone('UTC', {stamp})"

    def told(column: str) -> str:
        if not csv:
            return f"{column} AS text"
        risky = f"regexp_matches({column}, {quoted(f'^{_RISKY}')})"
        return f"CASE WHEN {risky} THEN chr(39) || {column} ELSE {column} END AS text"

    options = (
        "FORMAT csv, HEADER, FORCE_QUOTE (text, details)"
        if csv
        else "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 30720"
    )
    return f"""
        COPY (
          SELECT s.entity_id, s.types, s.attribute, s.dataset, s.attribute_type, s.unit_code,
            list_extract([{_CLASSES}], s.information_class + 1) AS class, s.retired,
            {instant("r.observed_at")} AS observed_at, r.observed, {instant("r.recorded_at")} AS recorded_at,
            {instant("r.created_at")} AS created_at, list_extract([{_KINDS}], r.kind + 1) AS kind, r.number,
            {told("r.text")}, r.details, r.instance,
            list_extract([{_ORIGINS}], r.origin + 1) AS origin, r.superseded
          FROM reading r SEMI JOIN wanted USING (series) JOIN series s ON s.id = r.series
          WHERE r.observed_at >= ? AND r.observed_at < ?
        ) TO {quoted(str(path))} ({options})
    """


def rows_of(path: Path) -> str:
    """What stands after FROM for a file that `export` wrote: `line` from 1, instants in milliseconds."""
    if path.suffix == ".csv":
        columns = ", ".join(f"'{name}': 'VARCHAR'" for name in COLUMNS)
        source = (
            f"read_csv({quoted(str(path))}, auto_detect = false, columns = {{{columns}}}, header = true, "
            "delim = ',', quote = '\"', escape = '\"', allow_quoted_nulls = false, max_line_size = 4000000)"
        )
        text = (
            f"CASE WHEN regexp_matches(text, {quoted(f'^{chr(39)}+[{_SIGNS}]')}) THEN text[2:] ELSE text END"
        )
        missing = "coalesce({0}, '') AS {0}"
    else:
        source, text, missing = f"read_parquet({quoted(str(path))})", "text", "{0}"
    plain = ", ".join(missing.format(name) for name in ("dataset", "unit_code"))

    def millis(column: str) -> str:
        return f"epoch_ms({column}::TIMESTAMPTZ) AS {column}"

    return f"""(
        SELECT row_number() OVER () AS line, entity_id, types, attribute, attribute_type, {plain}, class,
          retired::BOOLEAN AS retired, {millis("observed_at")}, observed::BOOLEAN AS observed,
          {millis("recorded_at")}, {millis("created_at")},
          (list_position([{_KINDS}], kind) - 1)::UTINYINT AS kind, number::DOUBLE AS number, {text} AS text,
          details, instance, (list_position([{_ORIGINS}], origin) - 1)::UTINYINT AS origin,
          superseded::BOOLEAN AS superseded
        FROM {source}
    )"""


_SERIES = "entity_id, types, attribute, dataset, attribute_type, unit_code, class, retired"

LAY_OUT = f"""
    CREATE OR REPLACE TEMP TABLE portion_series AS
    SELECT {_SERIES}, (row_number() OVER () - 1)::INTEGER AS place
    FROM (SELECT DISTINCT {_SERIES} FROM portion_rows ORDER BY ALL)
"""
SERIES = f"SELECT {_SERIES} FROM portion_series ORDER BY place"


def portion(path: Path) -> str:
    """Write what is laid out to a file as `history.loads.Portion` has it."""
    return f"""
        COPY (
          SELECT place, observed_at, recorded_at, created_at, kind, number, text, observed, superseded,
            origin, details, instance
          FROM portion_rows JOIN portion_series USING ({_SERIES}) ORDER BY place, observed_at, recorded_at
        ) TO {quoted(str(path))} (FORMAT parquet, COMPRESSION lz4)
    """
