"""What a portion of a table means to the series that are there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np

from cityloom.history.directory import SeriesDirectory
from cityloom.history.loads import Bringing, Brought, LoadRecord, Portion
from cityloom.history.model import Integers, Series

#: What a record has that `bring` writes.
_TALLIES = ("rows", "kept", "known", "corrected")


def resolve(directory: SeriesDirectory, wanted: Sequence[Bringing]) -> tuple[list[Series], list[int]]:
    """The series to create, and the number of each that is wanted."""
    created: list[Series] = []
    numbers: list[int] = []
    number = directory.next_id
    for one in wanted:
        known = directory.live(one.key)
        if known is None and one.retired:
            known = _retired(directory, one)
        if known is None:
            created.append(Series(number, one.key, one.types, one.information_class, one.retired))
            known, number = number, number + 1
        numbers.append(known)
    return created, numbers


def late(directory: SeriesDirectory, firsts: Mapping[int, int], created: Iterable[Series]) -> list[int]:
    """The series, of those with their first instant in a portion, that may have readings from there on."""
    fresh = {one.id for one in created}
    return [
        number
        for number, first in firsts.items()
        if number not in fresh and not directory.all_before(number, first)
    ]


def siblings(
    directory: SeriesDirectory, created: Iterable[Series], numbers: Iterable[int]
) -> tuple[Integers, Integers] | None:
    """Pairs of a series of the portion and one of the same attribute instance in another unit."""
    pairs: list[tuple[int, int]] = []
    keys = {one.id: one.key for one in created}
    for number in set(numbers):
        if number not in keys and number not in directory.siblings:
            continue
        key = keys.get(number) or directory.get(number).key
        pairs += [(number, other) for other in directory.of_instance(key) if other != number]
    if not pairs:
        return None
    table = np.array(pairs, np.int64)
    return table[:, 0], table[:, 1]


def kept_as(record: LoadRecord, there: LoadRecord | None, last: int) -> LoadRecord:
    """A record to be kept: with the tallies of the one that is there, or the number after the last."""
    if there is None:
        return msgspec.structs.replace(record, number=last + 1)
    tallies = {name: getattr(there, name) for name in _TALLIES}
    return msgspec.structs.replace(record, number=there.number, **tallies)


def advanced(record: LoadRecord, portion: Portion, brought: Brought) -> LoadRecord:
    """The record of a load once a portion is done with."""
    return msgspec.structs.replace(
        record,
        rows=portion.end,
        kept=record.kept + brought.kept,
        known=record.known + brought.known,
        corrected=record.corrected + brought.corrected,
    )


def _retired(directory: SeriesDirectory, one: Bringing) -> int | None:
    """A retired series of the same key and class."""
    for number in directory.of_instance(one.key):
        there = directory.get(number)
        if there.key == one.key and there.information_class == one.information_class:
            return number
    return None
