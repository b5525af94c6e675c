"""What a city service looks like: a folder with manifest.toml and service.py.

`service.py` is the Service: a module with the function `decide`, and `train` where parameters are learned
from the city's own history. Both are pure: they see the World and say facts, and do nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

import msgspec
import numpy as np
from numpy.typing import NDArray

from cityloom.services.facts import Fact
from cityloom.services.world import World


class Service(Protocol):
    """Decides. Called in a worker thread; the World is its own, so nothing needs to be locked."""

    def decide(self, world: World, at: datetime) -> Iterable[Fact]:
        """What follows from the world at the city's instant `at` (aware UTC)."""
        ...


@runtime_checkable
class TrainedService(Protocol):
    """A Service that learns from history, rarely; what it returns is the next worlds' `parameters`."""

    def decide(self, world: World, at: datetime) -> Iterable[Fact]: ...

    def train(self, world: World, at: datetime) -> Mapping[str, NDArray[Any]] | None:
        """Named arrays learned from the windows' `training` history.

        None leaves the earlier parameters in force: there is too little history, or what was learned is no
        better than `world.parameters`, which are here the ones that the service ships.
        """
        ...


class Trained(msgspec.Struct, frozen=True):
    """Parameters of a service and where they come from.

    `provenance` says in plain words: source of the data, the period, the figures reached.
    """

    arrays: Mapping[str, np.ndarray[Any, Any]]
    provenance: Mapping[str, str]
