"""How much a request may send, and how long it may take to send it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cityloom.kernel.errors import BadInput
from cityloom.web.head import head_of
from cityloom.web.turn import Turn, turn_of

MEGABYTE = 1_000_000


class TooLarge(BadInput):
    """The request's body is larger than the address takes."""


class TooSlow(BadInput):
    """The request's body did not arrive in time."""


USUAL: Mapping[str, int] = {
    "": MEGABYTE,
    "/ngsi-ld/": 64 * MEGABYTE,
    "/ngsi-ld/ex/": 8 * MEGABYTE,
    "/sta/": 8 * MEGABYTE,
    "/hooks/": 16 * MEGABYTE,
    "/report": 12 * MEGABYTE,
    "/indicators/": 12 * MEGABYTE,
    "/loads/": 64 * MEGABYTE,
    "/edge/": 16 * MEGABYTE,
}


class BodyLimits(msgspec.Struct, frozen=True):
    """Bytes by the beginning of the path, the longest beginning counting; how a body must arrive.

    After the first seconds it must have come at a sensible rate on the whole: one that drips is given up.
    """

    bytes_by_path: Mapping[str, int] = msgspec.field(default_factory=lambda: USUAL)
    #: For the first byte and between two pieces.
    pause_seconds: float = 15.0
    #: In which nobody looks at the rate.
    first_seconds: float = 10.0
    #: From then on.
    bytes_per_second: float = 10_000.0
    #: For the whole body, however fast.
    whole_seconds: float = 120.0

    def largest_below(self, begin: str) -> int | None:
        """The same for all paths that begin so; None where it differs from one to another."""
        longer = any(one.startswith(begin) and one != begin for one in self.bytes_by_path)
        return None if longer else self.largest(begin)

    def largest(self, path: str) -> int:
        begins = (begin for begin in self.bytes_by_path if path.startswith(begin))
        return self.bytes_by_path[max(begins, key=len)]


class LimitBodies:
    """ASGI middleware. What exceeds a limit is raised where the body is read, as TooLarge or TooSlow."""

    def __init__(self, app: ASGIApp, limits: BodyLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = bounded(scope, receive, self._limits)

        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start" and body.is_given_up:
                # Nobody reads the rest of it: whoever still sends is hung up on.
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        await self._app(scope, body, send_and_close)


def bounded(scope: Scope, receive: Receive, limits: BodyLimits, largest: int | None = None) -> BoundedBody:
    """The body of a request within its limits: to be awaited in the place of `receive`. `largest` is what the
    limits say of its path, where that is known."""
    if largest is None:
        largest = limits.largest(scope["path"])
    announced = head_of(scope).get(b"content-length", ("0",))[0]
    return BoundedBody(receive, largest, limits, too_large=not _fits(announced, largest), turn=turn_of(scope))


def _fits(announced: str, largest: int) -> bool:
    return not (announced.isascii() and announced.isdigit()) or (
        len(announced) < 19 and int(announced) <= largest
    )


class BoundedBody:
    """Stands in for `receive`: counts and times the body, and lets everything else through."""

    def __init__(
        self, receive: Receive, largest: int, limits: BodyLimits, *, too_large: bool, turn: Turn | None
    ) -> None:
        self._turn = turn
        self._receive = receive
        self._largest = largest
        self._limits = limits
        self._too_large = too_large
        self._seen = 0
        self._began = 0.0
        self._complete = False
        #: Whether it was too large or too slow.
        self.is_given_up = False

    async def __call__(self) -> Message:
        if self._complete:
            return await self._receive()
        if self._too_large:
            raise self._refusal()
        message = self._at_once() or await self._in_time()
        if message["type"] == "http.request":
            self._seen += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
            if self._seen > self._largest:
                raise self._refusal()
        return message

    def _at_once(self) -> Message | None:
        """The body when it has come whole with its head, as most do: then nothing need be timed."""
        whole = None if self._turn is None or self._seen else self._turn.body_at_hand()
        return None if whole is None else {"type": "http.request", "body": whole, "more_body": False}

    async def _in_time(self) -> Message:
        now = asyncio.get_running_loop().time()
        self._began = self._began or now
        limits = self._limits
        earned = limits.first_seconds + self._seen / limits.bytes_per_second
        ends = self._began + min(earned, limits.whole_seconds)
        try:
            async with asyncio.timeout_at(min(now + limits.pause_seconds, ends)):
                return await self._receive()
        except TimeoutError:
            self.is_given_up = True
            raise TooSlow(
                "The request's body did not arrive in time", hint="Send it again over a better connection."
            ) from None

    def _refusal(self) -> TooLarge:
        self.is_given_up = True
        return TooLarge(
            f"The request is larger than {self._largest / MEGABYTE:g} MB",
            hint="Send less at once: smaller batches, a smaller photo.",
        )
