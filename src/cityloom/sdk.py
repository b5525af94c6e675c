"""All that a plugin may import."""

from __future__ import annotations

# Estimates: pure functions on arrays.
from cityloom.analytics import intervals, night_minimum, panel_forecast, sudden_drop

# Words that every plugin may need.
from cityloom.kernel.change import Because
from cityloom.kernel.errors import BadConfig, BadInput, CityError, NotAllowed, NotReady
from cityloom.kernel.time import format_instant, from_millis, parse_instant, to_millis
from cityloom.ngsild.model import Document, Instance, entity, geo, json_value, point, prop, rel, text

# Connectors.
from cityloom.sensing.contract import Connector, Inlet, Settings

# Demo cities.
from cityloom.sensing.demo_city import SIMULATED_ACCOUNT, CitySource, ColumnBatch, DemoCity, Progress
from cityloom.sensing.fields import FieldMap, parse_json, read_field_map, readings_of
from cityloom.sensing.mapping import TopicMappings, WebhookMappings
from cityloom.sensing.model import Device, Measure, Message, Profile
from cityloom.sensing.table import TableMapping, TablePlayer

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
    "SIMULATED_ACCOUNT",
    "AlertCleared",
    "AlertRaised",
    "BadConfig",
    "BadInput",
    "Because",
    "CityError",
    "CitySource",
    "ColumnBatch",
    "CommandWished",
    "Connector",
    "DemoCity",
    "Device",
    "Document",
    "EntityWritten",
    "Estimate",
    "Fact",
    "FieldMap",
    "Inlet",
    "Instance",
    "Matrix",
    "Measure",
    "Message",
    "NotAllowed",
    "NotReady",
    "Profile",
    "Progress",
    "Reading",
    "Settings",
    "TableMapping",
    "TablePlayer",
    "TopicMappings",
    "WebhookMappings",
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
    "parse_json",
    "point",
    "prop",
    "read_field_map",
    "readings_of",
    "rel",
    "sudden_drop",
    "text",
    "to_millis",
]
