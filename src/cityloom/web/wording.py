"""How values are told to people: numbers with units, instants in the city's zone, ages, in the reader's
language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from babel import dates, numbers
from markupsafe import Markup, escape

from cityloom.kernel.errors import BadInput
from cityloom.kernel.numbers import is_number
from cityloom.kernel.time import Clock, format_instant, parse_instant
from cityloom.kernel.units import UNITS, symbol
from cityloom.ngsild.geometry import is_geometry
from cityloom.web.labels import ATTRIBUTES, CHOICES, COUNTED, SHARES, TYPES
from cityloom.web.languages import Language, noted, said

#: A space that neither breaks nor stretches, between a number and its unit.
NARROW = "\u202f"
#: Items of a list in a table.
_LISTED = 100
NOTHING = "–"
#: Numbers from here on are written with a power of ten.
_BEYOND_WORDS = 1e15
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_")
#: Units that are words and are translated.
_UNIT_WORDS = {"HEA": noted("persons"), "DAY": noted("days"), "ANN": noted("years")}


class Wording:
    """Words for one reader: a language, the city's time zone and its clock."""

    def __init__(self, language: Language, zone: ZoneInfo, clock: Clock) -> None:
        self.language = language
        self.zone = zone
        self._clock = clock

    # Numbers

    def number(self, value: Any, digits: int | None = None) -> str:
        """A number as the language writes it; three significant digits unless `digits` after the point."""
        if value is None or isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            return NOTHING if value is None else str(value)
        if value != value:
            return NOTHING
        if abs(float(value)) >= _BEYOND_WORDS:
            return str(numbers.format_scientific(float(value), "0.###E0", locale=self.language.locale))
        places = _places(value) if digits is None else digits
        pattern = "#,##0." + "0" * places if digits is not None else "#,##0." + "#" * places
        return str(numbers.format_decimal(value, pattern.rstrip("."), locale=self.language.locale))

    def quantity(self, value: Any, unit: str | None = None, digits: int | None = None) -> str:
        """A number with its unit: "7.5 °C". Whole sentences for true and false, the text for a text."""
        if isinstance(value, bool):
            return self.language.gettext("yes") if value else self.language.gettext("no")
        if isinstance(value, int | float | Decimal):
            sign = self.unit(unit)
            return f"{self.number(value, digits)}{NARROW}{sign}" if sign else self.number(value, digits)
        return self.plain(value)

    def counted(self, attribute: str, value: Any) -> str:
        """A count with what was counted, "345 spaces", or a share as percent; "" for any other attribute."""
        if attribute in SHARES and is_number(value):
            return self.percent(value)
        words = COUNTED.get(attribute)
        if words is None or not is_number(value):
            return ""
        whole = self.language.ngettext(*words, round(value))
        return whole % {"number": self.number(value)}

    def unit(self, code: str | None) -> str:
        """What stands behind the number."""
        if code in _UNIT_WORDS:
            return self.language.gettext(_UNIT_WORDS[code])
        return symbol(code)

    def unit_name(self, code: str | None) -> str:
        """The unit's name, for those who do not know its sign."""
        unit = UNITS.get(code or "")
        return unit.name if unit else ""

    def percent(self, share: float | None, digits: int = 0) -> str:
        """A share of one as percent."""
        if share is None:
            return NOTHING
        pattern = "#,##0" + ("." + "0" * digits if digits else "") + "\u00a0%"
        return str(numbers.format_percent(share, pattern, locale=self.language.locale))

    def size(self, count: int) -> str:
        """Bytes in a unit that leaves a number one can read: "528 MB"."""
        size, unit = float(count), "B"
        for larger in ("kB", "MB", "GB", "TB"):
            if size < 1000:
                break
            size, unit = size / 1000, larger
        return f"{self.number(round(size, 0 if size >= 10 else 1))}{NARROW}{unit}"

    def money(self, amount: Any, currency: str) -> str:
        """An amount with its currency, without hundredths when there are none."""
        try:
            exact = Decimal(str(amount))
        except InvalidOperation:
            return str(amount)
        whole = exact == exact.to_integral_value()
        return str(
            numbers.format_currency(
                exact,
                currency or "XXX",
                "#,##0\u00a0¤¤" if whole else "#,##0.00\u00a0¤¤",
                locale=self.language.locale,
                currency_digits=False,
            )
        )

    # Time

    def now(self) -> datetime:
        """The city's now, aware UTC."""
        return self._clock.now()

    def instant(self, value: object) -> datetime | None:
        """What the page was given as an instant, in the city's zone; None for what is none."""
        if isinstance(value, str) and value:
            try:
                value = parse_instant(value, where="instant")
            except BadInput:
                return None
        return value.astimezone(self.zone) if isinstance(value, datetime) else None

    def exact(self, value: object, *, seconds: bool = False) -> str:
        """The instant in the city's zone, with the date."""
        at = self.instant(value)
        if at is None:
            return NOTHING
        return self._told("yMMMd", "Hms" if seconds else "Hm", at)

    def at(self, value: object, *, seconds: bool = False) -> Markup:
        """An element with the exact time; behind it the zone, and the instant as the machine reads it."""
        at = self.instant(value)
        if at is None:
            return Markup('<span class="soft">–</span>')
        return Markup('<time datetime="{}" title="{}">{}</time>').format(
            format_instant(at.astimezone(UTC)), self._zone_of(at), self.exact(at, seconds=seconds)
        )

    def _zone_of(self, at: datetime) -> str:
        return f"{self.zone.key} ({at.tzname()})"

    def local_field(self, value: object) -> str:
        """The instant as a date-and-time field of a form wants it, in the city's zone."""
        at = self.instant(value)
        return at.strftime("%Y-%m-%dT%H:%M") if at else ""

    def last_day(self, until: object) -> str:
        """The last day of a period that ends before an instant: one until 1 January ends on 31 December."""
        end = self.instant(until)
        return NOTHING if end is None else self.day(end - timedelta(milliseconds=1))

    def day(self, value: object) -> str:
        """The date of an instant in the city's zone, or of a plain date."""
        if isinstance(value, str) and len(value) == 10:
            try:
                return dates.format_skeleton("yMMMd", date.fromisoformat(value), locale=self.language.locale)
            except ValueError:
                return value
        at = self.instant(value)
        return NOTHING if at is None else self._told("yMMMd", "", at)

    def stamp(self) -> str:
        """The city's now as the machine reads it."""
        return format_instant(self._clock.now())

    def clock_face(self) -> str:
        """The city's time as the banner shows it."""
        return self._told("yMMMEd", "Hm", self._clock.now())

    def tick(self, at: datetime, *, day: bool, year: bool = False) -> str:
        """An instant below a chart: its month with the year, its day, or its time of day."""
        if year:
            return self._told("yMMM", "", at)
        return self._told("MMMd" if day else "", "" if day else "Hm", at)

    def _told(self, day: str, time: str, at: datetime) -> str:
        """Day and time of day, each as the language writes it (skeletons of Unicode TR 35)."""
        parts = (
            dates.format_skeleton(skeleton, at, tzinfo=self.zone, locale=self.language.locale)
            for skeleton in (day, time)
            if skeleton
        )
        return " ".join(parts)

    def age(self, value: object) -> str:
        """How long before the city's now an instant lies, in words: "3 minutes ago"."""
        at = self.instant(value)
        if at is None:
            return NOTHING
        ago = at - self._clock.now().astimezone(self.zone)
        if abs(ago) < timedelta(seconds=1):
            return self.language.gettext("just now")
        return self.span(ago, direction=True)

    def span(self, span: timedelta, *, direction: bool = False) -> str:
        """A length of time in words."""
        return str(
            dates.format_timedelta(
                span, locale=self.language.locale, add_direction=direction, threshold=1.0, format="long"
            )
        )

    def every(self, seconds: float) -> str:
        """How often: "every 15 minutes"."""
        single = {
            1: self.language.gettext("every second"),
            60: self.language.gettext("every minute"),
            3600: self.language.gettext("every hour"),
            86_400: self.language.gettext("every day"),
        }
        length = self.span(timedelta(seconds=seconds))
        return single.get(round(seconds)) or self.language.gettext("every %(span)s") % {"span": length}

    def when(self, value: object, part: str = "") -> Markup:
        """An element with the age in words and the exact time behind it; JavaScript lets it tick."""
        at = self.instant(value)
        if at is None:
            return Markup('<span class="soft">–</span>')
        named = Markup(' data-part="{}"').format(part) if part else ""
        return Markup('<time data-age datetime="{}" title="{}"{}>{}</time>').format(
            format_instant(at.astimezone(UTC)),
            f"{self.exact(at, seconds=True)} {at.tzname()}",
            named,
            self.age(at),
        )

    # Words of the data

    def type_name(self, name: str, *, plural: bool = False) -> str:
        """A type of entities in words: "Car park", "Car parks"."""
        known = TYPES.get(name)
        if known is None:
            return _spaced(name)
        return self.language.gettext(known[1] if plural else known[0])

    def attribute(self, name: str) -> str:
        """An attribute's name in words."""
        known = ATTRIBUTES.get(name)
        return self.language.gettext(known) if known else _spaced(name)

    def choice(self, value: object) -> str:
        """A value out of a list (a state, a severity, a category), in words."""
        text = str(value)
        known = CHOICES.get(text)
        return self.language.gettext(known) if known else _spaced(text)

    def heading(self, value: object) -> str:
        """The same at the beginning of a line."""
        words = self.choice(value)
        return words[:1].upper() + words[1:]

    def words(self, texts: object) -> Markup:
        """A text of the data in the reader's language, marked with its own where that is another."""
        text, code = said(texts, self.language.code)
        if code and code != self.language.code and len(code) <= 8:
            return Markup('<span lang="{}">{}</span>').format(code, text)
        return escape(text)

    def said(self, texts: object) -> str:
        """The same as plain text."""
        return said(texts, self.language.code)[0]

    def plain(self, value: Any) -> str:
        """Any content of an attribute, short enough for a table."""
        if value is None:
            return NOTHING
        if isinstance(value, Mapping):
            return self._mapping(value)
        if isinstance(value, list):
            return ", ".join([*map(self.plain, value[:_LISTED]), *(["…"] if len(value) > _LISTED else [])])
        if isinstance(value, bool | int | float):
            return self.quantity(value)
        text = str(value)
        if len(text) >= 20 and (at := self.instant(text)) is not None:
            return self.exact(at)
        return CHOICES[text] and self.choice(text) if text in CHOICES else text

    def _mapping(self, value: Mapping[str, Any]) -> str:
        if is_geometry(value) and type(value["coordinates"]) is list:
            return self._geometry(value["type"], value["coordinates"])
        if value and all(isinstance(one, str) and len(code) <= 8 for code, one in value.items()):
            return self.said(value)
        return "; ".join(f"{self.attribute(str(key))}: {self.plain(one)}" for key, one in value.items())

    def _geometry(self, kind: str, coordinates: Any) -> str:
        if (
            kind == "Point"
            and len(coordinates) >= 2
            and all(type(one) in (int, float) for one in coordinates)
        ):
            return f"{self.number(coordinates[1], 5)}°, {self.number(coordinates[0], 5)}°"
        if kind == "LineString":
            return self.language.gettext("line of %(count)s points") % {"count": len(coordinates)}
        return kind


def _places(value: int | float | Decimal) -> int:
    """Digits after the point that leave three significant ones, none for whole numbers."""
    size = abs(float(value))
    if isinstance(value, int) or size >= 100 or size == int(size):
        return 0
    if size >= 10:
        return 1
    if size >= 1:
        return 2
    return 3


def _spaced(name: str) -> str:
    """vehicleCount -> "Vehicle count"; the end of an IRI for an IRI."""
    tail = re.split(r"[/#]", name)[-1] or name
    text = _WORD.sub(" ", tail).strip()
    return (
        text[:1].upper() + text[1:].lower() if text.isascii() and " " in text else text[:1].upper() + text[1:]
    )
