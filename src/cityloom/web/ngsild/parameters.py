"""The query parameters of a request: read once, checked by name (ETSI GS CIM 009, 6.3.20)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sized
from typing import TypeVar
from urllib.parse import unquote_plus

from cityloom.ngsild.errors import BadRequestData, InvalidRequest

ListedItems = TypeVar("ListedItems", bound=Sized)

MAX_PARAMETERS = 60
#: Names or ids in one list.
MAX_LISTED = 1_000


class Parameters:
    """Parameters by name. Everything that reads one names it in its errors."""

    __slots__ = ("_by_name",)

    def __init__(self, by_name: Mapping[str, str]) -> None:
        self._by_name = by_name

    @classmethod
    def read(cls, query_string: bytes, allowed: Collection[str]) -> Parameters:
        """Raises InvalidRequest for a parameter that the operation does not have, or has twice."""
        if not query_string:
            return cls({})
        try:
            pairs = pairs_in(query_string.decode("ascii"))
        except (UnicodeDecodeError, ValueError):
            raise InvalidRequest(
                "The query string cannot be read",
                hint=f"Percent-encode it as UTF-8; at most {MAX_PARAMETERS} parameters.",
            ) from None
        by_name: dict[str, str] = {}
        for name, value in pairs:
            if name not in allowed:
                raise InvalidRequest(
                    f"{name[:60]!a} is not a parameter of this operation",
                    hint=f"It has {', '.join(sorted(allowed)) or 'none'}.",
                    where=name[:60],
                )
            if name in by_name:
                raise InvalidRequest(
                    f"The parameter {name} is given twice", hint="Join the values with commas.", where=name
                )
            by_name[name] = value
        return cls(by_name)

    @property
    def are_none(self) -> bool:
        """Whether there is no parameter at all."""
        return not self._by_name

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def names(self) -> Collection[str]:
        """Of the parameters that are given."""
        return self._by_name.keys()

    def items(self) -> list[tuple[str, str]]:
        return sorted(self._by_name.items())

    def text(self, name: str) -> str | None:
        """The value, None when it is not given. Raises BadRequestData when it is empty."""
        value = self._by_name.get(name)
        if value is not None and not value.strip():
            raise BadRequestData(f"{name} is empty", hint="Give it a value, or leave it out.", where=name)
        return value

    def listed(self, name: str, separators: str = ",") -> tuple[str, ...]:
        """The values between commas. Raises BadRequestData for an empty one and for too many."""
        value = self.text(name)
        if value is None:
            return ()
        for other in separators[1:]:
            value = value.replace(other, ",")
        found = tuple(part.strip() for part in value.split(","))
        if not all(found):
            raise BadRequestData(f"{name} has an empty item", hint="Remove the comma too much.", where=name)
        return few(found, name)

    def flag(self, name: str) -> bool:
        """true or false; false when it is not given. Raises BadRequestData."""
        value = self.text(name)
        if value in (None, "false"):
            return False
        if value == "true":
            return True
        raise BadRequestData(f"{name} is true or false", hint=f"Write {name}=true.", where=name)

    def number(self, name: str, default: int, *, least: int = 0) -> int:
        """A whole number. Raises BadRequestData."""
        value = self.text(name)
        if value is None:
            return default
        if not (value.isascii() and value.isdigit() and len(value) <= 12) or int(value) < least:
            raise BadRequestData(
                f"{name} is not a whole number from {least}",
                hint=f"Write {name}={max(least, 20)}.",
                where=name,
            )
        return int(value)


def pairs_in(query: str) -> list[tuple[str, str]]:
    """Names and values of a query string, percent-encoded as UTF-8. Raises ValueError for what is not, and
    for more than MAX_PARAMETERS."""
    if query.count("&") >= MAX_PARAMETERS:
        raise ValueError("too many parameters")
    pairs = [part.partition("=") for part in query.split("&") if part]
    return [(_decoded(name), _decoded(value)) for name, _, value in pairs]


def _decoded(text: str) -> str:
    return unquote_plus(text, errors="strict") if "%" in text or "+" in text else text


def few(items: ListedItems, where: str) -> ListedItems:
    """The items, when there are not too many. Raises BadRequestData."""
    if len(items) > MAX_LISTED:
        raise BadRequestData(
            f"{where} has more than {MAX_LISTED} items", hint="Ask several times.", where=where
        )
    return items
