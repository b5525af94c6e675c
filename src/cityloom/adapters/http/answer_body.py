"""The body of an answer, unpacked piece by piece, so that a small one cannot become a huge one."""

from __future__ import annotations

import zlib

#: Bytes that are unpacked in one go.
_PIECE = 65_536
#: gzip or zlib, as its beginning says.
_EITHER = 32 + zlib.MAX_WBITS


class Spoilt(Exception):
    """The body cannot be used: too large, cut short, packed unknown."""


class AnswerBody:
    """Takes a body as it arrives. `encoding` is what Content-Encoding says, `largest` the bytes it may have
    unpacked."""

    def __init__(self, encoding: str, largest: int) -> None:
        self._encoding = encoding.strip().lower()
        self._largest = largest
        self._found: list[bytes] = []
        self._size = 0
        self._unpack: zlib._Decompress | None = None

    def add(self, part: bytes) -> None:
        """Take what has arrived. Raises Spoilt."""
        if self._encoding in ("", "identity"):
            self._keep(part)
            return
        unpack = self._unpacking()
        while part:
            if unpack.eof:
                # What comes after the end would be kept for nobody.
                raise Spoilt("its answer goes on after its end")
            try:
                self._keep(unpack.decompress(part, _PIECE))
            except zlib.error as error:
                raise Spoilt(str(error)) from None
            part = unpack.unused_data or unpack.unconsumed_tail

    def whole(self) -> bytes:
        """All of it, once nothing more comes. Raises Spoilt."""
        if self._unpack is not None and not self._unpack.eof:
            raise Spoilt("its answer is cut short")
        return b"".join(self._found)

    def _unpacking(self) -> zlib._Decompress:
        if self._unpack is None:
            if self._encoding not in ("gzip", "x-gzip", "deflate"):
                raise Spoilt(f"its answer is packed as {self._encoding[:40]!a}")
            self._unpack = zlib.decompressobj(_EITHER)
        return self._unpack

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._largest:
            raise Spoilt(f"its answer is larger than {_size(self._largest)}")
        self._found.append(piece)


def _size(count: int) -> str:
    return f"{count // 1_000_000} MB" if count >= 1_000_000 else f"{count} bytes"
