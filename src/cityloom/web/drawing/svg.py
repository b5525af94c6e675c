"""Parts of a diagram as SVG. What they look like stands beside each, so that a file taken along looks the
same; on a page the style sheet decides, by the class."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from markupsafe import Markup, escape

from cityloom.web.drawing.boxes import LETTERS, LINE, Box

_LOOKS = {
    "box": 'fill="#ffffff" stroke="#7d8b87"',
    "group": 'fill="#e0efec" stroke="#0a5c57"',
    "field": 'fill="#f8faf8" stroke="#7d8b87"',
    "field strong": 'fill="#e0efec" stroke="#7d8b87"',
    "sea": 'fill="#f8faf8" stroke="#7d8b87"',
    "land": 'fill="#d3e3de" stroke="#7d9a93"',
    "dot": 'fill="#0a5c57" stroke="#ffffff"',
    "words": 'fill="#17211f"',
    "words strong": 'fill="#17211f" font-weight="650"',
    "words soft": 'fill="#4b5a56"',
    "words inside": 'fill="#ffffff"',
    "line": 'fill="none" stroke="#4b5a56"',
    "line bad": 'fill="none" stroke="#a31237"',
    "head": 'fill="#4b5a56"',
    "head bad": 'fill="#a31237"',
    "move": 'fill="none" stroke="#b5480a"',
    "was": 'fill="#ffffff" stroke="#b5480a"',
    "unaware": 'fill="#e9edeb" stroke="#586561"',
    "resistant": 'fill="#fbdfe5" stroke="#a31237"',
    "neutral": 'fill="#f8efcd" stroke="#7d6000"',
    "supportive": 'fill="#dcf1ec" stroke="#0b7468"',
    "leading": 'fill="#0a5c57" stroke="#0a5c57"',
}
_FONT = "system-ui, 'Segoe UI', Roboto, 'Noto Sans', 'Liberation Sans', sans-serif"


class Drawing(msgspec.Struct, frozen=True):
    """A diagram: what it shows in a sentence, its parts, and the rectangle that they fill."""

    title: str
    parts: tuple[str, ...]
    left: float
    top: float
    width: float
    height: float
    #: The boxes that must not cover each other.
    boxes: tuple[Box, ...] = ()

    @property
    def svg(self) -> Markup:
        """For a page, or as a file of its own."""
        view = f"{self.left:.0f} {self.top:.0f} {self.width:.0f} {self.height:.0f}"
        return Markup(  # noqa: S704 - every text in it was escaped by what made the part
            f'<svg xmlns="http://www.w3.org/2000/svg" class="diagram" viewBox="{view}" '
            f'width="{self.width:.0f}" height="{self.height:.0f}" role="img" '
            f'font-family="{escape(_FONT)}" font-size="{LETTERS:.0f}">'
            f"<title>{escape(self.title)}</title>{''.join(self.parts)}</svg>"
        )


def picture(parts: Iterable[str], title: str, width: float, height: float, *, look: str = "") -> Markup:
    """A chart that fills its place on a page and looks as the style sheet says; the title tells what it is.

    Every text in the parts must be escaped, as what makes them here does.
    """
    named = f' class="{look}"' if look else ""
    return Markup(  # noqa: S704 - the title is escaped here
        f'<svg xmlns="http://www.w3.org/2000/svg"{named} viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'preserveAspectRatio="xMidYMid meet"><title>{escape(title)}</title>{"".join(map(str, parts))}</svg>'
    )


def axis_words(text: str, x: float, y: float, *, anchor: str = "start") -> str:
    """Words beside an axis; `y` is where their letters stand."""
    return f'<text class="axis" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def rule(x1: float, y1: float, x2: float, y2: float, look: str = "rule") -> str:
    """A straight line: of a scale, of today ("now"), of what is aimed at ("target")."""
    return f'<line class="{look}" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"/>'


def rectangle(box: Box, look: str = "box", *, round_by: float = 5.0) -> str:
    """A box."""
    return (
        f'<rect class="{look}" {_LOOKS[look]} x="{box.left:.1f}" y="{box.top:.1f}" '
        f'width="{box.width:.1f}" height="{box.height:.1f}" rx="{round_by:.0f}"/>'
    )


def words(
    text: str, x: float, y: float, look: str = "words", *, anchor: str = "middle", size: float = LETTERS
) -> str:
    """A line of words; `y` is the middle of its letters."""
    return (
        f'<text class="{look}" {_LOOKS[look]} x="{x:.1f}" y="{y + size * 0.35:.1f}" '
        f'text-anchor="{anchor}" font-size="{size:.0f}">{escape(text)}</text>'
    )


def lines(texts: Sequence[str], x: float, y: float, look: str = "words", *, anchor: str = "middle") -> str:
    """Lines of words around a middle."""
    first = y - (len(texts) - 1) * LINE / 2
    return "".join(
        words(text, x, first + number * LINE, look, anchor=anchor) for number, text in enumerate(texts)
    )


def dot(x: float, y: float, number: int, radius: float = 12.0) -> str:
    """A number in a disc."""
    return circle(x, y, "dot", radius) + words(str(number), x, y, "words inside", size=11)


def circle(x: float, y: float, look: str, radius: float, *, told: str = "") -> str:
    """A disc; `told` are the words that show where a pointer rests on it."""
    inside = f"<title>{escape(told)}</title>" if told else ""
    return (
        f'<circle class="{look}" {_LOOKS[look]} cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}">{inside}</circle>'
    )


def ring(radius: float, look: str = "field") -> str:
    """A circle around (0, 0)."""
    return circle(0, 0, look, radius)


def small_ring(x: float, y: float, look: str = "was", radius: float = 4.0) -> str:
    """A mark where something was."""
    return circle(x, y, look, radius)


def path(course: str, look: str = "line", *, thick: float = 1.5, dashes: str = "") -> str:
    """A line along a course."""
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<path class="{look}" {_LOOKS[look]} d="{course}" stroke-width="{thick:.1f}"{dashed}/>'


def head(x: float, y: float, dx: float, dy: float, look: str = "head") -> str:
    """The head of an arrow at a point, in the direction (dx, dy) of length 1."""
    back_x, back_y = x - 9 * dx, y - 9 * dy
    side_x, side_y = -dy * 4.5, dx * 4.5
    corners = (
        f"{x:.1f},{y:.1f} {back_x + side_x:.1f},{back_y + side_y:.1f} "
        f"{back_x - side_x:.1f},{back_y - side_y:.1f}"
    )
    return f'<polygon class="{look}" {_LOOKS[look]} points="{corners}"/>'


def around_all(boxes: Iterable[Box], margin: float = 12.0) -> tuple[float, float, float, float]:
    """Left, top, width and height of what holds all boxes."""
    found = list(boxes) or [Box(0, 0, 200, 100)]
    left = min(one.left for one in found) - margin
    top = min(one.top for one in found) - margin
    return (
        left,
        top,
        max(one.right for one in found) + margin - left,
        max(one.bottom for one in found) + margin - top,
    )
