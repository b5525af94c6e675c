"""A city is one folder. What lies where in it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from cityloom.kernel.errors import BadConfig


class CityFolder(NamedTuple):
    """The paths of a city's folder."""

    home: Path

    @property
    def configuration(self) -> Path:
        return self.home / "city.toml"

    @property
    def feed(self) -> Path:
        return self.home / "feed.db"

    @property
    def state(self) -> Path:
        return self.home / "state.db"

    @property
    def records(self) -> Path:
        return self.home / "records.db"

    @property
    def keys(self) -> Path:
        """The keys of what is personal: no part of a backup."""
        return self.home / "keys.db"

    @property
    def erased(self) -> Path:
        """Names of the keys that were destroyed, and when."""
        return self.home / "erased.json"

    @property
    def snapshots(self) -> Path:
        """What each snapshot is made of, one file for each."""
        return self.home / "snapshots"

    @property
    def notifications(self) -> Path:
        """What waits to be told to those who subscribed."""
        return self.home / "notifications.db"

    @property
    def history(self) -> Path:
        return self.home / "history.duckdb"

    @property
    def archive(self) -> Path:
        """Readings that have become roll-ups, as Parquet; the history writes it beside its own file."""
        return self.home / "archive"

    @property
    def exports(self) -> Path:
        return self.home / "exports"

    @property
    def photos(self) -> Path:
        return self.home / "photos"

    @property
    def evidence(self) -> Path:
        return self.home / "evidence"

    @property
    def benchmarks(self) -> Path:
        """Tables of targets that the city has set itself, by framework: u4ssc.csv."""
        return self.home / "benchmarks"

    @property
    def parameters(self) -> Path:
        return self.home / "parameters"

    @property
    def running(self) -> Path:
        """Says where the running city answers, to commands in other terminals. For its owner alone."""
        return self.home / "running.json"

    @property
    def backed_up(self) -> Path:
        """When the last backup was made, and where it lies."""
        return self.home / "backup.json"

    @property
    def growth(self) -> Path:
        """How the disk filled up in the last weeks."""
        return self.home / "growth.json"

    @property
    def replay(self) -> Path:
        """How far a demo city's time has come."""
        return self.home / "replay.json"

    def make(self) -> None:
        """Make the folder, for its owner alone. Raises BadConfig when that cannot be."""
        try:
            self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise BadConfig(
                f"The city's folder cannot be made: {error.strerror}",
                hint="Choose another one with --home.",
                where=str(self.home),
            ) from None

    def check_whole(self, *needed: Path) -> None:
        """Raise BadConfig when a file is missing that a city which has lived must have.

        What is lost is not replaced in silence: with the accounts the audit log would be gone, too.
        """
        for path, keeps in ((self.records, "accounts and the audit log"), (self.history, "the readings")):
            if path in needed and not path.exists():
                raise BadConfig(
                    f"{path.name} is missing, which keeps {keeps}",
                    hint="Restore it from the backup that the other files are from. Without one, make an "
                    "empty file of this name, and what it kept begins anew.",
                    where=str(path),
                )


def write_private_json(path: Path, value: Any) -> None:
    """Replace a small file at once, readable by its owner alone."""
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(descriptor)
    fresh.replace(path)


def read_json(path: Path) -> dict[str, Any] | None:
    """A small file written by `write_private_json`; None when there is none, or none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
