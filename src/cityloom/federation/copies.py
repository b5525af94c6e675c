"""The copy of a subscription for a source: no more than is registered (ETSI GS CIM 009, 5.8.1.4). Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote

import orjson

from cityloom.federation.model import Question, Reply, Wire
from cityloom.federation.questions import attributes_asked, narrowed
from cityloom.kernel.media_types import JSON
from cityloom.ngsild.names import NULL
from cityloom.ngsild.query import EntityQuery, EntitySelector
from cityloom.ngsild.query_writing import write_geo, write_q, write_scopes, write_types
from cityloom.ngsild.registrations import Registration, RegistrationInfo
from cityloom.ngsild.source_matching import Sought, in_reach, matching_information
from cityloom.ngsild.subscription import Subscription
from cityloom.subscriptions.matching import query_of

_PATH = "/subscriptions"
#: A copy as JSON, without its id.
Copy = dict[str, Any]


def concerned(wanted: Subscription, registration: Registration) -> tuple[RegistrationInfo, ...]:
    """The information of a registration that a subscription may be told of; none: the source is not asked."""
    query = query_of(wanted)
    sought = Sought(
        selectors=query.selectors,
        attributes=frozenset(wanted.watched or ()),
        dataset_ids=frozenset(wanted.datasets or ()),
    )
    if not in_reach(registration, query.geo):
        return ()
    return tuple(registration.information[place] for place in matching_information(registration, sought))


def reduced(
    wanted: Subscription,
    registration: Registration,
    infos: tuple[RegistrationInfo, ...],
    wire: Wire,
    endpoint: str,
    may_hear_of: Callable[[str], bool],
) -> Copy | None:
    """The copy, or None where nothing is left of it. `endpoint` is where the source tells this city;
    `may_hear_of` are the ids that it may be asked for."""
    compact = wire.context.compact
    query = query_of(wanted)
    selectors = [one for one in narrowed(query, infos) if one.id is None or may_hear_of(one.id)]
    if not selectors:
        return None
    registered = attributes_asked(infos, frozenset())
    notification: dict[str, Any] = {
        "format": "normalized",
        "sysAttrs": True,
        "endpoint": {"uri": endpoint, "accept": JSON},
    }
    if registered is not None:
        notification["attributes"] = sorted(map(compact, registered))
    if wanted.notification.show_changes:
        notification["showChanges"] = True
    watched = attributes_asked(infos, frozenset(wanted.watched or ()))
    said: Copy = {
        "type": "Subscription",
        "entities": _entities(selectors, wire),
        "watchedAttributes": _listed(watched, compact) if wanted.time_interval is None else None,
        "notificationTrigger": _listed(wanted.triggers),
        "timeInterval": wanted.time_interval,
        "throttling": wanted.throttling,
        "datasetId": _listed(wanted.datasets),
        "expiresAt": wanted.expires_at,
        "isActive": wanted.is_active is not False,
        "splitEntities": wanted.split_entities,
        "localOnly": True if registration.to_stay else None,
        "jsonldContext": wire.address,
        "notification": notification,
    }
    if not wanted.split_entities:
        said |= _filters(wanted, query, wire)
    return {name: value for name, value in said.items() if value is not None}


def creation(copy: Copy, identifier: str) -> Question:
    """Ask a source to keep a copy (5.8.1)."""
    body = orjson.dumps({"id": identifier, **copy})
    return Question("POST", _PATH, body=body, content_type=JSON, is_of_entities=False)


def change(before: Copy, after: Copy, identifier: str) -> Question:
    """Ask a source to change its copy (5.8.2): what is no more is taken away with NGSI-LD Null."""
    said = {name: value for name, value in after.items() if before.get(name) != value or name == "type"}
    said |= {name: NULL for name in before if name not in after}
    return Question(
        "PATCH", _address(identifier), body=orjson.dumps(said), content_type=JSON, is_of_entities=False
    )


def ending(identifier: str) -> Question:
    """Ask a source to forget its copy (5.8.5)."""
    return Question("DELETE", _address(identifier), is_of_entities=False)


def identifier_in(reply: Reply, given: str) -> str:
    """Under which id a source keeps the copy: the one given, unless it says otherwise."""
    _, _, last = reply.headers.get("location", "").partition(f"{_PATH}/")
    return unquote(last.partition("?")[0]).rstrip("/") or given


def _address(identifier: str) -> str:
    return f"{_PATH}/{quote(identifier, safe=':')}"


def _entities(selectors: list[EntitySelector], wire: Wire) -> list[dict[str, str]] | None:
    if selectors == [EntitySelector()]:
        return None
    found = []
    for one in selectors:
        said = {"type": "*"}
        if one.type_expression is not None:
            said["type"] = write_types(one.type_expression, wire.context)
        if one.id is not None:
            said["id"] = one.id
        elif one.id_pattern is not None:
            said["idPattern"] = one.id_pattern
        found.append(said)
    return found


def _filters(wanted: Subscription, query: EntityQuery, wire: Wire) -> Copy:
    context = wire.context
    return {
        "q": None if query.q is None else write_q(query.q, context),
        "expandValues": _joined(wanted.expand_values, context.compact),
        "jsonKeys": _joined(wanted.json_keys, context.compact),
        "scopeQ": None if query.scope_q is None else write_scopes(query.scope_q),
        "geoQ": None if query.geo is None else write_geo(query.geo, context),
    }


def _listed(items: Any, name_of: Callable[[str], str] = str) -> list[str] | None:
    return None if items is None else sorted(map(name_of, items))


def _joined(names: tuple[str, ...] | None, compact: Callable[[str], str]) -> str | None:
    return None if names is None else ",".join(map(compact, names))
