"""How much a request may send, and how long it may take to send it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cityloom.kernel.errors import BadInput, NotReady
from cityloom.web.head import head_of
from cityloom.web.turn import Turn, turn_of

MEGABYTE = 1_000_000
#: Whose bodies are not counted by address: a proxy here that names nobody speaks for many.
LOOPBACK_ADDRESSES = frozenset({"127.0.0.1", "::1"})


class TooLarge(BadInput):
    """The request's body is larger than the address takes."""


class TooSlow(BadInput):
    """The request's body did not arrive in time."""


class TooMuchAtOnce(NotReady):
    """The bodies of all requests together are more than the city holds."""


USUAL: Mapping[str, int] = {
    "": MEGABYTE,
    # A batch; each operation of the API says itself whether it takes less.
    "/ngsi-ld/": 8 * MEGABYTE,
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
    #: Of the bodies of all requests that are worked on, as far as they have arrived: four of the largest.
    bytes_at_once: int = 256 * MEGABYTE
    #: Of those, from one address: one client does not keep all others out. This machine's are not counted.
    bytes_of_one: int = 128 * MEGABYTE

    def largest_below(self, begin: str) -> int | None:
        """The same for all paths that begin so; None where it differs from one to another."""
        longer = any(one.startswith(begin) and one != begin for one in self.bytes_by_path)
        return None if longer else self.largest(begin)

    def largest(self, path: str) -> int:
        begins = (begin for begin in self.bytes_by_path if path.startswith(begin))
        return self.bytes_by_path[max(begins, key=len)]


class Uploads:
    """What the bodies of all requests hold at the moment. Lives on the event loop."""

    def __init__(self, limits: BodyLimits) -> None:
        self._most = limits.bytes_at_once
        self._most_of_one = limits.bytes_of_one
        self._by_address: dict[str, int] = {}
        self.held = 0

    def take(self, count: int, address: str = "") -> None:
        """So many bytes have arrived, from an address; "" counts for nobody. Raises TooMuchAtOnce.

        What is announced is not counted: whoever announces much and sends little would keep others out.
        """
        if self.held + count > self._most:
            raise TooMuchAtOnce(
                "Others are sending more at the moment than the city can hold",
                hint="Nothing of this request was done. Send it again in a few seconds.",
            )
        if address:
            of_one = self._by_address.get(address, 0) + count
            if of_one > self._most_of_one:
                raise TooMuchAtOnce(
                    "Your address is sending more at the moment than one may",
                    hint="Nothing of this request was done. Send less at a time.",
                )
            self._by_address[address] = of_one
        self.held += count

    def give_back(self, count: int, address: str = "") -> None:
        """So many bytes that were taken are held no more."""
        self.held -= count
        if address and count:
            left = self._by_address[address] - count
            if left:
                self._by_address[address] = left
            else:
                del self._by_address[address]


class LimitBodies:
    """ASGI middleware. What exceeds a limit is raised where the body is read, as TooLarge, TooSlow or
    TooMuchAtOnce."""

    def __init__(self, app: ASGIApp, limits: BodyLimits, uploads: Uploads | None = None) -> None:
        """`uploads` is shared by all that hold bodies; without one nobody else does."""
        self._app = app
        self._limits = limits
        self._uploads = uploads or Uploads(limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = bounded(scope, receive, self._limits, self._uploads)

        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start" and body.is_given_up:
                # Nobody reads the rest of it: whoever still sends is hung up on.
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        try:
            await self._app(scope, body, send_and_close)
        finally:
            body.release()


def bounded(
    scope: Scope, receive: Receive, limits: BodyLimits, uploads: Uploads, largest: int | None = None
) -> BoundedBody:
    """The body of a request within its limits: to be awaited in the place of `receive`, and released when the
    request is answered. `largest` is what the limits say of its path, where that is known."""
    if largest is None:
        largest = limits.largest(scope["path"])
    announced = head_of(scope).get(b"content-length", ("0",))[0]
    too_large = not _fits(announced, largest)
    client = scope.get("client")
    address = "" if client is None or client[0] in LOOPBACK_ADDRESSES else str(client[0])
    return BoundedBody(
        receive, largest, limits, uploads, too_large=too_large, turn=turn_of(scope), address=address
    )


def _fits(announced: str, largest: int) -> bool:
    return not (announced.isascii() and announced.isdigit()) or (
        len(announced) < 19 and int(announced) <= largest
    )


class BoundedBody:
    """Stands in for `receive`: counts and times the body, and lets everything else through."""

    def __init__(
        self,
        receive: Receive,
        largest: int,
        limits: BodyLimits,
        uploads: Uploads,
        *,
        too_large: bool,
        turn: Turn | None,
        address: str,
    ) -> None:
        self._address = address
        self._uploads = uploads
        self._turn = turn
        self._receive = receive
        self._largest = largest
        self._limits = limits
        self._too_large = too_large
        self._seen = 0
        self._began = 0.0
        self._complete = False
        #: Whether it was too large, too slow or too much.
        self.is_given_up = False

    async def __call__(self) -> Message:
        if self._complete:
            return await self._receive()
        if self._too_large:
            raise self._refusal()
        message = self._at_once() or await self._in_time()
        if message["type"] == "http.request":
            self._note(len(message.get("body", b"")))
            self._complete = not message.get("more_body", False)
        return message

    def release(self) -> None:
        """The request is answered: its body is held no more."""
        self._uploads.give_back(self._seen, self._address)
        self._seen = 0

    def _note(self, count: int) -> None:
        if self._seen + count > self._largest:
            raise self._refusal()
        try:
            self._uploads.take(count, self._address)
        except TooMuchAtOnce:
            self.is_given_up = True
            raise
        self._seen += count

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
