"""How the city's services depend on each other: circles, and what stops when one of them does. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

#: By id: the ids of what it depends on.
Dependencies = Mapping[str, Sequence[str]]


class Stopped(msgspec.Struct, frozen=True):
    """A service that stops because another one did."""

    id: str
    #: Over how many services: 1 depends on it directly.
    steps: int
    #: The services between, from what stopped first; itself last.
    way: tuple[str, ...]


def cascade(depends: Dependencies, *stopped: str) -> list[Stopped]:
    """What stops when these stop, the nearest first; each by a shortest way. They are not in it."""
    needed_by = _reversed(depends)
    ways: dict[str, tuple[str, ...]] = {one: (one,) for one in stopped}
    at, found = list(stopped), []
    while at:
        following = []
        for one in at:
            for other in sorted(needed_by.get(one, ())):
                if other not in ways:
                    ways[other] = (*ways[one], other)
                    found.append(Stopped(other, len(ways[other]) - 1, ways[other]))
                    following.append(other)
        at = following
    return found


def circles(depends: Dependencies) -> list[tuple[str, ...]]:
    """Services that depend on each other in a circle, each circle once: one that never starts again alone.

    These are the strongly connected parts of more than one service, and what depends on itself.
    """
    found = [part for part in _parts(depends) if len(part) > 1 or part[0] in depends.get(part[0], ())]
    return sorted(tuple(sorted(part)) for part in found)


def layers(depends: Dependencies) -> list[list[str]]:
    """The services in layers for drawing: each above everything it depends on, circles kept together."""
    part_of = {one: number for number, part in enumerate(_parts(depends)) for one in part}
    heights: dict[int, int] = {}
    # _parts gives a part after those it depends on.
    for number, part in enumerate(_parts(depends)):
        below = {part_of[other] for one in part for other in depends.get(one, ()) if other in part_of}
        heights[number] = 1 + max((heights[other] for other in below - {number}), default=-1)
    rows: list[list[str]] = [[] for _ in range(max(heights.values(), default=-1) + 1)]
    for one in sorted(part_of):
        rows[heights[part_of[one]]].append(one)
    return rows


def _reversed(depends: Dependencies) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for one, needs in depends.items():
        for other in needs:
            found.setdefault(other, set()).add(one)
    return found


def _parts(depends: Dependencies) -> list[list[str]]:
    """Strongly connected parts, what is depended on first (Tarjan), without recursion: plans may be deep."""
    known = {*depends, *(other for needs in depends.values() for other in needs)}
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    parts: list[list[str]] = []
    for root in sorted(known):
        if root not in number:
            _walk(root, depends, number, low, stack, parts)
    return parts


def _walk(
    root: str,
    depends: Dependencies,
    number: dict[str, int],
    low: dict[str, int],
    stack: list[str],
    parts: list[list[str]],
) -> None:
    open_stack = [(root, iter(_enter(root, depends, number, low, stack)))]
    while open_stack:
        one, needs = open_stack[-1]
        following = next((other for other in needs if _is_new(one, other, number, low, stack)), None)
        if following is not None:
            open_stack.append((following, iter(_enter(following, depends, number, low, stack))))
            continue
        open_stack.pop()
        if open_stack:
            before = open_stack[-1][0]
            low[before] = min(low[before], low[one])
        if low[one] == number[one]:
            place = stack.index(one)
            parts.append(stack[place:])
            del stack[place:]


def _enter(
    one: str, depends: Dependencies, number: dict[str, int], low: dict[str, int], stack: list[str]
) -> Iterable[str]:
    number[one] = low[one] = len(number)
    stack.append(one)
    return sorted(depends.get(one, ()))


def _is_new(one: str, other: str, number: dict[str, int], low: dict[str, int], stack: list[str]) -> bool:
    """Whether the walk goes on there; otherwise what is known of it counts."""
    if other not in number:
        return True
    if other in stack:
        low[one] = min(low[one], number[other])
    return False
