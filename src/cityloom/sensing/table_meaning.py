"""What the columns of a table of the past mean: the mapping that `cityloom load` is given. Pure.

The mapping is TOML. A row is about one Entity and one instant and tells any number of readings; where a table
has one reading a row (the long form), `when` says which rows are of which attribute.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from cityloom.kernel.errors import BadConfig, fault_of
from cityloom.kernel.units import UNITS

#: Columns in the template of an id.
PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
#: What a cell of kind "boolean" may say, in small letters.
TRUE_WORDS = ("true", "1", "yes", "on", "t", "y", "ja")
FALSE_WORDS = ("false", "0", "no", "off", "f", "n", "nej", "nein")
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}|https?://[^\s<>\"]{1,500}")
_ATTRIBUTE = _TYPE
#: The only reference system there is: what GeoJSON and NGSI-LD are written in.
WGS84 = frozenset({"", "EPSG:4326", "OGC:CRS84", "CRS84", "WGS84"})
#: Time formats that are no pattern.
ISO, UNIX, UNIX_MS = "iso", "unix", "unix-ms"

Kind = Literal["number", "integer", "boolean", "text", "json"]


class _Part(msgspec.Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    pass


class TableForm(_Part, frozen=True):
    """How the table is written."""

    format: Literal["", "csv", "parquet", "xlsx"] = ""
    encoding: str = "utf-8"
    separator: str = ","
    quote: str = '"'
    #: Decimal mark, and the mark between thousands.
    decimal: str = "."
    thousands: str = ""
    #: Lines before the header.
    skip: int = 0
    #: The sheet of a workbook; the first one where it is not said.
    sheet: str = ""
    #: What a cell says that has nothing to say.
    missing: tuple[str, ...] = ("",)


class TimeColumn(_Part, frozen=True):
    """When a reading was observed."""

    #: Several are read one after the other, with a space between: a date and a time of day.
    columns: tuple[str, ...] = ()
    column: str = ""
    #: "iso", "unix" (seconds), "unix-ms", or a pattern such as "%d.%m.%Y %H:%M".
    format: str = ISO
    #: Of instants without a zone of their own.
    zone: str = ""
    #: What to do with a local time that came twice, when clocks were set back.
    fold: Literal["reject", "first", "second"] = "reject"
    #: What to do with one that never was, when clocks were set forward.
    gap: Literal["reject", "later"] = "reject"

    @property
    def all_columns(self) -> tuple[str, ...]:
        return self.columns or (self.column,)


class ReadingColumn(_Part, frozen=True):
    """An attribute whose readings stand in a column."""

    column: str
    unit: str = ""
    kind: Kind = "number"
    dataset: str = ""
    #: Only rows with these texts in these columns.
    when: Mapping[str, str] = {}
    #: Whether a cell without a value is left out, or its row is told as wrong.
    empty: Literal["skip", "reject"] = "skip"


class StandingAttribute(_Part, frozen=True):
    """An attribute that says how the Entity is, without a time: what the last row about it says."""

    column: str = ""
    #: The same for all.
    value: str | int | float | bool | None = None
    #: Of whom: an id with columns in braces.
    relationship: str = ""
    unit: str = ""
    kind: Kind = "text"


class Place(_Part, frozen=True):
    """Where the Entity is."""

    longitude: str = ""
    latitude: str = ""
    #: A column of geometries in WKT.
    wkt: str = ""
    crs: str = ""
    attribute: str = "location"
    #: Whether each row is a reading of the place, as with vehicles; else the last one counts.
    moves: bool = False


class TableMeaning(_Part, frozen=True):
    """The whole mapping."""

    type: str
    #: With columns in braces.
    id: str
    time: TimeColumn
    table: TableForm = TableForm()
    #: An attribute has several columns where rows of several kinds tell it.
    readings: Mapping[str, tuple[ReadingColumn, ...]] = {}
    attributes: Mapping[str, StandingAttribute] = {}
    location: Place | None = None
    #: `dataOrigin`: where the values come from.
    origin: Literal["measured", "replayed", "simulated", "estimated", "entered"] = "measured"
    #: Of Entities that are created; those of the city's own rules where it is not said.
    information_class: Literal["", "open", "internal", "security"] = msgspec.field(default="", name="class")

    def all_readings(self) -> Iterator[tuple[str, ReadingColumn]]:
        """Attribute and column, as often as an attribute has columns."""
        for name, said in self.readings.items():
            for one in said:
                yield name, one

    def columns(self) -> dict[str, str]:
        """The columns that the table must have, each with the place that names it first."""
        named: dict[str, str] = {}
        for place, column in self._named():
            if column:
                named.setdefault(column, place)
        return named

    def _named(self) -> Iterator[tuple[str, str]]:
        for column in PLACEHOLDER.findall(self.id):
            yield "id", column
        for column in self.time.all_columns:
            yield "time.column", column
        for name, reading in self.all_readings():
            yield f"readings.{name}.column", reading.column
            for column in reading.when:
                yield f"readings.{name}.when", column
        for name, one in self.attributes.items():
            yield f"attributes.{name}.column", one.column
            for column in PLACEHOLDER.findall(one.relationship):
                yield f"attributes.{name}.relationship", column
        if self.location is not None:
            for member in ("longitude", "latitude", "wkt"):
                yield f"location.{member}", getattr(self.location, member)


def read_meaning(text: str, *, where: str) -> TableMeaning:
    """A mapping from TOML. Raises BadConfig naming file and key."""
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadConfig(f"The mapping is no TOML: {error}", hint="Correct it.", where=where) from None
    try:
        meaning = msgspec.convert(_listed(said), TableMeaning)
    except msgspec.ValidationError as error:
        fault, place = fault_of(error)
        raise BadConfig(
            f"{fault}",
            hint="See docs/guides/load_a_table.md for what a mapping says; `--guess` writes one.",
            where=f"{where}: {place}" if place else where,
        ) from None
    for place, fault, hint in _faults(meaning):
        raise BadConfig(fault, hint=hint, where=f"{where}: {place}")
    return meaning


def _listed(said: dict[str, Any]) -> dict[str, Any]:
    """With every attribute's columns as a list: one or several are written alike."""
    readings = said.get("readings")
    if not isinstance(readings, dict):
        return said
    return said | {
        "readings": {name: one if isinstance(one, list) else [one] for name, one in readings.items()}
    }


def _faults(meaning: TableMeaning) -> Iterator[tuple[str, str, str]]:
    """Place, fault and hint."""
    if not _TYPE.fullmatch(meaning.type):
        yield "type", f"{meaning.type!r} is not a type", "Write a name such as WeatherObserved, or an IRI."
    if ":" not in meaning.id:
        yield (
            "id",
            f"{meaning.id!r} is not an id",
            'Write one such as "urn:ngsi-ld:WeatherObserved:{station}".',
        )
    if not (meaning.readings or (meaning.location and meaning.location.moves)):
        yield "readings", "The mapping has no readings", "Name a column: [readings.temperature]."
    yield from _faults_of_form(meaning.table)
    yield from _faults_of_time(meaning.time)
    for name, reading in meaning.all_readings():
        yield from _faults_of_attribute(f"readings.{name}", name, reading.unit, reading.kind)
    for name, one in meaning.attributes.items():
        yield from _faults_of_attribute(f"attributes.{name}", name, one.unit, one.kind)
        if sum((bool(one.column), one.value is not None, bool(one.relationship))) != 1:
            hint = "Say one of column, value and relationship."
            yield f"attributes.{name}", "It is not said what the attribute says", hint
    if meaning.location is not None:
        yield from _faults_of_place(meaning.location)


def _faults_of_attribute(place: str, name: str, unit: str, kind: str) -> Iterator[tuple[str, str, str]]:
    if not _ATTRIBUTE.fullmatch(name) or name in ("id", "type", "scope", "because", "outcomeBecause"):
        yield place, f"{name!r} cannot be the name of an attribute", "Choose a name such as temperature."
    if name == "dataOrigin":
        yield place, "dataOrigin is said once, for the whole table", 'Write origin = "simulated" at the top.'
    if unit and unit not in UNITS:
        hint = "Use the UN/CEFACT Recommendation 20 code, such as CEL for degrees Celsius."
        yield f"{place}.unit", f"{unit!r} is not a unit code this city knows", hint
    if unit and kind not in ("number", "integer"):
        yield f"{place}.unit", f"A {kind} has no unit", "Take the unit out, or say that it is a number."


def _faults_of_form(form: TableForm) -> Iterator[tuple[str, str, str]]:
    for member in ("separator", "quote", "decimal"):
        if len(getattr(form, member)) != 1:
            yield f"table.{member}", f"{getattr(form, member)!r} is not one character", "Write one character."
    if len(form.thousands) > 1 or form.thousands == form.decimal:
        yield "table.thousands", "The mark between thousands is not one of its own", 'Write "." or " ".'
    if form.skip < 0:
        yield "table.skip", "Fewer than no lines cannot be skipped", "Write 0 or more."


def _faults_of_time(time: TimeColumn) -> Iterator[tuple[str, str, str]]:
    if bool(time.column) == bool(time.columns):
        yield (
            "time",
            "It is not said where the time stands",
            'Write column = "time", or columns = ["day", "hour"].',
        )
    if time.format not in (ISO, UNIX, UNIX_MS):
        if "%" not in time.format:
            hint = 'Write "iso", "unix", "unix-ms" or a pattern such as "%d.%m.%Y %H:%M".'
            yield "time.format", f"{time.format!r} is not a format of time", hint
        if not time.zone and "%z" not in time.format:
            hint = 'Write zone = "Europe/Copenhagen", or "UTC".'
            yield "time.zone", "It is not said in which time zone the times are", hint
    if time.zone:
        try:
            ZoneInfo(time.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            hint = "Use a name of the time zone database, such as Europe/Copenhagen."
            yield "time.zone", f"{time.zone!r} is not a time zone", hint


def _faults_of_place(place: Place) -> Iterator[tuple[str, str, str]]:
    if place.crs.upper() not in WGS84:
        hint = (
            "Turn the coordinates into longitude and latitude in WGS 84 (EPSG:4326) before they are loaded."
        )
        yield "location.crs", f"{place.crs} is not read here", hint
    if bool(place.longitude) != bool(place.latitude) or bool(place.wkt) == bool(place.longitude):
        yield "location", "It is not said where the place stands", "Name longitude and latitude, or wkt."
    if place.wkt and place.moves:
        hint = "Places that move are read from longitude and latitude."
        yield "location.moves", "Moving places are not read from WKT", hint
