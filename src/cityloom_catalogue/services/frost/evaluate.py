"""How good is the night's minimum, on a year and at stations it was not made from?

    python -m cityloom_catalogue.services.frost.evaluate FILE [--write]

FILE is hourly weather as Parquet: station, time_local (without zone), TEMP and DEWP in degrees Celsius,
WSPM in m/s, PRES in hPa; such as "Beijing Multi-Site Air-Quality Data" (UCI, CC BY 4.0). Needs pyarrow.
With `--write` the parameters that the service ships are made again, from all of it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cityloom.sdk import intervals, night_minimum
from cityloom_catalogue.services.frost.service import LEVEL, Night, parameters_of, rows, seasonal

Array = NDArray[np.float64]

#: Held apart from learning: the 12 months from here on.
TESTED_FROM = date(2015, 3, 1)
#: Series that agree to this share are one weather station under two names.
_TWINS = 0.99
PARAMETERS = Path(__file__).with_name("parameters.toml")


class Nights(NamedTuple):
    """All nights of all stations."""

    stations: list[str]
    #: Stations of the same number are one.
    groups: NDArray[np.int64]
    days: list[date]
    #: Shapes (days, stations, features) and (days, stations).
    features: Array
    minima: Array


class Score(NamedTuple):
    """Errors in kelvin, and how well frost (0 °C or below) is told."""

    mae: float
    csi: float
    pod: float
    far: float
    nights: int
    frost: float
    coverage: float
    width: float


def main() -> int:
    """Print the tables; returns the exit status."""
    arguments = [item for item in sys.argv[1:] if item != "--write"]
    if len(arguments) != 1 or not Path(arguments[0]).is_file():
        print(__doc__, file=sys.stderr)
        return 2
    nights = read(Path(arguments[0]))
    print("\n".join(report(nights)))
    if "--write" in sys.argv:
        PARAMETERS.write_text(shipped(nights, arguments[0]), encoding="utf-8")
    return 0


def read(path: Path) -> Nights:
    """The nights in a file."""
    import pyarrow.parquet  # type: ignore[import-untyped]  # for developers alone, without types

    table = pyarrow.parquet.read_table(path)
    column = {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}
    hours = column["time_local"].astype("datetime64[h]")
    first, last = hours.min(), hours.max()
    stations = sorted(set(column["station"].tolist()))
    shape = (len(stations), int((last - first).astype(int)) + 1)
    place = (
        np.searchsorted(np.array(stations), column["station"].astype(str)),
        (hours - first).astype(int),
    )
    series = {name: np.full(shape, np.nan) for name in ("TEMP", "DEWP", "WSPM", "PRES")}
    for name, values in series.items():
        values[place] = column[name]
    times = (first + np.arange(shape[1])).astype("datetime64[ms]")
    return nights_of(stations, night_minimum.Series(*series.values()), times)


def nights_of(stations: list[str], series: night_minimum.Series, times: NDArray[np.datetime64]) -> Nights:
    """All nights but the last, whose morning is not there."""
    first: date = times[0].astype("datetime64[D]").item()
    days = [first + timedelta(days=n) for n in range(times.size // 24 - 1)]
    # The clock on the wall is the only clock here, so it is treated as if it were UTC.
    evenings = [datetime(day.year, day.month, day.day, 18, tzinfo=UTC) for day in days]
    nights = [Night(day, at, at, at) for day, at in zip(days, evenings, strict=True)]
    features, minima = rows(series, times, nights)
    count = len(stations)
    return Nights(
        stations,
        twins(series.temperature_c),
        days,
        features.reshape(len(days), count, -1),
        minima.reshape(len(days), count),
    )


def twins(temperature: Array) -> NDArray[np.int64]:
    """The same number for stations that have the same series."""
    groups = np.arange(len(temperature))
    for row in range(len(temperature)):
        for other in range(row):
            both = np.isfinite(temperature[row]) & np.isfinite(temperature[other])
            if np.mean(temperature[row][both] == temperature[other][both]) > _TWINS:
                groups[row] = groups[other]
    return groups


def report(nights: Nights) -> Iterator[str]:
    """The tables of the README."""
    later = np.array([day >= TESTED_FROM for day in nights.days])
    yield "The same stations, 12 months later"
    yield HEAD
    everywhere = np.ones(len(nights.stations), dtype=bool)
    learned = learn(nights, ~later, everywhere)
    features, minima = table(nights, later, everywhere)
    yield line("last night's minimum", score(features[:, 5], minima))
    yield line("linear in temperature and dew point", score(plain(nights, ~later, features), minima))
    for name, left_out in GAPS.items():
        yield line(name, judged(learned, without(features, left_out), minima))
    yield ""
    yield "Stations not learned from, 12 months later (each group left out in turn)"
    yield HEAD
    for name, left_out in (("frost, as shipped", SEASON), ("frost, season known", ())):
        yield line(name, unseen(nights, later, left_out))
    yield ""
    yield "As shipped, by season"
    yield "| | nights | MAE | in the 90 % interval |"
    yield "|---" * 4 + "|"
    yield from by_season(nights, later, learned)


HEAD = "\n".join(
    ["| | MAE | CSI | POD | FAR | nights | frost | in the 90 % interval | width |", "|---" * 9 + "|"]
)
SEASON = (6, 7)
#: Columns of the features that are not there.
GAPS: dict[str, tuple[int, ...]] = {
    "frost, as shipped": SEASON,
    "frost, season known (learned in the city)": (),
    "frost, no barometer": (*SEASON, 3),
    "frost, no anemometer": (*SEASON, 2),
    "frost, new station (no last night)": (*SEASON, 5),
    "frost, temperature and dew point alone": (*SEASON, 2, 3, 4, 5),
}


def learn(nights: Nights, when: NDArray[np.bool_], where: NDArray[np.bool_]) -> night_minimum.NightMinimum:
    """The model of some nights at some stations."""
    model = night_minimum.fit(*table(nights, when, where))
    assert model is not None, "there are years of nights"
    return model


def table(nights: Nights, when: NDArray[np.bool_], where: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Features and minima, night by night."""
    features = nights.features[when][:, where]
    return features.reshape(-1, features.shape[-1]), nights.minima[when][:, where].reshape(-1)


def without(features: Array, left_out: tuple[int, ...]) -> Array:
    """The features with some columns unknown."""
    copy = features.copy()
    copy[:, list(left_out)] = np.nan
    return copy


def plain(nights: Nights, earlier: NDArray[np.bool_], features: Array) -> Array:
    """The linear formula to beat."""
    known, minima = table(nights, earlier, np.ones(len(nights.stations), dtype=bool))
    whole = np.isfinite(known[:, :2]).all(axis=1) & np.isfinite(minima)
    design = np.column_stack([np.ones(whole.sum()), known[whole, :2]])
    slope = np.linalg.lstsq(design, minima[whole], rcond=None)[0]
    return np.asarray(slope[0] + features[:, :2] @ slope[1:])


def unseen(nights: Nights, later: NDArray[np.bool_], left_out: tuple[int, ...]) -> Score:
    """Learned before, at the other stations; tested later, at those left out."""
    parts = []
    for group in np.unique(nights.groups):
        there = nights.groups == group
        model = learn(nights, ~later, ~there)
        features, minima = table(nights, later, there)
        value, spread = night_minimum.estimate(model, without(features, left_out))
        parts.append(np.stack([value, minima, *night_minimum.interval(model, value, spread, LEVEL)]))
    return score(*np.concatenate(parts, axis=1))


def judged(model: night_minimum.NightMinimum, features: Array, minima: Array) -> Score:
    """How a model does."""
    value, spread = night_minimum.estimate(model, features)
    return score(value, minima, *night_minimum.interval(model, value, spread, LEVEL))


def score(value: Array, minima: Array, low: Array | None = None, high: Array | None = None) -> Score:
    """Nights without a forecast or a truth do not count."""
    known = np.isfinite(value) & np.isfinite(minima)
    said, was = value[known] <= 0, minima[known] <= 0
    hits, false, missed = (said & was).sum(), (said & ~was).sum(), (~said & was).sum()
    inside = width = float("nan")
    if low is not None and high is not None:
        inside = intervals.coverage(minima[known], low[known], high[known])
        width = float((high[known] - low[known]).mean())
    return Score(
        float(np.abs(value - minima)[known].mean()),
        _share(hits, hits + false + missed),
        _share(hits, hits + missed),
        _share(false, hits + false),
        int(known.sum()),
        float(was.mean()),
        inside,
        width,
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def line(name: str, found: Score) -> str:
    """One row of a table."""
    interval = "| | |" if np.isnan(found.coverage) else f"| {found.coverage:.1%} | {found.width:.1f} K |"
    return (
        f"| {name} | {found.mae:.2f} | {found.csi:.3f} | {found.pod:.3f} | {found.far:.3f} "
        f"| {found.nights} | {found.frost:.0%} {interval}"
    )


def by_season(nights: Nights, later: NDArray[np.bool_], model: night_minimum.NightMinimum) -> Iterator[str]:
    """Is the interval right in each season, not on the mean alone?"""
    months = np.array([day.month for day in nights.days])
    everywhere = np.ones(len(nights.stations), dtype=bool)
    for name, of in (
        ("spring", (3, 4, 5)),
        ("summer", (6, 7, 8)),
        ("autumn", (9, 10, 11)),
        ("winter", (12, 1, 2)),
    ):
        features, minima = table(nights, later & np.isin(months, of), everywhere)
        found = judged(model, seasonal(features, known=False), minima)
        yield f"| {name} | {found.nights} | {found.mae:.2f} | {found.coverage:.1%} |"


def shipped(nights: Nights, source: str) -> str:
    """parameters.toml, learned from all nights."""
    always = np.ones(len(nights.days), dtype=bool)
    arrays = parameters_of(
        learn(nights, always, np.ones(len(nights.stations), dtype=bool)), season_known=False
    )
    lines = [
        "# Made by `python -m cityloom_catalogue.services.frost.evaluate FILE --write`.",
        "[provenance]",
        'source = "Beijing Multi-Site Air-Quality Data (UCI), CC BY 4.0, hourly weather of eight stations"',
        f'file = "{Path(source).name}"',
        f'period = "{nights.days[0]} to {nights.days[-1]}"',
        f'nights = "{int(np.isfinite(nights.minima).sum())}"',
        'evaluation = "README.md: learned to February 2015, tested on the 12 months after it"',
        "",
        "[arrays]",
        "# The first two: temperature, dew point, wind, pressure, temperature 3 h before, last minimum,",
        "# season (sine, cosine), the night's minimum.",
        *(f"{name} = {_numbers(values)}" for name, values in arrays.items()),
    ]
    return "\n".join(lines) + "\n"


def _numbers(values: Array) -> str:
    if values.ndim == 1:
        return (
            "["
            + ", ".join(f"{value:.6g}" if value % 1 else f"{value:.1f}" for value in values.tolist())
            + "]"
        )
    return "[\n" + "".join(f"  {_numbers(row)},\n" for row in values) + "]"


if __name__ == "__main__":
    sys.exit(main())
