"""The capital and the operating budget by year and department, to the cent and per currency. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from cityloom.planning.action.model import COST_KINDS
from cityloom.planning.model import Initiative

_NOTHING = Decimal(0)


class Row(msgspec.Struct, frozen=True):
    """What one department spends of one kind (a key of COST_KINDS), by year."""

    department: str
    kind: str
    years: Mapping[int, Decimal]

    @property
    def total(self) -> Decimal:
        return sum(self.years.values(), _NOTHING)


class Budget(msgspec.Struct, frozen=True):
    """All that is planned in one currency."""

    currency: str
    years: tuple[int, ...]
    rows: tuple[Row, ...]
    #: Budgets that are no cost lines yet, by initiative: they stand in no year.
    unsplit: Mapping[str, Decimal]

    def of_year(self, year: int, kind: str = "") -> Decimal:
        """All departments in a year, of one kind or of both."""
        return sum((row.years.get(year, _NOTHING) for row in self._of(kind)), _NOTHING)

    def of_kind(self, kind: str) -> Decimal:
        """All years and departments of one kind."""
        return sum((row.total for row in self._of(kind)), _NOTHING)

    @property
    def split(self) -> Decimal:
        """All cost lines."""
        return sum((row.total for row in self.rows), _NOTHING)

    @property
    def total(self) -> Decimal:
        """All initiatives, with or without cost lines."""
        return self.split + sum(self.unsplit.values(), _NOTHING)

    def _of(self, kind: str) -> Iterable[Row]:
        return (row for row in self.rows if not kind or row.kind == kind)


def budgets_of(initiatives: Iterable[Initiative]) -> tuple[Budget, ...]:
    """A budget for each currency, by its code. A line without a department is the initiative's own."""
    cells: dict[str, dict[tuple[str, str], dict[int, Decimal]]] = defaultdict(dict)
    unsplit: dict[str, dict[str, Decimal]] = defaultdict(dict)
    for one in initiatives:
        action, budget = one.plan.action, one.plan.budget
        for line in action.costs:
            department = line.department or action.department or one.plan.owner
            years = cells[line.amount.currency].setdefault((department, line.kind), {})
            years[line.year] = years.get(line.year, _NOTHING) + line.amount.amount
        if not action.costs and budget is not None:
            unsplit[budget.currency][one.id] = budget.amount
    return tuple(
        _budget(currency, cells.get(currency, {}), unsplit.get(currency, {}))
        for currency in sorted(set(cells) | set(unsplit))
    )


class Joint(msgspec.Struct, frozen=True):
    """An initiative that several departments carry, and what each of them pays of it."""

    initiative: Initiative
    currency: str
    #: By department.
    parts: Mapping[str, Decimal]
    #: Departments that are said to carry it, and have no cost line.
    without: tuple[str, ...]

    @property
    def total(self) -> Decimal:
        return sum(self.parts.values(), _NOTHING)


def joint(initiatives: Iterable[Initiative]) -> tuple[Joint, ...]:
    """What departments carry together, the dearest first; the parts of each add up to its cost lines."""
    found = []
    for one in initiatives:
        action = one.plan.action
        own = action.department or one.plan.owner
        parts: dict[str, Decimal] = {}
        for line in action.costs:
            department = line.department or own
            parts[department] = parts.get(department, _NOTHING) + line.amount.amount
        without = tuple(name for name in dict.fromkeys((own, *action.shared_with)) if name not in parts)
        if len(parts) > 1 or action.shared_with:
            currency = action.costs[0].amount.currency if action.costs else ""
            found.append(Joint(one, currency, parts, without))
    return tuple(sorted(found, key=lambda one: -one.total))


def _budget(
    currency: str, cells: Mapping[tuple[str, str], Mapping[int, Decimal]], unsplit: Mapping[str, Decimal]
) -> Budget:
    kinds = list(COST_KINDS)
    order = sorted(cells, key=lambda cell: (cell[0].casefold(), cell[0], kinds.index(cell[1])))
    years = sorted({year for by_year in cells.values() for year in by_year})
    rows = tuple(Row(department, kind, cells[department, kind]) for department, kind in order)
    return Budget(currency, tuple(years), rows, dict(unsplit))
