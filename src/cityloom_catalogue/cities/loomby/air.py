"""Air: a box over the town that traffic and chimneys fill, and that wind and sun empty.

Concentration = background + emission / (wind x mixing height). The mixing height is low in clear, calm
nights (inversion) and high under the sun. Nitric oxide takes ozone to become nitrogen dioxide, so that ozone
is lacking where traffic is near. Rain washes particles out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cityloom_catalogue.cities.loomby import chance, town, weather
from cityloom_catalogue.cities.loomby.moments import Moments
from cityloom_catalogue.cities.loomby.traffic import demand

Floats = NDArray[np.float64]

_TRAFFIC = np.array([place.traffic for place in town.air_places()])
_HEATING = np.array([place.heating for place in town.air_places()])
_NUMBER = np.arange(len(_TRAFFIC))
#: Under this daily mean people heat: the base of heating degree days.
_HEATING_BASE = 15.0
#: Metres by metres a second at which the emissions below give the concentrations below.
_USUAL_DILUTION = 4.0 * 500.0


def sensors(moments: Moments) -> dict[str, Floats]:
    """PM2.5, PM10, NO2 and O3 in micrograms a cubic metre: (instants, sensors)."""
    above = weather.sky(moments.sun_day)
    kept = _USUAL_DILUTION / _dilution(moments, above)
    exhaust = demand(moments).mean(axis=1) / 0.25 * kept
    smoke = _heating(moments, above) * kept
    wet = weather.rain(moments, above)
    fine = _fine(moments, exhaust, smoke, wet)
    coarse = _coarse(moments, exhaust, above.wind, wet)
    nitrogen, ozone = _gases(moments, exhaust, smoke, above)
    return {
        "pm25": _sensed("pm25", moments, fine),
        "pm10": _sensed("pm10", moments, fine + coarse),
        "no2": _sensed("no2", moments, nitrogen),
        "o3": _sensed("o3", moments, ozone),
    }


def _dilution(moments: Moments, above: weather.Sky) -> Floats:
    """Wind times mixing height, m2/s."""
    clear = 1.0 - above.cloud
    sun = np.clip(np.sin(np.radians(moments.elevation)), 0.0, 1.0)
    calm = np.exp(-above.wind / 3.0)
    dark = np.clip(-moments.elevation / 6.0, 0.0, 1.0)
    height = 320.0 + 1100.0 * sun * (0.4 + 0.6 * clear) + 25.0 * above.wind
    height = height * (1.0 - 0.75 * dark * clear * calm)
    return np.asarray(np.maximum(weather.local_wind(moments, above), 0.7) * np.maximum(height, 80.0))


def _heating(moments: Moments, above: weather.Sky) -> Floats:
    """1 on a mean winter evening."""
    need = np.maximum(_HEATING_BASE - above.mean, 0.0) / 14.0
    evening = np.exp(-0.5 * ((moments.hour - 20.0) / 2.6) ** 2)
    morning = np.exp(-0.5 * ((moments.hour - 7.0) / 1.3) ** 2)
    return np.asarray(need * (0.35 + 0.9 * evening + 0.4 * morning))


def _fine(moments: Moments, exhaust: Floats, smoke: Floats, wet: Floats) -> Floats:
    region = 6.0 * np.exp(0.45 * np.clip(chance.day_to_day("air:region", moments.sun_day, 0.7), -2.6, 2.6))
    local = 1.6 * exhaust[:, None] * _TRAFFIC + 4.5 * smoke[:, None] * _HEATING
    return np.asarray((region[:, None] + local) * (1.0 - 0.45 * wet[:, None]))


def _coarse(moments: Moments, exhaust: Floats, wind: Floats, wet: Floats) -> Floats:
    raised = 3.0 + 0.35 * np.maximum(wind - 5.0, 0.0) ** 1.5
    worn = 5.0 * exhaust[:, None] * _TRAFFIC * (1 + 0.3 * moments.winter[:, None])
    return np.asarray((raised[:, None] + worn) * (1.0 - 0.7 * wet[:, None]))


def _gases(moments: Moments, exhaust: Floats, smoke: Floats, above: weather.Sky) -> tuple[Floats, Floats]:
    """NO2 and O3. The sum of both stays about what the region brings, plus what exhausts emit as NO2."""
    oxides = 30.0 * exhaust[:, None] * _TRAFFIC + 5.0 * smoke[:, None] * _HEATING + 4.0
    sun = np.clip(np.sin(np.radians(moments.elevation)), 0.0, 1.0) * (1 - 0.6 * above.cloud)
    spring = np.cos(2 * np.pi * (moments.sun_day - 119.0) / 365.2425)
    region = 62.0 + 13.0 * spring + 28.0 * sun
    region = region * np.exp(0.12 * chance.day_to_day("air:ozone", moments.sun_day, 0.6))
    nitrogen = oxides / (1.0 + oxides / 130.0) * (0.75 - 0.2 * sun[:, None])
    return np.asarray(nitrogen), np.asarray(np.maximum(region[:, None] - 0.9 * nitrogen, 3.0))


def _sensed(name: str, moments: Moments, truth: Floats) -> Floats:
    """As a sensor of the cheaper kind reads it: a little wrong for an hour at a time."""
    error = chance.smooth("air:" + name, moments.millis[:, None] / 3_600_000, _NUMBER)
    return np.asarray(np.round(np.maximum(truth * (1 + 0.06 * error), 0.3), 1))
