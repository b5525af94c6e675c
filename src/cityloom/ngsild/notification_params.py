"""How a subscriber wants to be notified, and where: NotificationParams and Endpoint (ETSI GS CIM 009, 5.2.14,
5.2.15, 7.2).
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote, urlsplit

from cityloom.kernel.media_types import GEO_JSON, JSON, JSON_LD
from cityloom.ngsild.contexts import CORE, Context
from cityloom.ngsild.projection import Projection, parse_projection
from cityloom.ngsild.subscription import (
    IDENTITY,
    Endpoint,
    Notification,
    Pair,
)
from cityloom.ngsild.subscription_members import (
    MAX_TEXT,
    Read,
    attribute,
    flag,
    level,
    one_of,
    positive,
    read_at,
    several,
    text,
    uri,
    wrong,
)
from cityloom.ngsild.values import check_text

#: Pairs for an endpoint, of either kind.
MAX_PAIRS = 50

_FORMATS = ("normalized", "concise", "simplified", "keyValues")
_ACCEPTED = (JSON, JSON_LD, GEO_JSON)
_JOINS = ("flat", "inline", "@none")
_SCHEMES = ("http", "https", "mqtt", "mqtts")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
#: Headers that belong to the way there, and not to who is notified.
_OWN_HEADERS = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "keep-alive"}
)


def _plain_attribute(value: Any, context: Context) -> str:
    if value in IDENTITY:
        raise wrong(f"{value} is no attribute", "Use pick instead of attributes.")
    return attribute(value, context)


def _projection(value: Any, context: Context) -> Projection:
    terms = several(text)(value, context)
    return parse_projection(",".join(terms), context)


def read_notification(value: Any, context: Context) -> Notification:
    """NotificationParams. Raises BadRequestData."""
    if type(value) is not dict:
        raise wrong("A notification is an object", 'Write {"endpoint": {"uri": …}}.')
    found = {
        name: read_at(key, read, value[key], context)
        for key, (name, read) in _NOTIFICATION.items()
        if key in value
    }
    if "endpoint" not in found:
        raise wrong("There is nobody to notify", "Give endpoint.uri.", "endpoint")
    one = Notification(**found)
    if one.show_changes and one.format in ("keyValues", "simplified"):
        raise wrong("What was before is not told in this format", "Leave showChanges out.", "showChanges")
    _check_projection(one)
    return one


def _check_projection(one: Notification) -> None:
    """What is shown is said once (4.21)."""
    if one.attributes is not None and not (one.pick is None and one.omit is None):
        raise wrong("attributes stands for pick", "Leave attributes out.", "attributes")
    pick, omit = one.pick or Projection(), one.omit or Projection()
    both = {name for name in pick.members & omit.members if name not in {*pick.linked, *omit.linked}}
    if both:
        raise wrong(f"{min(both)[:60]!a} is picked and omitted", "Leave it out of one of them.", "omit")
    levels = (one.join_level or 1) if one.join in ("flat", "inline") else 0
    if max(pick.depth, omit.depth) > levels:
        raise wrong(
            f"It reaches further into linked entities than {levels} levels",
            "Ask with join and joinLevel.",
            "pick",
        )


def parse_endpoint(uri: Any, receiver_info: Any = None) -> Endpoint:
    """Where something other than a subscription tells of itself. Raises BadRequestData naming the member."""
    said = {"uri": uri} if receiver_info is None else {"uri": uri, "receiverInfo": receiver_info}
    return _endpoint(said, CORE)


def _endpoint(value: Any, context: Context) -> Endpoint:
    if type(value) is not dict or "uri" not in value:
        raise wrong("An endpoint has an address", 'Write {"uri": "https://…"}.', "uri")
    found = {
        name: read_at(key, read, value[key], context)
        for key, (name, read) in _ENDPOINT.items()
        if key in value
    }
    one = Endpoint(**found)
    parts = urlsplit(one.uri)
    if parts.scheme.lower() not in _SCHEMES:
        raise wrong(
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
        raise wrong("The address names no topic", "Write it such as mqtt://broker.example/city/air.", "uri")
    if len(topic.encode()) > _LONGEST_TOPIC:
        raise wrong("The topic is too long", f"Give one of at most {_LONGEST_TOPIC} bytes.", "uri")
    for key, choices in (("MQTT-QoS", ("0", "1", "2")), ("MQTT-Version", ("mqtt3.1.1", "mqtt5.0"))):
        said = one.setting(key)
        if said is not None and said not in choices:
            raise wrong(f"{key} cannot be {said[:20]!a}", f"Choose of {', '.join(choices)}.", "notifierInfo")


def _check_headers(one: Endpoint) -> None:
    for pair in one.receiver_info or ():
        known = _HEADER.fullmatch(pair.key) and pair.key.lower() not in _OWN_HEADERS
        if not known or not pair.value.isprintable() or not pair.value.isascii():
            raise wrong(
                f"{pair.key[:40]!a} with this value is no header that can be sent",
                "Use the name of a header that is about the receiver, and printable ASCII.",
                "receiverInfo",
            )


def _pair(value: Any, _context: Context) -> Pair:
    if type(value) is not dict or not (type(value.get("key")) is type(value.get("value")) is str):
        raise wrong("A key and its value are strings", 'Write {"key": …, "value": …}.')
    if len(value["key"]) > 100 or len(value["value"]) > MAX_TEXT:
        raise wrong("The pair is too long", f"Use at most 100 and {MAX_TEXT} characters.")
    return Pair(check_text(value["key"]), check_text(value["value"]))


_NOTIFICATION: dict[str, tuple[str, Read]] = {
    "endpoint": ("endpoint", _endpoint),
    "attributes": ("attributes", several(_plain_attribute)),
    "pick": ("pick", _projection),
    "omit": ("omit", _projection),
    "format": ("format", one_of(_FORMATS)),
    "join": ("join", one_of(_JOINS)),
    "joinLevel": ("join_level", level),
    "showChanges": ("show_changes", flag),
    "sysAttrs": ("sys_attrs", flag),
}
_ENDPOINT: dict[str, tuple[str, Read]] = {
    "uri": ("uri", uri),
    "accept": ("accept", one_of(_ACCEPTED)),
    "timeout": ("timeout", positive),
    "cooldown": ("cooldown", positive),
    "receiverInfo": ("receiver_info", several(_pair, MAX_PAIRS)),
    "notifierInfo": ("notifier_info", several(_pair, MAX_PAIRS)),
}
