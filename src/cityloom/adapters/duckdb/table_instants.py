"""SQL of the instants of a table whose times are local ones: clocks were set forward and back meanwhile."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from cityloom.adapters.duckdb.table_source import quoted
from cityloom.sensing.local_times import EARLIEST_LOCAL, LATEST_LOCAL, Piece, pieces
from cityloom.sensing.table_meaning import TimeColumn


def instant_of(time: TimeColumn, low: int | None, high: int | None) -> str:
    """SQL of a struct: the instant of a row, or what is wrong with its local time."""
    if time.zone and (low is None or high is None):
        return "{'instant': instant, 'wrong': NULL::VARCHAR}"
    if low is None or high is None or not time.zone:
        wrong = quoted("it has no time zone, and the mapping names none")
        return f"{{'instant': instant, 'wrong': CASE WHEN local IS NOT NULL THEN {wrong} END}}"
    found = pieces(ZoneInfo(time.zone), low, high)
    cases: list[str] = []
    wrongs: list[str] = []
    for piece, following in zip(found, [*found[1:], None], strict=True):
        until = "true" if following is None else f"local < {following.begin}"
        cases.append(f"WHEN {until} THEN local - ({_offset(time, piece)})")
        wrongs.append(f"WHEN {until} THEN {_wrong(time, piece)}")
    outside = f"local NOT BETWEEN {EARLIEST_LOCAL} AND {LATEST_LOCAL}"
    return (
        f"{{'instant': CASE WHEN local IS NULL THEN instant WHEN {outside} THEN NULL "
        f"{' '.join(cases)} END, 'wrong': CASE WHEN local IS NULL OR {outside} THEN NULL "
        f"{' '.join(wrongs)} END}}"
    )


def _offset(time: TimeColumn, piece: Piece) -> int:
    if piece.kind == "fold" and time.fold == "second":
        return piece.second
    return piece.offset


def _wrong(time: TimeColumn, piece: Piece) -> str:
    if piece.kind == "gap" and time.gap == "reject":
        return quoted(
            f'it never was in {time.zone}: clocks were set forward over it; say gap = "later" to take it'
        )
    if piece.kind == "fold" and time.fold == "reject":
        return quoted(f'it was twice in {time.zone}: clocks were set back; say fold = "first" or "second"')
    return "NULL"
