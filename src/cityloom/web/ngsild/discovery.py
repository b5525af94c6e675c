"""Which types and attributes there are (ETSI GS CIM 009, 6.25 to 6.28), of what the asker may see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from cityloom.kernel.change import DEFAULT_TENANT
from cityloom.ngsild.contexts import iri_of
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.model import Document
from cityloom.ngsild.names import check_name
from cityloom.web.ngsild.exchange import Exchange, Reply


@dataclass
class _Attribute:
    """What is known of an attribute's use."""

    count: int = 0
    kinds: dict[str, None] = field(default_factory=dict)
    types: dict[str, None] = field(default_factory=dict)


async def list_types(exchange: Exchange) -> Reply:
    """GET /types."""
    if exchange.parameters.flag("details"):
        return exchange.reply(await _detailed_types(exchange))
    names = _types(exchange)
    return exchange.reply(
        {
            "id": f"urn:ngsi-ld:EntityTypeList:{exchange.tenant or 'default'}",
            "type": "EntityTypeList",
            "typeList": sorted(map(exchange.context.compact, names)),
        }
    )


async def retrieve_type(exchange: Exchange) -> Reply:
    """GET /types/{type}."""
    term = exchange.variables["type"]
    check_name(term, "type")
    name = exchange.context.expand(term)
    count = _types(exchange).get(name)
    if count is None:
        raise ResourceNotFound(
            f"There are no entities of type {term}", hint="GET /types lists what there is."
        )
    attributes = await _attributes(_entities(exchange, type_name=name))
    compact = exchange.context.compact
    return exchange.reply(
        {
            "id": iri_of(name),
            "type": "EntityTypeInfo",
            "typeName": compact(name),
            "entityCount": count,
            "attributeDetails": [
                {
                    "id": iri_of(one),
                    "type": "Attribute",
                    "attributeName": compact(one),
                    "attributeTypes": list(found.kinds),
                }
                for one, found in sorted(attributes.items())
            ],
        }
    )


async def list_attributes(exchange: Exchange) -> Reply:
    """GET /attributes."""
    attributes = await _attributes(_entities(exchange))
    compact = exchange.context.compact
    if exchange.parameters.flag("details"):
        return exchange.reply([_described(exchange, name, attributes[name]) for name in sorted(attributes)])
    return exchange.reply(
        {
            "id": f"urn:ngsi-ld:AttributeList:{exchange.tenant or 'default'}",
            "type": "AttributeList",
            "attributeList": sorted(map(compact, attributes)),
        }
    )


async def retrieve_attribute(exchange: Exchange) -> Reply:
    """GET /attributes/{attrId}."""
    term = exchange.variables["attrId"]
    check_name(term, "attrId")
    name = term if term in ("id", "type", "scope") else exchange.context.expand(term)
    found = (await _attributes(_entities(exchange, attribute=name))).get(name)
    if found is None:
        raise ResourceNotFound(
            f"No entity has an attribute {term}", hint="GET /attributes lists what there is."
        )
    return exchange.reply(
        _described(exchange, name, found)
        | {"attributeCount": found.count, "attributeTypes": list(found.kinds)}
    )


def _types(exchange: Exchange) -> dict[str, int]:
    return exchange.services.broker.types(exchange.actor, tenant=exchange.tenant or DEFAULT_TENANT)


async def _detailed_types(exchange: Exchange) -> list[dict[str, Any]]:
    compact = exchange.context.compact
    by_type: dict[str, dict[str, None]] = {name: {} for name in sorted(_types(exchange))}
    async for document in _entities(exchange):
        for name in document["type"]:
            by_type.setdefault(name, {}).update(dict.fromkeys(document["attrs"]))
    return [
        {
            "id": iri_of(name),
            "type": "EntityType",
            "typeName": compact(name),
            "attributeNames": sorted(map(compact, attributes)),
        }
        for name, attributes in by_type.items()
    ]


def _entities(
    exchange: Exchange, *, type_name: str | None = None, attribute: str | None = None
) -> AsyncIterator[Document]:
    """What the asker may see, one by one."""
    return exchange.services.broker.each(
        exchange.actor, type_name=type_name, attribute=attribute, tenant=exchange.tenant
    )


async def _attributes(documents: AsyncIterator[Document]) -> dict[str, _Attribute]:
    found: dict[str, _Attribute] = {}
    async for document in documents:
        for name, items in document["attrs"].items():
            one = found.setdefault(name, _Attribute())
            one.count += len(items)
            one.kinds.update(dict.fromkeys(item["type"] for item in items))
            one.types.update(dict.fromkeys(document["type"]))
    return found


def _described(exchange: Exchange, name: str, found: _Attribute) -> dict[str, Any]:
    compact = exchange.context.compact
    return {
        "id": iri_of(name),
        "type": "Attribute",
        "attributeName": compact(name),
        "typeNames": sorted(map(compact, found.types)),
    }
