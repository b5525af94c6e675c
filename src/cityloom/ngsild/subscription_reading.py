"""From what a subscriber writes to a Subscription (ETSI GS CIM 009, 5.2.12 to 5.2.15, 5.8.1.4, 5.8.2.4).

Errors name the member at fault by its path. Members that the standard does not know are left out, and so are
those that the system writes by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from math import isfinite
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from cityloom.kernel.media_types import GEO_JSON, JSON, JSON_LD
from cityloom.ngsild.contexts import CORE, Context
from cityloom.ngsild.errors import BadRequestData, TooComplexQuery
from cityloom.ngsild.geo_query import parse_geo_query
from cityloom.ngsild.languages import parse_languages
from cityloom.ngsild.names import NULL, check_uri
from cityloom.ngsild.projection import Projection, parse_projection
from cityloom.ngsild.q_language import compile_pattern, parse_q
from cityloom.ngsild.scope_query import parse_scope_query
from cityloom.ngsild.subscription import (
    IDENTITY,
    TRIGGERS,
    Endpoint,
    Notification,
    Pair,
    Place,
    Question,
    Scopes,
    Selector,
    Subscription,
)
from cityloom.ngsild.type_selection import parse_type_selection
from cityloom.ngsild.values import check_instant, check_text, joined

#: Names, ids or selectors in one list; pairs for an endpoint; characters of a text.
MAX_LISTED = 1_000
MAX_SELECTORS = 100
MAX_PAIRS = 50
MAX_TEXT = 10_000
#: Seconds of a throttling or an interval, and milliseconds of a timeout or a cooldown: some 30 years.
MAX_NUMBER = 1e12
#: Levels of linked entities.
MAX_LEVELS = 10

_FORMATS = ("normalized", "concise", "simplified", "keyValues")
_ACCEPTED = (JSON, JSON_LD, GEO_JSON)
_JOINS = ("flat", "inline", "@none")
_SCHEMES = ("http", "https", "mqtt", "mqtts")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
#: Headers that belong to the way there, and not to who is notified.
_OWN_HEADERS = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "keep-alive"}
)
_VERSION = re.compile(r"\d{1,3}\.\d{1,3}")

_Read = Callable[[Any, Context], Any]


def parse_subscription(payload: Any, context: Context = CORE, *, id: str, now: str) -> Subscription:
    """A whole Subscription. `id` is taken where it brings none; `now` is an instant in UTC.

    Raises BadRequestData, TooComplexQuery.
    """
    found = _members(_object(payload, "Subscription", required=True), context, ())
    if NULL in found.values():
        raise _bad("Nothing can be deleted yet", "Leave the member out.")
    if found.get("notification") is None:
        raise _bad("A subscription says how to notify", "Add notification.endpoint.uri.", "notification")
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
        raise _bad("The id of a subscription stays", "Leave the member out.", "id")
    if found.get("notification", "") == NULL:
        raise _bad(
            "A subscription says how to notify", "Leave the member out, or replace it.", "notification"
        )
    changed = {name: None if value == NULL else value for name, value in found.items()}
    one = msgspec.structs.replace(old, **changed)
    _check_whole(one, frozenset(changed), now)
    return one, frozenset(changed)


def _object(payload: Any, kind: str, *, required: bool = False) -> dict[str, Any]:
    if type(payload) is not dict or not payload:
        raise _bad(f"A {kind} is a JSON object", f'Send {{"type": "{kind}", …}}.')
    if payload.get("type", None if required else kind) != kind:
        raise _bad(f'The type is "{kind}"', f'Write "type": "{kind}".', "type")
    return payload


def _members(payload: dict[str, Any], context: Context, expanded: tuple[str, ...]) -> dict[str, Any]:
    """What is known of a payload, by the names of `Subscription`. NGSI-LD Null stays what it is."""
    found: dict[str, Any] = {}
    for key, (name, read) in _MEMBERS.items():
        if key in payload:
            value = payload[key]
            is_null = value is None or value == NULL
            found[name] = NULL if is_null else _at(key, read, value, context)
    texts = found.get("expand_values", expanded)
    if "q" in payload and found["q"] != NULL:
        found["q"] = _at("q", _question(() if texts == NULL else texts), payload["q"], context)
    return found


def _at(key: str | int, read: _Read, value: Any, context: Context) -> Any:
    try:
        return read(value, context)
    except (BadRequestData, TooComplexQuery) as error:
        error.where = joined(key, error.where)
        raise


# What must fit together


def _check_whole(one: Subscription, given: Collection[str], now: str) -> None:
    if one.entities is None and one.watched is None and not one.local_only:
        raise _bad(
            "A subscription says to what it is",
            "Give entities or watchedAttributes, or localOnly.",
            "entities",
        )
    if one.time_interval is not None:
        _check_periodic(one)
    if "expires_at" in given and one.expires_at is not None and one.status(now) == "expired":
        raise _bad("It would have expired already", "Give an instant in the future.", "expiresAt")
    if one.local_only is False and any(item.types is None for item in one.entities or ()):
        raise _bad('The type "*" means what is here', "Leave localOnly out.", "localOnly")


def _check_periodic(one: Subscription) -> None:
    if one.watched is not None or one.throttling is not None:
        name = "throttling" if one.watched is None else "watchedAttributes"
        raise _bad("Who is told at intervals watches nothing", f"Leave {name} or timeInterval out.", name)
    if one.entities is None and not one.local_only:
        raise _bad("Who is told at intervals says of what", "Give entities.", "entities")


# Members


def _text(value: Any, _context: Context) -> str:
    if type(value) is not str or not value.strip() or len(value) > MAX_TEXT:
        raise _bad("A text is wanted", f"Give a string of at most {MAX_TEXT} characters.")
    return check_text(value)


def _flag(value: Any, _context: Context) -> bool:
    if type(value) is not bool:
        raise _bad("It is true or false", "Write true or false.")
    return value


def _positive(value: Any, _context: Context) -> float:
    if type(value) not in (int, float) or not isfinite(value) or not 0 < value <= MAX_NUMBER:
        raise _bad("A number greater than 0 is wanted", "Give a number greater than 0.")
    number: float = value
    return number


def _level(value: Any, _context: Context) -> int:
    if type(value) is not int or not 1 <= value <= MAX_LEVELS:
        raise _bad("A number of levels is wanted", f"Give a whole number from 1 to {MAX_LEVELS}.")
    return value


def _uri(value: Any, _context: Context) -> str:
    return check_uri(value, "")


def _one_of(choices: Collection[str]) -> _Read:
    def read(value: Any, _context: Context) -> Any:
        if value not in choices:
            raise _bad(f"{str(value)[:40]!a} is not known here", f"Choose of {', '.join(choices)}.")
        return value

    return read


def _several(read: _Read, most: int = MAX_LISTED) -> _Read:
    def read_all(value: Any, context: Context) -> Any:
        if type(value) is not list or not 1 <= len(value) <= most:
            raise _bad("A list is wanted, and not an empty one", f"Give an array of 1 to {most} items.")
        return tuple(_at(place, read, item, context) for place, item in enumerate(value))

    return read_all


def _attribute(value: Any, context: Context) -> str:
    if type(value) is not str:
        raise _bad("The name of an attribute is a string", "Write a name or an IRI.")
    return context.expand(value)


def _plain_attribute(value: Any, context: Context) -> str:
    if value in IDENTITY:
        raise _bad(f"{value} is no attribute", "Use pick instead of attributes.")
    return _attribute(value, context)


def _projection(value: Any, context: Context) -> Projection:
    terms = _several(_text)(value, context)
    return parse_projection(",".join(terms), context)


def _dataset(value: Any, _context: Context) -> str:
    return "@none" if value == "@none" else check_uri(value, "")


def _attribute_list(value: Any, context: Context) -> tuple[str, ...]:
    parts = [part.strip() for part in _text(value, context).split(",")]
    if len(parts) > MAX_LISTED:
        raise _bad("It has too many names", f"Give at most {MAX_LISTED}.")
    return tuple(map(context.expand, parts))


def _language(value: Any, context: Context) -> str:
    parse_languages(_text(value, context))
    return str(value)


def _version(value: Any, _context: Context) -> str:
    if type(value) is not str or not _VERSION.fullmatch(value):
        raise _bad("A version is wanted", "Write it such as 1.6.")
    return value


def _question(expanded: Collection[str]) -> _Read:
    def read(value: Any, context: Context) -> Question:
        if type(value) is not str:
            raise _bad("A query is a string", "Write it such as temperature>20.")
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
        raise _bad("A geoquery is an object", 'Write {"georel": …, "geometry": …, "coordinates": …}.')
    georel, geometry, coordinates = (value.get(key) for key in ("georel", "geometry", "coordinates"))
    geoproperty = value.get("geoproperty")
    if type(georel) is not str or type(geometry) is not str or coordinates is None:
        raise _bad("The geoquery is not whole", "It has georel, geometry and coordinates.")
    if geoproperty is not None and type(geoproperty) is not str:
        raise _bad("The name of an attribute is a string", "Write a name or an IRI.", "geoproperty")
    query = parse_geo_query(georel, geometry, coordinates, geoproperty, context)
    return Place(georel, geometry, coordinates, query, None if geoproperty is None else query.geoproperty)


def _scopes(value: Any, _context: Context) -> Scopes:
    if type(value) is not str:
        raise _bad("A scope query is a string", "Write it such as /Aarhus/#.")
    return Scopes(value, parse_scope_query(value))


def _selector(value: Any, context: Context) -> Selector:
    if type(value) is not dict or type(value.get("type")) is not str or not value["type"]:
        raise _bad("An entity is selected by its type", 'Write {"type": "Building"}, or "*" for any.', "type")
    ids = value.get("id", [])
    listed = ids if type(ids) is list else [ids]
    pattern = value.get("idPattern")
    if len(listed) > MAX_LISTED:
        raise _bad("There are too many ids", f"Give at most {MAX_LISTED}.", "id")
    if pattern is not None:
        if type(pattern) is not str:
            raise _bad("A pattern is a string", "Write a regular expression.", "idPattern")
        compile_pattern(pattern, where="idPattern")
    return Selector(
        parse_type_selection(value["type"], context), tuple(check_uri(one, "id") for one in listed), pattern
    )


# How to notify


def _notification(value: Any, context: Context) -> Notification:
    if type(value) is not dict:
        raise _bad("A notification is an object", 'Write {"endpoint": {"uri": …}}.')
    found = {
        name: _at(key, read, value[key], context)
        for key, (name, read) in _NOTIFICATION.items()
        if key in value
    }
    if "endpoint" not in found:
        raise _bad("There is nobody to notify", "Give endpoint.uri.", "endpoint")
    one = Notification(**found)
    if one.show_changes and one.format in ("keyValues", "simplified"):
        raise _bad("What was before is not told in this format", "Leave showChanges out.", "showChanges")
    _check_projection(one)
    return one


def _check_projection(one: Notification) -> None:
    """What is shown is said once (4.21)."""
    if one.attributes is not None and not (one.pick is None and one.omit is None):
        raise _bad("attributes stands for pick", "Leave attributes out.", "attributes")
    pick, omit = one.pick or Projection(), one.omit or Projection()
    both = {name for name in pick.members & omit.members if name not in {*pick.linked, *omit.linked}}
    if both:
        raise _bad(f"{min(both)[:60]!a} is picked and omitted", "Leave it out of one of them.", "omit")
    levels = (one.join_level or 1) if one.join in ("flat", "inline") else 0
    if max(pick.depth, omit.depth) > levels:
        raise _bad(
            f"It reaches further into linked entities than {levels} levels",
            "Ask with join and joinLevel.",
            "pick",
        )


def _endpoint(value: Any, context: Context) -> Endpoint:
    if type(value) is not dict or "uri" not in value:
        raise _bad("An endpoint has an address", 'Write {"uri": "https://…"}.', "uri")
    found = {
        name: _at(key, read, value[key], context) for key, (name, read) in _ENDPOINT.items() if key in value
    }
    one = Endpoint(**found)
    parts = urlsplit(one.uri)
    if parts.scheme.lower() not in _SCHEMES:
        raise _bad(
            f"Nothing is sent by {parts.scheme[:20]!a} here", f"Use one of {', '.join(_SCHEMES)}.", "uri"
        )
    if parts.scheme.lower().startswith("mqtt"):
        _check_topic(one, parts.path)
    else:
        _check_headers(one)
    return one


#: Bytes of a topic of MQTT.
_LONGEST_TOPIC = 65_535


def _check_topic(one: Endpoint, path: str) -> None:
    """An MQTT endpoint (7.2): mqtt[s]://[user[:password]@]host[:port]/topic[/subtopic]*."""
    # As it is sent: what is percent-encoded is no less a wildcard, nor less the broker's own.
    topic = unquote(path.removeprefix("/"))
    if not topic or topic.startswith("$") or any(mark in topic for mark in "+#\0\N{REPLACEMENT CHARACTER}"):
        raise _bad("The address names no topic", "Write it such as mqtt://broker.example/city/air.", "uri")
    if len(topic.encode()) > _LONGEST_TOPIC:
        raise _bad("The topic is too long", f"Give one of at most {_LONGEST_TOPIC} bytes.", "uri")
    for key, choices in (("MQTT-QoS", ("0", "1", "2")), ("MQTT-Version", ("mqtt3.1.1", "mqtt5.0"))):
        said = one.setting(key)
        if said is not None and said not in choices:
            raise _bad(f"{key} cannot be {said[:20]!a}", f"Choose of {', '.join(choices)}.", "notifierInfo")


def _check_headers(one: Endpoint) -> None:
    for pair in one.receiver_info or ():
        known = _HEADER.fullmatch(pair.key) and pair.key.lower() not in _OWN_HEADERS
        if not known or not pair.value.isprintable() or not pair.value.isascii():
            raise _bad(
                f"{pair.key[:40]!a} with this value is no header that can be sent",
                "Use the name of a header that is about the receiver, and printable ASCII.",
                "receiverInfo",
            )


def _pair(value: Any, _context: Context) -> Pair:
    if type(value) is not dict or not (type(value.get("key")) is type(value.get("value")) is str):
        raise _bad("A key and its value are strings", 'Write {"key": …, "value": …}.')
    if len(value["key"]) > 100 or len(value["value"]) > MAX_TEXT:
        raise _bad("The pair is too long", f"Use at most 100 and {MAX_TEXT} characters.")
    return Pair(check_text(value["key"]), check_text(value["value"]))


def _bad(message: str, hint: str, where: str | None = None) -> BadRequestData:
    return BadRequestData(message, hint=hint, where=where)


_MEMBERS: dict[str, tuple[str, _Read]] = {
    "id": ("id", _uri),
    "subscriptionName": ("name", _text),
    "description": ("description", _text),
    "entities": ("entities", _several(_selector, MAX_SELECTORS)),
    "watchedAttributes": ("watched", _several(_attribute)),
    "notificationTrigger": ("triggers", _several(_one_of(TRIGGERS))),
    "q": ("q", lambda value, _context: value),
    "geoQ": ("geo", _place),
    "scopeQ": ("scopes", _scopes),
    "csf": ("csf", _question(())),
    "datasetId": ("datasets", _several(_dataset)),
    "lang": ("lang", _language),
    "expandValues": ("expand_values", _attribute_list),
    "jsonKeys": ("json_keys", _attribute_list),
    "expiresAt": ("expires_at", lambda value, _context: check_instant(value)),
    "isActive": ("is_active", _flag),
    "jsonldContext": ("json_ld_context", _uri),
    "localOnly": ("local_only", _flag),
    "ngsildConformance": ("conformance", _version),
    "splitEntities": ("split_entities", _flag),
    "throttling": ("throttling", _positive),
    "timeInterval": ("time_interval", _positive),
    "notification": ("notification", _notification),
}
_NOTIFICATION: dict[str, tuple[str, _Read]] = {
    "endpoint": ("endpoint", _endpoint),
    "attributes": ("attributes", _several(_plain_attribute)),
    "pick": ("pick", _projection),
    "omit": ("omit", _projection),
    "format": ("format", _one_of(_FORMATS)),
    "join": ("join", _one_of(_JOINS)),
    "joinLevel": ("join_level", _level),
    "showChanges": ("show_changes", _flag),
    "sysAttrs": ("sys_attrs", _flag),
}
_ENDPOINT: dict[str, tuple[str, _Read]] = {
    "uri": ("uri", _uri),
    "accept": ("accept", _one_of(_ACCEPTED)),
    "timeout": ("timeout", _positive),
    "cooldown": ("cooldown", _positive),
    "receiverInfo": ("receiver_info", _several(_pair, MAX_PAIRS)),
    "notifierInfo": ("notifier_info", _several(_pair, MAX_PAIRS)),
}
