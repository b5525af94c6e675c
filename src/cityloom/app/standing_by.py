"""Stands by: waits until nobody runs the city any more, with the state at hand."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import time
from typing import TYPE_CHECKING, NamedTuple

from cityloom import __version__
from cityloom.app.configuration import Configuration
from cityloom.app.folder import CityFolder
from cityloom.app.storage import in_postgres, open_standby
from cityloom.app.watch.metrics import exposed
from cityloom.context.recall import Recall
from cityloom.kernel.errors import BadConfig, CityError, NotReady
from cityloom.web.server import Server
from cityloom.web.standing_by import Standby

if TYPE_CHECKING:
    from cityloom.adapters.postgres.history_series import StoredSeries
    from cityloom.adapters.postgres.lease import Held

_log = logging.getLogger(__name__)

#: Seconds between two looks at the lease, and between two signs that somebody stands by.
LOOK_S = 0.25
SHOW_S = 5.0
#: Seconds for which the holder must be seen to be gone. Its database may have been restarted: then it is back
#: within one.
GRACE_S = 2.0


class Turn:
    """When it is a standby's turn to run the city. Times are seconds of one clock that never goes back."""

    def __init__(self) -> None:
        self._answers_since: float | None = None
        self._gone_since: float | None = None

    def has_come(self, held: Held | None, now: float) -> bool:
        """After a look at the lease; None: no city ever ran."""
        if self._answers_since is None:
            self._answers_since = now
        if held is None or held.connected:
            self._gone_since = None
        elif self._gone_since is None:
            self._gone_since = now
        if held is None or held.given_up:
            return True
        run_out = held.run_out and now - self._answers_since >= GRACE_S
        return run_out or (self._gone_since is not None and now - self._gone_since >= GRACE_S)

    def begin_anew(self) -> None:
        """The database did not answer, or another one was quicker."""
        self._answers_since = self._gone_since = None


class StoodBy(NamedTuple):
    """What a process knows of the city that it takes over."""

    recall: Recall
    series: StoredSeries


class StandingBy:
    """One time of waiting."""

    def __init__(
        self, folder: CityFolder, configuration: Configuration, listener: socket.socket, address: str
    ) -> None:
        """Raises BadConfig for a city whose data lie in one machine's folder."""
        if not in_postgres(configuration):
            raise BadConfig(
                "Nobody can stand by for a city that lives in a folder",
                hint="Carry it into PostgreSQL with cityloom move, or leave --standby out.",
                where="--standby",
            )
        self._configuration = configuration
        self._listener = listener
        self._address = address
        self._turn = Turn()
        self._held: Held | None = None
        self._shown_at = -SHOW_S
        #: When the state was last as far as the feed.
        self._followed_at = time.monotonic()
        self._trouble = ""
        self._stopped = asyncio.Event()
        self._store = open_standby(folder, configuration)
        self._recall = self._anew()

    async def wait(self) -> StoodBy | None:
        """Return what it knows once it is this process' turn; None when it was told to stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stopped.set)
        server = Server(Standby(self.troubles, self._metrics), proxies=self._configuration.proxies)
        answering = asyncio.create_task(server.serve([self._listener.dup()]))
        if not await asyncio.to_thread(self._look):
            print(f"{self._configuration.name} is run by another process; this one stands by.\n", flush=True)
            print(f"  Health          {self._address}/readyz\n  Stop            Ctrl+C", flush=True)
            while not self._stopped.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await self._stopped.wait()
                if await asyncio.to_thread(self._look):
                    break
        server.stop()
        await answering
        await asyncio.to_thread(self._store.close)
        return None if self._stopped.is_set() else StoodBy(self._recall, self._store.series)

    def troubles(self) -> list[str]:
        """Why this process does not answer for the city."""
        runs = self._held.name if self._held else ""
        told = [f"This process stands by; {runs or 'another one'} runs the city."]
        return [*told, self._trouble] if self._trouble else told

    def _look(self) -> bool:
        """Whether it is its turn; the state is brought up to date before. In a thread."""
        now = time.monotonic()
        try:
            self._held = self._store.watch.look()
            if self._held is not None:
                self._follow()
                if now - self._shown_at >= SHOW_S:
                    self._store.watch.show()
                    self._shown_at = now
        except NotReady as error:
            self._trouble = str(error)
            self._turn.begin_anew()
            return False
        self._trouble = ""
        return self._turn.has_come(self._held, now)

    def _follow(self) -> None:
        try:
            self._recall.follow()
            self._recall.forget_folded()
            self._store.follow_series()
            self._followed_at = time.monotonic()
        except CityError as error:
            if isinstance(error, BadConfig) or self._recall.at < 0:
                # It fell too far behind, or was cut off amid the table: what is half there is no state.
                self._recall = self._anew()
            if not isinstance(error, NotReady):
                _log.warning("The state is loaded once more: %s", error.message)
                return
            raise

    def _anew(self) -> Recall:
        return Recall(self._store.feed, self._store.table)

    def _metrics(self, accept: str) -> tuple[bytes, str]:
        # Nothing of what the city holds: whoever asks is not known here.
        behind = time.monotonic() - self._followed_at
        return exposed(
            [
                ("cityloom_info", (__version__,), 1),
                ("cityloom_standing_by", (), 1),
                ("cityloom_standby_behind_seconds", (), behind),
            ],
            accept,
        )
