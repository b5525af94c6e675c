"""What series have in common: so a million Entities of a few types are told with a few words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cityloom.history.model import Integers
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


class Shape:
    """What the series of a run are, in their order, none twice."""

    __slots__ = ("attributes", "places", "start", "tenant", "whats")

    def __init__(self, tenant: str, whats: tuple[What, ...], start: int) -> None:
        self.tenant = tenant
        self.whats = whats
        #: Where its series stand in a list of those of all shapes.
        self.start = start
        self.places = {what: place for place, what in enumerate(whats)}
        #: Places and datasets by the name of the attribute.
        self.attributes: dict[str, list[tuple[int, str]]] = {}
        for place, what in enumerate(whats):
            self.attributes.setdefault(what[0], []).append((place, what[1]))
