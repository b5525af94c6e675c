"""The newest reading of each series, in columns: what a reading is compared with before it is kept. Pure."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from cityloom.history.model import Integers, Readings, ValueKind

#: The newest reading of a series: its instant, and what `said` makes of its value.
Newest = tuple[int, int, float]
#: Before any reading: there is none.
NEVER: Newest = (-(2**63), 254, 0.0)

#: Added to the kind of a value that is more than a number.
_MORE = 8
#: In the place of a kind: the store was not asked yet.
_UNMET = 255
_DIGEST = (1 << 53) - 1
#: Series that are looked through at once.
_LOOKED_AT = 1 << 17


def said(kind: int, number: float | None, text: str | None, details: str | None) -> tuple[int, float]:
    """What is kept of a value to tell it from another: all of a number, and of anything more a digest.

    Digests are those of this process: 53 bits that nobody outside can foresee.
    """
    if text is details is None:
        return kind, 0.0 if number is None else number
    if number is None and details is None:
        return kind + _MORE, float(hash(text) & _DIGEST)
    digits = None if number is None else repr(float(number))
    return kind + _MORE, float(hash((digits, text, details)) & _DIGEST)


def is_deletion(newest: Newest) -> bool:
    """Whether it marks that the attribute instance was deleted."""
    return newest[1] % _MORE == ValueKind.NOTHING


def _is_none(column: NDArray[np.object_]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = np.array(column == np.array(None), np.bool_)
    return found


class NewestReadings:
    """By the id of the series: `Newest`, or that the store was not asked yet."""

    def __init__(self) -> None:
        #: Instants, without those of series that are not met yet.
        self.at = array("q")
        self._kind = bytearray()
        self._said = array("d")

    def get(self, number: int) -> Newest:
        """The newest reading of a series that was met; NEVER where there is none."""
        return self.at[number], self._kind[number], self._said[number]

    def update(self, newest: Mapping[int, Newest]) -> None:
        """Take over newer readings."""
        ats, kinds, values = self.at, self._kind, self._said
        for number, said_of_it in newest.items():
            ats[number], kinds[number], values[number] = said_of_it

    def is_met(self, number: int) -> bool:
        """Whether the newest reading of a series is known."""
        return self._kind[number] != _UNMET

    @property
    def are_all_met(self) -> bool:
        """Whether the store need not be asked of any series; ids count from 1."""
        return self._kind.find(_UNMET, 1) < 0

    def unmet(self, first: int, end: int) -> Iterator[int]:
        """Series that the store must be asked of."""
        number = self._kind.find(_UNMET, first, end)
        while number >= 0:
            yield number
            number = self._kind.find(_UNMET, number + 1, end)

    def next_unmet(self, first: int) -> Iterator[Integers]:
        """The same from an id on, some at a time."""
        kinds = np.frombuffer(self._kind, np.uint8)
        for begin in range(first, len(kinds), _LOOKED_AT):
            yield begin + np.flatnonzero(kinds[begin : begin + _LOOKED_AT] == _UNMET)

    def meet(self, series: Integers, found: Readings) -> None:
        """What the store said of these series and others; of those it said nothing of it has no reading.

        `found` is ordered by series; of several readings of one the last one counts.
        """
        at, kind, value = NEVER
        ats = np.frombuffer(self.at, np.int64)
        kinds = np.frombuffer(self._kind, np.uint8)
        values = np.frombuffer(self._said, np.float64)
        ats[series], kinds[series], values[series] = at, kind, value
        newest = found.taken(np.flatnonzero(found.series != np.append(found.series[1:], -1)))
        ats[newest.series], kinds[newest.series] = newest.at, newest.kind
        values[newest.series] = np.nan_to_num(newest.number)
        for row in np.flatnonzero(~(_is_none(newest.text) & _is_none(newest.details))).tolist():
            number = float(newest.number[row])
            text = newest.text[row]
            known = None if text is not None or number != number else number
            place = newest.series[row]
            kinds[place], values[place] = said(int(newest.kind[row]), known, text, newest.details[row])

    def unmeet(self, number: int) -> None:
        """Have the store asked again."""
        self._kind[number] = _UNMET

    def reach(self, number: int) -> None:
        """Have rows for series as far as an id."""
        more = number + 1 - len(self._kind)
        self.at.frombytes(bytes(8 * more))
        self._kind.extend(bytes([_UNMET]) * more)
        self._said.frombytes(bytes(8 * more))
