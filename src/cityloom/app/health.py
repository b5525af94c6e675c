"""How the process is: for /readyz, the system page, and whoever has to explain what is wrong."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from cityloom.app.house import House

#: Below this share of free space the disk counts as nearly full.
SCARCE = 0.05
#: Addresses in trouble that one warning names.
NAMED = 3
#: Changes a stage may lie behind before the city says so.
FAR_BEHIND = 50_000


class ProcessHealth:
    """Health of a House. Quick, and safe to ask often."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._began = time.monotonic()
        #: Plain words while the city is starting; empty once it answers.
        self.starting = "The city is starting."

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


def resident_bytes() -> int:
    """Memory that the process holds now, 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * 4096


def _some(said: str, endpoints: list[str]) -> list[str]:
    """One sentence about addresses, the first of them by name; none where there is none."""
    different = list(dict.fromkeys(endpoints))
    if not different:
        return []
    more = f" and {len(different) - NAMED} more" if len(different) > NAMED else ""
    return [f"{said} {', '.join(different[:NAMED])}{more}: see the page of other systems."]


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
