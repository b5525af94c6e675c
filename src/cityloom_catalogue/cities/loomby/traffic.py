"""Traffic on the counted roads, and cars in the car parks.

Demand follows two peaks on working days and one hump on free days, inward in the morning and outward in the
evening. Speed follows the form of the United States Bureau of Public Roads (1964), free flow divided by
1 + a (demand / capacity)^4, with a = 0.7 for streets with junctions. Now and then something blocks a road.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cityloom_catalogue.cities.loomby import chance, town, weather
from cityloom_catalogue.cities.loomby.moments import Moments

Floats = NDArray[np.float64]

#: Minutes over which vehicles are counted.
PERIOD = 5
_SLOWING = 0.7
_BLOCKED_DAYS = 0.012

_INWARD = np.array([section.inward for section in town.sections()], float)
_FREE_FLOW = np.array([section.free_flow for section in town.sections()])
_CAPACITY = np.array([section.capacity for section in town.sections()])
_NUMBER = np.arange(len(_CAPACITY))


def demand(moments: Moments) -> Floats:
    """Share of capacity that wants to pass: (instants, sections)."""
    hour = moments.hour[:, None]
    free_day = _free_day(moments)[:, None]
    morning = _hump(hour, 7.7, 0.75) * (1 + 0.35 * _INWARD)
    evening = _hump(hour, 16.2, 1.15) * (1 - 0.35 * _INWARD)
    working = 0.62 * morning + 0.60 * evening + 0.34 * _hump(hour, 12.4, 3.0) + 0.10 * _hump(hour, 20.0, 1.8)
    idle = 0.46 * _hump(hour, 13.6, 3.2) + 0.10 * _hump(hour, 19.5, 2.2)
    shape = 0.025 + np.where(free_day, idle, working)
    busy = 0.72 + 0.36 * chance.uniform("road:busy", _NUMBER)
    return np.asarray(shape * busy * _level(moments)[:, None] * _noise(moments))


def _free_day(moments: Moments) -> NDArray[np.bool_]:
    return np.asarray(moments.holiday | (moments.weekday >= 5))


def _level(moments: Moments) -> Floats:
    """How lively the day is as a whole."""
    friday, saturday = moments.weekday == 4, moments.weekday == 5
    level = np.where(friday, 1.05, np.where(moments.holiday, 0.78, np.where(saturday, 1.0, 1.0)))
    level = level * np.where(moments.vacation, 0.83, 1.0)
    wet = weather.rain(moments, weather.sky(moments.sun_day))
    return np.asarray(level * (1 + 0.03 * wet) * (1 - 0.02 * moments.winter))


def _noise(moments: Moments) -> Floats:
    hours = moments.millis[:, None] / 3_600_000
    day = moments.day[:, None]
    slow = 0.05 * chance.normal("road:day", day, _NUMBER)
    fast = 0.09 * chance.smooth("road:hour", hours, _NUMBER)
    town_wide = 0.04 * chance.smooth("road:town", moments.millis / 7_200_000)[:, None]
    return np.asarray(np.exp(slow + fast + town_wide))


def _hump(hour: Floats, middle: float, width: float) -> Floats:
    apart = (hour - middle + 12.0) % 24.0 - 12.0
    return np.asarray(np.exp(-0.5 * (apart / width) ** 2))


def roads(moments: Moments) -> dict[str, Floats]:
    """`intensity` (vehicles in PERIOD minutes) and `averageVehicleSpeed` (km/h, NaN when none passed)."""
    wanted = demand(moments)
    open_share = 1.0 - _blocked(moments)
    passing = np.minimum(wanted, 1.05 * open_share)
    count = chance.poisson(
        "road:count", passing * _CAPACITY * PERIOD / 60, moments.millis[:, None] // 60_000, _NUMBER
    )
    wet = weather.rain(moments, weather.sky(moments.sun_day))[:, None]
    speed = _FREE_FLOW * (1 - 0.05 * wet) / (1 + _SLOWING * (wanted / np.maximum(open_share, 0.3)) ** 4)
    speed = np.minimum(speed, _FREE_FLOW * (0.22 + 0.78 * open_share**2))
    spread = 4.0 / np.sqrt(np.maximum(count, 1.0))
    speed = speed + spread * chance.normal("road:speed", moments.millis[:, None] // 60_000, _NUMBER)
    speed = np.clip(speed, 4.0, 1.25 * _FREE_FLOW)
    return {"intensity": count, "averageVehicleSpeed": np.where(count > 0, np.round(speed, 1), np.nan)}


def _blocked(moments: Moments) -> Floats:
    """Share of each road that is closed: most of it for half an hour or more, on one day in eighty."""
    day = moments.day[:, None]
    happens = chance.uniform("block", day, _NUMBER) < _BLOCKED_DAYS
    begins = 6.5 + 12.5 * chance.uniform("block:begin", day, _NUMBER)
    lasts = 0.5 + 0.8 * chance.uniform("block:last", day, _NUMBER)
    share = 0.6 + 0.3 * chance.uniform("block:share", day, _NUMBER)
    hour = moments.hour[:, None]
    return np.asarray(np.where(happens & (hour >= begins) & (hour < begins + lasts), share, 0.0))


def car_parks(moments: Moments) -> dict[str, Floats]:
    """`occupiedSpotNumber` and `availableSpotNumber`: whole numbers, together all spaces."""
    plan = town.garages()
    spaces = np.array([size for _, _, size in plan], float)
    share = np.stack([_KINDS[kind](moments) for _, kind, _ in plan], axis=1)
    number = np.arange(len(plan))
    hours = moments.millis[:, None] / 3_600_000
    day = chance.normal("park:day", moments.day[:, None], number)
    share = share * np.exp(0.06 * day + 0.05 * chance.smooth("park:hour", hours / 1.5, number))
    share = share + 0.012 * chance.smooth("park:quarter", hours * 3, number)
    taken = np.rint(np.clip(share, 0.0, 1.0) * spaces)
    return {"occupiedSpotNumber": taken, "availableSpotNumber": spaces - taken}


def _stay(hour: Floats, come: float, come_width: float, leave: float, leave_width: float) -> Floats:
    """Share of those of the day that are there: they come and leave around two hours."""
    came = 1 / (1 + np.exp(-(hour - come) / come_width))
    left = 1 / (1 + np.exp(-(hour - leave) / leave_width))
    return np.asarray(came - left)


def _offices(moments: Moments) -> Floats:
    there = _stay(moments.hour, 7.9, 0.35, 16.3, 0.55)
    return np.asarray(0.05 + _workday(moments) * 0.86 * there)


def _trains(moments: Moments) -> Floats:
    return np.asarray(0.08 + _workday(moments) * 0.88 * _stay(moments.hour, 7.1, 0.3, 17.2, 0.8))


def _shops(moments: Moments) -> Floats:
    closes = np.where(moments.weekday == 5, 15.2, 17.6)
    lively = np.where(moments.holiday, 0.22, np.where(moments.weekday == 5, 0.95, 0.72))
    came = 1 / (1 + np.exp(-(moments.hour - 10.2) / 0.6))
    left = 1 / (1 + np.exp(-(moments.hour - closes) / 0.55))
    return np.asarray(0.06 + lively * (came - left) * (1 + 0.06 * moments.winter))


def _visits(moments: Moments) -> Floats:
    staff = _stay(moments.hour, 7.0, 0.3, 15.4, 0.4) * np.where(_free_day(moments), 0.3, 0.52)
    visitors = _stay(moments.hour, 13.5, 0.7, 19.0, 0.6) * 0.27
    return np.asarray(0.17 + staff + visitors)


def _evenings(moments: Moments) -> Floats:
    likely = np.where(np.isin(moments.weekday, (4, 5)), 0.6, 0.18)
    event = chance.uniform("arena", moments.day) < likely
    size = 0.55 + 0.4 * chance.uniform("arena:size", moments.day)
    return np.asarray(0.04 + event * size * _stay(moments.hour, 18.7, 0.25, 22.1, 0.2))


def _workday(moments: Moments) -> Floats:
    return np.asarray(np.where(_free_day(moments), 0.1, np.where(moments.vacation, 0.62, 1.0)))


_KINDS = {"offices": _offices, "trains": _trains, "shops": _shops, "visits": _visits, "evenings": _evenings}
