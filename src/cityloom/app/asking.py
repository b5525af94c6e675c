"""Commands in another terminal ask the running city over its own API, let in by the key in its folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import httpx2

from cityloom.app.folder import CityFolder, read_json
from cityloom.kernel.errors import CityError, NotFound, NotReady

PATIENCE_S = 30.0


def ask_running_city(folder: CityFolder, path: str) -> dict[str, Any]:
    """The JSON at a path of the city that runs on this folder. Raises NotReady, NotFound."""
    running = read_json(folder.running)
    if running is None:
        raise NotReady(
            "No city runs on this folder",
            hint="Start it with `cityloom up` or `cityloom demo`, or name its folder with --home.",
            where=str(folder.home),
        )
    try:
        answer = httpx2.get(
            f"{running['address']}{path}",
            headers={"authorization": f"Bearer {running['key']}", "accept": "application/json"},
            timeout=PATIENCE_S,
        )
        said: dict[str, Any] = answer.json()
    except (httpx2.HTTPError, ValueError, KeyError) as error:
        raise NotReady(
            f"The city does not answer: {error}", hint="Is it still running?", where=str(folder.home)
        ) from None
    if answer.status_code == httpx2.codes.NOT_FOUND:
        raise NotFound(
            str(said.get("title", "It is not there")), hint=str(said.get("detail", "")), where=path
        )
    if answer.is_error:
        raise CityError(
            str(said.get("title", answer.reason_phrase)), hint=str(said.get("detail", "")), where=path
        )
    return said


def written_way(found: Mapping[str, Any]) -> str:
    """The way back and forward as an indented list."""
    lines = [str(found.get("label") or found.get("id") or "")]
    for direction, title in (("back", "How do we know?"), ("forward", "What rests on it?")):
        tree = found.get(direction)
        lines += ["", title]
        lines += list(_branches(tree, 1)) if tree else ["  nothing"]
    return "\n".join(lines)


def _branches(node: Mapping[str, Any], depth: int) -> Iterator[str]:
    for child in node.get("children", ()):
        yield "  " * depth + " · ".join(_words(child))
        yield from _branches(child, depth + 1)


def _words(node: Mapping[str, Any]) -> Iterator[str]:
    for name in ("kind", "label", "entityId", "note"):
        if said := node.get(name):
            yield str(said)
