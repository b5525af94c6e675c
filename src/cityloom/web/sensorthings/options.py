"""The system query options: $top, $skip, $count, $orderby, $filter, $select, $expand. Pure and bounded.

OGC 18-088, 9.3. $expand may hold options of its own, with ; between them: Datastreams($top=1;$select=name).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from cityloom.ngsild.errors import BadRequestData, TooComplexQuery
from cityloom.web.sensorthings.filters import Expression, parse_filter

DEFAULT_TOP = 100
MAX_TOP = 1_000
#: Of what is expanded within a row, when nobody says how many.
DEFAULT_EXPANDED = 20
MAX_EXPANDED = 100
MAX_EXPANSIONS = 20
MAX_DEPTH = 5
MAX_SKIP = 10**12

_NAMES = frozenset({"$top", "$skip", "$count", "$orderby", "$filter", "$select", "$expand", "$resultFormat"})


class Order(msgspec.Struct, frozen=True):
    """A path to sort by."""

    names: tuple[str, ...]
    descending: bool = False


class Expansion(msgspec.Struct, frozen=True):
    """A link whose rows stand in the answer, and what is asked of them."""

    name: str
    options: Options


class Options(msgspec.Struct, frozen=True):
    """What is asked of a set of rows."""

    top: int | None = None
    skip: int = 0
    count: bool = False
    order: tuple[Order, ...] = ()
    filter: Expression | None = None
    select: tuple[str, ...] = ()
    expand: tuple[Expansion, ...] = ()


def parse_options(parameters: Iterable[tuple[str, str]], depth: int = 0) -> Options:
    """The options behind the parameters. Raises BadRequestData naming the option, TooComplexQuery."""
    given = dict(parameters)
    for name in given:
        if name not in _NAMES:
            raise BadRequestData(
                f"{name[:40]!a} is no option here",
                hint=f"Options are {', '.join(sorted(_NAMES))}.",
                where=name[:40],
            )
    if given.get("$resultFormat", "default") != "default":
        raise BadRequestData(
            "The answer is plain JSON", hint="Leave $resultFormat out.", where="$resultFormat"
        )
    found = given.get("$filter")
    return Options(
        top=_whole(given, "$top", MAX_SKIP),
        skip=_whole(given, "$skip", MAX_SKIP) or 0,
        count=_flag(given, "$count"),
        order=_orders(given.get("$orderby", "")),
        filter=None if found is None else parse_filter(found),
        select=tuple(_listed(given.get("$select", ""), "$select")),
        expand=_expansions(given.get("$expand", ""), depth),
    )


def _whole(given: dict[str, str], name: str, most: int) -> int | None:
    text = given.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise BadRequestData(f"{name} is a whole number", hint=f"Write {name}=10.", where=name)
    return min(int(text), most)


def _flag(given: dict[str, str], name: str) -> bool:
    text = given.get(name, "false")
    if text not in ("true", "false"):
        raise BadRequestData(f"{name} is true or false", hint=f"Write {name}=true.", where=name)
    return text == "true"


def _listed(text: str, where: str) -> list[str]:
    parts = [part.strip() for part in text.split(",")] if text else []
    if not all(parts) or len(parts) > 100:
        raise BadRequestData(f"{where} has an empty item, or too many", hint="Correct it.", where=where)
    return parts


def _orders(text: str) -> tuple[Order, ...]:
    found = []
    for part in _listed(text, "$orderby"):
        name, _, direction = part.partition(" ")
        if direction.strip() not in ("", "asc", "desc"):
            raise BadRequestData(
                f"{part[:40]!a} cannot be an order", hint="Write name desc.", where="$orderby"
            )
        found.append(Order(tuple(name.split("/")), direction.strip() == "desc"))
    return tuple(found)


def _expansions(text: str, depth: int) -> tuple[Expansion, ...]:
    if not text:
        return ()
    parts = _split(text, ",")
    if depth >= MAX_DEPTH or len(parts) > MAX_EXPANSIONS:
        raise TooComplexQuery(
            f"$expand has more than {MAX_EXPANSIONS} links, or {MAX_DEPTH} in one another",
            hint="Ask several times.",
            where="$expand",
        )
    found: dict[str, Expansion] = {}
    for part in parts:
        one = _expansion(part.strip(), depth)
        before = found.get(one.name)
        if before is not None:
            # Datastreams/Sensor,Datastreams/Thing expands both within the one.
            both = (*before.options.expand, *one.options.expand)
            one = Expansion(one.name, msgspec.structs.replace(before.options, expand=both))
        found[one.name] = one
    return tuple(found.values())


def _expansion(text: str, depth: int) -> Expansion:
    head, bracket, inner = text.partition("(")
    if bracket and not inner.endswith(")"):
        raise BadRequestData(f"{text[:60]!a} lacks a parenthesis", hint="Close it.", where="$expand")
    first, slash, rest = head.partition("/")
    if not first.isalpha() or not first.isascii() or (slash and not rest):
        raise BadRequestData(f"{text[:60]!a} is no link", hint="Write Datastreams.", where="$expand")
    if slash:
        below = _expansions(rest + bracket + inner, depth + 1)
        return Expansion(first, Options(expand=below))
    pairs = []
    for option in _split(inner[:-1], ";") if inner[:-1] else []:
        name, _, value = option.strip().partition("=")
        pairs.append((name, value))
    return Expansion(first, parse_options(pairs, depth + 1))


def _split(text: str, mark: str) -> list[str]:
    """The parts between marks that stand in no parentheses and no text in quotes."""
    parts: list[str] = []
    depth, quoted, begins = 0, False, 0
    for at, character in enumerate(text):
        if character == "'":
            quoted = not quoted
        elif quoted:
            continue
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
        elif character == mark and depth == 0:
            parts.append(text[begins:at])
            begins = at + 1
    parts.append(text[begins:])
    return parts
