"""A version of the plan as it was adopted: one canonical text, by whose SHA-256 anybody can tell it. Pure.

The canonical text is that of all digests (`kernel/canonical.py`); amounts of money are texts in it. What is
handed out is {"plan": ..., "sha256": ...}: whoever writes `plan` in that form gets the same digest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from cityloom.kernel.canonical import canonical, digest_of
from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded

#: What the format is called in each file.
FORMAT = "cityloom-plan/1"
#: A file larger than this is not looked into, in bytes.
LARGEST = 64 * 1024 * 1024


class Field(msgspec.Struct, frozen=True):
    """What one field of a record says in two versions; None where it says nothing."""

    name: str
    before: Any
    after: Any


class Difference(msgspec.Struct, frozen=True):
    """A record that is not the same in two versions. `did` is added, changed or removed."""

    id: str
    type: str
    name: Mapping[str, str]
    did: str
    fields: tuple[Field, ...] = ()


class Verified(msgspec.Struct, frozen=True):
    """What a file turned out to be."""

    digest: str
    city: str
    number: int
    adopted_on: str
    decision: Mapping[str, str]
    #: How many records of each type.
    counts: Mapping[str, int]


class Told(msgspec.Struct, frozen=True):
    """What a version says of itself, without what is in it."""

    adopted_on: str
    decision: Mapping[str, str]
    #: The digest of the version before; "" for the first.
    previous: str
    counts: Mapping[str, int]


def handed_out(content: Any) -> bytes:
    """The file that everybody may fetch."""
    return as_file(canonical(content), digest_of(content))


def as_file(text: bytes, digest: str) -> bytes:
    """The same of a canonical text and its digest, which are not worked out again."""
    return b'{"plan":%b,"sha256":"%b"}' % (text, digest.encode())


def told_of(content: Mapping[str, Any]) -> Told:
    """What is told of a version before anybody reads it."""
    return Told(
        adopted_on=str(content["adoptedOn"]),
        decision={name: str(said) for name, said in content["decision"].items()},
        previous=str(content["previous"]),
        counts=counts_of(content),
    )


def verify(raw: bytes, *, digest: str = "") -> Verified:
    """What a file says, when it is what was adopted. `digest` is the one that the city published, if known.

    Raises BadInput when the file is none, was changed, or is another version.
    """
    content, said = _read(raw)
    found = digest_of(content)
    if found != said:
        hint = Worded("Fetch it again from the city's page of the plan's versions.")
        raise BadInput(
            Worded("The plan is not what was adopted: its digest is %(found)s", found=found),
            hint=hint,
            where="sha256",
        )
    if digest and found != digest.strip().lower():
        hint = Worded("Its digest is %(found)s: it may be another version.", found=found)
        raise BadInput(Worded("This is not the plan of that digest"), hint=hint, where="digest")
    decision = {name: str(one) for name, one in content["decision"].items() if isinstance(one, str)}
    return Verified(
        digest=found,
        city=str(content["city"]),
        number=int(content["number"]),
        adopted_on=str(content["adoptedOn"]),
        decision=decision,
        counts=counts_of(content),
    )


def counts_of(content: Mapping[str, Any]) -> dict[str, int]:
    """How many records of each type a version holds."""
    counts: dict[str, int] = {}
    for one in content["records"]:
        counts[one["type"]] = counts.get(one["type"], 0) + 1
    return dict(sorted(counts.items()))


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """What was added, changed and taken out between two versions, by type and name."""
    earlier, later = _by_id(before), _by_id(after)
    found = [_added(one) for key, one in later.items() if key not in earlier]
    found += [_removed(one) for key, one in earlier.items() if key not in later]
    for key, one in later.items():
        if key in earlier and (fields := _fields(earlier[key]["says"], one["says"])):
            found.append(Difference(key, one["type"], _name(one), "changed", fields))
    return sorted(found, key=lambda one: (one.type, next(iter(one.name.values()), ""), one.id))


def _read(raw: bytes) -> tuple[dict[str, Any], str]:
    if len(raw) > LARGEST:
        raise _no_plan(f"{len(raw)} bytes")
    try:
        read = json.loads(raw)
        content, said = read["plan"], read["sha256"]
        fits = (
            content["format"] == FORMAT
            and isinstance(said, str)
            and isinstance(content["decision"], dict)
            and isinstance(content["number"], int)
            and all(isinstance(one["type"], str) for one in content["records"])
            and {"city", "adoptedOn"} <= content.keys()
        )
    except (ValueError, KeyError, TypeError, RecursionError, AttributeError) as error:
        raise _no_plan(type(error).__name__) from None
    if not fits:
        raise _no_plan(FORMAT)
    return content, said


def _no_plan(why: str) -> BadInput:
    return BadInput(
        Worded("This is no version of a plan (%(why)s)", why=why),
        hint=Worded("Take the file that the page of the version offers."),
        where="file",
    )


def _by_id(content: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {one["id"]: one for one in content["records"]}


def _name(record: Mapping[str, Any]) -> Mapping[str, str]:
    said = record["says"].get("name")
    return said if isinstance(said, Mapping) else {"en": str(said or record["id"])}


def _added(record: Mapping[str, Any]) -> Difference:
    return Difference(record["id"], record["type"], _name(record), "added", _fields({}, record["says"]))


def _removed(record: Mapping[str, Any]) -> Difference:
    return Difference(record["id"], record["type"], _name(record), "removed", _fields(record["says"], {}))


def _fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Field, ...]:
    names: Sequence[str] = sorted({*before, *after})
    return tuple(
        Field(name, before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    )
