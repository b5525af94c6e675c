"""What was acknowledged is there after a power cut, and after kills."""

from __future__ import annotations

import random

import pytest
from harness import kill, power_cut, why_no_power_cuts

from cityloom.context.commit import EXIT_DISK_ERROR

pytestmark = pytest.mark.faults

needs_a_disk = pytest.mark.skipif(bool(why_no_power_cuts()), reason=why_no_power_cuts())


@needs_a_disk
@pytest.mark.parametrize("number", range(3))
def test_a_power_cut_under_load_loses_nothing_that_was_acknowledged(tmp_path, number):
    outcome = power_cut(tmp_path, random.Random(number))
    assert outcome.acknowledged > 50
    assert (outcome.lost, outcome.holes) == (0, 0)
    assert outcome.status == EXIT_DISK_ERROR


@needs_a_disk
@pytest.mark.parametrize("plant", ["hasty", "unflushed"])
def test_a_power_cut_finds_a_city_that_acknowledges_too_early(tmp_path, plant):
    """The control: with the bug put in, the same procedure must find lost writes."""
    lost = 0
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        lost += power_cut(tmp_path / str(number), random.Random(number), plant).lost
        if lost:
            return
    pytest.fail("three power cuts did not find the bug: the procedure proves nothing")


def test_eight_kills_under_load_lose_nothing_that_was_acknowledged(tmp_path):
    chance = random.Random(20)
    outcomes = [kill(tmp_path, chance) for _ in range(8)]
    assert sum(outcome.acknowledged for outcome in outcomes) > 400
    assert [(outcome.lost, outcome.holes) for outcome in outcomes] == [(0, 0)] * 8
