"""Dependencies in time: nothing begins before what it waits for, and slack is exactly the room there is."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from cityloom.planning.action.schedule import Activity, find_circle, schedule

TODAY = date(2026, 4, 10)


def activity(name, start, days, *after, **state):
    begin = TODAY + timedelta(days=start)
    return Activity(id=name, start=begin, end=begin + timedelta(days=days), after=after, **state)


@st.composite
def plans(draw):
    """Activities that wait only for earlier ones, none of them under way."""
    count = draw(st.integers(1, 9))
    return [
        activity(
            str(number),
            draw(st.integers(-30, 60)),
            draw(st.integers(0, 40)),
            *draw(st.lists(st.sampled_from([str(one) for one in range(number)]), max_size=3))
            if number
            else (),
        )
        for number in range(count)
    ]


def chain_of(plan, name):
    """Everything that hangs together with one."""
    near = {one.id: set(one.after) for one in plan}
    for one in plan:
        for other in one.after:
            near[other].add(one.id)
    found, waiting = set(), [name]
    while waiting:
        here = waiting.pop()
        if here not in found:
            found.add(here)
            waiting += near[here]
    return found


def end_of(placed, names):
    return max(placed[name].earliest_end for name in names)


@settings(max_examples=120, deadline=None)
@given(plans())
def test_nothing_begins_before_what_it_waits_for_and_not_later_than_it_must(plan):
    placed = schedule(plan, TODAY).placed
    for one in plan:
        here = placed[one.id]
        binding = [max(one.start, TODAY), *(placed[other].earliest_end for other in one.after)]
        assert here.earliest_start == max(binding)
        assert here.earliest_end - here.earliest_start == one.end - one.start
        assert here.late == (here.earliest_start - one.start).days


@settings(max_examples=120, deadline=None)
@given(plans(), st.data())
def test_slack_is_the_delay_that_moves_nobodys_end(plan, data):
    placed = schedule(plan, TODAY).placed
    name = data.draw(st.sampled_from(sorted(placed)))
    names = chain_of(plan, name)
    end, slack = end_of(placed, names), placed[name].slack
    assert slack >= 0
    assert end_of(schedule(plan, TODAY, {name: slack}).placed, names) == end
    moved = end_of(schedule(plan, TODAY, {name: slack + 1}).placed, names)
    assert moved == end + timedelta(days=1)
    assert placed[name].is_critical == (slack == 0 and len(names) > 1)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=3)))
def test_a_circle_that_is_found_is_one_and_none_is_missed(after):
    circle = find_circle(after)
    for here, following in zip(circle, circle[1:] + circle[:1], strict=True):
        assert following in after[here]
    reach = {one: set(several) & set(after) for one, several in after.items()}
    for _ in after:
        reach = {one: several.union(*(reach[other] for other in several)) for one, several in reach.items()}
    assert bool(circle) == any(one in several for one, several in reach.items())


def test_a_late_start_is_passed_on_and_says_through_whom():
    plan = [activity("a", -50, 30), activity("b", -20, 10, "a"), activity("c", 0, 5, "b")]
    placed = schedule(plan, TODAY).placed
    assert (placed["a"].late, placed["a"].because_of) == (50, "")
    assert (placed["b"].late, placed["b"].because_of) == (50, "a")
    assert (placed["c"].late, placed["c"].because_of) == (40, "b")
    assert all(placed[name].is_critical for name in "abc")


def test_what_has_begun_waits_for_nobody_and_ends_today_at_the_earliest():
    plan = [
        activity("a", -50, 30, has_begun=True),
        activity("b", -40, 10, "a", has_ended=True),
        activity("c", -10, 5, "a"),
    ]
    placed = schedule(plan, TODAY).placed
    assert (placed["a"].earliest_end, placed["a"].late, placed["a"].slack) == (TODAY, 20, 0)
    assert (placed["b"].earliest_end, placed["b"].is_critical) == (TODAY - timedelta(days=30), False)
    assert (placed["c"].earliest_start, placed["c"].late, placed["c"].because_of) == (TODAY, 10, "")


def test_what_waits_in_a_circle_is_left_out_and_named():
    plan = [activity("a", 0, 5, "b"), activity("b", 0, 5, "a"), activity("c", 0, 5), activity("d", 0, 1, "a")]
    found = schedule(plan, TODAY)
    assert set(found.placed) == {"c"} and set(found.circle) == {"a", "b"}


def test_of_two_ways_the_longer_is_critical():
    plan = [activity("a", 0, 5), activity("b", 0, 9), activity("c", 0, 1, "a", "b"), activity("d", 0, 99)]
    placed = schedule(plan, TODAY).placed
    assert [name for name in "abcd" if placed[name].is_critical] == ["b", "c"]
    assert (placed["a"].slack, placed["a"].latest_start) == (4, TODAY + timedelta(days=4))
    assert placed["d"].slack == 0 and not placed["d"].is_critical
