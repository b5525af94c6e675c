"""The connection to a NATS cluster, and the stream that carries a city's changes.

The stream is transport. What it holds can be lost whole: followers notice what is missing and look it up in
the feed. So its bounds are those of a buffer, and what all have acknowledged leaves it.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError

from cityloom.kernel.errors import BadConfig, NotReady

_log = logging.getLogger(__name__)
# It tells each lost connection at length, with addresses that may hold a password.
logging.getLogger("nats").setLevel(logging.CRITICAL)

#: Seconds until a server is believed to be gone: for connecting, and between pings, of which so many may be
#: without an answer: a server that hangs is found out by the one after, sooner than another one is elected.
CONNECT_S, PING_S, PINGS = 2, 1, 2
#: Seconds between two attempts.
RETRY_S = 0.5
#: Seconds that the cluster has for one answer.
ANSWER_S = 2.0
#: Seconds after which a message that nobody acknowledged is handed out again.
ACK_WAIT_S = 4.0
#: Messages of one partition that may be on their way at a time.
MOST_PENDING = 64
#: The buffer: seconds and bytes. What is older or more is looked up in the feed.
MOST_AGE_S = 86_400.0
MOST_BYTES = 1024**3
#: Seconds in which a message with the same id is dropped.
REPEATED_S = 120.0
#: Under this name the stream's metadata tell the number of partitions.
PARTITIONS = "partitions"

#: What the client raises while servers are away, or a leader is elected.
AWAY = (NatsError, OSError, TimeoutError, asyncio.IncompleteReadError)


class Address(msgspec.Struct, frozen=True):
    """Where a cluster is, and how it lets the city in."""

    servers: tuple[str, ...]
    #: The stream's name, and its subjects' beginning.
    name: str
    replicas: int = 3
    #: A file with a user's credentials (JWT and seed).
    credentials: str = ""
    user: str = ""
    password: str = ""
    token: str = ""
    #: PEM files: the authority of the servers' certificates, and a certificate of the city's own.
    authority: str = ""
    certificate: str = ""
    key: str = ""

    @property
    def shown(self) -> str:
        """The servers without what lets in."""
        return ", ".join(_without_user(one) for one in self.servers)

    @property
    def over_tls(self) -> bool:
        """Whether nothing may be said in clear."""
        named = any(urlsplit(one).scheme == "tls" for one in self.servers)
        return named or bool(self.authority or self.certificate)

    @property
    def stream(self) -> str:
        return f"CITY_{self.name}"

    def subject(self, partition: int | str) -> str:
        return f"city.{self.name}.changes.{partition}"


class _Client(Client):
    """Says who it is once the line is safe, where that is wanted.

    The library does what the server says of TLS, whatever the address says: whoever stands in between would
    be told the password, and all that is carried.
    """

    def __init__(self, *, over_tls: bool) -> None:
        super().__init__()
        self._over_tls = over_tls

    def _connect_command(self) -> bytes:
        if self._over_tls and not self._server_info.get("tls_required"):
            raise NatsError("The server offers no TLS")
        return super()._connect_command()


def _without_user(server: str) -> str:
    parts = urlsplit(server if "//" in server else f"nats://{server}")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def durable(stage: str, partition: int) -> str:
    """The name of the consumer by which a stage follows a partition."""
    return f"{stage}-{partition}"


class Cluster:
    """One connection, kept up for as long as the process lives."""

    def __init__(self, address: Address, name: str) -> None:
        """`name` is what the servers show of this connection."""
        self.address = address
        self._name = name
        self._client: Client | None = None
        #: Why nothing is carried now, in words for the operator; empty while it is.
        self.trouble = f"No connection yet to {address.shown}"
        #: How many partitions there are, and the stages that follow them.
        self._parts = 0
        self._stages: tuple[str, ...] = ()

    async def connect(self) -> None:
        """Return once there is a connection; tries for ever. Raises BadConfig where it never can be."""
        while not await self.reach():
            await asyncio.sleep(RETRY_S)

    async def reach(self) -> bool:
        """Whether there is a connection now; tries once, and `trouble` says why there is none. Raises
        BadConfig where there never can be."""
        options = self._options()
        client = _Client(over_tls=self.address.over_tls)
        try:
            async with asyncio.timeout(2 * CONNECT_S * len(self.address.servers)):
                await client.connect(**options)
        except AWAY as error:
            self.trouble = f"{self.address.shown}: {type(error).__name__}"
            with suppress(*AWAY):
                await client.close()
            return False
        self._client, self.trouble = client, ""
        return True

    async def prepare(self, parts: int, stages: Iterable[str]) -> None:
        """Have the stream and a consumer for each stage and partition; tries for ever. Raises BadConfig."""
        self._parts, self._stages = parts, tuple(stages)
        while True:
            try:
                await self._have_all()
            except AWAY as error:
                self.trouble = f"The stream cannot be made yet: {error or type(error).__name__}"
                await asyncio.sleep(RETRY_S)
            else:
                self.trouble = ""
                return

    async def make_anew(self) -> None:
        """Have what somebody removed since `prepare`; tries once. Raises NotReady."""
        if not self._parts:
            raise NotReady("The stream is not made yet", hint="It is tried again.")
        try:
            await self._have_all()
        except AWAY as error:
            raise NotReady("The cluster does not answer", hint="It is asked again.") from error
        except BadConfig as error:
            raise NotReady(error.message, hint=error.hint) from error

    @property
    def client(self) -> Client:
        """The connection. Raises NotReady while there is none."""
        if self._client is None or not self._client.is_connected:
            raise NotReady("The cluster does not answer", hint="It goes on by itself.")
        return self._client

    @property
    def stream(self) -> JetStreamContext:
        """For requests about the stream. Raises NotReady without a connection."""
        return self.client.jetstream(timeout=ANSWER_S)

    @property
    def most_bytes(self) -> int:
        """How long a message may be, less its headers."""
        return (self._client.max_payload if self._client else 65_536) - 1024

    async def close(self) -> None:
        if self._client is not None:
            with suppress(*AWAY):
                await self._client.close()

    async def _have_all(self) -> None:
        await self._have_stream(self._parts)
        # Before anything is published: the stream keeps nothing that no consumer waits for.
        for stage in self._stages:
            for partition in range(self._parts):
                await self._have_consumer(stage, partition)

    async def _have_stream(self, parts: int) -> None:
        address = self.address
        wanted = StreamConfig(
            name=address.stream,
            subjects=[address.subject("*")],
            retention=RetentionPolicy.INTEREST,
            storage=StorageType.FILE,
            num_replicas=address.replicas,
            max_age=MOST_AGE_S,
            max_bytes=MOST_BYTES,
            duplicate_window=REPEATED_S,
            metadata={PARTITIONS: str(parts)},
        )
        try:
            found = await self.stream.stream_info(address.stream)
        except NotFoundError:
            await self.stream.add_stream(wanted)
            _log.warning("The cluster had no stream %s: it is made", address.stream)
            return
        there = (found.config.metadata or {}).get(PARTITIONS)
        if there != str(parts):
            raise BadConfig(
                f"The stream {address.stream} has {there} partitions, the city {parts}",
                hint="Name another stream, or remove this one: the city publishes again what is missing.",
                where="nats.partitions",
            )
        if found.config.num_replicas != address.replicas:
            await self.stream.update_stream(wanted)

    async def _have_consumer(self, stage: str, partition: int) -> None:
        await self.stream.add_consumer(
            self.address.stream,
            ConsumerConfig(
                durable_name=durable(stage, partition),
                filter_subject=self.address.subject(partition),
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=ACK_WAIT_S,
                max_ack_pending=MOST_PENDING,
            ),
        )

    def _options(self) -> dict[str, Any]:
        address = self.address
        options: dict[str, Any] = {
            "servers": list(address.servers),
            "name": self._name,
            "connect_timeout": CONNECT_S,
            "ping_interval": PING_S,
            "max_outstanding_pings": PINGS,
            "reconnect_time_wait": RETRY_S,
            "max_reconnect_attempts": -1,
            "error_cb": _tell,
        }
        told = {
            "user_credentials": address.credentials,
            "user": address.user,
            "password": address.password,
            "token": address.token,
        }
        options |= {name: value for name, value in told.items() if value}
        if address.authority or address.certificate:
            options["tls"] = _tls(address)
        return options


async def _tell(error: Exception) -> None:
    """What goes wrong with the connection; it is mended by itself."""
    _log.info("NATS: %s", type(error).__name__)


def _tls(address: Address) -> ssl.SSLContext:
    """Raises BadConfig."""
    for path in filter(None, (address.authority, address.certificate, address.key)):
        if not Path(path).is_file():
            raise BadConfig("There is no such file", hint="Correct [nats] in city.toml.", where=path)
    try:
        context = ssl.create_default_context(cafile=address.authority or None)
        if address.certificate:
            context.load_cert_chain(address.certificate, address.key or None)
    except (ssl.SSLError, OSError) as error:
        raise BadConfig(
            f"The certificate for the cluster cannot be used: {error}",
            hint="Name PEM files in [nats]: authority, certificate, key.",
            where="nats",
        ) from None
    return context
