"""Data models: which attributes a type of Entity has, in which unit, between which bounds.

A model is a JSON Schema (draft 2020-12) of the Entity's simplified form, with the extension `x-unitCode`: the
UN/CEFACT code in which the city keeps the attribute. Models bind what connectors deliver and what is written
through the API (`fit_written`). They ask for no attribute but id and type, since a reading is a part of an
Entity; attributes they do not name may be there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import orjson

from cityloom.kernel.errors import BadConfig, BadInput
from cityloom.kernel.numbers import is_number
from cityloom.kernel.time import check_observed, parse_instant
from cityloom.kernel.units import convert, symbol
from cityloom.ngsild.merge import merged_value
from cityloom.ngsild.model import CONTENT_MEMBER, Document, Instance, content
from cityloom.ngsild.names import NULL

_SUFFIX = ".schema.json"


class AttributeModel(msgspec.Struct, frozen=True):
    """One attribute of a model, as forms and simulators want it."""

    name: str
    description: str
    #: JSON types it may have; empty when anything goes.
    types: tuple[str, ...] = ()
    unit: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()


class Model(msgspec.Struct, frozen=True):
    """A data model: one type of Entities."""

    type: str
    domain: str
    description: str
    #: Where its names come from.
    source: str
    attributes: dict[str, AttributeModel]


class DataModels:
    """The models of a city. Types without a model are taken as they are."""

    def __init__(self, schemas: Iterable[Mapping[str, Any]]) -> None:
        """Raises BadConfig for a schema that is none."""
        by_id = {str(schema.get("$id", "")): dict(schema) for schema in schemas}
        self._models: dict[str, Model] = {}
        self._units: dict[str, dict[str, str]] = {}
        self._validators: dict[str, jsonschema_rs.Draft202012Validator] = {}
        #: The last instant that was found good. What was not in the future then is not now.
        self._checked = ""
        registry = _registry(by_id)
        for schema_id, schema in by_id.items():
            kind = schema.get("properties", {}).get("type", {}).get("const")
            if kind is None:
                continue
            model = _model(kind, schema, by_id)
            self._models[kind] = model
            self._units[kind] = {name: one.unit for name, one in model.attributes.items() if one.unit}
            self._validators[kind] = _validator(schema_id, schema, registry)

    def types(self) -> list[str]:
        """The types that have a model, ordered."""
        return sorted(self._models)

    def find(self, entity_type: str) -> Model | None:
        """The model of a type."""
        return self._models.get(entity_type)

    def fit(self, document: Document, now: datetime) -> None:
        """Check a reading and bring its numbers into the model's units, in place.

        `now` is the city's time. Raises BadInput naming the attribute: an unknown unit or one of another
        quantity, a value of the wrong type or beyond what is plausible, an observation from the future or
        from a clock that was never set.
        """
        for kind in document["type"]:
            units = self._units.get(kind)
            if units:
                _bring_into_units(document, units)
        self._check_instants(document, now)
        for kind in document["type"]:
            validator = self._validators.get(kind)
            if validator is not None:
                self._check_values(kind, validator, document)

    def check(self, document: Document, now: datetime | None = None) -> None:
        """Check an Entity and leave it as it is; instants where `now` is given. Raises BadInput."""
        if now is not None:
            self._check_instants(document, now)
        copy = orjson.loads(orjson.dumps(document))
        for kind in document["type"]:
            _bring_into_units(copy, self._units.get(kind, {}))
            validator = self._validators.get(kind)
            if validator is not None:
                self._check_values(kind, validator, copy)

    def fit_written(
        self, document: Document, stored: Document | None = None, *, merging: bool = False
    ) -> None:
        """Check what somebody writes and bring its numbers into the models' units, in place.

        `document` may be a part of the Entity that `stored` is now, and hold NGSI-LD Nulls; `merging` lays
        its values over those that are there. Attributes it does not name are not looked at. Raises BadInput
        naming the attribute.
        """
        types = (*document.get("type", ()), *(stored["type"] if stored else ()))
        for model in [self._models[kind] for kind in dict.fromkeys(types) if kind in self._models]:
            said: dict[str, list[Instance]] = {}
            for name, items in document["attrs"].items():
                attribute = model.attributes.get(name)
                if attribute is None:
                    continue
                before = stored["attrs"].get(name, ()) if stored and merging else ()
                said[name] = []
                for item in items:
                    if attribute.unit:
                        _bring_written_into_unit(item, attribute.unit, name)
                    said[name] += _written(item, before, attribute)
            if said:
                whole = {"id": document.get("id", "urn:x"), "attrs": said}
                self._check_values(model.type, self._validators[model.type], whole)

    def _check_instants(self, document: Document, now: datetime) -> None:
        checked = self._checked
        for name, instances in document["attrs"].items():
            for item in instances:
                said = item.get("observedAt")
                # A dataset of its own may hold forecasts.
                if said is None or said == checked or "datasetId" in item:
                    continue
                where = f"{name}.observedAt"
                check_observed(parse_instant(said, where=where), now=now, where=where)
                checked = self._checked = said

    def _check_values(
        self, kind: str, validator: jsonschema_rs.Draft202012Validator, document: Document
    ) -> None:
        base = {"id": document["id"], "type": kind}
        simple: dict[str, Any] = dict(base)
        others: list[dict[str, Any]] = []
        for name, instances in document["attrs"].items():
            for item in instances:
                said = item["value"] if "value" in item else content(item)
                if "datasetId" in item:
                    others.append({**base, name: said})
                else:
                    simple[name] = said
        for form in (simple, *others):
            if not validator.is_valid(form):
                raise self._misfit(kind, validator, form)

    def _misfit(
        self, kind: str, validator: jsonschema_rs.Draft202012Validator, form: dict[str, Any]
    ) -> BadInput:
        error = next(validator.iter_errors(form))
        path = [str(step) for step in error.instance_path]
        attribute = self._models[kind].attributes.get(path[0]) if path else None
        return BadInput(
            error.message[:300],
            hint=_expectation(attribute) if attribute else f"See the data model {kind}.",
            where=".".join(path) or kind,
        )


def read_models(folders: Iterable[Path]) -> DataModels:
    """The models in the folders: every file *.schema.json, at any depth. Raises BadConfig naming the file."""
    schemas = []
    for folder in folders:
        for path in sorted(folder.rglob(f"*{_SUFFIX}")):
            try:
                schemas.append(orjson.loads(path.read_bytes()))
            except orjson.JSONDecodeError as error:
                raise BadConfig(
                    f"A data model is not JSON: {error}", hint="Correct it.", where=str(path)
                ) from None
    return DataModels(schemas)


def _registry(by_id: Mapping[str, dict[str, Any]]) -> jsonschema_rs.Registry:
    try:
        return jsonschema_rs.Registry(list(by_id.items()), draft=jsonschema_rs.Draft202012)
    except (jsonschema_rs.ReferencingError, ValueError) as error:
        raise BadConfig(
            f"The data models do not fit together: {error}",
            hint="A $ref must name the $id of another data model.",
            where="data models",
        ) from None


def _validator(
    schema_id: str, schema: dict[str, Any], registry: jsonschema_rs.Registry
) -> jsonschema_rs.Draft202012Validator:
    try:
        return jsonschema_rs.Draft202012Validator(schema, registry=registry, validate_formats=True)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        message = getattr(error, "message", str(error))
        raise BadConfig(
            f"A data model is no JSON Schema: {message}", hint="Correct it.", where=schema_id
        ) from None


def _bring_into_units(document: Document, units: Mapping[str, str]) -> None:
    for name, instances in document["attrs"].items():
        unit = units.get(name)
        if unit is None:
            continue
        for item in instances:
            given = item.get("unitCode")
            if given is None:
                item["unitCode"] = unit
            elif given != unit:
                _convert(item, given, unit, name)


def _bring_written_into_unit(item: Instance, unit: str, name: str) -> None:
    given = item.get("unitCode", NULL)
    value = item.get("value")
    if is_number(value):
        if given == NULL:
            item["unitCode"] = unit
        elif given != unit:
            _convert(item, given, unit, name)
    elif given not in (NULL, unit):
        _line(given, unit, f"{name}.unitCode")
        if "value" not in item:
            raise BadInput(
                f"A unit alone would change what {name} says",
                hint=f"Send the value with its unit, or the unit code {unit}.",
                where=f"{name}.unitCode",
            )


def _written(
    item: Instance, before: Iterable[Instance], attribute: AttributeModel
) -> Iterator[dict[str, Any]]:
    """What an instance will say once it is written; nothing where it is taken away or says nothing."""
    members = [item[member] for member in dict.fromkeys(CONTENT_MEMBER.values()) if member in item]
    if not members or members[0] in (None, NULL):
        return
    dataset = item.get("datasetId")
    present = next((content(one) for one in before if one.get("datasetId") == dataset), None)
    value = merged_value(present, members[0])
    if "languageMap" in item and "string" in attribute.types:
        # A text in several languages stands for a text.
        for text in value.values():
            yield from (
                {"value": one, "datasetId": ""} for one in (text if isinstance(text, list) else [text])
            )
    elif "objectList" in item:
        yield {"value": [one["object"] if isinstance(one, dict) else one for one in value]}
    else:
        yield {"value": value} if dataset is None else {"value": value, "datasetId": dataset}


def _convert(item: Instance, given: str, unit: str, name: str) -> None:
    value = item.get("value")
    if not is_number(value):
        return  # not a number: the schema says what is wrong with it
    line = _line(given, unit, f"{name}.unitCode")
    converted = value * line[0] + line[1] if line else convert(value, given, unit)
    if not math.isfinite(converted):
        raise BadInput(
            f"{value} {given} cannot be told in {unit}", hint="Check the value.", where=f"{name}.value"
        )
    item["value"] = _tidy(converted, abs(value * line[0]) + abs(line[1]) if line else abs(converted))
    item["unitCode"] = unit


def _tidy(value: float, size: float) -> float:
    """`value` without the last bits of a conversion: ten digits of `size` are more than any sensor has."""
    return round(value, 9 - math.floor(math.log10(size))) if size else value


@lru_cache(maxsize=4096)
def _line(given: str, unit: str, where: str) -> tuple[float, float] | None:
    """Factor and offset between two units; None when they do not lie on a line (decibels).

    Asked once for each pair: a conversion by the table of units is a hundred times as dear.
    """
    offset = convert(0.0, given, unit, where=where)
    factor = convert(1.0, given, unit, where=where) - offset
    far = convert(100.0, given, unit, where=where)
    return (factor, offset) if math.isclose(far, 100.0 * factor + offset, rel_tol=1e-9) else None


def _expectation(attribute: AttributeModel) -> str:
    parts = [f"{attribute.name} is: {attribute.description}"]
    if attribute.choices:
        parts.append(f"one of {', '.join(attribute.choices)}")
    if attribute.unit:
        parts.append(f"in {symbol(attribute.unit) or 'plain numbers'} (unit code {attribute.unit})")
    if attribute.minimum is not None and attribute.maximum is not None:
        parts.append(f"from {attribute.minimum:g} to {attribute.maximum:g}")
    return ", ".join(parts) + "."


def _model(kind: str, schema: Mapping[str, Any], by_id: Mapping[str, Mapping[str, Any]]) -> Model:
    properties: dict[str, Any] = {}
    parent = by_id.get(str(schema.get("$ref", "")), {})
    for source in (parent, schema):
        properties.update(source.get("properties", {}))
    return Model(
        type=kind,
        domain=str(schema.get("x-domain", "")),
        description=str(schema.get("description", "")),
        source=str(schema.get("x-source", "")),
        attributes={
            name: _attribute(name, said) for name, said in properties.items() if name not in ("id", "type")
        },
    )


def _attribute(name: str, said: Mapping[str, Any]) -> AttributeModel:
    types = said.get("type", ())
    return AttributeModel(
        name=name,
        description=str(said.get("description", "")),
        types=(types,) if isinstance(types, str) else tuple(types),
        unit=said.get("x-unitCode"),
        minimum=said.get("minimum"),
        maximum=said.get("maximum"),
        choices=tuple(said.get("enum", ())),
    )
