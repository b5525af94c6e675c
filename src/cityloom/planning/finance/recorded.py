"""What a record's fields say, as a reckoning takes it: exact amounts and numbers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.planning.finance.discounting import OWN, Basis, Convention, Timing, named, own_rate
from cityloom.planning.finance.sums import one_currency
from cityloom.planning.money import Money

Values = Mapping[str, Any]


def amounts_in(values: Any) -> Iterator[Money]:
    """All amounts that a record says, in its tables, too."""
    if isinstance(values, Money):
        yield values
    elif isinstance(values, Mapping):
        for one in values.values():
            yield from amounts_in(one)
    elif isinstance(values, tuple | list):
        for one in values:
            yield from amounts_in(one)


def currency_of(values: Values) -> str:
    """The one currency that a record is in. Raises BadInput for none and for several."""
    found = one_currency(amounts_in(values))
    if not found:
        raise BadInput(Worded("There are no amounts yet"), hint=Worded("Enter the first one."))
    return found


def amount(values: Values, name: str) -> Decimal:
    """A field's amount; 0 where it says none."""
    found = values.get(name)
    return found.amount if isinstance(found, Money) else Decimal()


def number(values: Values, name: str, otherwise: float = 0.0) -> Decimal:
    """A field's number, exactly as it was written."""
    return Decimal(repr(float(values.get(name, otherwise))))


def share(values: Values, name: str, otherwise: float = 0.0) -> Decimal:
    """A field's percentage as a share of one."""
    return number(values, name, otherwise) / 100


def rows(values: Values, name: str, *, needed: bool = True) -> tuple[Values, ...]:
    """A table's rows. Raises BadInput where there are none and some are needed."""
    found: tuple[Values, ...] = values.get(name, ())
    if needed and not found:
        raise BadInput(Worded("A table is still empty"), hint=Worded("Enter its first row."), where=name)
    return found


def convention_of(values: Values) -> Convention:
    """The convention that a record names, or the city's own rate. Raises BadInput where that is not said."""
    timing, basis = values.get("timing"), Basis(values.get("prices", Basis.REAL))
    if values["convention"] == OWN:
        if "rate" not in values:
            raise BadInput(
                Worded("The city's own rate is not said"), hint=Worded("Enter it in percent."), where="rate"
            )
        return own_rate(share(values, "rate"), timing=Timing(timing or Timing.YEAR_ZERO), basis=basis)
    return named(values["convention"], timing=Timing(timing) if timing else None)
