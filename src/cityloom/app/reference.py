"""Writes docs/reference from the code, so that it cannot be out of date; a test compares."""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from cityloom.access.roles import PERMISSIONS, ROLES
from cityloom.app import configuration
from cityloom.app.command_line import build_parser
from cityloom.app.plugins import KINDS, find_plugins
from cityloom.kernel import errors
from cityloom.web.errors import told
from cityloom.web.ngsild.routes import OPERATIONS

_WRITTEN = "<!-- Written from the code by `make docs`. -->\n\n"


def pages() -> dict[str, str]:
    """Every page by its file name."""
    makers: dict[str, Callable[[], Iterator[str]]] = {
        "commands.md": _commands,
        "configuration.md": _configuration,
        "permissions.md": _permissions,
        "errors.md": _errors,
        "http.md": _http,
        "plugins.md": _plugins,
    }
    return {name: _WRITTEN + "\n".join(make()).rstrip() + "\n" for name, make in makers.items()}


def main() -> int:
    """Write the pages into the folder named on the command line."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/reference")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


def _commands() -> Iterator[str]:
    parser = build_parser()
    yield from ("# Commands", "", parser.description or "", "", parser.epilog or "", "")
    for action in parser._subparsers._group_actions if parser._subparsers else ():
        for name, verb in (action.choices or {}).items():  # type: ignore[attr-defined]
            yield from (f"## cityloom {name}", "", verb.description or _help_of(action, name), "")
            yield from ("| option | meaning |", "| --- | --- |")
            yield from (_option(item) for item in verb._actions if item.dest != "help")
            yield ""


def _help_of(action: argparse.Action, name: str) -> str:
    for choice in action._choices_actions:  # type: ignore[attr-defined]
        if choice.dest == name:
            said = str(choice.help)
            return said[0].upper() + said[1:] + "."
    return ""


def _option(item: argparse.Action) -> str:
    metavar = item.metavar if isinstance(item.metavar, str) else item.dest
    if item.option_strings:
        names = ", ".join(
            f"`{name}{'' if item.nargs == 0 else f' {metavar}'}`" for name in item.option_strings
        )
    else:
        names = f"`{metavar}`" if not item.choices else " or ".join(f"`{choice}`" for choice in item.choices)
    return f"| {names} | {item.help or ''} |"


def _configuration() -> Iterator[str]:
    yield from ("# city.toml", "", "Every member has a default, so an empty file is a valid city.", "")
    yield from _members(configuration.Configuration, "")
    tables = ("place", "population", "classes", "contexts", "mqtt", "map")
    kinds: tuple[type[msgspec.Struct], ...] = (
        configuration.Place,
        configuration.Population,
        configuration.Classes,
        configuration.Contexts,
        configuration.Mqtt,
        configuration.Map,
    )
    for name, kind in zip(tables, kinds, strict=True):
        yield from (f"## [{name}]", "", inspect.getdoc(kind) or "", "")
        yield from _members(kind, f"{name}.")
    yield from (
        "## [connectors.NAME] and [services.NAME]",
        "",
        "One table for each plugin that is to run, with its settings. A connector may run twice under two "
        'names: `[connectors.north]` with `plugin = "mqtt_bridge"`.',
        "",
    )


def _members(kind: type[msgspec.Struct], prefix: str) -> Iterator[str]:
    comments = _comments(kind)
    yield from ("| key | default | meaning |", "| --- | --- | --- |")
    for field in msgspec.structs.fields(kind):
        default = field.default_factory() if callable(field.default_factory) else field.default
        shown = "a table" if isinstance(default, msgspec.Struct | dict) else f"`{_toml(default)}`"
        yield f"| `{prefix}{field.encode_name}` | {shown} | {comments.get(field.name, '')} |"
    yield ""


def _toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case None:
            return ""
        case str():
            return f'"{value}"'
        case tuple():
            return "[" + ", ".join(_toml(item) for item in value) + "]"
    return str(value)


def _comments(kind: type) -> dict[str, str]:
    """The `#:` comments before the members of a class."""
    found: dict[str, str] = {}
    said: list[str] = []
    for line in inspect.getsource(kind).splitlines():
        stripped = line.strip()
        if stripped.startswith("#:"):
            said.append(stripped.removeprefix("#:").strip())
        elif ":" in stripped and said:
            found[stripped.split(":", 1)[0]] = " ".join(said)
            said = []
    return found


def _permissions() -> Iterator[str]:
    yield from ("# Permissions, roles, classes of information", "")
    yield from ("| permission | lets one |", "| --- | --- |")
    yield from (f"| `{name}` | {doing} |" for name, doing in PERMISSIONS.items())
    yield from ("", "| role | sees | may |", "| --- | --- | --- |")
    for role in ROLES.values():
        sees = ", ".join(found.label for found in sorted(role.clearance))
        may = ", ".join(f"`{name}`" for name in sorted(role.permissions)) or "look"
        yield f"| {role.name} | {sees} | {may} |"


def _errors() -> Iterator[str]:
    yield from (
        "# Errors",
        "",
        "Each says what is wrong, where, and what to do; its class says who must act.",
        "",
    )
    yield from ("| error | status | who must act |", "| --- | --- | --- |")
    for name, kind in inspect.getmembers(errors, inspect.isclass):
        if issubclass(kind, errors.CityError) and kind is not errors.CityError:
            yield f"| {name} | {told(kind('', hint='')).status} | {inspect.getdoc(kind)} |"


def _http() -> Iterator[str]:
    yield from (
        "# HTTP operations of NGSI-LD",
        "",
        "Below `/ngsi-ld/v1`; the clause is that of ETSI GS CIM 009 v1.9.1. The same as OpenAPI: "
        "`/openapi.json`. Beside them `/healthz` (the process lives) and `/readyz` (the city answers).",
        "",
        "| method | path | clause | what it does |",
        "| --- | --- | --- | --- |",
    )
    for item in OPERATIONS:
        yield f"| {item.method} | `{item.path}` | {item.clause} | {item.summary} |"


def _plugins() -> Iterator[str]:
    yield from ("# Plugins", "", "What CityLoom brings along. Each folder's README says more.", "")
    found = find_plugins(configuration.Configuration().plugins)
    for kind in KINDS:
        own = [plugin for plugin in found if plugin.kind == kind]
        if not own:
            continue
        yield from (f"## {kind.capitalize()}", "", "| id | title | owner |", "| --- | --- | --- |")
        for plugin in own:
            yield f"| `{plugin.id}` | {plugin.title} | {plugin.manifest.get('owner', '')} |"
        yield ""


if __name__ == "__main__":
    sys.exit(main())
