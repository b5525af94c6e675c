"""What spending sets in motion in an economy: Leontief's multipliers of who buys from whom. Pure.

With A the inputs per unit of output, output x meets final demand f when x = (I - A)^-1 f.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded

Numbers = NDArray[np.float64]
MOST_INDUSTRIES = 120


class Industry(msgspec.Struct, frozen=True, kw_only=True):
    """An industry in the year of the table: money in one unit (say millions), jobs as a number."""

    name: str
    output: float
    value_added: float = 0.0
    jobs: float = 0.0


class Multipliers(msgspec.Struct, frozen=True):
    """What one unit of final demand for an industry's product sets in motion in all of them."""

    industries: tuple[str, ...]
    #: Output, value added, and jobs per unit of money of the table.
    output: tuple[float, ...]
    value_added: tuple[float, ...]
    jobs: tuple[float, ...]
    #: (I - A)^-1 as rows.
    inverse: tuple[tuple[float, ...], ...]


class Effect(msgspec.Struct, frozen=True):
    """What spending sets in motion, in money of the table; jobs as person-years."""

    output: float
    value_added: float
    jobs: float
    #: Output by industry.
    by_industry: Mapping[str, float]
    #: What was spent outside the table: imports.
    leaked: float


def multipliers(industries: Sequence[Industry], sales: Mapping[tuple[str, str], float]) -> Multipliers:
    """Of `sales` by seller and buyer. Raises BadInput for a table that is none."""
    names = [one.name for one in industries]
    output = _checked(industries, sales)
    flows = np.zeros((len(names), len(names)))
    for (seller, buyer), amount in sales.items():
        flows[names.index(seller), names.index(buyer)] += amount
    inputs = flows / output
    if float(np.abs(np.linalg.eigvals(inputs)).max()) >= 1:
        raise BadInput(
            Worded("These industries use up more than they make"),
            hint=Worded("Check the sales between them: an industry's inputs are less than its output."),
            where="sales",
        )
    inverse = np.linalg.inv(np.eye(len(names)) - inputs)
    return Multipliers(
        tuple(names),
        tuple(map(float, inverse.sum(axis=0))),
        tuple(map(float, (np.array([one.value_added for one in industries]) / output) @ inverse)),
        tuple(map(float, (np.array([one.jobs for one in industries]) / output) @ inverse)),
        tuple(tuple(map(float, row)) for row in inverse),
    )


def effect(found: Multipliers, spending: Mapping[str, float]) -> Effect:
    """Of spending by industry; what goes to none of them leaks away."""
    demand = np.array([spending.get(name, 0.0) for name in found.industries])
    outputs = np.array(found.inverse) @ demand
    return Effect(
        float(outputs.sum()),
        float(np.array(found.value_added) @ demand),
        float(np.array(found.jobs) @ demand),
        {name: float(one) for name, one in zip(found.industries, outputs, strict=True)},
        float(sum(spending.values()) - demand.sum()),
    )


def _checked(industries: Sequence[Industry], sales: Mapping[tuple[str, str], float]) -> Numbers:
    names = [one.name for one in industries]
    if not names or len(names) > MOST_INDUSTRIES or len(set(names)) != len(names):
        raise BadInput(
            Worded("These are no industries of a table"),
            hint=Worded("Give each of up to %(most)s a name of its own.", most=MOST_INDUSTRIES),
            where="industries",
        )
    if any(one.output <= 0 or one.value_added < 0 or one.jobs < 0 for one in industries):
        hint = Worded("Output is more than 0, value added and jobs are 0 or more.")
        raise BadInput(Worded("This is no output"), hint=hint, where="industries")
    for (seller, buyer), amount in sales.items():
        if seller not in names or buyer not in names or amount < 0:
            raise BadInput(
                Worded("%(seller)s to %(buyer)s is no sale between industries", seller=seller, buyer=buyer),
                hint=Worded("Name industries of the table, and an amount of 0 or more."),
                where="sales",
            )
    return np.array([one.output for one in industries])
