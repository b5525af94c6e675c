"""The readings of personal attributes, sealed in the history and what it writes: archive, exports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import orjson

from cityloom.adapters.sealed.sealing import Sealing, is_sealed
from cityloom.history.model import EntityNews, Integers, NewReading, ReadingBatch, Readings, Series, ValueKind
from cityloom.people.personal import PersonalType

_READING = b"reading"


class SealedReadings:
    """What goes into a history, and what is read from it."""

    def __init__(self, sealing: Sealing) -> None:
        self._sealing = sealing

    def is_personal(self, news: EntityNews) -> bool:
        """Whether an Entity is of a type of which something is somebody's own."""
        return self._sealing.personal.of(news.types) is not None

    def sealed(self, batch: ReadingBatch) -> ReadingBatch:
        """The news as the disk may know them."""
        rule_of = self._sealing.personal.of
        return [
            news if (rule := rule_of(news.types)) is None or not news.readings else self._news(rule, news)
            for news in batch
        ]

    def opened(self, readings: Readings, known: Callable[[Integers], list[Series]]) -> Readings:
        """Readings as they were, without those whose key is gone. `known` tells the series of numbers."""
        rows = np.flatnonzero(readings.kind == ValueKind.TEXT)
        rows = rows[[is_sealed(text) for text in readings.text[rows]]] if len(rows) else rows
        if not len(rows):
            return readings
        columns: list[Any] = [column.copy() for column in readings]
        readings = Readings(*columns)
        kept = np.ones(len(readings.kind), np.bool_)
        keys = {one.id: one.key for one in known(np.unique(readings.series[rows]))}
        for row in rows.tolist():
            key, text = keys.get(int(readings.series[row])), readings.text[row]
            plain = None
            if key is not None:
                plain = self._sealing.opened_text(key.tenant, key.entity_id, text, _READING)
            if plain is None:
                kept[row] = False
                continue
            if plain == text:
                continue  # It only begins as a sealed one does.
            kind, number, text, details = orjson.loads(plain)
            readings.kind[row], readings.text[row], readings.details[row] = kind, text, details
            readings.number[row] = np.nan if number is None else number
        return readings if kept.all() else readings.taken(np.flatnonzero(kept))

    def _news(self, rule: PersonalType, news: EntityNews) -> EntityNews:
        return msgspec.structs.replace(
            news,
            readings=tuple(
                self._reading(news, one) if rule.covers(one.attribute) else one for one in news.readings
            ),
        )

    def _reading(self, news: EntityNews, reading: NewReading) -> NewReading:
        if reading.kind is ValueKind.NOTHING:
            return reading
        said: list[Any] = [int(reading.kind), reading.number, reading.text, reading.details]
        text = self._sealing.text(news.tenant, news.entity_id, orjson.dumps(said).decode(), _READING)
        return msgspec.structs.replace(reading, kind=ValueKind.TEXT, number=None, text=text, details=None)
