"""Which initiative waits for which: the critical path, the room there is, and whom a late one makes late.

Days, from a day's beginning to another's: what takes 10 days and begins on the 1st has ended on the 11th,
when what waits for it may begin. Pure.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

import msgspec


class Activity(msgspec.Struct, frozen=True, kw_only=True):
    """One initiative as the plan has it."""

    id: str
    start: date
    end: date
    #: Those that must have ended before it begins.
    after: tuple[str, ...] = ()
    has_begun: bool = False
    has_ended: bool = False

    @property
    def waits(self) -> bool:
        """It has not begun, and so waits for what it comes after."""
        return not (self.has_begun or self.has_ended)


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """When an initiative can begin and end, at the earliest and at the latest."""

    id: str
    planned_start: date
    planned_end: date
    earliest_start: date
    earliest_end: date
    #: The latest that do not move the end of the chain it belongs to.
    latest_start: date
    latest_end: date
    #: Days between the earliest and the latest.
    slack: int
    #: A day's delay moves the end of its chain. False for what stands alone and for what has ended.
    is_critical: bool
    #: Days by which it would begin later than planned; for what has begun, by which it would end later.
    late: int
    #: The initiative that holds it up; "" where that is no other.
    because_of: str
    #: Those that hang together have the same number.
    chain: int


class Schedule(msgspec.Struct, frozen=True):
    """All initiatives that have a place in time."""

    placed: Mapping[str, Placed]
    #: Ids that wait for each other in a circle, and so for ever.
    circle: tuple[str, ...] = ()


def find_circle(after: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Ids of one circle in the order in which each waits for the next; () when there is none."""
    rest = set(after) - set(_ordered({one: list(several) for one, several in after.items()}))
    if not rest:
        return ()
    # What is left waits, each for another that is left: following it comes round.
    walked: dict[str, int] = {}
    here = min(one for one in rest if any(other in rest for other in after[one]))
    while here not in walked:
        walked[here] = len(walked)
        here = min(other for other in after[here] if other in rest)
    return tuple(list(walked)[walked[here] :])


def schedule(
    activities: Sequence[Activity], today: date, delays: Mapping[str, int] | None = None
) -> Schedule:
    """Where everything comes to lie. `delays` are days by which some would begin later than they could.

    What it waits for that is not among the activities is left out of account.
    """
    known = {one.id: one for one in activities}
    after = {one.id: [other for other in one.after if other in known] for one in activities}
    order = _ordered(after)
    places, holders = _forward(order, known, after, today, delays or {})
    return Schedule(
        placed=_backward(order, known, after, places, holders),
        circle=find_circle(after) if len(order) < len(known) else (),
    )


def _ordered(after: Mapping[str, Sequence[str]]) -> list[str]:
    """Each after those that it waits for; without what is in a circle or waits for one."""
    waits = {one: len({other for other in several if other in after}) for one, several in after.items()}
    followers = _followers(after)
    ready = deque(one for one, count in waits.items() if count == 0)
    order = []
    while ready:
        here = ready.popleft()
        order.append(here)
        for follower in followers.get(here, ()):
            waits[follower] -= 1
            if waits[follower] == 0:
                ready.append(follower)
    return order


def _followers(after: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    followers: dict[str, list[str]] = defaultdict(list)
    for one, several in after.items():
        for other in dict.fromkeys(several):
            followers[other].append(one)
    return followers


_Span = tuple[date, date]


def _forward(
    order: Sequence[str],
    known: Mapping[str, Activity],
    after: Mapping[str, Sequence[str]],
    today: date,
    delays: Mapping[str, int],
) -> tuple[dict[str, _Span], dict[str, str]]:
    """The earliest beginning and end of each, and who holds it up."""
    places: dict[str, _Span] = {}
    holders: dict[str, str] = {}
    for name in order:
        one = known[name]
        if one.has_ended:
            places[name] = (one.start, one.end)
        elif one.has_begun:
            places[name] = (one.start, max(one.end, today))
        else:
            begin = max(one.start, today)
            for other in after[name]:
                if places[other][1] > begin:
                    begin, holders[name] = places[other][1], other
            begin += timedelta(days=delays.get(name, 0))
            places[name] = (begin, begin + (one.end - one.start))
    return places, holders


def _backward(
    order: Sequence[str],
    known: Mapping[str, Activity],
    after: Mapping[str, Sequence[str]],
    places: Mapping[str, _Span],
    holders: Mapping[str, str],
) -> dict[str, Placed]:
    followers = _followers(after)
    chains = _chains(order, after)
    ends: dict[int, date] = {}
    sizes: dict[int, int] = defaultdict(int)
    for name in order:
        chain = chains[name]
        ends[chain] = max(ends.get(chain, date.min), places[name][1])
        sizes[chain] += 1
    latest_starts: dict[str, date] = {}
    found: dict[str, Placed] = {}
    for name in reversed(order):
        begin, end = places[name]
        # What has begun no longer waits, so it binds nobody.
        bound = [latest_starts[one] for one in followers.get(name, ()) if known[one].waits]
        latest_end = min([*bound, ends[chains[name]]])
        latest_starts[name] = latest_end - (end - begin)
        found[name] = _placed(
            known[name], (begin, end), latest_end, holders.get(name, ""), chains[name], sizes[chains[name]]
        )
    return {name: found[name] for name in order}


def _placed(one: Activity, span: _Span, latest_end: date, holder: str, chain: int, chain_size: int) -> Placed:
    begin, end = span
    slack = (latest_end - end).days
    late = (end - one.end) if one.has_begun or one.has_ended else (begin - one.start)
    return Placed(
        id=one.id,
        planned_start=one.start,
        planned_end=one.end,
        earliest_start=begin,
        earliest_end=end,
        latest_start=latest_end - (end - begin),
        latest_end=latest_end,
        slack=slack,
        is_critical=slack == 0 and chain_size > 1 and not one.has_ended,
        late=max(late.days, 0),
        because_of=holder,
        chain=chain,
    )


def _chains(order: Sequence[str], after: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Which initiatives hang together, as a number for each."""
    root = {name: name for name in order}

    def top(name: str) -> str:
        while root[name] != name:
            root[name] = root[root[name]]
            name = root[name]
        return name

    for name in order:
        for other in after[name]:
            root[top(name)] = top(other)
    numbers: dict[str, int] = {}
    return {name: numbers.setdefault(top(name), len(numbers)) for name in order}
