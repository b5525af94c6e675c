"""What the town's sensors send: each kind with its Entities, its attributes and how often it reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cityloom.sdk import ColumnBatch, Document, Instance, entity, from_millis, prop, to_millis
from cityloom_catalogue.cities.loomby import air, street, town, traffic, weather
from cityloom_catalogue.cities.loomby.moments import Moments, moments

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

STEP = timedelta(minutes=5)
#: Long enough to learn habits from.
RECENT = timedelta(weeks=7)
_MINUTE = 60_000
_HOUR = 60 * _MINUTE
_STEP_MILLIS = int(STEP.total_seconds()) * 1000
#: Readings are worked out a quarter of a day at a time when they are played, a week when they are loaded.
_PLAYED, _LOADED = 6 * _HOUR, 7 * 24 * _HOUR


class Field(NamedTuple):
    """One attribute. With `words` the numbers of the model are indices into them."""

    attribute: str
    unit: str | None = None
    whole: bool = False
    words: tuple[str, ...] = ()


class Feed(NamedTuple):
    """One kind of sensor."""

    entity_type: str
    ids: tuple[str, ...]
    every_minutes: int
    fields: tuple[Field, ...]
    #: Arrays of shape (instants, ids) by attribute; NaN where nothing is measured.
    read: Callable[[Moments], dict[str, Floats]]
    #: Report at full hours, and in between only when a field with words has changed.
    on_change: bool = False
    #: How much of a past is loaded. What is older than `RECENT` is loaded hourly.
    past: timedelta = RECENT


def entity_id(entity_type: str, key: str) -> str:
    return f"urn:ngsi-ld:{entity_type}:loomby:{key}"


def _ids(entity_type: str, keys: Iterator[str]) -> tuple[str, ...]:
    return tuple(entity_id(entity_type, key) for key in keys)


_HEIGHTS = np.array([0.4 - 0.8 * (i % 5) / 4 for i in range(12)])
_HOLLOWS = np.array([(i * 5 % 12) / 11 for i in range(12)])


def _farms(at: Moments) -> dict[str, Floats]:
    seen = weather.farms(at, _HEIGHTS, _HOLLOWS)
    return {
        "temperature": np.round(seen.temperature, 1),
        "dewPoint": np.round(seen.dew_point, 1),
        "relativeHumidity": np.round(seen.humidity, 0),
        "windSpeed": np.round(seen.wind, 1),
        "windDirection": np.round(seen.direction, 0) % 360,
        "atmosphericPressure": np.round(seen.pressure, 1),
    }


FEEDS = (
    Feed(
        "TrafficFlowObserved",
        _ids("TrafficFlowObserved", (section.key for section in town.sections())),
        traffic.PERIOD,
        (Field("intensity", "C62", whole=True), Field("averageVehicleSpeed", "KMH")),
        traffic.roads,
    ),
    Feed(
        "WeatherObserved",
        _ids("WeatherObserved", (farm.key for farm in town.farms())),
        15,
        (
            Field("temperature", "CEL"),
            Field("dewPoint", "CEL"),
            Field("relativeHumidity", "P1"),
            Field("windSpeed", "MTS"),
            Field("windDirection", "DD"),
            Field("atmosphericPressure", "A97"),
        ),
        _farms,
        # Frost is learned from more than a year of nights.
        past=timedelta(days=420),
    ),
    Feed(
        "OffStreetParking",
        _ids("OffStreetParking", (spot.key for spot, _, _ in town.garages())),
        15,
        (Field("occupiedSpotNumber", "C62", whole=True), Field("availableSpotNumber", "C62", whole=True)),
        traffic.car_parks,
    ),
    Feed(
        "AirQualityObserved",
        _ids("AirQualityObserved", (place.spot.key for place in town.air_places())),
        60,
        tuple(Field(name, "GQ") for name in ("pm25", "pm10", "no2", "o3")),
        air.sensors,
        # Air is judged by its mean of a year.
        past=timedelta(days=420),
    ),
    Feed(
        "Streetlight",
        _ids("Streetlight", (light.key for light in town.lights())),
        5,
        (
            Field("powerState", words=street.POWER_STATES),
            Field("status", words=street.STATUSES),
            Field("powerConsumption", "WTT"),
        ),
        street.lights,
        on_change=True,
    ),
    Feed(
        "WasteContainer",
        _ids("WasteContainer", (spot.key for spot in town.bins())),
        60,
        (Field("fillingLevel", "C62"),),
        street.bins,
    ),
)


class Table(NamedTuple):
    """Readings of one feed: NaN where nothing is sent. `values[k]` belongs to `feed.fields[k]`."""

    times: Integers
    #: Each of shape (times, ids).
    values: tuple[Floats, ...]


def table(feed: Feed, since: int, until: int) -> Table:
    """What a feed sends at since <= time < until, in milliseconds."""
    every = feed.every_minutes * _MINUTE
    first = -(-since // every) * every
    times = np.arange(first, until, every, dtype=np.int64)
    if not len(times):
        return Table(times, tuple(np.empty((0, len(feed.ids))) for _ in feed.fields))
    before = int(feed.on_change)
    read = feed.read(moments(np.concatenate([times[:1] - every] * before + [times])))
    values = tuple(read[field.attribute] for field in feed.fields)
    if feed.on_change:
        sent = _sent(feed, times, values)
        values = tuple(np.where(sent, column[1:], np.nan) for column in values)
    return Table(times, values)


def _sent(feed: Feed, times: Integers, values: tuple[Floats, ...]) -> NDArray[np.bool_]:
    """Which rows are sent; `values` have one row more, the one before the first."""
    sent = np.broadcast_to((times % _HOUR == 0)[:, None], values[0][1:].shape)
    for field, column in zip(feed.fields, values, strict=True):
        if field.words:
            sent = sent | (column[1:] != column[:-1])
    return sent


def observations(since: datetime, until: datetime) -> Iterator[tuple[datetime, list[Document]]]:
    """Step by step from `since` to before `until`: what is sent at that instant."""
    begin = -(-to_millis(since) // _STEP_MILLIS) * _STEP_MILLIS
    end = to_millis(until)
    while begin < end:
        stop = min((begin // _PLAYED + 1) * _PLAYED, end)
        tables = [(feed, table(feed, begin, stop)) for feed in FEEDS]
        for millis in range(begin, stop, _STEP_MILLIS):
            documents = [document for feed, part in tables for document in _documents(feed, part, millis)]
            yield from_millis(millis), documents
        begin = stop


def _documents(feed: Feed, part: Table, millis: int) -> Iterator[Document]:
    row = int(np.searchsorted(part.times, millis))
    if row == len(part.times) or part.times[row] != millis:
        return
    at = from_millis(millis)
    columns = [column[row].tolist() for column in part.values]
    for index, identifier in enumerate(feed.ids):
        attributes = {
            field.attribute: _instance(field, column[index], at)
            for field, column in zip(feed.fields, columns, strict=True)
            if column[index] == column[index]
        }
        if attributes:
            yield entity(feed.entity_type, identifier, attributes)


def _instance(field: Field, value: float, at: datetime) -> Instance:
    if field.words:
        return prop(field.words[int(value)], at=at)
    return prop(int(value) if field.whole else value, at=at, unit=field.unit)


def columns(since: datetime, until: datetime) -> Iterator[ColumnBatch]:
    """The numbers of all feeds, without the last reading of each series before `until`.

    A feed begins at `since`, or later when it has less of a past; its older past is hourly.
    """
    end = to_millis(until)
    for feed in FEEDS:
        begin = to_millis(max(since, until - feed.past))
        last = _last_times(feed, end)
        whole = _whole_table(feed, begin, end)
        for field, values, ends in zip(feed.fields, whole.values, last, strict=True):
            if not field.words:
                yield from _columns_of(feed, field, Table(whole.times, (values,)), ends)


def _whole_table(feed: Feed, begin: int, end: int) -> Table:
    """As `table`, worked out in pieces so that no more than the numbers themselves is held."""
    recent = max(begin, end - int(RECENT.total_seconds()) * 1000)
    hourly = feed._replace(every_minutes=max(feed.every_minutes, 60))
    parts = [*_pieces(hourly, begin, recent), *_pieces(feed, recent, end)]
    return Table(
        np.concatenate([part.times for part in parts]),
        tuple(np.concatenate([part.values[k] for part in parts]) for k in range(len(feed.fields))),
    )


def _pieces(feed: Feed, begin: int, end: int) -> Iterator[Table]:
    for start in range(begin, end, _LOADED):
        yield table(feed, start, min(start + _LOADED, end))


def _columns_of(feed: Feed, field: Field, part: Table, ends: Integers) -> Iterator[ColumnBatch]:
    (values,) = part.values
    for index, identifier in enumerate(feed.ids):
        kept = np.isfinite(values[:, index]) & (part.times < ends[index])
        if kept.any():
            yield ColumnBatch(
                entity_id=identifier,
                entity_type=feed.entity_type,
                attribute=field.attribute,
                unit=field.unit,
                times=part.times[kept],
                values=values[kept, index],
                whole=field.whole,
            )


def last_readings(until: datetime) -> dict[str, dict[str, Instance]]:
    """The newest reading of every attribute before an instant, by Entity."""
    found: dict[str, dict[str, Instance]] = {}
    end = to_millis(until)
    for feed in FEEDS:
        part, last = table(feed, end - _LOOK_BACK, end), _last_times(feed, end)
        for field, values, ends in zip(feed.fields, part.values, last, strict=True):
            for index, identifier in enumerate(feed.ids):
                if ends[index] >= 0:
                    row = int(np.searchsorted(part.times, ends[index]))
                    reading = _instance(field, float(values[row, index]), from_millis(int(ends[index])))
                    found.setdefault(identifier, {})[field.attribute] = reading
    return found


#: Within so long every attribute has been sent; a street without a car for longer has no speed to begin with.
_LOOK_BACK = 3 * _HOUR


def _last_times(feed: Feed, end: int) -> list[Integers]:
    """For each field, when each Entity sent it last before `end`; -1 when it did not."""
    part = table(feed, end - _LOOK_BACK, end)
    return [
        np.where(np.isfinite(values), part.times[:, None], -1).max(axis=0, initial=-1)
        for values in part.values
    ]
