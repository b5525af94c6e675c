"""Instants as the models need them: the sun, the town's clock, and what kind of day it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from cityloom.sdk import from_millis

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: Fictional: the town is on no map, and these are the fields in which it was imagined.
LONGITUDE, LATITUDE = 8.95, 56.05
ZONE = ZoneInfo("Europe/Copenhagen")

_MILLIS_A_DAY = 86_400_000
_JANUARY_2000 = 10957.0


class Moments(NamedTuple):
    """Columns of equal length, one row an instant."""

    millis: Integers
    #: Days since 1970 by the sun: whole numbers are the middle of the night.
    sun_day: Floats
    #: Degrees above the horizon, without refraction.
    elevation: Floats
    #: Length of the day, hours.
    day_length: Floats
    #: Cosine of the season: 1 on 24 January, the coldest, -1 in July.
    winter: Floats
    #: Hour of the town's clock with its fraction, and days since 1970 by that clock.
    hour: Floats
    day: Integers
    #: 0 is Monday.
    weekday: Integers
    #: Sundays, public holidays, and 24 and 31 December.
    holiday: NDArray[np.bool_]
    #: Weeks without school.
    vacation: NDArray[np.bool_]


def moments(millis: Sequence[int] | Integers) -> Moments:
    """What the models need to know of instants, in milliseconds since 1970."""
    instants = np.asarray(millis, np.int64)
    local = [from_millis(int(value)).astimezone(ZONE) for value in instants]
    days = [moment.date() for moment in local]
    elevation, day_length = _sun(instants)
    sun_day = instants / _MILLIS_A_DAY + LONGITUDE / 360.0
    return Moments(
        millis=instants,
        sun_day=sun_day,
        elevation=elevation,
        day_length=day_length,
        winter=winter(sun_day),
        hour=np.array([_hour(moment) for moment in local]),
        day=np.array([(day - date(1970, 1, 1)).days for day in days], np.int64),
        weekday=np.array([day.weekday() for day in days], np.int64),
        holiday=np.array([is_holiday(day) for day in days], np.bool_),
        vacation=np.array([is_vacation(day) for day in days], np.bool_),
    )


def winter(sun_day: Floats) -> Floats:
    """1 on 24 January, -1 half a year later."""
    return np.asarray(np.cos(2 * np.pi * (sun_day - 23.0) / 365.2425))


def _hour(moment: datetime) -> float:
    return moment.hour + moment.minute / 60 + moment.second / 3600


def _sun(millis: Integers) -> tuple[Floats, Floats]:
    """Elevation in degrees and the day's length in hours.

    Low-precision formulas of the Astronomical Almanac: within 0.02 degrees from 1950 to 2050.
    """
    days = millis / _MILLIS_A_DAY - _JANUARY_2000 - 0.5
    anomaly = np.radians(357.528 + 0.9856003 * days)
    mean_longitude = 280.460 + 0.9856474 * days
    longitude = np.radians(mean_longitude + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly))
    obliquity = np.radians(23.439 - 0.0000004 * days)
    declination = np.arcsin(np.sin(obliquity) * np.sin(longitude))
    ascension = np.degrees(np.arctan2(np.cos(obliquity) * np.sin(longitude), np.cos(longitude)))
    equation = (mean_longitude - ascension + 180.0) % 360.0 - 180.0
    turned = (millis % _MILLIS_A_DAY) / _MILLIS_A_DAY * 360.0 + LONGITUDE + equation - 180.0
    latitude = np.radians(LATITUDE)
    height = np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(
        np.radians(turned)
    )
    noon_to_set = np.degrees(np.arccos(np.clip(-np.tan(latitude) * np.tan(declination), -1.0, 1.0)))
    return np.degrees(np.arcsin(height)), noon_to_set / 7.5


def easter(year: int) -> date:
    """Easter Sunday (Meeus, Jones and Butcher's algorithm)."""
    golden, (century, rest) = year % 19, divmod(year, 100)
    quarter, left = divmod(century, 4)
    moon = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - quarter - moon + 15) % 30
    leap, day = divmod(rest, 4)
    weekday = (32 + 2 * left + 2 * leap - epact - day) % 7
    correction = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * correction + 114, 31)
    return date(year, month, day + 1)


def is_holiday(day: date) -> bool:
    """Sundays, the public holidays of Denmark, and 24 and 31 December."""
    if day.weekday() == 6 or (day.month, day.day) in ((1, 1), (12, 24), (12, 25), (12, 26), (12, 31)):
        return True
    return (day - easter(day.year)).days in (-3, -2, 1, 39, 50)


def is_vacation(day: date) -> bool:
    """Summer, autumn, Christmas, winter and Easter vacations, as schools of Denmark mostly have them."""
    week = day.isocalendar().week
    if week in (7, 42) or date(day.year, 6, 27) <= day <= date(day.year, 8, 9):
        return True
    if (day.month, day.day) >= (12, 22) or (day.month, day.day) <= (1, 2):
        return True
    return timedelta(-8) <= day - easter(day.year) <= timedelta(1)
