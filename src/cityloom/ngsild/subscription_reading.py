"""From what a subscriber writes to a Subscription (ETSI GS CIM 009, 5.2.12 to 5.2.15, 5.8.1.4, 5.8.2.4).

Errors name the member at fault by its path. Members that the standard does not know are left out, and so are
those that the system writes by itself.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from urllib.parse import unquote

import msgspec

from cityloom.ngsild.contexts import CORE, Context
from cityloom.ngsild.errors import BadRequestData, TooComplexQuery
from cityloom.ngsild.geo_query import parse_geo_query
from cityloom.ngsild.names import NULL, check_uri
from cityloom.ngsild.notification_params import read_notification
from cityloom.ngsild.q_language import compile_pattern, parse_q
from cityloom.ngsild.scope_query import parse_scope_query
from cityloom.ngsild.subscription import (
    TRIGGERS,
    Place,
    Question,
    Scopes,
    Selector,
    Subscription,
)
from cityloom.ngsild.subscription_members import (
    MAX_LISTED,
    Read,
    attribute,
    attribute_list,
    dataset,
    flag,
    language,
    one_of,
    positive,
    read_at,
    several,
    text,
    uri,
    version,
    wrong,
)
from cityloom.ngsild.type_selection import parse_type_selection
from cityloom.ngsild.values import check_instant

#: Selectors of entities.
MAX_SELECTORS = 100


def parse_subscription(payload: Any, context: Context = CORE, *, id: str, now: str) -> Subscription:
    """A whole Subscription. `id` is taken where it brings none; `now` is an instant in UTC.

    Raises BadRequestData, TooComplexQuery.
    """
    found = _members(_object(payload, "Subscription", required=True), context, ())
    if NULL in found.values():
        raise wrong("Nothing can be deleted yet", "Leave the member out.")
    if found.get("notification") is None:
        raise wrong("A subscription says how to notify", "Add notification.endpoint.uri.", "notification")
    one = Subscription(**{"id": id, **found})
    _check_whole(one, frozenset(found), now)
    return one


def patch_subscription(
    old: Subscription, payload: Any, context: Context = CORE, *, now: str
) -> tuple[Subscription, frozenset[str]]:
    """A Subscription with members replaced, and those that are NGSI-LD Null removed (5.5.8); and which.

    Raises BadRequestData, TooComplexQuery.
    """
    found = _members(_object(payload, "Subscription"), context, old.expand_values or ())
    if found.pop("id", old.id) != old.id:
        raise wrong("The id of a subscription stays", "Leave the member out.", "id")
    if found.get("notification", "") == NULL:
        raise wrong(
            "A subscription says how to notify", "Leave the member out, or replace it.", "notification"
        )
    changed = {name: None if value == NULL else value for name, value in found.items()}
    one = msgspec.structs.replace(old, **changed)
    _check_whole(one, frozenset(changed), now)
    return one, frozenset(changed)


def _object(payload: Any, kind: str, *, required: bool = False) -> dict[str, Any]:
    if type(payload) is not dict or not payload:
        raise wrong(f"A {kind} is a JSON object", f'Send {{"type": "{kind}", …}}.')
    if payload.get("type", None if required else kind) != kind:
        raise wrong(f'The type is "{kind}"', f'Write "type": "{kind}".', "type")
    return payload


def _members(payload: dict[str, Any], context: Context, expanded: tuple[str, ...]) -> dict[str, Any]:
    """What is known of a payload, by the names of `Subscription`. NGSI-LD Null stays what it is."""
    found: dict[str, Any] = {}
    for key, (name, read) in _MEMBERS.items():
        if key in payload:
            value = payload[key]
            is_null = value is None or value == NULL
            found[name] = NULL if is_null else read_at(key, read, value, context)
    texts = found.get("expand_values", expanded)
    if "q" in payload and found["q"] != NULL:
        found["q"] = read_at("q", _question(() if texts == NULL else texts), payload["q"], context)
    return found


# What must fit together


def _check_whole(one: Subscription, given: Collection[str], now: str) -> None:
    if one.entities is None and one.watched is None and not one.local_only:
        raise wrong(
            "A subscription says to what it is",
            "Give entities or watchedAttributes, or localOnly.",
            "entities",
        )
    if one.time_interval is not None:
        _check_periodic(one)
    if "expires_at" in given and one.expires_at is not None and one.status(now) == "expired":
        raise wrong("It would have expired already", "Give an instant in the future.", "expiresAt")
    if one.local_only is False and any(item.types is None for item in one.entities or ()):
        raise wrong('The type "*" means what is here', "Leave localOnly out.", "localOnly")


def _check_periodic(one: Subscription) -> None:
    if one.watched is not None or one.throttling is not None:
        name = "throttling" if one.watched is None else "watchedAttributes"
        raise wrong("Who is told at intervals watches nothing", f"Leave {name} or timeInterval out.", name)
    if one.entities is None and not one.local_only:
        raise wrong("Who is told at intervals says of what", "Give entities.", "entities")


def _question(expanded: Collection[str]) -> Read:
    def read(value: Any, context: Context) -> Question:
        if type(value) is not str:
            raise wrong("A query is a string", "Write it such as temperature>20.")
        # What is percent-encoded for a URL means the same here.
        try:
            return Question(value, parse_q(unquote(value), context, expand_values=expanded))
        except (BadRequestData, TooComplexQuery) as error:
            # Whoever reads the member says which it is.
            error.where = None
            raise

    return read


def _place(value: Any, context: Context) -> Place:
    if type(value) is not dict:
        raise wrong("A geoquery is an object", 'Write {"georel": …, "geometry": …, "coordinates": …}.')
    georel, geometry, coordinates = (value.get(key) for key in ("georel", "geometry", "coordinates"))
    geoproperty = value.get("geoproperty")
    if type(georel) is not str or type(geometry) is not str or coordinates is None:
        raise wrong("The geoquery is not whole", "It has georel, geometry and coordinates.")
    if geoproperty is not None and type(geoproperty) is not str:
        raise wrong("The name of an attribute is a string", "Write a name or an IRI.", "geoproperty")
    query = parse_geo_query(georel, geometry, coordinates, geoproperty, context)
    return Place(georel, geometry, coordinates, query, None if geoproperty is None else query.geoproperty)


def _scopes(value: Any, _context: Context) -> Scopes:
    if type(value) is not str:
        raise wrong("A scope query is a string", "Write it such as /Aarhus/#.")
    return Scopes(value, parse_scope_query(value))


def _selector(value: Any, context: Context) -> Selector:
    if type(value) is not dict or type(value.get("type")) is not str or not value["type"]:
        raise wrong(
            "An entity is selected by its type", 'Write {"type": "Building"}, or "*" for any.', "type"
        )
    ids = value.get("id", [])
    listed = ids if type(ids) is list else [ids]
    pattern = value.get("idPattern")
    if len(listed) > MAX_LISTED:
        raise wrong("There are too many ids", f"Give at most {MAX_LISTED}.", "id")
    if pattern is not None:
        if type(pattern) is not str:
            raise wrong("A pattern is a string", "Write a regular expression.", "idPattern")
        compile_pattern(pattern, where="idPattern")
    return Selector(
        parse_type_selection(value["type"], context), tuple(check_uri(one, "id") for one in listed), pattern
    )


_MEMBERS: dict[str, tuple[str, Read]] = {
    "id": ("id", uri),
    "subscriptionName": ("name", text),
    "description": ("description", text),
    "entities": ("entities", several(_selector, MAX_SELECTORS)),
    "watchedAttributes": ("watched", several(attribute)),
    "notificationTrigger": ("triggers", several(one_of(TRIGGERS))),
    "q": ("q", lambda value, _context: value),
    "geoQ": ("geo", _place),
    "scopeQ": ("scopes", _scopes),
    "csf": ("csf", _question(())),
    "datasetId": ("datasets", several(dataset)),
    "lang": ("lang", language),
    "expandValues": ("expand_values", attribute_list),
    "jsonKeys": ("json_keys", attribute_list),
    "expiresAt": ("expires_at", lambda value, _context: check_instant(value)),
    "isActive": ("is_active", flag),
    "jsonldContext": ("json_ld_context", uri),
    "localOnly": ("local_only", flag),
    "ngsildConformance": ("conformance", version),
    "splitEntities": ("split_entities", flag),
    "throttling": ("throttling", positive),
    "timeInterval": ("time_interval", positive),
    "notification": ("notification", read_notification),
}
