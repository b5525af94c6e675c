"""Goals: what the city wants to reach, from the widest down."""

from __future__ import annotations

from cityloom.kernel.worded import Worded
from cityloom.planning.records.fields import Link, Said
from cityloom.planning.records.kinds import RecordKind

GOAL = RecordKind(
    type="Goal",
    path="goals",
    singular=Worded("Goal"),
    plural=Worded("Goals"),
    about=Worded("What the city wants to reach, from the widest goal down to those that can be measured."),
    permission="plan:edit",
    columns=("parent",),
    fields=(
        Said("name", Worded("Name"), required=True),
        Said("description", Worded("What it means"), longest=8000, several_lines=True),
        Link("parent", Worded("Part of"), to=("Goal",)),
    ),
)
