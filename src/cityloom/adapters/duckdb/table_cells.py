"""From the text of a cell to what it says, as SQL: a value, or a reason why it says none. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cityloom.adapters.duckdb.table_source import quoted
from cityloom.history.extraction import LONGEST_TEXT
from cityloom.history.model import ValueKind
from cityloom.sensing.table_meaning import (
    FALSE_WORDS,
    ISO,
    TRUE_WORDS,
    UNIX,
    UNIX_MS,
    ReadingColumn,
    TableForm,
    TimeColumn,
)
from cityloom.sensing.table_rules import Rule

#: From here on whole numbers are not exact as floating point numbers.
_EXACT = 2**53
#: What may stand for a column in an id.
_PART = r"[^\s<>\"{}|\\^`\x00-\x20\x7f-\x9f]{1,200}"


class Cell(NamedTuple):
    """SQL of a cell's value and of the reason why it has none; both are NULL where it is empty."""

    value: str
    reason: str


def said(column: str, form: TableForm) -> str:
    """What a trimmed cell says; NULL where it says nothing."""
    missing = list(dict.fromkeys(("", *form.missing)))
    if len(missing) == 1:
        return f"nullif({column}, '')"
    return f"CASE WHEN {column} NOT IN ({', '.join(map(quoted, missing))}) THEN {column} END"


def number(text: str, form: TableForm) -> str:
    """A number of a text; NULL where it is none. NaN and the infinite are no numbers of a city."""
    plain, guard = text, f"NOT contains({text}, '_')"
    if form.thousands:
        mark, point = _escaped(form.thousands), _escaped(form.decimal)
        pattern = rf"[+-]?(\d{{1,3}}({mark}\d{{3}})+|\d+)({point}\d+)?([eE][+-]?\d+)?"
        guard = f"regexp_full_match({text}, {quoted(pattern)})"
        plain = f"replace({plain}, {quoted(form.thousands)}, '')"
    elif form.decimal != ".":
        guard += f" AND NOT contains({text}, '.')"
    if form.decimal != ".":
        plain = f"replace({plain}, {quoted(form.decimal)}, '.')"
    value = f"TRY_CAST({plain} AS DOUBLE)"
    return f"CASE WHEN {guard} AND isfinite({value}) THEN {value} END"


def parsed(text: str, column: ReadingColumn, form: TableForm) -> str:
    """What a column of readings is read as, before it is judged, of `said`."""
    if column.kind in ("number", "integer"):
        return number(text, form)
    if column.kind == "boolean":
        low = f"lower({text})"
        words = f"WHEN {low} IN {TRUE_WORDS} THEN 1.0::DOUBLE WHEN {low} IN {FALSE_WORDS} THEN 0.0::DOUBLE"
        return f"CASE {words} END"
    return f"CASE WHEN json_valid({text}) THEN json({text})::VARCHAR END" if column.kind == "json" else text


def reading(value: str, text: str, column: ReadingColumn, rule: Rule) -> Cell:
    """Value and reason of a column of readings, of what was `parsed` and what was `said`."""
    if column.kind in ("number", "integer"):
        return _number(value, text, column, rule)
    if column.kind == "boolean":
        return _cell(text, value, [(f"{value} IS NULL", "it is neither true nor false")])
    long = (f"length({text}) > {LONGEST_TEXT}", f"it has more than {LONGEST_TEXT} letters")
    nul = (f"contains({text}, chr(0))", "it has a NUL in it")
    if column.kind == "json":
        return _cell(text, value, [nul, (f"{value} IS NULL", "it is no JSON"), long])
    checks = [nul, long]
    if rule.choices:
        listed = ", ".join(quoted(one) for one in rule.choices)
        checks.append((f"{text} NOT IN ({listed})", f"it is none of {', '.join(rule.choices)[:150]}"))
    return _cell(text, text, checks)


def _number(value: str, text: str, column: ReadingColumn, rule: Rule) -> Cell:
    checks = [
        (f"{value} IS NULL", "it is no number"),
        (
            f"abs({value}) >= {_EXACT} AND {value} = trunc({value}) AND NOT contains(lower({text}), 'e')",
            "it is a whole number too large to be kept exactly; read it as text",
        ),
    ]
    if column.kind == "integer":
        checks.append((f"{value} <> trunc({value})", "it is not a whole number"))
    kept = value
    if rule.converts:
        # Without the last bits of a conversion: ten digits are more than any sensor has.
        raw = f"({value} * {rule.factor!r} + {rule.offset!r})"
        size = f"greatest(abs({value} * {rule.factor!r}) + {abs(rule.offset)!r}, 1e-300)"
        kept = f"round({raw}, (9 - floor(log10({size})))::INTEGER)"
    if rule.whole:
        checks.append((f"{kept} <> trunc({kept})", "it is not a whole number, which the data model asks for"))
    unit = f" {rule.unit}" if rule.unit else ""
    if rule.minimum is not None:
        low = f"it is less than {rule.minimum:g}{unit}, the least that the data model knows"
        checks.append((f"{kept} < {rule.minimum!r}", low))
    if rule.maximum is not None:
        high = f"it is more than {rule.maximum:g}{unit}, the most that the data model knows"
        checks.append((f"{kept} > {rule.maximum!r}", high))
    return _cell(text, kept, checks)


def _cell(text: str, value: str, checks: Sequence[tuple[str, str]]) -> Cell:
    cases = " ".join(f"WHEN {condition} THEN {quoted(reason)}" for condition, reason in checks)
    return Cell(value, f"CASE WHEN {text} IS NULL THEN NULL::VARCHAR {cases} END")


def kind_of(column: ReadingColumn) -> ValueKind:
    """How a column's values are kept."""
    kinds = {
        "number": ValueKind.NUMBER,
        "integer": ValueKind.INTEGER,
        "boolean": ValueKind.BOOLEAN,
        "text": ValueKind.TEXT,
        "json": ValueKind.JSON,
    }
    return kinds[column.kind]


def identifier(parts: Sequence[tuple[str, bool]]) -> Cell:
    """An id of fixed texts and (True) columns."""
    columns = [one for one, is_column in parts if is_column]
    joined = " || ".join(one if is_column else quoted(one) for one, is_column in parts)
    missing = " OR ".join(f"{one} IS NULL" for one in columns) or "false"
    wrong = " OR ".join(f"NOT regexp_full_match({one}, {quoted(_PART)})" for one in columns) or "false"
    reason = (
        f"CASE WHEN {missing} THEN 'it is empty, and the id is made of it' "
        f"WHEN {wrong} THEN 'it cannot be a part of an id' END"
    )
    return Cell(joined, reason)


class Moment(NamedTuple):
    """SQL of an instant: milliseconds since 1970 where it is known, else those of the local time."""

    instant: str
    local: str


def moment(text: str, time: TimeColumn) -> Moment:
    """The instant of `said`; both NULL where it is none."""
    if time.format in (UNIX, UNIX_MS):
        factor = 1000 if time.format == UNIX else 1
        value = f"TRY_CAST({text} AS DOUBLE)"
        sane = f"isfinite({value}) AND abs({value}) < 1e14"
        return Moment(f"CASE WHEN {sane} THEN round({value} * {factor})::BIGINT END", "NULL::BIGINT")
    if time.format != ISO:
        parsed = f"try_strptime({text}, {quoted(time.format)})"
        if "%z" in time.format:
            return Moment(_millis(parsed), "NULL::BIGINT")
        return Moment("NULL::BIGINT", _millis(parsed))
    zoned = rf"regexp_matches({text}, '[T ]\d.*(Z|z|[+-]\d\d(:?\d\d)?)$')"
    instant = f"CASE WHEN {zoned} THEN {_millis(f'TRY_CAST({text} AS TIMESTAMPTZ)')} END"
    local = f"CASE WHEN NOT {zoned} THEN {_millis(f'TRY_CAST({text} AS TIMESTAMP)')} END"
    return Moment(instant, local)


def _millis(timestamp: str) -> str:
    return f"epoch_ms({timestamp})"


def _escaped(mark: str) -> str:
    return f"[{mark}]" if mark not in "^]\\" else "\\" + mark
