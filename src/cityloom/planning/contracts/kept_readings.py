"""What a settled line was worked out from, as a table that is kept with it. Pure.

History may let readings go once they are old (`history/retention.py`); what money was paid by stays.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum

import msgspec

from cityloom.history.model import Reading
from cityloom.kernel.numbers import is_number
from cityloom.kernel.time import format_instant, parse_instant
from cityloom.planning.contracts.statement import Statement
from cityloom.planning.contracts.terms import Line

#: `change` is the place in the feed of the change that brought the reading.
COLUMNS = ("observedAt", "value", "unitCode", "change")

_Span = tuple[datetime, datetime]


class Proof(StrEnum):
    """Whether what was settled can be worked out again from what was kept."""

    AGAIN = "again"
    #: The kept readings come to something else.
    OTHERWISE = "otherwise"
    #: A file is gone, or is not what it was.
    GONE = "gone"
    #: It was settled before readings were kept.
    NOT_KEPT = "notKept"


def written(readings: Iterable[Reading]) -> bytes:
    """The readings as CSV in UTF-8, by time. What is no number has no value there: it only counts."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for one in sorted(readings, key=lambda one: (one.at, one.sequence, one.unit_code)):
        value = repr(float(one.value)) if is_number(one.value) else ""
        table.writerow((format_instant(one.at), value, one.unit_code, one.sequence))
    return text.getvalue().encode()


def read_again(data: bytes, line: Line) -> list[Reading]:
    """The readings of a table that `written` made."""
    rows = csv.reader(io.StringIO(data.decode(), newline=""))
    next(rows)
    return [
        Reading(
            line.about,
            line.attribute,
            parse_instant(at, where=COLUMNS[0]),
            float(value) if value else None,
            unit_code,
            sequence=int(change),
        )
        for at, value, unit_code, change in rows
    ]


def joined(now: Sequence[Reading], kept: Iterable[Reading], gone: _Span) -> list[Reading]:
    """What history tells now, with what was kept of the time of which it tells single readings no more."""
    since, until = gone
    known = {one.at for one in now}
    return [*now, *(one for one in kept if since <= one.at < until and one.at not in known)]


def with_kept(statement: Statement, digests: Mapping[int, str]) -> Statement:
    """The statement with the SHA-256 of what was kept of each line, by the line's place."""
    lines = tuple(
        msgspec.structs.replace(
            line, evidence=msgspec.structs.replace(line.evidence, kept=digests.get(place, msgspec.UNSET))
        )
        for place, line in enumerate(statement.lines)
    )
    return msgspec.structs.replace(statement, lines=lines)


def kept_of(statement: Statement) -> dict[int, str]:
    """The digests of what was kept, by the line's place; a statement of before keeping has none."""
    return {
        place: line.evidence.kept
        for place, line in enumerate(statement.lines)
        if line.evidence.kept is not msgspec.UNSET
    }
