"""When the disk will be full: told from what was measured, and not told where too little was."""

import pytest

from cityloom.app.watch.growth import DAY_S, HOUR_S, Sample, grown, read_samples, with_sample, write_samples

GB = 1_000_000_000
BEGAN = 1_790_000_000.0


def hourly(days, free, a_day):
    return [Sample(BEGAN + h * HOUR_S, int(free - a_day * h / 24)) for h in range(int(days * 24) + 1)]


def test_a_disk_that_fills_evenly_is_full_when_it_is_full():
    found = grown(hourly(5, 46 * GB, GB))
    assert found.bytes_a_day == pytest.approx(GB)
    assert found.full_in_s == pytest.approx(41 * DAY_S)


@pytest.mark.parametrize("samples", [[], hourly(0.9, 46 * GB, GB), hourly(2, 46 * GB, GB)[::10]])
def test_nothing_is_told_of_less_than_a_day_or_a_handful_of_samples(samples):
    found = grown(samples)
    assert found.bytes_a_day is None
    assert found.full_in_s is None


def test_a_disk_that_empties_or_stands_still_never_fills():
    assert grown(hourly(5, 40 * GB, -GB)).full_in_s is None
    still = grown(hourly(5, 40 * GB, 1000))
    assert still.full_in_s is None
    assert still.bytes_a_day == pytest.approx(1000, rel=0.1)


def test_a_large_file_that_came_and_went_changes_little():
    samples = hourly(5, 46 * GB, GB)
    for at in range(50, 60):
        samples[at] = Sample(samples[at].at, samples[at].free_bytes - 20 * GB)
    assert grown(samples).bytes_a_day == pytest.approx(GB, rel=0.1)


def test_many_samples_are_thinned_and_the_newest_counts():
    found = grown(hourly(30, 100 * GB, GB))
    assert found.full_in_s == pytest.approx(70 * DAY_S)


def test_samples_outlive_the_process_and_a_wrong_clock(tmp_path):
    path = tmp_path / "growth.json"
    kept = []
    for one in hourly(40, 46 * GB, GB / 10):
        kept = with_sample(kept, one)
    assert kept[0].at >= kept[-1].at - 30 * DAY_S
    write_samples(path, kept)
    assert read_samples(path) == kept
    # A restart right after a sample adds none, and what was noted by a clock that ran ahead goes.
    assert with_sample(kept, Sample(kept[-1].at + 60, 0))[-1] == kept[-1]
    ahead = [*kept, Sample(kept[-1].at + 400 * DAY_S, 1)]
    assert with_sample(ahead, Sample(kept[-1].at + HOUR_S, 5))[-2:] == [
        kept[-1],
        Sample(kept[-1].at + HOUR_S, 5),
    ]


@pytest.mark.parametrize("text", ["", "[", '{"a": 1}', '[{"at": "x"}]'])
def test_a_damaged_file_is_no_reason_to_stop(tmp_path, text):
    (tmp_path / "growth.json").write_text(text)
    assert read_samples(tmp_path / "growth.json") == []
    assert read_samples(tmp_path / "none.json") == []
