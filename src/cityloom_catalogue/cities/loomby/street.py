"""Street lights and bins.

Lights go on when the sun is low enough, are dimmed to half in the small hours, and break now and then until
somebody comes. Bins fill with what people throw away and are emptied on their days.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cityloom_catalogue.cities.loomby import chance, town
from cityloom_catalogue.cities.loomby.moments import Moments

Floats = NDArray[np.float64]

#: What the numbers of `powerState` and `status` stand for.
POWER_STATES = ("off", "low", "on")
STATUSES = ("ok", "defectiveLamp")

_LIGHTS = np.arange(len(town.lights()))
_FULL_POWER = 38.0 + 24.0 * np.round(chance.uniform("light:power", _LIGHTS))
#: A lamp breaks in one of so many days with this chance, and waits this long for its repair.
_BREAK_DAYS, _BREAK_CHANCE = 60, 0.10

_BINS = np.arange(len(town.bins()))
#: Share of a bin that fills in a day; around the market it is more.
_FILL_A_DAY = 0.07 + 0.13 * chance.uniform("bin:fill", _BINS) + 0.12 * (_BINS < 8)
#: Bins around the market are emptied on Monday, Wednesday and Friday, the others on Tuesday or Thursday.
_EMPTIED = tuple((0, 2, 4) if number < 8 else ((1,), (3,))[number % 2] for number in range(len(_BINS)))
_EMPTYING_HOUR = 7.5
_LEFT_OVER = 0.03


def lights(moments: Moments) -> dict[str, Floats]:
    """`powerState` and `status` as numbers of the tuples above, `powerConsumption` in watts."""
    threshold = -3.0 + 1.2 * (chance.uniform("light:sense", _LIGHTS) - 0.5)
    dark = moments.elevation[:, None] < threshold
    dimmed = ((moments.hour >= 23.5) | (moments.hour < 5.0))[:, None]
    broken = _broken(moments)
    state = np.where(dark, np.where(dimmed, 1.0, 2.0), 0.0)
    power = _FULL_POWER * np.where(dark, np.where(dimmed, 0.5, 1.0), 0.0)
    power = power * (1 + 0.015 * chance.normal("light:mains", moments.millis[:, None] // 60_000, _LIGHTS))
    return {
        "powerState": state,
        "status": broken.astype(np.float64),
        "powerConsumption": np.round(np.where(broken, 0.0, power), 1),
    }


def _broken(moments: Moments) -> NDArray[np.bool_]:
    period = (moments.day // _BREAK_DAYS)[:, None]
    day = (moments.day % _BREAK_DAYS + moments.hour / 24)[:, None]
    happens = chance.uniform("light:break", period, _LIGHTS) < _BREAK_CHANCE
    begins = chance.uniform("light:begin", period, _LIGHTS) * (_BREAK_DAYS - 14)
    lasts = 2.0 + 11.0 * chance.uniform("light:wait", period, _LIGHTS)
    return np.asarray(happens & (day >= begins) & (day < begins + lasts))


def bins(moments: Moments) -> dict[str, Floats]:
    """`fillingLevel`, 0 empty to 1 full."""
    level = np.full((len(moments.millis), len(_BINS)), _LEFT_OVER)
    for days in sorted(set(_EMPTIED)):
        these = np.array([emptied == days for emptied in _EMPTIED])
        level[:, these] += _thrown_since(moments, days, these)
    return {"fillingLevel": np.round(np.minimum(level, 1.0), 2)}


def _thrown_since(moments: Moments, days: tuple[int, ...], these: NDArray[np.bool_]) -> Floats:
    """What was thrown in since the last emptying: whole days before today, and today's share."""
    number = _BINS[these]
    since = np.array(
        [
            _days_since(int(weekday), hour, days)
            for weekday, hour in zip(moments.weekday, moments.hour, strict=True)
        ]
    )
    total = _by_now(moments.hour)[:, None] * _thrown(moments.day, moments.weekday, number)
    # The share of today that was before the emptying does not count on the day itself.
    total = total - np.where(since == 0, _by_now(np.array(_EMPTYING_HOUR)), 0.0)[:, None] * _thrown(
        moments.day, moments.weekday, number
    )
    for back in range(1, 8):
        earlier = _thrown(moments.day - back, (moments.weekday - back) % 7, number)
        first = np.where(since == back, 1.0 - _by_now(np.array(_EMPTYING_HOUR)), 1.0)[:, None]
        total = total + np.where((since >= back)[:, None], first * earlier, 0.0)
    return np.asarray(total)


def _days_since(weekday: int, hour: float, days: tuple[int, ...]) -> int:
    """Days since the last emptying, 0 when it was this morning."""
    past = [(weekday - day) % 7 for day in days]
    return min(7 if gone == 0 and hour < _EMPTYING_HOUR else gone for gone in past)


def _by_now(hour: Floats) -> Floats:
    """Share of a day's waste that has been thrown by an hour: little before seven, most by ten at night."""
    return np.asarray(np.clip((hour - 6.0) / 17.0, 0.0, 1.0) ** 1.2)


def _thrown(day: NDArray[np.int64], weekday: NDArray[np.int64], number: NDArray[np.int64]) -> Floats:
    """Share of a bin that one day fills: (instants, bins)."""
    lively = np.where(weekday >= 4, 1.35, 1.0)[:, None]
    spread = np.exp(0.25 * chance.normal("bin:day", day[:, None], number))
    return np.asarray(_FILL_A_DAY[number] * lively * spread)
