"""What the pack's tables say, as Entities' attributes with their true observedAt.

What was not measured is not said: a missing record stays missing, a speed that no vehicle was driving at is
left out, and so is a wind direction of a calm.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cityloom.sdk import ColumnBatch, Document, Instance, entity, from_millis, prop, to_millis
from cityloom_catalogue.cities.aarhus import layout
from cityloom_catalogue.cities.aarhus.pack import Garage, Link, Pack, Parked

#: A garage whose count exceeds its listed spaces more often than this: what is counted is not what is listed.
EXCEEDING_SHARE = 0.05

_STEP_MILLIS = int(layout.STEP.total_seconds() * 1000)
_START_MILLIS = to_millis(layout.START)
_KMH_IN_ONE_METRE_A_SECOND = 3.6


class Series(NamedTuple):
    """One attribute of one Entity over the whole of the pack's weeks."""

    attribute: str
    unit: str | None
    times: NDArray[np.int64]
    values: NDArray[np.float64]
    whole: bool


class Thing(NamedTuple):
    """An Entity that is measured, and its series."""

    entity_type: str
    entity_id: str
    series: tuple[Series, ...]


def link_id(link: Link) -> str:
    return f"urn:ngsi-ld:TrafficFlowObserved:aarhus:{link.report_id}"


def garage_id(garage: Garage) -> str:
    return f"urn:ngsi-ld:OffStreetParking:aarhus:{garage.code.lower()}"


WEATHER_ID = "urn:ngsi-ld:WeatherObserved:aarhus:station"


def traffic_series(pack: Pack, column: int) -> Thing:
    """Counts in five minutes, and speeds where a vehicle was counted."""
    counts, speeds = pack.counts[:, column], pack.speeds[:, column]
    counted = np.flatnonzero(counts >= 0)
    driven = np.flatnonzero((counts > 0) & (speeds >= 0))
    return Thing(
        "TrafficFlowObserved",
        link_id(pack.links[column]),
        (
            _at_steps("intensity", "C62", counted, counts),
            _at_steps("averageVehicleSpeed", "KMH", driven, speeds),
        ),
    )


def parking_series(pack: Pack, garage: Garage) -> Thing:
    """Vehicles inside, and free spaces where the listed spaces allow to tell."""
    times, counts = _in_weeks(pack.parked[garage.code])
    series = [Series("occupiedSpotNumber", "C62", times, counts.astype(np.float64), True)]
    if not exceeds(pack, garage):
        fits = counts <= garage.spaces
        free = (garage.spaces - counts[fits]).astype(np.float64)
        series.append(Series("availableSpotNumber", "C62", times[fits], free, True))
    return Thing("OffStreetParking", garage_id(garage), tuple(series))


def exceeds(pack: Pack, garage: Garage) -> bool:
    """Whether the garage's count exceeds its listed spaces so often that free spaces cannot be told."""
    _, counts = _in_weeks(pack.parked[garage.code])
    return bool(len(counts)) and float(np.mean(counts > garage.spaces)) > EXCEEDING_SHARE


def weather_series(pack: Pack) -> Thing:
    """The station's values in the units of the data model."""
    weather = pack.weather
    inside = (weather.times >= _START_MILLIS) & (weather.times < to_millis(layout.END))

    def one(attribute: str, unit: str, values: NDArray[np.float64], valid: NDArray[np.bool_]) -> Series:
        kept = inside & valid & np.isfinite(values)
        return Series(attribute, unit, weather.times[kept], values[kept], False)

    always = np.ones(len(weather.times), np.bool_)
    # Wind direction 0 stands for calm or variable wind in these reports; north is 360.
    directed = weather.wind_direction > 0
    wind = np.round(weather.wind_speed / _KMH_IN_ONE_METRE_A_SECOND, 2)
    return Thing(
        "WeatherObserved",
        WEATHER_ID,
        (
            one("temperature", "CEL", weather.temperature, always),
            one("relativeHumidity", "P1", weather.humidity, always),
            one("windSpeed", "MTS", wind, always),
            one("windDirection", "DD", weather.wind_direction, directed),
            one("atmosphericPressure", "A97", weather.pressure, always),
        ),
    )


def _at_steps(attribute: str, unit: str, steps: NDArray[np.intp], column: NDArray[np.int16]) -> Series:
    times = _START_MILLIS + steps.astype(np.int64) * _STEP_MILLIS
    return Series(attribute, unit, times, column[steps].astype(np.float64), True)


def _in_weeks(parked: Parked) -> Parked:
    kept = (parked.times >= _START_MILLIS) & (parked.times < to_millis(layout.END))
    return Parked(parked.times[kept], parked.counts[kept])


def things(pack: Pack) -> Iterator[Thing]:
    """Everything that is measured, one at a time: the traffic of one link takes 500 kB."""
    for column in range(len(pack.links)):
        yield traffic_series(pack, column)
    yield from slow_things(pack)


def slow_things(pack: Pack) -> Iterator[Thing]:
    """What is measured less often than every five minutes."""
    for garage in pack.garages:
        yield parking_series(pack, garage)
    yield weather_series(pack)


def columns(pack: Pack, until: datetime) -> Iterator[ColumnBatch]:
    """All series up to `until`, each without its last reading."""
    limit = to_millis(until)
    for thing in things(pack):
        for series in thing.series:
            end = max(int(np.searchsorted(series.times, limit)) - 1, 0)
            if end:
                yield ColumnBatch(
                    entity_id=thing.entity_id,
                    entity_type=thing.entity_type,
                    attribute=series.attribute,
                    unit=series.unit,
                    times=series.times[:end],
                    values=series.values[:end],
                    whole=series.whole,
                )


def last_readings(thing: Thing, until: datetime) -> dict[str, Instance]:
    """The newest reading of each series before `until`."""
    limit = to_millis(until)
    found = {}
    for series in thing.series:
        if index := int(np.searchsorted(series.times, limit)):
            found[series.attribute] = _instance(series, index - 1)
    return found


def observations(pack: Pack, since: datetime) -> Iterator[tuple[datetime, list[Document]]]:
    """Step by step from `since` on: what became known in the five minutes that end there."""
    first = max(-((layout.START - since) // layout.STEP), 0)
    slow = list(slow_things(pack))
    ids = [link_id(link) for link in pack.links]
    for step in range(first, layout.STEPS):
        instant = layout.START + step * layout.STEP
        documents = _traffic_at(pack, ids, step, instant)
        earliest = max(to_millis(since), to_millis(instant) - _STEP_MILLIS + 1)
        documents += _between(slow, earliest, to_millis(instant))
        if documents:
            yield instant, documents


def _traffic_at(pack: Pack, ids: list[str], step: int, instant: datetime) -> list[Document]:
    documents = []
    counts, speeds = pack.counts[step].tolist(), pack.speeds[step].tolist()
    for entity_id, count, speed in zip(ids, counts, speeds, strict=True):
        if count >= 0:
            attributes = {"intensity": prop(count, at=instant, unit="C62")}
            if count > 0 and speed >= 0:
                attributes["averageVehicleSpeed"] = prop(speed, at=instant, unit="KMH")
            documents.append(entity("TrafficFlowObserved", entity_id, attributes))
    return documents


def _between(slow: list[Thing], earliest: int, latest: int) -> Iterator[Document]:
    for thing in slow:
        attributes = {}
        for series in thing.series:
            index = int(np.searchsorted(series.times, latest, side="right")) - 1
            if index >= 0 and series.times[index] >= earliest:
                attributes[series.attribute] = _instance(series, index)
        if attributes:
            yield entity(thing.entity_type, thing.entity_id, attributes)


def _instance(series: Series, index: int) -> Instance:
    value = float(series.values[index])
    at = from_millis(int(series.times[index]))
    return prop(int(value) if series.whole else value, at=at, unit=series.unit)
