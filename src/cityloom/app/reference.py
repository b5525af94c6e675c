"""Writes docs/reference from the code, so that it cannot be out of date; a test compares."""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import msgspec
from starlette.routing import Route

from cityloom.access.quotas import Quota, Quotas
from cityloom.access.roles import PERMISSIONS, ROLES
from cityloom.app import configuration
from cityloom.app.command_line import build_parser
from cityloom.app.plugins import KINDS, Plugin, find_plugins
from cityloom.app.watch.metrics import METRICS, OF_THE_LIBRARY
from cityloom.federation.handing_on import NOTIFIED_AT
from cityloom.kernel import errors
from cityloom.kernel.findings import KINDS as KINDS_OF_FINDING
from cityloom.web.desk import Desk
from cityloom.web.errors import INTERNAL, TABLE, told
from cityloom.web.ngsild.routes import OPERATIONS
from cityloom.web.ogc.routes import RESOURCES
from cityloom.web.ogc.routes import ROOT as FEATURES
from cityloom.web.pages.every import every_page
from cityloom.web.sensorthings.model import LINKS
from cityloom.web.sensorthings.routes import CREATE_OBSERVATIONS
from cityloom.web.sensorthings.routes import ROOT as SENSORTHINGS

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
        "metrics.md": _metrics,
        "findings.md": _findings,
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
        for name, verb in (action.choices or {}).items():  # type: ignore[attr-defined]  # argparse tells it in no other way
            yield from (f"## cityloom {name}", "", verb.description or _help_of(action, name), "")
            yield from ("| option | meaning |", "| --- | --- |")
            yield from (_option(item) for item in verb._actions if item.dest != "help")
            yield ""


def _help_of(action: argparse.Action, name: str) -> str:
    for choice in action._choices_actions:  # type: ignore[attr-defined]  # as above
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
    for field in msgspec.structs.fields(configuration.Configuration):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from (f"## [{field.encode_name}]", "", inspect.getdoc(field.type) or "", "")
            yield from _members(field.type, f"{field.encode_name}.")
            if field.type is Quotas:
                yield from _quotas()
    yield from (
        "## [connectors.NAME] and [services.NAME]",
        "",
        "One table for each plugin that is to run, with [its settings](plugins.md). A connector may run "
        'twice under two names: `[connectors.north]` with `plugin = "mqtt_bridge"`.',
        "",
    )


def _quotas() -> Iterator[str]:
    """The usual quotas of each kind, and what the figures are of."""
    comments = _comments(Quota)
    fields = msgspec.structs.fields(Quota)
    yield from ("| member of each | meaning |", "| --- | --- |")
    yield from (f"| `{field.encode_name}` | {comments[field.name]} |" for field in fields)
    yield from ("", "Their defaults:", "", f"| quota | {' | '.join(one.encode_name for one in fields)} |")
    yield f"| --- |{' --- |' * len(fields)}"
    for kind in msgspec.structs.fields(Quotas):
        usual = [getattr(kind.default, one.name) for one in fields]
        yield f"| `quotas.{kind.encode_name}` | {' | '.join(f'{number:,}' for number in usual)} |"
    yield ""


def _members(kind: type[msgspec.Struct], prefix: str) -> Iterator[str]:
    comments = _comments(kind)
    yield from ("| key | default | meaning |", "| --- | --- | --- |")
    for field in msgspec.structs.fields(kind):
        default = field.default_factory() if callable(field.default_factory) else field.default
        shown = _toml(default)
        yield f"| `{prefix}{field.encode_name}` | {shown} | {comments.get(field.name, '')} |"
    yield ""


def _toml(value: object) -> str:
    match value:
        case bool():
            return f"`{str(value).lower()}`"
        case None:
            return "not told"
        case msgspec.Struct() | dict():
            return "a table"
        case float() | int():
            return f"`{value}`"
    # Strings and lists of strings are written alike in TOML and in JSON.
    return f"`{json.dumps(value, ensure_ascii=False)}`"


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
    yield from (
        "",
        "Over HTTP an error is a problem detail (RFC 7807): `type`, `title`, `status`, `detail`, `hint`, and "
        "`where` for the field, parameter or place. These are the statuses, the more special first; the "
        "types are those of ETSI GS CIM 009, 5.5.2.",
        "",
        "| status | title | type |",
        "| --- | --- | --- |",
    )
    for how in dict.fromkeys(how for _, how in TABLE):
        yield f"| {how.status} | {how.title} | `{how.type}` |"
    yield f"| {INTERNAL.status} | {INTERNAL.title} | `{INTERNAL.type}` |"


def _http() -> Iterator[str]:
    yield from (
        "# HTTP addresses",
        "",
        "## Health",
        "",
        "Open to everybody, never cached, and quick: for a supervisor, a proxy or a container.",
        "",
        "| address | answer |",
        "| --- | --- |",
        '| `/healthz` | 200 `{"status": "alive"}` as soon as the process listens |',
        '| `/readyz` | 200 `{"status": "ready", "troubles": []}` once the city answers; before that '
        '503 with `"status": "waiting"` and the reasons in words |',
        "",
        "What the process measures of itself (memory, disk, how far each stage lies behind the feed) stands "
        "on the page `/system`, for staff, and as JSON at `/system.json`; for Prometheus at `/metrics` "
        "([metrics](metrics.md)).",
        "",
        "## NGSI-LD",
        "",
        "Below `/ngsi-ld/v1`; the clause is that of ETSI GS CIM 009 v1.9.1. The same as OpenAPI: "
        "`/openapi.json`. What is not offered, and what was chosen where the standard leaves a choice: "
        "[NGSI-LD](ngsi-ld.md).",
        "",
        "| method | path | clause | what it does |",
        "| --- | --- | --- | --- |",
    )
    for item in OPERATIONS:
        yield f"| {item.method} | `{item.path}` | {item.clause} | {item.summary} |"
    yield from (
        "",
        f"Context sources notify the city at `{NOTIFIED_AT}` and an address below it that each of them is "
        "given: no resource of the standard, and nobody else is heard there (5.8.6).",
        "",
        "## OGC API - Features",
        "",
        f"Under `{FEATURES}`, described for programs in `{FEATURES}/api` (OpenAPI 3.0); "
        "[a guide](../guides/open_the_city_in_qgis.md).",
        "",
        "| method | path | answers |",
        "| --- | --- | --- |",
    )
    for resource in RESOURCES:
        yield f"| GET | `{FEATURES}{resource.path.rstrip('/')}` | {resource.summary} |"
    yield from (
        "",
        "## OGC SensorThings",
        "",
        f"Version 1.1 under `{SENSORTHINGS}`: reading and creating; "
        "[a guide](../guides/read_sensors_with_sensorthings.md). Each set has `('id')` behind it for one, "
        "and its links behind that.",
        "",
        "| methods | path | links |",
        "| --- | --- | --- |",
        f"| GET | `{SENSORTHINGS}` | the sets |",
    )
    for name, links in LINKS.items():
        yield f"| GET, POST | `{SENSORTHINGS}/{name}` | {', '.join(links)} |"
    yield f"| POST | `{SENSORTHINGS}/{CREATE_OBSERVATIONS}` | many Observations at once (data array) |"
    yield from (
        "",
        "## Pages",
        "",
        "A page whose address ends in `.json` too gives what it shows as data. Forms are sent by POST with a "
        "token that the page carries; other programs use the API.",
        "",
        "| method | path | what it does |",
        "| --- | --- | --- |",
    )
    # Routes are made over a desk and do not look at it before somebody asks.
    routes = [cast(Route, route) for route in every_page(cast(Desk, None))]
    paths = {route.path for route in routes}
    for route in routes:
        if route.path.removesuffix(".json") not in paths - {route.path}:
            yield _address(route, as_data=f"{route.path}.json" in paths)


def _address(route: Route, *, as_data: bool) -> str:
    path = route.path.replace(":path}", "}")
    methods = ", ".join(sorted((route.methods or set()) - {"HEAD"}))
    shown = f"`{path}`, `{path}.json`" if as_data and "GET" in methods else f"`{path}`"
    said = (inspect.getdoc(route.endpoint) or "").partition("\n\n")[0]
    return f"| {methods} | {shown} | {' '.join(said.split())} |"


#: How a metric begins that not every city tells.
_TOLD_BY = {
    "": "",
    "edge": "Of an edge. ",
    "centre": "Of a city with edges. ",
    "relay": "Of a city whose history other processes remember. ",
    "follower": "Of such a process (`cityloom up --stages`). ",
}


def _metrics() -> Iterator[str]:
    yield from (
        "# Metrics",
        "",
        "At `/metrics`, in the text format of Prometheus or as OpenMetrics, for whoever shows a token with "
        "the permission `system:read`; [a guide](../guides/watch_a_city.md). Times are in seconds, "
        "sizes in bytes. A histogram is told as `_bucket`, `_sum` and `_count`.",
        "",
    )
    for title, metrics in (("Of the city", METRICS), ("Of the process", OF_THE_LIBRARY)):
        yield from (f"## {title}", "", "| metric | kind | labels | meaning |", "| --- | --- | --- | --- |")
        for one in metrics:
            labels = ", ".join(f"`{name}`" for name in one.labels)
            yield f"| `{one.name}` | {one.kind} | {labels} | {_TOLD_BY[one.told_by]}{one.help} |"
        yield ""


def _findings() -> Iterator[str]:
    yield from (
        "# Findings",
        "",
        "What `cityloom doctor` and the page `/system` tell is wrong. Of what is *bad* the city does not "
        "work, or loses something; of what is a *warning* it will, or somebody is badly served. "
        "The command ends with 0 (nothing), 1 (warnings alone) or 2 (something bad).",
        "",
        "| finding | level | why it matters | what to do |",
        "| --- | --- | --- | --- |",
    )
    yield from (
        f"| `{name}` | {one.level} | {one.why} | {one.remedy} |" for name, one in KINDS_OF_FINDING.items()
    )


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
        for plugin in own:
            yield from _settings(plugin)


def _settings(plugin: Plugin) -> Iterator[str]:
    settings: dict[str, dict[str, Any]] = plugin.manifest.get("settings", {})
    if not settings:
        return
    yield from (
        f"### [{plugin.kind}.{plugin.id}]",
        "",
        "| setting | default | meaning |",
        "| --- | --- | --- |",
    )
    for name, one in settings.items():
        dated = one.get("values")
        default = _toml(dated[-1]["value"] if dated else one.get("default"))
        if one.get("required"):
            default = "must be given"
        unit = f" (unit code {one['unit']})" if "unit" in one else ""
        yield f"| `{name}` | {default} | {one['help']['en']}{unit} |"
    yield ""


if __name__ == "__main__":
    sys.exit(main())
