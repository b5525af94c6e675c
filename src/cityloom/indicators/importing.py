"""What a file of values would enter into a framework, and what of it would not, and why. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo

import msgspec

from cityloom.indicators.checks import findings
from cityloom.indicators.computing import last_day
from cityloom.indicators.districts.places import District
from cityloom.indicators.districts.values import value_id
from cityloom.indicators.entries import checked_value
from cityloom.indicators.exchange.reported import Reported, bounds_of
from cityloom.indicators.framework import Framework
from cityloom.indicators.model import DataPoint, Entry, Indicator
from cityloom.indicators.scorecard import LeftOut, code_map, find_point
from cityloom.indicators.summaries import IndicatorSummary
from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded

#: Values that one file may enter: each is written for itself, and others wait meanwhile.
MOST_VALUES = 2000
_LONGEST_SOURCE = 500


class Planned(msgspec.Struct, frozen=True):
    """A value that is to be entered."""

    point: DataPoint
    entry: Entry
    value: float | bool
    #: Where it stands in the file.
    place: str
    #: The district that it is of; None for the whole city.
    district: District | None = None
    #: By which earlier definition, "" for the one that stands.
    definition: str = ""

    @property
    def entity_id(self) -> str:
        """The Entity that the value stands on."""
        return self.point.id if self.district is None else value_id(self.point.id, self.district)


class Plan(msgspec.Struct, frozen=True):
    """What a file enters: the oldest first, so that the newest stands in the end."""

    planned: tuple[Planned, ...]
    left_out: tuple[LeftOut, ...]


def plan_of(
    framework: Framework,
    rows: Sequence[Reported],
    known: Mapping[tuple[str, str], IndicatorSummary],
    *,
    zone: tzinfo,
    latest: datetime,
    source: str,
    city: str = "",
    districts: Sequence[District] = (),
    newest: Mapping[str, datetime] | None = None,
) -> Plan:
    """The plan of a file. `known` is what stands, by code and point; no period may end after `latest`.

    `newest` says until when the values tell that were entered for districts, by the id of their Entity.
    Raises BadInput when the file speaks of several cities and none was named, or has too many values.
    """
    mine = _of_city(rows, city)
    if len(mine) > MOST_VALUES:
        raise BadInput(
            Worded("%(count)s values are too many at once", count=len(mine)),
            hint=Worded("Send up to %(count)s.", count=MOST_VALUES),
            where="file",
        )
    codes = code_map(framework)
    planned: list[Planned] = []
    left: list[LeftOut] = []
    seen: set[tuple[str, datetime]] = set()
    for row in mine:
        name = f"{row.code}.{row.point}" if row.point else row.code
        try:
            one = _planned(framework, codes, row, zone, source, districts)
            if one is None:
                left.append(LeftOut(name, Worded("not reported"), row.place))
                continue
            standing = known.get((one.point.code, one.point.key))
            until = _entered_until(standing) if one.district is None else (newest or {}).get(one.entity_id)
            _check_time(one, until, latest)
            if (one.entity_id, one.entry.until) in seen:
                raise BadInput(
                    Worded("stands twice, by another of its names"), hint=Worded("Keep one."), where=row.place
                )
            seen.add((one.entity_id, one.entry.until))
            planned.append(one)
        except BadInput as error:
            left.append(LeftOut(name, error.said, row.place))
    planned.sort(key=lambda one: one.entry.until)
    return _without_what_cannot_be(framework, planned, known, left)


def _of_city(rows: Sequence[Reported], city: str) -> list[Reported]:
    cities = sorted({row.city for row in rows})
    if city and city not in cities:
        raise BadInput(
            Worded("The file has no %(name)s", name=repr(city)),
            hint=Worded("It has: %(names)s.", names=", ".join(cities[:20]) or "-"),
            where="city",
        )
    if not city and len(cities) > 1:
        raise BadInput(
            Worded("The file has values of %(count)s cities", count=len(cities)),
            hint=Worded("Name the one that is meant: %(names)s.", names=", ".join(cities[:20])),
            where="city",
        )
    return [row for row in rows if not city or row.city == city]


def _planned(
    framework: Framework,
    codes: Mapping[str, tuple[Indicator, DataPoint | None]],
    row: Reported,
    zone: tzinfo,
    source: str,
    districts: Sequence[District],
) -> Planned | None:
    indicator, standing = find_point(codes, row)
    district = _district(row, districts)
    if row.value is None and row.numerator is None:
        return None
    since, until = bounds_of(row.period, zone, row.place)
    _, point, definition = framework.as_of(indicator, standing, last_day(until, zone))
    value = bool(row.value) if point.is_yes_or_no and row.value in (0, 1) else row.value
    entry = Entry(
        since=since,
        until=until,
        value=value,
        numerator=row.numerator,
        denominator=row.denominator,
        source=(row.source or source)[:_LONGEST_SOURCE],
        note=row.place,
    )
    return Planned(point, entry, checked_value(point, entry), row.place, district, definition)


def _district(row: Reported, districts: Sequence[District]) -> District | None:
    if not row.district:
        return None
    found = [one for one in districts if one.is_called(row.district)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(next(iter(one.name.values())) for one in districts[:20]) or "-"
    raise BadInput(
        Worded("there is no one district of the name %(name)s", name=repr(row.district[:60])),
        hint=Worded("There are: %(names)s.", names=names),
        where=row.place,
    )


def _entered_until(known: IndicatorSummary | None) -> datetime | None:
    """Until when the value tells that somebody entered; None where none stands."""
    if known is None or known.answered_by is not None or known.method != "manual":
        return None
    return known.until


def _check_time(one: Planned, standing: datetime | None, latest: datetime) -> None:
    if one.entry.until > latest:
        raise BadInput(Worded("the period is not over"), hint=Worded("Enter it once it is."), where=one.place)
    if standing is not None and standing > one.entry.until:
        raise BadInput(
            Worded("a newer value stands"), hint=Worded("Take that one back first."), where=one.place
        )


def _without_what_cannot_be(
    framework: Framework,
    planned: Sequence[Planned],
    known: Mapping[tuple[str, str], IndicatorSummary],
    left: list[LeftOut],
) -> Plan:
    """Each value is looked at beside the newest of the others; what is an error is left out."""
    values = {key: one.value for key, one in known.items() if one.value is not None}
    newest = values | {(one.point.code, one.point.key): one.value for one in planned if one.district is None}
    kept = []
    for one in planned:
        key = (one.point.code, one.point.key)
        wrong = [
            finding.check
            for finding in findings(framework, {**(newest if one.district is None else {}), key: one.value})
            if finding.check.severity == "error" and key in finding.points
        ]
        if wrong:
            name = f"{one.point.code}.{one.point.key}" if one.point.key else one.point.code
            said = wrong[0].message
            left.append(LeftOut(name, said.get("en", wrong[0].id), one.place, said))
        else:
            kept.append(one)
    return Plan(tuple(kept), tuple(left))
