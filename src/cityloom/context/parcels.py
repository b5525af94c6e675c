"""Parcels: changes on their way to other processes, in partitions that keep the order of each Entity. Pure.

A parcel says which change of its partition went before it. So whoever receives parcels knows by itself
whether one is missing, came twice or came out of turn, whatever carried them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from zlib import crc32

import msgspec

from cityloom.kernel.change import Change
from cityloom.kernel.errors import BadInput

#: In the place of the change that went before: nobody knows, look into the feed.
UNKNOWN = -1
#: The partition of what stays in the city's own process, which has the keys to what is personal.
HOME = -1


class Parcel(msgspec.Struct, frozen=True, array_like=True):
    """Changes of one partition, in order."""

    partition: int
    #: The sequence of the change of this partition that went before the first of these; UNKNOWN.
    before: int
    #: The sequence of the last of these.
    through: int
    #: All changes of the partition after `before` through `through`. None: look them up in the feed.
    changes: list[Change] | None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Parcel)


def partition_of(entity_id: str, parts: int) -> int:
    """The partition of an Entity, 0 to parts - 1: the same on every machine and in every version."""
    return crc32(entity_id.encode("utf-8", "surrogatepass")) % parts


#: Whether changes of Entities of these types stay in the city's own process.
Stays = Callable[[tuple[str, ...]], bool]


def newest_by_partition(changes: Iterable[Change], parts: int) -> dict[int, int]:
    """The sequence of the last of these changes in each partition that has any."""
    return {partition_of(one.entity_id, parts): one.sequence for one in changes}


def packed(parcel: Parcel, most_bytes: int) -> list[bytes]:
    """A parcel as messages of at most so many bytes; one that is greater by a single change says: look it
    up."""
    message = _encoder.encode(parcel)
    if len(message) <= most_bytes:
        return [message]
    changes = parcel.changes or []
    if len(changes) < 2:
        return [_encoder.encode(msgspec.structs.replace(parcel, changes=None))]
    half = len(changes) // 2
    middle = changes[half - 1].sequence
    first = Parcel(parcel.partition, parcel.before, middle, changes[:half])
    second = Parcel(parcel.partition, middle, parcel.through, changes[half:])
    return [*packed(first, most_bytes), *packed(second, most_bytes)]


def unpacked(message: bytes) -> Parcel:
    """The parcel in a message. Raises BadInput."""
    try:
        return _decoder.decode(message)
    except msgspec.DecodeError as error:
        raise BadInput(
            f"A message between the city's processes cannot be read: {error}",
            hint="Run the same version of CityLoom everywhere.",
        ) from None


def parcels_of(changes: Sequence[Change], parts: int, before: Mapping[int, int]) -> list[Parcel]:
    """Changes by partition. `before` has the last change of each partition that went out, where known."""
    sorted_out: dict[int, list[Change]] = {}
    for one in changes:
        sorted_out.setdefault(partition_of(one.entity_id, parts), []).append(one)
    return [
        Parcel(partition, before.get(partition, UNKNOWN), found[-1].sequence, found)
        for partition, found in sorted_out.items()
    ]


def shared_out(parts: int, processes: Sequence[str], process: str) -> set[int]:
    """The partitions that one of several processes follows: each is somebody's, as evenly as can be."""
    turns = sorted(set(processes))
    if process not in turns:
        return set()
    return {one for one in range(parts) if turns[one % len(turns)] == process}
