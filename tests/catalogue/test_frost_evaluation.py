"""The frost service's figures are those that its evaluation prints."""

from __future__ import annotations

import os
import tomllib
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from cityloom.sdk import night_minimum
from cityloom_catalogue.services.frost import evaluate

README = Path(evaluate.__file__).with_name("README.md")
#: Where the data lie that the README's figures are made from.
DATA = os.environ.get("CITYLOOM_AIR_DATA", "")


def years(count: int = 3) -> evaluate.Nights:
    """Hourly weather of three stations by a simple law; the third is the second under another name."""
    random = np.random.default_rng(5)
    hours = np.arange(count * 365 * 24)
    season = 12 - 14 * np.cos(2 * np.pi * (hours / 24 - 20) / 365)
    daily = -5 * np.cos(2 * np.pi * (hours % 24 - 3) / 24)
    weather = np.repeat(random.normal(0, 3, hours.size // 24), 24)
    one = season + daily + weather + random.normal(0, 0.5, hours.size)
    two = one + 1.0 + random.normal(0, 0.5, hours.size)
    temperature = np.stack([one, two, two])
    dew_point = temperature - 6 + random.normal(0, 1, temperature.shape)
    wind = np.abs(random.normal(2, 1, temperature.shape))
    pressure = 1012 + random.normal(0, 6, temperature.shape)
    times = np.datetime64("2013-03-01T00", "ms") + hours * np.timedelta64(1, "h")
    series = night_minimum.Series(temperature, dew_point, wind, pressure)
    return evaluate.nights_of(["a", "b", "c"], series, times)


def test_nights_of_holds_every_evening_with_its_morning():
    nights = years()
    assert (nights.days[0], nights.days[-1]) == (date(2013, 3, 1), date(2016, 2, 27))
    assert nights.features.shape == (len(nights.days), 3, 8)
    assert np.isfinite(nights.minima).all()


def test_twins_are_one_group():
    assert years().groups.tolist() == [0, 1, 1]


def test_unseen_learns_neither_from_the_station_nor_from_its_twin(monkeypatch):
    nights = years()
    later = np.array([day >= evaluate.TESTED_FROM for day in nights.days])
    learned = []
    learn = evaluate.learn

    def watch(nights, when, where):
        learned.append((where.tolist(), bool((when & later).any())))
        return learn(nights, when, where)

    monkeypatch.setattr(evaluate, "learn", watch)
    evaluate.unseen(nights, later, evaluate.SEASON)
    assert learned == [([False, True, True], False), ([True, False, False], False)]


def test_score_counts_hits_misses_and_false_alarms():
    found = evaluate.score(np.array([-1.0, -1.0, 2.0, 2.0, np.nan]), np.array([-2.0, 1.0, -1.0, 3.0, 0.0]))
    assert (found.mae, found.nights) == (1.75, 4)
    assert (found.csi, found.pod, found.far) == pytest.approx((1 / 3, 0.5, 0.5))


def test_shipped_parameters_are_read_back_as_they_were_learned():
    nights = years()
    text = evaluate.shipped(nights, "invented.parquet")
    arrays = {name: np.array(values) for name, values in tomllib.loads(text)["arrays"].items()}
    everything = np.ones(len(nights.days), dtype=bool)
    model = evaluate.learn(nights, everything, np.ones(3, dtype=bool))
    for name, values in model._asdict().items():
        assert arrays[name] == pytest.approx(values, rel=1e-4, abs=1e-4), name
    assert arrays["season_known"].tolist() == [0.0]


def test_main_without_a_file_says_how_to_call_it(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["evaluate", "no-such-file"])
    assert evaluate.main() == 2
    assert "evaluate FILE" in capsys.readouterr().err


@pytest.mark.skipif(not DATA, reason="set CITYLOOM_AIR_DATA to the Parquet file of the README")
def test_report_prints_the_figures_of_the_readme():
    text = README.read_text()
    for row in evaluate.report(evaluate.read(Path(DATA))):
        assert row in text
