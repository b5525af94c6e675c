"""`cityloom export history`: all that is remembered, as files with a list of their checksums."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cityloom.adapters.files.whole_files import checksum_of
from cityloom.app.configuration import read_configuration
from cityloom.app.folder import CityFolder
from cityloom.app.load.bringing import workplace
from cityloom.app.load.doors import Door, door_of
from cityloom.history.file_names import file_name
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.errors import BadConfig
from cityloom.kernel.time import WallClock, format_instant, from_millis, month_of, months_later, to_millis

#: Endings of files by format.
SUFFIXES = {"parquet": ".parquet", "csv": ".csv", "ngsild": ".json"}
SUMS, ABOUT = "SHA256SUMS", "history.json"
#: Of a folder's files.
_USUAL = "parquet"


def export(options: argparse.Namespace) -> int:
    """Write the history to a folder, by type and month, or to one file."""
    folder = CityFolder(options.home or Path("city"))
    configuration = read_configuration(folder.configuration)
    target: Path = options.to
    if target.exists() and (target.is_file() or any(target.iterdir())):
        raise BadConfig("There is something already", hint="Name a new folder or file.", where=str(target))
    _check_format(target, options.format)
    classes = [InformationClass[name.upper()] for name in options.classes or ()] or list(InformationClass)
    try:
        (target.parent if target.suffix in SUFFIXES.values() else target).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadConfig(
            f"The export cannot be written: {error.strerror}",
            hint="Check the path and its rights.",
            where=str(target),
        ) from None
    with door_of(folder, configuration) as door, workplace(folder.exports):
        if target.suffix in SUFFIXES.values():
            return _one_file(door, folder, target, classes)
        return export_folder(door, folder, target, classes, options.format or _USUAL, configuration.name)


def _check_format(target: Path, wanted: str | None) -> None:
    """Raise BadConfig where the ending of one file says something else than --format."""
    named = next((name for name, suffix in SUFFIXES.items() if suffix == target.suffix), None)
    if named is not None and wanted not in (None, named):
        raise BadConfig(
            f"{target.name} would be of the format {named}, and --format says {wanted}",
            hint=f"Leave --format out, or name a file that ends with {SUFFIXES[str(wanted)]}.",
            where="--format",
        )


def export_folder(
    door: Door,
    folder: CityFolder,
    target: Path,
    classes: list[InformationClass],
    format_name: str,
    city: str,
) -> int:
    """Write a folder by type and month; the exit status."""
    target.mkdir(parents=True, exist_ok=True)
    sums: dict[str, str] = {}
    total = 0
    for part, some, before in _parts(door, classes, format_name):
        for month, since, until in months(part["since"], part["until"]):
            wanted = {"type": part["type"], "since": since, "until": until}
            place = f"{before}type={file_name(part['type'])}/month={month}/readings{SUFFIXES[format_name]}"
            readings = _fetch(door, folder, wanted, some, format_name, target / place)
            if readings:
                sums[place] = checksum_of(target / place)
                total += readings
                print(f"{place}: {readings:,} readings", file=sys.stderr)
    about = {
        "city": city,
        "exportedAt": format_instant(WallClock().now()),
        "format": format_name,
        "classes": [one.label for one in classes],
        "readings": total,
    }
    (target / ABOUT).write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    sums[ABOUT] = checksum_of(target / ABOUT)
    lines = (f"{digest}  {place}\n" for place, digest in sorted(sums.items()))
    (target / SUMS).write_text("".join(lines), encoding="utf-8")
    print(f"{total:,} readings in {len(sums) - 1:,} files in {target}. Check them with: sha256sum -c {SUMS}")
    return 0


def _parts(
    door: Door, classes: list[InformationClass], format_name: str
) -> Iterator[tuple[dict[str, Any], list[InformationClass], str]]:
    """Each type, of which classes together, and the folder before it, which tells what NGSI-LD does not."""
    together = [[one] for one in classes] if format_name == "ngsild" else [classes]
    for some in together:
        before = f"class={some[0].label}/" if format_name == "ngsild" else ""
        for part in door.act("parts", {"classes": some})["parts"]:
            yield part, some, before


def _one_file(door: Door, folder: CityFolder, target: Path, classes: list[InformationClass]) -> int:
    format_name = next(name for name, suffix in SUFFIXES.items() if suffix == target.suffix)
    parts = door.act("parts", {"classes": classes})["parts"]
    since = min((one["since"] for one in parts), default=0)
    until = max((one["until"] for one in parts), default=0) + 1
    wanted = {"type": "", "since": since, "until": until}
    target.parent.mkdir(parents=True, exist_ok=True)
    readings = _fetch(door, folder, wanted, classes, format_name, target)
    print(f"{readings:,} readings in {target}. SHA-256: {checksum_of(target) if readings else 'no file'}")
    return 0


def _fetch(
    door: Door,
    folder: CityFolder,
    part: dict[str, object],
    classes: list[InformationClass],
    format_name: str,
    target: Path,
) -> int:
    """Have a part written and move it where it belongs; returns how many readings it has."""
    said = door.act("export", {"part": part, "classes": classes, "format": format_name})
    file = folder.exports / Path(said["file"]).name
    try:
        if said["readings"]:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(file, target)
    finally:
        file.unlink(missing_ok=True)
    return int(said["readings"])


def months(first: int, last: int) -> Iterator[tuple[str, int, int]]:
    """The months (UTC) from that of an instant to that of another: name, begin and end in milliseconds."""
    begin = month_of(from_millis(first))
    while to_millis(begin) <= last:
        end = months_later(begin, 1)
        yield f"{begin:%Y-%m}", to_millis(begin), to_millis(end)
        begin = end
