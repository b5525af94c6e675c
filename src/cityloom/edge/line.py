"""The line to the centre, over HTTP: one address, one token, one operation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from cityloom.edge.model import Batch, Received
from cityloom.edge.packing import pack
from cityloom.edge.ports import LineDown, Refused
from cityloom.kernel.errors import BadConfig
from cityloom.kernel.outbound import Outbound

#: Where a centre takes changes.
PATH = "/edge/changes"
#: Seconds that one request may take, and bytes of its answer.
DEADLINE_S = 60.0
_LARGEST_ANSWER = 65_536
_REFUSED = frozenset({401, 403})
_decode = msgspec.json.Decoder(Received).decode


class HttpCentre:
    """A centre behind an address that the operator has named. `token` is read for each request, so that a
    new one counts at once."""

    def __init__(self, outbound: Outbound, address: str, token: Callable[[], str]) -> None:
        self.address = address.rstrip("/")
        self._outbound = outbound
        self._token = token

    async def bring(self, batch: Batch) -> Received:
        """See `edge.ports.Centre.bring`."""
        try:
            token = await asyncio.to_thread(self._token)
        except BadConfig as missing:
            raise Refused(missing.message, hint=missing.hint, where=missing.where) from None
        headers = {"authorization": f"Bearer {token}", "content-type": "application/zlib"}
        body = pack(batch)
        answer = await self._outbound.send(
            "POST", self.address + PATH, headers, body, deadline=DEADLINE_S, largest=_LARGEST_ANSWER
        )
        if answer.status in _REFUSED:
            raise Refused(
                f"The centre refuses this edge ({answer.status}): {_told(answer.body)}",
                hint="Make a new token at the centre, and put it where [edge] in city.toml says.",
                where=self.address,
            )
        if answer.status != 200:
            raise LineDown(
                f"The centre answers {answer.status}: {_told(answer.body)}",
                hint="It is tried again by itself.",
                where=self.address,
            )
        try:
            return _decode(answer.body)
        except (msgspec.DecodeError, msgspec.ValidationError):
            raise LineDown(
                "What answers there is no centre", hint="Check the address in [edge].", where=self.address
            ) from None


def _told(body: bytes) -> str:
    """What an answer says of why, in one short line."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return "it does not say why"
    reason = said.get("detail") or said.get("title") if isinstance(said, dict) else None
    return str(reason)[:300] if reason else "it does not say why"
