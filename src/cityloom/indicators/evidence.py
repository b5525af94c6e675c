"""Evidence files: which are taken, what they are, and how they are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from cityloom.indicators.model import (
    Evidence,
)
from cityloom.indicators.ports import EvidenceStore
from cityloom.kernel.errors import BadInput
from cityloom.kernel.texts import check_line
from cityloom.kernel.worded import Worded

#: The largest file, and how many come with one value.
LARGEST = 10 * 1024 * 1024
MOST_FILES = 5

#: Media types that are taken, with the bytes a file of that type begins with; none for texts.
MEDIA_TYPES: dict[str, tuple[bytes, ...]] = {
    "application/pdf": (b"%PDF-",),
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": (b"PK\x03\x04",),
    "application/vnd.oasis.opendocument.spreadsheet": (b"PK\x03\x04",),
    "text/csv": (),
    "text/plain": (),
    "application/json": (),
}


def check_file(name: str, media_type: str, data: bytes) -> str:
    """The file's name without a path. Raises BadInput when the file is not taken."""
    plain = check_line(name.replace("\\", "/").rsplit("/", 1)[-1], where="evidence.name", longest=200)
    if not data:
        raise BadInput(f"{plain} is empty", hint=Worded("Choose the file again."), where="evidence")
    if len(data) > LARGEST:
        hint = (
            f"A file may have up to {LARGEST // 1024 // 1024} MB. Send a part of it, or a link in the source."
        )
        raise BadInput(f"{plain} has {len(data) / 1024 / 1024:.1f} MB", hint=hint, where="evidence")
    beginnings = MEDIA_TYPES.get(media_type)
    if beginnings is None:
        hint = Worded("Send a PDF, PNG, JPEG, spreadsheet (xlsx, ods), CSV, JSON or plain text.")
        raise BadInput(f"Files of the type {media_type[:60]!r} are not taken", hint=hint, where="evidence")
    if not _is_what_it_says(data, beginnings):
        hint = Worded("Save it again in that format, or send it as what it is.")
        raise BadInput(f"{plain} is no {media_type}", hint=hint, where="evidence")
    return plain


def type_of_values(data: bytes) -> str:
    """The media type of a file of values, told by its content: browsers name tables after a program."""
    if data.startswith(b"PK\x03\x04"):
        return "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    return "application/json" if data.lstrip()[:1] == b"{" else "text/csv"


def _is_what_it_says(data: bytes, beginnings: tuple[bytes, ...]) -> bool:
    if beginnings:
        return data.startswith(beginnings)
    try:
        return "\x00" not in data.decode("utf-8")
    except UnicodeDecodeError:
        return False


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """An evidence file as it was sent."""

    name: str
    media_type: str
    data: bytes
    #: Whether everybody who sees the value may read it; else those who enter and verify.
    public: bool = False


async def keep(store: EvidenceStore, files: Sequence[Upload]) -> list[Evidence]:
    """What is told of files that are kept now. Raises BadInput; then none is kept."""
    if len(files) > MOST_FILES:
        raise BadInput(f"{len(files)} files are too many", hint=f"Send up to {MOST_FILES}.", where="evidence")
    names = [check_file(one.name, one.media_type, one.data) for one in files]
    return [
        Evidence(
            digest=await asyncio.to_thread(store.put, one.data),
            name=name,
            media_type=one.media_type,
            size=len(one.data),
            public=one.public,
        )
        for one, name in zip(files, names, strict=True)
    ]
