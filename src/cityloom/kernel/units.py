"""Units by their UN/CEFACT Recommendation 20 code, as NGSI-LD's unitCode wants them (4.5.2)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import msgspec

from cityloom.kernel.errors import BadInput

if TYPE_CHECKING:
    from pint import UnitRegistry


class Unit(msgspec.Struct, frozen=True):
    """A unit of measure. `symbol` is what people read; `pint_name` what conversion understands."""

    code: str
    symbol: str
    name: str
    pint_name: str


UNITS: dict[str, Unit] = {
    unit.code: unit
    for unit in (
        Unit("C62", "", "one", "dimensionless"),
        Unit("P1", "%", "percent", "percent"),
        Unit("CEL", "°C", "degree Celsius", "degC"),
        Unit("FAH", "°F", "degree Fahrenheit", "degF"),
        Unit("KEL", "K", "kelvin", "kelvin"),
        Unit("KMH", "km/h", "kilometre per hour", "km/hour"),
        Unit("MTS", "m/s", "metre per second", "m/s"),
        Unit("HM", "mph", "mile per hour", "mile/hour"),
        Unit("MTR", "m", "metre", "m"),
        Unit("KMT", "km", "kilometre", "km"),
        Unit("CMT", "cm", "centimetre", "cm"),
        Unit("MMT", "mm", "millimetre", "mm"),
        Unit("MTK", "m²", "square metre", "m**2"),
        Unit("HAR", "ha", "hectare", "hectare"),
        Unit("KMK", "km²", "square kilometre", "km**2"),
        Unit("MTQ", "m³", "cubic metre", "m**3"),
        Unit("LTR", "l", "litre", "liter"),
        Unit("DD", "°", "degree of angle", "degree"),
        Unit("SEC", "s", "second", "second"),
        Unit("MIN", "min", "minute", "minute"),
        Unit("HUR", "h", "hour", "hour"),
        Unit("DAY", "d", "day", "day"),
        Unit("ANN", "a", "year", "year"),
        Unit("A97", "hPa", "hectopascal", "hectopascal"),
        Unit("PAL", "Pa", "pascal", "pascal"),
        Unit("GQ", "µg/m³", "microgram per cubic metre", "microgram/m**3"),
        Unit("GP", "mg/m³", "milligram per cubic metre", "milligram/m**3"),
        Unit("59", "ppm", "part per million", "ppm"),
        Unit("2N", "dB", "decibel", "decibel"),
        Unit("LUX", "lx", "lux", "lux"),
        Unit("D54", "W/m²", "watt per square metre", "watt/m**2"),
        Unit("WTT", "W", "watt", "watt"),
        Unit("KWT", "kW", "kilowatt", "kilowatt"),
        Unit("KWH", "kWh", "kilowatt hour", "kilowatt_hour"),
        Unit("VLT", "V", "volt", "volt"),
        Unit("AMP", "A", "ampere", "ampere"),
        Unit("KGM", "kg", "kilogram", "kilogram"),
        Unit("TNE", "t", "tonne", "tonne"),
        Unit("2A", "rad/s", "radian per second", "radian/second"),
        Unit("E34", "GB", "gigabyte", "gigabyte"),
        Unit("HEA", "persons", "head", "dimensionless"),
    )
}


#: The same units in the Unified Code for Units of Measure, by UN/CEFACT code; those that it has.
UCUM: dict[str, str] = {
    "C62": "1",
    "P1": "%",
    "CEL": "Cel",
    "FAH": "[degF]",
    "KEL": "K",
    "KMH": "km/h",
    "MTS": "m/s",
    "HM": "[mi_i]/h",
    "MTR": "m",
    "KMT": "km",
    "CMT": "cm",
    "MMT": "mm",
    "MTK": "m2",
    "HAR": "har",
    "KMK": "km2",
    "MTQ": "m3",
    "LTR": "L",
    "DD": "deg",
    "SEC": "s",
    "MIN": "min",
    "HUR": "h",
    "DAY": "d",
    "ANN": "a",
    "A97": "hPa",
    "PAL": "Pa",
    "GQ": "ug/m3",
    "GP": "mg/m3",
    "59": "[ppm]",
    "2N": "dB",
    "LUX": "lx",
    "D54": "W/m2",
    "WTT": "W",
    "KWT": "kW",
    "KWH": "kW.h",
    "VLT": "V",
    "AMP": "A",
    "KGM": "kg",
    "TNE": "t",
    "2A": "rad/s",
    "E34": "GBy",
    "HEA": "{head}",
}


def code_of(*said: str) -> str | None:
    """The UN/CEFACT code of a unit that is said as such a code, in UCUM, by symbol or by name; None for
    one that is not known. The first that is known counts."""
    for one in said:
        word = one.strip()
        if word in UNITS:
            return word
        for code, unit in UNITS.items():
            if word and (word in (UCUM.get(code), unit.symbol) or word.casefold() == unit.name.casefold()):
                return code
    return None


@cache
def _registry() -> UnitRegistry[float]:
    from pint import UnitRegistry as Registry

    return Registry(cache_folder=None)


def symbol(code: str | None) -> str:
    """What stands behind the number on a page; the code itself when it is not in the table."""
    if not code:
        return ""
    unit = UNITS.get(code)
    return unit.symbol if unit else code


def convert(value: float, code: str, to: str, *, where: str = "unitCode") -> float:
    """`value` in unit `code`, expressed in unit `to`. Raises BadInput when they do not measure the same."""
    if code == to:
        return value
    source, target = UNITS.get(code), UNITS.get(to)
    if source is None or target is None:
        unknown = code if source is None else to
        raise BadInput(
            f"{unknown!r} is not a unit code this city knows",
            hint="Use the UN/CEFACT Recommendation 20 code, such as CEL for degrees Celsius.",
            where=where,
        )
    import pint

    try:
        quantity = _registry().Quantity(value, source.pint_name)
        return float(quantity.to(target.pint_name).magnitude)
    except pint.DimensionalityError:
        raise BadInput(
            f"{source.name} cannot be turned into {target.name}",
            hint=f"Send it in {target.name} (unit code {target.code}) or a unit of the same quantity.",
            where=where,
        ) from None
