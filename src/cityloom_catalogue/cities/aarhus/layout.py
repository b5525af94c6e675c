"""The data pack's files, and the weeks they hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

TRAFFIC = "traffic_2014-08_09.npz"
LINKS = "traffic_links.json"
PARKING = "parking_2014-05_11.csv.gz"
GARAGES = "garages.csv"
WEATHER = "weather_2014-08_09.csv.gz"
EVENTS = "events_2014.csv"
FILES = (LINKS, GARAGES, EVENTS, PARKING, WEATHER, TRAFFIC)

#: The first and the last step of traffic: August and September 2014, every five minutes, UTC.
START = datetime(2014, 8, 1, tzinfo=UTC)
END = datetime(2014, 10, 1, tzinfo=UTC)
STEP = timedelta(minutes=5)
STEPS = (END - START) // STEP

#: Parking, weather and events are told by the clocks of Aarhus.
LOCAL = ZoneInfo("Europe/Copenhagen")

#: What a count or a speed is where there was no record.
MISSING = -1

PARKING_COLUMNS = ("garage", "observed_local", "observed_utc", "vehicle_count", "total_spaces")
GARAGE_COLUMNS = (
    "garage",
    "city",
    "postal_code",
    "street",
    "house_number",
    "latitude",
    "longitude",
    "total_spaces",
)
WEATHER_COLUMNS = (
    "observed_local",
    "temperature_c",
    "relative_humidity_pct",
    "wind_speed_kmh",
    "wind_direction_deg",
    "pressure_hpa",
)
EVENT_COLUMNS = (
    "title",
    "place",
    "room",
    "starts_local",
    "price",
    "category",
    "genre",
    "url",
    "latitude",
    "longitude",
)
