"""From remembered readings to attribute instances and their ids (ETSI GS CIM 009, 4.5.7, 4.5.8). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from typing import Any, Literal, cast

import numpy as np
import orjson

from cityloom.history.model import SCOPE, Integers, Readings, Series, SeriesKey, ValueKind
from cityloom.ngsild.model import CONTENT_MEMBER, Instance
from cityloom.ngsild.names import NULL

_PREFIX = "urn:ngsi-ld:Instance:"
_DELETED_CONTENT: dict[str, Any] = {"LanguageProperty": {"@none": NULL}, "JsonProperty": NULL}

#: Instances of one series, in the order of rows.
Rows = Iterable[int]


@lru_cache(maxsize=16_384)
def instance_stem(key: SeriesKey) -> str:
    """What the instanceIds of a series have in common.

    Made of what every reader of the instance sees: numbers of series and changes count what is secret too.
    """
    return f"{_PREFIX}{sha256(repr(key[1:]).encode()).hexdigest()[:24]}-"


def instance_id(key: SeriesKey, at: int) -> str:
    """The identifier of the instance of an instant: it stays the same when its value is corrected."""
    return f"{instance_stem(key)}{at:x}"


def instant_in(identifier: str) -> int | None:
    """The instant in an identifier that `instance_id` made; None in one that it did not make."""
    _, _, instant = identifier.removeprefix(_PREFIX).partition("-")
    try:
        return int(instant, 16)
    except ValueError:
        return None


def instants(millis: Integers) -> list[str]:
    """Milliseconds since 1970 as NGSI-LD writes instants (4.6.3); many at once."""
    if not len(millis):
        return []
    # Readings that come together share their instants: each is written once.
    distinct, place = np.unique(millis, return_inverse=True)
    whole = distinct % 1000 == 0
    unit: Literal["s", "ms"] = "s" if bool(whole.all()) else "ms"
    texts = np.datetime_as_string(cast(Any, distinct.astype("datetime64[ms]")), unit=unit).tolist()
    if unit == "ms":
        texts = [text[:-4] if cut else text for text, cut in zip(texts, whole.tolist(), strict=True)]
    written = [f"{text}Z" for text in texts]
    return [written[at] for at in place.tolist()]


def instances_of(series: dict[int, Series], found: Readings) -> list[tuple[int, Instance]]:
    """Each row as (number of its series, instance), in the order of the rows.

    An instance has "instanceId", the system's times, and "deletedAt" where it says that the attribute was
    deleted.
    """
    at, recorded, created = instants(found.at), instants(found.recorded_at), instants(found.created_at)
    values = _values(found)
    numbers = found.series.tolist()
    millis = found.at.tolist()
    observed, kinds = found.observed.tolist(), found.kind.tolist()
    details, own = found.details.tolist(), found.instance.tolist()
    shapes = {number: _shape(one) for number, one in series.items()}
    told: list[tuple[int, Instance]] = []
    for row, number in enumerate(numbers):
        kind, member, stem, more, is_scope = shapes[number]
        instance: Instance = {"type": kind, member: values[row]}
        if not is_scope:
            instance["instanceId"] = own[row] or f"{stem}{millis[row]:x}"
        if kinds[row] == ValueKind.NOTHING:
            instance[member] = [] if is_scope else _DELETED_CONTENT.get(kind, NULL)
            instance["deletedAt"] = created[row]
        else:
            instance["createdAt"] = created[row]
        instance["modifiedAt"] = recorded[row]
        # That a scope was removed is observed by nobody: it is written, at deletedAt.
        if observed[row] and not (is_scope and "deletedAt" in instance):
            instance["observedAt"] = at[row]
        if more:
            instance.update(more)
        if details[row] is not None:
            instance.update(orjson.loads(details[row]))
        told.append((number, instance))
    return told


def _values(found: Readings) -> list[Any]:
    if bool((found.kind == ValueKind.NUMBER).all()):
        return cast("list[Any]", found.number.tolist())
    return [found.value(row) for row in range(len(found.at))]


def _shape(one: Series) -> tuple[str, str, str, dict[str, str], bool]:
    """Of the instances of a series: type, content's member, what identifiers begin with, other members."""
    more = {}
    if one.key.unit_code:
        more["unitCode"] = one.key.unit_code
    if one.key.dataset:
        more["datasetId"] = one.key.dataset
    kind = one.key.attribute_type
    return kind, CONTENT_MEMBER[kind], instance_stem(one.key), more, one.key.attribute == SCOPE
