"""Draws what depends on what: boxes in layers, what is depended on at the bottom."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from markupsafe import Markup, escape

_WIDTH, _HEIGHT, _ACROSS, _UP = 190, 34, 14, 46
#: A name longer than this is cut in the drawing; the table beside it has it whole.
_LONGEST = 29


def draw_layers(
    layers: Sequence[Sequence[str]],
    depends: Mapping[str, Sequence[str]],
    names: Mapping[str, str],
    marked: Collection[str],
    title: str,
) -> Markup:
    """An SVG of layers from the bottom up, an arrow from each to what it depends on. `marked` stand out."""
    across = max((len(layer) for layer in layers), default=1)
    wide = across * (_WIDTH + _ACROSS) + _ACROSS
    high = len(layers) * (_HEIGHT + _UP) - _UP + 2 * _ACROSS
    places: dict[str, tuple[float, float]] = {}
    for row, layer in enumerate(layers):
        first = (wide - len(layer) * (_WIDTH + _ACROSS) + _ACROSS) / 2
        for column, one in enumerate(layer):
            x = first + column * (_WIDTH + _ACROSS)
            places[one] = (x, high - _ACROSS - _HEIGHT - row * (_HEIGHT + _UP))
    arrows = [
        _arrow(places[one], places[other], one in marked and other in marked)
        for one, needs in depends.items()
        for other in needs
        if one in places and other in places
    ]
    boxes = [_box(places[one], names.get(one, one), one in marked) for one in places]
    return Markup(
        '<svg class="graph" width="{wide}" height="{high}" viewBox="0 0 {wide} {high}" role="img" '
        'aria-label="{title}">'
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path d="M0 0 8 4 0 8z" fill="currentColor"/></marker></defs>'
        "{parts}</svg>"
    ).format(wide=round(wide), high=round(high), title=title, parts=Markup("").join(arrows + boxes))


def _arrow(start: tuple[float, float], end: tuple[float, float], is_marked: bool) -> Markup:
    x1, y1 = start[0] + _WIDTH / 2, start[1] + _HEIGHT
    x2, y2 = end[0] + _WIDTH / 2, end[1]
    if y2 <= y1:  # within a circle the arrow leaves at the side
        y1, y2 = start[1] + _HEIGHT / 2, end[1] + _HEIGHT / 2
    width = 2.5 if is_marked else 1
    return Markup(
        '<path d="M{:.0f} {:.0f} {:.0f} {:.0f}" fill="none" stroke="currentColor" stroke-width="{}" '
        'opacity="{}" marker-end="url(#arrow)"/>'
    ).format(x1, y1, x2, y2, width, "1" if is_marked else "0.45")


def _box(at: tuple[float, float], name: str, is_marked: bool) -> Markup:
    short = name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"
    return Markup(
        '<g><title>{}</title><rect x="{:.0f}" y="{:.0f}" width="{}" height="{}" rx="6" fill="var(--{})" '
        'stroke="currentColor" stroke-width="{}"/><text x="{:.0f}" y="{:.0f}" text-anchor="middle" '
        'font-size="12" fill="currentColor">{}</text></g>'
    ).format(
        escape(name),
        at[0],
        at[1],
        _WIDTH,
        _HEIGHT,
        "surface",
        3 if is_marked else 1,
        at[0] + _WIDTH / 2,
        at[1] + _HEIGHT / 2 + 4,
        short,
    )
