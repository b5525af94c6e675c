"""What goes by itself within attributes: what they carry with `expiresAt` (ETSI GS CIM 009, 4.22)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from cityloom.kernel.time import parse_instant
from cityloom.ngsild.merge import Merged
from cityloom.ngsild.model import Document, Instance

_Attributes = Mapping[str, list[Instance]]


def expiries_within(attributes: _Attributes) -> Iterator[datetime]:
    """When attributes of these attributes expire, to any depth."""
    for items in attributes.values():
        for item in items:
            inner: _Attributes = item.get("attrs", {})
            for ones in inner.values():
                yield from (_end(one) for one in ones if "expiresAt" in one)
            yield from expiries_within(inner)


def without_expired_within(old: Document, until: datetime, now: str) -> Merged:
    """The Entity without the attributes of its attributes that have expired `until` then. What they were of
    is modified `now`. The same document, and no names, where nothing has."""
    attributes, changed = dict(old["attrs"]), []
    for name, items in old["attrs"].items():
        left = [_living(item, until, now) for item in items]
        if left != items:
            attributes[name] = left
            changed.append(name)
    if not changed:
        return old, ()
    return {**old, "attrs": attributes, "modifiedAt": now}, tuple(changed)


def _living(item: Instance, until: datetime, now: str) -> Instance:
    inner: _Attributes = item.get("attrs", {})
    left = {}
    for name, ones in inner.items():
        kept = [_living(one, until, now) for one in ones if "expiresAt" not in one or _end(one) > until]
        if kept:
            left[name] = kept
    if left == inner:
        return item
    rest = {key: value for key, value in item.items() if key != "attrs"}
    if "modifiedAt" in rest:
        rest["modifiedAt"] = now
    return {**rest, "attrs": left} if left else rest


def _end(item: Instance) -> datetime:
    return parse_instant(item["expiresAt"], where="expiresAt")
