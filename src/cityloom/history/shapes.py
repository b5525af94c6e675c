"""What series have in common: so a million Entities of a few types are told with a few words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cityloom.history.model import Integers, Series, SeriesKey
from cityloom.kernel.actor import InformationClass

#: What makes a series of an Entity: attribute, dataset, type of attribute, unit.
What = tuple[str, str, str, str]
#: What the series of an Entity follow: its types and its class.
Standing = tuple[tuple[str, ...], InformationClass]


class SeriesColumns(NamedTuple):
    """Series in the order of their ids, as columns of equal length."""

    id: Integers
    entity_id: NDArray[np.object_]
    #: Places in `kinds`, and in `standings`.
    kind: Integers
    standing: Integers
    retired: NDArray[np.bool_]
    #: (tenant, attribute, dataset, type of attribute, unit).
    kinds: Sequence[tuple[str, str, str, str, str]]
    standings: Sequence[Standing]


class GroupedSeries(NamedTuple):
    """Series by Entity, in the order of their ids, as columns of equal length."""

    id: Integers
    #: Places in `entity_ids`, in `whats` and in `standings`.
    group: Integers
    what: Integers
    standing: Integers
    #: Each of them has a series; in the order of their first ones.
    entity_ids: Sequence[str]
    whats: Sequence[What]
    standings: Sequence[Standing]

    @property
    def unit_code(self) -> str:
        """The unit of the first series; "" where there is none."""
        return self.whats[int(self.what[0])][3] if len(self.what) else ""

    def only(self, wanted: NDArray[np.bool_]) -> GroupedSeries:
        """Some of the series."""
        groups, group = np.unique(self.group[wanted], return_inverse=True)
        return GroupedSeries(
            self.id[wanted],
            group,
            self.what[wanted],
            self.standing[wanted],
            [self.entity_ids[place] for place in groups.tolist()],
            self.whats,
            self.standings,
        )


class Shape:
    """What the series of a run are, in their order, none twice."""

    __slots__ = ("attributes", "is_plain", "number", "places", "start", "tenant", "whats")

    def __init__(self, number: int, tenant: str, whats: tuple[What, ...], start: int) -> None:
        #: Its place in a list of all shapes.
        self.number = number
        self.tenant = tenant
        self.whats = whats
        #: Where its series stand in a list of those of all shapes.
        self.start = start
        self.places = {what: place for place, what in enumerate(whats)}
        #: Places and datasets by the name of the attribute.
        self.attributes: dict[str, list[tuple[int, str]]] = {}
        for place, what in enumerate(whats):
            self.attributes.setdefault(what[0], []).append((place, what[1]))
        #: Whether each attribute has one series, that of its default instance.
        self.is_plain = all(several[0][1] == "" and len(several) == 1 for several in self.attributes.values())


class Run(NamedTuple):
    """The series of an Entity of which nothing was known, begun together: those of a shape, in its order."""

    first: int
    entity_id: str
    shape: Shape
    standing: Standing

    def series(self) -> list[Series]:
        """The same one by one."""
        return [
            Series(number, SeriesKey(self.shape.tenant, self.entity_id, *what), *self.standing)
            for number, what in enumerate(self.shape.whats, self.first)
        ]
