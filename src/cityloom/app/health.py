"""How the process is: for /readyz, the system page, and whoever has to explain what is wrong."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from cityloom.app.house import House
from cityloom.app.watch.collecting import counts_of, inside_of, samples_of
from cityloom.app.watch.metrics import exposed
from cityloom.app.watch.process import resident_bytes
from cityloom.app.watch.pulse import Pulse
from cityloom.kernel.actor import Actor
from cityloom.web.request_tally import RequestTally
from cityloom.web.rooms import Inside

#: Below this share of free space the disk counts as nearly full.
SCARCE = 0.05
#: Addresses in trouble that one warning names.
NAMED = 3
#: Changes a stage may lie behind before the city says so.
FAR_BEHIND = 50_000


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

    def warnings(self) -> list[str]:
        """What an operator should look at, though the city answers."""
        found = []
        disk = shutil.disk_usage(self._house.folder.home)
        if disk.free < SCARCE * disk.total:
            found.append(f"The disk is nearly full: {disk.free / 1e9:.1f} GB are left.")
        for stage in self._house.broker.stages():
            if stage.lag > FAR_BEHIND:
                found.append(f"{stage.name} lies {stage.lag} changes behind.")
            if stage.last_error:
                found.append(f"{stage.name}: {stage.last_error}")
        found += self._other_systems()
        found += [str(error) for error in self._house.broken]
        return found

    def _other_systems(self) -> list[str]:
        """Those that do not take what they are sent, or do not answer what they are asked."""
        told = [one for one in self._house.subscriptions.health() if one.failing]
        asked = [one for one in self._house.federation.health() if one.status == "failing"]
        return [
            *_some("Notifications do not get through to", [one.endpoint for one in told]),
            *_some("No answer comes from", [one.endpoint for one in asked]),
        ]

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
        parked = await self._house.parked.count(actor)
        return inside_of(self._house, self._requests, self.pulse, parked)

    async def metrics(self, actor: Actor, accept: str, *, readers: int) -> tuple[bytes, str]:
        """All metrics as text, and its media type."""
        inside = await self.inside(actor)
        entities = self._house.broker.types(actor)
        samples = list(samples_of(self._house, self._requests, self.pulse, inside, entities, readers))
        return await asyncio.to_thread(exposed, samples, accept)


def _some(said: str, endpoints: list[str]) -> list[str]:
    """One sentence about addresses, the first of them by name; none where there is none."""
    different = list(dict.fromkeys(endpoints))
    if not different:
        return []
    more = f" and {len(different) - NAMED} more" if len(different) > NAMED else ""
    return [f"{said} {', '.join(different[:NAMED])}{more}: see the page of other systems."]


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
