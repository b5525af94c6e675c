"""All that a plugin may import."""

from __future__ import annotations

# Words that every plugin may need.
from cityloom.kernel.change import Because
from cityloom.kernel.errors import BadInput, CityError, NotReady
from cityloom.ngsild.model import Document, entity, geo, json_value, point, prop, rel, text

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
    "CommandWished",
    "Document",
    "EntityWritten",
    "Estimate",
    "Fact",
    "Matrix",
    "NotReady",
    "Reading",
    "World",
    "entity",
    "estimates",
    "forecast_dataset",
    "geo",
    "json_value",
    "point",
    "prop",
    "rel",
    "text",
]
