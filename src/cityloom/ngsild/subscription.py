"""The Subscription (ETSI GS CIM 009, 5.2.12 to 5.2.15, 5.2.22, 5.2.33) as it is kept, its names expanded.

A member that was not given is None, so that a subscription reads back as it was written.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal, get_args

import msgspec

from cityloom.ngsild.contexts import CORE, Context
from cityloom.ngsild.geo_query import GeoQuery
from cityloom.ngsild.projection import Projection
from cityloom.ngsild.q_language import Term
from cityloom.ngsild.scope_query import ScopeQuery
from cityloom.ngsild.type_selection import TypeSelection

Trigger = Literal[
    "entityCreated",
    "entityUpdated",
    "entityDeleted",
    "attributeCreated",
    "attributeUpdated",
    "attributeDeleted",
]
Format = Literal["normalized", "concise", "simplified", "keyValues"]
Accept = Literal["application/json", "application/ld+json", "application/geo+json"]
Join = Literal["flat", "inline", "@none"]

TRIGGERS: tuple[Trigger, ...] = get_args(Trigger)
#: What a subscription waits for that says nothing about it.
USUAL_TRIGGERS: tuple[Trigger, ...] = ("attributeCreated", "attributeUpdated")
#: Members of an entity that are no attributes and can be picked and omitted.
IDENTITY = frozenset({"id", "type", "scope"})


class Selector(msgspec.Struct, frozen=True):
    """Entities of certain types (5.2.33); of every type where `types` is None."""

    types: TypeSelection | None = None
    ids: tuple[str, ...] = ()
    id_pattern: str | None = None


class Pair(msgspec.Struct, frozen=True):
    """A key and its value (5.2.22)."""

    key: str
    value: str


class Endpoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where notifications go (5.2.15); times are milliseconds."""

    uri: str
    accept: Accept | None = None
    timeout: float | None = None
    cooldown: float | None = None
    receiver_info: tuple[Pair, ...] | None = None
    notifier_info: tuple[Pair, ...] | None = None

    def told(self, key: str) -> str | None:
        """What the receiver is told under a key, whatever its case."""
        return _value_of(self.receiver_info, key)

    def setting(self, key: str) -> str | None:
        """A setting of the way there, such as MQTT-QoS."""
        return _value_of(self.notifier_info, key)


class Notification(msgspec.Struct, frozen=True, omit_defaults=True):
    """What notifications carry (5.2.14)."""

    endpoint: Endpoint
    attributes: tuple[str, ...] | None = None
    pick: Projection | None = None
    omit: Projection | None = None
    format: Format | None = None
    join: Join | None = None
    join_level: int | None = None
    show_changes: bool | None = None
    sys_attrs: bool | None = None


class Question(msgspec.Struct, frozen=True):
    """A query as it was written, and what it means."""

    text: str
    term: Term


class Scopes(msgspec.Struct, frozen=True):
    """A scope query as it was written, and what it means."""

    text: str
    query: ScopeQuery


class Place(msgspec.Struct, frozen=True):
    """A geoquery (5.2.13) as it was written, and what it means."""

    georel: str
    geometry: str
    coordinates: Any
    query: GeoQuery
    geoproperty: str | None = None


class Subscription(msgspec.Struct, frozen=True, omit_defaults=True):
    """What somebody wants to be told of (5.2.12)."""

    id: str
    notification: Notification
    name: str | None = None
    description: str | None = None
    entities: tuple[Selector, ...] | None = None
    watched: tuple[str, ...] | None = None
    triggers: tuple[Trigger, ...] | None = None
    q: Question | None = None
    geo: Place | None = None
    scopes: Scopes | None = None
    csf: Question | None = None
    datasets: tuple[str, ...] | None = None
    lang: str | None = None
    expand_values: tuple[str, ...] | None = None
    json_keys: tuple[str, ...] | None = None
    expires_at: str | None = None
    is_active: bool | None = None
    json_ld_context: str | None = None
    local_only: bool | None = None
    conformance: str | None = None
    split_entities: bool | None = None
    #: Seconds.
    throttling: float | None = None
    #: Seconds.
    time_interval: float | None = None

    def types(self) -> tuple[str, ...]:
        """The types of the Entities that are told of; none: any type."""
        chosen = [one.types for one in self.entities or ()]
        known = [types for types in chosen if types is not None]
        if len(known) < len(chosen):
            return ()
        named = (name for types in known for alternative in types.alternatives for name in alternative)
        return tuple(dict.fromkeys(named))

    def status(self, now: str) -> Literal["active", "paused", "expired"]:
        """How it stands (5.8.1.4); `now` is an instant in UTC."""
        if self.expires_at is not None and _order(self.expires_at) <= _order(now):
            return "expired"
        return "paused" if self.is_active is False else "active"


def represent_subscription(one: Subscription, context: Context = CORE) -> dict[str, Any]:
    """A subscription for a reader, but for what the system adds: its status and how notifying went."""
    compact = context.compact
    said: dict[str, Any] = {
        "id": one.id,
        "type": "Subscription",
        "subscriptionName": one.name,
        "description": one.description,
        "entities": None if one.entities is None else [_selector(item, context) for item in one.entities],
        "watchedAttributes": _compacted(one.watched, context),
        "notificationTrigger": _listed(_triggers(one)),
        "timeInterval": one.time_interval,
        "q": one.q and one.q.text,
        "geoQ": one.geo and _place(one.geo, context),
        "scopeQ": one.scopes and one.scopes.text,
        "csf": one.csf and one.csf.text,
        "datasetId": _listed(one.datasets),
        "lang": one.lang,
        "expandValues": one.expand_values and ",".join(map(compact, one.expand_values)),
        "jsonKeys": one.json_keys and ",".join(map(compact, one.json_keys)),
        "expiresAt": one.expires_at,
        "throttling": one.throttling,
        "isActive": one.is_active,
        "localOnly": one.local_only,
        "splitEntities": one.split_entities,
        "ngsildConformance": one.conformance,
        "jsonldContext": one.json_ld_context,
        "notification": _notification(one.notification, context),
    }
    return {key: value for key, value in said.items() if value is not None}


def _triggers(one: Subscription) -> Collection[str] | None:
    """What is waited for; the usual where nothing is said and something is waited for at all."""
    return USUAL_TRIGGERS if one.triggers is None and one.time_interval is None else one.triggers


def _notification(one: Notification, context: Context) -> dict[str, Any]:
    said = {
        "attributes": _compacted(one.attributes, context),
        "pick": _projection(one.pick, context),
        "omit": _projection(one.omit, context),
        "format": one.format,
        "join": one.join,
        "joinLevel": one.join_level,
        "showChanges": one.show_changes,
        "sysAttrs": one.sys_attrs,
        "endpoint": _endpoint(one.endpoint),
    }
    return {key: value for key, value in said.items() if value is not None}


def _endpoint(one: Endpoint) -> dict[str, Any]:
    said = {
        "uri": one.uri,
        "accept": one.accept,
        "timeout": one.timeout,
        "cooldown": one.cooldown,
        "receiverInfo": _pairs(one.receiver_info),
        "notifierInfo": _pairs(one.notifier_info),
    }
    return {key: value for key, value in said.items() if value is not None}


def _selector(one: Selector, context: Context) -> dict[str, Any]:
    said: dict[str, Any] = {"type": "*" if one.types is None else _types(one.types, context)}
    if one.ids:
        said["id"] = one.ids[0] if len(one.ids) == 1 else list(one.ids)
    if one.id_pattern is not None:
        said["idPattern"] = one.id_pattern
    return said


def _types(selection: TypeSelection, context: Context) -> str:
    parts = [";".join(map(context.compact, names)) for names in selection.alternatives]
    return parts[0] if len(parts) == 1 else "|".join(f"({part})" if ";" in part else part for part in parts)


def _place(one: Place, context: Context) -> dict[str, Any]:
    said = {"georel": one.georel, "geometry": one.geometry, "coordinates": one.coordinates}
    if one.geoproperty is not None:
        said["geoproperty"] = context.compact(one.geoproperty)
    return said


def _compacted(names: Collection[str] | None, context: Context) -> list[str] | None:
    return None if names is None else list(map(context.compact, names))


def _projection(one: Projection | None, context: Context) -> list[str] | None:
    """The members that a projection names, those of linked entities in braces (4.21)."""
    if one is None:
        return None
    found = []
    for name in sorted(one.members):
        below = _projection(one.linked.get(name), context)
        shown = name if name in IDENTITY else context.compact(name)
        found.append(shown if below is None else f"{shown}{{{','.join(below)}}}")
    return found


def _listed(items: Collection[str] | None) -> list[str] | None:
    return None if items is None else list(items)


def _pairs(pairs: tuple[Pair, ...] | None) -> list[dict[str, str]] | None:
    return None if pairs is None else [{"key": one.key, "value": one.value} for one in pairs]


def _value_of(pairs: tuple[Pair, ...] | None, key: str) -> str | None:
    return next((one.value for one in pairs or () if one.key.lower() == key.lower()), None)


def _order(instant: str) -> str:
    """A text by which instants in UTC sort, with or without parts of a second."""
    whole, _, parts = instant.removesuffix("Z").partition(".")
    return whole + "." + parts.ljust(6, "0")
