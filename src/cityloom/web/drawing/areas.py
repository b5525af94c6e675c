"""A small map of areas, shaded by a number: light for the least, dark for the most, hatched for none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from markupsafe import Markup, escape

from cityloom.web.drawing.map import WIDTH, Position, bounds_around, lines_of, project_onto

#: Shades that an eye tells apart; the number beside each area says which it is in the table.
SHADES = 5
_LIGHTEST, _DARKEST = 0.15, 0.85
_LETTERS = 34


class Area(msgspec.Struct, frozen=True):
    """An area with the number under which it stands in the table; `value` None where nothing is known."""

    label: str
    name: str
    geometry: Mapping[str, Any]
    value: float | None


def shade_of(value: float, least: float, most: float) -> int:
    """0 for the least to SHADES - 1 for the most."""
    if most <= least:
        return 0
    return min(SHADES - 1, int((value - least) / (most - least) * SHADES))


def draw_areas(areas: Sequence[Area], title: str) -> Markup:
    """The map as SVG; its title tells in words what it shows. A table belongs beside it."""
    bounds = bounds_around([dict(one.geometry) for one in areas])
    project, height = project_onto(bounds)
    known = [one.value for one in areas if one.value is not None]
    parts = []
    for one in areas:
        rings = [[project(place) for place in ring] for ring in lines_of(dict(one.geometry))]
        if not rings:
            continue
        outline = "".join("M" + "L".join(f"{x:.0f} {y:.0f}" for x, y in ring) + "Z" for ring in rings)
        parts.append(
            f'<path class="area{"" if one.value is not None else " none"}" fill-rule="evenodd" '
            f'fill-opacity="{_opacity(one.value, known):.2f}" d="{outline}">'
            f"<title>{escape(one.name)}</title></path>"
        )
    for one in areas:
        x, y = _middle([[project(place) for place in ring] for ring in lines_of(dict(one.geometry))])
        parts.append(
            f'<text class="area-label" x="{x:.0f}" y="{y + _LETTERS / 3:.0f}" text-anchor="middle" '
            f'font-size="{_LETTERS}">{escape(one.label)}</text>'
        )
    return Markup(  # noqa: S704 - every text in it is escaped above
        f'<svg viewBox="-20 -20 {WIDTH + 40} {height + 40:.0f}" role="img" '
        f'preserveAspectRatio="xMidYMid meet"><title>{escape(title)}</title>{"".join(parts)}</svg>'
    )


def _opacity(value: float | None, known: Sequence[float]) -> float:
    if value is None:
        return 0.0
    share = shade_of(value, min(known), max(known)) / (SHADES - 1)
    return _LIGHTEST + share * (_DARKEST - _LIGHTEST)


def _middle(rings: Sequence[Sequence[Position]]) -> Position:
    """The middle of the longest ring."""
    places = max(rings, key=len, default=[(0.0, 0.0)])
    return sum(x for x, _ in places) / len(places), sum(y for _, y in places) / len(places)
