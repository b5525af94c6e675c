"""Values of other cities beside the city's own: what they are of, and what speaks against comparing them.

The frameworks say of themselves that they do not rank cities. So nothing here is put in an order of size:
cities stand by their names, and beside each indicator stands what differs between the values.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from enum import StrEnum

import msgspec

from cityloom.access.audit import AuditLog
from cityloom.access.authority import may_write, require
from cityloom.context.broker import Broker
from cityloom.context.reading import instant, items, word
from cityloom.indicators.exchange.reported import Reported, bounds_of
from cityloom.indicators.framework import Framework
from cityloom.indicators.scorecard import LeftOut, code_map, find_point, value_from
from cityloom.indicators.summaries import FrameworkReport, IndicatorSummary
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.errors import BadInput, NotFound
from cityloom.kernel.texts import check_text
from cityloom.kernel.time import Clock, format_instant
from cityloom.kernel.worded import Worded
from cityloom.ngsild.model import Document, entity, json_value, prop, value_of

TYPE = "ComparedCity"
_PERMISSION = "indicators:enter"
MOST_CITIES, MOST_VALUES, LONGEST_NOTE = 200, 20_000, 1000
#: Years by which the periods of values may lie apart before it is said.
_YEARS_APART = 2.0
_YEAR_S = 31_556_952.0


class Doubt(StrEnum):
    """What speaks against comparing the values of an indicator."""

    YEARS = "years"
    NO_DEFINITION = "noDefinition"
    METHODS = "methods"
    NOT_VERIFIED = "notVerified"
    TOTALS = "totals"


class CityValue(msgspec.Struct, frozen=True, omit_defaults=True):
    """A value that another city reports."""

    code: str
    point: str
    value: float | bool
    period: str
    since: datetime
    until: datetime
    source: str = ""


class ComparedCity(msgspec.Struct, frozen=True):
    """Another city with what it reports by a framework."""

    id: str
    name: str
    framework: str
    #: How it measures, its population, the edition it goes by: in the words of who brought it.
    note: str
    source: str
    brought_at: datetime | None
    values: tuple[CityValue, ...]

    def newest(self, code: str, point: str) -> CityValue | None:
        """The value of the latest period."""
        found = [one for one in self.values if (one.code, one.point) == (code, point)]
        return max(found, key=lambda one: one.until, default=None)


class Row(msgspec.Struct, frozen=True):
    """An indicator beside others: the city's own, and those of others by their names."""

    own: IndicatorSummary
    others: Mapping[str, CityValue]
    doubts: tuple[Doubt, ...]


class Brought(msgspec.Struct, frozen=True):
    """What was brought of a file: values by city, and what was left out."""

    values: Mapping[str, int]
    left_out: tuple[LeftOut, ...]


class Comparing:
    """Keeps other cities' values and finds them again."""

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        framework: Callable[[str], Framework],
        *,
        zone: tzinfo,
        audit: AuditLog | None = None,
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._framework = framework
        self._zone = zone
        self._audit = audit

    async def bring(
        self, actor: Actor, framework_id: str, rows: Sequence[Reported], *, source: str, note: str = ""
    ) -> Brought:
        """Keep the values of a file, city by city; those of a known city come in place of its old ones.

        Needs indicators:enter. Raises BadInput for too many, or when nothing can be kept.
        """
        require(actor, _PERMISSION)
        framework = self._framework(framework_id)
        said = check_text(note, where="note", longest=LONGEST_NOTE, optional=True)
        found, left = _of_rows(framework, rows, self._zone)
        if not found:
            raise BadInput(
                Worded("The file has no value that can be kept"),
                hint=Worded("It needs the columns city, indicator, period and value."),
                where="file",
            )
        if len(found) > MOST_CITIES or sum(map(len, found.values())) > MOST_VALUES:
            raise BadInput(
                Worded("These are too many values"),
                hint=Worded("Bring %(values)s of %(cities)s cities.", values=MOST_VALUES, cities=MOST_CITIES),
                where="file",
            )
        if self._audit is not None:
            await self._audit.record(actor, "indicator.compare", framework_id)
        documents = [
            _document(framework_id, name, values, said, source[:200], format_instant(self._clock.now()))
            for name, values in found.items()
        ]
        # What everybody may compare is for everybody to see.
        await self._broker.upsert_many(
            may_write(actor, classify=True),
            documents,
            update=False,
            information_class=InformationClass.OPEN,
            trace="indicators:compare",
        )
        return Brought({name: len(values) for name, values in found.items()}, tuple(left))

    async def forget(self, actor: Actor, framework_id: str, city: str) -> None:
        """Keep nothing of a city any more. Needs indicators:enter. Raises NotFound."""
        require(actor, _PERMISSION)
        wanted = _id(framework_id, city)
        if self._broker.find(actor, wanted) is None:
            raise NotFound(Worded("There is no such city"), hint=Worded("Look at the list of cities."))
        await self._broker.delete(may_write(actor), wanted, trace="indicators:compare")

    def cities(self, actor: Actor, framework_id: str) -> list[ComparedCity]:
        """The cities of which there is something, by their names."""
        found = [
            _city(one)
            for one in self._broker.of_type(actor, TYPE)
            if value_of(one, "framework") == framework_id
        ]
        return sorted(found, key=lambda one: one.name.casefold())


def comparison(report: FrameworkReport, cities: Sequence[ComparedCity]) -> list[Row]:
    """The indicators of which another city has a value, in the framework's order. Pure."""
    rows = []
    for own in report.indicators:
        others = {one.name: value for one in cities if (value := one.newest(own.code, own.point)) is not None}
        if others:
            rows.append(Row(own, others, tuple(_doubts(own, others))))
    return rows


def _doubts(own: IndicatorSummary, others: Mapping[str, CityValue]) -> Iterable[Doubt]:
    ends = [one.until for one in others.values()] + ([own.until] if own.until else [])
    if (max(ends) - min(ends)).total_seconds() / _YEAR_S >= _YEARS_APART:
        yield Doubt.YEARS
    if not own.definition:
        yield Doubt.NO_DEFINITION
    if own.is_reported and own.method == "automatic":
        yield Doubt.METHODS
    if own.is_reported and not own.verified:
        yield Doubt.NOT_VERIFIED
    if not own.denominator_text and not own.is_yes_or_no and "%" not in own.unit and "per " not in own.unit:
        yield Doubt.TOTALS


def _of_rows(
    framework: Framework, rows: Sequence[Reported], zone: tzinfo
) -> tuple[dict[str, list[CityValue]], list[LeftOut]]:
    codes = code_map(framework)
    found: dict[str, list[CityValue]] = {}
    left = []
    for row in rows:
        try:
            if row.district:
                raise BadInput(Worded("is of a district, not of a city"), hint="", where=row.place)
            _, point = find_point(codes, row)
            value = value_from(row, point)
            if value is None:
                raise BadInput(Worded("not reported"), hint="", where=row.place)
            since, until = bounds_of(row.period, zone, row.place)
        except BadInput as error:
            left.append(LeftOut(f"{row.city}: {row.code}", error.said, row.place))
            continue
        one = CityValue(point.code, point.key, value, row.period, since, until, row.source[:200])
        found.setdefault(row.city[:120], []).append(one)
    return found, left


def _id(framework_id: str, city: str) -> str:
    plain = unicodedata.normalize("NFKD", city.casefold()).replace("ø", "o").replace("æ", "ae")
    name = re.sub(r"[^a-z0-9]+", "-", plain.encode("ascii", "ignore").decode()).strip("-")
    return f"urn:ngsi-ld:{TYPE}:{framework_id}:{name or city.encode().hex()[:40]}"


def _document(
    framework_id: str, name: str, values: Sequence[CityValue], note: str, source: str, now: str
) -> Document:
    attributes = {
        "name": prop(name),
        "framework": prop(framework_id),
        "source": prop(source),
        "dateObserved": prop(now),
        "dataOrigin": prop("entered"),
        "values": json_value(msgspec.to_builtins(values)),
    }
    if note:
        attributes["remark"] = prop(note)
    return entity(TYPE, _id(framework_id, name), attributes)


def _city(document: Document) -> ComparedCity:
    return ComparedCity(
        id=document["id"],
        name=word(document, "name"),
        framework=word(document, "framework"),
        note=word(document, "remark"),
        source=word(document, "source"),
        brought_at=instant(document, "dateObserved"),
        values=items(document, "values", CityValue),
    )
