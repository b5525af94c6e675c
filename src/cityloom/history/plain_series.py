"""Instances that are observed numbers and nothing more, as most are: told by columns. Pure."""

from __future__ import annotations

from collections import Counter

import msgspec
import numpy as np
import orjson

from cityloom.history.instances import instance_stem, instants
from cityloom.history.model import SCOPE, Integers, Readings, Series, SeriesKey, ValueKind


class PlainSeries(msgspec.Struct, frozen=True):
    """The instances of one attribute: columns of equal length, in the order of time."""

    key: SeriesKey
    values: list[float]
    #: Milliseconds since 1970, and the same as NGSI-LD writes it (4.6.3).
    millis: list[int]
    observed_at: list[str]

    def pairs(self) -> list[tuple[float, str]]:
        """As 4.5.9 tells them."""
        return list(zip(self.values, self.observed_at, strict=True))

    def json(self, *, concise: bool) -> orjson.Fragment:
        """The array of instances as 4.5.7 tells them, without the system's times."""
        begin = '{"value":' if concise else f'{{"type":"{self.key.attribute_type}","value":'
        begin_of_id = f',"instanceId":"{instance_stem(self.key)}'
        members = {"unitCode": self.key.unit_code, "datasetId": self.key.dataset}
        more = {name: value for name, value in members.items() if value}
        end = '"' + ("," + orjson.dumps(more).decode()[1:] if more else "}")
        numbers = orjson.dumps(self.values).decode()[1:-1].split(",")
        told = [
            f'{begin}{value}{begin_of_id}{at:x}","observedAt":"{text}{end}'
            for value, at, text in zip(numbers, self.millis, self.observed_at, strict=True)
        ]
        return orjson.Fragment(f"[{','.join(told)}]")


def plain_series(series: dict[int, Series], found: Readings) -> tuple[dict[int, PlainSeries], Integers]:
    """Those series that can be told by columns, by their numbers, and the places of all other rows.

    They are the only series of their attribute in the answer.
    """
    if not len(found.at):
        return {}, np.empty(0, np.int64)
    is_plain = (found.kind == ValueKind.NUMBER) & found.observed
    nothing = np.array(None, object)
    is_plain &= np.equal(found.details, nothing) & np.equal(found.instance, nothing)
    order = np.argsort(found.series, kind="stable")
    numbers = found.series[order]
    starts = np.flatnonzero(np.concatenate([[True], numbers[1:] != numbers[:-1]]))
    ends = [*starts[1:].tolist(), len(order)]
    whole = np.logical_and.reduceat(is_plain[order], starts).tolist()
    present = numbers[starts].tolist()
    shared = Counter(series[number].key[:3] for number in present)
    values, millis = found.number[order].tolist(), found.at[order].tolist()
    texts = instants(found.at[order])
    plain: dict[int, PlainSeries] = {}
    rest = [np.empty(0, np.int64)]
    for number, start, end, is_whole in zip(present, starts.tolist(), ends, whole, strict=True):
        key = series[number].key
        if is_whole and shared[key[:3]] == 1 and key.attribute_type == "Property" and key.attribute != SCOPE:
            plain[number] = PlainSeries(key, values[start:end], millis[start:end], texts[start:end])
        else:
            rest.append(order[start:end])
    return plain, np.sort(np.concatenate(rest))
