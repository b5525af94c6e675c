"""What indicators and reports ask of many series at once, said once as expressions of Ibis. Pure.

Each engine answers them in its own words: DuckDB and PostgreSQL by text that was made of them beforehand
(`adapters/sql/long_questions`), for Ibis takes 54 MB and over a second to be imported; whoever
asks from a notebook, by Ibis itself. What they mean is said by the pure functions of `pools`.

The tables, which each engine lays out:

* `standing`: the readings that stand, with their time and order; a text has NULL as its number.
* `counted`: readings and roll-ups of many, with what each adds: how many there are, how many numbers among
  them, their sum. Where nothing is `rolled`, `standing` is asked in its place.
* `wanted`: the series that are asked for, their groups, their turn in these, the line into one unit.
* `slots`: which part of a period lies in each stretch of equal length (`slots.Slots`).

Instants are milliseconds since 1970.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import ibis

#: Expressions, which Ibis does not type for those who use it.
Table = Any
Value = Any


class Tables(NamedTuple):
    """Unbound tables of these columns, or those of an engine."""

    counted: Table = ibis.table(
        {"series": "int32", "observed_at": "int64", "total": "int64", "numbers": "int64", "added": "float64"},
        name="counted",
    )
    standing: Table = ibis.table(
        {"series": "int32", "observed_at": "int64", "sequence": "int64", "number": "float64"}, name="standing"
    )
    wanted: Table = ibis.table(
        {
            "series": "int32",
            "grp": "int64",
            "turn": "int64",
            "factor": "float64",
            "shift": "float64",
            "reference": "float64",
        },
        name="wanted",
    )
    slots: Table = ibis.table(
        {"stretch": "int64", "bucket": "int64", "edge": "int64", "ends": "int64"}, name="slots"
    )


def cells(
    tables: Tables, first: Value, step: Value, above: Value, *, single: bool, rolled: bool = False
) -> Table:
    """Means by group and period: `grp`, `bucket`, `v` (NULL where there is none) and `n` readings.

    `single` says that each group has one series; of several the first that has numbers counts. Values that
    are not `above`, unless that is NULL, are left out.
    """
    placed = _placed(tables, first, step, rolled=rolled)
    by_series = placed.group_by("series", "bucket").agg(
        mean=_mean(placed, rolled=rolled), n=_count(placed, rolled=rolled)
    )
    found = by_series.join(tables.wanted, "series").select(
        "grp", "turn", "bucket", "n", v=lambda row: row["mean"] * row.factor + row["shift"]
    )
    if not single:
        found = found.group_by("grp", "bucket").agg(
            v=lambda row: row.v.argmin(row.turn, where=row.v.notnull()), n=lambda row: row.n.sum()
        )
    kept = ibis.ifelse(above.isnull() | (found.v > above), found.v, ibis.null("float64"))
    return found.select("grp", "bucket", "n", v=kept)


def sums(found: Table) -> Table:
    """Of `cells`: rows of groups, in which `bucket` is -1, and rows of periods, in which `grp` is."""
    return ibis.union(_summed(found, "grp", "bucket"), _summed(found, "bucket", "grp"))


def medians(found: Table) -> Table:
    """Of `cells`: the median cell of each group that has any."""
    return found.filter(found.v.notnull()).group_by("grp").agg(v=lambda row: row.v.median())


def held(
    tables: Tables, since: Value, before: Value, until: Value, hold: Value, above: Value, below: Value
) -> Table:
    """For how long values held, by group, of the readings from `since` on and `before` an instant.

    Those of `standing` reach `hold` further, as far as `until`. One of `above` and `below` is NULL.
    """
    standing = tables.standing
    following = standing.observed_at.lead().over(
        ibis.window(group_by=standing.series, order_by=[standing.observed_at, standing.sequence])
    )
    rows = (
        standing.mutate(following=following)
        .join(tables.wanted, "series")
        .select(
            "grp",
            "observed_at",
            v=lambda row: (row.number * row.factor + row["shift"]) / row.reference,
            lasting=lambda row: (
                ibis.least(ibis.coalesce(row.following, until), row.observed_at + hold) - row.observed_at
            ),
        )
    )
    rows = rows.filter(rows.v.notnull(), rows.observed_at >= since, rows.observed_at < before)
    fits = ibis.coalesce(rows.v > above, rows.v < below)
    return rows.group_by("grp").agg(
        readings=rows.count(),
        covered=rows.lasting.sum(),
        inside=ibis.coalesce(rows.lasting.sum(where=fits), 0),
    )


def presence(tables: Tables, first: Value, step: Value, most_gaps: int, *, rolled: bool = False) -> Table:
    """Where groups have readings, and the longest gaps between these.

    Rows with `gap` 0 say for each group in how many periods it is present, its first one, its last one and
    how many readings there are; the others say of a run of periods without any where it begins.
    """
    placed = _placed(tables, first, step, rolled=rolled)
    by_series = placed.group_by("series", "bucket").agg(n=_count(placed, rolled=rolled))
    by_series = by_series.join(tables.wanted, "series")
    slots = by_series.group_by("grp", "bucket").agg(n=by_series.n.sum())
    before = slots.bucket.lag().over(ibis.window(group_by=slots.grp, order_by=slots.bucket))
    slots = slots.mutate(gap=slots.bucket - before - 1)
    there = slots.group_by("grp").agg(
        first=slots.bucket.min(), gap=_none(), last=slots.bucket.max(), present=slots.count(),
        readings=slots.n.sum(),
    )  # fmt: skip
    gaps = slots.filter(slots.gap > 0).select(
        "grp", first=lambda row: row.bucket - row.gap, gap=lambda row: row.gap, last=lambda row: row.bucket,
        present=_none(), readings=_none(),
    )  # fmt: skip
    longest = gaps.order_by(ibis.desc("gap"), "grp", "first").limit(most_gaps)
    return ibis.union(there, longest)


def time_weighted(tables: Tables, start: Value, end: Value, first: Value, step: Value, hold: Value) -> Table:
    """Area and cover by group and period, of values that hold until the next of their series.

    `standing` reaches back to where what holds at `start` is looked for; of before it the last value counts.
    """
    standing = tables.standing
    earlier, inside = (
        standing.filter(standing.observed_at < start),
        standing.filter(standing.observed_at >= start),
    )
    newest = earlier.group_by("series").agg(observed_at=earlier.observed_at.max())
    known = ibis.union(earlier.semi_join(newest, ["series", "observed_at"]), inside)
    known = known.filter(known.number.notnull())
    following = known.observed_at.lead().over(ibis.window(group_by=known.series, order_by=known.observed_at))
    steps = known.select(
        "series", "number", begins=ibis.greatest(known.observed_at, start),
        ends=ibis.least(ibis.coalesce(following, end), known.observed_at + hold),
    )  # fmt: skip
    steps = steps.filter(steps.ends > steps.begins)
    begins, ends = (_stretch(one, first, step) for one in (steps.begins, steps.ends - 1))
    spread = steps.select(
        "series", "number", "begins", "ends", begun=begins,
        # From 0 on: for PostgreSQL Ibis 12 subtracts a beginning without brackets round it.
        turn=ibis.range(0, (ends - begins) // step + 1).unnest(),
    )  # fmt: skip
    spread = spread.select("series", "number", "begins", "ends", stretch=spread.begun + spread.turn * step)
    pieces = spread.join(tables.slots, "stretch").join(tables.wanted, "series")
    pieces = pieces.select(
        "grp", "bucket", "number",
        lasting=ibis.least(pieces.ends, pieces.ends_right) - ibis.greatest(pieces.begins, pieces.edge),
    )  # fmt: skip
    pieces = pieces.filter(pieces.lasting > 0)
    return pieces.group_by("grp", "bucket").agg(
        covered=pieces.lasting.sum(), area=(pieces.lasting * pieces.number).sum()
    )


def _placed(tables: Tables, first: Value, step: Value, *, rolled: bool) -> Table:
    """What is counted, with the period into which it falls."""
    rows = tables.counted if rolled else tables.standing
    names = ("total", "numbers", "added") if rolled else ("number",)
    # Where its stretch begins, by whole numbers alone: engines divide them in different ways.
    rows = rows.mutate(stretch=_stretch(rows.observed_at, first, step))
    placed = rows.join(tables.slots, "stretch")
    placed = placed.filter(placed.observed_at >= placed.edge, placed.observed_at < placed.ends)
    return placed.select("series", "bucket", *names)


def _stretch(instant: Value, first: Value, step: Value) -> Value:
    return instant - (instant - first) % step


def _mean(placed: Table, *, rolled: bool) -> Value:
    return placed.added.sum() / placed.numbers.sum().nullif(0) if rolled else placed.number.mean()


def _count(placed: Table, *, rolled: bool) -> Value:
    return placed.total.sum() if rolled else placed.count()


def _summed(found: Table, by: str, other: str) -> Table:
    summed = found.group_by(by).agg(
        cells=found.v.count(), total=ibis.coalesce(found.v.sum(), 0.0), readings=found.n.sum()
    )
    return summed.mutate(**{other: ibis.literal(-1, "int64")}).select(
        "grp", "bucket", "cells", "total", "readings"
    )


def _none() -> Value:
    return ibis.literal(0, "int64")
