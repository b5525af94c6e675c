"""The data pack of Aarhus: finding it, and reading it into memory (about 35 MB)."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from cityloom.sdk import BadInput, NotReady, Progress, parse_instant, to_millis
from cityloom_catalogue.cities.aarhus import layout
from cityloom_catalogue.cities.aarhus.fetch import build_pack

Row = TypeVar("Row")


class Link(msgspec.Struct, frozen=True, rename="upper"):
    """One directed road link between two measuring points, as its operator lists it."""

    report_id: int
    report_name: str
    distance_in_meters: float
    ndt_in_kmh: float
    road_type: str
    organisation: str
    point_1_name: str
    point_1_lat: float
    point_1_lng: float
    point_1_street: str | None
    point_1_city: str | None
    point_2_name: str
    point_2_lat: float
    point_2_lng: float
    point_2_street: str | None
    point_2_city: str | None


class Garage(NamedTuple):
    """One car park."""

    code: str
    street: str
    postal_code: str
    city: str
    longitude: float
    latitude: float
    spaces: int


class Parked(NamedTuple):
    """A garage's records in the order of time."""

    #: int64, milliseconds since 1970.
    times: NDArray[np.int64]
    #: int64, vehicles inside.
    counts: NDArray[np.int64]


class Weather(NamedTuple):
    """The station's reports in the order of time; NaN where a value is missing."""

    times: NDArray[np.int64]
    temperature: NDArray[np.float64]
    humidity: NDArray[np.float64]
    wind_speed: NDArray[np.float64]
    wind_direction: NDArray[np.float64]
    pressure: NDArray[np.float64]


class Happening(NamedTuple):
    """One event of the concert hall."""

    title: str
    place: str
    room: str
    starts: datetime
    price: str
    category: str
    url: str
    longitude: float
    latitude: float


class Pack(msgspec.Struct, frozen=True):
    """All of it. Traffic is of shape (layout.STEPS, len(links)), int16, layout.MISSING where no record."""

    links: list[Link]
    counts: NDArray[np.int16]
    speeds: NDArray[np.int16]
    garages: list[Garage]
    parked: dict[str, Parked]
    weather: Weather
    events: list[Happening]


def find_pack(folder: Path | None, progress: Progress) -> Path:
    """The folder that holds the pack: the one given, the user's cache, CITYLOOM_DATA, else fetched now.

    Raises BadInput when the given folder lacks it, NotReady when it can be had nowhere.
    """
    if folder is not None:
        for place in (folder, folder / "aarhus"):
            if is_whole(place):
                return place
        raise BadInput(
            f"The folder lacks {' and '.join(_lacking(folder))}",
            hint="Name a folder with the whole data pack of Aarhus, or leave the folder out to fetch it.",
            where=str(folder),
        )
    cache = cache_folder()
    shared = os.environ.get("CITYLOOM_DATA")
    places = [cache, Path(shared) / "aarhus"] if shared else [cache]
    for place in places:
        if is_whole(place):
            return place
    _fetch_into(cache, progress)
    return cache


def is_whole(folder: Path) -> bool:
    """Every file of the pack is there."""
    return not _lacking(folder)


def cache_folder() -> Path:
    """Where a fetched pack is kept: in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "cityloom" / "aarhus"


def _lacking(folder: Path) -> list[str]:
    return [name for name in layout.FILES if not (folder / name).is_file()]


def _fetch_into(cache: Path, progress: Progress) -> None:
    try:
        build_pack(cache, progress)
    except NotReady as error:
        raise NotReady(
            f"The data pack of Aarhus is not on this machine and could not be fetched. {error.message}",
            hint=f"Put its files into {cache}, or name their folder with --data or CITYLOOM_DATA "
            f"(a folder that has aarhus/). {error.hint}",
            where=error.where,
        ) from error


def read_pack(folder: Path) -> Pack:
    """Read and check the pack. Raises BadInput naming the file and the row at fault."""
    links = _read_links(folder / layout.LINKS)
    counts, speeds = _read_traffic(folder / layout.TRAFFIC, [link.report_id for link in links])
    garages = _read_rows(folder / layout.GARAGES, _garage)
    return Pack(
        links=links,
        counts=counts,
        speeds=speeds,
        garages=garages,
        parked=_read_parking(folder / layout.PARKING, garages),
        weather=_read_weather(folder / layout.WEATHER),
        events=_read_rows(folder / layout.EVENTS, _happening),
    )


def _read_links(path: Path) -> list[Link]:
    try:
        links = msgspec.convert(json.loads(path.read_bytes()), list[Link])
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from None
    for link in links:
        for longitude, latitude in (
            (link.point_1_lng, link.point_1_lat),
            (link.point_2_lng, link.point_2_lat),
        ):
            if not (9.5 < longitude < 11 and 55.5 < latitude < 57):
                raise _damaged(
                    path, f"link {link.report_id} lies far from Aarhus; are its coordinates swapped?"
                )
    return links


def _read_traffic(path: Path, link_ids: list[int]) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    try:
        with np.load(path, allow_pickle=False) as pack:
            listed = pack["link_ids"].tolist()
            counts, speeds = pack["vehicle_count"], pack["average_speed_kmh"]
            start, step = str(pack["start_utc"]), int(pack["step_minutes"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise _damaged(path, error) from None
    if listed != link_ids:
        raise _damaged(path, f"its links are not those of {layout.LINKS}")
    if (start, step) != (layout.START.strftime("%Y-%m-%dT%H:%M"), layout.STEP.seconds // 60):
        raise _damaged(path, f"it begins at {start} with steps of {step} minutes")
    if not counts.shape == speeds.shape == (layout.STEPS, len(link_ids)):
        raise _damaged(path, f"its tables are of shape {counts.shape} and {speeds.shape}")
    return counts.astype(np.int16, copy=False), speeds.astype(np.int16, copy=False)


def _read_parking(path: Path, garages: list[Garage]) -> dict[str, Parked]:
    rows = sorted(_read_rows(path, _parking_row))
    known = {garage.code for garage in garages}
    if strange := {code for code, _, _ in rows} - known:
        raise _damaged(path, f"it tells of garages that {layout.GARAGES} does not list: {sorted(strange)}")
    return {code: _parked([row for row in rows if row[0] == code]) for code in known}


def _parked(rows: list[tuple[str, int, int]]) -> Parked:
    table = np.array([(time, count) for _, time, count in rows], np.int64).reshape(-1, 2)
    return Parked(table[:, 0].copy(), table[:, 1].copy())


def _parking_row(row: dict[str, str]) -> tuple[str, int, int]:
    instant = parse_instant(row["observed_utc"], where="observed_utc")
    return row["garage"], to_millis(instant), int(row["vehicle_count"])


def _read_weather(path: Path) -> Weather:
    table = np.array(sorted(_read_rows(path, _weather_row)), np.float64).reshape(-1, 6)
    times, *columns = table.T
    return Weather(times.astype(np.int64), *(column.copy() for column in columns))


def _weather_row(row: dict[str, str]) -> tuple[float, ...]:
    _, *columns = layout.WEATHER_COLUMNS
    values = (float(row[column]) if row[column] else np.nan for column in columns)
    return (float(to_millis(_local(row["observed_local"]))), *values)


def _garage(row: dict[str, str]) -> Garage:
    return Garage(
        code=row["garage"],
        street=f"{row['street']} {row['house_number']}".strip(),
        postal_code=row["postal_code"],
        city=row["city"],
        longitude=float(row["longitude"]),
        latitude=float(row["latitude"]),
        spaces=int(row["total_spaces"]),
    )


def _happening(row: dict[str, str]) -> Happening:
    return Happening(
        title=row["title"],
        place=row["place"],
        room=row["room"],
        starts=_local(row["starts_local"]),
        price=row["price"],
        category=row["category"],
        url=row["url"],
        longitude=float(row["longitude"]),
        latitude=float(row["latitude"]),
    )


def _local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=layout.LOCAL)


def _read_rows(path: Path, make: Callable[[dict[str, Any]], Row]) -> list[Row]:
    made: list[Row] = []
    try:
        for row in _rows(path):
            made.append(make(row))  # noqa: PERF401 - the number of the row at fault is wanted
    except (OSError, EOFError, ValueError, KeyError, TypeError, csv.Error, BadInput) as error:
        raise _damaged(path, error, row=len(made) + 2) from None
    return made


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return csv.DictReader(io.StringIO(raw.decode("utf-8")))


def _damaged(path: Path, reason: object, row: int | None = None) -> BadInput:
    return BadInput(
        f"The data pack of Aarhus is damaged: {reason}",
        hint="Remove the file and let the pack be fetched again, or copy it once more.",
        where=f"{path}: row {row}" if row else str(path),
    )
