"""Charts and maps that the server draws."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from cityloom.kernel.time import to_millis
from cityloom.web.drawing.boxes import covered
from cityloom.web.drawing.chart import Chart, Estimated, draw_chart, summary
from cityloom.web.drawing.map import bounds_around, draw_map, draw_plain_map, place_at, touches
from cityloom.web.drawing.scale import gaps, time_ticks, value_ticks
from cityloom.web.drawing.world import Spot, coastlines, crowded, draw_world
from cityloom.web.languages import language
from cityloom.web.looks import Item
from cityloom.web.wording import Wording

ZONE = ZoneInfo("Europe/Copenhagen")
NOON = datetime(2026, 4, 12, 12, 0, tzinfo=UTC)


class Noon:
    def now(self) -> datetime:
        return NOON


WORDS = Wording(language("en"), ZONE, Noon())


def chart(values, *, step: int = 5, **more) -> Chart:
    """Readings every few minutes; None is a time at which nothing came."""
    pairs = [(NOON + timedelta(minutes=step * row), value) for row, value in enumerate(values)]
    kept = [(at, value) for at, value in pairs if value is not None]
    return Chart(
        title="Temperature",
        unit="°C",
        since=NOON,
        until=NOON + timedelta(hours=6),
        times=[to_millis(at) for at, _ in kept],
        values=[value for _, value in kept],
        **more,
    )


@given(some.floats(-1e9, 1e9), some.floats(-1e9, 1e9))
def test_value_ticks_enclose_everything_in_round_steps(one, other):
    least, most = min(one, other), max(one, other)
    ticks = value_ticks(least, most)
    rounding = 1e-9 * max(abs(least), abs(most), 1.0)
    assert ticks[0] <= least + rounding and ticks[-1] >= most - rounding
    assert 2 <= len(ticks) <= 8 and ticks == sorted(ticks)


def test_value_ticks_begin_at_zero_when_it_is_near():
    assert value_ticks(2, 19)[0] == 0
    assert value_ticks(990, 1010)[0] > 900


def test_time_ticks_stand_at_round_hours_also_when_the_clocks_change():
    since = datetime(2026, 3, 28, 23, 0, tzinfo=UTC)
    ticks, days = time_ticks(since, since + timedelta(hours=24), ZONE)
    assert not days
    assert all(tick.hour % 3 == 0 and tick.minute == 0 for tick in ticks)
    assert all(since <= tick <= since + timedelta(hours=24) for tick in ticks)


def test_time_ticks_of_weeks_are_days():
    ticks, days = time_ticks(NOON, NOON + timedelta(days=30), ZONE)
    assert days and 3 <= len(ticks) <= 8


def test_gaps_are_pauses_much_longer_than_usual():
    assert gaps([0, 5, 10, 40, 45]) == [(10, 40)]
    assert gaps([0, 5, 10, 15]) == [] and gaps([7]) == []


def test_draw_chart_of_years_tells_the_years():
    begin = datetime(2022, 10, 11, tzinfo=UTC)
    years = [to_millis(begin + timedelta(days=365 * n)) for n in range(4)]
    odd = chart([1, 2, 3, 4])
    told = {name: getattr(odd, name) for name in odd.__struct_fields__}
    told |= {"since": begin, "until": begin + timedelta(days=1100), "times": years}
    drawn = str(draw_chart(Chart(**told), WORDS))
    assert ">Oct 2023<" in drawn and ">11 Oct<" not in drawn


def test_draw_chart_breaks_the_line_at_a_gap():
    whole = str(draw_chart(chart([1, 2, 3, 4, 5, 6, 7, 8]), WORDS))
    broken = str(draw_chart(chart([1, 2, 3, None, None, None, None, 4, 5, 6]), WORDS))
    assert _measured(whole).count("M") == 1
    assert _measured(broken).count("M") == 2


def test_draw_chart_shows_a_lonely_reading_as_a_point():
    assert "<circle" in str(draw_chart(chart([5]), WORDS))


def test_draw_chart_dashes_what_is_estimated_and_shows_its_interval():
    ahead = [Estimated(to_millis(NOON + timedelta(minutes=30 * n)), 8.0 + n, 7.0, 10.0) for n in (1, 2)]
    drawn = str(draw_chart(chart([5, 6], estimates=ahead), WORDS))
    assert 'class="forecast"' in drawn and 'class="interval"' in drawn
    assert "Estimated for 12 Apr 2026 15:00: 10 °C." in drawn
    assert 'class="forecast"' not in str(draw_chart(chart([5, 6]), WORDS))


def test_draw_chart_is_well_formed_whatever_it_is_called():
    odd = chart([1, 2], target=5.0, target_words="<aim & more>", marks=[(NOON, "a<b>")])
    odd = Chart(
        **{**{name: getattr(odd, name) for name in odd.__struct_fields__}, "title": "</title><script>"}
    )
    tree = ET.fromstring(str(draw_chart(odd, WORDS)))
    assert "script" not in {node.tag for node in tree.iter()}
    assert "aim & more" in "".join(tree.itertext())


def test_summary_says_the_range_and_the_last_reading():
    said = summary(chart([3, 9, 5]), WORDS)
    assert "from 3 °C to 9 °C, last 5 °C" in said
    assert "no readings" in summary(chart([]), WORDS)


def _measured(drawing: str) -> str:
    return drawing.split('class="measured" d="')[1].split('"')[0]


def place(longitude: float, latitude: float) -> dict:
    return {"type": "Point", "coordinates": [longitude, latitude]}


def item(geometry: dict, level: str = "good") -> Item:
    return Item(
        id="x",
        type="T",
        name="x",
        level=level,
        state="",
        text="",
        at="",
        icon="dot",
        href="/",
        geometry=geometry,
    )


def test_bounds_around_leave_out_a_place_that_is_plainly_wrong():
    city = [place(10 + n / 1000, 56 + n / 2000) for n in range(100)]
    west, south, east, north = bounds_around([*city, place(0, 0)])
    assert (west, east) == (10.0, 10.099) and 55.9 < south < north < 56.1


def test_bounds_around_a_lone_point_have_room():
    west, south, east, north = bounds_around([place(10, 56)])
    assert east - west == pytest.approx(0.004) and north - south == pytest.approx(0.004)


def test_bounds_around_nothing_are_what_is_given_or_the_centre():
    assert bounds_around([], (9, 55, 11, 57)) == (9, 55, 11, 57)
    assert bounds_around([], (), (10, 56)) == (9.95, 55.97, 10.05, 56.03)


def test_draw_map_draws_the_worst_last_and_both_directions_side_by_side():
    forth = {"type": "LineString", "coordinates": [[10, 56], [10.1, 56]]}
    back = {"type": "LineString", "coordinates": [[10.1, 56], [10, 56]]}
    things = [item(forth, "bad"), item(back, "good"), item(place(10.05, 56.0))]
    drawn = str(draw_map(things, (10, 55.9, 10.1, 56.1), roads=[], icons="/i.svg", words='a "map"'))
    assert drawn.index("state good") < drawn.index("state bad")
    courses = [drawn.split(f'state {level}" d="')[1].split('"')[0] for level in ("bad", "good")]
    assert courses[0].split(" ")[1].split("L")[0] != courses[1].split(" ")[1].split("L")[0]
    assert 'href="/i.svg#sign-good"' in drawn and "a &#34;map&#34;" in drawn


@given(some.floats(10.0, 10.2), some.floats(56.0, 56.1))
def test_place_at_finds_the_place_that_was_drawn(longitude, latitude):
    bounds = (10.0, 56.0, 10.2, 56.1)
    drawn = str(draw_plain_map([place(longitude, latitude)], bounds, 640))
    x, y = (int(drawn.split(f'{axis}="')[1].split('"')[0]) for axis in ("cx", "cy"))
    found = place_at(bounds, x, y, 640)
    assert found == pytest.approx((longitude, latitude), abs=0.0004)


def test_touches_tells_what_lies_within():
    assert touches(place(10, 56), (9, 55, 11, 57)) and not touches(place(12, 56), (9, 55, 11, 57))


LONGITUDES, LATITUDES = some.floats(-179, 179), some.floats(-55, 75)


def spots(*pairs: tuple[float, float]) -> list[Spot]:
    return [Spot(f"Place {number}", *pair) for number, pair in enumerate(pairs)]


@settings(deadline=None, max_examples=40)
@given(some.lists(some.tuples(LONGITUDES, LATITUDES), max_size=40))
def test_every_place_lies_on_the_map_and_no_name_covers_another(pairs):
    drawing = draw_world(spots(*pairs), "Where")
    root = ET.fromstring(drawing.svg)
    dots = [one for one in root.iter() if one.get("class") == "dot"]
    assert len(dots) == len(pairs)
    for one in dots:
        assert 0 <= float(one.get("cx")) <= drawing.width and 0 <= float(one.get("cy")) <= drawing.height
    assert covered(drawing.boxes) == []


def test_a_map_holds_its_places_and_little_more():
    world = draw_world(spots((-117, 34), (153, -28), (10, 63)), "Where")
    near = draw_world(spots((4.9, 52.4), (4.5, 51.9), (5.5, 51.4)), "Where")
    assert len(near.boxes) == 3 and len(near.svg) < len(world.svg) / 2
    assert 'class="land"' in near.svg and "<title>Place 0</title>" in near.svg


def test_the_crowded_part_is_drawn_closer_where_places_cannot_be_told_apart():
    far = [(-117, 34), (153, -28), (121, 31)]
    dense = [(4.9, 52.4), (4.5, 51.9), (5.5, 51.4), (6.0, 47.2), (2.3, 48.8), (4.8, 45.8)]
    assert {one.longitude for one in crowded(spots(*far, *dense))} == {one for one, _ in dense}
    assert crowded(spots(*far)) == () and crowded(spots(*dense)) == () and crowded([]) == ()


def test_the_coasts_are_closed_and_lie_on_the_earth():
    assert len(coastlines()) > 50
    for ring in coastlines():
        assert len(ring) >= 4 and ring[0] == ring[-1]
        assert all(-180 <= x <= 180 and -90 <= y <= 90 for x, y in ring)
