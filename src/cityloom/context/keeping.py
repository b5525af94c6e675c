"""How a document is kept in memory: its attributes' times stand there once.

Most attributes of an Entity were created with it, and were modified last then or with its newest change. So
what they say of that repeats the Entity's own times, and is a third of what a million Entities take. It is
cut out of the text, and put back when the document is read: byte for byte, whatever it says.
"""

from __future__ import annotations

import re
from typing import NewType

#: A document as it is kept; `unpack` makes it one again.
Kept = NewType("Kept", bytes)

_CREATED = b',"createdAt":"'
_TIMES = _CREATED + b'%b","modifiedAt":"%b"}'
#: How a document ends.
_END = re.compile(_TIMES.replace(b"%b", b'([^"\\\\]+)'))
#: For what is cut out, which is the end of an attribute instance. Neither byte stands in JSON.
NEVER_MODIFIED, MODIFIED_LAST = b"\x01", b"\x02"


def pack(document: bytes) -> Kept:
    """A document in the internal form, as JSON without spaces, to be kept."""
    at = document.rfind(_CREATED)
    found = _END.fullmatch(document, max(at, 0))
    if found is None:
        return Kept(document)
    created, modified = found.groups()
    kept = document[:at].replace(found[0], MODIFIED_LAST)
    if created != modified:
        kept = kept.replace(_TIMES % (created, created), NEVER_MODIFIED)
    return Kept(kept + found[0])


def packed(document: bytes) -> Kept:
    """The same of one that may be packed already."""
    return Kept(document) if MODIFIED_LAST in document or NEVER_MODIFIED in document else pack(document)


def unpack(kept: Kept) -> bytes:
    """The document that was packed."""
    at = kept.rfind(_CREATED)
    if at < 0:
        return kept
    document, end = kept[:at], kept[at:]
    if NEVER_MODIFIED in document:
        created = end[len(_CREATED) : end.index(b'"', len(_CREATED))]
        document = document.replace(NEVER_MODIFIED, _TIMES % (created, created))
    return document.replace(MODIFIED_LAST, end) + end


def without_times(kept: Kept) -> bytes:
    """The document that was packed, without the times of those attributes that repeat the Entity's."""
    # Before the times there are other members, so an object that ends with them can end without.
    return kept.replace(NEVER_MODIFIED, b"}").replace(MODIFIED_LAST, b"}")
