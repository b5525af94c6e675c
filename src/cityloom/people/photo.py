"""Photos that people send: known by their bytes, whole, and without what they tell beyond the picture.

A telephone writes into a photo where and when it was taken and by which device. All of that is left out;
the one thing kept is which way up the picture is. Nothing is decoded or encoded anew. Pure.

Structure: ITU-T T.81 annex B (JPEG), W3C PNG, RFC 9649 (WebP).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from zlib import crc32

import msgspec

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded

LARGEST = 5 * 1024 * 1024
#: Pixels of the largest picture that is shown to anybody: a browser needs four bytes for each.
MOST_PIXELS = 64_000_000

_FIELD = "photo"
_ORIENTATION = 0x0112


class Photo(msgspec.Struct, frozen=True):
    """A picture fit to be kept and shown."""

    data: bytes
    media_type: str
    extension: str
    width: int
    height: int


def clean_photo(data: bytes) -> Photo:
    """The photo without its metadata. Raises BadInput at `photo` for what is none, broken or too large."""
    if not data:
        raise BadInput(Worded("The file is empty"), hint=Worded("Choose another photo."), where=_FIELD)
    if len(data) > LARGEST:
        hint = Worded(
            "Send at most %(most)s MB; telephones offer to make a photo smaller.", most=LARGEST // 1024**2
        )
        raise BadInput(
            Worded("The photo has %(size)s MB", size=round(len(data) / 1024**2, 1)), hint=hint, where=_FIELD
        )
    for begins, clean in _FORMATS:
        if begins(data):
            photo = clean(data)
            _check_size(photo)
            return photo
    raise BadInput(
        Worded("The file is no photo that can be shown"),
        hint=Worded("Send a JPEG, PNG or WebP picture."),
        where=_FIELD,
    )


def _check_size(photo: Photo) -> None:
    if photo.width == 0 or photo.height == 0:
        raise _broken("it has no size")
    if photo.width * photo.height > MOST_PIXELS:
        size = f"{photo.width:,} by {photo.height:,} pixels"
        raise BadInput(f"The photo has {size}", hint=Worded("Make it smaller."), where=_FIELD)


def _broken(why: str) -> BadInput:
    return BadInput(
        f"The photo is broken: {why}", hint=Worded("Send it again, or another one."), where=_FIELD
    )


# -- JPEG: segments, each begun by a marker ---------------------------------------------------------------

_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: Tables, frames, restart interval, number of lines: what a decoder needs.
_KEPT_SEGMENTS = frozenset(range(0xC0, 0xD0)) | {0xDB, 0xDC, 0xDD}
#: Application segments without which the colours would be wrong, by what they begin with.
_KEPT_APPLICATION = {0xE0: b"JFIF\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}


def _clean_jpeg(data: bytes) -> Photo:
    head: list[bytes] = []
    body: list[bytes] = []
    turned, size = 1, (0, 0)
    for marker, content, scan in _segments(data):
        if marker == 0xE1 and content.startswith(b"Exif\0\0"):
            turned = _orientation_of(content[6:])
        elif marker in _KEPT_APPLICATION and content.startswith(_KEPT_APPLICATION[marker]):
            if marker == 0xE0:
                # Without its thumbnail: that may show what was cut off the picture.
                head = [_segment(marker, content[:12].ljust(12, b"\0") + b"\0\0")]
            else:
                body.append(_segment(marker, content))
        elif marker in _KEPT_SEGMENTS or marker == _SCAN:
            body.append(_segment(marker, content) + scan)
            if marker in _FRAMES:
                size = _frame_size(content)
    if turned != 1:
        head.append(_segment(0xE1, b"Exif\0\0" + _orientation_only(turned)))
    cleaned = b"".join([b"\xff\xd8", *head, *body, b"\xff\xd9"])
    return Photo(cleaned, "image/jpeg", "jpg", *size)


def _segments(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Marker, content, and for a scan what is coded after it. Ends with the picture; what follows is lost."""
    position, scanned = 2, False
    while True:
        marker, position = _marker_at(data, position)
        if marker == _END:
            if not scanned:
                raise _broken("there is no picture in it")
            return
        if marker == 0x01 or 0xD0 <= marker <= _START:
            raise _broken("its parts are out of order")
        length = int.from_bytes(data[position : position + 2], "big")
        content = data[position + 2 : position + length]
        if length < 2 or len(content) != length - 2:
            raise _broken("it ends too early")
        position += length
        scan = b""
        if marker == _SCAN:
            end = _end_of_scan(data, position)
            scan, position, scanned = data[position:end], end, True
        yield marker, content, scan


def _marker_at(data: bytes, position: int) -> tuple[int, int]:
    if data[position : position + 1] != b"\xff":
        raise _broken("its parts are out of order" if position < len(data) else "it ends too early")
    while data[position : position + 1] == b"\xff":
        position += 1
    if position >= len(data):
        raise _broken("it ends too early")
    return data[position], position + 1


def _end_of_scan(data: bytes, position: int) -> int:
    """Where the next marker begins that is no part of the coded data (T.81, B.1.1.5)."""
    while (position := data.find(b"\xff", position)) >= 0:
        follows = data[position + 1 : position + 2]
        if not follows:
            break
        if follows != b"\0" and not b"\xd0" <= follows <= b"\xd7" and follows != b"\xff":
            return position
        position += 1 if follows == b"\xff" else 2
    raise _broken("it ends too early")


def _segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2, "big") + content


def _frame_size(content: bytes) -> tuple[int, int]:
    if len(content) < 6:
        raise _broken("it ends too early")
    height, width = struct.unpack_from(">HH", content, 1)
    return width, height


# -- which way up: one number in a TIFF directory (TIFF 6.0, Exif 2.32 4.6.4) -----------------------------


def _orientation_of(tiff: bytes) -> int:
    """1 (upright) to 8; 1 for what cannot be read."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 10:
        return 1
    (directory,) = struct.unpack_from(order + "I", tiff, 4)
    if directory + 2 > len(tiff):
        return 1
    (count,) = struct.unpack_from(order + "H", tiff, directory)
    for entry in range(directory + 2, min(directory + 2 + 12 * count, len(tiff) - 11), 12):
        tag, kind, number, value = struct.unpack_from(order + "HHIH", tiff, entry)
        if tag == _ORIENTATION and kind == 3 and number == 1:
            return value if 1 <= value <= 8 else 1
    return 1


def _orientation_only(turned: int) -> bytes:
    header = b"MM\0\x2a" + struct.pack(">I", 8)
    return header + struct.pack(">HHHIHHI", 1, _ORIENTATION, 3, 1, turned, 0, 0)


# -- PNG: chunks, each with its checksum ------------------------------------------------------------------

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: The picture, and what gives its colours. Texts, times, Exif and moving pictures are left out.
_KEPT_CHUNKS = frozenset(
    (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"sRGB", b"iCCP", b"sBIT")
) | {b"bKGD", b"pHYs", b"cICP"}


def _clean_png(data: bytes) -> Photo:
    kept = [_PNG_SIGNATURE]
    kinds: list[bytes] = []
    for kind, content in _chunks(data):
        if kind in _KEPT_CHUNKS:
            kinds.append(kind)
            kept.append(_chunk(kind, content))
        elif kind[0] & 0x20 == 0:
            raise _broken("it holds a part that no program knows")
    if kinds[:1] != [b"IHDR"] or b"IDAT" not in kinds:
        raise _broken("there is no picture in it")
    header = kept[1][8:]
    width, height = struct.unpack_from(">II", header)
    return Photo(b"".join(kept), "image/png", "png", width, height)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = len(_PNG_SIGNATURE)
    while True:
        if position + 12 > len(data):
            raise _broken("it ends too early")
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            raise _broken("it ends too early")
        content = data[position + 8 : end - 4]
        if int.from_bytes(data[end - 4 : end], "big") != crc32(kind + content):
            raise _broken("a checksum does not fit")
        yield kind, content
        if kind == b"IEND":
            return
        position = end


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = crc32(kind + content).to_bytes(4, "big")
    return len(content).to_bytes(4, "big") + kind + content + checksum


# -- WebP: RIFF chunks ------------------------------------------------------------------------------------

_EXIF_FLAG, _XMP_FLAG, _ANIMATION_FLAG = 0x08, 0x04, 0x02
_KEPT_RIFF = frozenset((b"VP8 ", b"VP8L", b"ALPH", b"ICCP"))


def _clean_webp(data: bytes) -> Photo:
    kept: list[bytes] = []
    size, turned, extended = (0, 0), 1, b""
    for kind, content in _riff_chunks(data):
        if kind == b"VP8X" and len(content) == 10:
            extended = content
        elif kind == b"EXIF":
            turned = _orientation_of(content.removeprefix(b"Exif\0\0"))
        elif kind in _KEPT_RIFF:
            kept.append(_riff_chunk(kind, content))
            if kind in (b"VP8 ", b"VP8L"):
                size = _webp_size(kind, content)
    if extended:
        if extended[0] & _ANIMATION_FLAG:
            raise BadInput(Worded("The photo moves"), hint=Worded("Send a still picture."), where=_FIELD)
        flags = extended[0] & ~(_EXIF_FLAG | _XMP_FLAG)
        if turned != 1:
            flags |= _EXIF_FLAG
            kept.append(_riff_chunk(b"EXIF", _orientation_only(turned)))
        kept.insert(0, _riff_chunk(b"VP8X", bytes((flags,)) + extended[1:]))
    if size == (0, 0):
        raise _broken("there is no picture in it")
    body = b"WEBP" + b"".join(kept)
    return Photo(b"RIFF" + struct.pack("<I", len(body)) + body, "image/webp", "webp", *size)


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise _broken("it ends too early")
    position = 12
    while position + 8 <= end:
        kind, length = struct.unpack_from("<4sI", data, position)
        content = data[position + 8 : position + 8 + length]
        if position + 8 + length > end:
            raise _broken("it ends too early")
        yield kind, content
        position += 8 + length + length % 2


def _riff_chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def _webp_size(kind: bytes, content: bytes) -> tuple[int, int]:
    if kind == b"VP8 " and len(content) >= 10 and content[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", content, 6)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L" and len(content) >= 5 and content[0] == 0x2F:
        (bits,) = struct.unpack_from("<I", content, 1)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    raise _broken("there is no picture in it")


_FORMATS: tuple[tuple[Callable[[bytes], bool], Callable[[bytes], Photo]], ...] = (
    (lambda data: data.startswith(b"\xff\xd8\xff"), _clean_jpeg),
    (lambda data: data.startswith(_PNG_SIGNATURE), _clean_png),
    (lambda data: data[:4] == b"RIFF" and data[8:12] == b"WEBP", _clean_webp),
)
