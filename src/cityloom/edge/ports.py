"""What an edge needs of the outside: the way to its centre."""

from __future__ import annotations

from typing import Protocol

from cityloom.edge.model import Batch, Received
from cityloom.kernel.errors import NotAllowed, NotReady


class Refused(NotAllowed):
    """The centre does not take what the edge's token brings."""


class LineDown(NotReady):
    """The centre was not reached, or did not answer as a centre does."""


class Centre(Protocol):
    """The centre, as an edge reaches it."""

    @property
    def address(self) -> str: ...

    async def bring(self, batch: Batch) -> Received:
        """Send a batch, and wait until it is durable there. Raises Refused, LineDown."""
        ...
