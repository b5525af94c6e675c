"""Which registrations tell of sources that may know what is asked (ETSI GS CIM 009, 5.12, 5.10.2.4). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from cityloom.kernel.time import parse_instant
from cityloom.ngsild.errors import BadRequestData
from cityloom.ngsild.geo_query import GeoQuery, compile_geo
from cityloom.ngsild.model import Document
from cityloom.ngsild.parse import parse_attribute
from cityloom.ngsild.q_language import Term, compile_pattern
from cityloom.ngsild.q_matching import compile_q
from cityloom.ngsild.query import EntityQuery, EntitySelector
from cityloom.ngsild.registrations import EntityInfo, Registration, RegistrationInfo
from cityloom.ngsild.scope_query import ScopeQuery, compile_scopes
from cityloom.ngsild.temporal_query import TemporalWindow
from cityloom.ngsild.type_selection import TypeSelection

_SPACES = frozenset({"location", "observationSpace", "operationSpace"})


class Sought(msgspec.Struct, frozen=True):
    """What is asked of sources. Names are expanded; what is empty asks for anything."""

    #: Entities of one of these at least.
    selectors: tuple[EntitySelector, ...] = ()
    attributes: frozenset[str] = frozenset()
    dataset_ids: frozenset[str] = frozenset()
    #: None asks for what is known now, which sources with time intervals do not tell (5.9.1).
    window: TemporalWindow | None = None
    #: Conditions on the Context Source itself.
    csf: Term | None = None
    scope_q: ScopeQuery | None = None
    geo: GeoQuery | None = None


def sought_by(query: EntityQuery) -> Sought:
    """What a query for Entities asks of sources."""
    selectors: tuple[EntitySelector, ...] = query.selectors
    if query.ids:
        selectors = tuple(EntitySelector(query.type_expression, one) for one in query.ids)
    elif query.type_expression is not None or query.id_pattern is not None:
        selectors = (EntitySelector(query.type_expression, None, query.id_pattern),)
    return Sought(selectors=selectors, dataset_ids=frozenset(query.dataset_id))


def matching_information(registration: Registration, sought: Sought) -> tuple[int, ...]:
    """The places of the RegistrationInfo that match what is sought; empty where the source does not."""
    if not shares_datasets(registration, sought.dataset_ids):
        return ()
    if not _in_time(registration, sought.window):
        return ()
    return tuple(
        place for place, info in enumerate(registration.information) if information_matches(info, sought)
    )


def shares_datasets(registration: Registration, dataset_ids: Iterable[str]) -> bool:
    """Whether a source may have instances of one of the datasets; who names none is not narrowed (5.12)."""
    wanted = frozenset(dataset_ids)
    return not (wanted and registration.dataset_ids) or not wanted.isdisjoint(registration.dataset_ids)


def information_matches(info: RegistrationInfo, sought: Sought) -> bool:
    """Whether one RegistrationInfo matches the Entities and attributes that are sought (5.12)."""
    if info.attributes and sought.attributes and info.attributes.isdisjoint(sought.attributes):
        return False
    if not info.entities or not sought.selectors:
        return True
    return any(entity_matches(one, selector) for one in info.entities for selector in sought.selectors)


def entity_matches(info: EntityInfo, selector: EntitySelector) -> bool:
    """Whether an EntityInfo matches types, an id and a pattern of ids. An id goes before a pattern."""
    if not _types_match(info.types, selector.type_expression):
        return False
    if info.id is None and info.id_pattern is None:
        return True
    if selector.id is not None:
        if info.id is not None:
            return info.id == selector.id
        return _like(info.id_pattern or "", selector.id)
    if selector.id_pattern is None:
        return True
    return info.id is None or _like(selector.id_pattern, info.id)


def describes(info: RegistrationInfo, entity_id: str, types: tuple[str, ...]) -> bool:
    """Whether an Entity, whose types may be unknown (empty), is among those registered."""
    selection = TypeSelection(tuple((name,) for name in types)) if types else None
    selector = EntitySelector(selection, entity_id)
    return not info.entities or any(entity_matches(one, selector) for one in info.entities)


def context_source_filter(sought: Sought) -> Callable[[Registration], bool]:
    """A predicate for csf, scopeQ and geoquery of a discovery (5.10.2.4)."""
    tests: list[Callable[[Document], bool]] = []
    if sought.csf is not None:
        tests.append(compile_q(sought.csf))
    if sought.scope_q is not None:
        tests.append(compile_scopes(sought.scope_q))
    if sought.geo is not None:
        tests.append(_possibly_within(sought.geo))
    if not tests:
        return lambda _: True

    def matches(registration: Registration) -> bool:
        document = as_document(registration)
        return all(test(document) for test in tests)

    return matches


def in_reach(registration: Registration, geo: GeoQuery | None) -> bool:
    """Whether a source may have Entities at the place asked for; one that names no place may."""
    if geo is None or geo.geoproperty not in registration.document:
        return True
    return _possibly_within(geo)(as_document(registration))


def as_document(registration: Registration) -> Document:
    """A registration in the form of an Entity, so that the query language can look at its properties."""
    attributes: dict[str, Any] = {}
    for name, value in registration.document.items():
        if name in _SPACES:
            attributes[name] = [{"type": "GeoProperty", "value": value}]
        elif isinstance(value, str | int | float | bool):
            attributes[name] = [{"type": "Property", "value": value}]
    for name, value in registration.document.get("properties", {}).items():
        attributes[name] = [_property(value)]
    return {
        "id": registration.id,
        "type": ["ContextSourceRegistration"],
        "scope": registration.document.get("scope", []),
        "attrs": attributes,
    }


def _property(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        try:
            return parse_attribute(value)
        except BadRequestData:
            # It is no attribute: its whole JSON is the value.
            pass
    return {"type": "Property", "value": value}


def _types_match(types: tuple[str, ...], selection: TypeSelection | None) -> bool:
    if not types or selection is None:
        return True
    return any(set(names).issubset(types) for names in selection.alternatives)


def _like(pattern: str, entity_id: str) -> bool:
    return compile_pattern(pattern, where="idPattern").search(entity_id) is not None


def _possibly_within(geo: GeoQuery) -> Callable[[Document], bool]:
    """A place matches, or holds places that match."""
    direct = compile_geo(geo)
    if geo.relation in ("near", "disjoint", "intersects"):
        return direct
    touching = compile_geo(replace(geo, relation="intersects"))
    return lambda document: direct(document) or touching(document)


def _in_time(registration: Registration, window: TemporalWindow | None) -> bool:
    document = registration.document
    observed, managed = document.get("observationInterval"), document.get("managementInterval")
    if window is None:
        return observed is None and managed is None
    interval = observed if window.time_property == "observedAt" else managed
    return interval is not None and _overlaps(interval, window)


def _overlaps(interval: dict[str, str], window: TemporalWindow) -> bool:
    start = _moment(interval["startAt"])
    end = _moment(interval["endAt"]) if "endAt" in interval else None
    begins_in_time = window.until is None or start <= window.until
    return begins_in_time and (end is None or window.since is None or end >= window.since)


def _moment(text: str) -> datetime:
    return parse_instant(text, where="interval")
