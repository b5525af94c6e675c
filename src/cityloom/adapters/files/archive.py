"""The folder of the archive: Parquet files by class, type and month, with their checksums.

Which files it has, with their checksums, stands in the history's database. A file that is written anew lies
beside the old one until the transaction that says so is there, and takes its place then: after a kill its
checksum tells whether that transaction came to be.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from cityloom.adapters.files.whole_files import checksum_of, sync_folder, write_whole
from cityloom.history.file_names import file_name
from cityloom.history.model import Window
from cityloom.history.retention import Archived, Outgoing
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.time import from_millis

#: Lists the files as `sha256sum -c` reads it.
CHECKSUMS = "SHA256SUMS"
#: A file that is not yet in its place.
_NEW = ".new"


def folder_of(one: Outgoing) -> str:
    """Where files of a type, a class and a month lie, from the archive's folder."""
    return f"class={one.information_class.name.lower()}/type={file_name(one.type)}/month={one.month}"


def is_asked(file: str, window: Window, highest: int) -> bool:
    """Whether a file, class=open/type=Weather/month=2024-03/part-1.parquet, is of a month that a window is
    about, and of no class above `highest`."""
    secrecy, _, month = (part.partition("=")[2] for part in Path(file).parts[:3])
    if InformationClass[secrecy.upper()] > highest:
        return False
    first, last = (
        None if one is None else f"{from_millis(one):%Y-%m}" for one in (window.since, window.until)
    )
    return (first is None or month >= first) and (last is None or month <= last)


def written(path: Path, write: Callable[[Path], object]) -> str:
    """Have a file written beside its place, durably; returns its checksum."""
    new = path.with_name(f"{path.name}{_NEW}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        write(new)
        with new.open("rb") as file:
            os.fsync(file.fileno())
        sync_folder(new.parent)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    return checksum_of(new)


def put_in_place(path: Path) -> None:
    """Give a file that was written its place."""
    path.with_name(f"{path.name}{_NEW}").replace(path)
    sync_folder(path.parent)


def settle(archive: Path, listed: Sequence[Archived]) -> None:
    """Give each file that was written anew its place, or let it go where no transaction tells of it."""
    known = {archive / one.file: one.sha256 for one in listed}
    for new in sorted(archive.rglob(f"*{_NEW}")):
        path = new.with_name(new.name.removesuffix(_NEW))
        if path in known and checksum_of(new) == known[path]:
            put_in_place(path)
        else:
            new.unlink()
    list_checksums(archive, listed)


def list_checksums(archive: Path, listed: Sequence[Archived]) -> None:
    """Write down the checksums beside the files."""
    if listed or (archive / CHECKSUMS).exists():
        said = "".join(f"{one.sha256}  {one.file}\n" for one in listed)
        write_whole(archive / CHECKSUMS, said.encode(), when_full="The disk is full: no list was written")
