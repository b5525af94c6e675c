"""A process that does some of a city's stages, beside the city's own and others like it.

It knows of the city what stands in city.toml: the database and the cluster. It keeps nothing itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Mapping, Sequence

import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cityloom import __version__
from cityloom.adapters.nats.cluster import Cluster
from cityloom.adapters.nats.follower import Follower
from cityloom.adapters.postgres.database import Database
from cityloom.adapters.postgres.feed_parts import PostgresPartsFeed
from cityloom.adapters.postgres.history_parts import PostgresParts
from cityloom.adapters.postgres.membership import BEAT_S, Membership
from cityloom.app.between import cluster_address, stays_of
from cityloom.app.configuration import Configuration
from cityloom.app.logs import begin_logging
from cityloom.app.machine import USUAL_PORT, give_memory_back, listening_socket
from cityloom.app.running import Serving
from cityloom.app.storage import shared_database
from cityloom.app.watch.collecting import Samples
from cityloom.app.watch.metrics import exposed
from cityloom.context.parcels import UNKNOWN, Parcel, shared_out
from cityloom.history.parts import PartsKeeper, Stillness, parts_of
from cityloom.history.stage import STAGE as HISTORY
from cityloom.kernel.errors import BadConfig, NotReady
from cityloom.web.server import Server

#: What can be done elsewhere than in the city's own process.
STAGES = (HISTORY,)
#: Changes of the feed that are looked through at a time for a partition that nothing comes of.
_LOOKED_UP = 5_000


def run_stages(configuration: Configuration, names: Sequence[str], serving: Serving) -> int:
    """Do these stages until SIGINT or SIGTERM; returns the exit status. Raises BadConfig."""
    for name in names:
        if name not in STAGES:
            raise BadConfig(
                f"{name!r} is no stage that can be done elsewhere",
                hint=f"There are: {', '.join(STAGES)}.",
                where="--stages",
            )
    give_memory_back()
    log = configuration.log
    begin_logging(serving.log_format or log.format, serving.log_level or log.level)
    cluster = Cluster(cluster_address(configuration), ",".join(names))
    with (
        listening_socket(serving.host, serving.port, USUAL_PORT) as listener,
        contextlib.closing(shared_database(configuration)) as database,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(_Following(configuration, cluster, database, listener).whole())


class _Following:
    """The stage of history in this process."""

    def __init__(
        self, configuration: Configuration, cluster: Cluster, database: Database, listener: socket.socket
    ) -> None:
        self._configuration = configuration
        self._cluster = cluster
        self._store = PostgresParts(database)
        self._feed = PostgresPartsFeed(database, stays_of(configuration))
        self._keeper = PartsKeeper(self._store, self._feed)
        self._membership = Membership(database, HISTORY, socket.gethostname())
        self._follower = Follower(cluster, HISTORY, self._keep)
        self._stillness = Stillness(_LOOKED_UP)
        self._listener = listener
        #: Why it does not follow, in words; empty while it does.
        self._trouble = "starting"
        routes = [
            Route("/healthz", self._health),
            Route("/readyz", self._health),
            Route("/metrics", self._metrics),
        ]
        self._server = Server(Starlette(routes=routes))

    async def whole(self) -> int:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._server.stop)
        tasks = [
            asyncio.create_task(self._follow(), name="follow"),
            asyncio.create_task(self._server.serve([self._listener]), name="answer"),
        ]
        try:
            host, port = self._listener.getsockname()[:2]
            print(f"{self._configuration.name}: this process does {HISTORY}.", flush=True)
            print(f"  Health, metrics http://{host}:{port}/readyz\n  Stop            Ctrl+C", flush=True)
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self._server.stop()
            for task in tasks:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await self._follower.stop()
            with contextlib.suppress(NotReady):
                await asyncio.to_thread(self._membership.leave)
            await self._cluster.close()
        return 0

    async def _follow(self) -> None:
        # Without the cluster it follows by what it looks up.
        async with asyncio.TaskGroup() as group:
            group.create_task(self._cluster.connect())
            group.create_task(self._share())
            group.create_task(self._follower.run())

    async def _share(self) -> None:
        """Say that this process lives, and follow what is its share."""
        while True:
            try:
                names = await asyncio.to_thread(self._membership.beat)
                cursors = await asyncio.to_thread(self._store.cursors)
                last = await asyncio.to_thread(self._feed.last_sequence)
            except NotReady as error:
                self._trouble = str(error)
            else:
                self._trouble = ""
                self._follow_share(shared_out(parts_of(cursors), names, self._membership.name), cursors, last)
            await asyncio.sleep(BEAT_S)

    def _follow_share(self, share: set[int], cursors: Mapping[int, int], last: int) -> None:
        """Follow these partitions. What a process took that is gone would come again after seconds: it is
        looked up at once, and what nobody brings soon."""
        taken_over = share.difference(self._follower.partitions)
        self._follower.follow(share)
        behind = [
            Parcel(one, UNKNOWN, min(last, cursors[one] + _LOOKED_UP), None)
            for one in taken_over
            if cursors[one] < last
        ]
        behind += self._stillness.behind(share, cursors, last, time.monotonic())
        if behind:
            self._follower.look_up(behind)

    async def _keep(self, parcels: Sequence[Parcel]) -> None:
        await asyncio.to_thread(self._keeper.take, parcels)

    async def _health(self, request: Request) -> Response:
        """The process answers; /readyz tells whether it follows."""
        trouble = self._trouble or self._cluster.trouble or self._follower.trouble
        said = {"stages": [HISTORY], "partitions": self._follower.partitions, "trouble": trouble}
        return JSONResponse(said, 503 if trouble and request.url.path == "/readyz" else 200)

    async def _metrics(self, request: Request) -> Response:
        body, media = await asyncio.to_thread(
            exposed, list(self._samples()), request.headers.get("accept", "")
        )
        return Response(body, media_type=media)

    def _samples(self) -> Samples:
        stage = (HISTORY,)
        yield "cityloom_info", (__version__,), 1
        yield "cityloom_followed_partitions", stage, len(self._follower.partitions)
        yield "cityloom_followed_changes_total", stage, self._keeper.kept
        yield "cityloom_followed_mended_total", stage, self._keeper.looked_up
