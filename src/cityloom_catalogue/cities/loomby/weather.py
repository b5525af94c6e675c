"""The weather over the town and on its farms.

Large-scale weather: cloud, wind, dew point, pressure and the departure from the season's temperature are
autoregressive processes of first order with one step a day; high pressure brings clear and calm air.

Temperature within a day follows Parton and Logan (1981): a sine from sunrise to past noon, an exponential
fall from sunset to sunrise. How low the night goes depends on cloud, wind and the length of the night, and
the dew point slows the fall when it is reached; hollows collect the cold air of clear, calm nights.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cityloom_catalogue.cities.loomby import chance
from cityloom_catalogue.cities.loomby.moments import LATITUDE, Moments, winter

Floats = NDArray[np.float64]

#: Degrees Celsius: the year's mean and half the way from January to July.
_YEAR_MEAN, _YEAR_SWING = 8.8, 8.0
#: The extremes of large-scale weather, in standard deviations.
_EXTREME = 2.6
#: Parton and Logan's coefficients: hours by which the warmest hour follows noon, and the night's decay.
_NOON_LAG, _NIGHT_DECAY = 1.8, 2.2
#: Under this many kelvin below the dew point the night's fall is slowed to this share.
_DEW_MARGIN, _DEW_SHARE = 1.0, 0.3


class Sky(NamedTuple):
    """Large-scale weather at instants."""

    #: Departure of the day's mean temperature from the season's mean, included; degrees Celsius.
    mean: Floats
    dew_point: Floats
    #: 0 clear to 1 overcast.
    cloud: Floats
    #: Metres a second, ten metres above open ground, mean of the day.
    wind: Floats
    #: Degrees from which the wind blows.
    direction: Floats
    #: Hectopascal.
    pressure: Floats


class Farms(NamedTuple):
    """What the stations measure: arrays of shape (instants, stations)."""

    temperature: Floats
    dew_point: Floats
    humidity: Floats
    wind: Floats
    direction: Floats
    pressure: Floats


def sky(sun_day: Floats) -> Sky:
    """The large-scale weather at days by the sun."""
    cold = winter(sun_day)
    high = _process("pressure", sun_day, 0.8)
    veiled = _process("cloud", sun_day, 0.5)
    cloud = 1.0 / (1.0 + np.exp(-(0.3 - 1.3 * high + 1.3 * veiled)))
    wind = np.clip(
        (4.4 + 0.8 * cold) * np.exp(0.38 * _process("wind", sun_day, 0.55) - 0.32 * high - 0.1), 0.6, 18.0
    )
    warmth = _process("warmth", sun_day, 0.78)
    mean = _YEAR_MEAN - _YEAR_SWING * cold + (2.9 + 0.7 * cold) * warmth
    spread = 1.8 + 4.2 * (1.0 - cloud) - 1.0 * cold + 0.7 * _process("dryness", sun_day, 0.5)
    return Sky(
        mean=mean,
        dew_point=mean - np.maximum(spread, 0.6),
        cloud=cloud,
        wind=wind,
        direction=(250.0 + 65.0 * _process("direction", sun_day, 0.6)) % 360.0,
        pressure=1013.2 + 9.5 * high,
    )


def rain(moments: Moments, above: Sky) -> Floats:
    """0 dry to 1 steady rain: showers out of thick cloud."""
    shower = chance.smooth("shower", moments.millis / 5_400_000)
    return np.asarray(np.clip((above.cloud - 0.72) * 4.0, 0.0, 1.0) * (shower > 0.3))


def _process(name: str, sun_day: Floats, memory: float) -> Floats:
    return np.asarray(np.clip(chance.day_to_day("weather:" + name, sun_day, memory), -_EXTREME, _EXTREME))


class Night(NamedTuple):
    """The coldest moments, for each night and station, and the warmest of the days."""

    lowest: Floats
    highest: Floats


def farms(moments: Moments, height: Floats, hollow: Floats) -> Farms:
    """The stations' readings. `height`: warmth by position in K; `hollow`: how cold air collects, 0 to 1."""
    now = sky(moments.sun_day)
    temperature = _temperature(moments, height, hollow)
    station = np.arange(len(height))
    hours = moments.millis[:, None] / 3_600_000
    temperature = temperature + 0.25 * chance.smooth("weather:flicker", hours / 1.5, station)
    dew = now.dew_point[:, None] + 0.25 * chance.smooth("weather:damp", hours / 3.0, station)
    dew = np.minimum(dew, temperature - 0.1)
    return Farms(
        temperature=temperature,
        dew_point=dew,
        humidity=np.clip(100.0 * vapour_pressure(dew) / vapour_pressure(temperature), 5.0, 100.0),
        wind=local_wind(moments, now)[:, None]
        * np.exp(0.22 * chance.smooth("weather:gust", hours * 2.0, station) - 0.25 * hollow),
        direction=(now.direction[:, None] + 12.0 * chance.smooth("weather:veer", hours, station)) % 360.0,
        pressure=now.pressure[:, None]
        - 0.12 * height
        + 0.2 * chance.smooth("weather:tide", hours / 6.0, station),
    )


def local_wind(moments: Moments, now: Sky) -> Floats:
    """The wind near the ground: fresher by day, falling in clear nights."""
    risen = np.clip(moments.elevation / 20.0, -0.4, 1.0)
    return np.asarray(now.wind * (0.85 + 0.3 * risen * (1.0 - 0.5 * now.cloud)))


def vapour_pressure(temperature: Floats) -> Floats:
    """Saturation vapour pressure over water in hPa (Magnus formula, WMO 2008)."""
    return np.asarray(6.112 * np.exp(17.62 * temperature / (243.12 + temperature)))


def _temperature(moments: Moments, height: Floats, hollow: Floats) -> Floats:
    day = np.floor(moments.sun_day)
    hour = ((moments.sun_day - day) * 24.0)[:, None]
    length = moments.day_length[:, None]
    rise, sets = 12.0 - length / 2, 12.0 + length / 2
    # Many instants lie in one day: work out each night and day once.
    days, place = np.unique(day, return_inverse=True)
    today, tomorrow, yesterday = (
        Night(*(ends[place] for ends in _extremes(days + shift, height, hollow))) for shift in (0, 1, -1)
    )

    def by_day(at: Floats, ends: Night) -> Floats:
        course = np.sin(np.pi * (at - rise) / (length + 2 * _NOON_LAG))
        return np.asarray(ends.lowest + (ends.highest - ends.lowest) * course)

    def by_night(since_sunset: Floats, before: Night, coming: Floats) -> Floats:
        """From the temperature at sunset to the night's lowest, reached at sunrise."""
        begun = by_day(sets, before)
        fallen = np.exp(-_NIGHT_DECAY)
        left = (np.exp(-_NIGHT_DECAY * since_sunset / (24.0 - length)) - fallen) / (1.0 - fallen)
        return np.asarray(coming + (begun - coming) * left)

    return np.asarray(
        np.where(
            hour < rise,
            by_night(hour + 24.0 - sets, yesterday, today.lowest),
            np.where(hour <= sets, by_day(hour, today), by_night(hour - sets, today, tomorrow.lowest)),
        )
    )


def _extremes(day: Floats, height: Floats, hollow: Floats) -> Night:
    """The lowest of the night in whose middle a day begins, and the highest of that day."""
    night, noon = sky(day), sky(day + 0.5)
    night_number = day.astype(np.int64)
    calm = np.exp(-night.wind / 6.0)
    dark = 24.0 - _day_length(day)
    # Clear and calm air loses most; a long night loses more, but a winter day gave it less to lose.
    fall = (2.0 + 13.5 * (1.0 - 0.85 * night.cloud) * (0.35 + 0.65 * calm)) * np.sqrt(dark / 12.0)
    fall *= 1.0 - 0.28 * (1.0 + winter(day)) / 2
    pooled = 2.6 * hollow * (1.0 - night.cloud)[:, None] * calm[:, None]
    lowest = (night.mean - 0.62 * fall)[:, None] + height - pooled
    floor = night.dew_point[:, None] - _DEW_MARGIN
    lowest = np.where(lowest < floor, floor + _DEW_SHARE * (lowest - floor), lowest)
    # What no station measures: thin high cloud, drainage, soil.
    lowest = lowest + 0.8 * chance.normal("weather:night", night_number)[:, None]
    lowest = lowest + 0.4 * chance.normal("weather:field", night_number[:, None], np.arange(len(height)))
    warming = (2.5 + 9.5 * (1.0 - 0.8 * noon.cloud)) * (1.0 - 0.6 * (1.0 + winter(day)) / 2)
    highest = np.maximum((noon.mean + 0.62 * warming)[:, None] + height, lowest + 0.5)
    return Night(lowest, highest)


def _day_length(sun_day: Floats) -> Floats:
    """Hours, from the season alone; within a few minutes of the sun's own."""
    declination = np.radians(23.44) * np.sin(2 * np.pi * (sun_day - 79.6) / 365.2425)
    cosine = np.clip(-np.tan(np.radians(LATITUDE)) * np.tan(declination), -1.0, 1.0)
    return np.asarray(np.degrees(np.arccos(cosine)) / 7.5)
