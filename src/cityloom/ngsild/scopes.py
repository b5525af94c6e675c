"""Scopes: places in a hierarchy that the city makes for itself (ETSI GS CIM 009, 4.18)."""

from __future__ import annotations

from typing import Any

from cityloom.ngsild.errors import BadRequestData
from cityloom.ngsild.names import is_simple_name

MAX_SCOPE = 1_000


def check_scope(value: Any) -> str:
    """A scope with a leading slash. Raises BadRequestData."""
    if type(value) is str and 0 < len(value) <= MAX_SCOPE:
        levels = value.removeprefix("/").split("/")
        if all(map(is_simple_name, levels)):
            return "/" + "/".join(levels)
    raise BadRequestData(
        f"{ascii(value)[:60]} is not a scope",
        hint="Write levels of letters, digits and underscores, such as /Aarhus/Centre.",
    )
