"""Ducts, pipes and roads that run where something new is planned: how far, and what sharing them saves. Pure.

Fibre pulled through a water pipe needs no trench of its own (pipe in pipe).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import cos, radians

import msgspec
from shapely import LineString, STRtree
from shapely.ops import unary_union

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.planning.finance.outcome import Bars, Column, Figure, Outcome, Series, Table, Unit
from cityloom.planning.finance.sums import rounded

MOST_ROUTES = 500
MOST_PLACES = 2000
#: Metres in a degree of latitude.
_DEGREE = 111_320.0


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A line on the map: longitude and latitude in degrees (WGS 84), two places or more."""

    name: str
    places: tuple[tuple[float, float], ...]
    #: Of something there already: what a metre of the new costs inside it.
    cost: Decimal = Decimal()


class Common(msgspec.Struct, frozen=True, kw_only=True):
    """How far a planned route runs along one that is there, in metres, and what sharing saves."""

    planned: str
    existing: str
    metres: float
    saving: Decimal


def parse_route(text: str, where: str = "route") -> tuple[tuple[float, float], ...]:
    """From "56.15 10.20; 56.16 10.21": latitude and longitude in degrees. Raises BadInput."""
    found = []
    for part in filter(None, (one.strip() for one in text.split(";"))):
        try:
            latitude, longitude = (float(one) for one in part.replace(",", " ").split())
        except ValueError:
            raise _no_route(where) from None
        if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
            raise _no_route(where)
        found.append((longitude, latitude))
    if not 2 <= len(found) <= MOST_PLACES:
        raise _no_route(where)
    return tuple(found)


def common_routes(
    planned: Sequence[Route], existing: Sequence[Route], *, within: float, trench: Decimal, currency: str
) -> tuple[Common, ...]:
    """Stretches of planned routes that lie within so many metres of an existing one, the dearest first.

    `trench` is what a metre costs on its own. Each metre counts once, for the cheapest route that it lies at.
    """
    if not planned or not existing:
        return ()
    shape = _projection([*planned, *existing])
    lines = [shape(one) for one in existing]
    tree = STRtree(lines)
    found = []
    for one in planned:
        rest = shape(one)
        near = sorted(tree.query(rest.buffer(within)), key=lambda place: existing[place].cost)
        for place in near:
            other = existing[place]
            if other.cost >= trench:
                continue
            zone = lines[place].buffer(within)
            metres = float(rest.intersection(zone).length)
            rest = rest.difference(zone)
            if metres > within:
                saving = rounded((trench - other.cost) * Decimal(repr(round(metres, 3))), currency)
                found.append(Common(planned=one.name, existing=other.name, metres=metres, saving=saving))
    return tuple(sorted(found, key=lambda one: -one.saving))


def shared_routes(
    planned: Sequence[Route], existing: Sequence[Route], *, within: float, trench: Decimal, currency: str
) -> Outcome:
    """What runs along what, and the saving."""
    _check(planned, existing, within)
    found = common_routes(planned, existing, within=within, trench=trench, currency=currency)
    shape = _projection([*planned, *existing])
    length = float(unary_union([shape(one) for one in planned]).length)
    alone = rounded(trench * Decimal(repr(round(length, 3))), currency)
    saved = sum((one.saving for one in found), Decimal())
    shared = sum(one.metres for one in found)
    columns = (
        Column("planned", Worded("Planned")),
        Column("existing", Worded("There already")),
        Column("metres", Worded("Metres in common"), Unit.NUMBER),
        Column("saving", Worded("Saved"), Unit.MONEY),
    )
    rows = tuple((one.planned, one.existing, round(one.metres, 1), one.saving) for one in found)
    return Outcome(
        currency=currency,
        figures=(
            Figure("length", Worded("Metres planned"), round(length, 1), Unit.NUMBER),
            Figure("shared", Worded("Metres along what is there"), round(shared, 1), Unit.NUMBER),
            Figure("alone", Worded("Cost with trenches of its own"), alone),
            Figure("saved", Worded("Saved by sharing"), saved),
        ),
        tables=(
            Table(
                "routes",
                Worded("Routes in common"),
                columns,
                rows,
                (Worded("Sum"), None, round(shared, 1), saved) if rows else (),
            ),
        ),
        drawings=(
            Bars(
                title=Worded("Saved by sharing"),
                table="routes",
                categories=tuple(f"{one.planned} / {one.existing}" for one in found),
                series=(Series(Worded("Saved"), tuple(float(one.saving) for one in found)),),
            ),
        )
        if found
        else (),
        notes=(
            Worded(
                "Routes are in common where they lie within %(within)s metres of each other.", within=within
            ),
            Worded("A metre that several existing routes lie at counts once, for the cheapest."),
        ),
        warnings=() if found else (Worded("No planned route runs along one that is there."),),
    )


class _projection:  # noqa: N801 - used as a function
    """To metres, true to shape within a city."""

    def __init__(self, routes: Sequence[Route]) -> None:
        latitudes = [place[1] for one in routes for place in one.places]
        self._stretch = cos(radians(sum(latitudes) / len(latitudes)))

    def __call__(self, route: Route) -> LineString:
        return LineString([(x * _DEGREE * self._stretch, y * _DEGREE) for x, y in route.places])


def _check(planned: Sequence[Route], existing: Sequence[Route], within: float) -> None:
    if not planned or len(planned) + len(existing) > MOST_ROUTES:
        hint = Worded("Draw at least one planned route, and %(most)s in all at most.", most=MOST_ROUTES)
        raise BadInput(Worded("So many routes cannot be compared"), hint=hint, where="planned")
    if not 0 < within <= 500:
        hint = Worded("Write 1 to 500 metres.")
        raise BadInput(Worded("This is no distance"), hint=hint, where="within")


def _no_route(where: str) -> BadInput:
    return BadInput(
        Worded("This is no route"),
        hint=Worded("Write latitude and longitude of each place: 56.15 10.20; 56.16 10.21."),
        where=where,
    )
