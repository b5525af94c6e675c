"""From a query to the texts that ask for it elsewhere (ETSI GS CIM 009, 4.9, 4.10, 4.17, 4.19).

What cannot be written with a reader's @context, such as a name that has no term there, is left out of the
filters: what comes back is then more than was asked for, and is filtered by whoever asked.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from cityloom.ngsild.contexts import Context
from cityloom.ngsild.geo_query import GeoQuery
from cityloom.ngsild.q_language import And, Compare, Exists, Located, Or, Path, Range, Term, Value
from cityloom.ngsild.scope_query import ScopePattern, ScopeQuery
from cityloom.ngsild.type_selection import TypeSelection

_WRITABLE = re.compile(r"[^\W\d_]\w*(?::[^\W\d_]\w*)?")


class _NotWritable(Exception):
    """Something has no form that the query language can hold."""


def write_types(selection: TypeSelection, context: Context) -> str:
    """The text of `type`: Building|(Home;Vehicle)."""
    parts = []
    for names in selection.alternatives:
        words = [context.compact(name) for name in names]
        parts.append(words[0] if len(words) == 1 else f"({';'.join(words)})")
    return ",".join(parts)


def write_q(term: Term, context: Context) -> str | None:
    """The text of `q`; None where it cannot be written with this @context."""
    try:
        return _term(term, context)
    except _NotWritable:
        return None


def write_scopes(query: ScopeQuery) -> str:
    """The text of `scopeQ`."""
    parts = []
    for patterns in query.alternatives:
        words = [_scope(pattern) for pattern in patterns]
        parts.append(words[0] if len(words) == 1 else f"({';'.join(words)})")
    return "|".join(parts)


def write_geo(query: GeoQuery, context: Context) -> dict[str, Any]:
    """georel, geometry, coordinates (decoded) and geoproperty."""
    relation: str = query.relation
    if query.max_distance is not None:
        relation = f"near;maxDistance=={query.max_distance:g}"
    elif query.min_distance is not None:
        relation = f"near;minDistance=={query.min_distance:g}"
    found = {
        "georel": relation,
        "geometry": query.geometry["type"],
        "coordinates": query.geometry["coordinates"],
    }
    if query.geoproperty != "location":
        found["geoproperty"] = context.compact(query.geoproperty)
    return found


def _scope(pattern: ScopePattern) -> str:
    return "/" + "/".join((*pattern.levels, *(("#",) if pattern.below else ())))


def _term(term: Term, context: Context) -> str:
    if isinstance(term, And):
        return ";".join(_grouped(part, context) for part in term.terms)
    if isinstance(term, Or):
        return "|".join(_grouped(part, context) for part in term.terms)
    if isinstance(term, Located):
        raise _NotWritable
    path = _path(term.path, context)
    if isinstance(term, Exists):
        return f"!{path}" if term.negated else path
    if isinstance(term, Compare):
        return f"{path}{term.operator}{_values(term.values)}"
    return f"{path}{'!~=' if term.negated else '~='}{_quoted(term.pattern)}"


def _grouped(term: Term, context: Context) -> str:
    text = _term(term, context)
    return f"({text})" if isinstance(term, And | Or) else text


def _path(path: Path, context: Context) -> str:
    text = ".".join(_name(name, context) for name in path.names)
    if path.members:
        text += f"[{'.'.join(path.members)}]"
    for hop in reversed(path.hops):
        types = ",".join(_name(name, context) for name in hop.types)
        text = f"{_name(hop.name, context)}{{{types + ':' if types else ''}{text}}}"
    return text


def _name(name: str, context: Context) -> str:
    text = context.compact(name)
    if not _WRITABLE.fullmatch(text):
        raise _NotWritable
    return text


def _values(values: tuple[Value, ...] | Range) -> str:
    if isinstance(values, Range):
        return f"{_value(values.low)}..{_value(values.high)}"
    return ",".join(map(_value, values))


def _value(value: Value) -> str:
    if value.kind == "boolean":
        return "true" if value.value else "false"
    if value.kind == "number":
        return orjson.dumps(int(value.value) if value.value.is_integer() else value.value).decode()
    if value.kind in ("string", "uri"):
        return _quoted(value.iri or value.value)
    return str(value.value)


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()
