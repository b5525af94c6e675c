"""What a city has acknowledged, over HTTP and over MQTT, is there after power cuts and kills."""

from __future__ import annotations

import random
import shutil

import pytest
from harness import why_no_power_cuts
from mixed_load import Ledger, Load
from planted import BUGS
from whole_city import City, cut_under_load, fail_flushes_under_load, is_found, kill_under_load, on_a_disk

from cityloom.context.commit import EXIT_DISK_ERROR

pytestmark = pytest.mark.faults

needs_a_disk = pytest.mark.skipif(bool(why_no_power_cuts()), reason=why_no_power_cuts())
#: The ways in which clients write, each of which must have been there.
WAYS = {"create", "patch", "batch", "delete", "reading", "subscribe", "context"}


@needs_a_disk
def test_three_power_cuts_under_mixed_load_lose_nothing_that_was_acknowledged(tmp_path):
    chance = random.Random(3)
    with on_a_disk(tmp_path) as (disk, city):
        city.start()
        load = Load(Ledger())
        ways: set[str] = set()
        for _ in range(3):
            trial = cut_under_load(disk, city, load, chance)
            assert (trial.lost, trial.holes, trial.disorder, trial.refusals) == ([], 0, [], [])
            assert trial.status == EXIT_DISK_ERROR
            ways |= trial.told.keys()
        assert ways >= WAYS
        assert city.stop() == 0


@needs_a_disk
@pytest.mark.parametrize("bug", BUGS)
def test_faults_find_a_bug_that_was_put_in(tmp_path, bug):
    """The control: with the bug, the same procedure must find lost writes, or it proves nothing."""
    if bug == "forgiving" and shutil.which("strace") is None:
        pytest.skip("amber: failing flushes need strace")
    chance = random.Random(5)
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        if is_found(folder, bug, chance):
            return
    pytest.fail("three faults did not show the bug")


@needs_a_disk
@pytest.mark.skipif(shutil.which("strace") is None, reason="amber: failing flushes need strace")
def test_a_flush_that_fails_ends_the_city_by_a_status_of_its_own_and_loses_nothing(tmp_path):
    with on_a_disk(tmp_path) as (disk, city):
        city.start()
        trial = fail_flushes_under_load(disk, city, Load(Ledger()), random.Random(0))
        assert (trial.lost, trial.holes, trial.disorder) == ([], 0, [])
        assert trial.status == EXIT_DISK_ERROR
        assert city.stop() == 0


def test_three_kills_under_mixed_load_lose_nothing_that_was_acknowledged(tmp_path):
    chance = random.Random(7)
    city = City(tmp_path / "city", tmp_path / "log")
    city.lay_out()
    city.start()
    load = Load(Ledger())
    try:
        for _ in range(3):
            trial = kill_under_load(city, load, chance)
            assert (trial.lost, trial.holes, trial.disorder, trial.refusals) == ([], 0, [], [])
        assert city.stop() == 0
    finally:
        city.kill()
