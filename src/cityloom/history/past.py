"""What a Change of the kind PAST tells history: instances to remember, and what is to be forgotten."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from cityloom.history.model import Erasure
from cityloom.ngsild.model import Instance


class Past(msgspec.Struct, frozen=True, omit_defaults=True):
    """A write to the past as it stands in the feed. What is erased goes first."""

    #: Instances by attribute in the internal form of `ngsild.model`, several of one dataset among them.
    #: Beside its members an instance may have "instanceId", "createdAt" and (a deletion) "deletedAt".
    attrs: dict[str, list[Instance]] = {}
    erase: tuple[Erasure, ...] = ()


def encode_past(past: Past) -> bytes:
    """As it stands in the feed."""
    return orjson.dumps(msgspec.to_builtins(past))


def erasures_of(told: bytes) -> tuple[Erasure, ...]:
    """What a Change of the kind PAST erases."""
    return _erasures(told).erase


class _Erasures(msgspec.Struct, gc=False):
    erase: tuple[Erasure, ...] = ()
    attrs: Any = None


_erasures = msgspec.json.Decoder(_Erasures).decode
