"""The targets of the Sustainable Development Goals: 17 goals, 169 targets (A/RES/70/1)."""

from __future__ import annotations

from cityloom.kernel.errors import BadInput
from cityloom.kernel.findings import noted as n

#: Short names in our own words, by goal.
GOALS = {
    1: n("No poverty"),
    2: n("No hunger"),
    3: n("Health"),
    4: n("Education"),
    5: n("Gender equality"),
    6: n("Water and sanitation"),
    7: n("Clean energy"),
    8: n("Work and growth"),
    9: n("Industry, innovation, infrastructure"),
    10: n("Less inequality"),
    11: n("Cities and communities"),
    12: n("Responsible consumption"),
    13: n("Climate"),
    14: n("Life below water"),
    15: n("Life on land"),
    16: n("Peace and institutions"),
    17: n("Partnerships"),
}
#: By goal: the last numbered target, and the last lettered one (a means of implementation).
_LAST = {
    1: (5, "b"),
    2: (5, "c"),
    3: (9, "d"),
    4: (7, "c"),
    5: (6, "c"),
    6: (6, "b"),
    7: (3, "b"),
    8: (10, "b"),
    9: (5, "c"),
    10: (7, "c"),
    11: (7, "c"),
    12: (8, "c"),
    13: (3, "b"),
    14: (7, "c"),
    15: (9, "c"),
    16: (10, "b"),
    17: (19, ""),
}
#: All targets, in their order: "1.1" … "17.19".
TARGETS: tuple[str, ...] = tuple(
    f"{goal}.{part}"
    for goal, (numbers, letter) in _LAST.items()
    for part in (
        *map(str, range(1, numbers + 1)),
        *(chr(code) for code in range(ord("a"), ord(letter) + 1 if letter else 0)),
    )
)
_PLACE = {target: place for place, target in enumerate(TARGETS)}


def check_targets(said: tuple[str, ...], *, where: str) -> tuple[str, ...]:
    """The targets in their order, each once. Raises BadInput naming the first that is none."""
    found = {one.strip().lower() for one in said if one.strip()}
    for one in sorted(found):
        if one not in _PLACE:
            hint = "Write targets such as 11.6 or 3.d, with commas between them."
            raise BadInput(
                f"{one[:12]!r} is no target of a Sustainable Development Goal", hint=hint, where=where
            )
    return tuple(sorted(found, key=_PLACE.__getitem__))


def goal_of(target: str) -> int:
    """The goal that a target belongs to."""
    return int(target.partition(".")[0])
