"""What a city pays in: as `city.toml` says, else as its country does."""

from __future__ import annotations

from babel.core import get_global
from babel.numbers import get_territory_currencies

from cityloom.app.configuration import Configuration
from cityloom.planning.money import CURRENCIES


def currency_of(configuration: Configuration) -> str:
    """The currency that forms begin with, by ISO 4217; "" where nothing tells it."""
    return configuration.currency or _of_zone(configuration.time_zone)


def _of_zone(time_zone: str) -> str:
    """The currency of the country in which a time zone lies; "" for one of none, such as UTC."""
    known = get_global("zone_aliases").get(time_zone, time_zone)
    country = get_global("zone_territories").get(known)
    paid = get_territory_currencies(country) if country else []
    return next((one for one in paid if one in CURRENCIES), "")
