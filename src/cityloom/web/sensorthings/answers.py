"""Sets of rows as JSON: filtered, ordered, in pages, with links and what is expanded (OGC 18-088, 9.3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec

from cityloom.ngsild.errors import BadRequestData, TooManyResults
from cityloom.web.sensorthings.evaluation import holds
from cityloom.web.sensorthings.filters import Binary, Expression, Literal, Path, conjuncts
from cityloom.web.sensorthings.model import (
    DATASTREAMS,
    LINKS,
    OBSERVATIONS,
    THINGS,
    Row,
    Stream,
)
from cityloom.web.sensorthings.observations import (
    MAX_READINGS,
    Observed,
    asks_for_latest,
    by_time,
    check_all_were_seen,
    latest,
    span_of,
)
from cityloom.web.sensorthings.options import (
    DEFAULT_EXPANDED,
    DEFAULT_TOP,
    MAX_EXPANDED,
    MAX_TOP,
    Expansion,
    Options,
    Order,
)
from cityloom.web.sensorthings.resource_path import address
from cityloom.web.sensorthings.sets import Sets

#: Rows in one answer, those that are expanded counted too.
MAX_ROWS = 50_000
#: Rows that are sorted for one answer.
MAX_SORTED = 20_000
#: Rows looked at before others get their turn on the event loop.
TURN = 200

Json = dict[str, Any]


class Place(msgspec.Struct, frozen=True):
    """A set: all of a kind, or the rows at the other end of a link."""

    kind: str
    row: Row | None = None
    link: str = ""


class Page(msgspec.Struct, frozen=True):
    """Rows of a set; `total` where it was asked for; `more` when there is a next page."""

    rows: list[Row]
    total: int | None
    more: bool


class Answers:
    """Makes the JSON for one request. `base` is the address of the interface."""

    def __init__(self, sets: Sets, base: str) -> None:
        self._sets = sets
        self._base = base
        self._made = 0

    async def page(self, place: Place, options: Options) -> Page:
        """A page of a set. Raises BadRequestData for a member that there is not, TooManyResults."""
        if place.kind == OBSERVATIONS:
            return await self._page_of_observations(place, options)
        if place.row is None and place.kind == THINGS and options.filter is None and not options.order:
            rows, total = await self._sets.things(_top(options) + 1, options.skip, count=options.count)
            return _cut(rows, msgspec.structs.replace(options, skip=0), total)
        if options.order:
            return await self._ordered_page(place, options)
        end = options.skip + _top(options)
        found: list[Row] = []
        number = 0
        async for row in self._matches(place, options):
            if options.skip <= number <= end:
                found.append(row)
            number += 1
            if number > end and not options.count:
                break
        more = number > end
        return Page(found[: _top(options)], number if options.count else None, more)

    async def _ordered_page(self, place: Place, options: Options) -> Page:
        found: list[Row] = []
        async for row in self._matches(place, options):
            found.append(row)
            if len(found) > MAX_SORTED:
                raise TooManyResults(
                    f"More than {MAX_SORTED} rows would have to be sorted",
                    hint="Narrow them down with $filter, or leave $orderby out.",
                    where="$orderby",
                )
        return _cut(self._ordered(found, options.order), options, len(found) if options.count else None)

    async def _matches(self, place: Place, options: Options) -> AsyncIterator[Row]:
        """The rows that the filter lets through; others have their turn between."""
        number = 0
        async for row in self._candidates(place, options.filter):
            number += 1
            if number % TURN == 0:
                await asyncio.sleep(0)
            if self._holds(options.filter, row):
                yield row

    def _holds(self, expression: Expression | None, row: Row) -> bool:
        return expression is None or holds(expression, lambda names: self._look(row, names))

    async def render(self, row: Row, options: Options, *, ref: bool = False) -> Json:
        """One row as JSON."""
        self._made += 1
        if self._made > MAX_ROWS:
            raise TooManyResults(
                f"The answer would have more than {MAX_ROWS} rows",
                hint="Ask for fewer with $top, also within $expand.",
                where="$expand",
            )
        here = f"{self._base}/{address(row.kind, row.id)}"
        if ref:
            return {"@iot.selfLink": here}
        made: Json = {"@iot.id": row.id, "@iot.selfLink": here, **row.members}
        links = {link: f"{here}/{link}" for link in LINKS[row.kind]}
        if options.select:
            made, links = _selected(made, links, options, row)
        expanded = {one.name for one in options.expand}
        made |= {f"{link}@iot.navigationLink": to for link, to in links.items() if link not in expanded}
        for expansion in options.expand:
            made |= await self._expanded(row, expansion)
        return made

    async def _expanded(self, row: Row, expansion: Expansion) -> Json:
        name = expansion.name
        if name not in LINKS[row.kind]:
            raise BadRequestData(
                f"{row.kind} have no {name[:40]}",
                hint=f"They have {', '.join(LINKS[row.kind])}.",
                where="$expand",
            )
        kind, several = LINKS[row.kind][name]
        options = expansion.options
        if several:
            least = DEFAULT_EXPANDED if options.top is None else min(options.top, MAX_EXPANDED)
            options = msgspec.structs.replace(options, top=least)
        page = await self.page(Place(kind, row, name), options)
        shown = [await self.render(one, options) for one in page.rows]
        if not several:
            return {name: shown[0] if shown else None}
        made: Json = {name: shown}
        if page.total is not None:
            made[f"{name}@iot.count"] = page.total
        if page.more:
            skip = options.skip + len(shown)
            here = f"{self._base}/{address(row.kind, row.id)}/{name}"
            made[f"{name}@iot.nextLink"] = f"{here}?$top={options.top}&$skip={skip}"
        return made

    # Which rows

    def _candidates(self, place: Place, expression: Expression | None) -> AsyncIterator[Row]:
        if place.row is not None:
            return self._sets.linked(place.row, place.link)
        identifier = _text_asked_for(expression, ("@iot.id",))
        if identifier is not None:
            return self._one(place.kind, identifier)
        named = _text_asked_for(expression, ("name",))
        if place.kind == THINGS and named is not None:
            return self._named(named)
        return self._sets.rows(place.kind)

    async def _named(self, name: str) -> AsyncIterator[Row]:
        """Things among which are those of a name."""
        offset = 0
        rows: list[Row] = []
        while offset == 0 or rows:
            rows, _ = await self._sets.things(TURN, offset, named=name)
            offset += TURN
            for row in rows:
                yield row

    async def _one(self, kind: str, identifier: str) -> AsyncIterator[Row]:
        """The row with an id, when it is there."""
        found = await self._sets.find(kind, identifier)
        if found is not None:
            yield found

    def _ordered(self, rows: list[Row], orders: tuple[Order, ...]) -> list[Row]:
        for order in reversed(orders):
            keyed = [(next(self._look(row, order.names), None), row) for row in rows]
            there = [pair for pair in keyed if isinstance(pair[0], str | int | float)]
            there.sort(key=lambda pair: _key(pair[0]), reverse=order.descending)
            rows = [row for _, row in there]
            rows += [row for key, row in keyed if not isinstance(key, str | int | float)]
        return rows

    def _look(self, row: Row, names: tuple[str, ...]) -> Iterator[Any]:
        """The values to which a path leads from a row."""
        head, rest = names[0], names[1:]
        if head in ("@iot.id", "id") and not rest:
            yield row.id
        elif head in row.members:
            found = row.members[head]
            for name in rest:
                found = found.get(name) if isinstance(found, dict) else None
            if found is not None:
                yield found
        elif head in LINKS[row.kind] and rest:
            for one in self._sets.linked_now(row, head):
                yield from self._look(one, rest)
        elif head not in _MAY_BE_MISSING:
            raise BadRequestData(
                f"{row.kind} have no {'/'.join(names)[:60]}",
                hint=f"They have {', '.join([*row.members, *LINKS[row.kind]])}.",
                where="$filter",
            )

    # Observations

    async def _page_of_observations(self, place: Place, options: Options) -> Page:
        streams, expression = await self._streams(place, options.filter)
        if len(streams) == 1 and asks_for_latest(options):
            return Page(latest(streams[0]), None, more=False)
        span, alone = span_of(expression)
        direction = by_time(options.order)
        newest = direction == "newest"
        wanted = options.skip + _top(options) + 1
        read = self._sets.observations.read
        if alone and direction:
            found = await read(streams, span, wanted, newest=newest, count=options.count)
            return _cut(found.rows, options, found.total)
        most = MAX_READINGS // max(len(streams), 1) if newest else MAX_READINGS
        found = await read(streams, span, most, newest=newest)
        check_all_were_seen(found)
        rows = await asyncio.to_thread(self._kept, found, expression)
        if not direction:
            rows = self._ordered(rows, options.order)
        return _cut(rows, options, len(rows) if options.count else None)

    def _kept(self, found: Observed, expression: Expression | None) -> list[Row]:
        return [row for row in found.rows if self._holds(expression, row)]

    async def _streams(
        self, place: Place, expression: Expression | None
    ) -> tuple[list[Stream], Expression | None]:
        """The Datastreams whose Observations are asked for, and what else is asked of these."""
        if place.row is not None:
            return self._sets.streams_behind(place.row), expression
        for name in ("@iot.id", "id"):
            identifier = _text_asked_for(expression, ("Datastream", name))
            if identifier is not None:
                row = await self._sets.find(DATASTREAMS, identifier)
                rest = _without(expression, ("Datastream", name))
                return ([row.stream] if row is not None and row.stream is not None else []), rest
        return await self._sets.streams(), expression


#: Members that some rows of a set have and others lack.
_MAY_BE_MISSING = frozenset({"properties", "observedArea", "unitOfMeasurement"})


def _top(options: Options) -> int:
    return DEFAULT_TOP if options.top is None else min(options.top, MAX_TOP)


def _cut(rows: list[Row], options: Options, total: int | None) -> Page:
    end = options.skip + _top(options)
    return Page(rows[options.skip : end], total, more=len(rows) > end)


def _key(value: Any) -> tuple[int, Any]:
    return (1, value) if isinstance(value, str) else (0, value)


def _selected(made: Json, links: dict[str, str], options: Options, row: Row) -> tuple[Json, dict[str, str]]:
    wanted = {"@iot.id" if name == "id" else name for name in options.select}
    unknown = wanted - made.keys() - links.keys() - _MAY_BE_MISSING
    if unknown:
        raise BadRequestData(
            f"{row.kind} have no {min(unknown)[:40]}",
            hint=f"They have {', '.join([*row.members, *links])}.",
            where="$select",
        )
    kept = {name: value for name, value in made.items() if name in wanted}
    return kept, {name: to for name, to in links.items() if name in wanted}


def _text_asked_for(expression: Expression | None, names: tuple[str, ...]) -> str | None:
    """The text that a member of every match must be."""
    for part in conjuncts(expression):
        if _is_equality(part, names):
            assert isinstance(part, Binary) and isinstance(part.right, Literal), "as it was just found"
            return str(part.right.value)
    return None


def _is_equality(part: Expression, names: tuple[str, ...]) -> bool:
    return (
        isinstance(part, Binary)
        and part.operator == "eq"
        and part.left == Path(names)
        and isinstance(part.right, Literal)
        and isinstance(part.right.value, str)
    )


def _without(expression: Expression | None, names: tuple[str, ...]) -> Expression | None:
    rest = [part for part in conjuncts(expression) if not _is_equality(part, names)]
    if not rest:
        return None
    found = rest[0]
    for part in rest[1:]:
        found = Binary("and", found, part)
    return found
