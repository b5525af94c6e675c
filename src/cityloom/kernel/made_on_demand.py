"""A sequence whose items are made when they are looked at, so that not all of them are there at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, overload

Given = TypeVar("Given")
Made = TypeVar("Made")


class MadeOnDemand(Sequence[Made], Generic[Given, Made]):
    """What `make` makes of each item of another sequence, anew each time that it is looked at."""

    def __init__(self, make: Callable[[Given], Made], given: Sequence[Given]) -> None:
        self._make = make
        self._given = given

    def __len__(self) -> int:
        return len(self._given)

    @overload
    def __getitem__(self, place: int) -> Made: ...

    @overload
    def __getitem__(self, place: slice) -> list[Made]: ...

    def __getitem__(self, place: int | slice) -> Made | list[Made]:
        if isinstance(place, slice):
            return list(map(self._make, self._given[place]))
        return self._make(self._given[place])
