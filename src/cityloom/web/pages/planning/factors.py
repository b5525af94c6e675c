"""What an outside factor says now: of its indicator, or of an Entity's attribute."""

from __future__ import annotations

from cityloom.kernel.numbers import is_number
from cityloom.ngsild.model import instance_of, value_of
from cityloom.planning.masterplan.watching import Bounds, Watched, watch
from cityloom.planning.records.model import Record
from cityloom.web.visit import Visit


def measured_now(visit: Visit, record: Record) -> tuple[float | None, str]:
    """The value and its unit, as far as the reader may see them; None where nothing measures it."""
    entity_id, attribute = record.get("indicator", ""), "kpiValue"
    if not entity_id:
        entity_id, attribute = record.get("entity", ""), record.get("attribute", "")
    document = visit.rooms.broker.find(visit.actor, entity_id) if entity_id and attribute else None
    if document is None:
        return None, ""
    value, item = value_of(document, attribute), instance_of(document, attribute)
    unit = str((item or {}).get("unitCode") or "")
    return (float(value) if is_number(value) else None), unit


def state_of(record: Record, value: float | None) -> Watched:
    """Whether a value is within the factor's bounds."""
    return watch(value, Bounds(record.get("low"), record.get("high")))
