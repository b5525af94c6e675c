"""Commands in another terminal ask the running city over its own API, let in by the key in its folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cityloom.app.folder import CityFolder, read_json
from cityloom.kernel.errors import CityError, NotFound, NotReady
from cityloom.kernel.media_types import JSON

PATIENCE_S = 30.0


def ask_running_city(folder: CityFolder, path: str) -> dict[str, Any]:
    """The JSON at a path of the city that runs on this folder. Raises NotReady, NotFound."""
    import httpx2  # a fifth of a second that other commands do without

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
            headers={"authorization": f"Bearer {running['key']}", "accept": JSON},
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
    back = found.get("back") or {}
    lines = [f"{back.get('label') or found.get('id')} ({found.get('id')})"]
    for direction, title in (("back", "How do we know?"), ("forward", "What rests on it?")):
        tree = found.get(direction) or {}
        lines += ["", title]
        own = [f"  {line}" for line in _kept(tree)] if direction == "back" else []
        lines += own + list(_branches(tree, 1)) or ["  nothing"]
    return "\n".join(lines)


def _branches(node: Mapping[str, Any], depth: int) -> Iterator[str]:
    indent = "  " * depth
    for child in node.get("children", ()):
        origin = f" [{child['origin']}]" if child.get("origin") else ""
        known = child.get("known", True) or str(child.get("entity_id")).startswith("service:")
        again = " (as above)" if child.get("again") else "" if known else " (not there)"
        yield f"{indent}{child.get('kind')}: {child.get('label')}{origin}{again}"
        if child.get("label") != child.get("entity_id"):
            yield f"{indent}    {child.get('entity_id')}"
        yield from (f"{indent}    {line}" for line in (*_looked_at(child), *_kept(child)))
        yield from _branches(child, depth + 1)
    if node.get("more"):
        yield f"{indent}and {node['more']} more"


def _looked_at(node: Mapping[str, Any]) -> Iterator[str]:
    """The pieces of evidence, each as a line: what was read, from when to when, how often."""
    for one in node.get("because", ()):
        said = [str(one[name]) for name in ("attribute", "value", "unitCode") if one.get(name) is not None]
        if one.get("count"):
            said.append(f"{one['count']} readings")
        if one.get("missing"):
            said.append(f"{one['missing']} missing")
        if one.get("since"):
            said.append(f"{one['since']} to {one.get('until', '')}")
        if one.get("note"):
            said.append(str(one["note"]))
        yield "looked at " + ", ".join(said)


def _kept(node: Mapping[str, Any]) -> Iterator[str]:
    """What history holds, a line for each attribute."""
    for one in node.get("readings", ()):
        things = f" of {one['series']} things" if one["series"] > 1 else ""
        gaps = f", {one['gaps']} gaps" if one["gaps"] else ""
        dataset = f" ({one['dataset']})" if one.get("dataset") else ""
        span = f"{one['first']} to {one['last']}"
        yield f"{one['attribute']}{dataset}: {one['count']} readings{things}, {span}{gaps}"
