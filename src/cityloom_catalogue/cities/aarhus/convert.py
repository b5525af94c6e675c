"""Makes the data pack's tables of the original files. Pure: bytes in, rows and arrays out.

Every function raises BadInput naming the file and the row when an original is not as it was.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cityloom.sdk import BadInput
from cityloom_catalogue.cities.aarhus.layout import LOCAL, MISSING, START, STEP, STEPS

Row = dict[str, Any]
Steps = NDArray[np.int16]
Made = TypeVar("Made")

_LINK_FIELDS = (
    "REPORT_ID",
    "REPORT_NAME",
    "ROAD_TYPE",
    "DISTANCE_IN_METERS",
    "DURATION_IN_SEC",
    "NDT_IN_KMH",
    *(
        f"POINT_{end}_{field}"
        for end in (1, 2)
        for field in ("NAME", "LAT", "LNG", "STREET", "STREET_NUMBER", "POSTAL_CODE", "CITY")
    ),
    "ORGANISATION",
    "RBA_ID",
)
#: Columns of the events file, which has no header line.
_EVENT_FIELDS = {
    "title": 2,
    "room": 11,
    "starts_local": 12,
    "price": 4,
    "category": 16,
    "genre": 18,
    "url": 14,
    "latitude": 13,
    "longitude": 7,
}
_EVENT_WIDTH = 19
#: The events file gives the street alone; every row is the concert hall's.
_EVENT_PLACE = "Musikhuset Aarhus"


def traffic(raw: bytes, where: str) -> tuple[Steps, Steps]:
    """Vehicle counts and mean speeds (km/h) of one link, each of shape (STEPS,), MISSING where none.

    Where two records share a step, the later one in the file is kept.
    """
    counts = np.full(STEPS, MISSING, np.int16)
    speeds = np.full(STEPS, MISSING, np.int16)
    lines = iter(raw.decode("ascii", "replace").splitlines())
    if next(lines, "") != "TIMESTAMP,avgSpeed,vehicleCount,avgMeasuredTime":
        raise _wrong(where, 1, "another header was expected")
    first = START.replace(tzinfo=None)
    for number, line in enumerate(lines, start=2):
        if line[:7] not in ("2014-08", "2014-09"):
            continue
        try:
            instant, speed, count, _ = line.split(",")
            step = (datetime.fromisoformat(instant) - first) // STEP
            counts[step], speeds[step] = int(count), int(speed)
        except (ValueError, OverflowError) as error:
            raise _wrong(where, number, error) from None
    return counts, speeds


def links(raw: bytes, where: str) -> list[Row]:
    """The links in the order of REPORT_ID, coordinates as numbers with seven decimals."""

    def one(record: Mapping[str, Any]) -> Row:
        row = {field: record[field] for field in _LINK_FIELDS}
        for field in ("POINT_1_LAT", "POINT_1_LNG", "POINT_2_LAT", "POINT_2_LNG"):
            row[field] = round(float(row[field]), 7)
        return row

    try:
        records = json.loads(raw)["result"]["records"]
    except (ValueError, KeyError, TypeError) as error:
        raise _wrong(where, 1, error) from None
    made = _each(records, one, where, first=0)
    return sorted(made, key=lambda row: int(row["REPORT_ID"]))


def parking(raw: bytes, where: str) -> list[Row]:
    """Parking records ordered by true time and garage. The file tells Danish local time.

    In the night in which the clocks go back an hour comes twice; the record numbers tell which is which.
    """

    def one(record: Mapping[str, str]) -> Row:
        return {
            "garage": record["garagecode"],
            "number": int(record["_id"]),
            "local": datetime.fromisoformat(record["updatetime"][:19]),
            "vehicle_count": int(record["vehiclecount"]),
            "total_spaces": int(record["totalspaces"]),
        }

    records = sorted(_each(_table(raw, where), one, where), key=lambda row: (row["garage"], row["number"]))
    return sorted(_with_true_time(records), key=lambda row: (row["observed_utc"], row["garage"]))


def _with_true_time(records: list[Row]) -> Iterator[Row]:
    """Records of one garage after the other, each in the order in which they were made."""
    garage, latest = "", datetime.min  # noqa: DTZ901 - local time, compared with local time
    for record in records:
        local: datetime = record["local"]
        if record["garage"] != garage:
            garage, latest = record["garage"], local
        went_back = local < latest or (local == latest and _comes_twice(local))
        utc = local.replace(tzinfo=LOCAL, fold=int(went_back and _comes_twice(local))).astimezone(UTC)
        latest = max(latest, local)
        yield {
            "garage": garage,
            "observed_local": local.isoformat(),
            "observed_utc": utc.replace(tzinfo=None).isoformat() + "Z",
            "vehicle_count": record["vehicle_count"],
            "total_spaces": record["total_spaces"],
        }


def _comes_twice(local: datetime) -> bool:
    aware = local.replace(tzinfo=LOCAL)
    return aware.replace(fold=0).utcoffset() != aware.replace(fold=1).utcoffset()


def garages(addresses: bytes, records: list[Row], where: str) -> list[Row]:
    """The garages that have records, with their addresses and listed spaces."""
    spaces = {row["garage"]: row["total_spaces"] for row in records}

    def one(record: Mapping[str, str]) -> Row:
        return {
            "garage": record["garagecode"],
            "city": record["city"],
            "postal_code": record["postalcode"],
            "street": record["street"],
            "house_number": record["housenumber"],
            "latitude": float(record["latitude"]),
            "longitude": float(record["longitude"]),
            "total_spaces": spaces.get(record["garagecode"]),
        }

    return [row for row in _each(_table(addresses, where), one, where) if row["total_spaces"] is not None]


def weather(columns: Mapping[str, bytes]) -> list[Row]:
    """One row for each local time, from one original file for each column of the pack."""
    rows: dict[str, Row] = {}
    for column, raw in columns.items():
        for number, line in enumerate(raw.decode("ascii", "replace").splitlines()[1:], start=2):
            try:
                local, text = line.split(",")
                value = float(text) if text else None
                datetime.fromisoformat(local)
            except ValueError as error:
                raise _wrong(column, number, error) from None
            rows.setdefault(local, dict.fromkeys(columns))[column] = value
    return [{"observed_local": local, **rows[local]} for local in sorted(rows)]


def events(raw: bytes, where: str) -> list[Row]:
    """The events in the order of their start. Descriptions (HTML) are left out."""

    def one(record: list[str]) -> Row:
        if len(record) != _EVENT_WIDTH:
            raise ValueError(f"{_EVENT_WIDTH} columns were expected, not {len(record)}")
        row = {field: " ".join(record[index].split()) for field, index in _EVENT_FIELDS.items()}
        datetime.fromisoformat(row["starts_local"])
        row["genre"] = "" if row["genre"] == "null" else row["genre"]
        return {**row, "place": _EVENT_PLACE}

    lines = csv.reader(io.StringIO(raw.decode("utf-8", "replace")))
    return sorted(_each(lines, one, where, first=1), key=lambda row: (row["starts_local"], row["title"]))


def _table(raw: bytes, where: str) -> Iterator[dict[str, str]]:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _wrong(where, 1, error) from None
    return iter(csv.DictReader(io.StringIO(text)))


def _each(records: Any, make: Callable[[Any], Made], where: str, *, first: int = 2) -> list[Made]:
    made: list[Made] = []
    try:
        for record in records:
            made.append(make(record))  # noqa: PERF401 - how many were made tells the row at fault
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise _wrong(where, first + len(made), error) from None
    return made


def _wrong(where: str, row: int, reason: object) -> BadInput:
    return BadInput(
        f"An original file is not as it was: {reason}",
        hint="Use the file named in the city's README, of the version given there.",
        where=f"{where}: row {row}",
    )
