"""Connectors out of their plugins: what is found of one, and how it is made."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import msgspec

from cityloom.kernel.errors import BrokenPlugin, CityError
from cityloom.sensing.contract import Connector, ConnectorManifest, Settings
from cityloom.sensing.manifest import read_manifest, read_settings


class ConnectorPlugin(msgspec.Struct, frozen=True):
    """A connector to run: its manifest as parsed TOML, its module `connector`, its settings in city.toml."""

    manifest: Mapping[str, Any]
    module: ModuleType | None
    settings: Mapping[str, Any] = {}
    #: What its settings are called; another than its id when it runs twice.
    name: str = ""
    #: Why it could not be loaded; then `module` is None.
    failure: str = ""


def make_connector(plugin: ConnectorPlugin) -> tuple[ConnectorManifest, Settings, Connector]:
    """A connector with its settings, read and not yet started. Raises BadConfig, BrokenPlugin."""
    name = connector_name(plugin)
    manifest = read_manifest(plugin.manifest, where=name)
    settings = read_settings(manifest, plugin.settings, where=f"connectors.{name}")
    return manifest, settings, _make(plugin, settings)


def _make(plugin: ConnectorPlugin, settings: Settings) -> Connector:
    if plugin.module is None:
        raise BrokenPlugin(plugin.failure or "It could not be loaded", hint="Tell its owner.")
    factory = getattr(plugin.module, "Connector", None)
    if factory is None:
        raise BrokenPlugin(
            "connector.py has no class Connector",
            hint="Tell its owner.",
            where=plugin.module.__name__,
        )
    try:
        made: Connector = factory(settings)
    except CityError:
        raise
    except Exception as error:
        raise BrokenPlugin(
            f"The connector cannot be made: {type(error).__name__}: {error}",
            hint="Look at its settings, or tell its owner.",
            where=plugin.module.__name__,
        ) from error
    return made


def connector_name(plugin: ConnectorPlugin) -> str:
    """What a connector is called among all that run."""
    return plugin.name or str(plugin.manifest.get("id", ""))
