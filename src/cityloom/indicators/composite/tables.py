"""Values of many cities as arrays, and a computed index as a long table. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from cityloom.indicators.composite.computing import Note, Observations, Result
from cityloom.indicators.composite.definition import Branch, Definition, Leaf
from cityloom.indicators.composite.sensitivity import Spread
from cityloom.indicators.exchange.reported import Reported
from cityloom.kernel.errors import BadInput

#: The columns of a result.
COLUMNS = (
    "city",
    "period",
    "kind",
    "code",
    "value",
    "unit",
    "score",
    "points",
    "weight",
    "available",
    "rank",
    "rank_low",
    "rank_median",
    "rank_high",
)


def observations(
    definition: Definition, rows: Sequence[Reported], groups: Mapping[str, str] | None = None
) -> tuple[list[Observations], list[Note]]:
    """The values of each period, cities and periods in the order of the file; and what is not of the index.

    `groups` are the cities' groups by which gaps are filled. Raises BadInput.
    """
    wanted = {one.code for one in definition.indicators}
    wanted |= {one.denominator for one in definition.indicators} - {""}
    strange = dict.fromkeys(row.code for row in rows if row.code not in wanted)
    notes = [Note("", code, "", "left out: not in the definition") for code in strange]
    by_period: dict[str, list[Reported]] = {}
    for row in rows:
        by_period.setdefault(row.period, []).append(row)
    found = []
    for period, of_period in by_period.items():
        cities = tuple(dict.fromkeys(row.unit_of_study for row in of_period))
        places = {city: at for at, city in enumerate(cities)}
        columns = {code: np.full(len(cities), np.nan) for code in wanted}
        for row in of_period:
            if row.point:
                hint = "Write the code that the definition has into the column indicator."
                raise BadInput("An index knows no data points", hint=hint, where=row.place)
            if row.code in columns and row.value is not None:
                columns[row.code][places[row.unit_of_study]] = float(row.value)
        named = None if groups is None else tuple(_group(groups, city) for city in cities)
        found.append(Observations(period, cities, columns, named))
    return found, notes


def city_groups(raw: str, column: str, name: str) -> dict[str, str]:
    """One column of a table of cities: city, and what it is grouped by. Raises BadInput."""
    reader = csv.DictReader(io.StringIO(raw))
    missing = [one for one in ("city", column) if one not in (reader.fieldnames or ())]
    if missing:
        there = ", ".join(reader.fieldnames or ())
        raise BadInput(
            f"There is no column {missing[0]!r}", hint=f"There are: {there}.", where=f"{name} line 1"
        )
    return {row["city"]: row[column] or "" for row in reader}


def table(result: Result, spread: Spread | None = None) -> Iterable[Mapping[str, str]]:
    """A row a city and member of the index, the index first; nothing stands for what is missing."""
    definition = result.definition
    root = definition.root.code
    shares = {code: share for members in result.weights.values() for code, share in members.items()}
    ordered: list[Branch | Leaf] = [*definition.upwards()[::-1], *definition.indicators]
    ranks = result.ranks if definition.ranks else np.full(len(result.cities), np.nan)
    for at, city in enumerate(result.cities):
        for one in ordered:
            group = result.groups.get(one.code)
            score = result.scores_of(one.code)[at]
            row = {
                "city": city,
                "period": result.period,
                "kind": "index" if one.code == root else "indicator" if group is None else "group",
                "code": one.code,
                "value": "" if group is not None else _said(result.indicators[one.code].treated[at]),
                "unit": one.unit if isinstance(one, Leaf) else "",
                "score": _said(score),
                "points": _said(score * one.out_of / 100),
                "weight": _said(shares.get(one.code, 1.0)),
                "available": "" if group is None else _said(group.available[at]),
            }
            if one.code == root:
                row["rank"] = _said(ranks[at])
                if spread is not None and definition.ranks:
                    row["rank_low"] = _said(spread.low[at])
                    row["rank_median"] = _said(spread.median[at])
                    row["rank_high"] = _said(spread.high[at])
            yield row


def as_csv(rows: Iterable[Mapping[str, str]]) -> str:
    """Rows as CSV with a head."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _group(groups: Mapping[str, str], city: str) -> str:
    if city not in groups:
        raise BadInput(f"The table of cities has no {city!r}", hint="Add it there.", where="--cities")
    return groups[city]


def _said(number: float) -> str:
    return "" if np.isnan(number) else f"{number:.12g}"
