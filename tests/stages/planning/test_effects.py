"""Effects of what began at a moment: on simulated truth, and on the values that a city really has."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from cityloom.analytics.interrupted_series import Effect, Reason, effect, together
from cityloom.history.model import Reading
from cityloom.kernel.time import months_later
from cityloom.planning.effects import Doubt, told

KPI = "urn:ngsi-ld:KeyPerformanceIndicator:city:A"
OTHER = "urn:ngsi-ld:KeyPerformanceIndicator:city:B"
BEGINS = datetime(2025, 1, 1, tzinfo=UTC)
NO_WINDOW = {KPI: timedelta(0), OTHER: timedelta(0)}


def following(random, count, strength):
    """Errors of which each follows on the one before."""
    found = [random.standard_normal()]
    for drawn in random.standard_normal(count - 1):
        found.append(strength * found[-1] + math.sqrt(1 - strength**2) * drawn)
    return np.array(found)


@pytest.mark.parametrize(
    ("before", "after", "strength", "season", "controlled", "at_least"),
    [
        (24, 12, 0.4, 0, False, 0.91),
        (12, 5, 0.8, 0, False, 0.90),
        (30, 8, 0.0, 12, False, 0.91),
        (20, 8, 0.5, 0, True, 0.91),
        # Few values that follow closely on one another look like fewer than they are.
        (12, 5, 0.8, 0, True, 0.85),
    ],
)
def test_the_interval_holds_the_truth_as_often_as_it_says(
    before, after, strength, season, controlled, at_least
):
    random = np.random.default_rng([before, int(10 * strength), controlled])
    held = false = tried = 0
    for run in range(100):
        truth = 0.0 if run % 2 else 1.5
        seen = following(random, before + after, strength) + 5
        if season:
            seen += 3 * np.cos(2 * np.pi * np.arange(before + after) / season)
        control = None
        if controlled:
            control = np.cumsum(random.standard_normal(before + after))
            seen += control
        else:
            seen += 0.03 * np.arange(before + after)
        seen[before:] += truth
        found = effect(seen, before, season=season, control=control)
        if isinstance(found, Effect):
            tried += 1
            held += found.low <= truth <= found.high
            false += truth == 0 and found.is_told
    assert tried > 90
    # 95 % within what chance makes of 100 runs.
    assert held / tried >= at_least
    assert false / (tried / 2) <= 1.1 - at_least


def test_a_control_of_several_series_stands_what_each_lacks():
    series = [np.arange(40.0), np.arange(40.0) + 100]
    series[1][30:] = np.nan
    control = together([*series, series[0] + 7], 28)
    # The level of the one that ends moves nothing: what is left goes on as it went.
    assert np.diff(control) == pytest.approx(1)
    assert np.isnan(together(series[1:], 28)[30:]).all()


def test_a_season_is_not_taken_for_an_effect():
    random = np.random.default_rng(3)
    months = np.arange(54)
    seen = 10 + 4 * np.cos(2 * np.pi * months / 12) + 0.5 * random.standard_normal(54)
    found = effect(seen, 48, season=12)
    blind = effect(seen, 48)
    assert isinstance(found, Effect) and not found.is_told
    assert isinstance(blind, Reason) or abs(found.value) < abs(blind.value) / 2


def test_a_trend_goes_on_without_an_effect_and_its_change_is_one():
    random = np.random.default_rng(21)
    slots = np.arange(60)
    seen = 0.5 * slots + random.standard_normal(60)
    assert isinstance(found := effect(seen, 40), Effect) and not found.is_told
    bent = seen + np.where(slots >= 40, 1.0 * (slots - 40), 0)
    found = effect(bent, 40)
    assert isinstance(found, Effect) and found.is_told
    assert found.value == pytest.approx(9.5, abs=3) and found.slope == pytest.approx(1.0, abs=0.35)
    assert found.expected[-1] == pytest.approx(0.5 * 59, abs=4)


def test_what_moves_both_drops_out():
    random = np.random.default_rng(11)
    both = np.cumsum(random.standard_normal(40)) * 3
    seen = both + 2 + 0.3 * random.standard_normal(40)
    seen[28:] -= 2
    found = effect(seen, 28, control=both)
    assert isinstance(found, Effect) and found.is_controlled
    assert found.value == pytest.approx(-2, abs=0.5) and found.is_told


@pytest.mark.parametrize(
    ("seen", "begins", "reason"),
    [
        (np.random.default_rng(1).standard_normal(30), 11, Reason.TOO_FEW_BEFORE),
        (np.random.default_rng(1).standard_normal(30), 26, Reason.TOO_FEW_AFTER),
        (np.where(np.arange(60) % 2, np.nan, np.random.default_rng(1).standard_normal(60)), 40, Reason.GAPS),
        (np.full(40, 3.0), 30, Reason.NO_CHANGE_AT_ALL),
        (
            np.random.default_rng(1).standard_normal(60) + 9.0 * (np.arange(60) >= 20),
            40,
            Reason.ALREADY_CHANGING,
        ),
    ],
)
def test_what_cannot_be_told_is_not_told(seen, begins, reason):
    assert effect(seen, begins) is reason


def test_a_control_that_went_elsewhere_before_is_none():
    random = np.random.default_rng(2)
    control = 0.5 * np.arange(40.0)
    assert effect(random.standard_normal(40), 28, control=control) is Reason.OTHER_COURSE


# From the values of an indicator


def reading(at, value, unit="P1"):
    return Reading(KPI, "kpiValue", at, value, unit)


def monthly(count=48, before=36, change=-5.0, seed=4):
    random = np.random.default_rng(seed)
    ends = [months_later(BEGINS, place - before + 1) for place in range(count)]
    return [
        reading(at, 50 + random.standard_normal() + (change if place >= before else 0))
        for place, at in enumerate(ends)
    ]


def test_months_of_any_length_are_slots_of_one_value_each():
    found = told(KPI, BEGINS, {KPI: monthly()}, NO_WINDOW)
    assert found.reason == "" and found.effect is not None
    assert (found.effect.before, found.effect.after) == (36, 12)
    assert None not in found.values and len(found.values) == 48
    assert found.times[35] == BEGINS and found.times[36] == datetime(2025, 2, 1, tzinfo=UTC)
    assert found.effect.low < -5 < found.effect.high < 0


def test_a_shift_of_the_clocks_moves_no_value_into_another_slot():
    begins = datetime(2025, 6, 30, 22, tzinfo=UTC)  # midnight of Copenhagen in summer
    ends = []
    for place in range(30):
        day = months_later(datetime(2023, 8, 1, tzinfo=UTC), place)
        ends.append(day - timedelta(hours=2 if 4 <= day.month <= 10 else 1))
    values = [reading(at, float(place % 5)) for place, at in enumerate(ends)]
    found = told(KPI, begins, {KPI: values}, NO_WINDOW)
    assert None not in found.values and len(found.values) == 30


def test_values_of_overlapping_periods_are_thinned_and_none_is_of_both_sides():
    random = np.random.default_rng(6)
    daily = random.standard_normal(800)
    begins = BEGINS
    first = begins - timedelta(days=600)
    rolled = [
        reading(first + timedelta(days=day + 1), float(daily[day - 27 : day + 1].mean()))
        for day in range(27, 800)
    ]
    found = told(KPI, begins, {KPI: rolled}, {KPI: timedelta(days=28)})
    assert found.step_days == pytest.approx(30.44, abs=0.01)
    assert found.effect is not None and not found.effect.is_told
    assert found.left_out >= 20 and found.effect.likeness < 0.7
    assert found.effect.before + found.effect.after < 27


def test_another_beginning_nearby_cannot_be_told_apart_and_a_later_one_ends_the_time_after():
    near = told(KPI, BEGINS, {KPI: monthly()}, NO_WINDOW, [("urn:x", BEGINS + timedelta(days=60))])
    assert (near.reason, near.others, near.effect) == (Doubt.OTHERS_BEGAN, ("urn:x",), None)
    later = told(KPI, BEGINS, {KPI: monthly()}, NO_WINDOW, [("urn:x", BEGINS + timedelta(days=200))])
    assert later.effect is not None and later.effect.after == 6


def test_what_is_not_known_or_has_not_begun_is_said():
    assert told(KPI, BEGINS, {KPI: []}, NO_WINDOW).reason == Doubt.NOTHING_KNOWN
    assert told(KPI, None, {KPI: monthly()}, NO_WINDOW).reason == Doubt.NOT_STARTED
    assert told(KPI, BEGINS + timedelta(days=900), {KPI: monthly()}, NO_WINDOW).reason == Doubt.NOT_STARTED
    odd = [*monthly(), reading(BEGINS, "many"), reading(BEGINS + timedelta(days=3), 7.0, "KGM")]
    assert told(KPI, BEGINS, {KPI: odd}, NO_WINDOW).left_out == 2


def test_other_series_are_looked_at_in_the_same_slots():
    random = np.random.default_rng(10)
    both = np.cumsum(random.standard_normal(48)) * 2
    ends = [months_later(BEGINS, place - 35) for place in range(48)]
    own = [
        reading(at, 50 + both[place] + 0.3 * random.standard_normal() - 2 * (place >= 36))
        for place, at in enumerate(ends)
    ]
    other = [reading(at, 30 + both[place]) for place, at in enumerate(ends)]
    found = told(KPI, BEGINS, {KPI: own, OTHER: other}, NO_WINDOW)
    assert found.controls == (OTHER,) and found.effect is not None and found.effect.is_controlled
    assert found.effect.low < -2 < found.effect.high < 0
