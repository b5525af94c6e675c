"""Series as lines of EntityTemporal (ETSI GS CIM 009, 5.2.20), in bounded memory, and lines as readings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import orjson

from cityloom.history.extraction import news_of
from cityloom.history.instances import instances_of
from cityloom.history.model import EntityNews, Series, Window
from cityloom.history.past import Past, encode_past
from cityloom.history.ports import HistoryStore
from cityloom.history.temporal import TemporalEntity
from cityloom.history.temporal_representation import represent_temporal
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import DEFAULT_TENANT, Change, ChangeKind
from cityloom.ngsild.model import Document
from cityloom.ngsild.temporal_parse import parse_temporal_entity

#: Instances in one line; series and time (milliseconds) read at once.
IN_A_LINE = 5_000
_SERIES = 20
_SPAN = 86_400_000


def temporal_lines(
    store: HistoryStore, series: Sequence[Series], since: int, until: int
) -> Iterator[tuple[str, int]]:
    """Each line and how many instances it has; a long evolution takes several. Blocking."""
    ordered = sorted(series, key=lambda one: one.key.entity_id)
    for begin in range(0, len(ordered), _SERIES):
        some = {one.id: one for one in ordered[begin : begin + _SERIES]}
        extent = store.extent(Window(np.array(list(some), np.int64), since=since, until=until, marks="with"))
        if extent is None:
            continue
        for day in range(extent[0], extent[1] + 1, _SPAN):
            for entity_id, instances in _by_entity(store, some, day, min(day + _SPAN, extent[1] + 1)):
                for first in range(0, len(instances), IN_A_LINE):
                    part = instances[first : first + IN_A_LINE]
                    yield _line(entity_id, part), len(part)


def _by_entity(
    store: HistoryStore, some: dict[int, Series], since: int, until: int
) -> Iterator[tuple[str, list[tuple[Series, Document]]]]:
    together: dict[str, list[tuple[Series, Document]]] = {}
    window = Window(np.array(list(some), np.int64), since=since, until=until, marks="with")
    for number, instance in instances_of(some, store.raw(window)):
        one = some[number]
        together.setdefault(one.key.entity_id, []).append((one, instance))
    yield from together.items()


def _line(entity_id: str, instances: Sequence[tuple[Series, Document]]) -> str:
    attributes: dict[str, list[Document]] = {}
    for one, instance in instances:
        attributes.setdefault(one.key.attribute, []).append(instance)
    document = {"id": entity_id, "type": list(instances[0][0].types), "attrs": attributes}
    return orjson.dumps(represent_temporal(TemporalEntity(document), sys_attrs=True)).decode()


def news_in(line: bytes, at: int) -> EntityNews:
    """What a line tells history, told at an instant (milliseconds). Raises BadInput, BadRequestData."""
    told = orjson.loads(line)
    document = parse_temporal_entity(told)
    attributes = document["attrs"]
    for name, instances in attributes.items():
        for item, said in zip(instances, told.get(name, ()), strict=False):
            # Who reads an EntityTemporal of others leaves its times; here they are those of the readings.
            item |= {key: said[key] for key in ("createdAt", "modifiedAt") if key in said}
    return news_of(
        Change(
            sequence=0,
            tenant=DEFAULT_TENANT,
            entity_id=document["id"],
            types=tuple(document["type"]),
            kind=ChangeKind.PAST,
            information_class=InformationClass.OPEN,
            document=encode_past(Past(attributes)),
            attributes=tuple(attributes),
            at_millis=at,
            by="",
            trace="",
        )
    )
