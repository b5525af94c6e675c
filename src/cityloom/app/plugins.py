"""Finds plugins by their position: `<package>/<kind>/<id>/manifest.toml`. No list to edit.

Manifests are read before any code runs, so a broken plugin can be named without being started.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from cityloom.kernel.errors import BadConfig, BrokenPlugin

#: Entry points in this group name packages that hold plugins in the same folders.
GROUP = "cityloom.plugins"
KINDS = ("connectors", "services", "frameworks", "models", "cities", "devices", "assessments", "playbooks")


class Plugin(msgspec.Struct, frozen=True):
    """A plugin as it lies on disk. `manifest` is the parsed TOML."""

    kind: str
    id: str
    folder: Path
    #: The dotted name of the folder as a package.
    package: str
    manifest: dict[str, Any]

    @property
    def title(self) -> str:
        """Its name for people, in English where there are several languages."""
        said = self.manifest.get("title", "")
        return str(said.get("en", "")) if isinstance(said, dict) else str(said)

    def load(self, module: str) -> ModuleType:
        """Import one of the plugin's modules. Raises BrokenPlugin, naming it, when that fails."""
        try:
            return importlib.import_module(f"{self.package}.{module}")
        except Exception as error:
            raise BrokenPlugin(
                f"{self.kind}/{self.id} cannot be loaded: {error}",
                hint=f"Its owner is {self.manifest.get('owner', 'not named')}.",
                where=str(self.folder / f"{module}.py"),
            ) from error


def find_plugins(packages: Iterable[str], beside: Path | None = None) -> list[Plugin]:
    """Every plugin of the named packages and of registered ones, ordered by kind and id.

    `beside` is the folder of a city: packages that lie in it are found too, after those installed.
    """
    if beside is not None and str(beside.resolve()) not in sys.path:
        sys.path.append(str(beside.resolve()))
        importlib.invalidate_caches()
    names = dict.fromkeys([*packages, *(entry.value for entry in entry_points(group=GROUP))])
    found: dict[tuple[str, str], Plugin] = {}
    for name in names:
        for plugin in _in_package(name):
            key = (plugin.kind, plugin.id)
            if key in found:
                raise BadConfig(
                    f"Two plugins are called {plugin.kind}/{plugin.id}",
                    hint=f"Rename one of {found[key].folder} and {plugin.folder}.",
                    where=name,
                )
            found[key] = plugin
    return [found[key] for key in sorted(found)]


def _in_package(name: str) -> Iterable[Plugin]:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise BadConfig(
            f"There is no package {name!r}",
            hint="Put it beside city.toml, install it, or take it out of `plugins`.",
            where="city.toml: plugins",
        )
    for root in map(Path, spec.submodule_search_locations):
        for path in sorted(root.glob("*/*/manifest.toml")):
            if path.parent.parent.name in KINDS:
                yield _read(path, name)


def _read(path: Path, package: str) -> Plugin:
    kind, plugin_id = path.parent.parent.name, path.parent.name
    try:
        manifest = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadConfig(
            f"A plugin's manifest is not TOML: {error}", hint="Correct it.", where=str(path)
        ) from None
    if manifest.get("id") != plugin_id:
        raise BadConfig(
            f"The manifest calls itself {manifest.get('id')!r}",
            hint=f"Its id must be its folder's name, {plugin_id!r}.",
            where=str(path),
        )
    return Plugin(kind, plugin_id, path.parent, f"{package}.{kind}.{plugin_id}", manifest)
