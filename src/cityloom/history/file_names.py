"""Names of types as parts of paths. Pure."""

from __future__ import annotations

from hashlib import sha256
from urllib.parse import quote

#: Letters of a part of a path, of which most file systems take 255 bytes, with room for what stands before.
_LONGEST = 200
_BEGINNING, _DIGEST = 150, 32


def file_name(type_name: str) -> str:
    """A type as a part of a path, in percent signs; of one that is too long its beginning and a digest."""
    plain = quote(type_name, safe="")
    if len(plain) <= _LONGEST:
        return plain
    return f"{plain[:_BEGINNING]}~{sha256(type_name.encode()).hexdigest()[:_DIGEST]}"
