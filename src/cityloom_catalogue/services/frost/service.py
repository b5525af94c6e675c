"""At 18:00 the coming night's minimum for each weather station; a warning to growers when it freezes.

Pure: it sees the world and says facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cityloom.sdk import AlertCleared, AlertRaised, Because, Estimate, Fact, World, night_minimum

Array = NDArray[np.float64]

LEVEL = 0.9
HORIZON = "night-minimum"
NIGHT_FROM, NIGHT_TO, EVENING = timedelta(hours=19), timedelta(hours=32), timedelta(hours=18)
#: A late evening still judges the night; after midnight it is too late to warn.
LATEST_EVENING = timedelta(hours=5)
#: Outside of this the pressure is not reduced to sea level (or wrong), and is left out of account.
PRESSURE_HPA = (950.0, 1065.0)
#: The season may be learned from this many nights on; before, it cannot be told from the weather.
NIGHTS_OF_SEASON = 300
#: Own parameters replace the shipped ones when, learned without the newest fifth of the nights, they err
#: on it clearly less.
HELD_APART = 0.2
CLEARLY = 0.97


class Night(NamedTuple):
    """One evening and the night after it, in the city's local time."""

    day: date
    evening: datetime
    begin: datetime
    end: datetime


class Expected(NamedTuple):
    """What is expected of one station's night."""

    station: str
    value: float
    low: float
    high: float
    chance: float


def decide(world: World, at: datetime) -> Iterable[Fact]:
    """In the evening estimates and warnings; in the morning the end of the warnings."""
    night = night_of(world, at)
    if at - night.evening <= LATEST_EVENING:
        yield from judge(world, night)
    elif at >= night.end:
        yield from close(world, night)


def train(world: World, at: datetime) -> Mapping[str, NDArray[Any]] | None:  # noqa: ARG001 - the contract's
    """Learn from the city's own nights; None while the shipped parameters are as good."""
    series, times = measured(world)
    nights = [night_of_day(world, day) for day in days_within(world, times)]
    if not nights:
        return None
    features, minima = rows(series, times, nights)
    earlier = int(len(nights) * (1 - HELD_APART))
    cut = earlier * series.temperature_c.shape[0]
    season_known = earlier >= NIGHTS_OF_SEASON
    tried = night_minimum.fit(features[:cut], minima[:cut])
    learned = night_minimum.fit(features, minima)
    if tried is None or learned is None:
        return None
    shipped = world.parameters
    held_features, held_minima = features[cut:], minima[cut:]
    if shipped is not None:
        error = mean_error(tried, seasonal(held_features, season_known), held_minima)
        error_shipped = mean_error(model_of(shipped), seasonal(held_features, known=False), held_minima)
        if not error < CLEARLY * error_shipped:
            return None
    return parameters_of(learned, season_known=season_known)


# The evening and the morning


def judge(world: World, night: Night) -> Iterator[Fact]:
    """Estimates for all stations that can be judged, and alerts where it freezes or none can be made."""
    found = expect(world, night)
    in_season = is_season(world, night.day)
    for expected in found.values():
        yield Estimate(
            entity=expected.station,
            attribute="temperature",
            value=round(expected.value, 2),
            horizon=HORIZON,
            statistic="minimum",
            for_since=night.begin,
            for_at=night.end,
            low=round(expected.low, 2),
            high=round(expected.high, 2),
            level=LEVEL,
            unit="CEL",
        )
        if in_season and expected.value <= world.number("warn_at_c"):
            yield warning(world, night, expected)
    if in_season:
        for station in silent(world, found):
            yield not_judged(world, night, station)


def close(world: World, night: Night) -> Iterator[Fact]:
    """The night is over: say what it brought."""
    key_of_night = f":{night.day.isoformat()}"
    open_alerts = sorted(world.open_alerts)
    if not open_alerts:
        return
    series, times = measured(world)
    _, minima = rows(series, times, [night])
    lowest = dict(zip(world.ids("stations"), minima, strict=True))
    for key in open_alerts:
        # An older night's alert is left over from a day on which the city did not run.
        station = key.removeprefix("silent:").rpartition(":")[0]
        value = lowest.get(station, np.nan) if key.endswith(key_of_night) else np.nan
        if np.isfinite(value):
            outcome = world.say("night_was", lowest=float(value))
        else:
            outcome = world.say("night_unknown")
        yield AlertCleared(key=key, outcome=outcome, because=world.because(station))


def expect(world: World, night: Night) -> dict[str, Expected]:
    """The coming night of each station that has a temperature this evening."""
    arrays = world.parameters
    series, times = measured(world)
    if arrays is None or not times.size:
        return {}
    model = model_of(arrays)
    features, _ = rows(series, times, [night])
    features = seasonal(features, known=bool(arrays["season_known"][0]))
    value, spread = night_minimum.estimate(model, features)
    low, high = night_minimum.interval(model, value, spread, LEVEL)
    chance = night_minimum.chance_at_most(model, value, spread, 0.0)
    return {
        station: Expected(station, float(value[row]), float(low[row]), float(high[row]), float(chance[row]))
        for row, station in enumerate(world.ids("stations"))
        if np.isfinite(value[row])
    }


def warning(world: World, night: Night, expected: Expected) -> AlertRaised:
    """The alert that growers get."""
    severe = expected.value <= world.number("severe_at_c")
    return AlertRaised(
        key=f"{expected.station}:{night.day.isoformat()}",
        category="weather",
        sub_category="frost",
        severity="high" if severe else "medium",
        description=world.say(
            "frost",
            place=name_of(world, expected.station),
            value=expected.value,
            low=expected.low,
            high=expected.high,
            chance=round(100 * expected.chance),
            begin=night.begin,
            end=night.end,
        ),
        about=expected.station,
        valid_from=night.begin,
        valid_to=night.end,
        audience=("growers",),
        confirm_within=timedelta(minutes=world.number("confirm_within_min")),
        escalate_to=("operators",),
        because=reasons(world, expected.station),
    )


def not_judged(world: World, night: Night, station: str) -> AlertRaised:
    """A station that has fallen silent says nothing of the night: staff must know."""
    return AlertRaised(
        key=f"silent:{station}:{night.day.isoformat()}",
        category="weather",
        sub_category="frostNotJudged",
        severity="low",
        description=world.say("not_judged", place=name_of(world, station), begin=night.begin),
        about=station,
        valid_from=night.evening,
        valid_to=night.end,
        audience=("operators",),
        because=world.because(station),
    )


def silent(world: World, found: Mapping[str, Expected]) -> Iterator[str]:
    """Stations that measured a temperature in the last two days and cannot be judged tonight."""
    temperature = world.matrix("stations", "temperature")
    for station, row in zip(temperature.ids, temperature.values, strict=True):
        if station not in found and np.isfinite(row).any():
            yield station


def reasons(world: World, station: str) -> tuple[Because, ...]:
    """What was measured this evening, in plain numbers, then the series that were looked at."""
    now = tuple(
        Because(
            about=station,
            attribute=attribute,
            value=float(row[known[-1]]),
            unit_code=unit,
            count=1,
            note="newest in the series",
        )
        for attribute, unit in (
            ("temperature", "CEL"),
            ("dewPoint", "CEL"),
            ("relativeHumidity", "P1"),
            ("windSpeed", "MTS"),
            ("atmosphericPressure", "A97"),
        )
        for row in [world.matrix("stations", attribute).values[world.ids("stations").index(station)]]
        for known in [np.flatnonzero(np.isfinite(row))]
        if known.size
    )
    return now + world.because(station)


def name_of(world: World, station: str) -> str | Mapping[str, str]:
    """What people call the station, in each language where it has names."""
    name = world.value("stations", station, "name")
    return name if isinstance(name, str | dict) and name else station.rpartition(":")[2]


def is_season(world: World, day: date) -> bool:
    """Whether growers want to be warned; a season may go over the new year."""
    begin, end = str(world.setting("season_from")), str(world.setting("season_to"))
    today = f"{day:%m-%d}"
    return begin <= today <= end if begin <= end else today >= begin or today <= end


# What is measured, as arrays


def measured(world: World) -> tuple[night_minimum.Series, NDArray[np.datetime64]]:
    """The stations' series; the dew point from temperature and humidity where it is not measured."""
    temperature = world.matrix("stations", "temperature")
    dew_point = world.matrix("stations", "dewPoint").values
    humidity = world.matrix("stations", "relativeHumidity").values
    pressure = world.matrix("stations", "atmosphericPressure").values
    computed = night_minimum.dew_point_c(temperature.values, humidity / 100)
    plausible = (pressure >= PRESSURE_HPA[0]) & (pressure <= PRESSURE_HPA[1])
    series = night_minimum.Series(
        temperature.values,
        np.where(np.isfinite(dew_point), dew_point, computed),
        world.matrix("stations", "windSpeed").values,
        np.where(plausible, pressure, np.nan),
    )
    return series, temperature.times


def rows(
    series: night_minimum.Series, times: NDArray[np.datetime64], nights: list[Night]
) -> tuple[Array, Array]:
    """Features and minima of all nights and stations: night by night, in each the stations in order."""
    step = times[1] - times[0]
    steps_per_hour = int(np.timedelta64(1, "h") / step)
    evenings = np.array([np.datetime64(night.evening.replace(tzinfo=None), "ms") for night in nights])
    columns = ((evenings - times[0]) // step).astype(np.int64)
    features = night_minimum.evening_features(series, columns, steps_per_hour)
    days = np.array([night.day.timetuple().tm_yday for night in nights], dtype=float)
    features[..., 6:] = night_minimum.season(days)
    minima = night_minimum.night_minima(series.temperature_c, columns, steps_per_hour)
    return features.transpose(1, 0, 2).reshape(-1, features.shape[-1]), minima.T.reshape(-1)


def seasonal(features: Array, known: bool) -> Array:
    """The features without the season, unless it was learned in this very city."""
    if known:
        return features
    without = features.copy()
    without[:, 6:] = np.nan
    return without


def night_of(world: World, at: datetime) -> Night:
    """The newest evening that is not after `at`, and its night."""
    local = at.astimezone(world.zone)
    day = local.date() if local.hour >= EVENING.seconds // 3600 else local.date() - timedelta(days=1)
    return night_of_day(world, day)


def night_of_day(world: World, day: date) -> Night:
    """The evening of a day and the night after it."""
    evening, begin, end = (
        (datetime(day.year, day.month, day.day, tzinfo=world.zone) + after).astimezone(UTC)
        for after in (EVENING, NIGHT_FROM, NIGHT_TO)
    )
    return Night(day, evening, begin, end)


def days_within(world: World, times: NDArray[np.datetime64]) -> list[date]:
    """The days whose evening and night lie within the series."""
    if times.size < 2:
        return []
    first, last = (
        datetime.fromtimestamp(int(item.astype("datetime64[s]").astype(np.int64)), tz=UTC)
        .astimezone(world.zone)
        .date()
        for item in (times[0], times[-1])
    )
    return [first + timedelta(days=n) for n in range(1, (last - first).days)]


# Parameters


def model_of(arrays: Mapping[str, NDArray[Any]]) -> night_minimum.NightMinimum:
    """The model that is kept as arrays."""
    return night_minimum.NightMinimum(
        arrays["mean"], arrays["covariance"], arrays["unrest"], arrays["scores"]
    )


def parameters_of(model: night_minimum.NightMinimum, *, season_known: bool) -> dict[str, NDArray[Any]]:
    """A model as arrays to keep."""
    return model._asdict() | {"season_known": np.array([float(season_known)])}


def mean_error(model: night_minimum.NightMinimum, features: Array, minima: Array) -> float:
    """The mean absolute error on nights that are known; infinite without any."""
    value, _ = night_minimum.estimate(model, features)
    errors = np.abs(value - minima)
    known = np.isfinite(errors)
    return float(errors[known].mean()) if known.any() else float("inf")
