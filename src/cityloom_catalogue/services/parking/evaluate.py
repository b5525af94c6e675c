"""How good are the forecasts, on weeks they were not made from?

    python -m cityloom_catalogue.services.parking.evaluate FOLDER

FOLDER holds `aarhus/parking_2014-05_11.csv.gz`, the open measurements of Aarhus, and, where wanted,
`parking/birmingham_weeks_01-08.npz`, those of Birmingham. Aarhus: learned on the 12 weeks before
15 October 2014, tested from then on. Birmingham: learned on weeks 1 to 6 of autumn 2016, tested on 7 and 8.
"""

from __future__ import annotations

import csv
import gzip
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cityloom.sdk import panel_forecast as panel
from cityloom_catalogue.services.parking.service import A_DAY, OCCUPANCY

Values = NDArray[np.float64]

#: A Monday before the first record, by the clocks of Aarhus.
BEGIN = datetime(2014, 5, 19)  # noqa: DTZ001 - the wall's clock, as people park by it
TESTED_FROM = datetime(2014, 10, 15)  # noqa: DTZ001 - local time, as in the data
LEARNED_STEPS = 12 * 7 * A_DAY
#: Half hours of a day in Birmingham's file, 08:00 to 16:30.
BIRMINGHAM_DAY = 18


def main() -> int:
    """Print the tables; returns the exit status."""
    if len(sys.argv) != 2 or not (Path(sys.argv[1]) / "aarhus").is_dir():
        print(__doc__, file=sys.stderr)
        return 2
    names, shares = read_aarhus(Path(sys.argv[1]) / "aarhus")
    cut = (TESTED_FROM - BEGIN) // (BEGIN.replace(minute=30) - BEGIN)
    _print("Aarhus, mean error in percent of the listed spaces")
    report(names, shares, cut - LEARNED_STEPS, cut)
    birmingham = Path(sys.argv[1]) / "parking" / "birmingham_weeks_01-08.npz"
    if birmingham.exists():
        _print("Birmingham, mean error in percent of the largest count of weeks 1 to 8")
        report_birmingham(birmingham)
    return 0


def read_aarhus(folder: Path) -> tuple[list[str], Values]:
    """Names, and occupancy as a share of the listed spaces by half hour of the wall's clock."""
    with gzip.open(folder / "parking_2014-05_11.csv.gz", "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = sorted({row["garage"] for row in rows})
    place = {name: index for index, name in enumerate(names)}
    last = max(row["observed_local"] for row in rows)
    steps = int((datetime.fromisoformat(last) - BEGIN).total_seconds() // 1800) + 1
    shares = np.full((len(names), steps), np.nan)
    for row in rows:
        step = int((datetime.fromisoformat(row["observed_local"]) - BEGIN).total_seconds() // 1800)
        shares[place[row["garage"]], step] = float(row["vehicle_count"]) / float(row["total_spaces"])
    return names, shares


def report(names: list[str], shares: Values, begin: int, cut: int) -> None:
    """Errors of the model and of the plain rules on every half hour from `cut` on."""
    model = panel.fit(shares[:, begin:cut], begin % OCCUPANCY.steps_a_week, OCCUPANCY)
    if model is None:
        raise AssertionError("twelve weeks are enough to learn from")
    ends = range(cut, shares.shape[1] - max(OCCUPANCY.horizons) + 1)
    said = [panel.forecast(model, shares[:, :end], end, OCCUPANCY) for end in ends]
    _print("  ahead     model   last value   yesterday   last week   in 90 % interval")
    for index, horizon in enumerate(OCCUPANCY.horizons):
        truth, last, day, week = (
            np.stack([shares[:, end + horizon - 1 - back] for end in ends])
            for back in (0, horizon, A_DAY, OCCUPANCY.steps_a_week)
        )
        value, low, high = (
            np.stack([getattr(item[index], part) for item in said]) for part in ("value", "low", "high")
        )
        known = np.isfinite(truth) & np.isfinite(value) & np.isfinite(last)
        inside = ((truth >= low) & (truth <= high))[known].mean()
        errors = [100 * float(np.nanmean(np.abs(rule - truth)[known])) for rule in (value, last, day, week)]
        _print(
            f"  {horizon * 30:4d} min  {errors[0]:5.2f}        {errors[1]:5.2f}       {errors[2]:5.2f}"
            f"       {errors[3]:5.2f}             {100 * inside:.1f} %"
        )
        for row, name in enumerate(names):
            own = known[:, row]
            model_error, last_error = (
                100 * float(np.abs(rule - truth)[own, row].mean()) for rule in (value, last)
            )
            _print(f"              {name:14s} {model_error:5.2f}   last value {last_error:5.2f}")


def report_birmingham(path: Path) -> None:
    """The same mechanism on days of ten hours; parks 7 and 20 are left out, as they are mostly missing."""
    raw = np.load(path)["occupied"].astype(float)
    raw[raw == 0] = np.nan
    kept = [park for park in range(len(raw)) if park not in (7, 20)]
    largest = np.nanmax(raw[kept], axis=(1, 2))
    shares = (raw[kept] / largest[:, None, None]).reshape(len(kept), -1)
    shape = OCCUPANCY._replace(steps_a_day=BIRMINGHAM_DAY, horizons=(1, 2, BIRMINGHAM_DAY))
    cut = 42 * BIRMINGHAM_DAY
    # 4 October 2016 is a Tuesday.
    model = panel.fit(shares[:, :cut], BIRMINGHAM_DAY, shape)
    if model is None:
        raise AssertionError("six weeks are enough to learn from")
    _print("  ahead     model   last value   last week")
    for index, horizon in enumerate(shape.horizons):
        # A forecast across the night is not asked for: the day's first slots have no hour before.
        ends = [
            end
            for end in range(cut, shares.shape[1] - horizon + 1)
            if horizon == BIRMINGHAM_DAY
            or (end % BIRMINGHAM_DAY >= 1 and end % BIRMINGHAM_DAY + horizon <= BIRMINGHAM_DAY)
        ]
        value = np.stack(
            [panel.forecast(model, shares[:, :end], BIRMINGHAM_DAY + end, shape)[index].value for end in ends]
        )
        truth, last, week = (
            np.stack([shares[:, end + horizon - 1 - back] for end in ends])
            for back in (0, horizon, 7 * BIRMINGHAM_DAY)
        )
        known = np.isfinite(truth) & np.isfinite(value) & np.isfinite(last) & np.isfinite(week)
        errors = [100 * float(np.abs(rule - truth)[known].mean()) for rule in (value, last, week)]
        label = "a day" if horizon == BIRMINGHAM_DAY else f"{horizon * 30} min"
        _print(f"  {label:>8s}  {errors[0]:5.2f}        {errors[1]:5.2f}       {errors[2]:5.2f}")


def _print(line: str) -> None:
    print(line)


if __name__ == "__main__":
    sys.exit(main())
