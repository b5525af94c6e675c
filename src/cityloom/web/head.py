"""The headers of a request by name, read once: programs send the same ones again and again."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from starlette.types import Scope

#: Values by name in lower case, in the order in which they came.
Head = Mapping[bytes, tuple[str, ...]]

#: Heads that are remembered; each is as large as a server lets it be at most.
_KEPT = 512


def head_of(scope: Scope) -> Head:
    """The headers of a request."""
    state = scope.setdefault("state", {})
    found: Head | None = state.get("head")
    if found is None:
        found = state["head"] = _read(tuple(scope["headers"]))
    return found


@lru_cache(_KEPT)
def _read(headers: tuple[tuple[bytes, bytes], ...]) -> Head:
    found: dict[bytes, tuple[str, ...]] = {}
    for name, value in headers:
        found[name] = (*found.get(name, ()), value.decode("latin-1"))
    return found
