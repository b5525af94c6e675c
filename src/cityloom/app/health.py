"""How the process is: for /readyz, the system page, and whoever has to explain what is wrong."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path

from cityloom.app.backup.last import backup_findings
from cityloom.app.doctor.folder import disk_findings
from cityloom.app.house import House
from cityloom.app.watch import judging
from cityloom.app.watch.collecting import counts_of, inside_of, samples_of
from cityloom.app.watch.metrics import exposed
from cityloom.app.watch.process import resident_bytes
from cityloom.app.watch.pulse import Pulse
from cityloom.edge.forwarding import STAGE as FORWARD
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.errors import NotReady
from cityloom.kernel.findings import Finding, found
from cityloom.kernel.time import now_millis
from cityloom.web.request_tally import RequestTally
from cityloom.web.rooms import Inside


class ProcessHealth:
    """Health of a House. Quick, and safe to ask often."""

    def __init__(self, house: House, requests: RequestTally) -> None:
        self._house = house
        self._requests = requests
        self.pulse = Pulse(
            house.folder.growth,
            last_sequence=lambda: house.broker.last_sequence,
            counts=lambda: counts_of(house, requests),
        )
        self._began = time.monotonic()
        #: How many messages were parked when somebody last asked, by what they are cleared for.
        self._parked: dict[frozenset[InformationClass], int] = {}
        #: Plain words while the city is starting; empty once it answers.
        self.starting = "The city is starting."

    def start(self) -> None:
        """Begin to measure, once the state runs."""
        self.pulse.start()

    async def stop(self) -> None:
        await self.pulse.stop()

    def troubles(self) -> list[str]:
        """What keeps the city from answering; empty: it answers."""
        return [self.starting] if self.starting else []

    def findings(self, inside: Inside) -> list[Finding]:
        """What an operator should look at, the bad first."""
        house = self._house
        all_of_them: Iterable[Finding] = chain(
            (found("starting", trouble) for trouble in self.troubles()),
            disk_findings(house.folder.home, inside.growth),
            backup_findings(house.folder, house.configuration.backup.remind_after_days),
            judging.of_stages([one for one in house.broker.stages() if one.name != FORWARD], inside),
            _other_processes(house),
            judging.of_writing(inside),
            judging.of_hearing(house.connectors.statuses(), inside),
            judging.of_process(inside),
            judging.of_other_systems(house.subscriptions.health(), house.federation.health()),
            judging.of_line(house.line.forwarding.line() if house.line else None, now_millis()),
            judging.of_edges(house.receiving.standings(), now_millis()),
            judging.of_storage(house.storage.trouble()),
            (found("plugin-broken", str(error)) for error in house.broken),
            _open_access(house),
        )
        return sorted(all_of_them, key=lambda one: one.level)

    def figures(self) -> Mapping[str, str | int | float]:
        """Figures of the process. Sizes in bytes, times in seconds."""
        disk = shutil.disk_usage(self._house.folder.home)
        return {
            "folder": str(self._house.folder.home),
            "uptime_s": round(time.monotonic() - self._began),
            "memory_bytes": resident_bytes(),
            "disk_free_bytes": disk.free,
            "disk_total_bytes": disk.total,
            "folder_bytes": _size(self._house.folder.home),
            "last_sequence": self._house.broker.last_sequence,
            "backlog": self._house.broker.backlog,
        }

    async def inside(self, actor: Actor) -> Inside:
        """How the city runs inside, with what this actor may know of it."""
        # How many are parked is told as it was last known while the store of records does not answer.
        with suppress(NotReady):
            self._parked[actor.clearance] = await self._house.parked.count(actor)
        parked = self._parked.get(actor.clearance, 0)
        return inside_of(self._house, self._requests, self.pulse, parked)

    async def metrics(self, actor: Actor, accept: str, *, readers: int) -> tuple[bytes, str]:
        """All metrics as text, and its media type."""
        inside = await self.inside(actor)
        entities = self._house.broker.types(actor)
        samples = list(samples_of(self._house, self._requests, self.pulse, inside, entities, readers))
        return await asyncio.to_thread(exposed, samples, accept)


def _other_processes(house: House) -> Iterable[Finding]:
    if house.between is None:
        return ()
    return judging.of_other_processes(house.between.followers, house.between.trouble)


def _open_access(house: House) -> list[Finding]:
    return [found("open-access", "Authentication is off")] if house.access.open_access else []


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
