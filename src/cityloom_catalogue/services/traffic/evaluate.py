"""How good are the forecasts and the alarms, on weeks they were not made from?

    python -m cityloom_catalogue.services.traffic.evaluate FOLDER

FOLDER holds `traffic_2014-08_09.npz`, the open measurements of Aarhus. Learned on 1 August to 16 September
2014, tested on 17 to 30 September; nothing of the service was chosen on the tested weeks.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cityloom.sdk import panel_forecast as panel
from cityloom.sdk import sudden_drop as drop
from cityloom_catalogue.services.traffic.service import COUNTS, DROP, SPEEDS

Values = NDArray[np.float64]

#: 1 August 2014 is a Friday; the file begins at midnight UTC, two in the morning in Denmark.
FIRST_SLOT = 4 * 96 + 8
LEARNED_STEPS = 47 * 96
MINUTES = {1: 15, 2: 30, 4: 60}


class Scores(NamedTuple):
    """Figures of one horizon on the held-apart weeks."""

    minutes: int
    wape: float
    mae: float
    persistence_wape: float
    persistence_mae: float
    normal_week_wape: float
    coverage: float
    width: float


def main() -> int:
    """Print the tables; returns the exit status."""
    if len(sys.argv) != 2 or not (path := Path(sys.argv[1]) / "traffic_2014-08_09.npz").exists():
        print(__doc__, file=sys.stderr)
        return 2
    counts, speeds = read(path)
    for name, values, shape in (("count", counts, COUNTS), ("speed", speeds, SPEEDS)):
        began = time.perf_counter()
        model = panel.fit(values[:, :LEARNED_STEPS], FIRST_SLOT, shape)
        if model is None:
            raise AssertionError("46 days are enough to learn from")
        seconds = time.perf_counter() - began
        _print(f"{name}: learned in {seconds:.1f} s")
        _print_scores(score(model, values, shape))
        if name == "count":
            _print(f"  hourly counts at full hours: WAPE {hourly_wape(model, values):.3f}")
            _print(
                f"  (mean of the hour of the week, learned on the same days: {hour_of_week_wape(path):.3f})"
            )
    alarms, found = sudden_drops(counts, speeds)
    _print(f"sudden drops: {alarms:.1f} alarms a day on {len(speeds)} sections")
    _print(f"  of drops put in by hand (speed to 35 % for 45 minutes): {100 * found:.0f} % found")
    return 0


def read(path: Path) -> tuple[Values, Values]:
    """Mean count of five minutes and mean speed, by quarter of an hour: (sections, steps) each."""
    raw = np.load(path)
    count = np.where(raw["vehicle_count"] < 0, np.nan, raw["vehicle_count"].astype(float))
    speed = np.where(raw["average_speed_kmh"] < 0, np.nan, raw["average_speed_kmh"].astype(float))
    speed[~(count > 0)] = np.nan
    return _quarters(count), _quarters(speed)


def score(model: panel.PanelModel, values: Values, shape: panel.PanelShape) -> list[Scores]:
    """Forecasts made at every quarter of an hour of the held-apart weeks, against what came."""
    ends = range(LEARNED_STEPS, values.shape[1] - max(shape.horizons) + 1)
    said = [panel.forecast(model, values[:, :end], FIRST_SLOT + end, shape) for end in ends]
    results = []
    for index, horizon in enumerate(shape.horizons):
        truth = np.stack([_mean(values[:, end : end + horizon]) for end in ends])
        last = np.stack([_mean(values[:, end - horizon : end]) for end in ends])
        normal = np.stack([_normal(model, FIRST_SLOT + end, horizon) for end in ends])
        value, low, high = (
            np.stack([getattr(item[index], part) for item in said]) for part in ("value", "low", "high")
        )
        known = np.isfinite(truth) & np.isfinite(last) & np.isfinite(value)
        inside = (truth >= low - 1e-9) & (truth <= high + 1e-9)
        results.append(
            Scores(
                MINUTES[horizon],
                _wape(value, truth, known),
                float(np.abs(value - truth)[known].mean()),
                _wape(last, truth, known),
                float(np.abs(last - truth)[known].mean()),
                _wape(normal, truth, known),
                float(inside[known].mean()),
                float((high - low)[known].mean()),
            )
        )
    return results


def hourly_wape(model: panel.PanelModel, values: Values) -> float:
    """As the plain rules are scored: the sums of whole clock hours, at least half of them present."""
    ends = range(LEARNED_STEPS, values.shape[1] - 3, 4)
    value = np.stack(
        [panel.forecast(model, values[:, :end], FIRST_SLOT + end, COUNTS)[-1].value for end in ends]
    )
    truth = np.stack([_mean(values[:, end : end + 4]) for end in ends])
    return _wape(value, truth, np.isfinite(truth) & np.isfinite(value))


def hour_of_week_wape(path: Path) -> float:
    """The plain rule to beat: the mean of the hour of the week."""
    raw = np.load(path)["vehicle_count"]
    count = np.where(raw < 0, np.nan, raw.astype(float)).reshape(-1, 12, raw.shape[1])
    hourly = np.where(np.isfinite(count).sum(1) >= 6, np.nansum(count, 1), np.nan)
    cut, hour = LEARNED_STEPS // 4, np.arange(len(hourly)) % 168
    rule = np.stack([np.nanmean(hourly[:cut][hour[:cut] == slot], axis=0) for slot in range(168)])
    truth, said = hourly[cut:], rule[hour[cut:]]
    return _wape(said, truth, np.isfinite(truth) & np.isfinite(said))


def sudden_drops(counts: Values, speeds: Values) -> tuple[float, float]:
    """Alarms a day in the held-apart weeks, and the share of 1,500 drops put in by hand that are found."""
    model = panel.fit(speeds[:, :LEARNED_STEPS], FIRST_SLOT, SPEEDS)
    if model is None:
        raise AssertionError("46 days are enough to learn from")
    slots = (FIRST_SLOT + np.arange(speeds.shape[1])) % SPEEDS.steps_a_week
    normal = model.profile[:, slots]
    limits = drop.drop_limits(speeds[:, :LEARNED_STEPS], normal[:, :LEARNED_STEPS], DROP)
    steps = drop.CALM_STEPS + 2

    def alarm(speed: Values, end: int) -> NDArray[np.bool_]:
        window = slice(end - steps, end)
        fell = drop.dropped(speed[:, window], normal[:, window], limits, DROP)
        seen = 3 * np.nan_to_num(counts[:, end - 2 : end]).sum(axis=1) >= 4
        both: NDArray[np.bool_] = np.logical_and(fell, seen)
        return both

    tested = range(LEARNED_STEPS + steps, speeds.shape[1] - 4)
    fell = np.stack([alarm(speeds, end) for end in tested])
    begins = fell & ~np.vstack([np.zeros_like(fell[:1]), fell[:-1]])
    places = np.argwhere(
        np.isfinite(speeds[:, tested.start : tested.stop]) & (counts[:, tested.start : tested.stop] > 4 / 3)
    )
    chosen = places[np.random.default_rng(1).choice(len(places), 1500, replace=False)]
    found = 0
    for section, offset in chosen.tolist():
        begin = tested.start + offset
        altered = speeds[:, : begin + 4].copy()
        altered[section, begin : begin + 3] *= 0.35
        found += any(alarm(altered, end)[section] for end in (begin + 2, begin + 3))
    return float(begins.sum() / (len(tested) / 96)), found / len(chosen)


def _quarters(values: Values) -> Values:
    parts = values.reshape(-1, 3, values.shape[1])
    known = np.isfinite(parts)
    total = np.where(known, parts, 0.0).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.ascontiguousarray((total / known.sum(1)).T)


def _mean(values: Values) -> Values:
    """Mean over the steps, NaN where less than half is known."""
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known.sum(1) >= values.shape[1] / 2, total / known.sum(1), np.nan)


def _normal(model: panel.PanelModel, slot: int, horizon: int) -> Values:
    return _mean(np.stack([panel.usual(model, slot + step) for step in range(horizon)], axis=1))


def _wape(said: Values, truth: Values, known: NDArray[np.bool_]) -> float:
    """Weighted absolute percentage error: the sum of the errors over the sum of the truths."""
    return float(np.abs(said - truth)[known].sum() / truth[known].sum())


def _print_scores(rows: list[Scores]) -> None:
    _print("  min    WAPE   MAE   last WAPE  last MAE  normal week  in 90 % interval  its width")
    for row in rows:
        _print(
            f"  {row.minutes:3d}   {row.wape:.3f}  {row.mae:5.2f}     {row.persistence_wape:.3f}"
            f"     {row.persistence_mae:5.2f}       {row.normal_week_wape:.3f}"
            f"            {100 * row.coverage:.1f} %     {row.width:6.2f}"
        )


def _print(line: str) -> None:
    print(line)


if __name__ == "__main__":
    sys.exit(main())
