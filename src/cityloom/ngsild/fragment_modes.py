"""What a fragment of an Entity is for, and so what it may hold (ETSI GS CIM 009, 5.5.12, 5.6.2 to 5.6.4)."""

from __future__ import annotations

from enum import Enum
from typing import Literal

from cityloom.ngsild.contexts import Context

#: What a fragment is for. Appending adds (5.6.3), updating may delete whole attributes (5.6.2), merging may
#: give parts of an attribute and delete those (5.5.12).
Purpose = Literal["append", "update", "merge"]


class Mode(Enum):
    """What may be left out, and where the NGSI-LD Null may stand.

    `fragment`: id and type may be missing. `nulls`: whole attributes may be Null. `partial`: an attribute may
    come without its content, its members may be Null. `inside`: members of values may be Null.
    """

    WHOLE = (False, False, False, False)
    APPEND = (True, False, False, False)
    UPDATE = (True, True, False, False)
    PARTIAL = (True, True, True, False)
    MERGE = (True, True, True, True)

    def __init__(self, fragment: bool, nulls: bool, partial: bool, inside: bool) -> None:
        self.fragment = fragment
        self.nulls = nulls
        self.partial = partial
        self.inside = inside


class Reading:
    """What a reader of one payload goes by, and how many instances it has met."""

    __slots__ = ("context", "count", "expand", "mode")

    def __init__(self, context: Context, mode: Mode) -> None:
        self.context = context
        self.expand = context.expand
        self.mode = mode
        self.count = 0
