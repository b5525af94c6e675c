"""What the city's data models say of the readings of a table: bounds, choices, units. Pure."""

from __future__ import annotations

import math

import msgspec

from cityloom.kernel.errors import BadConfig
from cityloom.kernel.units import convert
from cityloom.sensing.models import DataModels
from cityloom.sensing.table_meaning import TableMeaning

_KINDS = {
    "number": ("number", "integer"),
    "integer": ("number", "integer"),
    "boolean": ("boolean",),
    "text": ("string",),
}


class Rule(msgspec.Struct, frozen=True):
    """What holds for one column of readings. A number is kept as number * factor + offset."""

    unit: str = ""
    factor: float = 1.0
    offset: float = 0.0
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    #: Whether only whole numbers may be.
    whole: bool = False

    @property
    def converts(self) -> bool:
        return (self.factor, self.offset) != (1.0, 0.0)


def rules_of(meaning: TableMeaning, models: DataModels, *, where: str) -> list[Rule]:
    """A rule for each of `all_readings`, in their order. Raises BadConfig where the two contradict."""
    model = models.find(meaning.type)
    rules = []
    for name, column in meaning.all_readings():
        attribute = model.attributes.get(name) if model else None
        if attribute is None:
            rules.append(Rule(unit=column.unit))
            continue
        place = f"{where}: readings.{name}"
        kinds = _KINDS.get(column.kind)
        if attribute.types and kinds and not set(kinds) & set(attribute.types):
            raise BadConfig(
                f"{name} of a {meaning.type} is a {' or '.join(attribute.types)}, not a {column.kind}",
                hint="Say so with `kind`, or choose another attribute: " + attribute.description,
                where=place,
            )
        unit, factor, offset = _line(column.unit, attribute.unit or "", place)
        rules.append(
            Rule(
                unit,
                factor,
                offset,
                attribute.minimum,
                attribute.maximum,
                attribute.choices,
                attribute.types == ("integer",),
            )
        )
    return rules


def _line(given: str, kept: str, where: str) -> tuple[str, float, float]:
    if not given or not kept or given == kept:
        return kept or given, 1.0, 0.0
    offset = convert(0.0, given, kept, where=where)
    factor = convert(1.0, given, kept, where=where) - offset
    far = convert(100.0, given, kept, where=where)
    if not math.isclose(far, 100.0 * factor + offset, rel_tol=1e-9):
        raise BadConfig(
            f"{given} cannot be turned into {kept} column by column",
            hint=f"Give the table in {kept}.",
            where=where,
        )
    return kept, factor, offset
