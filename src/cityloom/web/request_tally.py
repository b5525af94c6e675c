"""What is asked of the city, how often it is answered how, and what took longest.

Kept of a slow request: which operation, how long, and the shape of what was asked. No value of it is kept but
the Entity types it names: ids, filters and texts may say something about somebody.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec
from starlette.types import Scope

from cityloom.kernel.measures import Durations
from cityloom.web.ngsild.operations import Operation

_log = logging.getLogger(__name__)
#: Method, address and status. The address is that of the operation, never what somebody wrote in it.
Key = tuple[str, str, int]
#: How many slow requests are kept, for how long, and from how many seconds a request is slow.
MOST_SLOW = 20
SLOW_KEPT_S = 3600.0
SLOW_S = 0.25
#: What is not an operation of NGSI-LD, by the beginning of its path.
_BESIDE = {"/ogc/": "features", "/sta/": "sensorthings", "/static/": "static", "/hooks/": "hooks"}
_MOST_TYPES = 5
_LONGEST_TYPE = 100


class Slow(msgspec.Struct, frozen=True):
    """One request that took long."""

    #: On the machine's monotonic clock, when it was answered.
    at: float
    seconds: float
    status: int
    method: str
    address: str
    #: The names of its parameters, with how long their values are: "q (45 characters)".
    asked: tuple[str, ...]
    #: The types it names.
    types: tuple[str, ...]


class RequestTally:
    """Lives on the event loop. With `told` each request is written to the log, too."""

    def __init__(self, *, told: bool = False) -> None:
        self._told = told
        self.answered: dict[Key, Durations] = {}
        #: What was turned away before it was looked at, by the reason.
        self.refused: Counter[str] = Counter()
        self._slow: list[Slow] = []
        self._slow_from = SLOW_S

    def note(self, scope: Scope, status: int, seconds: float) -> None:
        """A request of the API was answered."""
        operation: Operation | None = scope["state"].get("operation")
        # What is no operation is one row, whatever somebody calls it.
        key = ("", "", status) if operation is None else (operation.method, operation.path, status)
        found = self.answered.get(key)
        if found is None:
            found = self.answered[key] = Durations()
        found.note(seconds)
        if seconds >= self._slow_from:
            self._keep(key, seconds, scope)
        if self._told:
            _tell(key, seconds)

    def note_beside(self, scope: Scope, status: int, seconds: float) -> None:
        """A request of a page or of another interface got the beginning of its answer."""
        path = str(scope.get("path", ""))
        address = next((name for begin, name in _BESIDE.items() if path.startswith(begin)), "page")
        method = str(scope.get("method", ""))
        key = (method if method in ("GET", "POST") else "", address, status)
        self.answered.setdefault(key, Durations()).note(seconds)
        if seconds >= self._slow_from:
            self._keep(key, seconds, scope)
        if self._told:
            _tell(key, seconds)

    def slowest(self) -> list[Slow]:
        """The slowest of the last hour, the slowest first."""
        since = time.monotonic() - SLOW_KEPT_S
        self._slow = [one for one in self._slow if one.at >= since]
        self._slow_from = self._slow[-1].seconds if len(self._slow) >= MOST_SLOW else SLOW_S
        return list(self._slow)

    def _keep(self, key: Key, seconds: float, scope: Scope) -> None:
        asked, types = shape_of(scope.get("query_string", b""))
        self._slow.append(Slow(time.monotonic(), seconds, key[2], key[0], key[1], asked, types))
        self._slow.sort(key=lambda one: -one.seconds)
        self.slowest()
        del self._slow[MOST_SLOW:]
        self.slowest()


def _tell(key: Key, seconds: float) -> None:
    method, address, status = key
    figures = {
        "method": method,
        "address": address,
        "status": status,
        "milliseconds": round(seconds * 1000, 3),
    }
    _log.info("%s %s %d in %.1f ms", method, address, status, seconds * 1000, extra={"figures": figures})


def shape_of(query: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The parameters of a request without their values, and the types among them."""
    asked: list[str] = []
    types: list[str] = []
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=100)
    except ValueError:
        return ("too many parameters",), ()
    for name, value in pairs:
        if name == "type":
            types += [one[:_LONGEST_TYPE] for one in value.split(",")]
        shown = name if name in _KNOWN else "another parameter"
        asked.append(shown if name in _PLAIN else f"{shown} ({len(unquote(value))} characters)")
    return tuple(dict.fromkeys(asked)), tuple(types[:_MOST_TYPES])


_PLAIN = frozenset({"type", "options", "format", "limit", "offset", "count", "local"})
_KNOWN = _PLAIN | {
    "id",
    "idPattern",
    "attrs",
    "pick",
    "omit",
    "q",
    "csf",
    "georel",
    "geometry",
    "coordinates",
    "geoproperty",
    "geometryProperty",
    "scopeQ",
    "lang",
    "orderBy",
    "collation",
    "join",
    "joinLevel",
    "containedBy",
    "datasetId",
    "entityMap",
    "timerel",
    "timeAt",
    "endTimeAt",
    "timeproperty",
    "lastN",
    "aggrMethods",
    "aggrPeriodDuration",
    "bbox",
    "datetime",
    "filter",
    "$filter",
    "$expand",
    "$select",
    "$orderby",
    "$top",
    "$skip",
    "$count",
}


def group_of(method: str, address: str) -> str:
    """The class of an operation: its resource, and whether it reads or writes."""
    if not address.startswith("/"):
        return address or "unknown"
    resource = address.strip("/").split("/")[0]
    reads = method == "GET" or address.endswith("/entityOperations/query")
    return f"{resource}_{'read' if reads else 'write'}"


def summed(answered: dict[Key, Durations]) -> dict[str, Durations]:
    """Durations by the class of operation, statuses together."""
    found: dict[str, Any] = {}
    for (method, address, _), durations in list(answered.items()):
        found.setdefault(group_of(method, address), Durations()).add(durations)
    return found
