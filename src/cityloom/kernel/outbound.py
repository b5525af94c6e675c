"""What rooms need in order to send something to an address that somebody else named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from cityloom.kernel.errors import BadInput, NotReady


class AddressNotAllowed(BadInput):
    """The operator has not allowed this address, or it leads into the host's own networks."""


class Unreachable(NotReady):
    """The other side did not answer in time, or not in a way that could be read."""


class Unusable(Unreachable):
    """The other side answered in a way that cannot be used: too large, cut short, packed unknown."""


class Answer(msgspec.Struct, frozen=True):
    """What the other side answered, whatever its status."""

    status: int
    #: By name in lower case; of a header sent twice the values are joined by commas.
    headers: Mapping[str, str]
    body: bytes


def plain_address(uri: str) -> str:
    """An address without what opens a door: no user, no password, no query."""
    head, _, rest = uri.partition("://")
    host, slash, path = rest.partition("/")
    host, path = host.partition("?")[0].partition("#")[0], path.partition("?")[0].partition("#")[0]
    return f"{head}://{host.rpartition('@')[2]}{slash}{path}"


class Outbound(Protocol):
    """Sends requests to addresses that strangers named: bounded in time, in size and in where they lead."""

    def check(self, url: str) -> None:
        """Look at an address before it is kept, without asking anybody for it. Raises AddressNotAllowed."""
        ...

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        deadline: float,
        largest: int,
    ) -> Answer:
        """Send one request and wait for the whole answer, `deadline` seconds in all.

        No redirect is followed. `largest` bounds the bytes of the answer's body, unpacked. Raises
        AddressNotAllowed, also when the address' name leads where it must not; Unreachable.
        """
        ...
