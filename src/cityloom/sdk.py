"""All that a plugin may import."""

from __future__ import annotations

# Estimates: pure functions on arrays.
from cityloom.analytics import intervals, night_minimum, panel_forecast, sudden_drop

# Words that every plugin may need.
from cityloom.kernel.change import Because
from cityloom.kernel.errors import BadInput, CityError, NotReady
from cityloom.kernel.time import format_instant, from_millis, parse_instant, to_millis
from cityloom.ngsild.model import Document, Instance, entity, geo, json_value, point, prop, rel, text

# Demo cities.
from cityloom.sensing.demo_city import CitySource, ColumnBatch, DemoCity, Progress

# City services.
from cityloom.services.facts import (
    AlertCleared,
    AlertRaised,
    CommandWished,
    EntityWritten,
    Estimate,
    Fact,
    estimates,
    forecast_dataset,
)
from cityloom.services.world import Matrix, Reading, World

__all__ = [
    "AlertCleared",
    "AlertRaised",
    "BadInput",
    "Because",
    "CityError",
    "CitySource",
    "ColumnBatch",
    "CommandWished",
    "DemoCity",
    "Document",
    "EntityWritten",
    "Estimate",
    "Fact",
    "Instance",
    "Matrix",
    "NotReady",
    "Progress",
    "Reading",
    "World",
    "entity",
    "estimates",
    "forecast_dataset",
    "format_instant",
    "from_millis",
    "geo",
    "intervals",
    "json_value",
    "night_minimum",
    "panel_forecast",
    "parse_instant",
    "point",
    "prop",
    "rel",
    "sudden_drop",
    "text",
    "to_millis",
]
