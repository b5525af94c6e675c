"""Which services rest on something of the live city: shown with an alert, and in the graph of services."""

from __future__ import annotations

from typing import Any

from cityloom.kernel.actor import InformationClass
from cityloom.planning.masterplan.incidents import TYPES, touched_by
from cityloom.planning.records.model import Record
from cityloom.web.pages.planning.links import record_href
from cityloom.web.visit import Visit


def resting_on(visit: Visit, *entity_ids: str) -> list[dict[str, Any]]:
    """What may stop when these Entities fail, each once; for those alone who see what is internal."""
    if not visit.actor.sees(InformationClass.INTERNAL):
        return []
    records = [one for name in TYPES for one in visit.rooms.records.list(visit.actor, name)]
    rows: dict[str, dict[str, Any]] = {}
    for entity_id in entity_ids:
        document = visit.rooms.broker.find(visit.actor, entity_id)
        if document is not None:
            for one in touched_by(records, entity_id, document["type"]):
                way = [_name(visit, step) for step in one.way]
                row = _row(visit, one.record) | {"steps": one.steps, "way": way}
                if row["id"] not in rows or rows[row["id"]]["steps"] > one.steps:
                    rows[row["id"]] = row
    return sorted(rows.values(), key=lambda row: (not row["critical"], row["steps"]))


def _row(visit: Visit, record: Record) -> dict[str, Any]:
    return {
        "id": record.id,
        "href": record_href(record),
        "name": _name(visit, record),
        "critical": bool(record.get("critical")),
        "owner": record.get("owner", ""),
        "outage": record.get("outage"),
    }


def _name(visit: Visit, record: Record) -> str:
    return visit.wording.said(record.name)
