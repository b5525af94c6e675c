"""Diagrams of stakeholders: nothing covers anything, for few and for many, and a screen reader is told."""

from __future__ import annotations

import re
from datetime import date, timedelta
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from cityloom.planning.stakeholders.engagement import Appraisal, Level, Quadrant, standing, trend
from cityloom.web.drawing.boxes import Box, around, covered, in_lattice, label, on_rings, width_of
from cityloom.web.drawing.stakeholders.classification import draw_classification
from cityloom.web.drawing.stakeholders.grid import GridWords, Placed, draw_grid
from cityloom.web.drawing.stakeholders.interaction import Edge, Node, draw_interaction
from cityloom.web.drawing.stakeholders.onion import Ring, draw_onion
from cityloom.web.drawing.stakeholders.trend import draw_course, draw_trend

NAMES = st.text(st.characters(min_codepoint=32, max_codepoint=0x24F), min_size=1, max_size=60)
SAY = GridWords("<Grid>", "Power", "Interest", "low", "high", {one: one.value for one in Quadrant})
DAY = date(2026, 3, 1)


class Days:
    """What a drawing needs of the words of a page."""

    def day(self, value):
        return value


def sound(drawing):
    """No box covers another, all lie within, it is XML, and it has a name."""
    assert covered(drawing.boxes) == []
    for box in drawing.boxes:
        assert drawing.left <= box.left
        assert box.right <= drawing.left + drawing.width
        assert drawing.top <= box.top
        assert box.bottom <= drawing.top + drawing.height
    root = ElementTree.fromstring(str(drawing.svg))
    assert root.get("role") == "img"
    assert next(iter(root)).tag.endswith("title")
    return root


@settings(max_examples=40, deadline=None)
@given(st.lists(NAMES, max_size=30))
def test_boxes_around_a_middle_never_cover_each_other(names):
    nodes = [Node(str(number), name) for number, name in enumerate(names)]
    edges = [Edge("0", str(number), "funding", number % 2 == 0, 2) for number in range(1, len(names))]
    sound(draw_interaction(nodes, edges, {"funding": "Funding"}, "Map"))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 10), st.integers(1, 10)), max_size=220))
def test_whoever_stands_at_one_place_with_others_is_put_beside_it_within_the_field(places):
    placed = [
        Placed(number, f"Somebody {number}", power, interest, (1, 1))
        for number, (power, interest) in enumerate(places)
    ]
    drawing = draw_grid(placed, SAY)
    sound(drawing)
    assert len(drawing.boxes) == len(places)


def test_five_hundred_at_one_place_find_room():
    drawing = draw_grid([Placed(number, "X", 9, 9) for number in range(500)], SAY)
    sound(drawing)
    assert all(box.left > drawing.left + drawing.width / 2 for box in drawing.boxes)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 90), min_size=4, max_size=4))
def test_dots_of_the_onion_never_touch(counts):
    number = iter(range(1, 1000))
    rings = [Ring("A ring", [(next(number), "Somebody") for _ in range(count)]) for count in counts]
    drawing = draw_onion(rings, "Onion")
    sound(drawing)
    assert len(drawing.boxes) == sum(counts)
    # As dots, and not only as the squares within them.
    centres = [(box.x, box.y) for box in drawing.boxes]
    close = [
        (one, other)
        for place, one in enumerate(centres)
        for other in centres[place + 1 :]
        if (one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2 < 24**2
    ]
    assert close == []


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(
        st.tuples(st.sampled_from("abcd"), st.sampled_from("xyz")),
        st.lists(st.tuples(st.integers(1, 500), NAMES), max_size=40),
    )
)
def test_cells_of_the_classification_grow_with_what_is_in_them(cells):
    drawing = draw_classification(
        dict(zip("abcd", "ABCD", strict=True)), {"x": "X", "y": "Y", "z": "Z"}, cells, "Who"
    )
    sound(drawing)
    assert len(drawing.boxes) == sum(map(len, cells.values()))


@settings(max_examples=60, deadline=None)
@given(NAMES, st.floats(60, 300))
def test_words_stay_within_the_width_they_were_given(name, widest):
    found = label(name, widest=widest)
    assert len(found.lines) <= 2
    assert all(width_of(line) <= widest for line in found.lines)


def test_places_are_shared_out_once():
    places = in_lattice([(5, 5)] * 16, Box(0, 0, 40, 40), (10, 10))
    assert len(set(places)) == 16
    assert len(around([label("X")] * 5)) == 5
    assert len(on_rings(100, 10, 20)[0]) == 100


def test_what_somebody_typed_stays_text():
    root = sound(draw_grid([Placed(1, "<script>", 1, 1)], SAY))
    assert "<script>" in "".join(root.itertext())
    assert "<Grid>" in "".join(root.itertext())


def test_the_trend_writes_each_count_and_the_course_each_step():
    names = {one.value: one.value.title() for one in Level}
    courses = [
        standing([Appraisal(DAY, "unaware"), Appraisal(DAY + timedelta(days=20), "leading")])
        for _ in range(3)
    ]
    text = "".join(sound(draw_trend(trend(courses), names, "Trend", Days())).itertext())
    assert re.search("3", text)
    assert "Leading" in text
    drawn = sound(draw_course(courses[0].course, names, "Course", Days()))
    assert "2026-03-21" in "".join(drawn.itertext())
