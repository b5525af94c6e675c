"""One text of a content, by whose SHA-256 anybody can tell that it is what it was. Pure.

It is JSON in UTF-8: names sorted, no spaces, letters as they are, numbers as Python's `json` writes them. So
whoever has the content writes the same text, on any machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

import msgspec
import orjson


def canonical(content: Any) -> bytes:
    """The one way in which a content (plain values, structs) is written. Raises ValueError, TypeError for
    what JSON cannot say."""
    return b"".join(_written(content))


def _written(content: Any) -> Iterator[bytes]:
    """A content in pieces: a plan holds thousands of records, and nobody waits for more than one."""
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        yield _text(content)
        return
    before = b"{"
    for name in sorted(content):
        yield before + _text(name) + b":"
        before = b","
        said = content[name]
        yield from _listed(said) if isinstance(said, list) else (_text(said),)
    yield b"}" if before == b"," else b"{}"


def _listed(items: Iterable[Any]) -> Iterator[bytes]:
    before = b"["
    for item in items:
        yield before + _text(item)
        before = b","
    yield b"]" if before == b"," else b"[]"


def _text(content: Any) -> bytes:
    plain = msgspec.to_builtins(content)
    text = json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode()


def digest_of(content: Any) -> str:
    """SHA-256 of the canonical text, in hexadecimal."""
    return sha256(canonical(content)).hexdigest()


def is_digest_of(digest: str, content: Any) -> bool:
    """Whether a content is what a digest was taken of, now or before there was one canonical text."""
    return digest == digest_of(content) or digest in map(_hex, _as_before(content))


def _as_before(content: Any) -> Iterator[bytes]:
    # They differ in how very large and very small numbers are written, the last in the order of names.
    yield orjson.dumps(msgspec.to_builtins(content), option=orjson.OPT_SORT_KEYS)
    yield msgspec.json.encode(content, order="sorted")
    yield msgspec.json.encode(content, order="deterministic")


def _hex(text: bytes) -> str:
    return sha256(text).hexdigest()
