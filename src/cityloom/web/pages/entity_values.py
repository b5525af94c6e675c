"""The rows on an Entity's page: what it says now, what is estimated, what is known about it, what it is
linked with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from markupsafe import Markup

from cityloom.kernel.numbers import is_number
from cityloom.kernel.time import from_millis
from cityloom.ngsild.model import Document, Instance, content, instance_of, value_of
from cityloom.web.drawing.chart import Chart
from cityloom.web.looks import name_of, told_value
from cityloom.web.visit import Visit
from cityloom.web.wording import Wording

#: Told in the page's head or under "where it comes from", not among the values.
ABOUT = (
    "source",
    "dataProvider",
    "license",
    "licence",
    "owner",
    "quality",
    "alternateName",
    "address",
    "webSite",
)
_NOT_VALUES = frozenset(
    {*ABOUT, "name", "title", "location", "dataOrigin", "because", "description", "history", "comments"}
)
FORECAST = "urn:ngsi-ld:Dataset:forecast:"
#: Entities that point here are listed up to this number.
MOST_POINTING = 25


class ValueRow(msgspec.Struct):
    """One value: the attribute in words, the value with its unit, when, and where it comes from."""

    name: str
    title: str
    text: str
    value: Any
    unit: str
    unit_name: str
    at: str
    origin: str
    is_number: bool


class EstimateRow(msgspec.Struct):
    """One value that was estimated, for an instant, with the interval that is claimed to hold the truth."""

    name: str
    title: str
    horizon: str
    value: Any
    text: str
    low: str
    high: str
    level: str
    for_at: str
    made_at: str


class LinkRow(msgspec.Struct):
    """Another Entity this one is linked with."""

    id: str
    title: str
    name: str
    type: str


def value_rows(document: Document, wording: Wording) -> list[ValueRow]:
    """What the Entity says now, newest readings first and then what stands still."""
    rows = [
        _value_row(name, item, wording)
        for name in document["attrs"]
        if name not in _NOT_VALUES
        and (item := instance_of(document, name)) is not None
        and item["type"] not in ("Relationship", "ListRelationship", "GeoProperty", "JsonProperty")
    ]
    return sorted(rows, key=lambda row: (not row.at, not row.is_number, row.title))


def _value_row(name: str, item: Instance, wording: Wording) -> ValueRow:
    value = content(item)
    origin = item.get("attrs", {}).get("dataOrigin", [{}])[0].get("value", "")
    return ValueRow(
        name=name,
        title=wording.attribute(name),
        text=told_value(name, item, wording),
        value=value,
        unit=item.get("unitCode", ""),
        unit_name=wording.unit_name(item.get("unitCode")),
        at=item.get("observedAt", ""),
        origin=str(origin),
        is_number=is_number(value),
    )


def estimates_of(document: Document, name: str) -> Iterator[tuple[str, Instance]]:
    """The forecasts of an attribute with their horizons."""
    for item in document["attrs"].get(name, ()):
        dataset = item.get("datasetId", "")
        if dataset.startswith(FORECAST):
            yield dataset.removeprefix(FORECAST), item


def sub_value(item: Instance, name: str) -> Any:
    """The value of an attribute of an attribute."""
    inner = item.get("attrs", {}).get(name)
    return inner[0].get("value") if inner else None


def estimate_rows(document: Document, wording: Wording) -> list[EstimateRow]:
    """What is estimated for the time to come, by attribute and instant; where all of it has passed, that."""
    rows = []
    for name in document["attrs"]:
        for horizon, item in estimates_of(document, name):
            unit = item.get("unitCode")
            level = sub_value(item, "level")
            rows.append(
                EstimateRow(
                    name=name,
                    title=wording.attribute(name),
                    horizon=horizon,
                    value=content(item),
                    text=told_value(name, item, wording),
                    low=_bound(name, sub_value(item, "low"), unit, wording),
                    high=_bound(name, sub_value(item, "high"), unit, wording),
                    level=wording.percent(level) if level else "",
                    for_at=str(sub_value(item, "validAt") or ""),
                    made_at=item.get("observedAt", ""),
                )
            )
    rows.sort(key=lambda row: (row.title, row.for_at))
    coming = [row for row in rows if not row.for_at or row.for_at >= wording.stamp()]
    return coming or rows


def _bound(name: str, value: Any, unit: str | None, wording: Wording) -> str:
    if value is None:
        return ""
    return told_value(name, {"type": "Property", "value": value, "unitCode": unit or ""}, wording)


def about_rows(document: Document, wording: Wording) -> list[tuple[str, Markup]]:
    """Where the data come from, and what a reader must know about them."""
    rows: list[tuple[str, Markup]] = []
    for name in ABOUT:
        said = value_of(document, name)
        if said is None:
            continue
        if isinstance(said, str) and said.startswith(("https://", "http://")):
            shown = Markup('<a href="{0}" rel="noopener noreferrer">{0}</a>').format(said)
        elif isinstance(said, dict) and _is_in_languages(document, name):
            shown = wording.words(said)
        else:
            shown = Markup("{}").format(_address(said) if name == "address" else wording.plain(said))
        rows.append((wording.attribute(name), shown))
    return rows


def _address(said: Any) -> str:
    if not isinstance(said, dict):
        return str(said)
    parts = (said.get(key) for key in ("streetAddress", "postalCode", "addressLocality"))
    return ", ".join(str(part) for part in parts if part)


def links_of(visit: Visit, document: Document) -> list[LinkRow]:
    """The Entities this one points at, as far as the reader may see them."""
    rows = (
        _link(visit, str(target), visit.wording.attribute(name))
        for name, instances in document["attrs"].items()
        for item in instances
        if item["type"] in ("Relationship", "ListRelationship")
        for target in _several(content(item))
    )
    return [row for row in rows if row is not None]


def _several(targets: Any) -> list[Any]:
    return targets if isinstance(targets, list) else [targets]


def pointing_at(visit: Visit, entity_id: str) -> list[LinkRow]:
    """The Entities that point at this one."""
    ids = visit.rooms.broker.referrers(visit.actor, entity_id)
    rows = (_link(visit, found, "") for found in ids[-MOST_POINTING:][::-1] if found != entity_id)
    return [row for row in rows if row is not None]


def _link(visit: Visit, entity_id: str, title: str) -> LinkRow | None:
    document = visit.rooms.broker.find(visit.actor, entity_id)
    if document is None:
        return None
    kind = document["type"][0]
    return LinkRow(entity_id, title or visit.wording.type_name(kind), name_of(document, visit.wording), kind)


def points_of(chart: Chart) -> list[dict[str, Any]]:
    """The chart's readings as data."""
    return [
        {"at": from_millis(at), "value": value} for at, value in zip(chart.times, chart.values, strict=True)
    ]


def newest_rows(chart: Chart, count: int) -> list[tuple[Any, float | None]]:
    """The newest readings of a chart for the table below it, the newest first."""
    pairs = list(zip(chart.times, chart.values, strict=True))[-count:]
    return [(from_millis(at), value) for at, value in reversed(pairs)]


def _is_in_languages(document: Document, name: str) -> bool:
    item = instance_of(document, name)
    return item is not None and item["type"] == "LanguageProperty"
