"""From what stands of an Entity in a table to its document. Pure."""

from __future__ import annotations

from typing import Any

import orjson
import shapely

from cityloom.adapters.duckdb.table_conversion import StandingOfEntity
from cityloom.kernel.errors import BadInput
from cityloom.ngsild.geometry import check_geometry
from cityloom.ngsild.model import Document, Instance, geo, point, prop, rel
from cityloom.sensing.table_meaning import FALSE_WORDS, TRUE_WORDS, StandingAttribute, TableForm, TableMeaning


def document_of(standing: StandingOfEntity, meaning: TableMeaning, form: TableForm) -> Document:
    """The Entity without its readings. Raises BadInput naming the attribute."""
    attributes: dict[str, list[Instance]] = {}
    if meaning.origin != "measured":
        attributes["dataOrigin"] = [prop(meaning.origin)]
    for name, said in meaning.attributes.items():
        text = standing.said.get(name)
        if said.value is not None:
            attributes[name] = [prop(said.value, unit=said.unit or None)]
        elif text is not None and said.relationship:
            attributes[name] = [rel(text)]
        elif text is not None:
            attributes[name] = [prop(_value(text, said, form, name), unit=said.unit or None)]
    if meaning.location is not None and not meaning.location.moves:
        place = _place(standing)
        if place is not None:
            attributes[meaning.location.attribute] = [place]
    return {"id": standing.entity_id, "type": [meaning.type], "attrs": attributes}


def _place(standing: StandingOfEntity) -> Instance | None:
    if standing.wkt is None:
        if standing.longitude is None or standing.latitude is None:
            return None
        return point(standing.longitude, standing.latitude)
    try:
        shape = shapely.from_wkt(standing.wkt)
        return geo(check_geometry(orjson.loads(shapely.to_geojson(shape))))
    except (shapely.errors.ShapelyError, ValueError) as error:
        raise BadInput(
            f"{standing.wkt[:60]!r} is no geometry in WKT: {str(error)[:120]}",
            hint="Write it as POINT (10.2 56.15), longitude first, in WGS 84.",
            where="location",
        ) from None


def _value(text: str, said: StandingAttribute, form: TableForm, name: str) -> Any:
    if said.kind in ("number", "integer"):
        plain = text.replace(form.thousands, "") if form.thousands else text
        plain = plain.replace(form.decimal, ".") if form.decimal != "." else plain
        try:
            return int(plain) if said.kind == "integer" else float(plain)
        except ValueError:
            raise _wrong(text, said.kind, name) from None
    if said.kind == "boolean":
        low = text.lower()
        if low not in (*TRUE_WORDS, *FALSE_WORDS):
            raise _wrong(text, said.kind, name)
        return low in TRUE_WORDS
    if said.kind == "json":
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            raise _wrong(text, said.kind, name) from None
    return text


def _wrong(text: str, kind: str, name: str) -> BadInput:
    return BadInput(
        f"{text[:60]!r} is no {kind}", hint="Correct the cell, or its kind in the mapping.", where=name
    )
