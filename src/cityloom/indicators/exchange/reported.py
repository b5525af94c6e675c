"""A value as a file reports it, and how its parts are read. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, tzinfo

import msgspec

from cityloom.kernel.errors import BadInput
from cityloom.kernel.time import months_later
from cityloom.kernel.worded import Worded

#: What a file may have at most: it may come from anybody.
MOST_BYTES = 64 * 1024 * 1024
MOST_ROWS = 1_000_000
LONGEST_CELL = 2000
#: What stands for "there is no value": never 0.
ABSENT = frozenset({"", "na", "n/a", "nan", "nr", "not reported", ":", "..", "-"})
_WORDS = {"yes": True, "true": True, "no": False, "false": False}

_YEAR = r"(?P<year>[12][0-9]{3})"
_PERIOD = re.compile(
    rf"{_YEAR}(?:-?(?:Q(?P<quarter>[1-4])|S(?P<half>[12])|(?P<month>0[1-9]|1[0-2])))?", re.IGNORECASE
)
_DAYS = re.compile(r"([12][0-9]{3}-[0-9]{2}-[0-9]{2})/([12][0-9]{3}-[0-9]{2}-[0-9]{2})")


class Reported(msgspec.Struct, frozen=True):
    """One value: of which city, of what, when. `value` is None where it is not reported."""

    city: str
    code: str
    period: str
    value: float | bool | None
    #: Which of an indicator's several figures; "" for the only one.
    point: str = ""
    numerator: float | None = None
    denominator: float | None = None
    unit: str = ""
    source: str = ""
    #: Where it stands in the file: "line 7".
    place: str = ""
    #: What the file calls the district that it is of; "" for the whole city.
    district: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """What may stand in a file once."""
        return (self.city, self.code, self.point, self.period, self.district)

    @property
    def unit_of_study(self) -> str:
        """The city, or the district of it."""
        return f"{self.city}: {self.district}" if self.district else self.city


def number_of(text: str, place: str, *, comma: bool = False) -> float | None:
    """A number, or None for what stands for "no value". Raises BadInput."""
    plain = text.strip()
    if plain.lower() in ABSENT:
        return None
    if comma and plain.count(",") == 1 and "." not in plain:
        plain = plain.replace(",", ".")
    try:
        found = float(plain)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        hint = Worded("Write numbers as 12.5, and nothing (or NA) where there is no value: it is not 0.")
        raise BadInput(Worded("%(text)s is no number", text=repr(text[:60])), hint=hint, where=place)
    return found


def value_of(text: str, place: str, *, comma: bool = False) -> float | bool | None:
    """A number, yes or no, or None. Raises BadInput."""
    said = _WORDS.get(text.strip().lower())
    return number_of(text, place, comma=comma) if said is None else said


def once_each(rows: Iterator[Reported]) -> Iterator[Reported]:
    """Rows of which no two speak of the same. Raises BadInput naming the second one."""
    seen: dict[tuple[str, ...], str] = {}
    for row in rows:
        if row.key in seen:
            raise BadInput(
                Worded(
                    "%(what)s stands in %(place)s",
                    what=f"{row.unit_of_study}, {row.code} {row.point}".rstrip() + f", {row.period}",
                    place=seen[row.key],
                ),
                hint=Worded("Keep one of the two."),
                where=row.place,
            )
        seen[row.key] = row.place
        if len(seen) > MOST_ROWS:
            raise BadInput(
                Worded("The file has too many rows"),
                hint=Worded("%(count)s are the most.", count=MOST_ROWS),
                where=row.place,
            )
        yield row


def row_of(cells: Mapping[str, str], places: Mapping[str, str], *, comma: bool = False) -> Reported:
    """The value in a row of a long table: cells by the column's name, and where each stands.

    Raises BadInput naming the cell.
    """
    for name in ("city", "indicator"):
        if not cells.get(name, "").strip():
            raise BadInput(
                Worded("The cell of the column %(name)s is empty", name=name),
                hint=Worded("Fill the cell in."),
                where=places[name],
            )
    for name, cell in cells.items():
        if len(cell) > LONGEST_CELL:
            raise BadInput(
                Worded("The cell is too long"),
                hint=Worded("Up to %(count)s characters.", count=LONGEST_CELL),
                where=places[name],
            )
    code, point = cells["indicator"].strip(), cells.get("point", "").strip()
    return Reported(
        city=cells["city"].strip(),
        code=code,
        period=cells.get("period", "").strip().removesuffix(".0"),
        value=value_of(cells.get("value", ""), places.get("value", ""), comma=comma),
        point=point,
        numerator=_optional(cells, places, "numerator", comma=comma),
        denominator=_optional(cells, places, "denominator", comma=comma),
        unit=cells.get("unit", "").strip(),
        source=cells.get("source", "").strip(),
        place=places["city"].partition(",")[0],
        district=cells.get("place", "").strip(),
    )


def bounds_of(period: str, zone: tzinfo, place: str) -> tuple[datetime, datetime]:
    """Beginning and end of a period: 2019, 2019-03, 2019-Q1, 2019-S1 or 2019-01-01/2019-12-31, its last day.

    Raises BadInput.
    """
    days = _DAYS.fullmatch(period)
    if days is not None:
        try:
            first, last = (datetime.fromisoformat(one).replace(tzinfo=zone) for one in days.groups())
        except ValueError:
            raise _no_period(period, place) from None
        if last < first:
            raise _no_period(period, place)
        return first, last + timedelta(days=1)
    found = _PERIOD.fullmatch(period)
    if found is None:
        raise _no_period(period, place)
    begins, months = 1, 12
    if found["quarter"]:
        begins, months = 3 * int(found["quarter"]) - 2, 3
    elif found["half"]:
        begins, months = 6 * int(found["half"]) - 5, 6
    elif found["month"]:
        begins, months = int(found["month"]), 1
    begin = datetime(int(found["year"]), begins, 1, tzinfo=zone)
    return begin, months_later(begin, months)


def _no_period(period: str, place: str) -> BadInput:
    hint = Worded("Write 2019, 2019-03, 2019-Q1 or 2019-01-01/2019-12-31.")
    return BadInput(Worded("%(text)s is no period", text=repr(period[:60])), hint=hint, where=place)


def _optional(cells: Mapping[str, str], places: Mapping[str, str], name: str, *, comma: bool) -> float | None:
    return number_of(cells[name], places[name], comma=comma) if name in cells else None
