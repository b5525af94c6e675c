"""What goes on between the processes of a city: changes out, and how far the others are."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from cityloom.app.configuration import PASSWORD_IN_CLEAR, Configuration, told_in_clear
from cityloom.app.storage import personal_of
from cityloom.context.parcels import Stays
from cityloom.context.relaying import Relay
from cityloom.history.parts import HistoryElsewhere, PartsStore, SplitHistory
from cityloom.history.stage import STAGE as HISTORY
from cityloom.kernel.errors import BadConfig, CityError, NotReady

if TYPE_CHECKING:
    from cityloom.adapters.nats.cluster import Address, Cluster
    from cityloom.app.storage import Storage

_log = logging.getLogger(__name__)
PASSWORD_VARIABLE = "CITYLOOM_NATS_PASSWORD"  # noqa: S105 - a name
TOKEN_VARIABLE = "CITYLOOM_NATS_TOKEN"  # noqa: S105 - a name
#: Seconds between two looks at who follows.
_LOOK_S = 2.0


class Between:
    """The side of the city's own process: it relays its feed, and waits for those who remember."""

    def __init__(
        self, address: Address, parts: int, store: SplitHistory, home: PartsStore, stays: Stays
    ) -> None:
        # With their library alone, which a city without a cluster does not need.
        from cityloom.adapters.nats.carrier import NatsCarrier
        from cityloom.adapters.nats.cluster import Cluster

        self._store = store
        self._parts = parts
        self._cluster = Cluster(address, "city")
        self._carrier = NatsCarrier(self._cluster)
        self.relay = Relay(self._carrier, parts, stays)
        self.remembering = HistoryElsewhere(store, home, stays, self._mend)
        #: How many processes follow each stage.
        self.followers: dict[str, int] = {HISTORY: 0}
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def trouble(self) -> str:
        """Why nothing is carried now; empty while it is."""
        return self._cluster.trouble

    def start(self) -> None:
        """Connect, and go on doing so. What is wrong is told by `trouble`."""
        self._tasks = [
            asyncio.create_task(self._connect(), name="cluster"),
            asyncio.create_task(self._look(), name="followers"),
        ]

    def leave(self) -> None:
        """Wait for nobody any more: the city stops."""
        self.remembering.leave()
        self._carrier.leave()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self._cluster.close()

    async def _connect(self) -> None:
        try:
            await self._cluster.connect()
            await self._cluster.prepare(self._parts, [HISTORY])
        except CityError as error:
            self._cluster.trouble = str(error)
            _log.error("%s", error)

    async def _look(self) -> None:
        while True:
            with suppress(NotReady):
                self.followers = {HISTORY: 0} | await asyncio.to_thread(self._store.followers)
            await asyncio.sleep(_LOOK_S)

    async def _mend(self, lacking: Mapping[int, tuple[int, int]]) -> None:
        """Publish again what followers lack and the stream has no more."""
        with suppress(NotReady):
            gone = [
                (partition, through)
                for partition, (_, through) in lacking.items()
                if await self._carrier.waits_for(HISTORY, partition) == 0
            ]
            if gone:
                _log.warning("%d partitions lack changes that the stream has no more", len(gone))
                await self.relay.repeat(gone)


def between_of(configuration: Configuration, storage: Storage) -> Between | None:
    """What city.toml says of other processes; None: there are none. Raises BadConfig."""
    nats = configuration.nats
    if not nats.servers or HISTORY not in nats.elsewhere:
        return None
    assert storage.home is not None, "a store that is shared has a part of this process' own"
    return Between(
        cluster_address(configuration),
        nats.partitions,
        cast(SplitHistory, storage.history),
        storage.home,
        stays_of(configuration),
    )


def stays_of(configuration: Configuration) -> Stays:
    """What never leaves the process that has the keys: Entities of which something is somebody's own."""
    personal = personal_of(configuration)
    return lambda types: personal.of(types) is not None


def cluster_faults(configuration: Configuration) -> list[BadConfig]:
    """What is wrong with the cluster that city.toml names, up to that nobody answers there; nothing is
    changed by asking."""
    if not configuration.nats.servers:
        return []
    try:
        address = cluster_address(configuration)
        from cityloom.adapters.nats.cluster import Cluster

        cluster = Cluster(address, "check")
        if not asyncio.run(_answers(cluster)):
            raise BadConfig(
                f"No server of the cluster lets the city in: {cluster.trouble}",
                hint="Start them, see what is between, and whether user and password are right. A city runs "
                "without them meanwhile, and its history waits.",
                where="city.toml: nats.servers",
            )
    except BadConfig as error:
        return [error]
    return []


async def _answers(cluster: Cluster) -> bool:
    try:
        return await cluster.reach()
    finally:
        await cluster.close()


def cluster_address(configuration: Configuration) -> Address:
    """Where the cluster is. Raises BadConfig, also where the library is missing."""
    try:
        from cityloom.adapters.nats.cluster import Address
    except ImportError:
        raise BadConfig(
            "The library for NATS is not installed",
            hint="Install it: make install WITH='postgres nats', or pip install 'cityloom[nats]'.",
            where="city.toml: nats",
        ) from None
    nats = configuration.nats
    if not nats.servers:
        raise BadConfig(
            "city.toml names no cluster that would bring changes to this process",
            hint="Name its servers in [nats]: docs/guides/run_at_scale.md.",
            where="city.toml: nats.servers",
        )
    password, token = os.environ.get(PASSWORD_VARIABLE, ""), os.environ.get(TOKEN_VARIABLE, "")
    if (password or token) and any(told_in_clear(nats, one) for one in nats.servers):
        message, hint = PASSWORD_IN_CLEAR
        raise BadConfig(message, hint=hint, where="city.toml: nats.servers")
    return Address(
        servers=nats.servers,
        name=nats.stream or configuration.storage.schema,
        replicas=nats.replicas,
        credentials=nats.credentials,
        user=nats.user,
        password=password,
        token=token,
        authority=nats.authority,
        certificate=nats.certificate,
        key=nats.key,
    )
