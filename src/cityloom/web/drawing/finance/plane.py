"""The plane that bars and curves lie on: an axis of values, rules, and the looks of series."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

from cityloom.web.drawing.scale import value_ticks
from cityloom.web.drawing.svg import axis_words, picture, rule
from cityloom.web.wording import Wording

WIDTH, HEIGHT = 760, 300
LEFT, RIGHT, TOP, BOTTOM = 76, 12, 14, 40
#: Fill and dashes of series: told apart without colour by the dashes, and by the table beside.
COLOURS = ("#0a5c57", "#b5480a", "#2f5aa8", "#7d6000", "#a31237", "#586561")
DASHES = ("", "7 4", "2 3", "10 3 2 3", "1 5", "14 4")
#: Letters of a category's name under its bars.
_LONGEST = 18
#: Larger than this is told in thousands, millions and so on.
_STEPS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


class Plane:
    """From values to heights, between round numbers."""

    def __init__(self, values: Iterable[float], *, from_zero: bool = True) -> None:
        found = [*values, *([0.0] if from_zero else [])] or [0.0, 1.0]
        self.ticks = value_ticks(min(found), max(found), 5)

    def y(self, value: float) -> float:
        share = (value - self.ticks[0]) / (self.ticks[-1] - self.ticks[0])
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def rules(self, wording: Wording) -> list[str]:
        """Lines across with their values."""
        parts = []
        for tick in self.ticks:
            y = self.y(tick)
            parts.append(rule(LEFT, y, WIDTH - RIGHT, y, "now" if tick == 0 else "rule"))
            parts.append(axis_words(short(tick, wording), LEFT - 6, y + 4, anchor="end"))
        return parts


def short(value: float, wording: Wording) -> str:
    """A large number with a sign for thousands (k), millions (M): for an axis."""
    for size, sign in _STEPS:
        if abs(value) >= size:
            return f"{wording.number(value / size)}\u202f{sign}"
    return wording.number(value)


def series_look(place: int) -> str:
    """Class and fallback of a series' fill."""
    return f'class="series s{place % len(COLOURS)}" fill="{COLOURS[place % len(COLOURS)]}"'


def series_line(place: int) -> str:
    """The same of a line."""
    at = place % len(COLOURS)
    dashes = f' stroke-dasharray="{DASHES[at]}"' if DASHES[at] else ""
    return f'class="course s{at}" fill="none" stroke="{COLOURS[at]}" stroke-width="2"{dashes}'


def under(names: Sequence[str], places: Sequence[float]) -> list[str]:
    """Names under an axis, each so many that they do not cover each other."""
    if not names:
        return []
    room = (WIDTH - LEFT - RIGHT) / len(names)
    letters = max(4, int(room * 0.95 / 6.5))
    widest = min(max(map(len, names)), _LONGEST)
    every = 1 if widest <= letters or room > 60 else max(1, round(widest * 7 / room + 0.5))
    return [
        axis_words(_cut(name, letters if every == 1 else _LONGEST), x, HEIGHT - 18, anchor="middle")
        for place, (name, x) in enumerate(zip(names, places, strict=True))
        if place % every == 0
    ]


def _cut(name: str, letters: int) -> str:
    return name if len(name) <= letters else name[: max(1, letters - 1)] + "…"


def drawn(parts: Iterable[str], title: str, height: float = HEIGHT) -> Markup:
    """The SVG, whose title tells what it shows."""
    return picture(parts, title, WIDTH, height)


def legend(names: Sequence[str], *, lines: bool = False, first: int = 0) -> Markup:
    """Which look is which series."""
    entries = []
    for place, name in enumerate(names, first):
        sign = (
            f'<path {series_line(place)} d="M0 5H32"/>'
            if lines
            else f'<rect {series_look(place)} width="32" height="10"/>'
        )
        entries.append(f'<li><svg viewBox="0 0 32 10" aria-hidden="true">{sign}</svg>{escape(name)}</li>')
    return Markup(f'<ul class="legend">{"".join(entries)}</ul>')  # noqa: S704 - names are escaped above
