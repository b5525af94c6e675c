"""When a city was last backed up, and whether that is too long ago."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from cityloom.app.folder import CityFolder, read_json, write_private_json
from cityloom.app.watch.growth import DAY_S
from cityloom.kernel.findings import Finding, found


def note_backup(folder: CityFolder, made: str, path: Path) -> None:
    """Let the city know of its last backup: when (RFC 3339), and where it lies. Raises OSError."""
    write_private_json(folder.backed_up, {"made": made, "path": str(path.resolve())})
    if os.geteuid() == 0:
        # Root may back up what another user runs, who is to read it.
        owner = folder.home.stat()
        os.chown(folder.backed_up, owner.st_uid, owner.st_gid)


def backup_findings(folder: CityFolder, days: int, now: float | None = None) -> Iterator[Finding]:
    """Of a city that nobody has backed up for so many days; 0 days: nobody is to be reminded."""
    now = time.time() if now is None else now
    told = read_json(folder.backed_up) or {}
    made = _instant(told.get("made"))
    since = _first_started(folder, now) if made is None else made
    if not days or now - since < days * DAY_S:
        return
    passed = int((now - since) / DAY_S)
    if made is None:
        yield found("backup-old", f"No backup was made in {passed} days", str(folder.home))
    else:
        yield found("backup-old", f"The last backup is {passed} days old", str(told.get("path", "")))


def _instant(text: object) -> float | None:
    """Seconds since 1970; None for what is no instant."""
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None


def _first_started(folder: CityFolder, now: float) -> float:
    """When a city first ran in this folder: its lock is made then, and never written to."""
    lock = folder.home / "lock"
    return lock.stat().st_mtime if lock.exists() else now
